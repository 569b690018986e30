//! Secrets that have more metadata than this host can read: shown, but never written back.

use keystead::api::{Metadata, MetadataValue};
use keystead::metadata::{Change, MetadataEdit};
use keystead::transfer::{Carried, Transfer};
use keystead::{NonInteractive, RunMode, SearchScope};
use keystead_exchange::{Export, ExportFormat, ExportOutcome};

use super::transfer::{copy, moved, named, names, planned, run};
use super::{PLACEMENTS, filed, get_in, scene, secret, set};
use crate::plugin_files::c_vault_of_later;
use crate::scene::story;

#[test]
fn incomplete_metadata_blocks_writes_copies_and_exports() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = c_vault_of_later(dir.path());
    for placement in PLACEMENTS {
        let scene = scene();
        let host = &scene.host;
        let later = scene.vault("later", &file, placement);
        let other = filed(&scene, "other", placement);
        set(host, &later, "a", "canary");
        let place = SearchScope::Vault(later.clone());
        let there =
            || host.describe(&secret("a"), &place, &mut NonInteractive).unwrap().entry.metadata;
        assert!(there().is_incomplete() && there().is_empty());
        assert_eq!(get_in(host, &later, "a").unwrap(), "later: canary");

        // A merge loses the unknown metadata and is refused; a replacement is explicit.
        let mut known = Metadata::new();
        known.insert("known", MetadataValue::Integer(1)).unwrap();
        for run in [RunMode::DryRun, RunMode::Apply] {
            let edit = MetadataEdit::Merge(known.clone());
            let change = Change { name: secret("a"), vault: Some(later.clone()), edit, run };
            let told = story(&host.change_metadata(&change, &mut NonInteractive).unwrap_err());
            assert!(told.contains("would be lost by this"), "{told}");
        }
        assert!(there().is_empty());
        let edit = MetadataEdit::Replace(known.clone());
        let (vault, run_real) = (Some(later.clone()), RunMode::Apply);
        let change = Change { name: secret("a"), vault, edit, run: run_real };
        host.change_metadata(&change, &mut NonInteractive).unwrap();
        assert_eq!(there().len(), 1);

        let lost = "it has metadata of a kind that is unknown here";
        for transfer in [
            copy("a", &later, &other),
            moved("a", &later, &other),
            named(moved("a", &later, &later), "b"),
        ] {
            let plan = planned(host, transfer.clone());
            assert!(plan.len() == 1 && plan[0].contains(lost), "{plan:?}");
            run(host, transfer).unwrap_err();
        }
        assert_eq!((names(host, &later), names(host, &other).len()), (vec!["a".to_owned()], 0));
        let value = Transfer { carried: Carried::ValueOnly, ..copy("a", &later, &other) };
        assert_eq!(run(host, value).unwrap(), ["a: written"]);
        assert_eq!(get_in(host, &other, "a").unwrap(), "other: canary");

        let mut out = Vec::new();
        let mut each = Vec::new();
        let mut export = Export::new(host, ExportFormat::JsonLines, &mut out);
        export
            .vault(&later, None, &mut NonInteractive, &mut |_, exported| each.push(exported))
            .unwrap();
        assert!(matches!(&each[..], [ExportOutcome::Unfit(why)] if why == lost), "{each:?}");
        assert!(out.is_empty());
        scene.end();
    }
}
