//! Rows that need their own tests: they outlive their host, block it, or send data without end.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use keystead::api::{SecretName, VaultName};
use keystead::{NonInteractive, SearchScope as Where};
use rustix::process::{Pid, Signal, kill_process};

use super::End::ByHand;
use super::place::Place;
use super::run::{Sandboxed, ended_within};
use super::{Pace, Row};
use crate::cli::sandbox::Sandbox;
use crate::plugin_files::hostile;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "outlives",
        does: "shuts out signals, cuts itself off from its parent's end, makes a child in another \
               session, and stays; then its host is killed",
        tries: &[(
            "stay",
            ByHand("killed with its host; there is no child"),
            ByHand("its child stays"),
        )],
        in_process: "not contained",
        pace: Pace::Slow,
    },
    Row {
        name: "lingers",
        does: "with the network granted: hands its host a connection that takes a minute to close",
        tries: &[(
            "linger",
            ByHand("the host does not wait for it"),
            ByHand("there is nobody to hand it to"),
        )],
        in_process: "it can hold up the host without that",
        pace: Pace::Slow,
    },
    Row {
        name: "endless",
        does: "lists names without end, page after page, each with as much metadata as it may have",
        tries: &[("list", ByHand("an error of its vault"), ByHand("an error of its vault"))],
        in_process: "as in the sandbox",
        pace: Pace::Slow,
    },
];

/// Time limit for steps that normally take no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a home with a vault `odd` of this plugin.
fn with(name: &str, placement: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let file = hostile(name, sandbox.root(), &[]);
    sandbox.run("plugin install --yes --quiet", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("plugin trust --yes --quiet --danger-in-process", &[name]).succeeds();
    let register = format!("vault register odd --placement {placement} --plugin {name}");
    sandbox.run(&register, &[]).succeeds();
    sandbox
}

/// Starts the command with a vault of `outlives`, and returns when the plugin is ready to stay.
fn ready_to_stay(sandbox: &Sandbox) -> Child {
    let name = sandbox.root().display().to_string();
    let mut command = sandbox.command("get -V odd --timeout 10m", &[&name]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let is_ready = |line: std::io::Result<String>| line.unwrap().contains("it is ready");
    assert!(stderr.lines().any(is_ready), "it was never ready");
    child
}

/// Returns the child processes of this command.
fn begun_by(command: &Child) -> Vec<PathBuf> {
    let parent = command.id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process = entry.ok()?.path();
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let rest = stat.rsplit(") ").next()?.to_owned();
        (rest.split(' ').nth(1)? == parent).then_some(process)
    });
    processes.collect()
}

fn pid_of(process: &Path) -> Pid {
    let number = process.file_name().unwrap().to_str().unwrap().parse().unwrap();
    Pid::from_raw(number).unwrap()
}

#[test]
fn runner_ends_with_killed_host() {
    let sandbox = with("outlives", "isolated");
    let mut command = ready_to_stay(&sandbox);
    let begun = begun_by(&command);
    assert_eq!(begun.len(), 1, "the runner, and no child of the plugin's: {begun:?}");
    assert_eq!(begun_by_runner(&begun[0]), 0);
    command.kill().unwrap();
    command.wait().unwrap();
    let until = Instant::now() + PATIENCE;
    while super::run::runs(&begun[0]) {
        assert!(Instant::now() < until, "{} outlives its host", begun[0].display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn begun_by_runner(runner: &Path) -> usize {
    let children = runner.join("task").join(runner.file_name().unwrap()).join("children");
    std::fs::read_to_string(children).unwrap().split_whitespace().count()
}

#[test]
fn in_process_child_of_plugin_outlives_host() {
    let sandbox = with("outlives", "in-process");
    let mut command = ready_to_stay(&sandbox);
    let begun = begun_by(&command);
    assert_eq!(begun.len(), 1, "{begun:?}");
    command.kill().unwrap();
    command.wait().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let stays = super::run::runs(&begun[0]);
    kill_process(pid_of(&begun[0]), Signal::KILL).unwrap();
    assert!(stays);
}

#[test]
fn slow_closing_connection_does_not_block_host() {
    let row = ROWS.iter().find(|row| row.name == "lingers").unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let what = format!("linger:60/{}", server.local_addr().unwrap().port());
    let place = Place::new();
    let sandbox = Sandboxed::new(row, &place, PATIENCE);
    let (host, name) = (sandbox.scene.host.clone(), SecretName::parse(&what).unwrap());
    let odd = Where::Vault(VaultName::parse("odd").unwrap());
    let (sender, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let answer = host.get(&name, &odd, &mut NonInteractive).map(drop);
        let _ = sender.send(answer.map_err(|error| crate::scene::story(&error)));
    });
    // A blocked host takes a minute.
    let answer = answered.recv_timeout(PATIENCE + PATIENCE);
    assert!(answer.is_ok(), "the host waits for a plugin's connection to close");
    sandbox.scene.end();
    drop(server);
}

#[test]
fn in_process_plugin_cannot_hand_over_connection() {
    let sandbox = with("lingers", "in-process");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let what = format!("linger:0/{}", server.local_addr().unwrap().port());
    let mut child = sandbox.command("get -V odd", &[&what]).stdout(Stdio::piped()).spawn().unwrap();
    assert!(ended_within(&mut child, PATIENCE).is_some_and(|status| status.success()));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut said).unwrap();
    assert_eq!(said, "no connection");
}

#[test]
fn endless_listing_fails_within_memory_limit() {
    for placement in ["isolated", "in-process"] {
        let sandbox = with("endless", placement);
        // With 3 GiB of memory, so that the machine survives even if the host does not.
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "ulimit -v 3000000; exec \"$0\" list -V odd --timeout 2s"]);
        command.arg(env!("CARGO_BIN_EXE_keystead")).env_clear();
        command.env("HOME", sandbox.root().join("home")).env("PATH", "/usr/bin:/bin");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let status = ended_within(&mut child, 3 * PATIENCE);
        let _ = child.kill();
        child.wait().unwrap();
        let code = status.expect("it goes on for ever").code();
        assert!(code.is_some_and(|code| code != 0), "the host has ended: {status:?}");
    }
}
