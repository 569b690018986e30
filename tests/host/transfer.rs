//! Copies and moves between vaults: rejections of a plan, a run that loses nothing, and errors when
//! a vault fails midway.

use keystead::Placement;
use keystead::api::{
    Answer, Challenge, Map, Metadata, MetadataValue, SecretText, Value, VaultName,
};
use keystead::transfer::{
    Carried, Error, OnRejected, Outcome, Transfer, TransferAction, TransferConflict, TransferMode,
};
use keystead::{ErrorClass, Host, NonInteractive, PromptError, Prompter, SearchScope};

use super::{
    PLACEMENTS, filed, files, get_in, new_secret, register, registration, scene, secret, set,
    vault, write,
};
use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

pub(super) fn copy(pattern: &str, from: &VaultName, to: &VaultName) -> Transfer {
    Transfer::new(pattern, from.clone(), to.clone())
}

pub(super) fn moved(pattern: &str, from: &VaultName, to: &VaultName) -> Transfer {
    Transfer { source: TransferMode::Move, ..copy(pattern, from, to) }
}

pub(super) fn named(mut transfer: Transfer, name: &str) -> Transfer {
    transfer.rename = Some(secret(name));
    transfer
}

/// Runs a transfer, and returns each secret with its outcome.
pub(super) fn run(host: &Host, transfer: Transfer) -> keystead::Result<Vec<String>> {
    run_with(host, transfer, &mut NonInteractive)
}

fn run_with(
    host: &Host,
    transfer: Transfer,
    ask: &mut dyn Prompter,
) -> keystead::Result<Vec<String>> {
    let plan = host.plan_transfer(transfer, &mut NonInteractive)?;
    let mut done = Vec::new();
    host.transfer(&plan, ask, &mut |step| {
        let outcome = match &step.outcome {
            Outcome::Written => "written".to_owned(),
            Outcome::Replaced => "replaced".to_owned(),
            Outcome::Same => "same".to_owned(),
            Outcome::Skipped => "skipped".to_owned(),
            Outcome::Failed(error) => story(error),
        };
        done.push(format!("{}: {outcome}", step.planned.name));
    })?;
    Ok(done)
}

