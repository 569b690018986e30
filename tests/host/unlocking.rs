//! Locked vaults: sources of answers to their prompts, and the end of reference cycles.

use std::thread;
use std::time::Duration;

use keystead::Placement;
use keystead::api::{Answer, Challenge, Prompt, SecretText, VaultName};
use keystead::reference::Reference;
use keystead::{
    Error, ErrorClass, Host, NewRegistration, NonInteractive, PromptError, Prompter, SearchScope,
};

use super::{
    filed, get, get_in, register, registration, scene, secret, set, vault, write,
    write_registration,
};
use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

pub(super) const PASSWORD: &str = "canary-password";

/// Registers a vault that is locked with the password, and returns it.
fn locked(scene: &Scene, name: &str, unlock: &[(&str, &str)]) -> VaultName {
    locked_as(scene, name, unlock, |_| {})
}

/// Registers a locked vault after `change` has changed the registration.
pub(super) fn locked_as(
    scene: &Scene,
    name: &str,
    unlock: &[(&str, &str)],
    change: impl FnOnce(&mut NewRegistration),
) -> VaultName {
    write(&scene.path().join("password"), &format!("{PASSWORD}\n"));
    let from = format!("file:{}", scene.path().join("password").display());
    let parameters = [("locked", from.as_str()), ("file", name)];
    let mut new = registration(scene, name, &parameters, unlock);
    new.placement = Some(Placement::InProcess);
    change(&mut new);
    register(&scene.host, new)
}

/// Registers vaults as a user with an editor does, each locked and with this unlock reference.
fn locked_by_hand(scene: &Scene, vaults: &[(&str, &str)]) {
    write(&scene.path().join("password"), PASSWORD);
    let from = scene.path().join("password");
    for (name, answer) in vaults {
        let text = format!(
            "plugin = \"memory\"\nplacement = \"in-process\"\n\
             [parameters]\nlocked = {{ from = \"file:{}\" }}\n\
             [unlock]\npassword = \"{answer}\"\n",
            from.display()
        );
        write_registration(scene, name, &text);
    }
}

/// A prompter that gives these answers in turn, and records prompts and messages.
#[derive(Default)]
pub(super) struct Script {
    /// References for this call, by prompt.
    pub(super) given: Vec<(&'static str, String)>,
    answers: Vec<Result<Vec<Answer>, PromptError>>,
    asked: Vec<String>,
    wrong: Vec<String>,
}

impl Script {
    pub(super) fn typing(passwords: &[&str]) -> Self {
        let answer = |text: &&str| Ok(vec![Answer::new("password", SecretText::new(*text))]);
        Self { answers: passwords.iter().rev().map(answer).collect(), ..Self::default() }
    }
}

impl Prompter for Script {
    fn is_interactive(&self) -> bool {
        true
    }

    fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), PromptError> {
        Ok(())
    }

    fn answer_source(&mut self, _: &VaultName, prompt: &Prompt) -> Option<Reference> {
        let (_, reference) = self.given.iter().find(|(name, _)| *name == prompt.name)?;
        Some(Reference::parse(reference).unwrap())
    }

    fn ask(
        &mut self,
        vault: &VaultName,
        challenge: &Challenge,
    ) -> Result<Vec<Answer>, PromptError> {
        let labels: Vec<_> = challenge.prompts.iter().map(|prompt| prompt.label.as_str()).collect();
        self.asked.push(format!("{vault}: {}", labels.join(", ")));
        self.answers.pop().expect("it is asked no more often than it was meant to be")
    }

    fn on_wrong_answer(&mut self, vault: &VaultName, message: &str) {
        self.wrong.push(format!("{vault}: {message}"));
    }
}

pub(super) fn ask(host: &Host, vault: &VaultName, script: &mut Script) -> keystead::Result<()> {
    host.get(&secret("x"), &SearchScope::Vault(vault.clone()), script).map(drop)
}

#[test]
fn unlock_references_read_files_programs_and_vaults() {
    let scene = scene();
    let keys = filed(&scene, "keys", Placement::InProcess);
    set(&scene.host, &keys, "for/work", PASSWORD);
    let file = format!("file:{}", scene.path().join("password").display());
    for (name, reference) in [
        ("by-file", file.as_str()),
        ("by-command", &format!("command:[\"/bin/echo\", \"{PASSWORD}\"]")),
        ("by-vault", "keystead://keys/for/work"),
        ("by-search", "keystead:///for/work"),
    ] {
        let vault = locked(&scene, name, &[("password", reference)]);
        set(&scene.host, &vault, "x", "open");
        assert_eq!(get_in(&scene.host, &vault, "x").unwrap(), format!("{vault}: open"));
    }
    scene.end();
}

