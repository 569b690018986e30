//! `cargo xtask install`: builds the plugins, then the host that carries their hashes, tries
//! the whole in a temporary home, and only then puts it in its place.

mod build;
mod tour;
mod tree;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::Result;
use crate::process::stdout;
use crate::workspace::Workspace;

use build::Plugin;
use tree::Stage;

/// The mode of files that everyone may read.
const READABLE: u32 = 0o644;

/// Shells, and where the completions of each go below the prefix.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "share/bash-completion/completions/keystead"),
    ("zsh", "share/zsh/site-functions/_keystead"),
    ("fish", "share/fish/vendor_completions.d/keystead.fish"),
    ("powershell", "share/keystead/keystead.ps1"),
    ("nushell", "share/nushell/vendor/autoload/keystead.nu"),
];

/// Installs everything below a prefix.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let prefix = prefix(words)?;
    let workspace = Workspace::here()?;
    println!("building the plugins and the host for {}", prefix.display());
    let plugins = build::plugins(&workspace)?;
    let host = build::host(&workspace, &plugins)?;

    let stage = Stage::below(&prefix)?;
    fill(&stage, &host, &plugins)?;
    fill_with_contract(&stage, &workspace)?;
    tour::walk(stage.path())?;
    let installed = stage.install(&prefix)?;
    tour::last_look(&prefix)?;

    let mut counts: BTreeMap<&OsStr, usize> = BTreeMap::new();
    for dir in installed.iter().filter_map(|file| file.strip_prefix(&prefix).ok()?.iter().next()) {
        *counts.entry(dir).or_default() += 1;
    }
    println!("\ninstalled below {}:", prefix.display());
    counts.iter().for_each(|(dir, count)| println!("  {}: {count} files", dir.display()));
    let bin = prefix.join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|own| own == bin) {
        let bin = bin.display();
        println!("\n{bin} is not on PATH yet. Add this line to your shell's start file:");
        println!("  export PATH=\"{bin}:$PATH\"");
    }
    if let Some(line) = zsh_line(&prefix) {
        println!(
            "\nzsh does not look for completions there yet. Add this line to ~/.zshrc, before `compinit`:"
        );
        println!("  {line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the line that has zsh find its completion; `None` where it does, or is not installed.
fn zsh_line(prefix: &Path) -> Option<String> {
    let dir = prefix.join(SHELLS[1].1).parent()?.to_owned();
    // Without the start files of a user, which may do anything; they are read below.
    let mut zsh = Command::new("zsh");
    zsh.args(["-f", "-c", "print -rl -- $fpath"]).stdin(Stdio::null());
    let found = zsh.output().ok().filter(|output| output.status.success())?;
    let found = String::from_utf8_lossy(&found.stdout);
    let by_itself = found.lines().any(|known| Path::new(known) == dir);
    let home = env::var_os("ZDOTDIR").or_else(|| env::var_os("HOME")).map(PathBuf::from);
    let dir = dir.display().to_string();
    let is_told = home.is_some_and(|home| {
        let own = [".zshenv", ".zprofile", ".zshrc"].map(|file| home.join(file));
        own.iter().any(|file| fs_err::read_to_string(file).is_ok_and(|text| text.contains(&dir)))
    });
    let quoted = format!("'{}'", dir.replace('\'', "'\\''"));
    (!by_itself && !is_told).then(|| format!("fpath=({quoted} $fpath)"))
}

/// Installs the binary and the plugins with their pins, but nothing for people; returns the files of
/// some of the plugins.
pub(crate) fn bare(workspace: &Workspace, prefix: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let plugins = build::plugins(workspace)?;
    let host = build::host(workspace, &plugins)?;
    let stage = Stage::below(prefix)?;
    fill_with_binaries(&stage, &host, &plugins)?;
    stage.install(prefix)?;
    let file = |id: &&str| {
        let plugin = plugins.iter().find(|plugin| plugin.id == *id);
        let plugin = plugin.ok_or_else(|| format!("there is no plugin `{id}`"))?;
        Ok(prefix.join(plugin.place()))
    };
    wanted.iter().map(file).collect()
}

/// Returns the absolute directory to install below: `--prefix`, else `~/.local`.
fn prefix(words: &[String]) -> Result<PathBuf> {
    let given = match words {
        [] => None,
        [flag, dir] if flag == "--prefix" => Some(dir.as_str()),
        [both] if both.starts_with("--prefix=") => both.strip_prefix("--prefix="),
        _ => return Err("usage: cargo xtask install [--prefix DIR]".into()),
    };
    match given {
        Some("") => Err("`--prefix` is empty".into()),
        Some(dir) => Ok(std::path::absolute(dir)?),
        None => match env::var_os("HOME").map(PathBuf::from) {
            Some(home) if home.is_absolute() => Ok(home.join(".local")),
            _ => Err("`HOME` is not an absolute path: say where with `--prefix DIR`".into()),
        },
    }
}

/// Puts every file of an installation into the stage.
fn fill(stage: &Stage, host: &Path, plugins: &[Plugin]) -> Result<()> {
    let keystead = fill_with_binaries(stage, host, plugins)?;
    let home = tempfile::tempdir()?;
    for (shell, file) in SHELLS {
        let text = printed(&keystead, home.path(), &["completions", shell])?;
        stage.put(file, text.as_bytes(), READABLE)?;
    }
    let pages = home.path().join("man1");
    fs_err::create_dir(&pages)?;
    printed(&keystead, home.path(), &["man", "--dir", &pages.to_string_lossy()])?;
    for page in fs_err::read_dir(&pages)? {
        let page = page?.path();
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        stage.put(&format!("share/man/man1/{name}"), &fs_err::read(&page)?, READABLE)?;
    }
    Ok(())
}

/// Puts the sources of plugin-api into the stage: `keystead plugin new` builds on them.
fn fill_with_contract(stage: &Stage, workspace: &Workspace) -> Result<()> {
    for file in workspace.files_below("plugin-api")? {
        if !file.starts_with("plugin-api/tests") {
            let bytes = fs_err::read(workspace.root().join(&file))?;
            stage.put(&format!("share/keystead/{}", file.display()), &bytes, READABLE)?;
        }
    }
    Ok(())
}

/// Puts what runs into the stage and returns where the host is.
fn fill_with_binaries(stage: &Stage, host: &Path, plugins: &[Plugin]) -> Result<PathBuf> {
    for plugin in plugins {
        stage.put(&plugin.place(), &fs_err::read(&plugin.file)?, 0o444)?;
        let pin = format!("lib/keystead/pins.d/{}.toml", plugin.id);
        stage.put(&pin, plugin.pin().as_bytes(), READABLE)?;
    }
    stage.put("bin/keystead", &fs_err::read(host)?, 0o755)
}

/// Runs the new binary in a bare environment and returns what it printed.
fn printed(keystead: &Path, home: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(keystead);
    command.args(words).env_clear().env("HOME", home).current_dir(home);
    let text = stdout(&mut command)?;
    if text.is_empty() && words[0] != "man" {
        return Err(format!("the new binary does not answer `keystead {}`", words.join(" ")).into());
    }
    Ok(text)
}