/// Returns the planned action for each secret.
pub(super) fn planned(host: &Host, transfer: Transfer) -> Vec<String> {
    let plan = host.plan_transfer(transfer, &mut NonInteractive).unwrap();
    let line = |one: &keystead::transfer::Planned| {
        let action = match &one.action {
            TransferAction::Write => "write".to_owned(),
            TransferAction::Replace => "replace".to_owned(),
            TransferAction::Same => "same".to_owned(),
            TransferAction::Refused(reasons) => {
                reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
        };
        format!("{}: {action}", one.target)
    };
    plan.planned().iter().map(line).collect()
}

fn put(host: &Host, vault: &VaultName, name: &str, value: Value, metadata: Option<Metadata>) {
    let mut new = new_secret(Some(vault), name, "");
    (new.value, new.metadata) = (value, metadata);
    host.set(new, &mut NonInteractive).unwrap();
}

fn metadata(text: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("text", MetadataValue::Text(text.into())).unwrap();
    metadata.insert("n", MetadataValue::Integer(-3)).unwrap();
    metadata.insert("yes", MetadataValue::Boolean(true)).unwrap();
    metadata.insert("expires", MetadataValue::Timestamp(86_400_000)).unwrap();
    metadata
}

fn map() -> Value {
    let mut inner = Map::new();
    inner.insert("user", Value::credential("bob", "canary"));
    let mut map = Map::new();
    map.insert("inner", Value::Map(inner));
    map.insert("empty", Value::text(""));
    Value::Map(map)
}

/// Returns the names of a vault's secrets.
pub(super) fn names(host: &Host, vault: &VaultName) -> Vec<String> {
    let listing = host.list(None, Some(vault), &mut NonInteractive).unwrap();
    listing.entries.into_iter().map(|one| one.entry.name.to_string()).collect()
}

#[test]
fn copy_and_move_keep_every_value_kind_and_metadata() {
    for placement in PLACEMENTS {
        let scene = scene();
        let host = &scene.host;
        let [a, b] = ["a", "b"].map(|name| filed(&scene, name, placement));
        let given = || {
            [
                ("all/*", Value::text("canary")),
                ("all/?", Value::text("")),
                ("all/[a-z]", Value::bytes(vec![0, 0xff, b'\n'])),
                ("all/grün 鍵", Value::credential("bob", "canary")),
                ("all/map", map()),
                ("all/none", Value::bytes(Vec::new())),
            ]
        };
        for (name, value) in given() {
            put(host, &a, name, value, Some(metadata(name)));
        }
        set(host, &a, "other", "stays");
        let written: Vec<String> =
            given().iter().map(|(name, _)| format!("{name}: written")).collect();
        let same: Vec<String> = given().iter().map(|(name, _)| format!("{name}: same")).collect();
        let is_there = |vault: &VaultName| {
            for (name, value) in given() {
                let place = SearchScope::Vault(vault.clone());
                let found = host.get(&secret(name), &place, &mut NonInteractive).unwrap();
                assert_eq!(found.secret.value, value, "{name}");
                assert_eq!(found.secret.metadata, metadata(name), "{name}");
            }
        };

        assert_eq!(run(host, copy("all?*", &a, &b)).unwrap(), written);
        is_there(&a);
        is_there(&b);
        assert_eq!(run(host, copy("all?*", &a, &b)).unwrap(), same);
        // The move removes secrets from the source that a killed move left on both sides.
        assert_eq!(run(host, moved("all?*", &a, &b)).unwrap(), same);
        assert_eq!(names(host, &a), ["other"]);
        is_there(&b);
        assert_eq!(run(host, moved("all?*", &b, &a)).unwrap(), written);
        is_there(&a);
        assert_eq!(names(host, &b), [""; 0]);
        scene.end();
    }
}

#[test]
fn transfer_prefers_exact_name_over_pattern() {
    let scene = scene();
    let host = &scene.host;
    let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::InProcess));
    for name in ["x", "x*", "xy"] {
        set(host, &a, name, name);
    }
    assert_eq!(run(host, copy("x*", &a, &b)).unwrap(), ["x*: written"]);
    assert_eq!(names(host, &b), ["x*"]);
    assert_eq!(run(host, copy("?y", &a, &b)).unwrap(), ["xy: written"]);
    assert_eq!(run(host, copy("x", &a, &b)).unwrap(), ["x: written"]);
    scene.end();
}

#[test]
fn transfer_renames_secret_and_rejects_transfer_onto_itself() {
    let scene = scene();
    let host = &scene.host;
    let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::InProcess));
    for name in ["one", "two"] {
        put(host, &a, name, Value::text(name), Some(metadata(name)));
    }
    assert_eq!(run(host, named(copy("one", &a, &b), "uno")).unwrap(), ["one: written"]);
    assert_eq!(get_in(host, &b, "uno").unwrap(), "b: one");
    assert_eq!(run(host, named(moved("one", &a, &a), "uno")).unwrap(), ["one: written"]);
    assert_eq!(names(host, &a), ["two", "uno"]);
    // A pattern that matches one secret counts as its name.
    assert_eq!(run(host, named(moved("un?", &a, &a), "one")).unwrap(), ["uno: written"]);

    let before = files(scene.path());
    for (transfer, expected) in [
        (
            named(copy("*", &a, &b), "x"),
            "E12.several: `*` matches 2 secrets, which cannot all have one new name",
        ),
        (
            moved("one", &a, &a),
            "E12.onto-itself: `one` in vault `a` is both source and destination",
        ),
        (
            named(moved("one", &a, &a), "one"),
            "E12.onto-itself: `one` in vault `a` is both source and destination",
        ),
        (copy("*", &a, &a), "E12.onto-itself: `*` in vault `a` is both source and destination"),
        (copy("x*", &a, &b), "E12.no-match: no secret in vault `a` matches `x*`"),
        (copy("", &a, &b), "E12.no-match: no secret in vault `a` matches ``"),
        (copy("x", &a, &b), "E12.no-such-secret: no secret `x` in vault `a`"),
    ] {
        assert_eq!(story(&run(host, transfer).unwrap_err()), expected);
    }
    assert_eq!(files(scene.path()), before);

    let folds = scene.vault("folds", &plugin("folds-names"), Placement::InProcess);
    set(host, &folds, "Token", "canary");
    let error = run(host, named(moved("token", &folds, &folds), "TOKEN")).unwrap_err();
    assert_eq!(error.code(), "E12.onto-itself");
    assert_eq!(get_in(host, &folds, "token").unwrap(), "folds: canary");
    scene.end();
}