#[test]
fn wrong_unlock_reference_fails_without_prompt() {
    let scene = scene();
    write(&scene.path().join("wrong"), "canary-wrong");
    let file = format!("file:{}", scene.path().join("wrong").display());
    let vault = locked(&scene, "a", &[("password", &file)]);
    let mut script = Script::default();
    let error = ask(&scene.host, &vault, &mut script).unwrap_err();
    assert_eq!(story(&error), "E12.denied: vault `a` answered: the password is wrong");
    assert_eq!(error.class(), ErrorClass::CannotDo);
    assert!(script.asked.is_empty() && script.wrong.is_empty());
    assert!(!format!("{error:?}").contains("canary"));
    scene.end();
}

#[test]
fn prompt_allows_two_wrong_answers() {
    let scene = scene();
    let vault = locked(&scene, "a", &[]);
    let mut script = Script::typing(&["one", "two", PASSWORD]);
    let error = ask(&scene.host, &vault, &mut script).unwrap_err();
    assert_eq!(error.code(), "E12.no-such-secret");
    assert_eq!(script.asked, ["a: Password"; 3]);
    assert_eq!(script.wrong, ["a: the password is wrong"; 2]);
    // The vault stays unlocked.
    assert_eq!(get_in(&scene.host, &vault, "x").unwrap_err().code(), "E12.no-such-secret");

    scene.host.reload();
    let mut script = Script::typing(&["one", "two", "three"]);
    let error = ask(&scene.host, &vault, &mut script).unwrap_err();
    assert_eq!((error.code(), error.class()), ("E12.denied", ErrorClass::CannotDo));
    assert_eq!((script.asked.len(), script.wrong.len()), (3, 2));
    scene.end();
}

#[test]
fn locked_error_contains_challenge() {
    let scene = scene();
    let vault = locked(&scene, "a", &[]);
    let answers = [
        (Err(PromptError::NonInteractive), "vault `a` is locked", ErrorClass::NeedsInput),
        (
            Err(PromptError::Interrupted),
            "vault `a` is locked: unlocking was cancelled",
            ErrorClass::CannotDo,
        ),
        (
            Ok(Vec::new()),
            "vault `a` is locked, and the answer could not be read: not every prompt was answered",
            ErrorClass::CannotDo,
        ),
    ];
    for (answer, told, class) in answers {
        let mut script = Script { answers: vec![answer], ..Script::default() };
        let error = ask(&scene.host, &vault, &mut script).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E12.locked", class));
        assert_eq!(error.to_string(), told);
        let Error::Locked { challenge, .. } = error else { panic!("{error:?}") };
        assert_eq!(challenge.prompts.len(), 1);
        assert_eq!(
            (challenge.prompts[0].name.as_str(), challenge.prompts[0].secret),
            ("password", true)
        );
    }
    // The plugin's own test needs no password, but a locked vault fails the host's test.
    let error = scene.host.test(&vault, &mut NonInteractive).unwrap_err();
    assert_eq!((error.code(), error.class()), ("E12.locked", ErrorClass::NeedsInput));
    scene.host.test(&vault, &mut Script::typing(&[PASSWORD])).unwrap();
    scene.host.test(&vault, &mut NonInteractive).unwrap();
    scene.end();
}

#[test]
fn search_prompts_only_for_default_vault() {
    let scene = scene();
    let first = locked(&scene, "a", &[]);
    locked(&scene, "b", &[]);
    let mut script = Script::typing(&[PASSWORD]);
    let error = scene.host.get(&secret("x"), &SearchScope::anywhere(), &mut script).unwrap_err();
    assert_eq!(script.asked, [format!("{first}: Password")]);
    assert_eq!(
        story(&error),
        "E12.search-incomplete: vault `b` could not be asked for `x`: vault `b` is locked"
    );
    scene.host.reload();
    let mut script = Script::typing(&[PASSWORD]);
    let listing = scene.host.list(None, None, &mut script).unwrap();
    assert_eq!((script.asked.len(), listing.failed.len()), (1, 1));
    scene.end();
}

