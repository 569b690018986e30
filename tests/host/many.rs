//! Several secrets at once.

use keystead::Placement;
use keystead::api::{MAX_SET_MANY, Metadata, MetadataValue, Value, WriteMode};
use keystead::{BatchWrite, Error, ErrorClass, NonInteractive};

use super::{PLACEMENTS, filed, get_in, register, registration, scene, secret, set, text};
use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

fn write(name: &str, text: &str) -> BatchWrite {
    let (name, value) = (secret(name), Value::text(text));
    BatchWrite { name, value, metadata: None, mode: WriteMode::Upsert }
}

fn told(result: &keystead::Result<()>) -> String {
    match result {
        Ok(()) => "written".to_owned(),
        Err(error) => story(error),
    }
}

#[test]
fn set_many_returns_result_per_secret() {
    for placement in PLACEMENTS {
        let scene = scene();
        let a = filed(&scene, "a", placement);
        set(&scene.host, &a, "taken", "canary old");
        let mut metadata = Metadata::new();
        metadata.insert("env", MetadataValue::Text("dev".into())).unwrap();
        let mut described = write("described", "canary 1");
        described.metadata = Some(metadata.clone());
        let mut taken = write("taken", "canary new");
        taken.mode = WriteMode::CreateOnly;
        let mut absent = write("absent", "canary new");
        absent.mode = WriteMode::Replace;
        let mut large = write("large", "");
        large.value = Value::bytes(vec![7; keystead::api::MAX_VALUE_BYTES]);
        let all = [described, taken, large, absent, write("twice", "1"), write("twice", "2")];
        let results = scene.host.set_many(Some(&a), &all, &mut NonInteractive).unwrap();
        assert_eq!(
            results.iter().map(told).collect::<Vec<_>>(),
            [
                "written",
                "E12.secret-exists: secret `taken` exists in vault `a`",
                "E12.invalid: vault `a` answered: the value has 16777220 bytes in its encoded \
                 form; the most is 16777216",
                "E12.no-such-secret: no secret `absent` in vault `a`",
                "written",
                "written",
            ]
        );
        assert_eq!(get_in(&scene.host, &a, "taken").unwrap(), "a: canary old");
        assert_eq!(get_in(&scene.host, &a, "twice").unwrap(), "a: 2");
        let listing = scene.host.list(Some("described"), Some(&a), &mut NonInteractive).unwrap();
        assert_eq!(listing.entries[0].entry.metadata, metadata);

        let names = ["twice", "absent", "taken"].map(secret);
        let found = scene.host.get_many(&a, &names, &mut NonInteractive).unwrap();
        assert_eq!(text(&found[0].as_ref().unwrap().value), "2");
        assert_eq!(text(&found[2].as_ref().unwrap().value), "canary old");
        let missing = found[1].as_ref().unwrap_err();
        assert_eq!(story(missing), "E12.no-such-secret: no secret `absent` in vault `a`");
        assert!(scene.host.get_many(&a, &[], &mut NonInteractive).unwrap().is_empty());
        assert!(scene.host.set_many(Some(&a), &[], &mut NonInteractive).unwrap().is_empty());
        scene.end();
    }
}

#[test]
fn set_many_and_get_many_split_batches_over_count_limit() {
    let scene = scene();
    let a = filed(&scene, "a", Placement::Isolated);
    let count = 2 * MAX_SET_MANY + 77;
    let all: Vec<_> = (0..count).map(|n| write(&format!("n{n}"), &format!("v{n}"))).collect();
    let results = scene.host.set_many(Some(&a), &all, &mut NonInteractive).unwrap();
    assert!(results.len() == count && results.iter().all(Result::is_ok));
    let names: Vec<_> = all.into_iter().map(|one| one.name).collect();
    let found = scene.host.get_many(&a, &names, &mut NonInteractive).unwrap();
    assert_eq!(found.len(), count);
    for (n, found) in found.iter().enumerate() {
        assert_eq!(text(&found.as_ref().unwrap().value), format!("v{n}"));
    }
    scene.end();
}

#[test]
fn set_many_and_get_many_split_batches_over_byte_limit() {
    let scene = scene();
    let a = register(&scene.host, registration(&scene, "a", &[], &[]));
    let large = |n: usize| {
        let mut one = write(&n.to_string(), "");
        one.value = Value::bytes(vec![b'0' + n as u8; 7 * 1024 * 1024]);
        one
    };
    let all: Vec<_> = (0..5).map(large).collect();
    let results = scene.host.set_many(Some(&a), &all, &mut NonInteractive).unwrap();
    assert!(results.len() == 5 && results.iter().all(Result::is_ok), "{results:?}");
    let names: Vec<_> = all.iter().map(|one| one.name.clone()).collect();
    let found = scene.host.get_many(&a, &names, &mut NonInteractive).unwrap();
    for (one, found) in all.iter().zip(&found) {
        assert!(found.as_ref().unwrap().value == one.value);
    }
    scene.end();
}

#[test]
fn set_many_on_locked_vault_uses_unlock_reference_or_fails() {
    let scene = scene();
    super::write(&scene.path().join("password"), "hunter2");
    let locked = [("locked", "file:password")];
    let shut = register(&scene.host, registration(&scene, "shut", &locked, &[]));
    let error =
        scene.host.set_many(Some(&shut), &[write("x", "1")], &mut NonInteractive).unwrap_err();
    assert_eq!((error.code(), error.class()), ("E12.locked", ErrorClass::NeedsInput));
    let standing = [("password", "file:password")];
    let open = register(&scene.host, registration(&scene, "open", &locked, &standing));
    let results =
        scene.host.set_many(Some(&open), &[write("x", "1")], &mut NonInteractive).unwrap();
    assert_eq!(results.iter().map(told).collect::<Vec<_>>(), ["written"]);
    scene.end();
}