#[test]
fn transfer_conflict_is_rejected_replaced_or_skipped() {
    let scene = scene();
    let host = &scene.host;
    let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::InProcess));
    for name in ["new", "other", "same", "told"] {
        set(host, &a, name, "of a");
    }
    set(host, &b, "other", "of b");
    set(host, &b, "same", "of a");
    put(host, &b, "told", Value::text("of a"), Some(metadata("x")));
    let expected = [
        "new: write",
        "other: a different secret `other` exists",
        "same: same",
        "told: a different secret `told` exists",
    ];
    assert_eq!(planned(host, copy("*", &a, &b)), expected);

    let before = files(scene.path());
    let error = run(host, moved("*", &a, &b)).unwrap_err();
    assert_eq!((error.code(), error.class()), ("E12.transfer-refused", ErrorClass::CannotDo));
    assert_eq!(error.to_string(), "nothing was written: vault `b` cannot have 2 of 4 secrets");
    assert_eq!(files(scene.path()), before);

    let skip = Transfer { if_refused: OnRejected::Skip, ..moved("*", &a, &b) };
    assert_eq!(
        run(host, skip).unwrap(),
        ["new: written", "other: skipped", "same: same", "told: skipped"]
    );
    assert_eq!(names(host, &a), ["other", "told"]);
    assert_eq!(get_in(host, &b, "other").unwrap(), "b: of b");

    let replace = Transfer { if_there: TransferConflict::Replace, ..moved("*", &a, &b) };
    assert_eq!(run(host, replace).unwrap(), ["other: replaced", "told: replaced"]);
    assert_eq!(names(host, &a), [""; 0]);
    assert_eq!(get_in(host, &b, "other").unwrap(), "b: of a");
    // The replacement removed the old metadata too.
    let told = host
        .describe(&secret("told"), &SearchScope::Vault(b.clone()), &mut NonInteractive)
        .unwrap();
    assert_eq!(told.entry.metadata, Metadata::new());
    scene.end();
}

#[test]
fn transfer_plan_reports_all_rejections_before_writing() {
    let scene = scene();
    let host = &scene.host;
    let a = filed(&scene, "a", Placement::InProcess);
    put(host, &a, "credential", Value::credential("bob", "canary"), None);
    put(host, &a, "map", map(), Some(metadata("x")));
    put(host, &a, "plain", Value::text("canary"), None);
    put(host, &a, "told", Value::text("canary"), Some(metadata("x")));
    put(host, &a, "#hash", Value::text("canary"), None);
    let before = files(scene.path());

    // This vault holds text and bytes, has no metadata, and stores nothing.
    let little = scene.vault("little", &plugin("in-order"), Placement::Isolated);
    assert_eq!(
        planned(host, copy("*", &a, &little)),
        [
            "#hash: write",
            "credential: this vault cannot hold a value of kind credential",
            "map: this vault cannot hold a value of kind map; it has metadata, and this vault \
             keeps none",
            "plain: write",
            "told: it has metadata, and this vault keeps none",
        ]
    );
    let without = Transfer { carried: Carried::ValueOnly, ..copy("told", &a, &little) };
    assert_eq!(planned(host, without), ["told: write"]);

    let picky = scene.vault("picky", &plugin("holds-back"), Placement::Isolated);
    assert_eq!(
        planned(host, copy("*", &a, &picky))[0],
        "#hash: vault `picky` answered: a name cannot start with `#` here"
    );
    assert_eq!(run(host, moved("*", &a, &picky)).unwrap_err().code(), "E12.transfer-refused");
    assert_eq!(names(host, &picky), [""; 0]);

    let fixed = scene.vault("fixed", &plugin("two-steps"), Placement::Isolated);
    for transfer in [copy("plain", &a, &fixed), moved("x", &fixed, &a)] {
        let error = host.plan_transfer(transfer, &mut NonInteractive).unwrap_err();
        assert_eq!(
            story(&error),
            "E12.unsupported: vault `fixed` answered: this vault cannot be written to"
        );
    }
    let old: Vec<_> = before.iter().filter(|(path, _)| path.ends_with("a")).collect();
    let now = files(scene.path());
    assert!(!old.is_empty() && old.iter().all(|(path, hash)| now.get(*path) == Some(hash)));
    scene.end();
}