#[test]
fn only_wrong_unlock_step_is_repeated() {
    let scene = Scene::new();
    let vault = scene.vault("two", &plugin("two-steps"), Placement::Isolated);
    let answer = |name: &str, text: &str| Ok(vec![Answer::new(name, SecretText::new(text))]);
    let answers = vec![
        answer("code", "canary-two"),
        answer("code", "wrong"),
        answer("password", "canary-one"),
    ];
    let mut script = Script { answers, ..Script::default() };
    let place = SearchScope::Vault(vault.clone());
    scene.host.get(&secret("a"), &place, &mut script).unwrap();
    assert_eq!(script.asked, ["two: password", "two: code", "two: code"]);
    assert_eq!(script.wrong, ["two: that is wrong"]);
    scene.end();
}

/// Registers a vault that prompts for user and password, then for a code.
fn two_fields(scene: &Scene, unlock: &[(&str, &str)]) -> VaultName {
    scene.install(&plugin("user-and-code"));
    let mut new = registration(scene, "odd", &[], unlock);
    new.plugin = "user-and-code".into();
    register(&scene.host, new)
}

/// Writes a file with this text and returns the reference to it.
fn kept(scene: &Scene, name: &str, text: &str) -> String {
    write(&scene.path().join(name), text);
    format!("file:{}", scene.path().join(name).display())
}

/// Returns the answers of a user who fills in these fields at once.
fn typing(fields: &[(&str, &str)]) -> Result<Vec<Answer>, PromptError> {
    let answer = |(name, text): &(&str, &str)| Answer::new(*name, SecretText::new(*text));
    Ok(fields.iter().map(answer).collect())
}

#[test]
fn prompt_asks_only_fields_without_unlock_reference() {
    let scene = Scene::new();
    let password = kept(&scene, "password", "canary-password");
    let vault = two_fields(&scene, &[("password", &password)]);
    let answers = vec![typing(&[("code", "canary-code")]), typing(&[("user", "bob")])];
    let mut script = Script { answers, ..Script::default() };
    ask_for(&scene, &vault, &mut script).unwrap();
    assert_eq!(script.asked, ["odd: Your name", "odd: The code on your device"]);
    scene.end();
}

#[test]
fn call_answers_override_registered_unlock_references() {
    let scene = Scene::new();
    let wrong = kept(&scene, "wrong", "canary-wrong");
    let unlock = [("password", wrong.as_str()), ("user", &wrong), ("code", &wrong)];
    let vault = two_fields(&scene, &unlock);
    let given = vec![
        ("password", kept(&scene, "password", "canary-password")),
        ("user", kept(&scene, "user", "bob")),
        ("code", kept(&scene, "code", "canary-code")),
    ];
    let mut script = Script { given, ..Script::default() };
    ask_for(&scene, &vault, &mut script).unwrap();
    assert!(script.asked.is_empty());
    scene.end();
}

#[test]
fn wrong_answer_error_names_its_references() {
    let scene = Scene::new();
    let wrong = kept(&scene, "wrong", "canary-wrong");
    let vault = two_fields(&scene, &[("password", &wrong)]);
    let user = kept(&scene, "user", "bob");
    let mut script = Script { given: vec![("user", user.clone())], ..Script::default() };
    let error = ask_for(&scene, &vault, &mut script).unwrap_err();
    assert_eq!(story(&error), "E12.denied: vault `odd` answered: the password is wrong");
    assert_eq!(error.class(), ErrorClass::CannotDo);
    assert!(!format!("{error:?}").contains("canary"));
    let Error::WrongAnswer { from, .. } = error else { panic!("{error:?}") };
    let from: Vec<_> = from.iter().map(|(name, from)| (&**name, from.to_string())).collect();
    assert_eq!(from, [("user", user), ("password", wrong)]);
    assert!(script.asked.is_empty() && script.wrong.is_empty());
    scene.end();
}

