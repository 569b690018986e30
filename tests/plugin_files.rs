//! Builds the plugins under `tests/plugins` once for each test run, and returns their paths.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Returns the target directory of all these builds. The plugins share one, so that common
/// dependencies build once.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("plugins")
}

/// Returns the path where the plugin `constructor-marks` leaves its mark.
pub(crate) fn mark() -> PathBuf {
    target().join("mark")
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

fn plugins() -> PathBuf {
    repository().join("tests/plugins")
}

/// Returns a cargo command without the environment of this build.
pub(crate) fn cargo(dir: &Path) -> Command {
    cargo_of(env!("CARGO").as_ref(), dir)
}

/// Returns the same for another cargo.
pub(crate) fn cargo_of(program: &OsStr, dir: &Path) -> Command {
    let mut cargo = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_ours = text.starts_with("CARGO_") && text != "CARGO_HOME";
        if is_ours
            || text.starts_with("RUST") && !text.starts_with("RUSTUP")
            || text == "LD_LIBRARY_PATH"
        {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(dir).env("CARGO_TARGET_DIR", target()).env("KEYSTEAD_TEST_MARK", mark());
    cargo
}

pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

fn library(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("lib{}.so", name.replace('-', "_")))
}

/// Returns the file of the plugin in this directory of `tests/plugins`.
pub(crate) fn plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Packages that need two builds have separate ones.
        let apart = ["--exclude", "skew", "--exclude", "skew-host"];
        succeed(cargo(&plugins()).args(["build", "--locked", "--workspace"]).args(apart));
    });
    let file = library(&target().join("debug"), name);
    assert!(file.exists(), "{} is not among the members of tests/plugins", file.display());
    file
}

/// Returns the file of the plugin `ledger`, which has its own lock and is in no workspace.
pub(crate) fn ledger() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        succeed(cargo(&plugins().join("ledger")).args(["build", "--locked"]));
    });
    library(&target().join("debug"), "ledger")
}

/// Returns plugin-api as packaged, which is what an author gets.
pub(crate) fn packaged_api() -> &'static Path {
    static PACKAGED: OnceLock<PathBuf> = OnceLock::new();
    PACKAGED.get_or_init(|| {
        let api = repository().join("plugin-api");
        let mut package = cargo(&api);
        // Users of the package build it where it is, with its own manifest.
        succeed(package.args(["package", "--locked", "--no-verify", "--allow-dirty", "--quiet"]));
        let name = format!("keystead-plugin-api-{}", keystead::api::manifest::API_VERSION);
        let dir = target().join("package");
        let unpacked = dir.join("unpacked");
        let _ = fs::remove_dir_all(&unpacked);
        fs::create_dir_all(&unpacked).unwrap();
        let archive = dir.join(format!("{name}.crate"));
        succeed(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&unpacked));
        unpacked.join(name)
    })
}

/// Version of the contract for a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    Today,
    Next,
}

impl Contract {
    pub(crate) const ALL: [Self; 2] = [Self::Today, Self::Next];
}