#[test]
fn value_only_transfer_omits_source_metadata() {
    let scene = scene();
    let host = &scene.host;
    let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::InProcess));
    put(host, &a, "x", Value::text("canary"), Some(metadata("of a")));
    let value_only = |transfer| Transfer {
        carried: Carried::ValueOnly,
        if_there: TransferConflict::Replace,
        ..transfer
    };
    assert_eq!(run(host, value_only(copy("x", &a, &b))).unwrap(), ["x: written"]);
    let told = || {
        let place = SearchScope::Vault(b.clone());
        host.describe(&secret("x"), &place, &mut NonInteractive).unwrap().entry.metadata
    };
    assert_eq!(told(), Metadata::new());
    put(host, &b, "x", Value::text("other"), Some(metadata("of b")));
    assert_eq!(run(host, value_only(copy("x", &a, &b))).unwrap(), ["x: replaced"]);
    assert_eq!((told(), get_in(host, &b, "x").unwrap()), (metadata("of b"), "b: canary".into()));
    assert_eq!(run(host, value_only(moved("x", &a, &b))).unwrap(), ["x: same"]);
    scene.end();
}

#[test]
fn transfer_of_names_equal_in_destination_is_rejected() {
    let scene = scene();
    let host = &scene.host;
    let a = filed(&scene, "a", Placement::InProcess);
    let folds = scene.vault("folds", &plugin("folds-names"), Placement::Isolated);
    for name in ["TOKEN", "other", "token", "Ünder", "ünder"] {
        set(host, &a, name, name);
    }
    assert_eq!(
        planned(host, moved("*", &a, &folds)),
        [
            "TOKEN: it would be the same secret there as `token`",
            "other: write",
            "token: it would be the same secret there as `TOKEN`",
            "Ünder: it would be the same secret there as `ünder`",
            "ünder: it would be the same secret there as `Ünder`",
        ]
    );
    assert_eq!(run(host, moved("*", &a, &folds)).unwrap_err().code(), "E12.transfer-refused");
    assert_eq!(run(host, moved("TOKEN", &a, &folds)).unwrap(), ["TOKEN: written"]);
    // By the target's name rule the secret exists, in whatever spelling.
    assert_eq!(
        planned(host, moved("token", &a, &folds)),
        ["token: a different secret `token` exists"]
    );
    assert_eq!(names(host, &a), ["other", "token", "Ünder", "ünder"]);
    scene.end();
}

#[test]
fn move_to_vault_that_alters_value_keeps_source() {
    for (plugin_name, placement) in [
        ("keeps-another", Placement::Isolated),
        ("keeps-another", Placement::InProcess),
        // This plugin stores nothing, and reports success.
        ("in-order", Placement::Isolated),
    ] {
        let scene = scene();
        let host = &scene.host;
        let a = filed(&scene, "a", placement);
        let lies = scene.vault("lies", &plugin(plugin_name), placement);
        set(host, &a, "b", "canary");
        set(host, &a, "c", "canary");
        let why = |name: &str| {
            format!(
                "{name}: E12.not-kept: vault `lies` did not return `{name}` as written; the \
                 source still has it"
            )
        };
        assert_eq!(run(host, moved("*", &a, &lies)).unwrap(), [why("b"), why("c")]);
        assert_eq!(get_in(host, &a, "b").unwrap(), "a: canary");
        assert_eq!(get_in(host, &a, "c").unwrap(), "a: canary");
        scene.end();
    }
}