#[test]
fn prompt_retry_reads_unlock_reference_once() {
    let scene = Scene::new();
    let count = scene.path().join("count");
    let command = format!(
        "command:[\"/bin/sh\",\"-c\",\"echo x >> {}; echo canary-password\"]",
        count.display()
    );
    let vault = two_fields(&scene, &[("password", &command)]);
    let user = |name| typing(&[("user", name)]);
    let code = |text| typing(&[("code", text)]);
    // A right step clears the wrong answers before it.
    let answers = ["canary-code", "no", "no"].map(code).into_iter();
    let answers = answers.chain(["bob", "eve", "ann"].map(user)).collect();
    let mut script = Script { answers, ..Script::default() };
    ask_for(&scene, &vault, &mut script).unwrap();
    assert_eq!(script.asked.len(), 6);
    assert_eq!(
        script.wrong,
        [
            "odd: the user is wrong",
            "odd: the user is wrong",
            "odd: the code is wrong",
            "odd: the code is wrong"
        ]
    );
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");

    scene.host.reload();
    let answers = ["eve", "eve", "eve"].map(user).into();
    let mut script = Script { answers, ..Script::default() };
    let error = ask_for(&scene, &vault, &mut script).unwrap_err();
    assert_eq!((error.code(), script.asked.len(), script.wrong.len()), ("E12.denied", 3, 2));
    let Error::WrongAnswer { from, .. } = error else { panic!("{error:?}") };
    assert_eq!(from.len(), 1);
    scene.end();
}

#[test]
fn non_interactive_locked_error_has_only_missing_prompts() {
    let scene = Scene::new();
    let password = kept(&scene, "password", "canary-password");
    let vault = two_fields(&scene, &[("password", &password)]);
    let missing = |script: &mut Script| match ask_for(&scene, &vault, script).unwrap_err() {
        Error::Locked { challenge, why: PromptError::NonInteractive, .. } => {
            challenge.prompts.into_iter().map(|prompt| prompt.name).collect::<Vec<_>>()
        }
        error => panic!("{error:?}"),
    };
    let nobody = || vec![Err(PromptError::NonInteractive)];
    let mut script = Script { answers: nobody(), ..Script::default() };
    assert_eq!(missing(&mut script), ["user"]);
    let given = vec![("user", kept(&scene, "user", "bob"))];
    let mut script = Script { given, answers: nobody(), ..Script::default() };
    assert_eq!(missing(&mut script), ["code"]);
    scene.end();
}

#[test]
fn unresolved_unlock_reference_fails_without_prompt() {
    let scene = Scene::new();
    let vault = two_fields(&scene, &[("password", "env:KEYSTEAD_TEST_NOT_SET")]);
    let mut script = Script::default();
    let error = ask_for(&scene, &vault, &mut script).unwrap_err();
    assert_eq!(
        story(&error),
        "E01.unresolved: `password` could not be taken from `env:KEYSTEAD_TEST_NOT_SET`: there \
         is no such environment variable"
    );
    scene.end();
}

fn ask_for(scene: &Scene, vault: &VaultName, script: &mut Script) -> keystead::Result<()> {
    scene.host.get(&secret("a"), &SearchScope::Vault(vault.clone()), script).map(drop)
}

#[test]
fn unlock_reference_to_locked_vault_is_input_error() {
    let scene = scene();
    locked(&scene, "keys", &[]);
    let vault = locked(&scene, "work", &[("password", "keystead://keys/for/work")]);
    let error = get_in(&scene.host, &vault, "x").unwrap_err();
    assert_eq!(
        story(&error),
        "E01.unresolved: `password` could not be taken from `keystead://keys/for/work`: vault \
         `keys` is locked"
    );
    assert_eq!(error.class(), ErrorClass::NeedsInput);

    locked_by_hand(&scene, &[("other", "keystead://gone/x")]);
    let error = get_in(&scene.host, &super::vault("other"), "x").unwrap_err();
    assert_eq!((error.code(), error.class()), ("E01.unresolved", ErrorClass::CannotDo));
    scene.end();
}

#[test]
fn vault_depending_on_itself_fails_without_deadlock() {
    within(|| {
        let scene = scene();
        // Directly, through a search, and through one other vault.
        locked_by_hand(
            &scene,
            &[
                ("alone", "keystead://alone/x"),
                ("first", "keystead:///x"),
                ("here", "keystead://there/x"),
                ("there", "keystead://here/x"),
            ],
        );
        let needs = "depends on itself";
        for name in ["alone", "first", "here", "there"] {
            let error = get_in(&scene.host, &vault(name), "x").unwrap_err();
            let told = story(&error);
            assert!(told.starts_with("E01.unresolved: `password` could not"), "{told}");
            assert!(told.ends_with(needs), "{told}");
            assert_eq!(error.class(), ErrorClass::CannotDo);
        }
        let error = get(&scene.host, "x", &SearchScope::anywhere()).unwrap_err();
        assert!(story(&error).ends_with(needs), "{}", story(&error));
        scene.end();
    });
}

