//! A program with vaults of its own: the library without the `keystead` command. It reads
//! no environment and touches no terminal; all it needs it is given here.
//!
//! `cargo run --example embed -- PLUGIN.so` installs the plugin file into a temporary
//! directory, registers a vault for this process only, and keeps a secret in it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use keystead::api::{SecretName, Value, VaultName, WriteMode};
use keystead::paths::Paths;
use keystead::trust::InProcess;
use keystead::trust::{self, OnIdConflict, TrustDecision};
use keystead::{Host, NewRegistration, NewSecret, NonInteractive, Options, RunMode, SearchScope};

fn main() -> ExitCode {
    // Isolated plugins run in this very program, started once more: first of all, so that
    // nothing else of ours happens there.
    if let Some(code) = keystead::runner::dispatch(std::env::args_os()) {
        return code;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut source: Option<&dyn std::error::Error> = Some(&*error);
            while let Some(cause) = source {
                #[allow(clippy::print_stderr, reason = "an example talks")]
                {
                    eprintln!("{cause}");
                }
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: embed PLUGIN.so")?;
    let plugin = plugin.canonicalize()?;
    let dir = tempfile::tempdir()?;
    let root = dir.path().canonicalize()?;
    let paths = Paths {
        system_config: "/etc/keystead".into(),
        user_config: Some(root.join("config")),
        user_data: Some(root.join("data")),
        packaged: Vec::new(),
    };
    let host = Host::new(Options::new(paths, "/proc/self/exe".into()));

    // The moment of trust: inspect, decide, and only then install.
    let candidate = host.plugins().examine(&plugin)?;
    let id = candidate.id().to_string();
    let decision =
        TrustDecision { place: trust::InstallTarget::User, in_process: InProcess::Never };
    host.plugins().install(candidate, &decision, OnIdConflict::Refuse)?;

    let name = VaultName::parse("app")?;
    let plan = host.plan_registration(NewRegistration::new(name.clone(), id, root.clone()))?;
    host.register_for_this_process(plan);

    // A host is `Send + Sync`: calls from several threads, a clone in each.
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let host = host.clone();
            let vault = name.clone();
            thread::spawn(move || -> Result<(), keystead::Error> {
                let secret = SecretName::parse(&format!("worker/{number}")).expect("a good name");
                let new = NewSecret {
                    name: secret.clone(),
                    vault: Some(vault.clone()),
                    value: Value::text(format!("value {number}")),
                    field: None,
                    metadata: None,
                    mode: WriteMode::CreateOnly,
                    run: RunMode::Apply,
                };
                host.set(new, &mut NonInteractive)?;
                let found = host.get(&secret, &SearchScope::Vault(vault), &mut NonInteractive)?;
                assert_eq!(found.secret.value, Value::text(format!("value {number}")));
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panics")?;
    }
    let listing = host.list(None, Some(&name), &mut NonInteractive)?;
    #[allow(clippy::print_stdout, reason = "an example talks")]
    for found in &listing.entries {
        println!("{}", found.entry.name);
    }
    assert_eq!(listing.entries.len(), 4);
    Ok(())
}