#[test]
fn move_with_failed_write_keeps_only_that_secret_in_source() {
    let scene = scene();
    let host = &scene.host;
    let a = filed(&scene, "a", Placement::Isolated);
    let full = scene.vault("full", &plugin("fails-third"), Placement::Isolated);
    for name in ["1", "2", "3", "4"] {
        set(host, &a, name, name);
    }
    assert_eq!(
        run(host, moved("*", &a, &full)).unwrap(),
        [
            "1: written",
            "2: written",
            "3: E12.unavailable: vault `full` answered: the disk is full",
            "4: written",
        ]
    );
    assert_eq!((names(host, &a), names(host, &full).len()), (vec!["3".to_owned()], 3));
    assert_eq!(run(host, moved("*", &a, &full)).unwrap(), ["3: written"]);
    assert_eq!(get_in(host, &full, "3").unwrap(), "full: 3");
    scene.end();
}

#[test]
fn unreadable_source_secret_is_not_transferred() {
    let scene = scene();
    let host = &scene.host;
    let torn = scene.vault("torn", &plugin("holds-back"), Placement::Isolated);
    let b = filed(&scene, "b", Placement::Isolated);
    for name in ["bad", "good"] {
        set(host, &torn, name, "canary");
    }
    let why = "vault `torn` answered: the record of `bad` is torn";
    assert_eq!(planned(host, moved("*", &torn, &b)), [format!("bad: {why}"), "good: write".into()]);
    assert_eq!(
        story(&run(host, moved("bad", &torn, &b)).unwrap_err()),
        format!("E12.damaged: {why}")
    );
    let skip = Transfer { if_refused: OnRejected::Skip, ..moved("*", &torn, &b) };
    assert_eq!(run(host, skip).unwrap(), ["bad: skipped", "good: written"]);
    assert_eq!(names(host, &torn), ["bad"]);
    assert_eq!(names(host, &b), ["good"]);
    scene.end();
}

/// A prompter that calls a function at the password prompt, in the middle of a run.
struct Meanwhile<'a>(&'a mut dyn FnMut());

impl Prompter for Meanwhile<'_> {
    fn answer_source(
        &mut self,
        _: &VaultName,
        _: &keystead::api::Prompt,
    ) -> Option<keystead::reference::Reference> {
        None
    }

    fn is_interactive(&self) -> bool {
        true
    }

    fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), PromptError> {
        Ok(())
    }

    fn ask(&mut self, _: &VaultName, challenge: &Challenge) -> Result<Vec<Answer>, PromptError> {
        (self.0)();
        let name = challenge.prompts[0].name.clone();
        Ok(vec![Answer::new(name, SecretText::new("canary-password"))])
    }
}

/// Registers the vault `locked` with this file.
fn locked(scene: &Scene, file: &str) -> VaultName {
    write(&scene.path().join("password"), "canary-password");
    let from = format!("file:{}", scene.path().join("password").display());
    let new = registration(scene, "locked", &[("locked", from.as_str()), ("file", file)], &[]);
    register(&scene.host, new)
}

/// Moves `x` from `a` to a vault that is locked again after the plan. Calls `meanwhile` at its
/// password prompt: after `x` was read, before `x` is written.
fn while_moved(scene: &Scene, meanwhile: &mut dyn FnMut(&VaultName)) -> Vec<String> {
    let host = &scene.host;
    let locked = locked(scene, "b");
    let a = vault("a");
    let plan = host.plan_transfer(moved("x", &a, &locked), &mut Meanwhile(&mut || ())).unwrap();
    host.reload();
    let (mut done, mut asked) = (Vec::new(), 0);
    let mut ask = || {
        asked += 1;
        meanwhile(&locked);
    };
    let ended = host.transfer(&plan, &mut Meanwhile(&mut ask), &mut |step| {
        done.push(match &step.outcome {
            Outcome::Failed(error) => story(error),
            outcome => format!("{outcome:?}"),
        });
    });
    done.extend(ended.err().map(|error| story(&error)));
    assert_eq!(asked, 1);
    done
}

