//! How long a `get` takes where one thread makes all of them, and where four threads share them:
//! `cargo run --release --example callers -- PLUGIN.so...`, for the plugins `store`, `memory` and
//! `files`, each isolated. One line a plugin: its id, nanoseconds with one thread, and with four.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::{SecretName, Value, VaultName, WriteMode};
use keystead::internals::plugin::runner;
use keystead::paths::Paths;
use keystead::trust::InProcess;
use keystead::trust::{self, OnIdConflict, TrustDecision};
use keystead::{Host, NewRegistration, NewSecret, NonInteractive, Options, RunMode, SearchScope};

/// How many calls a round has, whichever threads make them.
const CALLS: u32 = 20_000;

/// How many rounds: each of one thread is beside one of four, so that both meet the same machine.
const ROUNDS: usize = 7;

/// How many threads share the calls.
const THREADS: u32 = 4;

fn main() -> ExitCode {
    // A runner is this very program, started once more.
    if let Some(code) = runner::dispatch(std::env::args_os()) {
        return code;
    }
    let mut code = ExitCode::SUCCESS;
    for plugin in std::env::args_os().skip(1) {
        #[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks")]
        match measured(Path::new(&plugin)) {
            Ok((id, one, four)) => println!("{id} {} {}", one.as_nanos(), four.as_nanos()),
            Err(error) => {
                eprintln!("{}: {error}", plugin.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Returns a plugin's id, and the median time of a call with one thread and with four.
fn measured(file: &Path) -> Result<(String, Duration, Duration), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().canonicalize()?;
    let paths = Paths {
        system_config: root.join("etc"),
        user_config: Some(root.join("config")),
        user_data: Some(root.join("data")),
        packaged: Vec::new(),
    };
    let host = Host::new(Options::new(paths, "/proc/self/exe".into()));
    let candidate = host.plugins().examine(&std::path::absolute(file)?)?;
    let id = candidate.id().to_string();
    let decision =
        TrustDecision { place: trust::InstallTarget::User, in_process: InProcess::Never };
    host.plugins().install(candidate, &decision, OnIdConflict::Refuse)?;
    let vault = registered(&host, &id, &root)?;
    let name = SecretName::parse("a")?;
    let new = NewSecret {
        name: name.clone(),
        vault: Some(vault.clone()),
        value: Value::text("x".repeat(32)),
        field: None,
        metadata: None,
        mode: WriteMode::Upsert,
        run: RunMode::Apply,
    };
    host.set(new, &mut NonInteractive)?;
    let place = SearchScope::Vault(vault);
    let round = |threads: u32| -> Result<Duration, Box<dyn std::error::Error>> {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| -> keystead::Result<()> {
                        for _ in 0..CALLS / threads {
                            host.get(&name, &place, &mut NonInteractive)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            callers.into_iter().try_for_each(|caller| caller.join().expect("no caller panics"))
        })?;
        Ok(begin.elapsed() / CALLS)
    };
    let (mut one, mut four) = (Vec::new(), Vec::new());
    round(THREADS)?;
    for _ in 0..ROUNDS {
        one.push(round(1)?);
        four.push(round(THREADS)?);
    }
    one.sort_unstable();
    four.sort_unstable();
    Ok((id, one[ROUNDS / 2], four[ROUNDS / 2]))
}

/// Registers a vault that opens without a prompt.
fn registered(host: &Host, id: &str, root: &Path) -> Result<VaultName, Box<dyn std::error::Error>> {
    let dir: PathBuf = root.join("vault");
    std::fs::create_dir(&dir)?;
    let mut new = NewRegistration::new(VaultName::parse("measured")?, id, dir);
    let parameters: &[(&str, &str)] = match id {
        "store" => &[("path", "store"), ("key-file", "key/file")],
        "files" => &[("folder", "files")],
        _ => &[],
    };
    new.kind = (id == "files").then(|| "read-write".to_owned());
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    new.parameters.extend(parameters);
    new.placement = Some(Placement::Isolated);
    Ok(host.register(host.plan_registration(new)?)?.name)
}