/// Cargo profile of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Profile {
    pub(crate) const ALL: [Self; 2] = [Self::Debug, Self::Release];

    /// Returns the name of cargo's output directory for this profile.
    fn dir(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Returns the plugin `skew` and the program `skew-host`, built with this contract.
pub(crate) fn skewed(contract: Contract) -> (PathBuf, PathBuf) {
    skewed_in(contract, Profile::Debug)
}

/// Returns the same, built with this profile.
pub(crate) fn skewed_in(contract: Contract, profile: Profile) -> (PathBuf, PathBuf) {
    static DEBUG: OnceLock<()> = OnceLock::new();
    static RELEASE: OnceLock<()> = OnceLock::new();
    let kept = |contract| {
        let name = match contract {
            Contract::Today => "today",
            Contract::Next => "next",
        };
        target().join(name).join(profile.dir())
    };
    let (built, options) = match profile {
        Profile::Debug => (&DEBUG, &[][..]),
        Profile::Release => (&RELEASE, &["--release"][..]),
    };
    built.get_or_init(|| {
        for contract in Contract::ALL {
            let features = match contract {
                Contract::Today => &[][..],
                Contract::Next => &["--features", "next"],
            };
            let dir = kept(contract);
            fs::create_dir_all(&dir).unwrap();
            for package in ["skew", "skew-host"] {
                let mut build = cargo(&plugins());
                build.args(["build", "--locked", "-p", package]).args(features).args(options);
                build_and_keep(&mut build, package, profile, &dir);
            }
        }
    });
    let dir = kept(contract);
    (library(&dir, "skew"), dir.join("skew-host"))
}

/// Builds one package and keeps its file: the next build writes to the same path.
fn build_and_keep(build: &mut Command, package: &str, profile: Profile, dir: &Path) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    succeed(build);
    let from = target().join(profile.dir());
    let built = match package {
        "skew-host" => from.join(package),
        plugin => library(&from, plugin),
    };
    // A new file each time: the old one may be running.
    let (new, kept) = (dir.join("new"), dir.join(built.file_name().unwrap()));
    fs::copy(&built, &new).unwrap();
    fs::rename(&new, &kept).unwrap();
}

/// A change to a copy of plugin-api: file, old text, new text.
pub(crate) type Patch = (&'static str, &'static str, &'static str);

/// Returns the file of this plugin, built against a changed copy of plugin-api.
pub(crate) fn patched(plugin: &str, label: &str, patches: &[Patch], features: &[&str]) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_with(HashMap::new);
    if let Some(file) = built.get(label) {
        return file.clone();
    }
    let root = target().join("patched").join(label);
    let (repository, plugins) = (repository(), root.join("tests/plugins"));
    for dir in ["plugin-api/src", "plugin-api/docs", "tests/plugins"] {
        copy_patched(&repository.join(dir), &root.join(dir), patches, &root);
    }
    copy_file(
        &repository.join("plugin-api/Cargo.toml"),
        &root.join("plugin-api/Cargo.toml"),
        patches,
        &root,
    );
    let mut build = cargo(&plugins);
    build.args(["build", "-p", plugin]).args(features);
    build_and_keep(&mut build, plugin, Profile::Debug, &root);
    let file = library(&root, plugin);
    built.insert(label.to_owned(), file.clone());
    file
}

/// Returns the file of this plugin without the contract's own check of names. The host has its own
/// check.
pub(crate) fn unchecked(plugin: &str) -> PathBuf {
    let check = "    pub(crate) fn check(text: &str) -> Result<()> {\n";
    let none = "    pub(crate) fn check(text: &str) -> Result<()> {\n        return Ok(());\n        \
                #[allow(unreachable_code)]\n";
    patched(plugin, "unchecked", &[("plugin-api/src/name.rs", check, none)], &[])
}

/// Copies a directory and its contents.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    copy_patched(from, to, &[], to);
}

fn copy_patched(from: &Path, to: &Path, patches: &[Patch], root: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "target" {
            continue;
        }
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_patched(&entry.path(), &to, patches, root);
        } else {
            copy_file(&entry.path(), &to, patches, root);
        }
    }
}

/// Copies one file.
pub(crate) fn copy_one(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    copy_file(from, to, &[], to.parent().unwrap());
}

/// Copies a file with its patches. Leaves an up-to-date copy unchanged, as cargo compares times.
fn copy_file(from: &Path, to: &Path, patches: &[Patch], root: &Path) {
    let mut text = fs::read_to_string(from).unwrap();
    let own = to.strip_prefix(root).unwrap();
    for (_, old, new) in patches.iter().filter(|(path, ..)| own == Path::new(path)) {
        assert_eq!(text.matches(old).count(), 1, "`{old}` in {}", from.display());
        text = text.replace(old, new);
    }
    if fs::read_to_string(to).ok().as_ref() != Some(&text) {
        fs::write(to, text).unwrap();
    }
}

