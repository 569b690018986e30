//! Checks the links of README.md and docs/: each leads to a file of the checkout and, where it names a
//! heading of a page, to one that is there.

use std::path::Path;

use super::docs::documents;
use crate::Result;
use crate::workspace::Workspace;

/// Returns the links of all documents that lead to no file of the checkout, or to no heading of the
/// page that they name.
pub(super) fn broken(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for document in documents(workspace)? {
        let text = fs_err::read_to_string(workspace.root().join(&document))?;
        for (line, target) in links(&text) {
            if let Some(fault) = link_fault(workspace.root(), &document, target)? {
                faults.push(format!("{}:{line}: {fault}", document.display()));
            }
        }
    }
    Ok(faults)
}

/// Returns the links of a page to other files, each with its line.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        let marks = line.match_indices("](");
        marks.filter_map(move |(at, mark)| {
            let target = line[at + mark.len()..].split([')', ' ']).next()?;
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            (!target.is_empty() && !is_outside).then_some((index + 1, target))
        })
    })
}

/// Returns what is wrong with a link of a document, a path relative to the root.
fn link_fault(root: &Path, document: &Path, target: &str) -> Result<Option<String>> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => root.join(document),
        _ => root.join(document.parent().unwrap_or(Path::new(""))).join(path),
    };
    if !file.exists() {
        return Ok(Some(format!("`{path}` does not exist")));
    }
    let is_page = file.extension().is_some_and(|extension| extension == "md");
    if anchor.is_empty() || !is_page {
        return Ok(None);
    }
    let is_there = anchors(&fs_err::read_to_string(&file)?).iter().any(|known| known == anchor);
    Ok((!is_there).then(|| format!("`{target}`: the page has no heading `#{anchor}`")))
}

/// Returns the anchors of a page's headings, as hosting sites make them: lower case, blanks as dashes,
/// of other signs only `-` and `_`; a second heading of the same text ends in `-1`.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        let heading = line.trim_start_matches('#');
        let level = line.len() - heading.len();
        let Some(heading) = heading.strip_prefix(' ').filter(|_| !is_code && level > 0) else {
            continue;
        };
        let anchor: String = without_targets(heading)
            .trim()
            .to_lowercase()
            .chars()
            .map(|sign| if sign == ' ' { '-' } else { sign })
            .filter(|sign| sign.is_alphanumeric() || matches!(sign, '-' | '_'))
            .collect();
        let further = (0..)
            .map(|count| if count == 0 { anchor.clone() } else { format!("{anchor}-{count}") })
            .find(|name| !anchors.contains(name));
        anchors.extend(further);
    }
    anchors
}

/// Returns a heading without the targets of its links: `[text](target)` is `[text]`.
fn without_targets(heading: &str) -> String {
    let mut parts = heading.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_to_missing_file_or_heading_is_reported() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(root.path().join(name), text).unwrap();
        fs_err::create_dir(root.path().join("docs")).unwrap();
        write(
            "docs/a.md",
            "# A page\n[b](b.md#what-it-is) [x](https://x.example/#y) [](#a-page)\n",
        );
        write(
            "docs/b.md",
            "# `b`: [one](a.md), *two*\n## What it is\n```\n# No heading\n```\n## What it is\n",
        );
        let page = Path::new("docs/a.md");
        let fault = |target: &str| link_fault(root.path(), page, target).unwrap();
        let text = fs_err::read_to_string(root.path().join(page)).unwrap();
        let found: Vec<_> = links(&text).collect();
        assert_eq!(found, [(2, "b.md#what-it-is"), (2, "#a-page")]);
        for sound in ["b.md", "b.md#what-it-is", "b.md#what-it-is-1", "b.md#b-one-two", "#a-page"] {
            assert_eq!(fault(sound), None, "{sound}");
        }
        assert_eq!(fault("c.md#what-it-is").unwrap(), "`c.md` does not exist");
        for wrong in ["b.md#what-it-was", "b.md#no-heading", "b.md#what-it-is-2", "#what-it-is"] {
            assert!(fault(wrong).unwrap().contains("has no heading"), "{wrong}");
        }
    }
}
