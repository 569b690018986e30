//! `keystead doctor`: finds problems of the installation and the registrations, with a command that
//! fixes each.

use keystead::internals::doctor::{Finding, Severity};
use serde::Serialize;

use super::CommandContext;
use crate::failure::{Exit, Failure};
use crate::text;
use crate::ui::Lines;

/// Find problems and suggest fixes
///
/// Runs no plugin, opens no vault and changes nothing. Each finding comes with a command to
/// paste. Exit code 1 where there are errors, 0 otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let mut findings = keystead::internals::diagnose(&scene.host);
    if let Some(dir) = &scene.global.config_dir {
        // A command that is pasted must mean the same directory.
        let option = format!(" --config-dir {}", quoted(&absolute(dir).to_string_lossy()));
        for fix in findings.iter_mut().flat_map(|finding| &mut finding.fixes) {
            let command = fix.command.strip_prefix("sudo ").unwrap_or(&fix.command);
            if command.starts_with("keystead ") {
                fix.command += &option;
            }
        }
    }
    let errors = count(&findings, Severity::Error);
    let warnings = count(&findings, Severity::Warning);
    if scene.ui.is_json() {
        scene.ui.json(&DoctorOutput {
            schema: 1,
            ok: errors + warnings == 0,
            errors,
            warnings,
            findings: findings.iter().map(DoctorItem::of).collect(),
        })?;
    } else {
        let mut lines = scene.ui.lines();
        for finding in &findings {
            tell(&mut lines, finding)?;
        }
        lines.line(&match (errors, warnings) {
            (0, 0) => "No problems found.".to_owned(),
            _ => format!("{}, {}.", number(errors, "error"), number(warnings, "warning")),
        })?;
        lines.finish()?;
    }
    Ok(if errors == 0 { Exit::Done } else { Exit::Act })
}

fn tell(lines: &mut Lines, finding: &Finding) -> Result<(), Failure> {
    let head = match finding.severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
        Severity::Note => "Note",
    };
    lines.line(&format!("{head}: {}", finding.what))?;
    for cause in &finding.causes {
        lines.line(&format!("  Cause: {cause}"))?;
    }
    if !finding.why.is_empty() {
        lines.line(&format!("  Why:   {}", finding.why))?;
    }
    for (at, fix) in finding.fixes.iter().enumerate() {
        let head = if at == 0 { "Fix:  " } else { "   or:" };
        lines.line(&format!("  {head} {}", fix.command))?;
        lines.line(&format!("         ({})", fix.description))?;
    }
    lines.line(&format!("  Code:  {}", finding.code))?;
    lines.line("")
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn number(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn absolute(dir: &std::path::Path) -> std::path::PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

/// Returns the text quoted as a single word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", text::visible(word).replace('\'', "'\\''"))
}

#[derive(Serialize)]
struct DoctorOutput<'a> {
    schema: u32,
    ok: bool,
    errors: usize,
    warnings: usize,
    findings: Vec<DoctorItem<'a>>,
}

#[derive(Serialize)]
struct DoctorItem<'a> {
    severity: &'static str,
    code: &'static str,
    what: &'a str,
    causes: &'a [String],
    why: &'a str,
    fixes: Vec<Command<'a>>,
}

#[derive(Serialize)]
struct Command<'a> {
    command: &'a str,
    description: &'static str,
}

impl<'a> DoctorItem<'a> {
    fn of(finding: &'a Finding) -> Self {
        let fixes = finding.fixes.iter();
        Self {
            severity: finding.severity.as_str(),
            code: finding.code,
            what: &finding.what,
            causes: &finding.causes,
            why: &finding.why,
            fixes: fixes
                .map(|m| Command { command: &m.command, description: m.description })
                .collect(),
        }
    }
}
