//! Vaults that stay unlocked for a limited time: one prompt, then none, then a prompt again. A
//! session unlocks only the vault it was made for.

use std::time::{Duration, Instant};

use rexpect::session::PtySession;
use rustix::process::{Pid, Signal, kill_process};
use snapbox::{assert_data_eq, str};

use super::prompt::{at_terminal, end};
use super::sandbox::{CANARY, Sandbox, plugin};

/// Time limit for steps that normally take no time: a machine with other builds is slow.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const SAFE: &str = "vault register safe --plugin memory --param file=safe.secrets \
                    --param locked=file:pass.given --no-default";

/// A home with a vault `safe` that needs a password, and an agent that ends with the home.
pub(super) struct Home(pub(super) Sandbox);

impl Home {
    pub(super) fn new(placement: &str) -> Self {
        let sandbox = Sandbox::installed();
        std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
        sandbox.run("plugin trust memory --danger-in-process --yes -q", &[]).succeeds();
        sandbox.run(&format!("{SAFE} --placement {placement}"), &[]).succeeds();
        Self(sandbox)
    }

    pub(super) fn terminal(&self, words: &str) -> PtySession {
        at_terminal(self.0.command(words, &[]))
    }

    /// Unlocks the vault with the right password, and returns the output after the password.
    pub(super) fn unlock(&self, words: &str) -> String {
        let mut session = self.terminal(words);
        session.exp_string("Password: ").unwrap();
        session.send_line(CANARY).unwrap();
        let (rest, code) = end(session);
        assert_eq!(code, 0, "{rest}");
        rest
    }

    /// Returns the exit code of a `get` that cannot prompt: 4 for a locked vault. An unlocked vault
    /// gives 3, since the secret does not exist.
    pub(super) fn get(&self) -> i32 {
        self.0.run("get nothing -V safe --no-input", &[]).status
    }

    pub(super) fn agent(&self) -> Option<Pid> {
        let status = self.0.run("agent status --json", &[]);
        let status = String::from_utf8(status.succeeds().to_vec()).unwrap();
        let number = status.split("\"process\":").nth(1).unwrap();
        Pid::from_raw(number.split(',').next().unwrap().parse().unwrap_or(0))
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.agent().unwrap(), signal).unwrap();
    }

    /// Returns the agent's unlocked vaults, without values that differ from run to run.
    pub(super) fn kept(&self) -> String {
        let status = self.0.run("agent status", &[]);
        let status = String::from_utf8(status.succeeds().to_vec()).unwrap();
        let vaults = status.lines().filter_map(|line| line.strip_prefix("Vault:   "));
        vaults.collect::<Vec<_>>().join(", ")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Leaves no agent behind, whatever failed.
            self.0.command("agent stop", &[]).output().unwrap();
        } else if let Some(agent) = self.agent() {
            kill_process(agent, Signal::TERM).unwrap();
            until("it does not end", || self.agent().is_none());
        }
        self.0.check_files();
    }
}

#[track_caller]
pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn unlocks_for_a_while(placement: &str) {
    let home = Home::new(placement);
    assert_eq!(home.get(), 4);
    let told = home.unlock("vault unlock safe");
    assert!(told.contains("Vault `safe` is unlocked for 15 minutes."), "{told}");
    home.0.feed(CANARY, "set a -V safe --stdin").succeeds();
    assert_eq!(home.0.run("get a -V safe", &[]).succeeds(), CANARY.as_bytes());
    for _ in 0..2 {
        let (rest, code) = end(home.terminal("get a -V safe"));
        assert_eq!((rest.trim_end(), code), (CANARY, 0), "it asks");
    }

    // `vault unlock` with `--for` prompts again; then the session ends by itself.
    home.unlock("vault unlock safe --for 1s");
    until("it stays unlocked", || home.get() == 4);
    let mut session = home.terminal("get nothing -V safe");
    session.exp_string("Password: ").unwrap();
    session.send_line(CANARY).unwrap();
    assert_eq!(end(session).1, 3);
    assert_eq!(home.get(), 4, "a `get` does not leave it unlocked");
}

#[test]
fn isolated_vault_prompts_again_after_session_expiry() {
    unlocks_for_a_while("isolated");
}

