//! An in-process plugin: the faults that the boundary contains, and those that it cannot. The
//! latter end a separate process of these tests.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use keystead::Placement;
use keystead::api::{Answer, Challenge, SecretName, SecretText, Value, VaultName};
use keystead::{NonInteractive, PromptError, Prompter, SearchScope};

use crate::plugin_files::plugin;
use crate::scene::{Scene, story};

const AMPLE: Duration = Duration::from_secs(20);

#[test]
fn panic_is_error_and_poisons_only_its_vault() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("panics"), Placement::InProcess);
    let twin = scene.register("twin", "panics", Placement::InProcess);
    let other = scene.vault("other", &plugin("in-order"), Placement::InProcess);
    let told = |answer: keystead::Result<_>| story(&answer.map(drop).unwrap_err());
    let prefix = "E12.misbehaved: plugin `panics` misbehaved in vault `odd`: ";
    assert_eq!(
        told(scene.get(&odd, "a")),
        format!("{prefix}the plugin panicked in `get` at panics/src/lib.rs:7")
    );
    assert_eq!(
        told(scene.get(&odd, "a")),
        format!("{prefix}the plugin panicked earlier in this vault")
    );
    assert_eq!(scene.list(&twin, None).unwrap(), 1);
    assert_eq!(scene.get(&other, "a").unwrap().secret.value, Value::text("sound"));
    // The host opens the vault again, and the vault works as at first.
    scene.host.reload();
    assert_eq!(scene.list(&odd, None).unwrap(), 1);
    assert_eq!(scene.runners(), 0);
}

#[test]
fn panic_in_open_makes_faulty_vault() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("panics-on-open"), Placement::InProcess);
    for _ in 0..2 {
        assert_eq!(
            story(&scene.get(&odd, "a").unwrap_err()),
            "E10.open: vault `odd` cannot be opened: plugin `panics-on-open` refused to open it: \
             the plugin panicked in `open` at panics-on-open/src/lib.rs:4"
        );
    }
}

#[test]
fn host_panic_hook_is_unchanged_by_plugin() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("panics"), Placement::InProcess);
    scene.get(&odd, "a").unwrap_err();
    // A plugin silences its own panics only: its copy of the standard library has its own hook.
    let told = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let inner = std::sync::Arc::clone(&told);
    let before = std::panic::take_hook();
    let this = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == this {
            *inner.lock().unwrap() = info.to_string();
        } else {
            before(info);
        }
    }));
    let _ = std::panic::catch_unwind(|| panic!("the host's own"));
    assert!(told.lock().unwrap().contains("the host's own"));
}

#[test]
fn invalid_replies_are_misbehaviour() {
    for (name, what) in [
        ("value-long", "the value has 16777217 bytes in its encoded form; the most is 16777216"),
        ("page-over", "`entries` has more than 1000 items"),
        ("cursor-still", "the page's cursor does not advance"),
        ("cursor-cycles", "the cursor of a listing stands still"),
    ] {
        let scene = Scene::new();
        let odd = scene.vault("odd", &plugin(name), Placement::InProcess);
        let answer = match name {
            "value-long" => scene.get(&odd, "a").map(drop),
            _ => scene.list(&odd, None).map(drop),
        };
        assert_eq!(
            story(&answer.unwrap_err()),
            format!("E12.misbehaved: plugin `{name}` misbehaved in vault `odd`: {what}")
        );
    }
}

#[test]
fn hanging_call_blocks_only_its_vault() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("hangs"), Placement::InProcess);
    let other = scene.vault("other", &plugin("in-order"), Placement::InProcess);
    let (host, name) = (scene.host.clone(), SecretName::parse("a").unwrap());
    let (sender, answered) = std::sync::mpsc::channel();
    // Only the end of the process can stop this call: in-process, a deadline is advice.
    std::thread::spawn(move || {
        let _ = host.get(&name, &SearchScope::Vault(odd), &mut NonInteractive);
        let _ = sender.send(());
    });
    assert!(answered.recv_timeout(Duration::from_millis(300)).is_err(), "it does not hang");
    assert_eq!(scene.get(&other, "a").unwrap().secret.value, Value::text("sound"));
}

/// Replies to every prompt, and counts the challenges.
struct Patient(usize);

