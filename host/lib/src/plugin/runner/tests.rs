//! Runners as real processes. The test binary itself stands in for keystead; the name of the
//! requested secret chooses the plugin's fault.

mod answers;
mod image;
mod sandbox;
mod sockets;
mod stand_in;
mod walls;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keystead_plugin_api::abi::Client;
use keystead_plugin_api::{self as api, Vault};

use super::super::AbiCompatibility;
use super::super::grant::Granted;
use super::super::inspect::Abi;
use super::*;

/// Services that record log lines, and grant the program `upper`.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl api::Services for Log {
    fn log(&self, level: api::Level, message: &str) {
        self.0.lock().unwrap().push(format!("{level:?}: {message}"));
    }

    fn keep_session(&self, session: api::Session) {
        let (size, lifetime) = (session.secret.len(), session.lifetime);
        self.0.lock().unwrap().push(format!("a session of {size} bytes for {lifetime:?}"));
    }

    fn exec(&self, request: api::ExecRequest) -> api::Result<api::ExecOutput> {
        match request.program.as_str() {
            "upper" => {
                let output = request.input.expose().to_ascii_uppercase();
                let done = format!("done {:?}", request.environment);
                Ok(api::ExecOutput::new(4, api::SecretBytes::new(output), done))
            }
            program => {
                Err(api::Error::permission_denied(format!("running `{program}` is not granted")))
            }
        }
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn within(millis: u64) -> api::Deadline {
    api::Deadline::after(Duration::from_millis(millis))
}

/// Returns a deadline that is long enough for a loaded machine.
fn amply() -> api::Deadline {
    within(20_000)
}

fn get_by(name: &str, deadline: api::Deadline) -> api::GetRequest {
    api::GetRequest::new(api::SecretName::parse(name).unwrap(), deadline)
}

fn get(name: &str) -> api::GetRequest {
    get_by(name, amply())
}

fn name(text: &str) -> api::SecretName {
    api::SecretName::parse(text).unwrap()
}

fn remove(text: &str) -> api::RemoveRequest {
    api::RemoveRequest::new(name(text), amply())
}

fn set(name: &str, value: api::Value) -> api::SetRequest {
    api::SetRequest::new(api::SecretName::parse(name).unwrap(), value, amply())
}

struct Stage {
    log: Arc<Log>,
    blamed: Arc<Mutex<Vec<String>>>,
    setup: Setup,
}

/// Returns a setup of this test binary with these bytes as the plugin.
fn stage(plugin: &str) -> Stage {
    let log = Arc::new(Log::default());
    let blamed = Arc::new(Mutex::new(Vec::new()));
    let blame = Arc::clone(&blamed);
    let setup = Setup {
        launch: stand_in::launch(),
        image: Image::seal(plugin.as_bytes(), [7; 32], Abi::Rust, "/plugins/faulty.so").unwrap(),
        known: None,
        granted: Granted::for_tests(&["exec:upper"], [7; 32], SandboxLevel::Full),
        services: Arc::clone(&log) as Arc<dyn api::Services>,
        on_misbehaviour: Arc::new(move |error| blame.lock().unwrap().push(error.to_string())),
    };
    Stage { log, blamed, setup }
}

fn request(deadline: api::Deadline) -> api::OpenRequest {
    let mut parameters = api::Parameters::new();
    parameters.insert("plain", api::ParameterValue::Text("as given".to_owned()));
    parameters.insert("hidden", api::ParameterValue::Secret(api::SecretText::new("canary")));
    parameters.insert("number", api::ParameterValue::Integer(-7));
    parameters.insert("yes", api::ParameterValue::Boolean(true));
    let vault = api::VaultName::parse("work").unwrap();
    api::OpenRequest::new(vault, "faulty", parameters, deadline)
}

fn open(stage: &Stage) -> Client<Runner> {
    Runner::open(stage.setup.clone(), request(amply())).unwrap()
}

/// Requests a secret for which the plugin fails, and returns the runner's error.
fn failure(runner: &mut Client<Runner>, name: &str, deadline: api::Deadline) -> Error {
    let error = Vault::get(runner, &get_by(name, deadline)).unwrap_err();
    runner.carrier_mut().failure().unwrap_or_else(|| panic!("the plugin's own: {error}"))
}

fn not_opened(plugin: &str, deadline: api::Deadline) -> CallError {
    Runner::open(stage(plugin).setup, request(deadline)).unwrap_err()
}

fn is_gone(pid: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // A zombie that waits for its adopter. Its first thread may end before the others, and only
        // the last one closes its sockets.
        Ok(stat) => {
            let ended = stat.rsplit(')').next().unwrap().trim_start().starts_with('Z');
            let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
            ended && threads.map_or(true, |threads| threads.count() <= 1)
        }
        Err(_) => true,
    }
}

