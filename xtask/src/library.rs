//! `cargo xtask library`: docs/reference/library.md, the public items of the library and the crates that it is
//! built from, read from what rustdoc and cargo say of it. What is hidden in the documentation has no
//! promise and is not listed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::Result;
use crate::part::Part;
use crate::process;
use crate::workspace::{HOST, Workspace};

/// What is made.
pub(crate) const PART: Part =
    Part { page: "docs/reference/library.md", name: "library", command: "library", make: made };

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

fn made(workspace: &Workspace) -> Result<String> {
    let line = format!("doc --locked --quiet --package {HOST} --lib --no-deps");
    let (done, said) = process::captured(&mut workspace.cargo(&line));
    if !done {
        return Err(said.into());
    }
    let dir = workspace.target().join("doc").join(HOST);
    let items = items(&fs_err::read_to_string(dir.join("all.html"))?);
    let mut lines = BTreeSet::new();
    for item in &items {
        lines.insert(item.line());
        lines.extend(functions(&dir, item)?);
    }
    let said = tree(workspace)?;
    let packages = said.lines().map(package).collect::<BTreeSet<_>>().len();
    let (items, functions) = (items.len(), lines.len() - items.len());
    let mut text = String::new();
    let _ = writeln!(text, "## Public items\n\n{items} items, with {functions} functions:\n");
    let _ = writeln!(text, "```text");
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    let _ = writeln!(text, "```\n\n## Crates\n\n`cargo tree -p {HOST}` has {packages} packages:\n");
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
        format!("{HOST}::{} {}", self.path, self.kind)
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
fn functions(dir: &Path, item: &Item) -> Result<Vec<String>> {
    let page = fs_err::read_to_string(dir.join(&item.page))?;
    Ok(functions_in(&page)
        .into_iter()
        .map(|name| format!("{HOST}::{}::{name} fn", item.path))
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
    let target = "x86_64-unknown-linux-gnu";
    let line = format!("tree --locked -p {HOST} --edges normal --target {target} --charset ascii");
    process::stdout(&mut workspace.cargo(&line))
}

/// Returns the package of a line of the tree, with its version: it may have several lines.
fn package(line: &str) -> &str {
    let line = line.trim_start_matches(['|', '`', '-', ' ']);
    line.match_indices(' ').nth(1).map_or(line, |(end, _)| &line[..end])
}

/// Returns a line of the tree without the version, the directory and the kind of crate, which are the
/// lock file's or this checkout's.
fn without_version(line: &str) -> String {
    let end = if line.ends_with("(*)") { " (*)" } else { "" };
    match line.find(" v") {
        Some(at) => format!("{}{end}", &line[..at]),
        None => line.to_owned(),
    }
}
