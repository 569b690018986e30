//! The conformance suite as the host runs it, over the reference plugin.

use std::fs;

use keystead::Placement;
use keystead::api::testing::Outcome;
use keystead::api::{Value, VaultName};
use keystead::internals::Check;
use keystead::reference::Reference;
use keystead::trust::{self, OnIdConflict, TrustDecision};
use keystead::trust::{InProcess, PluginId};
use keystead::{Error, ErrorClass, NewRegistration, NonInteractive};

use super::{PLACEMENTS, memory, new_secret, scene, write};
use crate::bao::{self, Bao};
use crate::cli::sandbox;
use crate::plugin_files::ledger;
use crate::scene::{Scene, story};

/// Returns a check of a vault with a file. The check is small enough to take seconds.
fn check(scene: &Scene) -> Check {
    let mut check = Check::new(scene.apart());
    check.parameters.insert("file".into(), "here/{vault}.secrets".into());
    check.many = Some(40);
    check
}

/// Runs the suite and returns the number of kept obligations, and those that do not apply.
fn run(
    suite: impl FnOnce(&mut dyn FnMut(&Outcome)) -> keystead::Result<()>,
) -> (usize, Vec<&'static str>) {
    let (mut passed, mut left_out) = (0, Vec::new());
    suite(&mut |outcome| match outcome {
        Outcome::Passed { .. } => passed += 1,
        Outcome::NotApplicable { obligation, .. } => left_out.push(*obligation),
        broken => panic!("{broken}"),
    })
    .unwrap_or_else(|error| panic!("{}", story(&error)));
    (passed, left_out)
}

#[test]
fn reference_plugin_keeps_obligations_in_both_placements() {
    let scene = scene();
    let id = PluginId::parse("memory").unwrap();
    let check = check(&scene);
    let [isolated, in_process] = PLACEMENTS.map(|placement| {
        run(|report| {
            keystead::internals::check_installed(&scene.host, &id, placement, &check, report)
        })
    });
    assert_eq!(isolated, in_process);
    assert!(isolated.0 >= 30, "{isolated:?}");
    scene.end();
}

#[test]
fn conformance_check_unlocks_vault_with_password() {
    let scene = scene();
    let id = PluginId::parse("memory").unwrap();
    write(&scene.path().join("password"), "canary-password\n");
    let file = format!("file:{}", scene.path().join("password").display());
    let mut check = check(&scene);
    let (_, unlocked) = run(|report| {
        keystead::internals::check_installed(&scene.host, &id, Placement::InProcess, &check, report)
    });
    check.parameters.insert("locked".into(), file.clone());
    check.unlock.insert("password".into(), Reference::parse(&file).unwrap());
    let [isolated, in_process] = PLACEMENTS.map(|placement| {
        run(|report| {
            keystead::internals::check_installed(&scene.host, &id, placement, &check, report)
        })
    });
    assert_eq!(isolated, in_process);
    assert!(isolated.1.len() < unlocked.len(), "{isolated:?} {unlocked:?}");
    scene.end();
}

#[test]
fn third_party_plugin_keeps_obligations_in_each_vault_kind() {
    let scene = Scene::new();
    let id = PluginId::parse(&scene.install(&ledger())).unwrap();
    write(&scene.path().join("pin"), "canary-pin");
    write(&scene.path().join("clerk"), "ann");
    let from = |name: &str| format!("file:{}", scene.path().join(name).display());
    for (kind, locked, least) in [("book", false, 30), ("book", true, 35), ("slip", false, 25)] {
        let mut check = Check::new(scene.apart());
        check.kind = Some(kind.to_owned());
        check.parameters.insert("ledger".into(), format!("{{vault}}-{kind}-{locked}.secrets"));
        check.many = Some(40);
        if locked {
            check.parameters.insert("clerk".into(), "ann".into());
            check.parameters.insert("pin".into(), from("pin"));
            check.parameters.insert("stamped".into(), "true".into());
            for field in ["clerk", "pin"] {
                check.unlock.insert(field.into(), Reference::parse(&from(field)).unwrap());
            }
        }
        let [isolated, in_process] = PLACEMENTS.map(|placement| {
            run(|report| {
                keystead::internals::check_installed(&scene.host, &id, placement, &check, report)
            })
        });
        assert_eq!(isolated, in_process);
        assert!(isolated.0 >= least, "{kind} {locked}: {isolated:?}");
    }
    scene.end();
}

#[test]
fn files_plugin_keeps_obligations_in_each_vault_kind() {
    let scene = Scene::new();
    let id = PluginId::parse(&scene.install(sandbox::files())).unwrap();
    let given = scene.apart().join("given");
    fs::create_dir(&given).unwrap();
    for name in ["one", "two", "three"] {
        write(&given.join(name), "canary");
    }
    for (kind, parameter, path, least) in
        [("read-only", "path", "given", 13), ("read-write", "folder", "{vault}", 25)]
    {
        let mut check = Check::new(scene.apart());
        check.kind = Some(kind.to_owned());
        check.parameters.insert(parameter.into(), path.into());
        check.many = Some(40);
        let [isolated, in_process] = PLACEMENTS.map(|placement| {
            run(|report| {
                keystead::internals::check_installed(&scene.host, &id, placement, &check, report)
            })
        });
        assert_eq!(isolated, in_process);
        assert!(isolated.0 >= least, "{kind}: {isolated:?}");
    }
    scene.end();
}