impl Prompter for Patient {
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
        self.0 += 1;
        let answers = challenge
            .prompts
            .iter()
            .map(|prompt| Answer::new(prompt.name.clone(), SecretText::new("1234")));
        Ok(answers.collect())
    }
}

#[test]
fn endless_unlock_challenges_are_misbehaviour() {
    for placement in [Placement::InProcess, Placement::Isolated] {
        let scene = Scene::new();
        let odd = scene.vault("odd", &plugin("locked-for-ever"), placement);
        let mut ask = Patient(0);
        let name = SecretName::parse("a").unwrap();
        let error = scene.host.get(&name, &SearchScope::Vault(odd.clone()), &mut ask).unwrap_err();
        assert_eq!(
            story(&error),
            "E12.misbehaved: plugin `locked-for-ever` misbehaved in vault `odd`: the vault asks \
             for more and more to be unlocked"
        );
        assert_eq!(ask.0, 8);
        let nobody =
            scene.host.get(&name, &SearchScope::Vault(odd), &mut NonInteractive).unwrap_err();
        assert_eq!(nobody.code(), "E12.locked");
    }
}

#[test]
fn plugin_thread_outliving_vault_can_still_log() {
    let scene = Scene::new();
    let odd = scene.vault("odd", &plugin("thread-stays"), Placement::InProcess);
    scene.get(&odd, "a").unwrap();
    scene.host.reload();
    // The vault is closed. Its context lives as long as the thread uses the context, and its code
    // is never unmapped.
    let before = scene.log.all().len();
    std::thread::sleep(Duration::from_millis(200));
    assert!(scene.log.all().len() > before);
}

/// If this variable is set, this process is the one that the plugin ends.
const INSIDE: &str = "KEYSTEAD_TEST_INSIDE";

/// Makes one call in a separate process and returns the exit status of that process.
fn ended_by(test: &str, scene: &Scene) -> ExitStatus {
    let mut inside = Command::new(std::env::current_exe().unwrap());
    inside.args(["--exact", &format!("boundary::in_process::{test}"), "--nocapture"]);
    inside.env(INSIDE, scene.path());
    let output = inside.output().unwrap();
    output.status
}

fn be_ended(root: &Path) -> ! {
    let (host, _) = Scene::host_in(root, AMPLE);
    let name = SecretName::parse("a").unwrap();
    let odd = SearchScope::Vault(VaultName::parse("odd").unwrap());
    let error = host.get(&name, &odd, &mut NonInteractive).unwrap_err();
    panic!("the plugin did not end the process: {error}");
}

#[test]
fn in_process_plugin_that_ends_the_host_is_not_quarantined() {
    if let Some(root) = std::env::var_os(INSIDE) {
        be_ended(Path::new(&root));
    }
    let this = "in_process_plugin_that_ends_the_host_is_not_quarantined";
    for (name, code, signal) in [
        ("exits", Some(7), None),
        ("aborts", None, Some(6)),
        ("segfaults", None, Some(11)),
        ("overflows", None, Some(6)),
        ("constructor-exits", Some(7), None),
    ] {
        let scene = Scene::new();
        scene.vault("odd", &plugin(name), Placement::InProcess);
        // For a runner, three crashes would be enough.
        for _ in 0..4 {
            let status = ended_by(this, &scene);
            assert_eq!((status.code(), status.signal()), (code, signal), "{name}");
        }
        assert!(!scene.path().join("data/crashes").exists(), "{name}");
    }
}

/// Returns the signals that this process handles, as the kernel prints them.
fn handled_signals() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    line.unwrap().trim().to_owned()
}

#[test]
fn host_with_an_in_process_plugin_handles_no_further_signal() {
    if let Some(root) = std::env::var_os(INSIDE) {
        let (host, _) = Scene::host_in(Path::new(&root), AMPLE);
        let (name, odd) = (SecretName::parse("a").unwrap(), VaultName::parse("odd").unwrap());
        let before = handled_signals();
        host.get(&name, &SearchScope::Vault(odd), &mut NonInteractive).unwrap();
        assert_eq!(handled_signals(), before);
        return;
    }
    let scene = Scene::new();
    scene.vault("odd", &plugin("in-order"), Placement::InProcess);
    let ended = ended_by("host_with_an_in_process_plugin_handles_no_further_signal", &scene);
    assert!(ended.success(), "{ended}");
}
