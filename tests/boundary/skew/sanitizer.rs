//! Plugins in hosts of all versions, both built with AddressSanitizer. Neither accepted nor refused
//! items access invalid memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{header, matrix};
use crate::plugin_files::{Contract, cargo, repository, succeed, target};

/// Runs a host with a plugin, and returns its output and exit status.
fn run(host: &Path, plugin: &Path, abi: &[&str]) -> Output {
    let mut host = Command::new(host);
    host.arg(plugin).args(abi).env("ASAN_OPTIONS", "detect_leaks=0").output().unwrap()
}

/// Builds the plugin `skew` and `skew-host` with this contract and the sanitizer.
fn built(contract: Contract) -> (PathBuf, PathBuf) {
    let (name, features) = match contract {
        Contract::Today => ("today", &[][..]),
        Contract::Next => ("next", &["--features", "next"][..]),
    };
    // The target is named so that macros and build scripts are built without it.
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let dir = target().join("asan");
    let kept = dir.join(name);
    fs::create_dir_all(&kept).unwrap();
    for (package, file) in [("skew", "libskew.so"), ("skew-host", "skew-host")] {
        let mut build = cargo(&repository().join("tests/plugins"));
        build.args(["build", "--locked", "-p", package, "--target", &triple]).args(features);
        build.env("CARGO_TARGET_DIR", &dir).env("RUSTC_BOOTSTRAP", "1");
        // The plugins take the sanitizer from the host, which exports its symbols.
        succeed(build.env("RUSTFLAGS", "-Zsanitizer=address -Clink-arg=-rdynamic"));
        // The next build writes to the same path.
        fs::copy(dir.join(&triple).join("debug").join(file), kept.join(file)).unwrap();
    }
    (kept.join("libskew.so"), kept.join("skew-host"))
}

/// Compiles the C plugin with the sanitizer, without its library: the host provides that.
fn built_in_c(contract: Contract, options: &[&str], dir: &Path) -> PathBuf {
    let options = [&["-O1", "-g", "-fsanitize=address", "-c"], options].concat();
    let object = header::compiled(contract, &options, dir);
    let file = dir.join("skew_asan.so");
    succeed(Command::new("cc").arg("-shared").arg(&object).arg("-o").arg(&file));
    file
}

#[test]
#[ignore = "needs asan"]
fn version_pairs_pass_address_sanitizer_needs_asan() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = Contract::ALL.map(|contract| (contract, built(contract)));
    for (host, (_, program)) in &hosts {
        for (plugin, (file, _)) in &hosts {
            let c = built_in_c(*plugin, &[], dir.path());
            for (language, file, abi) in
                [(matrix::Language::Rust, file, &[][..]), (matrix::Language::C, &c, &["c"])]
            {
                let output = run(program, file, abi);
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{language:?}, {plugin:?} in {host:?}: {error}");
                let told = String::from_utf8(output.stdout).unwrap();
                matrix::check_line("sanitized", language, *plugin, *host, &told);
            }
        }
    }
    // The sanitizer detects a host's reads of a plugin's memory, and a plugin's of a host's.
    let (_, program) = &hosts[0].1;
    for (planted, expected) in [
        ("PLANTED_LENGTH", "AddressSanitizer: heap-buffer-overflow"),
        ("PLANTED_REQUEST", "AddressSanitizer: heap-use-after-free"),
    ] {
        let own = dir.path().join(planted);
        fs::create_dir(&own).unwrap();
        let file = built_in_c(Contract::Today, &[&format!("-D{planted}")], &own);
        let output = run(program, &file, &["c"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{planted} was not found");
        assert!(error.contains(expected), "{planted}: {error}");
    }
}