/// Builds a library from this C file.
pub(crate) fn c_library(name: &str, dir: &Path, options: &[String]) -> PathBuf {
    let file = dir.join(format!("{name}.so"));
    let source = plugins().join("c").join(format!("{name}.c"));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-Wl,-z,noexecstack", "-o"]).arg(&file).arg(source).args(options);
    succeed(&mut cc);
    file
}

/// Returns the compiler option for the contract's headers.
pub(crate) fn include() -> String {
    format!("-I{}", repository().join("plugin-api/include").display())
}

/// Returns the file of a C ABI plugin that breaks a rule: the one that these macros select, or the
/// one in a secret's name.
pub(crate) fn rule_breaker(dir: &Path, macros: &[&str]) -> PathBuf {
    let mut options = vec![include()];
    options.extend(macros.iter().map(|text| format!("-D{text}")));
    c_library("rule_breaker", dir, &options)
}

/// Returns the file of a plugin that uses these permissions. It also links every library that needs
/// no permission, as a plugin built for an older glibc does.
pub(crate) fn able(dir: &Path, permissions: &[&str]) -> PathBuf {
    able_with(dir, permissions, "")
}

/// Returns the same; its vault kind also makes these requests, in the manifest's syntax.
pub(crate) fn able_with(dir: &Path, permissions: &[&str], requests: &str) -> PathBuf {
    let asked: String = permissions.iter().map(|one| format!(",\\\"{one}\\\"")).collect();
    let file = dir.join("able.so");
    let mut cc = gnu_c("able");
    cc.arg(format!("-DPERMISSIONS_ASKED=\"{asked}\"")).arg("-o").arg(&file);
    cc.arg(format!("-DREQUESTS=\"{}\"", requests.replace('"', "\\\"")));
    cc.arg(plugins().join("able/able.c")).arg("-Wl,--no-as-needed");
    for name in ["libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1"] {
        cc.arg(format!("-l:{name}"));
    }
    if permissions.iter().any(|one| one.starts_with("library:")) {
        // The library's name for linking is in a separate package.
        let library = ["/lib/x86_64-linux-gnu/libz.so.1", "/usr/lib64/libz.so.1"];
        let library = library.iter().find(|path| Path::new(path).exists()).unwrap();
        cc.args(["-DWITH_LIBRARY", library]);
    }
    succeed(&mut cc);
    file
}

fn gnu_c(id: &str) -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wl,-z,noexecstack"]);
    cc.args(["-Wall", "-Wextra", "-Werror"]).arg(include()).arg(format!("-DHOSTILE=\"{id}\""));
    cc
}

/// Returns the file of this hostile plugin. Without any of these macros it is built only once.
pub(crate) fn hostile(name: &str, dir: &Path, macros: &[String]) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);
    let file = dir.join(format!("{name}.so"));
    let source = plugins().join("hostile").join(format!("{name}.c"));
    let build = || {
        let mut cc = gnu_c(name);
        cc.args(macros.iter().map(|text| format!("-D{text}"))).arg("-o").arg(&file);
        succeed(cc.arg(&source));
    };
    let text = fs::read_to_string(&source).unwrap();
    let words: Vec<_> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    if macros.iter().any(|text| words.contains(&text.split('=').next().unwrap())) {
        build();
        return file;
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_with(HashMap::new);
    match built.get(name) {
        Some(bytes) => fs::write(&file, bytes).unwrap(),
        None => {
            build();
            built.insert(name.to_owned(), fs::read(&file).unwrap());
        }
    }
    file
}

/// Returns the file of the vault in C, built as docs/guides/writing-a-plugin-in-c.md says.
pub(crate) fn c_vault(dir: &Path) -> PathBuf {
    compiled(&dir.join("c_vault.so"), &plugins().join("c-vault/c_vault.c"), &include())
}

