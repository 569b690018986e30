//! Metadata alone: changed while the value stays, and refused where it cannot be kept.

use keystead::Placement;
use keystead::api::{Metadata, MetadataValue, Value};
use keystead::metadata::{Change, Edit};
use keystead::{Class, Host, Nobody, Place, Run};

use super::{PLACEMENTS, filed, files, get_in, new_secret, scene, secret, vault};
use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

fn metadata(entries: &[(&str, i64)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, number) in entries {
        metadata.insert(*key, MetadataValue::Integer(*number)).unwrap();
    }
    metadata
}

fn change(vault_name: &str, name: &str, edit: Edit) -> Change {
    Change { name: secret(name), vault: Some(vault(vault_name)), edit, run: Run::Real }
}

fn there(host: &Host, vault_name: &str, name: &str) -> Metadata {
    let place = Place::Vault(vault(vault_name));
    host.describe(&secret(name), &place, &mut Nobody).unwrap().entry.metadata
}

#[test]
fn metadata_changes_and_the_value_stays() {
    for placement in PLACEMENTS {
        let scene = scene();
        let host = &scene.host;
        let a = filed(&scene, "a", placement);
        let mut new = new_secret(Some(&a), "x", "canary");
        new.metadata = Some(metadata(&[("one", 1)]));
        host.set(new, &mut Nobody).unwrap();
        let remove = |key: &str| Edit::Remove(vec![key.to_owned()]);
        for (edit, expected, differs) in [
            (Edit::Merge(metadata(&[("two", 2)])), &[("one", 1), ("two", 2)][..], true),
            (Edit::Merge(metadata(&[("two", 2)])), &[("one", 1), ("two", 2)], false),
            (Edit::Merge(metadata(&[("one", 3)])), &[("one", 3), ("two", 2)], true),
            (remove("one"), &[("two", 2)], true),
            (remove("one"), &[("two", 2)], false),
            (Edit::Replace(metadata(&[("three", 3)])), &[("three", 3)], true),
            (Edit::Clear, &[], true),
            (Edit::Clear, &[], false),
        ] {
            let before = files(scene.path());
            let dry = Change { run: Run::Dry, ..change("a", "x", edit.clone()) };
            let planned = host.change_metadata(&dry, &mut Nobody).unwrap();
            assert_eq!(files(scene.path()), before);
            let changed = host.change_metadata(&change("a", "x", edit), &mut Nobody).unwrap();
            assert_eq!(planned.metadata, changed.metadata);
            assert_eq!((changed.metadata, changed.differs), (metadata(expected), differs));
            assert_eq!(there(host, "a", "x"), metadata(expected));
            // What changes nothing is not written.
            assert_eq!(files(scene.path()) == before, !differs);
        }
        assert_eq!(get_in(host, &a, "x").unwrap(), "a: canary");

        let none = Change { vault: None, ..change("a", "x", Edit::Clear) };
        assert_eq!(host.change_metadata(&none, &mut Nobody).unwrap().vault, a);
        let error = host.change_metadata(&change("a", "y", Edit::Clear), &mut Nobody).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E12.no-such-secret", Class::NoSuch));
        scene.end();
    }
}

#[test]
fn no_value_is_opened_for_it() {
    let scene = Scene::new();
    let torn = scene.vault("torn", &plugin("holds-back"), Placement::Isolated);
    let mut new = new_secret(Some(&torn), "bad", "canary");
    new.value = Value::text("canary");
    scene.host.set(new, &mut Nobody).unwrap();
    assert_eq!(scene.get(&torn, "bad").unwrap_err().code(), "E12.damaged");
    let edit = Edit::Merge(metadata(&[("one", 1)]));
    scene.host.change_metadata(&change("torn", "bad", edit), &mut Nobody).unwrap();
    assert_eq!(there(&scene.host, "torn", "bad"), metadata(&[("one", 1)]));
    scene.end();
}

#[test]
fn a_vault_that_keeps_no_metadata_says_so_before_it_is_opened() {
    let scene = Scene::new();
    scene.vault("plain", &plugin("in-order"), Placement::Isolated);
    for edit in [Edit::Merge(metadata(&[("one", 1)])), Edit::Clear] {
        let error = scene.host.change_metadata(&change("plain", "a", edit), &mut Nobody);
        assert_eq!(
            story(&error.unwrap_err()),
            "E12.unsupported: vault `plain` answered: this vault keeps no metadata"
        );
    }
    assert_eq!(scene.runners(), 0);
    scene.end();
}