#[test]
fn set_many_with_too_few_results_is_misbehaviour() {
    for placement in PLACEMENTS {
        let scene = Scene::new();
        let odd = scene.vault("odd", &plugin("count-wrong"), placement);
        // First one secret alone, then the other two.
        let three = ["x", "y", "z"].map(|name| write(name, "1"));
        let results = scene.host.set_many(Some(&odd), &three, &mut NonInteractive).unwrap();
        assert!(results[0].is_ok());
        for result in &results[1..] {
            let story = story(result.as_ref().unwrap_err());
            assert!(story.starts_with("E12.misbehaved: "), "{story}");
            assert!(
                story.ends_with(
                    ": plugin `count-wrong` misbehaved in vault `odd`: 2 secrets were to be \
                     written and 1 answers came back"
                ),
                "{story}"
            );
        }
        let names = ["x", "y", "z"].map(secret);
        let error = scene.host.get_many(&odd, &names, &mut NonInteractive).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E12.misbehaved", ErrorClass::Fault));
        scene.end();
    }
}

#[test]
fn set_many_after_crash_reports_possibly_written_secrets() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("stops-writing"), Placement::Isolated);
    // The plugin exits at the twentieth secret: in the third call, after one and four.
    let all: Vec<_> = (0..200).map(|n| write(&n.to_string(), "1")).collect();
    let results = scene.host.set_many(Some(&odd), &all, &mut NonInteractive).unwrap();
    assert!(results[..5].iter().all(Result::is_ok));
    let prefix = "E11.died: vault `odd` failed during a batch write: ";
    let cause = ": plugin `stops-writing` failed in vault `odd`: the plugin's process ended \
                 during `set_many`: exit status 7";
    for (at, result) in results.iter().enumerate().skip(5) {
        let what = match at {
            ..21 => "this secret may be written or not",
            _ => "this secret was not written",
        };
        assert_eq!(told(result), format!("{prefix}{what}{cause}"), "secret {at}");
        assert!(matches!(result, Err(Error::Stopped { tried, .. }) if *tried == (at < 21)));
    }
    scene.end();
}

#[test]
fn set_many_unlocks_again_vault_that_locks_midway() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("locks-itself"), Placement::Isolated);
    let all: Vec<_> = (0..40).map(|n| write(&n.to_string(), "1")).collect();
    let mut asked = Asked(0);
    let results = scene.host.set_many(Some(&odd), &all, &mut asked).unwrap();
    assert_eq!(results.iter().map(told).filter(|told| told != "written").count(), 0);
    assert_eq!(asked.0, 4, "once for each ten");
    let results = scene.host.set_many(Some(&odd), &all, &mut NonInteractive).unwrap_err();
    assert_eq!(results.code(), "E12.locked");
    scene.end();
}

struct Asked(usize);

impl keystead::Prompter for Asked {
    fn answer_source(
        &mut self,
        _: &keystead::api::VaultName,
        _: &keystead::api::Prompt,
    ) -> Option<keystead::reference::Reference> {
        None
    }

    fn is_interactive(&self) -> bool {
        true
    }

    fn show(
        &mut self,
        _: &keystead_plugin_api::VaultName,
        _: &keystead_plugin_api::Challenge,
    ) -> Result<(), keystead::PromptError> {
        Ok(())
    }

    fn ask(
        &mut self,
        _: &keystead::api::VaultName,
        challenge: &keystead::api::Challenge,
    ) -> Result<Vec<keystead::api::Answer>, keystead::PromptError> {
        self.0 += 1;
        let answer = |prompt: &keystead::api::Prompt| {
            keystead::api::Answer::new(prompt.name.clone(), keystead::api::SecretText::new("yes"))
        };
        Ok(challenge.prompts.iter().map(answer).collect())
    }
}

#[test]
fn set_many_without_registered_vault_is_single_error() {
    let scene = scene();
    let nowhere = super::vault("nowhere");
    let error =
        scene.host.set_many(Some(&nowhere), &[write("x", "1")], &mut NonInteractive).unwrap_err();
    assert_eq!(error.code(), "E01.no-such-vault");
    let error = scene.host.set_many(None, &[write("x", "1")], &mut NonInteractive).unwrap_err();
    assert_eq!(error.code(), "E01.no-default-vault");
}

#[test]
fn set_many_and_get_many_complete_throttled_secrets() {
    for writes in [true, false] {
        let scene = Scene::new();
        let vault = scene.vault("v", &plugin("asks-to-wait"), Placement::Isolated);
        let names = ["b", "c", "slow", "d", "e"];
        let results: Vec<_> = match writes {
            true => {
                let all = names.map(|name| write(name, "1"));
                scene.host.set_many(Some(&vault), &all, &mut NonInteractive).unwrap()
            }
            false => {
                let found =
                    scene.host.get_many(&vault, &names.map(secret), &mut NonInteractive).unwrap();
                found.into_iter().map(|found| found.map(drop)).collect()
            }
        };
        assert_eq!(results.iter().map(told).collect::<Vec<_>>(), ["written"; 5]);
        scene.end();
    }
}
