//! `cargo xtask library`: docs/reference/library.md, the public items of the library and the crates that it is
//! built from, read from what rustdoc and cargo say of it. What is hidden in the documentation has no
//! promise and is not listed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::Result;
use crate::part::Part;
use crate::process;
use crate::workspace::Workspace;

/// What is made.
const PART: Part = Part {
    page: "docs/reference/library.md",
    begin: "<!-- library: begin, written by `cargo xtask library --write` -->\n",
    end: "<!-- library: end -->\n",
};

/// The library's package.
const PACKAGE: &str = "keystead";

/// The kinds of item, as the names of rustdoc's files begin, and as Rust has them.
const KINDS: [(&str, &str); 9] = [
    ("struct", "struct"),
    ("enum", "enum"),
    ("union", "union"),
    ("trait", "trait"),
    ("fn", "fn"),
    ("type", "type"),
    ("constant", "const"),
    ("static", "static"),
    ("macro", "macro"),
];

/// Compares the page with the library, or writes it.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    PART.run("library", made, words)
}

/// Returns what is wrong with the page, one line a fault.
pub(crate) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    PART.faults("library", made, workspace)
}

fn made(workspace: &Workspace) -> Result<String> {
    let mut doc = workspace.cargo();
    doc.args(["doc", "--locked", "--quiet", "--package", PACKAGE, "--lib", "--no-deps"]);
    let (done, said) = process::captured(&mut doc);
    if !done {
        return Err(said.into());
    }
    let folder = workspace.target().join("doc").join(PACKAGE);
    let items = items(&fs_err::read_to_string(folder.join("all.html"))?);
    let mut lines = BTreeSet::new();
    for item in &items {
        lines.insert(item.line());
        lines.extend(functions(&folder, item)?);
    }
    let said = tree(workspace)?;
    let packages = said.lines().map(package).collect::<BTreeSet<_>>().len();
    let (items, functions) = (items.len(), lines.len() - items.len());
    let mut text = String::new();
    let _ = writeln!(text, "## Public items\n\n{items} items, with {functions} functions:\n");
    let _ = writeln!(text, "```text");
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    let _ =
        writeln!(text, "```\n\n## Crates\n\n`cargo tree -p {PACKAGE}` has {packages} packages:\n");
    let _ = writeln!(text, "```text");
    said.lines().for_each(|line| text.push_str(&format!("{}\n", without_version(line))));
    text.push_str("```\n");
    Ok(text)
}

/// One public item.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    kind: &'static str,
    path: String,
    /// Its page.
    page: String,
}

impl Item {
    fn line(&self) -> String {
        format!("{PACKAGE}::{} {}", self.path, self.kind)
    }
}

/// Returns the items of rustdoc's list of all of them.
fn items(list: &str) -> Vec<Item> {
    let linked = list.split("<a href=\"").skip(1).filter_map(|rest| {
        let (page, rest) = rest.split_once("\">")?;
        let (path, _) = rest.split_once("</a>")?;
        let file = page.rsplit('/').next()?.strip_suffix(".html")?;
        let (kind, _) = file.split_once('.')?;
        let (_, kind) = KINDS.iter().find(|(own, _)| *own == kind)?;
        Some(Item { kind, path: path.to_owned(), page: page.to_owned() })
    });
    linked.collect()
}

/// Returns a line for each function of an item: what its own page has before the traits that it
/// implements.
fn functions(folder: &Path, item: &Item) -> Result<Vec<String>> {
    let page = fs_err::read_to_string(folder.join(&item.page))?;
    Ok(functions_in(&page)
        .into_iter()
        .map(|name| format!("{PACKAGE}::{}::{name} fn", item.path))
        .collect())
}

/// Returns the functions of an item's page, in their order.
fn functions_in(page: &str) -> Vec<&str> {
    let own = page.split("id=\"trait-implementations\"").next().unwrap_or_default();
    let ids = own.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    ids.filter_map(|id| id.strip_prefix("method.").or_else(|| id.strip_prefix("tymethod.")))
        .collect()
}

/// Returns the tree of packages as cargo prints it.
fn tree(workspace: &Workspace) -> Result<String> {
    let mut tree = workspace.cargo();
    tree.args(["tree", "--locked", "--package", PACKAGE, "--edges", "normal"]);
    tree.args(["--target", "x86_64-unknown-linux-gnu", "--charset", "ascii"]);
    let output = process::output(&mut tree)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns the package of a line of the tree, with its version: it may have several lines.
fn package(line: &str) -> &str {
    let line = line.trim_start_matches(['|', '`', '-', ' ']);
    line.match_indices(' ').nth(1).map_or(line, |(end, _)| &line[..end])
}

/// Returns a line of the tree without the version, the folder and the kind of crate, which are the
/// lock file's or this checkout's.
fn without_version(line: &str) -> String {
    let end = if line.ends_with("(*)") { " (*)" } else { "" };
    match line.find(" v") {
        Some(at) => format!("{}{end}", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_the_list_are_found_with_their_pages() {
        let list = "<a href=\"index.html\">x</a><ul><li><a href=\"struct.Host.html\">Host</a></li>\
                    <li><a href=\"agent/fn.dispatch.html\">agent::dispatch</a></li></ul>";
        let lines: Vec<String> = items(list).iter().map(Item::line).collect();
        assert_eq!(lines, ["keystead::Host struct", "keystead::agent::dispatch fn"]);
        assert_eq!(items(list)[1].page, "agent/fn.dispatch.html");
    }

    #[test]
    fn functions_of_foreign_traits_are_not_an_items_own() {
        let page = "<section id=\"tymethod.ask\"></section><section id=\"method.get\"></section>\
                    <h2 id=\"trait-implementations\"><section id=\"method.fmt\"></section>";
        assert_eq!(functions_in(page), ["ask", "get"]);
    }

    #[test]
    fn package_is_one_in_all_its_lines() {
        assert_eq!(package("|   |-- toml v1.0.0 (*)"), "toml v1.0.0");
        assert_eq!(package("    `-- toml v1.0.0"), "toml v1.0.0");
        assert_eq!(package("keystead v0.1.0 (/home/a/host/lib)"), "keystead v0.1.0");
    }

    #[test]
    fn lines_of_the_tree_tell_neither_version_nor_place() {
        assert_eq!(without_version("keystead v0.1.0 (/home/a/host/lib)"), "keystead");
        assert_eq!(without_version("|   |-- toml v1.0.0 (*)"), "|   |-- toml (*)");
        assert_eq!(
            without_version("|   `-- serde_derive v1.0.0 (proc-macro)"),
            "|   `-- serde_derive"
        );
    }
}
