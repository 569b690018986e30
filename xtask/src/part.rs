//! The part of a page that a task writes: between two lines, the rest is by people.

use std::process::ExitCode;

use crate::Result;
use crate::workspace::Workspace;

/// A part, by its page and the command that writes it.
pub(crate) struct Part {
    pub(crate) page: &'static str,
    /// What the lines around it begin with.
    pub(crate) name: &'static str,
    /// The command, without `--write`.
    pub(crate) command: &'static str,
    /// Makes it.
    pub(crate) make: fn(&Workspace) -> Result<String>,
}

impl Part {
    /// Compares the page with what is made, or writes it: `cargo xtask COMMAND [--write]`.
    pub(crate) fn run(&self, words: &[String]) -> Result<ExitCode> {
        let workspace = Workspace::here()?;
        match words {
            [] => report(&self.faults(&workspace)?),
            [word] if word == "--write" => {
                self.write(&workspace, &(self.make)(&workspace)?)?;
                Ok(ExitCode::SUCCESS)
            }
            _ => Err(format!("usage: cargo xtask {} [--write]", self.command).into()),
        }
    }

    /// Returns what is wrong with the page, one line a fault.
    pub(crate) fn faults(&self, workspace: &Workspace) -> Result<Vec<String>> {
        let text = workspace.read(self.page)?;
        if self.replaced(&text, &(self.make)(workspace)?)? == text {
            return Ok(Vec::new());
        }
        let Self { page, command, .. } = self;
        Ok(vec![format!("{page}: is out of date: run `cargo xtask {command} --write`")])
    }

    /// Writes the page with this part replaced.
    pub(crate) fn write(&self, workspace: &Workspace, made: &str) -> Result<()> {
        let text = self.replaced(&workspace.read(self.page)?, made)?;
        fs_err::write(workspace.root().join(self.page), text)?;
        println!("written: {}", self.page);
        Ok(())
    }

    /// Returns the page with this part replaced.
    fn replaced(&self, page: &str, made: &str) -> Result<String> {
        let Self { name, command, .. } = self;
        let begin = format!("<!-- {name}: begin, written by `cargo xtask {command} --write` -->\n");
        let end = format!("<!-- {name}: end -->\n");
        let parts = page.split_once(&begin).zip(page.split_once(&end));
        let ((before, _), (_, after)) =
            parts.ok_or_else(|| format!("{} has no lines `{begin}` and `{end}`", self.page))?;
        Ok(format!("{before}{begin}\n{}\n\n{end}{after}", made.trim_end()))
    }
}

/// Prints faults; any is a failure.
pub(crate) fn report(faults: &[String]) -> Result<ExitCode> {
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns a template with what it is about.
pub(crate) fn rendered(template: &str, about: &serde_json::Value) -> Result<String> {
    Ok(minijinja::Environment::new().render_str(template, minijinja::value::Serde(about))?)
}
