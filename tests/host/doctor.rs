//! Findings for states that the command's own directories cannot have.

use std::path::Path;
use std::time::Duration;

use keystead::internals::diagnose;
use keystead::internals::doctor::{Finding, Severity};
use keystead::paths::Paths;
use keystead::{Host, Options};

use crate::scene::Scene;

fn host(root: &Path, runner: &str) -> Host {
    let paths = Paths {
        system_config: root.join("etc"),
        user_config: Some(root.join("config")),
        user_data: Some(root.join("data")),
        packaged: vec![root.join("lib")],
    };
    Host::new(Options::new(paths, runner.into()))
}

fn find<'a>(findings: &'a [Finding], code: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.code == code).unwrap_or_else(|| {
        panic!("no {code}: {findings:#?}");
    })
}

fn register(root: &Path, layer: &str, text: &str) {
    let vaults = root.join(layer).join("vaults");
    std::fs::create_dir_all(&vaults).unwrap();
    std::fs::write(vaults.join("work.toml"), text).unwrap();
}

/// Returns whether the administrator's directory belongs to root, as it does if root runs the
/// tests. Otherwise its owner is a finding.
fn is_administrator(findings: &[Finding]) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert!(find(findings, "E02.owner").fixes[0].command.starts_with("sudo chown "));
    }
    is_root
}

#[test]
fn doctor_reports_unstartable_runner() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let findings = diagnose(&host(dir.path(), "/nonexistent/keystead"));
    let finding = find(&findings, "E11.spawn");
    assert_eq!(finding.severity, Severity::Error);
    assert_eq!(finding.causes, ["No such file or directory (os error 2)"]);
    assert_eq!(finding.fixes[0].command, "ls -ld /nonexistent/keystead");
    assert!(diagnose(&host(dir.path(), env!("CARGO_BIN_EXE_keystead"))).is_empty());
}

#[test]
fn doctor_reports_shadowed_system_registration() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = dir.path();
    register(root, "etc", "plugin = 'memory'");
    register(root, "config", "plugin = 'memory'");
    let findings = diagnose(&host(root, env!("CARGO_BIN_EXE_keystead")));
    let finding = find(&findings, "E01.shadowed");
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.fixes[0].command, "keystead vault unregister work");

    register(root, "etc", "plugin = 'memory'\nlocked = true");
    let findings = diagnose(&host(root, env!("CARGO_BIN_EXE_keystead")));
    assert!(findings.iter().all(|finding| finding.code != "E01.shadowed"));
    let finding = find(&findings, "E01.locked");
    let file = root.join("config/vaults/work.toml").display().to_string();
    assert_eq!(finding.fixes[0].command, format!("mv {file} {file}.old"));
}

#[test]
fn doctor_reports_malformed_policy_and_later_findings() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = dir.path();
    register(root, "config", "plugin = 'nosuch'\nkind = 7");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/policy.toml"), "user-plugins = false\ndney = []").unwrap();
    let findings = diagnose(&host(root, env!("CARGO_BIN_EXE_keystead")));
    if !is_administrator(&findings) {
        return;
    }
    let finding = find(&findings, "E07.policy-malformed");
    let policy = root.join("etc/policy.toml").display().to_string();
    assert_eq!(finding.fixes[0].command, format!("${{EDITOR:-vi}} +2 {policy}"));
    assert_eq!(find(&findings, "E01.wrong-value").severity, Severity::Error);
}

#[test]
fn doctor_reports_denied_plugin_of_vault_as_error() {
    let scene = Scene::with_timeout(Duration::from_secs(20));
    let plugin = crate::cli::sandbox::plugin();
    let id = scene.install(plugin);
    let root = scene.path();
    std::fs::create_dir_all(root.join("etc/pins.d")).unwrap();
    let policy = root.join("etc/policy.toml");
    std::fs::write(&policy, "deny = ['memory']").unwrap();
    let findings = diagnose(&scene.host);
    if !is_administrator(&findings) {
        return;
    }
    assert_eq!(find(&findings, "E07.policy-denied").severity, Severity::Warning);
    register(root, "config", "plugin = 'memory'");
    let findings = diagnose(&scene.host);
    let finding = find(&findings, "E07.policy-denied");
    assert_eq!(finding.severity, Severity::Error);
    assert!(finding.why.ends_with("it is the plugin of vault `work`"), "{finding:?}");

    std::fs::remove_file(policy).unwrap();
    let denial = root.join("etc/pins.d/memory.toml");
    std::fs::write(&denial, format!("schema = 1\nid = '{id}'\ndeny = true\n")).unwrap();
    let findings = diagnose(&scene.host);
    let finding = find(&findings, "E07.denied");
    assert_eq!(finding.severity, Severity::Error);
    assert_eq!(finding.fixes[0].command, format!("rm {}", denial.display()));
}
