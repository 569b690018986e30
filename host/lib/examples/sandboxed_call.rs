//! How long a call to a plugin in a sandbox takes, and how much memory of its own the sandbox has:
//! `cargo run --release --example sandboxed_call -- PLUGIN.so`, for the plugin `memory`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead::api::{
    Deadline, ExecOutput, ExecRequest, GetRequest, Level, OpenRequest, Parameters, SecretName,
    Services, SetRequest, Value, Vault, VaultName,
};
use keystead::internals::plugin::grant::Granted;
use keystead::internals::plugin::runner::{self, Image, Launch, Runner, Setup};
use keystead::paths::Paths;
use keystead::trust::{PluginStore, Privilege};

/// How many calls are made before they are counted, and then.
const CALLS: u32 = 20_000;

/// The bytes of a page of memory, on all machines that this runs on.
const PAGE: u64 = 4_096;

fn main() -> ExitCode {
    // The sandbox is this very program, started once more.
    if let Some(code) = runner::dispatch(std::env::args_os()) {
        return code;
    }
    match measured() {
        Ok((call, private)) => {
            #[allow(clippy::print_stdout, reason = "an example talks")]
            {
                println!("{} ns a call, {private} bytes of its own", call.as_nanos());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "an example talks")]
            {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn measured() -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).ok_or("usage: sandboxed_call PLUGIN.so")?;
    let nowhere = || std::path::PathBuf::from("/nonexistent/keystead");
    let paths = Paths {
        system_config: nowhere(),
        user_config: None,
        user_data: None,
        packaged: Vec::new(),
    };
    let plugins = PluginStore::new(&paths, Privilege::Ordinary);
    let plugin = plugins.unpinned(plugins.examine(&std::path::absolute(file)?)?)?;
    let setup = Setup {
        launch: Launch::new("/proc/self/exe"),
        image: Image::of_unpinned(&plugin)?,
        known: None,
        granted: Granted::nothing(&plugin),
        services: Arc::new(Silent),
        on_misbehaviour: Arc::new(|_| {}),
    };
    let deadline = || Deadline::after(Duration::from_secs(20));
    let vault = VaultName::parse("measured")?;
    let request = OpenRequest::new(vault, "memory", Parameters::new(), deadline());
    let mut runner = Runner::open(setup, request).map_err(|error| format!("{error:?}"))?;
    let name = SecretName::parse("a")?;
    runner
        .set(SetRequest::new(name.clone(), Value::text("x".repeat(32)), deadline()))
        .map_err(|error| error.message().to_owned())?;
    let get = GetRequest::new(name, deadline());
    let mut calls = |count| -> Result<Duration, String> {
        let start = Instant::now();
        for _ in 0..count {
            runner.get(&get).map_err(|error| error.message().to_owned())?;
        }
        Ok(start.elapsed() / count)
    };
    calls(CALLS)?;
    // Of several rounds the quickest is the one that nobody disturbed.
    let mut rounds = Vec::new();
    for _ in 0..10 {
        rounds.push(calls(CALLS)?);
    }
    let quickest = rounds.into_iter().min().unwrap_or_default();
    let process = runner.carrier().process_id().ok_or("the plugin's process has ended")?;
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm"))?;
    let mut pages = pages.split_whitespace().skip(1).map(str::parse::<u64>);
    let (Some(Ok(all)), Some(Ok(shared))) = (pages.next(), pages.next()) else {
        return Err("the system does not tell the process's memory".into());
    };
    Ok((quickest, (all - shared) * PAGE))
}

/// A host that does nothing for the plugin.
struct Silent;

impl Services for Silent {
    fn log(&self, _: Level, _: &str) {}

    fn exec(&self, _: ExecRequest) -> keystead::api::Result<ExecOutput> {
        Err(keystead::api::Error::permission_denied("not granted"))
    }
}
