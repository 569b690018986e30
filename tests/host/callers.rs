//! Many callers of one vault: a concurrent kind has at most one handle per caller. All handles
//! share one login and one account. The end of a handle ends no other handle.

mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::{Answer, Challenge, Prompt, SecretText, VaultName};
use keystead::paths::Layer;
use keystead::reference::Reference;
use keystead::{
    FieldKind, Host, NewField, NewSecret, NonInteractive, PromptError, Prompter, RunMode,
    SearchScope,
};

use super::{PLACEMENTS, filed, get_in, new_secret, scene, secret, set, vault, write};
use crate::bao::{Bao, ROOT, unique};
use crate::cli::sandbox;
use crate::plugin_files::plugin;
use crate::scene::{Scene, story};
use server::Server;

/// Number of threads that call at once.
const CALLERS: usize = 4;

/// Registers a vault of the server and returns it.
fn of_server(
    scene: &Scene,
    server: &Server,
    placement: Placement,
    parameters: &[(&str, &str)],
) -> VaultName {
    let id = scene.install(sandbox::hashicorp());
    let own = [("address", server.url()), ("kv-version", "2".to_owned())];
    let given = parameters.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let parameters: Vec<_> = own.into_iter().chain(given).collect();
    scene.register_with("kv", &id, placement, &parameters)
}

/// Writes a file and returns the reference to it.
fn kept(scene: &Scene, name: &str, text: &str) -> String {
    write(&scene.path().join(name), text);
    format!("file:{}", scene.path().join(name).display())
}

/// Gets the secret `held` in `CALLERS` threads at once.
fn get_at_once(host: &Host, vault: &VaultName, ask: impl Fn() -> Box<dyn Prompter> + Sync) {
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let place = SearchScope::Vault(vault.clone());
                let found = host.get(&secret("held"), &place, &mut *ask());
                found.unwrap_or_else(|error| panic!("{}", story(&error)));
            });
        }
    });
}

fn nobody() -> Box<dyn Prompter> {
    Box::new(NonInteractive)
}

#[test]
fn concurrent_callers_each_have_request_in_flight() {
    for placement in PLACEMENTS {
        let (scene, server) = (Scene::new(), Server::start());
        let token = kept(&scene, "token", "token-of-file");
        let vault = of_server(&scene, &server, placement, &[("token", &token)]);
        scene.get(&vault, "first").unwrap();
        server.want(CALLERS);
        get_at_once(&scene.host, &vault, nobody);
        assert_eq!(server.seen().most, CALLERS, "{placement:?}");
        if placement == Placement::Isolated {
            assert_eq!(scene.runners(), CALLERS);
            // The runners stay for the next calls, and end with their vault.
            server.want(CALLERS);
            get_at_once(&scene.host, &vault, nobody);
            assert_eq!((server.seen().most, scene.runners()), (CALLERS, CALLERS));
            scene.host.unregister(&vault, Layer::User, RunMode::Apply).unwrap();
            assert_eq!(scene.runners(), 0);
        }
        scene.end();
    }
}

#[test]
fn login_without_prompt_is_shared_by_all_handles() {
    for placement in PLACEMENTS {
        let (scene, server) = (Scene::new(), Server::start());
        let id = kept(&scene, "secret-id", "canary-secret-id");
        let login = [("login", "approle"), ("role", "app"), ("secret-id", id.as_str())];
        let vault = of_server(&scene, &server, placement, &login);
        scene.get(&vault, "first").unwrap();
        server.want(CALLERS);
        get_at_once(&scene.host, &vault, nobody);
        let seen = server.seen();
        assert_eq!((seen.most, seen.logins.len()), (CALLERS, 1), "{placement:?}");
        assert!(seen.tokens.iter().all(|token| token == "token-1-of-approle"));
        drop(seen);
        scene.end();
    }
}

/// A prompter that types this user and the password, and counts its prompts.
struct Typing {
    user: &'static str,
    asked: Arc<AtomicUsize>,
}

impl Prompter for Typing {
    fn is_interactive(&self) -> bool {
        true
    }

    fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), PromptError> {
        Ok(())
    }

    fn answer_source(&mut self, _: &VaultName, _: &Prompt) -> Option<Reference> {
        None
    }

    fn ask(&mut self, _: &VaultName, challenge: &Challenge) -> Result<Vec<Answer>, PromptError> {
        self.asked.fetch_add(1, SeqCst);
        let answer = |prompt: &Prompt| match prompt.name.as_str() {
            "user" => Answer::new("user", SecretText::new(self.user)),
            name => Answer::new(name, SecretText::new("canary-password")),
        };
        Ok(challenge.prompts.iter().map(answer).collect())
    }
}

#[test]
fn prompted_login_is_shared_by_all_handles() {
    for placement in PLACEMENTS {
        let (scene, server) = (Scene::new(), Server::start());
        let vault = of_server(&scene, &server, placement, &[("login", "userpass")]);
        let asked = Arc::new(AtomicUsize::new(0));
        let typing = |user: &'static str| {
            let asked = &asked;
            move || -> Box<dyn Prompter> { Box::new(Typing { user, asked: Arc::clone(asked) }) }
        };
        // All callers at once at a locked vault: one caller gets the prompt, the others wait.
        server.want(1);
        get_at_once(&scene.host, &vault, typing("alice"));
        assert_eq!((asked.load(SeqCst), server.seen().logins.len()), (1, 1), "{placement:?}");
        server.want(CALLERS);
        get_at_once(&scene.host, &vault, typing("bob"));
        let alice = "token-1-of-alice".to_owned();
        {
            let mut seen = server.seen();
            assert_eq!((seen.most, &*seen.logins), (CALLERS, &["alice".to_owned()][..]));
            assert!(seen.tokens.iter().all(|token| *token == alice), "{:?}", seen.tokens);
            seen.revoked.push(alice);
        }
        // The session is invalid for every handle: only one caller gets a new prompt.
        server.want(1);
        get_at_once(&scene.host, &vault, typing("bob"));
        assert_eq!(asked.load(SeqCst), 2, "{placement:?}");
        server.want(CALLERS);
        get_at_once(&scene.host, &vault, nobody);
        let seen = server.seen();
        assert_eq!((seen.most, &*seen.logins), (CALLERS, &["alice".into(), "bob".into()][..]));
        assert!(seen.tokens.iter().all(|token| token == "token-2-of-bob"), "{:?}", seen.tokens);
        drop(seen);
        scene.end();
    }
}

#[test]
fn unlocked_vault_without_session_has_single_handle() {
    let scene = Scene::new();
    let vault = scene.vault("v", &plugin("many-handles"), Placement::Isolated);
    let asked = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let mut ask = Typing { user: "alice", asked: Arc::clone(&asked) };
                let place = SearchScope::Vault(vault.clone());
                scene.host.get(&secret("locked"), &place, &mut ask).unwrap();
                scene.host.get(&secret("slow"), &place, &mut ask).unwrap();
            });
        }
    });
    assert_eq!((asked.load(SeqCst), scene.runners()), (1, 1));
    scene.end();
}