fn eventually(what: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while !what() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn text(runner: &mut Client<Runner>, name: &str) -> String {
    match Vault::get(runner, &get(name)).unwrap().value {
        api::Value::Text(text) => text.expose().to_owned(),
        value => panic!("{value:?}"),
    }
}

#[test]
fn every_vault_call_round_trips_through_runner() {
    let stage = stage("");
    let vault: &mut dyn Vault = &mut open(&stage);
    let mut metadata = api::Metadata::new();
    metadata.insert("t", api::MetadataValue::Text("é".into())).unwrap();
    metadata.insert("i", api::MetadataValue::Integer(i64::MIN)).unwrap();
    metadata.insert("b", api::MetadataValue::Boolean(true)).unwrap();
    metadata.insert("at", api::MetadataValue::Timestamp(-1)).unwrap();
    let texts = ["b", "", "a"].map(str::to_owned).to_vec();
    metadata.insert("l", api::MetadataValue::TextList(texts)).unwrap();

    let mut written = set("a*", api::Value::credential("bob", "canary"));
    written.metadata = Some(metadata.clone());
    vault.set(written).unwrap();
    let secret = vault.get(&get("a*")).unwrap();
    assert_eq!(secret.value, api::Value::credential("bob", "canary"));
    assert_eq!(secret.metadata, metadata);

    let mut again = set("a*", api::Value::text(""));
    again.mode = api::WriteMode::CreateOnly;
    assert_eq!(vault.set(again).unwrap_err().kind(), api::ErrorKind::AlreadyExists);
    assert_eq!(vault.get(&get("none")).unwrap_err().kind(), api::ErrorKind::NotFound);

    let nothing = api::SetMetadataRequest::new(name("a*"), api::Metadata::new(), amply());
    vault.set_metadata(nothing).unwrap();
    let entry = vault.describe(&api::DescribeRequest::new(name("a*"), amply())).unwrap();
    assert_eq!(entry.kind, Some(api::ValueKind::Credential));
    assert!(entry.metadata.is_empty());
    let page = vault.list(&api::ListRequest::new(amply())).unwrap();
    assert_eq!((page.entries, page.next_cursor), (vec![entry], None));
    let many = api::GetManyRequest::new(vec![get("a*"), get("none")]);
    let many = vault.get_many(&many).unwrap().results;
    assert!(many[0].is_ok() && many[1].is_err() && many.len() == 2);
    let mut new = set("b", api::Value::text("canary"));
    new.metadata = Some(metadata.clone());
    let mut taken = set("a*", api::Value::text(""));
    taken.mode = api::WriteMode::CreateOnly;
    let too_large = set("c", api::Value::bytes(vec![7; api::MAX_VALUE_BYTES]));
    let many = api::SetManyRequest::new(vec![new, too_large, taken]);
    let written = vault.set_many(many).unwrap().results;
    assert_eq!(written[1].as_ref().unwrap_err().kind(), api::ErrorKind::Invalid);
    assert_eq!(written[2].as_ref().unwrap_err().kind(), api::ErrorKind::AlreadyExists);
    assert_eq!((&written[0], written.len()), (&Ok(api::Written::new()), 3));
    let secret = vault.get(&get("b")).unwrap();
    assert_eq!((secret.value, secret.metadata), (api::Value::text("canary"), metadata));
    assert_eq!(vault.set_many(api::SetManyRequest::new(vec![])).unwrap().results, []);
    let versions = vault.versions(&api::VersionsRequest::new(name("a*"), amply())).unwrap();
    assert_eq!(
        versions.versions,
        [api::Version::new("v1", Some(-5)), api::Version::new("v0", None)]
    );

    let actions = vault.actions(&api::ActionsRequest::new(amply())).unwrap().actions;
    assert_eq!(actions[0].parameters[0].name, "depth");
    assert!(actions[0].destructive);
    let mut parameters = api::Parameters::new();
    parameters.insert("depth", api::ParameterValue::Integer(3));
    let outcome = vault.run_action(&api::ActionRequest::new("dig", parameters, amply())).unwrap();
    assert_eq!(outcome.message, "dug 3 deep");
    assert_eq!(outcome.value, Some(api::Value::text("gold")));

    vault.lock(&api::LockRequest::new(amply())).unwrap();
    let locked = vault.get(&get("a*")).unwrap_err();
    let challenge = locked.challenge().unwrap();
    assert_eq!(challenge.prompts, [api::Prompt::secret("password", "Password")]);
    let answer = |value: &str| {
        let value = api::SecretText::new(value);
        vec![api::Answer::new("password", value)]
    };
    let wrong = api::UnlockRequest::new(&challenge.id, answer("wrong"), amply());
    let refused = vault.unlock(&wrong).unwrap_err();
    assert_eq!(refused.kind(), api::ErrorKind::PermissionDenied);
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(1_500)));
    let right = api::UnlockRequest::new(&challenge.id, answer("canary"), amply());
    vault.unlock(&right).unwrap();
    assert!(stage.log.lines().contains(&"a session of 7 bytes for 60s".to_owned()));

    vault.remove(&remove("a*")).unwrap();
    vault.test(&api::TestRequest::new(amply())).unwrap();
    vault.unregister(&api::UnregisterRequest::new(amply())).unwrap();
    assert_eq!(stage.blamed.lock().unwrap().as_slice(), [""; 0]);
}