#[test]
fn bytes_and_text_values_keep_kind_in_both_placements() {
    for placement in PLACEMENTS {
        let scene = Scene::new();
        let id = scene.install(sandbox::files());
        let name = VaultName::parse("own").unwrap();
        let mut new = NewRegistration::new(name.clone(), id, scene.path().to_path_buf());
        new.placement = Some(placement);
        new.kind = Some("read-write".to_owned());
        let dir = scene.path().join("own");
        new.parameters.insert("folder".into(), dir.display().to_string());
        scene.host.register(scene.host.plan_registration(new).unwrap()).unwrap();
        for value in [Value::bytes(b"canary".to_vec()), Value::text("canary")] {
            let mut secret = new_secret(Some(&name), "key", "");
            secret.value = value.duplicate();
            scene.host.set(secret, &mut NonInteractive).unwrap();
            assert_eq!(fs::read(dir.join("key")).unwrap(), b"canary");
            assert_eq!(scene.get(&name, "key").unwrap().secret.value, value, "{placement:?}");
        }
        scene.end();
    }
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_hashicorp_plugin_keeps_every_obligation() {
    let scene = Scene::new();
    let id = PluginId::parse(&scene.install(sandbox::hashicorp())).unwrap();
    write(&scene.path().join("token"), bao::ROOT);
    let mut check = Check::new(scene.apart());
    check.grants.push("network".to_owned());
    check.many = Some(40);
    let token = format!("file:{}", scene.path().join("token").display());
    for (name, text) in [("address", Bao::shared().url()), ("token", token)] {
        check.parameters.insert(name.into(), text);
    }
    let [isolated, in_process] = PLACEMENTS.map(|placement| {
        let dir = bao::unique("placement");
        check.parameters.insert("prefix".into(), format!("{dir}/{{vault}}"));
        run(|report| {
            keystead::internals::check_installed(&scene.host, &id, placement, &check, report)
        })
    });
    assert_eq!(isolated, in_process);
    assert!(isolated.0 >= 33, "{isolated:?}");
    scene.end();
}

#[test]
fn conformance_check_of_file_does_not_install_plugin() {
    let scene = Scene::new();
    let plugins = scene.host.plugins();
    let plugin = plugins.unpinned(plugins.examine(&memory()).unwrap()).unwrap();
    let check = check(&scene);
    let (passed, _) =
        run(|report| keystead::internals::check_file(&scene.host, &plugin, &check, report));
    assert!(passed >= 30, "{passed}");
    let id = PluginId::parse("memory").unwrap();
    let error: Error = scene.host.plugins().find(&id).unwrap_err().into();
    assert_eq!((error.code(), error.class()), ("E03.not-pinned", ErrorClass::NoSuch));
    scene.end();
}

#[test]
fn in_process_conformance_check_requires_trust() {
    let scene = Scene::new();
    let candidate = scene.host.plugins().examine(&memory()).unwrap();
    let decision =
        TrustDecision { place: trust::InstallTarget::User, in_process: InProcess::Never };
    scene.host.plugins().install(candidate, &decision, OnIdConflict::Refuse).unwrap();
    let id = PluginId::parse("memory").unwrap();
    let error = keystead::internals::check_installed(
        &scene.host,
        &id,
        Placement::InProcess,
        &check(&scene),
        &mut |outcome| panic!("{outcome}"),
    )
    .unwrap_err();
    assert_eq!(error.code(), "E07.in-process-forbidden");
}

#[test]
fn conformance_check_reports_all_wrong_parameters_first() {
    let scene = scene();
    let mut check = check(&scene);
    check.parameters.insert("colour".into(), "red".into());
    check.parameters.insert("locked".into(), "hunter2".into());
    let plugins = scene.host.plugins();
    let plugin = plugins.unpinned(plugins.examine(&memory()).unwrap()).unwrap();
    let error =
        keystead::internals::check_file(&scene.host, &plugin, &check, &mut |_| ()).unwrap_err();
    assert!(matches!(&error, Error::Parameters { faults, .. } if faults.len() == 2), "{error:?}");
    assert!(!format!("{error:?} {}", story(&error)).contains("hunter2"));
    assert_eq!(scene.runners(), 0);
}

#[test]
fn conformance_check_of_denied_or_quarantined_file_fails() {
    let scene = Scene::new();
    let plugins = scene.host.plugins();
    let tested = || plugins.unpinned(plugins.examine(&memory()).unwrap()).map(drop);
    tested().unwrap();
    fs::create_dir_all(scene.path().join("etc")).unwrap();
    for (policy, code) in [
        ("deny = ['memory']", "E07.policy-denied"),
        ("allow = []", "E07.not-allowed"),
        ("user-plugins = false", "E07.user-plugins"),
        ("permissions = ['network']", "E07.permission"),
        ("permision = []", "E07.policy-malformed"),
    ] {
        write(&scene.path().join("etc/policy.toml"), policy);
        assert_eq!(tested().unwrap_err().code(), code, "{policy}");
    }
    fs::remove_file(scene.path().join("etc/policy.toml")).unwrap();
    let sha256 = *plugins.examine(&memory()).unwrap().sha256();
    for _ in 0..3 {
        plugins.record_crash(&sha256).unwrap();
    }
    assert_eq!(tested().unwrap_err().code(), "E07.quarantined");
}
