//! Vaults that wait for a user's action, and vaults that request a delay from the host.

use keystead::Placement;
use keystead::api::{Answer, Challenge, Prompt, SecretText, VaultName};
use keystead::reference::Reference;
use keystead::{PromptError, Prompter, SearchScope};

use super::{PLACEMENTS, secret, write};
use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

/// A user who answers each prompt; records the order of the calls.
#[derive(Default)]
struct Person(Vec<String>);

impl Prompter for Person {
    fn answer_source(&mut self, _: &VaultName, _: &Prompt) -> Option<Reference> {
        None
    }

    fn ask(&mut self, _: &VaultName, challenge: &Challenge) -> Result<Vec<Answer>, PromptError> {
        self.0.push("ask".to_owned());
        let answer = |prompt: &Prompt| Answer::new(prompt.name.clone(), SecretText::new("1234"));
        Ok(challenge.prompts.iter().map(answer).collect())
    }

    fn show(&mut self, _: &VaultName, challenge: &Challenge) -> Result<(), PromptError> {
        self.0.push(format!("show with {} prompts", challenge.prompts.len()));
        Ok(())
    }

    fn is_interactive(&self) -> bool {
        true
    }
}

/// Registers a vault of the plugin `waits` that waits in this way.
fn on_wait(scene: &Scene, how: &str, placement: Placement) -> VaultName {
    let id = scene.install(&plugin("waits"));
    let file = scene.path().join("count");
    write(&file, "");
    let parameters = [("how", how.to_owned()), ("file", file.display().to_string())];
    scene.register_with("w", &id, placement, &parameters)
}

fn get(scene: &Scene, vault: &VaultName, person: &mut Person) -> Result<(), String> {
    let found = scene.host.get(&secret("a"), &SearchScope::Vault(vault.clone()), person);
    found.map(drop).map_err(|error| story(&error))
}

/// Returns the number of answers in each call of `unlock`.
fn unlocks(scene: &Scene) -> Vec<usize> {
    let count = |line: String| line.split_once("unlock with ")?.1.split(' ').next()?.parse().ok();
    scene.log.all().into_iter().filter_map(count).collect()
}

#[test]
fn poll_with_prompt_prompts_once_and_answers_at_once() {
    let scene = Scene::new();
    let vault = on_wait(&scene, "code", Placement::Isolated);
    let mut person = Person::default();
    get(&scene, &vault, &mut person).unwrap();
    let (with, without) = ("show with 1 prompts", "show with 0 prompts");
    assert_eq!(person.0, [with, "ask", without, without, without]);
    assert_eq!(unlocks(&scene), [1, 0, 0]);
    scene.end();
}

#[test]
fn poll_with_new_prompts_ends_after_eight_steps() {
    let scene = Scene::new();
    let vault = on_wait(&scene, "anew", Placement::Isolated);
    let mut person = Person::default();
    let error = get(&scene, &vault, &mut person).unwrap_err();
    assert!(error.contains("the vault asks for more and more"), "{error}");
    assert_eq!(person.0.iter().filter(|line| *line == "ask").count(), 8);
    assert_eq!(unlocks(&scene), [1; 8]);
    scene.end();
}

#[test]
fn poll_with_short_or_no_end_is_tried_once() {
    for how in ["short", "endless"] {
        let scene = Scene::new();
        let vault = on_wait(&scene, how, Placement::Isolated);
        let mut person = Person::default();
        get(&scene, &vault, &mut person).unwrap();
        assert_eq!((person.0.len(), unlocks(&scene)), (1, vec![0]), "{how}");
        scene.end();
    }
}

#[test]
fn throttled_open_and_unlock_are_retried() {
    for placement in PLACEMENTS {
        for (how, calls) in [("busy", vec![]), ("throttled", vec![1, 1, 1])] {
            let scene = Scene::new();
            let vault = on_wait(&scene, how, placement);
            let mut person = Person::default();
            get(&scene, &vault, &mut person).unwrap();
            let asked = usize::from(!calls.is_empty());
            assert_eq!((unlocks(&scene), person.0.len()), (calls, asked), "{how} {placement:?}");
            scene.end();
        }
    }
}
