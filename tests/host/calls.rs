//! Calls from several threads, several vaults at once, and state between calls.

use std::thread;
use std::time::{Duration, Instant};

use keystead::api::{Value, VaultName};
use keystead::paths::Layer;
use keystead::{Error, ErrorClass, Host, NewRegistration, NonInteractive, RunMode, SearchScope};
use keystead::{Placement, Replace};

use super::{
    PLACEMENTS, filed, files, get, get_in, memory, options, register, registration, replacing,
    scene, set, vault, write_registration,
};
use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

#[test]
fn threads_sharing_host_keep_vaults_separate() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    const EACH: usize = 6;
    for placement in PLACEMENTS {
        let scene = scene();
        shared(&scene.host);
        let vaults = ["a", "b"].map(|name| filed(&scene, name, placement));
        thread::scope(|scope| {
            for worker in 0..4 {
                let (host, vaults) = (scene.host.clone(), &vaults);
                scope.spawn(move || {
                    for vault in vaults {
                        for number in 0..EACH {
                            let name = format!("{worker}/{number}");
                            set(&host, vault, &name, &format!("{vault}-{name}"));
                            let expected = format!("{vault}: {vault}-{name}");
                            assert_eq!(get_in(&host, vault, &name).unwrap(), expected);
                        }
                        host.list(None, None, &mut NonInteractive).unwrap();
                    }
                });
            }
        });
        for vault in &vaults {
            let listing = scene.host.list(None, Some(vault), &mut NonInteractive).unwrap();
            assert_eq!(listing.entries.len(), 4 * EACH);
        }
        let kept = |vault: &VaultName| {
            std::fs::read_to_string(scene.path().join("here").join(vault.as_str())).unwrap()
        };
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        assert!(
            kept(&vaults[0]).contains(&hex("a-0/0")) && !kept(&vaults[0]).contains(&hex("b-0/0"))
        );
        assert!(
            kept(&vaults[1]).contains(&hex("b-0/0")) && !kept(&vaults[1]).contains(&hex("a-0/0"))
        );
        scene.end();
    }
}

#[test]
fn changed_registration_takes_effect_after_reload() {
    let scene = scene();
    let a = filed(&scene, "a", Placement::Isolated);
    set(&scene.host, &a, "x", "old");
    let path = scene.path().join("config/vaults/a.toml");
    let (mut text, old) = (std::fs::read_to_string(path).unwrap(), scene.path().join("here/a"));
    text = text.replace(old.to_str().unwrap(), scene.path().join("here/other").to_str().unwrap());
    write_registration(&scene, "a", text.strip_prefix("schema = 1\n").unwrap());
    assert_eq!(get_in(&scene.host, &a, "x").unwrap(), "a: old");
    scene.host.reload();
    assert_eq!(get_in(&scene.host, &a, "x").unwrap_err().code(), "E12.no-such-secret");
    scene.end();
}

#[test]
fn faulty_vault_stays_faulty_until_reload() {
    let scene = Scene::new();
    write_registration(&scene, "a", "plugin = \"memory\"\n");
    let a = vault("a");
    for _ in 0..2 {
        let error = get_in(&scene.host, &a, "x").unwrap_err();
        assert!(matches!(error, Error::Faulty { .. }), "{error:?}");
        assert_eq!((error.code(), error.class()), ("E03.not-pinned", ErrorClass::CannotDo));
    }
    scene.install(&memory());
    assert_eq!(get_in(&scene.host, &a, "x").unwrap_err().code(), "E03.not-pinned");
    scene.host.reload();
    assert_eq!(get_in(&scene.host, &a, "x").unwrap_err().code(), "E12.no-such-secret");
    scene.end();
}

