//! The part of a page that a task writes: between two lines, the rest is by people.

use std::process::ExitCode;

use crate::Result;
use crate::workspace::Workspace;

/// Makes the part from what it is about.
type Make = fn(&Workspace) -> Result<String>;

/// A part, by the lines around it.
pub(crate) struct Part {
    pub(crate) page: &'static str,
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

impl Part {
    /// Compares the page with what is made, or writes it: the command of this name.
    pub(crate) fn run(&self, name: &str, make: Make, words: &[String]) -> Result<ExitCode> {
        let workspace = Workspace::here()?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => {
                let faults = self.faults(name, make, &workspace)?;
                faults.iter().for_each(|fault| eprintln!("{fault}"));
                Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            ["--write"] => {
                let page = workspace.root().join(self.page);
                let text = fs_err::read_to_string(&page)?;
                fs_err::write(&page, self.replaced(&text, &make(&workspace)?)?)?;
                println!("written: {}", self.page);
                Ok(ExitCode::SUCCESS)
            }
            _ => Err(format!("usage: cargo xtask {name} [--write]").into()),
        }
    }

    /// Returns what is wrong with the page, one line a fault.
    pub(crate) fn faults(
        &self,
        name: &str,
        make: Make,
        workspace: &Workspace,
    ) -> Result<Vec<String>> {
        let text = fs_err::read_to_string(workspace.root().join(self.page))?;
        if self.replaced(&text, &make(workspace)?)? == text {
            return Ok(Vec::new());
        }
        Ok(vec![format!("{}: is out of date: run `cargo xtask {name} --write`", self.page)])
    }

    /// Returns the page with this part replaced.
    pub(crate) fn replaced(&self, page: &str, made: &str) -> Result<String> {
        let Self { page: name, begin, end } = self;
        let parts = page.split_once(begin).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(end)?;
            Some((before, after))
        });
        let (before, after) = parts.ok_or_else(|| {
            format!("{name} has no lines `{}` and `{}`", begin.trim_end(), end.trim_end())
        })?;
        Ok(format!("{before}{begin}\n{}\n\n{end}{after}", made.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_made_part_of_the_page_is_replaced() {
        let part = Part { page: "docs/speed.md", begin: "<!-- begin -->\n", end: "<!-- end -->\n" };
        let page = "# Speed\n\n<!-- begin -->\nold\n<!-- end -->\nHow to repeat.\n";
        let new = part.replaced(page, "new\n").unwrap();
        let expected = "# Speed\n\n<!-- begin -->\n\nnew\n\n<!-- end -->\nHow to repeat.\n";
        assert_eq!(new, expected);
        assert_eq!(part.replaced(&new, "new").unwrap(), new);
        assert!(part.replaced("# Speed\n", "new").is_err());
    }
}
