//! Checks the rows' table in docs/internals/sandbox.md, and that each hostile plugin has a row.

use std::collections::BTreeSet;
use std::path::Path;

use super::{ALL, End, Row, Try};
use crate::plugin_files::repository;

/// Returns the words that name the attempts, grouped by their ends.
fn told(tries: &[Try], of: impl Fn(&Try) -> End) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for one in tries {
        let Some(end) = in_words(of(one)) else { continue };
        let word = one.0.split(['{', '/']).next().unwrap().trim_end_matches(':');
        match groups.iter_mut().find(|(known, _)| *known == end) {
            Some((_, words)) if words.contains(&word) => {}
            Some((_, words)) => words.push(word),
            None => groups.push((end, vec![word])),
        }
    }
    let only = groups.len() == 1;
    let groups = groups.into_iter().map(|(end, words)| match only {
        true => end,
        false => format!("{}: {end}", words.join(", ")),
    });
    groups.collect::<Vec<_>>().join("; ")
}

fn in_words(end: End) -> Option<String> {
    let either = |words: &str| {
        let words = words.split('|').map(|word| format!("`{word}`"));
        words.collect::<Vec<_>>().join(" or ")
    };
    Some(match end {
        End::Says("done") | End::Changes => "**works**".into(),
        End::Says(words) => either(words),
        End::Fails => "an error".into(),
        End::Dies(how) => format!("ends by {}", how.replace('|', " or ")),
        End::Late => "killed at the deadline".into(),
        End::Protocol("") => "ended for it".into(),
        End::Protocol(what) => format!("ended for \"{what}\""),
        End::Next(what) => {
            format!("ended at the next call for \"{}\"", what.replace('|', "\" or \""))
        }
        End::ByHand(words) => words.into(),
        End::Untried => return None,
    })
}

fn line(row: &Row) -> String {
    let inside = told(row.tries, |one| match one.2 {
        End::Late => End::Dies("nothing but SIGKILL"),
        end => end,
    });
    let inside = if inside.is_empty() { inside } else { format!(" ({inside})") };
    format!(
        "| [`{name}`](../../tests/plugins/hostile/{name}.c) | {} | {} | {}{inside} |",
        row.does,
        told(row.tries, |one| one.1),
        row.in_process,
        name = row.name,
    )
}

#[test]
fn sandbox_page_table_matches_tested_rows() {
    let page = std::fs::read_to_string(repository().join("docs/internals/sandbox.md")).unwrap();
    let written: Vec<_> = page.lines().filter(|line| line.starts_with("| [`")).collect();
    let tested: Vec<_> = ALL.iter().flat_map(|rows| rows.iter()).map(line).collect();
    assert_eq!(written, tested, "docs/internals/sandbox.md should have:\n{}\n", tested.join("\n"));
}

#[test]
fn each_hostile_plugin_has_row() {
    let dir = repository().join("tests/plugins/hostile");
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "c"));
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let files: BTreeSet<_> = files.map(|path| name(&path)).collect();
    let rows = ALL.iter().flat_map(|rows| rows.iter()).map(|row| row.name.to_owned());
    assert_eq!(files, rows.collect());
}

#[test]
fn each_row_is_tried_in_both_placements_or_exempt() {
    for row in ALL.iter().flat_map(|rows| rows.iter()) {
        let tried = |of: fn(&Try) -> End| row.tries.iter().any(|one| in_words(of(one)).is_some());
        assert!(tried(|one| one.1), "{} is not tried in the sandbox", row.name);
        let is_said = row.in_process.contains("all that the host has open");
        assert!(tried(|one| one.2) || is_said, "{} is not tried in-process", row.name);
    }
}