#[test]
fn faulty_vault_returns_its_error_for_every_request() {
    let scene = Scene::new();
    write_registration(&scene, "a", "plugin = \"memory\"\n");
    let (host, a) = (&scene.host, vault("a"));
    let (name, place) = (super::secret("x"), SearchScope::Vault(a.clone()));
    let errors = [
        host.get(&name, &place, &mut NonInteractive).map(drop),
        host.describe(&name, &place, &mut NonInteractive).map(drop),
        host.set(super::new_secret(Some(&a), "x", "y"), &mut NonInteractive).map(drop),
        host.remove(&name, Some(&a), RunMode::Apply, &mut NonInteractive).map(drop),
        host.remove(&name, Some(&a), RunMode::DryRun, &mut NonInteractive).map(drop),
        host.list(None, Some(&a), &mut NonInteractive).map(drop),
        host.test(&a, &mut NonInteractive),
        host.actions(&a, &mut NonInteractive).map(drop),
        host.plan_action(&a, "x", &Default::default(), scene.path(), &mut NonInteractive).map(drop),
    ];
    for (at, result) in errors.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Faulty { .. }), "request {at}: {error:?}");
        assert_eq!((error.code(), error.class()), ("E03.not-pinned", ErrorClass::CannotDo));
    }
    let listing = host.list(None, None, &mut NonInteractive).unwrap();
    assert_eq!(listing.failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn process_vault_is_not_persisted_and_overrides_registered() {
    let scene = scene();
    let host = &scene.host;
    let a = filed(&scene, "a", Placement::Isolated);
    set(host, &a, "x", "registered");

    let written = || {
        (files(&scene.path().join("config")), std::fs::read(scene.path().join("here/a")).unwrap())
    };
    let before = written();
    let mut own = replacing(registration(&scene, "A", &[], &[]));
    own.placement = Some(Placement::InProcess);
    let plan = host.plan_registration(own).unwrap();
    host.register_for_this_process(plan);
    let layers: Vec<_> = host.vaults().unwrap().0.into_iter().map(|v| (v.name, v.layer)).collect();
    assert_eq!(layers, [(a.clone(), None)]);
    assert_eq!(host.vault(&a).unwrap().info.layer, None);
    assert_eq!(get_in(host, &a, "x").unwrap_err().code(), "E12.no-such-secret");
    set(host, &a, "y", "here");
    assert_eq!(get(host, "y", &SearchScope::anywhere()).unwrap(), "a: here");

    let another = Host::new(options(&scene));
    assert_eq!(get_in(&another, &a, "y").unwrap_err().code(), "E12.no-such-secret");
    assert_eq!(get_in(&another, &a, "x").unwrap(), "a: registered");

    host.unregister(&a, Layer::User, RunMode::DryRun).unwrap();
    assert_eq!(get_in(host, &a, "y").unwrap(), "a: here");
    host.unregister(&a, Layer::User, RunMode::Apply).unwrap();
    assert_eq!(get_in(host, &a, "x").unwrap(), "a: registered");
    assert_eq!(written(), before);
    drop(another);
    scene.end();
}

#[test]
fn hanging_vault_times_out_without_blocking_other_vaults() {
    let scene = Scene::with_timeout(Duration::from_millis(1_500));
    scene.install(&memory());
    let hanging = scene.vault("hanging", &plugin("hangs"), Placement::Isolated);
    let quick = filed(&scene, "quick", Placement::InProcess);
    set(&scene.host, &quick, "a", "at once");
    // The process is already running, so that only the call times out.
    scene.list(&hanging, None).unwrap();
    let started = Instant::now();
    let error = thread::scope(|scope| {
        let late = scope.spawn(|| scene.get(&hanging, "a").unwrap_err());
        thread::sleep(Duration::from_millis(100));
        while !late.is_finished() {
            let asked = Instant::now();
            assert_eq!(get_in(&scene.host, &quick, "a").unwrap(), "quick: at once");
            assert!(asked.elapsed() < Duration::from_millis(1_200));
            thread::sleep(Duration::from_millis(20));
        }
        late.join().unwrap()
    });
    assert!(started.elapsed() < Duration::from_millis(3_500), "{:?}", started.elapsed());
    assert_eq!(
        (error.code(), error.class()),
        ("E11.late", ErrorClass::CannotDo),
        "{}",
        story(&error)
    );
    scene.end();
}

#[test]
fn throttled_call_is_retried_within_deadline() {
    for placement in PLACEMENTS {
        let scene = Scene::new();
        let vault = scene.vault("v", &plugin("asks-to-wait"), placement);
        let asked = || scene.log.all().len();
        scene.get(&vault, "a").unwrap();
        assert_eq!(asked(), 3, "{placement:?}");
        // The delay exceeds the deadline, so the error comes at once.
        let error = scene.get(&vault, "long").unwrap_err();
        assert_eq!((error.code(), asked()), ("E12.throttled", 4), "{}", story(&error));
        scene.end();
    }
    let scene = Scene::with_timeout(Duration::from_millis(1_000));
    let vault = scene.vault("v", &plugin("asks-to-wait"), Placement::Isolated);
    let error = scene.get(&vault, "again").unwrap_err();
    assert!(["E12.throttled", "E11.late"].contains(&error.code()), "{}", story(&error));
    assert!(scene.log.all().len() > 1);
    scene.end();
}

#[test]
fn unregister_calls_only_unregistered_vault() {
    let scene = Scene::new();
    let a = scene.vault("a", &plugin("two-steps"), Placement::Isolated);
    let mut same = NewRegistration::new(a.clone(), "two-steps", scene.path().to_path_buf());
    (same.layer, same.replace) = (Layer::System, Replace::Whole);
    register(&scene.host, same);

    // The user's registration overrides the one of the system layer, which no call has opened.
    scene.host.unregister(&a, Layer::System, RunMode::Apply).unwrap();
    assert_eq!(scene.log.all(), [""; 0]);
    scene.host.unregister(&a, Layer::User, RunMode::DryRun).unwrap();
    assert_eq!(scene.log.all(), [""; 0]);
    scene.host.unregister(&a, Layer::User, RunMode::Apply).unwrap();
    assert_eq!(scene.log.all(), ["a Info: goodbye"]);
    scene.end();
}

#[test]
fn unregister_closes_vault_and_keeps_data() {
    let scene = scene();
    let a = filed(&scene, "a", Placement::Isolated);
    set(&scene.host, &a, "x", "kept");
    let gone = scene.host.unregister(&a, Layer::User, RunMode::Apply).unwrap();
    assert!(gone.was_default && gone.warning.is_none());
    let error = get_in(&scene.host, &a, "x").unwrap_err();
    assert_eq!((error.code(), error.class()), ("E01.no-such-vault", ErrorClass::NoSuch));
    assert_eq!(scene.host.default_vault().unwrap(), None);
    let again = register(&scene.host, registration(&scene, "again", &[("file", "a")], &[]));
    let found = scene.get(&again, "x").unwrap();
    assert_eq!(found.secret.value, Value::text("kept"));
    scene.end();
}
