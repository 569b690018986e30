//! Finds problems with plugins: with pins, with their files, and reasons that forbid their use.

use std::path::Path;

use super::fix::Fix;
use super::{Finding, Severity, dir, listed, users_of};
use crate::host::Host;
use crate::plugin::inspect;
use crate::plugin::pins::{self, PinLayer};
use crate::plugin::trust::{Error, Survey, Surveyed};
use crate::shell::word;

impl Host {
    pub(super) fn all_plugins(&self, survey: &Survey, findings: &mut Vec<Finding>) {
        for one in &survey.pins {
            let Err(error) = &one.outcome else { continue };
            let users = users_of(self, &one.name);
            let is_needed = !one.is_shadowed && (!users.is_empty() || !is_forbidden(error));
            let severity = if is_needed { Severity::Error } else { Severity::Warning };
            let mut finding = of(severity, one, error);
            if !users.is_empty() && !one.is_shadowed {
                let vaults = if users.len() == 1 { "vault" } else { "vaults" };
                finding.why += &format!("; it is the plugin of {vaults} {}", listed(&users));
            }
            findings.push(finding);
        }
        for path in &survey.unpinned {
            let what = format!("no pin stands for the plugin file `{}`", path.display());
            findings.push(
                Finding::new(Severity::Warning, "E03.unpinned", what)
                    .because(
                        "it is never used; an installation was broken off, or a pin was removed",
                    )
                    .fixed_by([Fix::about("rm", path, "remove it")]),
            );
        }
    }
}

/// Returns whether the plugin is valid, but may not be used.
fn is_forbidden(error: &Error) -> bool {
    error.code().starts_with("E07.")
}

fn of(severity: Severity, one: &Surveyed, error: &Error) -> Finding {
    let id = word(&one.name);
    let finding = Finding::of(severity, error.code(), error);
    let own = one.layer == PinLayer::User;
    let why = |finding: Finding, why: &str| finding.because(why);
    match error {
        Error::File(fault) | Error::Pin(pins::Error::File(fault)) => dir::of_path(severity, fault),
        Error::Pin(pins::Error::Denied { path, .. }) => why(
            finding,
            "the administrator says that it must not run",
        )
        .fixed_by([Fix::about("rm", path, "as the administrator: allow it again")]),
        Error::Pin(pins::Error::Version { .. }) => {
            why(finding, "a newer Keystead wrote it, and may mean more by it than this one reads")
                .fixed_by(again(one))
        }
        Error::Pin(pins::Error::Malformed { line, .. }) => {
            let edit = Fix::edit(&one.path, *line);
            why(finding, PIN).fixed_by(again(one)).fixed_by([edit])
        }
        Error::Pin(_) => why(finding, PIN).fixed_by(again(one)),
        Error::HashMismatch { path, .. } => {
            let finding = why(
                finding,
                "it is not the file that was vouched for, and does not run: an upgrade past \
                 Keystead, damage, or an attack",
            );
            match own {
                true => finding.fixed_by([
                    Fix::new(
                        format!("keystead plugin show {}", word(&path.to_string_lossy())),
                        "look at it without running it",
                    ),
                    Fix::new(format!("keystead plugin trust {id}"), "accept it, if it is meant"),
                    Fix::new(format!("keystead plugin remove {id}"), "be rid of it"),
                ]),
                false => finding.fixed_by(again(one)),
            }
        }
        Error::FileMissing { .. } => {
            why(finding, "a plugin without its file cannot run").fixed_by(again(one))
        }
        Error::IdDiffers { .. } => {
            why(finding, "the pin was made for another file").fixed_by(again(one))
        }
        Error::Quarantined { .. } => {
            why(finding, "it does not run until somebody gives it another chance").fixed_by([
                Fix::new(format!("keystead plugin trust {id}"), "give it another chance"),
            ])
        }
        Error::Unfit { source, .. } => why(finding, unfit(source)).fixed_by(again(one)),
        Error::UserPlugins { path, .. }
        | Error::Denied { path, .. }
        | Error::NotAllowed { path, .. }
        | Error::Permission { path, .. } => {
            let fixes =
                own.then(|| Fix::new(format!("keystead plugin remove {id}"), "be rid of it"));
            why(finding, "the administrator's policy says that it must not run")
                .fixed_by([Fix::edit(path, 1)])
                .fixed_by(fixes)
        }
        _ => why(finding, PIN).fixed_by(again(one)),
    }
}

const PIN: &str = "a pin that is not understood is never passed over, so that the plugin does \
                   not run";

/// Returns fixes that install a plugin again, or remove it.
fn again(one: &Surveyed) -> Vec<Fix> {
    if one.layer != PinLayer::User {
        return vec![Fix::put_away(
            &one.path,
            "put the pin out of the way; installing its package again brings both back",
        )];
    }
    let id = word(&one.name);
    let Some(pin) = &one.pin else {
        return vec![Fix::new(
            format!("keystead plugin remove {id}"),
            "be rid of the pin; then install the plugin's file again",
        )];
    };
    let file = pin.source.as_deref().filter(|source| Path::new(source).is_file());
    let file = file.map_or_else(|| "FILE".to_owned(), word);
    vec![
        Fix::new(format!("keystead plugin install {file}"), "install it again"),
        Fix::new(format!("keystead plugin remove {id}"), "be rid of it"),
    ]
}

fn unfit(error: &inspect::Error) -> &'static str {
    match error.code().split('.').next() {
        Some("E06") => "it was made for another version, and cannot run here",
        Some("E07") => "it needs what it does not say that it needs",
        _ => "it cannot run on this machine",
    }
}
