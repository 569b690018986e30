//! Concurrent calls, and users other than root: races, umasks, missing and foreign directories.

use super::*;

#[test]
fn concurrent_installs_lose_no_plugin() {
    let machine = machine();
    let sources: Vec<_> = (0..20)
        .map(|n| machine.file(&format!("{n}.so"), &plugin(&format!("p{n}"), "1.0.0", "")))
        .collect();
    let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    std::thread::scope(|scope| {
        for source in &sources {
            scope.spawn(|| {
                let candidate = machine.store.examine(source).unwrap();
                machine.store.install(candidate, &decision, OnIdConflict::Refuse).unwrap();
            });
        }
    });
    assert_eq!(machine.store.list().unwrap().len(), 20);
    for n in 0..20 {
        assert_eq!(machine.code(&format!("p{n}")), "ok");
    }
    assert_eq!(mode(&machine.data().join("plugins")), 0o500);
}

#[test]
fn concurrent_installs_of_same_id_succeed_once() {
    let machine = machine();
    let sources: Vec<_> = (0..20)
        .map(|n| machine.file(&format!("{n}.so"), &plugin("same", &format!("1.0.{n}"), "")))
        .collect();
    let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    let codes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = sources
            .iter()
            .map(|source| {
                let install = || {
                    let candidate = machine.store.examine(source).unwrap();
                    machine.store.install(candidate, &decision, OnIdConflict::Refuse)
                };
                scope.spawn(move || install().map_or_else(|error| error.code(), |_| "ok"))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == "ok").count(), 1);
    assert_eq!(codes.iter().filter(|code| **code == "E07.id-taken").count(), 19);
    assert_eq!(std::fs::read_dir(machine.data().join("plugins")).unwrap().count(), 1);
}

#[test]
fn plugin_store_works_without_user_data_dir() {
    let machine = machine();
    machine.package("memory", 0);
    let paths = Paths { user_data: None, ..machine.paths.clone() };
    let store = PluginStore::new(&paths, Privilege::Ordinary);
    let trusted = store.find(&id("memory")).unwrap();
    record_layout(&trusted, AbiCompatibility::Exact);
    assert!(by_its_bytes(&store.find(&id("memory")).unwrap()));
    assert_eq!(store.record_crash(trusted.sha256()).unwrap(), Crashes::NotKept);
    let candidate = store.examine(&machine.file("p.so", &plugin("new", "1.0.0", ""))).unwrap();
    let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    let error = store.install(candidate, &decision, OnIdConflict::Refuse).unwrap_err();
    assert_eq!(error.code(), "E02.no-data-folder");
    assert_eq!(
        store.remove(&id("new"), &InstallTarget::User).unwrap_err().code(),
        "E02.no-data-folder"
    );
}

#[test]
fn unsafe_data_dir_is_rejected() {
    let machine = machine();
    machine.install("memory");
    let loosen = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for dir in ["", "pins.d", "plugins"] {
        let path = machine.data().join(dir);
        loosen(&path, 0o777);
        assert_eq!(machine.code("memory"), "E02.others-write", "{dir}");
        loosen(&path, 0o700);
    }
    assert_eq!(machine.code("memory"), "ok");
}

#[test]
#[ignore = "needs root"]
fn ordinary_user_manages_plugins_under_any_umask_needs_root() {
    let Some(own) = crate::fs::tests::as_nobody(
        "plugin::trust::tests::people::ordinary_user_manages_plugins_under_any_umask_needs_root",
        |_| {},
    ) else {
        return;
    };
    for mask in [0o022, 0o077, 0o777] {
        let machine = machine_in(tempfile::tempdir_in(&own).unwrap());
        let [first, second] = ["1.0.0", "1.0.1"].map(|version| {
            let path = machine.file(&format!("{version}.so"), &plugin("memory", version, ""));
            machine.store.examine(&path).unwrap()
        });
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
        machine.store.install(first, &decision, OnIdConflict::Refuse).unwrap();
        let trusted = machine.store.install(second, &decision, OnIdConflict::Replace).unwrap();
        assert_eq!(trusted.manifest().version.patch, 1);
        let plugins = machine.data().join("plugins");
        assert_eq!((mode(&plugins), mode(trusted.path())), (0o500, 0o400));
        assert_eq!(std::fs::read_dir(&plugins).unwrap().count(), 1);
        settle();
        assert_eq!(machine.code("memory"), "ok");
        machine.store.record_crash(trusted.sha256()).unwrap();
        machine.store.remove(&id("memory"), &InstallTarget::User).unwrap();
        assert_eq!(machine.code("memory"), "E03.not-pinned");
        assert_eq!(mode(&plugins), 0o500);
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        // For the temporary directory's own removal.
        std::fs::set_permissions(&plugins, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
#[ignore = "needs root"]
fn data_dir_of_other_user_is_ignored_needs_root() {
    let Some(own) = crate::fs::tests::as_nobody(
        "plugin::trust::tests::people::data_dir_of_other_user_is_ignored_needs_root",
        |own| std::fs::create_dir(own.join("root")).unwrap(),
    ) else {
        return;
    };
    let machine = machine_in(tempfile::tempdir_in(&own).unwrap());
    machine.package("memory", 0);
    // The HOME that `su` leaves.
    let paths = Paths { user_data: Some("/root/.local/share/keystead".into()), ..machine.paths };
    let store = PluginStore::new(&paths, Privilege::Ordinary);
    assert!(store.find(&id("memory")).is_ok());
    assert!(store.find(&id("none")).is_err());
}
