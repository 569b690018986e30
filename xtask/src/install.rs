//! `cargo xtask install`: builds the plugins, then the host that carries their hashes, tries
//! the whole in a temporary home, and only then puts it in its place.

mod build;
mod tour;
mod tree;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::process::{captured, output};
use crate::workspace::Workspace;

use build::Plugin;
use tree::Stage;

/// A shell, where its completions go below the prefix, and what makes it read them.
struct Shell {
    name: &'static str,
    file: &'static str,
}

const SHELLS: [Shell; 5] = [
    Shell { name: "bash", file: "share/bash-completion/completions/keystead" },
    Shell { name: "zsh", file: "share/zsh/site-functions/_keystead" },
    Shell { name: "fish", file: "share/fish/vendor_completions.d/keystead.fish" },
    Shell { name: "powershell", file: "share/keystead/keystead.ps1" },
    Shell { name: "nushell", file: "share/nushell/vendor/autoload/keystead.nu" },
];

/// Installs everything below a prefix.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let prefix = prefix(words)?;
    let workspace = Workspace::here()?;
    println!("building the plugins and the host for {}", prefix.display());
    let plugins = build::plugins(&workspace)?;
    let host = build::host(&workspace, &plugins, "release")?;

    let stage = Stage::below(&prefix)?;
    fill(&stage, &host, &plugins)?;
    fill_with_contract(&stage, &workspace)?;
    tour::walk(stage.path())?;
    let installed = stage.install(&prefix)?;
    tour::last_look(&prefix)?;

    println!("\ninstalled below {}:", prefix.display());
    for (folder, count) in by_folder(&installed, &prefix) {
        println!("  {folder}: {count}");
    }
    if !is_on_path(&prefix.join("bin")) {
        println!(
            "\n{} is not on PATH yet. Add this line to your shell's start file:",
            prefix.join("bin").display()
        );
        println!("  export PATH=\"{}:$PATH\"", prefix.join("bin").display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs the binary, built with some profile, and the plugins with their pins, but nothing
/// for people; returns the file of one of the plugins.
pub(crate) fn bare(
    workspace: &Workspace,
    prefix: &Path,
    profile: &str,
    wanted: &str,
) -> Result<PathBuf> {
    let plugins = build::plugins(workspace)?;
    let host = build::host(workspace, &plugins, profile)?;
    let stage = Stage::below(prefix)?;
    fill_with_binaries(&stage, &host, &plugins)?;
    let installed = stage.install(prefix)?;
    let wanted = plugins
        .iter()
        .find(|plugin| plugin.id == wanted)
        .ok_or_else(|| format!("there is no plugin `{wanted}`"))?;
    let file = installed
        .into_iter()
        .find(|file| file.file_stem().is_some_and(|stem| stem == wanted.sha256.as_str()));
    Ok(file.ok_or_else(|| format!("the plugin `{}` was not installed", wanted.id))?)
}

/// Returns the absolute folder to install below: `--prefix`, else `~/.local`.
fn prefix(words: &[String]) -> Result<PathBuf> {
    let given = match words {
        [] => None,
        [flag, folder] if flag == "--prefix" => Some(folder.as_str()),
        [both] if both.starts_with("--prefix=") => both.strip_prefix("--prefix="),
        _ => return Err("usage: cargo xtask install [--prefix DIR]".into()),
    };
    match given {
        Some("") => Err("`--prefix` is empty".into()),
        Some(folder) => Ok(std::path::absolute(folder)?),
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
    for shell in &SHELLS {
        let text = printed(&keystead, home.path(), &["completions", shell.name])?;
        stage.write(shell.file, text.as_bytes())?;
    }
    let pages = home.path().join("man1");
    fs_err::create_dir(&pages)?;
    printed(&keystead, home.path(), &["man", "--dir", &pages.to_string_lossy()])?;
    for page in fs_err::read_dir(&pages)? {
        let page = page?.path();
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        stage.write(&format!("share/man/man1/{name}"), &fs_err::read(&page)?)?;
    }
    Ok(())
}

/// Puts the sources of plugin-api into the stage: `keystead plugin new` builds on them.
fn fill_with_contract(stage: &Stage, workspace: &Workspace) -> Result<()> {
    for file in workspace.files_below("plugin-api")? {
        if !file.starts_with("plugin-api/tests") {
            let bytes = fs_err::read(workspace.root().join(&file))?;
            stage.write(&format!("share/keystead/{}", file.display()), &bytes)?;
        }
    }
    Ok(())
}

/// Puts what runs into the stage and returns where the host is.
fn fill_with_binaries(stage: &Stage, host: &Path, plugins: &[Plugin]) -> Result<PathBuf> {
    for plugin in plugins {
        stage.copy(&plugin.file, &format!("lib/keystead/plugins/{}.so", plugin.sha256), 0o444)?;
        stage.write(&format!("lib/keystead/pins.d/{}.toml", plugin.id), plugin.pin().as_bytes())?;
    }
    stage.copy(host, "bin/keystead", 0o755)
}

/// Runs the new binary in a bare environment and returns what it printed.
fn printed(keystead: &Path, home: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(keystead);
    command.args(words).env_clear().env("HOME", home).current_dir(home);
    let answer = output(&mut command)?;
    if answer.status.success() && (!answer.stdout.is_empty() || words[0] == "man") {
        return Ok(String::from_utf8(answer.stdout)?);
    }
    let (_, said) = captured(&mut command);
    Err(format!("the new binary does not answer `keystead {}`:\n{said}", words.join(" ")).into())
}

/// Returns what was installed in each folder: a name, or a number where there are many.
fn by_folder(installed: &[PathBuf], prefix: &Path) -> BTreeMap<String, String> {
    let contract = Path::new("share/keystead/plugin-api");
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in installed {
        let file = file.strip_prefix(prefix).unwrap_or(file);
        let folder = if file.starts_with(contract) { Some(contract) } else { file.parent() };
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        names.entry(folder.unwrap_or(file).display().to_string()).or_default().push(name);
    }
    let shown = |names: Vec<String>| match names.len() {
        0..=3 => names.join(", "),
        many => format!("{many} files"),
    };
    names.into_iter().map(|(folder, names)| (folder, shown(names))).collect()
}

/// Says whether a folder is on PATH.
fn is_on_path(folder: &Path) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|own| own == folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn both_spellings_of_prefix_are_read_and_made_absolute() {
        assert_eq!(prefix(&words(&["--prefix", "/tmp/x"])).unwrap(), Path::new("/tmp/x"));
        assert_eq!(prefix(&words(&["--prefix=/tmp/x"])).unwrap(), Path::new("/tmp/x"));
        assert!(prefix(&words(&["--prefix", "x"])).unwrap().is_absolute());
        assert!(prefix(&words(&["--prefix="])).is_err());
        assert!(prefix(&words(&["--perfix", "x"])).is_err());
    }
}