/// Returns the file of the vault in C whose secrets all have metadata of a kind that this host does
/// not know. A newly opened vault has the secret `a`.
pub(crate) fn c_vault_of_later(dir: &Path) -> PathBuf {
    let source = fs::read_to_string(plugins().join("c-vault/c_vault.c")).unwrap();
    let known = "    for (size_t at = 0; at < one->count; at++) v->host->metadata(";
    let later = "    keystead_metadata later = {.size = sizeof later, .kind = 99};\n    \
                 later.key = keystead_text(\"later\");\n    \
                 v->host->metadata(reply, &later);\n";
    let opened = "    *vault = new;\n";
    let first = "    new->first = calloc(1, sizeof *new->first);\n    \
                 new->first->name = copy(keystead_text(\"a\"));\n    \
                 new->first->value = copy((keystead_bytes){\"\\6\\0\\0\\0canary\", 10});\n    \
                 new->first->kind = KEYSTEAD_VALUE_TEXT;\n";
    let source = source.replacen(known, &format!("{later}{known}"), 1);
    let source = source.replacen(opened, &format!("{first}{opened}"), 1);
    assert!(source.contains("&later") && source.contains("new->first->kind"));
    let changed = dir.join("later.c");
    fs::write(&changed, source).unwrap();
    compiled(&dir.join("later.so"), &changed, &include())
}

/// Returns the file of this vault in C, built with the headers of this compiler option.
pub(crate) fn compiled(file: &Path, source: &Path, include: &str) -> PathBuf {
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-shared", "-fPIC", "-s", "-Wall", "-Wextra", "-Werror"]);
    cc.arg(include).arg("-o").arg(file).arg(source);
    succeed(&mut cc);
    file.to_path_buf()
}

/// Returns the file of the vault in Go, built as docs/guides/writing-a-plugin-in-c.md says.
pub(crate) fn go_vault() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let dir = target().join("go");
    let file = dir.join("go_vault.so");
    BUILT.get_or_init(|| {
        let go = std::env::var_os("KEYSTEAD_TEST_GO").expect("`cargo xtask test` provides Go");
        fs::create_dir_all(&dir).unwrap();
        let mut build = Command::new(go);
        build.current_dir(plugins().join("go-vault"));
        build.args(["build", "-buildvcs=false", "-buildmode=c-shared", "-trimpath"]);
        build.args(["-ldflags=-s -w", "-o"]);
        build.arg(&file).arg(".").env("CGO_CFLAGS", format!("-O2 {}", include()));
        build.env("GOCACHE", dir.join("cache")).env("GOPATH", dir.join("path"));
        build.env("GOENV", "off").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
        succeed(&mut build);
    });
    file
}

/// Returns the file of a plugin whose actions differ from its manifest, which requests these
/// permissions. `target` is a foreign path that it tries to access.
pub(crate) fn actor(dir: &Path, permissions: &[&str], target: &Path) -> PathBuf {
    actor_with(dir, permissions, target, None)
}

/// Returns the same with a path parameter, `place`, that has this default.
pub(crate) fn actor_with(
    dir: &Path,
    permissions: &[&str],
    target: &Path,
    default: Option<&str>,
) -> PathBuf {
    let file = dir.join("actor.so");
    let asked: Vec<String> = permissions.iter().map(|one| format!("\\\"{one}\\\"")).collect();
    let mut cc = gnu_c("actor");
    if let Some(default) = default {
        let parameter = format!(
            r#"{{\\"name\\":\\"place\\",\\"kind\\":\\"path\\",\\"description\\":\\"\\",\\"required\\":false,\\"secret\\":false,\\"default\\":\\"{default}\\"}}"#
        );
        cc.arg(format!("-DPARAMETERS=\"{}\"", parameter.replace(r"\\", r"\")));
    }
    cc.arg(format!("-DGRANTED=\"{}\"", asked.join(",")));
    cc.arg(format!("-DTARGET=\"{}\"", target.display())).arg("-o").arg(&file);
    succeed(cc.arg(plugins().join("actor/actor.c")));
    file
}
