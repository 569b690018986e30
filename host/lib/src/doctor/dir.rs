//! Finds problems with directories, with the policy and with the program for runners.

use std::path::Path;

use rustix::fs::Access;

use super::fix::{self, Fix};
use super::{Finding, Severity};
use crate::fs::{self, Rule, SafeDir};
use crate::host::Host;
use crate::paths::Layer;
use crate::plugin::trust::{self, Survey};

/// Why a directory or file that another user can change is an error.
const UNSAFE: &str = "whoever can change it decides which code runs and where secrets go, so \
                      that nothing in it is used";

/// Why a directory or file that cannot be used is an error.
const UNUSABLE: &str = "what it holds is not used, and commands that need it fail";

impl Host {
    pub(super) fn dirs(&self, survey: &Survey, findings: &mut Vec<Finding>) {
        findings.extend(runner(&self.options().runner));
        for fault in &survey.faults {
            findings.push(of_trust(Severity::Error, fault));
        }
        let mut left_over = survey.left_over.clone();
        for layer in Layer::ALL {
            let Some(path) = self.options().paths.config_dir(*layer) else { continue };
            match registrations(path) {
                Ok(found) => left_over.extend(found),
                Err(fault) => findings.push(of_path(Severity::Error, &fault)),
            }
        }
        for path in left_over {
            let what = format!("`{}` was left behind half-written", path.display());
            findings.push(
                Finding::new(Severity::Warning, "E02.left-over", what)
                    .because("nothing reads it; a process was ended while it wrote")
                    .fixed_by([Fix::about("rm", &path, "remove it")]),
            );
        }
    }
}

/// Returns the half-written files among a layer's registrations.
fn registrations(path: &Path) -> Result<Vec<std::path::PathBuf>, fs::Error> {
    let Some(config) = SafeDir::open_if_there(path, Rule::User)? else { return Ok(Vec::new()) };
    let mut left_over = config.left_over()?;
    if let Some(vaults) = config.dir("vaults")? {
        left_over.extend(vaults.left_over()?);
    }
    Ok(left_over)
}

/// Returns a finding if the program for runners cannot be started.
fn runner(program: &Path) -> Option<Finding> {
    let fix = match program.is_file() {
        true => Fix::about("chmod a+x", program, "let it be started"),
        false => Fix::about("ls -ld", program, "see what is there; then install Keystead again"),
    };
    let refused = rustix::fs::access(program, Access::EXEC_OK).err();
    let cause = match refused {
        Some(errno) => std::io::Error::from(errno).to_string(),
        None if program.is_file() => return None,
        None => "it is not a file".to_owned(),
    };
    let what = format!("`{}`, which runs isolated plugins, cannot be started", program.display());
    let mut finding = Finding::new(Severity::Error, "E11.spawn", what)
        .because("no vault whose plugin is isolated can be opened")
        .fixed_by([fix]);
    finding.causes.push(cause);
    Some(finding)
}

/// Returns a finding of an unsafe or unusable path, with its fixes.
pub(super) fn of_path(severity: Severity, error: &fs::Error) -> Finding {
    use fs::Error;
    let is_unsafe = matches!(
        error,
        Error::Owner { .. }
            | Error::OthersWrite { .. }
            | Error::GroupWrite { .. }
            | Error::AccessList { .. }
            | Error::SharedDir { .. }
            | Error::LinkOwner { .. }
    );
    Finding::of(severity, error.code(), error)
        .because(if is_unsafe { UNSAFE } else { UNUSABLE })
        .fixed_by(fix::of_path(error))
}

/// Returns a finding of a problem that affects all plugins of a layer.
fn of_trust(severity: Severity, error: &trust::Error) -> Finding {
    use crate::plugin::pins;
    match error {
        trust::Error::File(fault) | trust::Error::Pin(pins::Error::File(fault)) => {
            of_path(severity, fault)
        }
        trust::Error::PolicyMalformed { path, line, .. } => {
            Finding::of(severity, error.code(), error)
                .because("no plugin is used while it cannot be told what is forbidden")
                .fixed_by([Fix::edit(path, *line)])
        }
        other => Finding::of(severity, other.code(), other).because(UNUSABLE),
    }
}
