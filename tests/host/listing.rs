//! A listing queries its vaults in parallel; the total wait is no longer than for one vault.

use std::fs;
use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::VaultName;
use keystead::{NewRegistration, NonInteractive, SecretListing};

use super::{PLACEMENTS, register};
use crate::plugin_files::plugin;
use crate::scene::Scene;

/// Registers vaults that answer only after this number of vaults has been called.
fn waiting(scene: &Scene, placement: Placement, names: &[String], vaults: usize) {
    let dir = scene.path().join("meeting");
    fs::create_dir(&dir).unwrap();
    scene.install(&plugin("waits-for-others"));
    for name in names {
        let name = VaultName::parse(name).unwrap();
        let mut new = NewRegistration::new(name, "waits-for-others", scene.path().to_path_buf());
        new.parameters.insert("folder".into(), "meeting".into());
        new.parameters.insert("vaults".into(), vaults.to_string());
        new.placement = Some(placement);
        register(&scene.host, new);
    }
}

fn list(scene: &Scene) -> SecretListing {
    scene.host.list(None, None, &mut NonInteractive).unwrap()
}

#[test]
fn list_queries_16_vaults_in_parallel() {
    for placement in PLACEMENTS {
        let scene = Scene::new();
        let names: Vec<String> = (0..16).map(|number| format!("v{number:02}")).collect();
        waiting(&scene, placement, &names, names.len());
        let listing = list(&scene);
        assert!(listing.failed.is_empty(), "{:?}", listing.failed);
        let listed: Vec<_> = listing.entries.iter().map(|one| one.vault.as_str()).collect();
        assert_eq!(listed, names);
        scene.end();
    }
}

#[test]
fn list_waits_for_hanging_vaults_in_parallel() {
    const DEADLINE: Duration = Duration::from_secs(3);
    for placement in PLACEMENTS {
        let scene = Scene::with_timeout(DEADLINE);
        let sound = scene.vault("sound", &plugin("in-order"), Placement::InProcess);
        let late: Vec<String> = (0..12).map(|number| format!("late{number:02}")).collect();
        waiting(&scene, placement, &late, usize::from(u8::MAX));
        let started = Instant::now();
        let listing = list(&scene);
        let took = started.elapsed();
        // In sequence the vaults take twelve deadlines. Half of that leaves room for a busy
        // machine.
        assert!(took < DEADLINE * 6, "{took:?}");
        assert_eq!(listing.entries.len(), 1);
        assert_eq!(listing.entries[0].vault, sound);
        let failed: Vec<_> = listing
            .failed
            .iter()
            .map(|(name, error)| (name.as_str(), error.code().split_once('.').unwrap().1))
            .collect();
        let expected: Vec<_> = late.iter().map(|name| (name.as_str(), "late")).collect();
        assert_eq!(failed, expected);
        scene.end();
    }
}