#[test]
fn unlock_cycle_in_several_threads_fails_without_deadlock() {
    within(|| {
        let scene = scene();
        locked_by_hand(
            &scene,
            &[("a", "keystead://b/x"), ("b", "keystead://c/x"), ("c", "keystead://a/x")],
        );
        thread::scope(|scope| {
            for name in ["a", "b", "c", "a", "b", "c"] {
                let host = &scene.host;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let error = get_in(host, &vault(name), "x").unwrap_err();
                        assert_eq!(error.code(), "E01.unresolved", "{}", story(&error));
                        let listing = host.list(None, None, &mut NonInteractive).unwrap();
                        assert_eq!((listing.entries.len(), listing.failed.len()), (0, 3));
                    }
                });
            }
        });
        scene.end();
    });
}

#[test]
fn parameter_depending_on_own_vault_makes_faulty_vault() {
    within(|| {
        let scene = scene();
        let text = "plugin = \"memory\"\nplacement = \"in-process\"\n\
                    [parameters]\nlocked = { from = \"keystead:///x\" }\n";
        write_registration(&scene, "a", text);
        let error = get_in(&scene.host, &vault("a"), "x").unwrap_err();
        assert_eq!(
            story(&error),
            "E01.unresolved: vault `a` cannot be opened: `locked` could not be taken from \
             `keystead:///x`: vault `a` depends on itself"
        );
        assert_eq!(error.class(), ErrorClass::CannotDo);
    });
}

#[test]
fn unlock_chain_over_four_vaults_is_rejected() {
    let scene = scene();
    let keys = filed(&scene, "v0", Placement::InProcess);
    set(&scene.host, &keys, "x", PASSWORD);
    for at in 1..=5 {
        let reference = format!("keystead://v{}/x", at - 1);
        locked(&scene, &format!("v{at}"), &[("password", &reference)]);
    }
    let error = get_in(&scene.host, &vault("v5"), "x").unwrap_err();
    let told = story(&error);
    assert!(
        told.starts_with("E01.unresolved: ")
            && told.ends_with("more than 4 vaults need each other"),
        "{told}"
    );
    // Each vault up to the fourth stores the password of the next one.
    for at in 1..=4 {
        set(&scene.host, &vault(&format!("v{at}")), "x", PASSWORD);
    }
    scene.host.reload();
    assert_eq!(get_in(&scene.host, &vault("v4"), "x").unwrap(), format!("v4: {PASSWORD}"));
    scene.end();
}

#[test]
fn prompter_can_query_other_vaults_but_not_locked_vault() {
    within(|| {
        struct Back<'h>(&'h Host, Vec<String>);
        impl Prompter for Back<'_> {
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

            fn ask(&mut self, own: &VaultName, _: &Challenge) -> Result<Vec<Answer>, PromptError> {
                self.1.push(story(&get_in(self.0, own, "x").unwrap_err()));
                let found = get_in(self.0, &vault("keys"), "x").unwrap();
                let value = SecretText::new(found.strip_prefix("keys: ").unwrap());
                Ok(vec![Answer::new("password", value)])
            }
        }
        let scene = scene();
        let keys = filed(&scene, "keys", Placement::InProcess);
        set(&scene.host, &keys, "x", PASSWORD);
        let own = locked(&scene, "own", &[]);
        let mut back = Back(&scene.host, Vec::new());
        let error =
            scene.host.get(&secret("x"), &SearchScope::Vault(own.clone()), &mut back).unwrap_err();
        assert_eq!(error.code(), "E12.no-such-secret");
        assert_eq!(back.1, ["E12.needs-itself: vault `own` depends on itself"]);
        scene.end();
    });
}

/// Runs a test that must not wait for ever.
fn within(test: impl FnOnce() + Send + 'static) {
    let running = thread::spawn(test);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !running.is_finished() {
        assert!(std::time::Instant::now() < until, "it waits for ever");
        thread::sleep(Duration::from_millis(5));
    }
    running.join().unwrap();
}
