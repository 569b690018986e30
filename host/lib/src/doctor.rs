//! Finds problems with installed plugins and registered vaults, reports why they matter, and
//! suggests fixes. Inspects everything, runs no plugin, opens no vault and changes nothing.

mod dir;
mod fix;
mod plugin;
mod sandbox;
mod vault;

use crate::error::visible;
use crate::host::Host;
use crate::plugin::trust::Survey;

pub use fix::Fix;

/// Severity of a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A part does not work, or is not used because it is not safe.
    Error,
    /// Everything works, but perhaps not as the user expects.
    Warning,
    /// Useful information; no problem.
    Note,
}

impl Severity {
    /// Returns the severity's name in text and in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One problem. Holds no secret and no value of a secret parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Severity of the problem.
    pub severity: Severity,
    /// Stable code of the error that the problem is or leads to.
    pub code: &'static str,
    /// The problem, as a fragment without a full stop.
    pub what: String,
    /// Causes of the problem, the nearest first.
    pub causes: Vec<String>,
    /// Why the problem matters.
    pub why: String,
    /// Fixes, the best first; each is sufficient alone.
    pub fixes: Vec<Fix>,
}

impl Finding {
    fn new(severity: Severity, code: &'static str, what: impl Into<String>) -> Self {
        let (what, why) = (visible(&what.into()), String::new());
        Self { severity, code, what, causes: Vec::new(), why, fixes: Vec::new() }
    }

    /// Returns a finding with the text and the causes of an error.
    fn of(severity: Severity, code: &'static str, error: &dyn std::error::Error) -> Self {
        let mut finding = Self::new(severity, code, error.to_string());
        let (mut last, mut next) = (error.to_string(), error.source());
        while let Some(cause) = next {
            let text = cause.to_string();
            // A transparent error has the text of its source.
            if text != last {
                finding.causes.push(visible(&text));
            }
            (last, next) = (text, cause.source());
        }
        finding
    }

    fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    fn fixed_by(mut self, by: impl IntoIterator<Item = Fix>) -> Self {
        self.fixes.extend(by);
        self
    }
}

impl Host {
    /// Returns problems with directories, plugins and registrations: errors first, and of each
    /// severity directories before plugins before vaults. Empty if no problems are found.
    ///
    /// No plugin is run, no vault is opened, no reference is followed, nothing is written.
    /// Every plugin file is read and hashed, regardless of earlier results.
    pub(crate) fn diagnose(&self) -> Vec<Finding> {
        let survey = self.plugins().survey();
        let mut findings = Vec::new();
        self.dirs(&survey, &mut findings);
        findings.extend(sandbox::findings(survey.sandbox));
        findings.extend(sandbox::of_namespaces(survey.namespaces, &self.options().runner));
        self.all_plugins(&survey, &mut findings);
        self.all_vaults(&survey, &mut findings);
        // One unsafe directory can cause the same finding many times.
        let mut seen = Vec::new();
        findings.retain(|finding| {
            let is_new = !seen.contains(&(finding.code, finding.what.clone()));
            seen.push((finding.code, finding.what.clone()));
            is_new
        });
        findings.sort_by_key(|finding| finding.severity);
        findings
    }
}

/// Returns names as a list in words: "`a`, `b` and `c`".
fn listed<T: std::fmt::Display>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

/// Returns the vaults that are registered with a plugin of this id.
fn users_of(host: &Host, id: &str) -> Vec<keystead_plugin_api::VaultName> {
    let vaults = host.vaults().map(|(vaults, _)| vaults).unwrap_or_default();
    let uses = vaults
        .into_iter()
        .filter(|vault| vault.entry.as_ref().is_ok_and(|entry| entry.plugin == id));
    uses.map(|vault| vault.name).collect()
}

/// Returns whether plugins cannot be checked because their directories cannot be used.
fn is_blind(survey: &Survey) -> bool {
    !survey.faults.is_empty()
}