#[test]
fn handle_crash_counts_once_and_keeps_other_calls() {
    let scene = Scene::new();
    let vault = scene.vault("v", &plugin("many-handles"), Placement::Isolated);
    let (crashed, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let began = Instant::now();
    let in_time = || assert!(began.elapsed() < Duration::from_secs(60), "it takes too long");
    thread::scope(|scope| {
        for _ in 1..CALLERS {
            scope.spawn(|| {
                while !crashed.load(SeqCst) {
                    in_time();
                    let found = scene.get(&vault, "slow");
                    found.unwrap_or_else(|error| panic!("{}", story(&error)));
                    calls.fetch_add(1, SeqCst);
                }
            });
        }
        while scene.runners() < 2 {
            in_time();
            thread::sleep(Duration::from_millis(5));
        }
        let error = scene.get(&vault, "crash").unwrap_err();
        assert_eq!(error.code(), "E11.died", "{}", story(&error));
        let before = calls.load(SeqCst);
        while calls.load(SeqCst) < before + 2 * CALLERS {
            in_time();
            thread::sleep(Duration::from_millis(5));
        }
        crashed.store(true, SeqCst);
    });
    scene.get(&vault, "slow").unwrap();
    let counts = std::fs::read_dir(scene.path().join("data/crashes")).unwrap();
    let counts: Vec<_> = counts.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert_eq!(std::fs::read_to_string(&counts[0]).unwrap().lines().count(), 1);
    scene.end();
}

#[test]
fn handle_with_action_grants_is_closed_after_call() {
    let scene = Scene::new();
    let id = scene.install(sandbox::store());
    let here = |name: &str| scene.apart().join(name).display().to_string();
    let parameters = [("path", here("store")), ("key-file", here("key"))];
    let vault = scene.register_with("v", &id, Placement::Isolated, &parameters);
    set(&scene.host, &vault, "x", "kept");
    for is_done in [true, false] {
        assert_eq!(get_in(&scene.host, &vault, "x").unwrap(), "v: kept");
        assert_eq!(scene.runners(), 1);
        // The second time the file exists, which is an error.
        let typed = [("to".to_owned(), here("backup"))].into();
        let plan =
            scene.host.plan_action(&vault, "backup", &typed, scene.path(), &mut NonInteractive);
        let done = scene.host.act(plan.unwrap(), &mut NonInteractive);
        assert_eq!(done.is_ok(), is_done, "{done:?}");
        assert_eq!(scene.runners(), 0);
    }
    scene.end();
}

#[test]
fn unlock_cycle_is_rejected_for_every_caller() {
    const VAULTS: usize = 3;
    let scene = scene();
    write(&scene.path().join("password"), "canary-password");
    let from = scene.path().join("password");
    for number in 0..VAULTS {
        let text = format!(
            "plugin = \"memory\"\nplacement = \"in-process\"\n\
             [parameters]\nlocked = {{ from = \"file:{}\" }}\n\
             [unlock]\npassword = \"keystead://v{}/x\"\n",
            from.display(),
            (number + 1) % VAULTS
        );
        super::write_registration(&scene, &format!("v{number}"), &text);
    }
    let beside = filed(&scene, "beside", Placement::InProcess);
    set(&scene.host, &beside, "x", "there");
    let (scene, (send, receive)) = (Arc::new(scene), std::sync::mpsc::channel());
    for caller in 0..8 {
        let (scene, send, beside) = (Arc::clone(&scene), send.clone(), beside.clone());
        thread::spawn(move || {
            for round in 0..50 {
                let of_circle = vault(&format!("v{}", (caller + round) % VAULTS));
                let error = get_in(&scene.host, &of_circle, "x").unwrap_err();
                assert!(story(&error).contains("depends on itself"), "{error:?}");
                assert_eq!(get_in(&scene.host, &beside, "x").unwrap(), "beside: there");
            }
            drop(scene);
            send.send(()).unwrap();
        });
    }
    drop(send);
    for _ in 0..8 {
        receive
            .recv_timeout(Duration::from_secs(60))
            .expect("a caller waits for ever, or panicked");
    }
    Arc::into_inner(scene).unwrap().end();
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_parallel_field_writes_are_all_kept() {
    const WRITERS: usize = 8;
    let scene = Scene::new();
    let id = scene.install(sandbox::hashicorp());
    let parameters = [
        ("address", Bao::shared().url()),
        ("token", kept(&scene, "token", ROOT)),
        ("prefix", unique("callers")),
    ];
    let vault = scene.register_with("kv", &id, Placement::Isolated, &parameters);
    thread::scope(|scope| {
        for number in 0..WRITERS {
            let (host, vault) = (&scene.host, &vault);
            scope.spawn(move || {
                let name = format!("f{number}");
                let field = Some(NewField { name, kind: FieldKind::New });
                let text = number.to_string();
                let new = NewSecret { field, ..new_secret(Some(vault), "shared", &text) };
                host.set(new, &mut NonInteractive)
                    .unwrap_or_else(|error| panic!("{}", story(&error)));
            });
        }
    });
    let found = scene.get(&vault, "shared").unwrap();
    let keystead::api::Value::Map(map) = &found.secret.value else { panic!("no map") };
    assert_eq!(map.iter().count(), WRITERS);
    scene.end();
}