#[test]
fn in_process_vault_prompts_again_after_session_expiry() {
    unlocks_for_a_while("in-process");
}

#[test]
fn idle_session_expires_early() {
    let home = Home::new("in-process");
    let told = home.unlock("vault unlock safe --for 8h --idle 90m");
    let said = "Vault `safe` is unlocked for 15 minutes.";
    assert!(told.contains(said), "the plugin's own limit: {told}");
    home.unlock("vault unlock safe --idle 1s");
    // Each `get` is a use. The uses are so rare that the session ends between two of them.
    until("it stays unlocked", || {
        std::thread::sleep(Duration::from_millis(1_200));
        home.get() == 4
    });
}

#[test]
fn three_wrong_passwords_leave_vault_locked() {
    let home = Home::new("isolated");
    let mut session = home.terminal("vault unlock safe");
    for _ in 0..3 {
        session.exp_string("Password: ").unwrap();
        session.send_line("wrong").unwrap();
    }
    let (rest, code) = end(session);
    assert!(rest.contains("the password is wrong"), "{rest}");
    assert_eq!((code, home.get()), (1, 4));
    assert!(home.agent().is_none());
}

#[test]
fn unlock_without_terminal_reports_missing_answer() {
    let home = Home::new("isolated");
    assert_data_eq!(
        home.0.run("vault unlock safe", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Vault `safe` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Code: E12.locked

"#]]
    );
    let session = home.terminal("vault unlock safe --no-input");
    assert_eq!(end(session).1, 4);
}

#[test]
fn unlock_of_never_locked_vault_is_noop() {
    let home = Home::new("isolated");
    let open = "vault register open --plugin memory --param file=open.secrets --no-default -q";
    home.0.run(open, &[]).succeeds();
    assert_data_eq!(
        home.0.run("vault unlock open", &[]),
        str![[r#"
exit code 0
--- stderr
Vault `open` does not need unlocking.

"#]]
    );
    assert_data_eq!(
        home.0.run("vault unlock open --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"open","state":"never-locked","seconds":null,"idle_seconds":null}

"#]]
    );
    assert_data_eq!(
        home.0.run("vault unlock safe --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would unlock vault `safe`; nothing was changed

"#]]
    );
    assert_data_eq!(
        home.0.run("vault unlock nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No vault `nosuch` is registered
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
    assert!(home.agent().is_none());
}

#[test]
fn unlock_with_plugin_without_sessions_fails() {
    let home = Home::new("isolated");
    let file = crate::plugin_files::plugin("two-steps");
    home.0.run("plugin install --yes -q", &[file.to_str().unwrap()]).succeeds();
    home.0.run("vault register steps --plugin two-steps --no-default -q", &[]).succeeds();
    let mut session = home.terminal("vault unlock steps");
    session.exp_string(": ").unwrap();
    session.send_line("canary-one").unwrap();
    session.exp_string(": ").unwrap();
    session.send_line("canary-two").unwrap();
    let (rest, code) = end(session);
    assert!(rest.contains("plugin `two-steps` returned no session"), "{rest}");
    assert!(rest.contains("Code: E12.no-session"), "{rest}");
    assert_eq!(code, 1);
}

#[test]
fn lock_discards_session() {
    let home = Home::new("in-process");
    assert_data_eq!(
        home.0.run("vault lock safe", &[]),
        str![[r#"
exit code 0
--- stderr
Vault `safe` was not unlocked.

"#]]
    );
    home.unlock("vault unlock safe");
    assert_data_eq!(
        home.0.run("vault lock SAFE --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would lock vault `SAFE`; nothing was changed

"#]]
    );
    assert_eq!(home.get(), 3);
    assert_data_eq!(
        home.0.run("vault lock safe --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"safe","forgotten":1,"vaults":["safe"],"dry_run":false}

"#]]
    );
    assert_eq!(home.get(), 4);
    home.unlock("vault unlock safe");
    assert_data_eq!(
        home.0.run("vault lock --all", &[]),
        str![[r#"
exit code 0
--- stderr
1 vault is locked.

"#]]
    );
    assert_eq!(home.get(), 4);
    assert_data_eq!(
        home.0.run("vault lock nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No vault `nosuch` is registered
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
    home.0.run("vault lock", &[]).ends_with(2);
    home.0.run("vault lock safe --all", &[]).ends_with(2);
}

#[test]
fn sighup_discards_sessions_sigterm_removes_socket() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    home.signal(Signal::HUP);
    until("it is still unlocked", || home.get() == 4);
    assert!(home.agent().is_some());
    home.signal(Signal::TERM);
    until("it does not end", || home.agent().is_none());
    let socket = home.0.root().join("home/.local/share/keystead/agent/agent");
    assert!(!socket.exists());
    assert_data_eq!(
        home.0.run("agent status --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"running":false,"process":null,"version":null,"locked_memory":null,"vaults":[]}

"#]]
    );
}

#[test]
fn killed_agent_is_replaced() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    home.signal(Signal::KILL);
    until("it lives", || home.agent().is_none());
    let mut session = home.terminal("get nothing -V safe");
    session.exp_string("Password: ").unwrap();
    session.send_line(CANARY).unwrap();
    assert_eq!(end(session).1, 3);
    home.unlock("vault unlock safe");
    assert_eq!(home.get(), 3);

    home.0.run("agent stop", &[]).succeeds();
    until("it lives", || home.agent().is_none());
    assert_eq!(home.get(), 4);
}

#[test]
fn agent_ends_after_socket_dir_is_removed() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    let agent = home.agent().unwrap();
    let dir = home.0.root().join("home/.local/share/keystead/agent");
    std::fs::remove_dir_all(&dir).unwrap();
    until("it lives", || rustix::process::test_kill_process(agent).is_err());
    assert_eq!(home.get(), 4);
}

#[test]
fn hanging_agent_does_not_block_get() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    let agent = home.agent().unwrap();
    kill_process(agent, Signal::STOP).unwrap();
    assert_data_eq!(
        home.0.run("get nothing -V safe --no-input -v", &[]),
        str![[r#"
exit code 4
--- stderr
vault `safe`: the agent did not answer within 250 ms
Error: Vault `safe` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock safe` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    let mut session = home.terminal("get nothing -V safe");
    session.exp_string("Password: ").unwrap();
    session.send_line(CANARY).unwrap();
    assert_eq!(end(session).1, 3);
    // An agent that does not reply causes no prompt.
    let (rest, code) = end(home.terminal("vault unlock safe"));
    assert!(rest.contains("Code: E14.late") && !rest.contains("Password"), "{rest}");
    assert_eq!(code, 1);
    // Stopping the agent does not depend on its reply.
    home.0.run("agent stop", &[]).succeeds();
    until("it lives", || home.agent().is_none());
}

#[test]
fn session_is_bound_to_parameters_placement_and_plugin_hash() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    assert_eq!(home.get(), 3);
    let changed = [
        // Another file, and therefore another vault.
        SAFE.replace("safe.secrets", "other.secrets") + " --placement in-process",
        // Another placement.
        SAFE.to_owned() + " --placement isolated",
        // The password from another reference.
        SAFE.replace("pass.given", "same.given") + " --placement in-process",
    ];
    std::fs::copy(home.0.here("pass.given"), home.0.here("same.given")).unwrap();
    for words in changed {
        home.0.run(&format!("{words} --replace -q"), &[]).succeeds();
        assert_eq!(home.get(), 4, "{words}");
    }
    let original = format!("{SAFE} --placement in-process --replace -q");
    home.0.run(&original, &[]).succeeds();
    assert_eq!(home.get(), 3, "the session itself was still there");
    home.0.run(&format!("{original} --description changed"), &[]).succeeds();
    assert_eq!(home.get(), 3, "a description opens nothing");

    // A plugin of another hash; the byte after the image changes nothing else.
    let mut bytes = std::fs::read(plugin()).unwrap();
    bytes.push(0);
    let other = home.0.here("other.so");
    std::fs::write(&other, bytes).unwrap();
    let other = other.to_str().unwrap().to_owned();
    home.0.run("plugin trust --danger-in-process --yes -q", &[&other]).succeeds();
    assert_eq!(home.get(), 4);
    assert_eq!(home.kept(), "safe (15 minutes)");
    home.0.run("vault unregister safe -q", &[]).succeeds();
    assert_eq!(home.kept(), "");
}

#[test]
fn session_is_not_used_after_referenced_password_change() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    // The password behind the reference changes: the session is for the old one.
    std::fs::write(home.0.here("pass.given"), format!("new {CANARY}")).unwrap();
    assert_eq!(home.get(), 4);
    assert_eq!(home.kept(), "safe (15 minutes)");
    std::fs::write(home.0.here("pass.given"), CANARY).unwrap();
    assert_eq!(home.get(), 3);
}

#[test]
fn vaults_with_same_login_unlock_and_lock_together() {
    let home = Home::new("isolated");
    home.0.run(&SAFE.replace("register safe", "register twin"), &[]).succeeds();
    home.0
        .run(&SAFE.replace("register safe", "register other").replace("safe.s", "o.s"), &[])
        .succeeds();
    // The twin has no explicit placement, and therefore another key.
    home.unlock("vault unlock safe");
    home.0.run("get nothing -V twin --no-input", &[]).ends_with(4);
    let twin = SAFE.replace("register safe", "register twin") + " --placement isolated --replace";
    home.0.run(&twin, &[]).succeeds();
    home.0.run("get nothing -V twin --no-input", &[]).ends_with(3);
    home.0.run("get nothing -V other --no-input", &[]).ends_with(4);
    assert_eq!(home.kept(), "safe (15 minutes), twin (15 minutes, same login as `safe`)");
    let list = String::from_utf8(home.0.run("vault list", &[]).succeeds().to_vec()).unwrap();
    let unlocked: Vec<_> = list.lines().filter(|line| line.contains("15 minutes")).collect();
    assert!(unlocked.len() == 2 && unlocked[0].starts_with("safe"), "{list}");
    assert!(unlocked[1].starts_with("twin") && unlocked[1].ends_with("\t15 minutes"), "{list}");
    home.0.run("vault lock twin --dry-run", &[]).succeeds();
    assert_data_eq!(
        home.0.run("vault lock twin", &[]).to_string(),
        str![[r#"
exit code 0
--- stderr
Vault `twin` is locked.
Vault `safe` is locked: it shares the login.

"#]]
    );
    assert_eq!((home.get(), home.kept().as_str()), (4, ""));
}

#[test]
fn parallel_unlocks_prompt_once() {
    let home = Home::new("isolated");
    let mut first = home.terminal("vault unlock safe");
    first.exp_string("Password: ").unwrap();
    let mut others: Vec<PtySession> =
        ["vault unlock safe", "get nothing -V safe", "vault unlock safe --for 5m"]
            .map(|words| home.terminal(words))
            .into();
    for other in &mut others {
        other.exp_string("Waiting: another command is prompting for vault `safe`").unwrap();
    }
    // A non-interactive command does not wait either.
    assert_eq!(home.get(), 4);
    first.send_line(CANARY).unwrap();
    let (rest, code) = end(first);
    assert!(rest.contains("is unlocked for 15 minutes."), "{rest}");
    assert_eq!(code, 0);
    for (other, expected) in others.into_iter().zip([0, 3, 0]) {
        let (rest, code) = end(other);
        assert!(!rest.contains("Password"), "{rest}");
        assert_eq!(code, expected, "{rest}");
    }
}

#[test]
fn cancelled_prompt_passes_to_waiting_command() {
    let home = Home::new("isolated");
    // Neither the agent nor its directory exists yet.
    let mut first = home.terminal("get nothing -V safe");
    first.exp_string("Password: ").unwrap();
    let mut second = home.terminal("get nothing -V safe");
    second.exp_string("Waiting: another command").unwrap();
    first.send_control('c').unwrap();
    assert_eq!(end(first).1, 130);
    second.exp_string("Password: ").unwrap();
    second.send_line(CANARY).unwrap();
    assert_eq!(end(second).1, 3);
}

#[test]
fn password_typed_while_agent_ends_is_kept_by_new_agent() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    for signal in [Signal::TERM, Signal::KILL] {
        let mut session = home.terminal("vault unlock safe --for 5m");
        session.exp_string("Password: ").unwrap();
        let agent = home.agent().unwrap();
        kill_process(agent, signal).unwrap();
        session.send_line(CANARY).unwrap();
        let (rest, code) = end(session);
        assert_eq!(code, 0, "{rest}");
        assert_eq!(home.kept(), "safe (5 minutes)");
        assert_ne!(home.agent(), Some(agent));
    }
}
