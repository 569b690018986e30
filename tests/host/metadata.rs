//! Changes of metadata alone: the value stays, and a vault without metadata refuses.

use keystead::Placement;
use keystead::api::{Metadata, MetadataValue, Value};
use keystead::metadata::{Change, MetadataEdit};
use keystead::{ErrorClass, Host, NonInteractive, RunMode, SearchScope};

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

fn change(vault_name: &str, name: &str, edit: MetadataEdit) -> Change {
    Change { name: secret(name), vault: Some(vault(vault_name)), edit, run: RunMode::Apply }
}

fn there(host: &Host, vault_name: &str, name: &str) -> Metadata {
    let place = SearchScope::Vault(vault(vault_name));
    host.describe(&secret(name), &place, &mut NonInteractive).unwrap().entry.metadata
}

#[test]
fn metadata_change_keeps_value() {
    for placement in PLACEMENTS {
        let scene = scene();
        let host = &scene.host;
        let a = filed(&scene, "a", placement);
        let mut new = new_secret(Some(&a), "x", "canary");
        new.metadata = Some(metadata(&[("one", 1)]));
        host.set(new, &mut NonInteractive).unwrap();
        let remove = |key: &str| MetadataEdit::Remove(vec![key.to_owned()]);
        for (edit, expected, differs) in [
            (MetadataEdit::Merge(metadata(&[("two", 2)])), &[("one", 1), ("two", 2)][..], true),
            (MetadataEdit::Merge(metadata(&[("two", 2)])), &[("one", 1), ("two", 2)], false),
            (MetadataEdit::Merge(metadata(&[("one", 3)])), &[("one", 3), ("two", 2)], true),
            (remove("one"), &[("two", 2)], true),
            (remove("one"), &[("two", 2)], false),
            (MetadataEdit::Replace(metadata(&[("three", 3)])), &[("three", 3)], true),
            (MetadataEdit::Clear, &[], true),
            (MetadataEdit::Clear, &[], false),
        ] {
            let before = files(scene.path());
            let dry = Change { run: RunMode::DryRun, ..change("a", "x", edit.clone()) };
            let planned = host.change_metadata(&dry, &mut NonInteractive).unwrap();
            assert_eq!(files(scene.path()), before);
            let changed =
                host.change_metadata(&change("a", "x", edit), &mut NonInteractive).unwrap();
            assert_eq!(planned.metadata, changed.metadata);
            assert_eq!((changed.metadata, changed.differs), (metadata(expected), differs));
            assert_eq!(there(host, "a", "x"), metadata(expected));
            // An edit without a difference writes nothing.
            assert_eq!(files(scene.path()) == before, !differs);
        }
        assert_eq!(get_in(host, &a, "x").unwrap(), "a: canary");

        let none = Change { vault: None, ..change("a", "x", MetadataEdit::Clear) };
        assert_eq!(host.change_metadata(&none, &mut NonInteractive).unwrap().vault, a);
        let error = host
            .change_metadata(&change("a", "y", MetadataEdit::Clear), &mut NonInteractive)
            .unwrap_err();
        assert_eq!((error.code(), error.class()), ("E12.no-such-secret", ErrorClass::NoSuch));
        scene.end();
    }
}

#[test]
fn metadata_change_reads_no_value() {
    let scene = Scene::new();
    let torn = scene.vault("torn", &plugin("holds-back"), Placement::Isolated);
    let mut new = new_secret(Some(&torn), "bad", "canary");
    new.value = Value::text("canary");
    scene.host.set(new, &mut NonInteractive).unwrap();
    assert_eq!(scene.get(&torn, "bad").unwrap_err().code(), "E12.damaged");
    let edit = MetadataEdit::Merge(metadata(&[("one", 1)]));
    scene.host.change_metadata(&change("torn", "bad", edit), &mut NonInteractive).unwrap();
    assert_eq!(there(&scene.host, "torn", "bad"), metadata(&[("one", 1)]));
    scene.end();
}

#[test]
fn metadata_change_without_capability_opens_no_vault() {
    let scene = Scene::new();
    scene.vault("plain", &plugin("in-order"), Placement::Isolated);
    for edit in [MetadataEdit::Merge(metadata(&[("one", 1)])), MetadataEdit::Clear] {
        let error = scene.host.change_metadata(&change("plain", "a", edit), &mut NonInteractive);
        assert_eq!(
            story(&error.unwrap_err()),
            "E12.unsupported: vault `plain` answered: this vault keeps no metadata"
        );
    }
    assert_eq!(scene.runners(), 0);
    scene.end();
}
