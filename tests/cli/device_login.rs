//! A vault with a login by code in a browser, at a real OpenID provider.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keystead::Placement;
use keystead::{PromptError, Prompter, SearchScope};
use keystead_plugin_api::{Answer, Challenge, Prompt, SecretName, Value, VaultName, Wait};

use super::prompt::{at_terminal, end};
use super::sandbox::Sandbox;
use crate::plugin_files;
use crate::scene::Scene;

/// An OpenID provider that ends with the test.
struct Provider {
    port: u16,
    child: Child,
}

impl Provider {
    /// Starts a provider whose codes are valid for `life` seconds.
    fn new(life: u32) -> Self {
        let dir = std::env::var_os("KEYSTEAD_TEST_OIDC");
        let dir = dir.expect("`KEYSTEAD_TEST_OIDC` is a directory with oidc-provider");
        let mut child = Command::new("node")
            .arg(plugin_files::repository().join("tests/fixtures/oidc/server.mjs"))
            .arg(dir)
            .arg(life.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // All other lines are warnings.
        let port = lines.find_map(|line| line.unwrap().parse().ok()).expect("it prints its port");
        Self { port, child }
    }

    /// Approves or refuses a code, as a user does in a browser.
    fn decide(&self, user_code: &str, how: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let path = format!("/_test/decide?user_code={user_code}&as={how}");
        let request = format!("POST {path} HTTP/1.0\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.contains(" 200 "), "{reply}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sandbox(provider: &Provider) -> Sandbox {
    let sandbox = Sandbox::empty();
    let file = plugin_files::plugin("device-login");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let port = provider.port;
    let register = format!("vault register login --plugin device-login --yes --param port={port}");
    sandbox.run(&register, &[]).succeeds();
    sandbox
}

/// Returns the code in a text.
fn code_in(text: &str) -> String {
    let (_, rest) = text.split_once("enter the code ").unwrap();
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// Starts a `get` at a terminal, and returns the session and the code it shows.
fn started(sandbox: &Sandbox) -> (rexpect::session::PtySession, String) {
    let mut session = at_terminal(sandbox.command("get who -V login -v", &[]));
    session.exp_string("Vault `login` is locked.").unwrap();
    session.exp_string("enter the code ").unwrap();
    let code = session.exp_regex("[A-Z]{4}-[A-Z]{4}").unwrap().1;
    session.exp_string("Open: https://127.0.0.1").unwrap();
    session.exp_string("Waiting until that is done; Ctrl-C ends it.").unwrap();
    (session, code)
}

#[test]
#[ignore = "needs oidc"]
fn needs_oidc_browser_login_unlocks_vault() {
    let provider = Provider::new(60);
    let sandbox = sandbox(&provider);
    let (mut session, code) = started(&sandbox);
    session.exp_string("the provider says authorization_pending").unwrap();
    session.exp_string("the provider says slow_down").unwrap();
    provider.decide(&code, "yes");
    let (rest, code) = end(session);
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("alice"), "{rest}");
    assert!(!rest.contains("enter the code"), "shown once: {rest}");
}

#[test]
#[ignore = "needs oidc"]
fn needs_oidc_refused_login_fails_with_plugin_message() {
    let provider = Provider::new(60);
    let sandbox = sandbox(&provider);
    let (session, code) = started(&sandbox);
    provider.decide(&code, "no");
    let (rest, code) = end(session);
    assert_eq!(code, 1, "{rest}");
    assert!(rest.contains("the login was refused"), "{rest}");
}

#[test]
#[ignore = "needs oidc"]
fn needs_oidc_expired_login_fails_with_plugin_message() {
    let provider = Provider::new(3);
    let sandbox = sandbox(&provider);
    let (session, _) = started(&sandbox);
    let (rest, code) = end(session);
    assert_eq!(code, 1, "{rest}");
    assert!(rest.contains("the code has expired"), "{rest}");
}

#[test]
#[ignore = "needs oidc"]
fn needs_oidc_ctrl_c_cancels_login() {
    let provider = Provider::new(60);
    let sandbox = sandbox(&provider);
    let (mut session, _) = started(&sandbox);
    session.send_control('c').unwrap();
    let (rest, code) = end(session);
    assert_eq!(code, 130, "{rest}");
}

#[test]
#[ignore = "needs oidc"]
fn needs_oidc_non_interactive_login_error_has_code_and_url() {
    let provider = Provider::new(60);
    let sandbox = sandbox(&provider);
    let answer = sandbox.run("get who -V login --no-input", &[]);
    answer.ends_with(4);
    let shown = answer.to_string();
    assert!(shown.contains("enter the code"), "{shown}");
    assert!(shown.contains("open https://127.0.0.1"), "{shown}");
    // A search reports the same.
    sandbox.run("vault default login", &[]).succeeds();
    let shown = sandbox.run("get who --no-input", &[]).to_string();
    assert!(shown.contains("open https://127.0.0.1"), "{shown}");
}

#[test]
#[ignore = "needs oidc"]
fn needs_oidc_pending_login_does_not_block_other_commands() {
    let provider = Provider::new(60);
    let sandbox = sandbox(&provider);
    let (first, code) = started(&sandbox);
    let other = at_terminal(sandbox.command("get who -V login", &[]));
    let (rest, status) = end(other);
    assert_eq!(status, 4, "{rest}");
    assert!(rest.contains("another command waits for its login"), "{rest}");
    assert!(rest.contains("open https://127.0.0.1"), "{rest}");
    provider.decide(&code, "yes");
    assert_eq!(end(first).1, 0);
}

/// A user who follows the shown instructions at once.
struct Obedient<'p> {
    provider: &'p Provider,
    shown: usize,
}

impl Prompter for Obedient<'_> {
    fn answer_source(
        &mut self,
        _: &VaultName,
        _: &Prompt,
    ) -> Option<keystead::reference::Reference> {
        None
    }

    fn ask(&mut self, _: &VaultName, _: &Challenge) -> Result<Vec<Answer>, PromptError> {
        panic!("it has no prompts")
    }

    fn show(&mut self, _: &VaultName, challenge: &Challenge) -> Result<(), PromptError> {
        assert!(matches!(challenge.wait, Wait::Poll { .. }));
        self.shown += 1;
        if self.shown == 1 {
            self.provider.decide(&code_in(challenge.message.as_deref().unwrap()), "yes");
        }
        Ok(())
    }

    fn is_interactive(&self) -> bool {
        true
    }
}

#[test]
#[ignore = "needs oidc"]
fn needs_oidc_login_is_renewed_without_prompt() {
    let provider = Provider::new(60);
    for placement in [Placement::InProcess, Placement::Isolated] {
        let scene = Scene::new();
        let id = scene.install(&plugin_files::plugin("device-login"));
        let parameters = [("port", provider.port.to_string())];
        let vault = scene.register_with("login", &id, placement, &parameters);
        let mut person = Obedient { provider: &provider, shown: 0 };
        let mut get = || {
            let name = SecretName::parse("who").unwrap();
            scene
                .host
                .get(&name, &SearchScope::Vault(vault.clone()), &mut person)
                .unwrap()
                .secret
                .value
        };
        assert_eq!(get(), Value::text("alice"));
        std::thread::sleep(Duration::from_millis(2_500));
        assert_eq!(get(), Value::text("alice"));
        assert_eq!(person.shown, 1);
        assert!(scene.log.all().iter().any(|line| line.contains("renewed")));
        scene.end();
    }
}
