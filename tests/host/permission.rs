//! Grants of a registration, the administrator's policy, and permitted placements.

use std::fs;
use std::os::unix::fs::DirBuilderExt;

use keystead::Placement;
use keystead::trust::InProcess;
use keystead::trust::{self, OnIdConflict, TrustDecision};
use keystead::{Error, ErrorClass};

use super::{
    filed, get_in, memory, register, registration, replacing, scene, set, vault, write,
    write_registration,
};
use crate::scene::{Scene, story};

/// Writes the administrator's policy file.
fn policy(scene: &Scene, text: &str) {
    let dir = scene.path().join("etc");
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&dir).unwrap();
    write(&dir.join("policy.toml"), text);
    scene.host.reload();
}

#[test]
fn plugin_requesting_more_than_grants_is_not_opened() {
    let scene = scene();
    let file = scene.path().join("here/secrets");
    let text = |grants: &str| {
        format!(
            "plugin = \"memory\"\ngrants = [{grants}]\n[parameters]\nfile = \"{}\"\n",
            file.display()
        )
    };
    for grants in ["", "\"files:/other:rw\"", "\"network\""] {
        write_registration(&scene, "a", &text(grants));
        scene.host.reload();
        let error = get_in(&scene.host, &vault("a"), "x").unwrap_err();
        assert_eq!((error.code(), error.class()), ("E07.not-granted", ErrorClass::CannotDo));
        assert_eq!(
            story(&error),
            format!(
                "E07.not-granted: vault `a` cannot be opened: plugin `memory` requests \
                 permissions that vault `a` does not grant: files:{}/:rw",
                file.parent().unwrap().display()
            )
        );
    }
    assert_eq!(scene.runners(), 0);
    write_registration(
        &scene,
        "a",
        &text(&format!("\"files:{}/:rw\"", scene.path().join("here").display())),
    );
    scene.host.reload();
    set(&scene.host, &vault("a"), "x", "y");
    scene.end();
}

#[test]
fn replaced_registration_gets_newly_requested_grants() {
    let scene = scene();
    let a = filed(&scene, "a", Placement::Isolated);
    set(&scene.host, &a, "x", "old");
    let again = registration(&scene, "a", &[("file", "other")], &[]);
    let error = scene.host.plan_registration(again.clone()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("E01.exists", ErrorClass::CannotDo));
    let plan = scene.host.plan_registration(replacing(again)).unwrap();
    let other = scene.path().join("here");
    assert_eq!(plan.entry().grants, [format!("files:{}/:rw", other.display())]);
    assert_eq!(plan.permissions().len(), 1);
    assert!(plan.permissions()[0].contains(other.to_str().unwrap()), "{:?}", plan.permissions());
    scene.host.register(plan).unwrap();
    // The change applies at once: the host closes the open vault.
    assert_eq!(get_in(&scene.host, &a, "x").unwrap_err().code(), "E12.no-such-secret");
    set(&scene.host, &a, "x", "new");
    assert!(other.join("other").exists());
    scene.end();
}

#[test]
fn vault_without_file_requests_no_permissions() {
    let scene = scene();
    let plan = scene.host.plan_registration(registration(&scene, "a", &[], &[])).unwrap();
    assert!(plan.permissions().is_empty() && plan.entry().grants.is_empty());
    assert!(plan.becomes_default());
}

#[test]
fn in_process_placement_requires_trust() {
    let scene = Scene::new();
    let candidate = scene.host.plugins().examine(&memory()).unwrap();
    let decision =
        TrustDecision { place: trust::InstallTarget::User, in_process: InProcess::Never };
    scene.host.plugins().install(candidate, &decision, OnIdConflict::Refuse).unwrap();
    let mut new = registration(&scene, "a", &[], &[]);
    new.placement = Some(Placement::InProcess);
    let error = scene.host.plan_registration(new).unwrap_err();
    assert_eq!((error.code(), error.class()), ("E07.in-process-forbidden", ErrorClass::CannotDo));
    write_registration(&scene, "a", "plugin = \"memory\"\nplacement = \"in-process\"\n");
    let error = get_in(&scene.host, &vault("a"), "x").unwrap_err();
    assert!(matches!(&error, Error::Faulty { .. }), "{error:?}");
    assert_eq!((error.code(), error.class()), ("E07.in-process-forbidden", ErrorClass::CannotDo));
    scene.end();
}

#[test]
fn policy_forbids_in_process_placement() {
    let scene = scene();
    let a = filed(&scene, "a", Placement::InProcess);
    set(&scene.host, &a, "x", "y");
    policy(&scene, "placement = \"isolated\"\n");
    let error = get_in(&scene.host, &a, "x").unwrap_err();
    assert_eq!(error.code(), "E07.in-process-forbidden", "{}", story(&error));
    let isolated =
        register(&scene.host, replacing(registration(&scene, "a", &[("file", "a")], &[])));
    assert_eq!(get_in(&scene.host, &isolated, "x").unwrap(), "a: y");
    assert_eq!(scene.runners(), 1);
    scene.end();
}

#[test]
fn policy_denies_plugins_and_permissions() {
    let scene = scene();
    let a = filed(&scene, "a", Placement::Isolated);
    set(&scene.host, &a, "x", "y");
    for (text, code) in [
        ("deny = [\"memory\"]\n", "E07.policy-denied"),
        ("allow = [\"store\"]\n", "E07.not-allowed"),
        ("permissions = [\"network\"]\n", "E07.permission"),
        ("user-plugins = false\n", "E07.user-plugins"),
        ("denied = [\"memory\"]\n", "E07.policy-malformed"),
    ] {
        policy(&scene, text);
        let error = get_in(&scene.host, &a, "x").unwrap_err();
        assert!(matches!(&error, Error::Faulty { .. }), "{error:?}");
        assert_eq!(
            (error.code(), error.class()),
            (code, ErrorClass::CannotDo),
            "{}",
            story(&error)
        );
        assert!(story(&error).contains("policy.toml"), "{}", story(&error));
        assert!(scene.host.plan_registration(registration(&scene, "b", &[], &[])).is_err());
    }
    policy(&scene, "allow = [\"memory\"]\npermissions = [\"files\"]\n");
    assert_eq!(get_in(&scene.host, &a, "x").unwrap(), "a: y");
    scene.end();
}
