//! The row that needs a test of its own: it tries to outlive its host.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::End::ByHand;
use super::{Pace, Row};
use crate::cli::sandbox::Sandbox;
use crate::plugin_files::zoo;

pub(super) const ROWS: &[Row] = &[Row {
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
}];

/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the command with a vault of `outlives`, and returns when the plugin is ready to stay.
fn ready_to_stay(sandbox: &Sandbox, placement: &str) -> Child {
    let file = zoo("outlives", sandbox.root(), &[]);
    sandbox.run("plugin install --yes --quiet", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("plugin trust --yes --quiet --danger-in-process outlives", &[]).succeeds();
    let register = "vault register odd --plugin outlives --placement";
    sandbox.run(register, &[placement]).succeeds();
    let name = sandbox.root().display().to_string();
    let mut command = sandbox.command("get -V odd --timeout 10m", &[&name]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let is_ready = |line: std::io::Result<String>| line.unwrap().contains("it is ready");
    assert!(stderr.lines().any(is_ready), "it was never ready");
    child
}

/// Returns the processes that this command began, all of which still have its last argument or
/// the runner's.
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
fn a_plugin_ends_with_its_host_whatever_it_does_to_stay() {
    let sandbox = Sandbox::empty();
    let mut command = ready_to_stay(&sandbox, "isolated");
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
fn in_process_a_child_of_the_plugin_outlives_the_host() {
    let sandbox = Sandbox::empty();
    let mut command = ready_to_stay(&sandbox, "in-process");
    let begun = begun_by(&command);
    assert_eq!(begun.len(), 1, "{begun:?}");
    command.kill().unwrap();
    command.wait().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let stays = super::run::runs(&begun[0]);
    kill_process(pid_of(&begun[0]), Signal::KILL).unwrap();
    assert!(stays);
}