#[test]
fn parameters_log_and_granted_exec_cross_runner() {
    let stage = stage("");
    let mut runner = open(&stage);
    assert_eq!(runner.carrier().fit(), AbiCompatibility::PluginOlder);
    assert_eq!(text(&mut runner, "parameters"), "as given canary -7 true");
    assert_eq!(
        text(&mut runner, "exec"),
        "4 INPUT done [(\"A\", \"b\")], running `rm` is not granted"
    );
    assert!(stage.log.lines().contains(&"Warning: hello".to_owned()));
}

#[test]
fn largest_value_and_page_cross_runner_in_both_directions() {
    let stage = stage("");
    let mut runner = open(&stage);
    let largest = || api::Value::bytes(vec![7; api::MAX_VALUE_BYTES - 4]);
    runner.set(set("big", largest())).unwrap();
    assert_eq!(Vault::get(&mut runner, &get("big")).unwrap().value, largest());
    let too_large = api::Value::bytes(vec![7; api::MAX_VALUE_BYTES - 3]);
    assert_eq!(runner.set(set("big", too_large)).unwrap_err().kind(), api::ErrorKind::Invalid);

    let mut pages = api::ListRequest::new(amply());
    pages.pattern = Some("heavy".to_owned());
    let page = runner.list(&pages).unwrap();
    assert_eq!(page.entries.len(), 1_000);
    assert_eq!(page.entries[999].name.as_str().len(), 1_024);
    assert_eq!(page.entries[999].metadata.len(), 1);

    // As many as can be written at once, with as much framing as possible.
    let mut small = api::Metadata::new();
    for key in 0..api::MAX_METADATA_ENTRIES {
        small.insert(format!("{key:x}"), api::MetadataValue::Text(String::new())).unwrap();
    }
    let half = api::MAX_VALUE_BYTES / 2;
    let mut most: Vec<_> = (0..api::MAX_SET_MANY - 2)
        .map(|n| set(&n.to_string(), api::Value::text("")))
        .chain(["x", "y"].map(|name| set(name, api::Value::bytes(vec![7; half]))))
        .collect();
    most.iter_mut().for_each(|one| one.metadata = Some(small.clone()));
    let written = runner.set_many(api::SetManyRequest::new(most)).unwrap().results;
    assert!(written.len() == api::MAX_SET_MANY && written.iter().all(Result::is_ok));
    let found = Vault::get(&mut runner, &get("y")).unwrap();
    assert_eq!((found.value, found.metadata), (api::Value::bytes(vec![7; half]), small));
    let more = (0..=api::MAX_SET_MANY).map(|n| set(&n.to_string(), api::Value::text("")));
    let more = api::SetManyRequest::new(more.collect());
    assert_eq!(runner.set_many(more).unwrap_err().kind(), api::ErrorKind::Invalid);

    // Together they exceed an answer; each alone does not.
    let many = api::GetManyRequest::new(vec![get("big"), get("big")]);
    let many = runner.get_many(&many);
    assert!(many.unwrap().results.iter().all(|secret| secret.as_ref().unwrap().value == largest()));
    assert!(runner.carrier_mut().failure().is_none());
}