#[test]
fn secret_changed_after_plan_is_moved_with_new_value() {
    let scene = scene();
    let host = &scene.host;
    let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::Isolated));
    set(host, &a, "x", "old");
    let done = while_moved(&scene, &mut |_| set(host, &a, "x", "new"));
    assert_eq!(done, ["Written"]);
    assert!(get_in(host, &a, "x").is_err());
    assert_eq!(get_in(host, &b, "x").unwrap(), "b: new");
    assert_eq!((names(host, &a).len(), get_in(host, &b, "x").unwrap()), (0, "b: new".into()));
    scene.end();
}

#[test]
fn secret_created_after_plan_is_not_replaced() {
    for (meanwhile, expected) in
        [("other", "E12.secret-exists: secret `x` exists in vault `locked`"), ("old", "Same")]
    {
        let scene = scene();
        let host = &scene.host;
        let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::Isolated));
        set(host, &a, "x", "old");
        let done = while_moved(&scene, &mut |_| set(host, &b, "x", meanwhile));
        assert_eq!(done, [expected]);
        assert_eq!(get_in(host, &b, "x").unwrap(), format!("b: {meanwhile}"));
        assert_eq!(names(host, &a).is_empty(), expected == "Same");
        scene.end();
    }
}

/// A prompter that cancels every prompt, and counts.
struct BreaksOff(usize);

impl Prompter for BreaksOff {
    fn answer_source(
        &mut self,
        _: &VaultName,
        _: &keystead::api::Prompt,
    ) -> Option<keystead::reference::Reference> {
        None
    }

    fn is_interactive(&self) -> bool {
        true
    }

    fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), PromptError> {
        Ok(())
    }

    fn ask(&mut self, _: &VaultName, _: &Challenge) -> Result<Vec<Answer>, PromptError> {
        self.0 += 1;
        Err(PromptError::Interrupted)
    }
}

#[test]
fn transfer_to_relocked_vault_prompts_once() {
    let scene = scene();
    let host = &scene.host;
    let a = filed(&scene, "a", Placement::InProcess);
    for name in ["x", "y", "z"] {
        set(host, &a, name, "canary");
    }
    let locked = locked(&scene, "b");
    let plan = host.plan_transfer(moved("*", &a, &locked), &mut Meanwhile(&mut || ())).unwrap();
    host.reload();
    let mut ask = BreaksOff(0);
    let error = host.transfer(&plan, &mut ask, &mut |_| panic!("nothing is done")).unwrap_err();
    assert_eq!((error.code(), ask.0), ("E12.locked", 1));
    assert_eq!(names(host, &a).len(), 3);
    scene.end();
}

#[test]
fn move_between_registrations_of_same_file_loses_nothing() {
    let scene = scene();
    let host = &scene.host;
    let a = filed(&scene, "a", Placement::Isolated);
    let twin = register(host, registration(&scene, "twin", &[("file", "a")], &[]));
    let error = run(host, moved("*", &a, &twin)).unwrap_err();
    assert_eq!(error.code(), "E12.one-place");
    // With another spelling of the path, the host notices when the secret disappears.
    std::fs::create_dir_all(scene.path().join("here/sub")).unwrap();
    let alias = register(host, registration(&scene, "alias", &[("file", "sub/../a")], &[]));
    for name in ["x", "y"] {
        put(host, &a, name, Value::text("canary"), Some(metadata(name)));
    }
    assert_eq!(run(host, copy("*", &a, &alias)).unwrap(), ["x: same", "y: same"]);
    for carried in [Carried::All, Carried::ValueOnly] {
        let error = run(host, Transfer { carried, ..moved("*", &a, &alias) }).unwrap_err();
        assert!(
            matches!(&error, keystead::Error::Transfer(Error::Vanished { name, .. })
                if name.as_str() == "x"),
            "{error:?}"
        );
        for name in ["x", "y"] {
            let scope = SearchScope::Vault(a.clone());
            let found = host.get(&secret(name), &scope, &mut NonInteractive).unwrap();
            assert_eq!(found.secret.value, Value::text("canary"));
            assert_eq!(found.secret.metadata, metadata(name));
        }
    }
    scene.end();
}