#[test]
fn plugin_process_inherits_nothing_from_host() {
    let stage = stage("");
    let mut runner = open(&stage);
    assert_eq!(text(&mut runner, "environment"), "");
    assert_eq!(text(&mut runner, "folder"), "/");
    assert_eq!(text(&mut runner, "stdin"), "0 bytes");
    assert_eq!(text(&mut runner, "terminal"), "none");
    // Standard streams, the socket and the plugin itself.
    assert_eq!(text(&mut runner, "descriptors"), "/dev/null /dev/null pipe socket memfd");
    assert_eq!(text(&mut runner, "sandbox"), "privileges true, dumpable false, core Some(0)");
    assert_eq!(text(&mut runner, "umask"), "77");
    assert_eq!(text(&mut runner, "child"), "Operation not permitted (os error 1)");
}

#[test]
fn plugin_stdout_is_ignored_and_stderr_logged_up_to_limit() {
    let stage = stage("");
    let mut runner = open(&stage);
    assert_eq!(text(&mut runner, "print"), "printed");
    drop(runner);
    let lines = stage.log.lines();
    assert!(lines.contains(&"Debug: stderr: first [31mred".to_owned()), "{:?}", &lines[..3]);
    assert_eq!(lines.last().unwrap(), "Debug: stderr: the rest is left out");
    assert!(lines.iter().map(String::len).sum::<usize>() < 80 * 1024);
}

#[test]
fn excessive_plugin_log_is_cut_off() {
    let stage = stage("");
    let mut runner = open(&stage);
    assert_eq!(text(&mut runner, "chatter"), "said");
    let lines = stage.log.lines();
    assert_eq!(lines.len(), 1_001, "the greeting's line, 999 lines, and one that says so");
    assert!(lines[1_000].contains("logs too much"));
}

#[test]
fn process_exit_during_call_reports_exit_status() {
    for (name, how) in [
        ("exit", "exit status 3"),
        ("exit 0", "exit status 0"),
        ("abort", "signal 6 (SIGABRT)"),
        ("segv", "signal 11 (SIGSEGV)"),
        ("term", "signal 15 (SIGTERM)"),
    ] {
        let stage = stage("");
        let mut runner = open(&stage);
        let failure = failure(&mut runner, name, amply());
        assert_eq!(failure.code(), "E11.died");
        let message = format!("the plugin's process ended during `get`: {how}");
        assert_eq!(failure.to_string(), message);
        let blamed = if name == "term" { vec![] } else { vec![message] };
        assert_eq!(*stage.blamed.lock().unwrap(), blamed);
        // The next call opens the vault again.
        assert_eq!(text(&mut runner, "folder"), "/");
    }
}

#[test]
fn unguarded_plugin_panic_ends_only_runner_process() {
    let mut runner = open(&stage(""));
    assert_eq!(failure(&mut runner, "panic", amply()).code(), "E11.died");
}

#[test]
fn hanging_call_is_killed_at_deadline() {
    for name in ["hang", "spin"] {
        let stage = stage("");
        let mut runner = open(&stage);
        let pid = runner.carrier().process_id().unwrap().to_string();
        let started = Instant::now();
        let failure = failure(&mut runner, name, within(300));
        assert_eq!(failure.code(), "E11.late");
        let text = failure.to_string();
        assert!(text.starts_with("the plugin process timed out during `get`"), "{text}");
        let took = started.elapsed();
        assert!((300..2_000).contains(&took.as_millis()), "{took:?}");
        assert!(is_gone(&pid));
        assert_eq!(runner.carrier().process_id(), None);
    }
}

#[test]
fn vault_that_reports_timed_out_keeps_its_runner() {
    let mut runner = open(&stage(""));
    let before = runner.carrier().process_id();
    let error = Vault::get(&mut runner, &get_by("says late", within(100))).unwrap_err();
    assert_eq!(error.kind(), api::ErrorKind::TimedOut);
    assert!(runner.carrier_mut().failure().is_none());
    assert_eq!(runner.carrier().process_id(), before);
    let error = Vault::get(&mut runner, &get_by("folder", within(0))).unwrap_err();
    assert_eq!(error.kind(), api::ErrorKind::TimedOut);
    assert_eq!(runner.carrier().process_id(), before, "it was not even asked");
}

#[test]
fn exit_between_calls_starts_new_process() {
    let stage = stage("");
    let mut runner = open(&stage);
    for round in 1..=3 {
        let pid = runner.carrier().process_id().unwrap().to_string();
        assert_eq!(text(&mut runner, "exit soon"), "soon");
        assert!(eventually(|| is_gone(&pid)));
        assert_eq!(text(&mut runner, "folder"), "/");
        let blamed = stage.blamed.lock().unwrap();
        assert_eq!(blamed.len(), round);
        assert_eq!(blamed[0], "the plugin's process ended between calls: exit status 9");
    }
}

#[test]
fn repeated_exits_back_off_until_reply() {
    let mut runner = open(&stage(""));
    assert_eq!(failure(&mut runner, "exit", amply()).code(), "E11.died");
    assert_eq!(failure(&mut runner, "exit", amply()).code(), "E11.died");
    let error = Vault::get(&mut runner, &get("folder")).unwrap_err();
    assert_eq!(error.kind(), api::ErrorKind::Unavailable);
    let wait = error.retry_after().unwrap();
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
    let failure = runner.carrier_mut().failure().unwrap();
    assert_eq!(failure.code(), "E11.backing-off");
    assert!(failure.to_string().contains("ended 2 times in a row"), "{failure}");
    std::thread::sleep(Duration::from_millis(120));
    assert_eq!(text(&mut runner, "folder"), "/");
    assert_eq!(super::supervise::pause_after(1), Duration::ZERO);
    assert_eq!(super::supervise::pause_after(3), Duration::from_millis(200));
    assert_eq!(super::supervise::pause_after(u32::MAX), Duration::from_secs(5));
}

#[test]
fn plugin_that_cannot_open_reports_cause() {
    let refused = not_opened("refuse", amply());
    assert!(matches!(&refused, CallError::Plugin(e) if e.message() == "not today"), "{refused}");
    // The loader's own code; the host ignores a code that the loader does not have.
    for (plugin, code) in [("unloadable", "E08.symbol"), ("unknown", "E11.unloadable")] {
        let unloadable = not_opened(plugin, amply());
        assert_eq!(unloadable.to_string(), "/plugins/faulty.so has no ABI");
        assert!(matches!(unloadable, CallError::Runner(error) if error.code() == code));
    }
    let died = not_opened("exit", amply());
    assert_eq!(died.to_string(), "the plugin's process ended during `open`: exit status 5");
    let late = not_opened("hang", within(300));
    assert!(matches!(late, CallError::Runner(Error::Late { .. })), "{late}");
}

#[test]
fn program_that_is_no_runner_is_named_in_error() {
    let other = |program: &str, arguments: &[&str], millis| {
        let mut setup = stage("").setup;
        setup.launch = Launch {
            arguments: arguments.iter().map(Into::into).collect(),
            ..Launch::new(program)
        };
        match Runner::open(setup, request(within(millis))).unwrap_err() {
            CallError::Runner(error) => (error.code(), error.to_string()),
            CallError::Plugin(error) => panic!("{error}"),
        }
    };
    let handshake = "E11.handshake";
    let says = |problem: &str| format!("/bin/sh is no runner of this keystead: {problem}");
    assert_eq!(
        other("/bin/sh", &["-c", "exit 3"], 20_000),
        (handshake, says("it ended with exit status 3"))
    );
    assert_eq!(
        other("/bin/sh", &["-c", "echo hello, world >&0; sleep 1000"], 20_000),
        (handshake, says("it sent a frame of an unknown kind"))
    );
    assert_eq!(other("/bin/sleep", &["1000"], 200).0, "E11.late");
    assert_eq!(
        other("/nowhere/keystead", &[], 20_000),
        ("E11.spawn", "cannot start the runner /nowhere/keystead".to_owned())
    );
}

#[test]
fn runner_outlives_opening_thread() {
    let stage = stage("");
    let setup = stage.setup.clone();
    let opener = move || Runner::open(setup, request(amply())).unwrap();
    let mut runner = std::thread::spawn(opener).join().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(text(&mut runner, "folder"), "/");
    assert!(stage.blamed.lock().unwrap().is_empty());
}

#[test]
fn dropped_runner_process_is_gone() {
    let runner = open(&stage(""));
    let pid = runner.carrier().process_id().unwrap();
    drop(runner);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn two_hundred_runners_leak_no_process_or_descriptor() {
    let status = stand_in::host("rounds").status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn killed_host_ends_runner_during_call() {
    let mut host = stand_in::host("hang").stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(host.stdout.take().unwrap()));
    let pid =
        lines.map(Result::unwrap).find_map(|line| Some(line.strip_prefix("pid ")?.to_owned()));
    let pid = pid.unwrap();
    assert!(!is_gone(&pid));
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(eventually(|| is_gone(&pid)));
}

#[test]
#[ignore = "needs root"]
fn runner_works_without_root_needs_root() {
    // From a directory that every user can enter, wherever this was built.
    let dir = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let program = dir.path().join("host");
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut host = stand_in::host_at(&program, "rounds");
    let status = std::os::unix::process::CommandExt::uid(&mut host, 65_533).status().unwrap();
    assert!(status.success(), "{status}");
}
