//! A first use of what is about to be installed, for a reader to follow: each command as it
//! would be typed, with what it really answered. A step that goes wrong ends the installation.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::captured;

/// One command of the tour.
struct Step {
    why: &'static str,
    typed: &'static str,
    /// What its answer must hold.
    answers: &'static str,
    /// How it must exit.
    code: i32,
}

const STEPS: [Step; 7] = [
    Step {
        why: "A vault is a place that holds secrets. The local one is an encrypted file; here a key file opens it.",
        typed: "keystead vault register tour --plugin store --param path=\"$HOME/tour\" --param key-file=\"$HOME/tour.key\"",
        answers: "tour",
        code: 0,
    },
    Step {
        why: "A value comes from standard input or a file, never from the command line.",
        typed: "printf 'correct horse' | keystead set greeting --stdin",
        answers: "",
        code: 0,
    },
    Step {
        why: "Reading gives exactly the bytes.",
        typed: "keystead get greeting",
        answers: "correct horse",
        code: 0,
    },
    Step {
        why: "Listing shows names, never values.",
        typed: "keystead list",
        answers: "greeting",
        code: 0,
    },
    Step { why: "Removing a secret.", typed: "keystead remove greeting", answers: "", code: 0 },
    Step {
        why: "A secret that is not there is exit code 3.",
        typed: "keystead get greeting",
        answers: "greeting",
        code: 3,
    },
    Step {
        why: "Unregistering leaves the vault's own file alone.",
        typed: "keystead vault unregister tour && ls \"$HOME/tour\"",
        answers: "store.db",
        code: 0,
    },
];

/// Walks through the tour with the binary of a prefix, in a home of its own.
pub(super) fn walk(prefix: &Path) -> Result<()> {
    println!("\na tour, in a temporary home that is removed afterwards:");
    let home = tempfile::Builder::new().prefix("keystead-tour-").tempdir()?;
    for Step { why, typed, answers, code } in &STEPS {
        println!("\n# {why}\n$ {typed}");
        let (status, output) = typed_in(prefix, home.path(), typed)?;
        let shown = output.trim_end_matches('\n');
        if !shown.is_empty() {
            println!("{shown}");
        }
        if status != Some(*code) {
            return Err(format!(
                "the tour's `{typed}` exited with {status:?}, not {code}: nothing was installed"
            )
            .into());
        }
        if !output.contains(answers) {
            return Err(format!(
                "the tour's `{typed}` does not say `{answers}`: nothing was installed"
            )
            .into());
        }
    }
    Ok(())
}

/// Checks that the installed binary accepts its plugins where they are now.
pub(super) fn last_look(prefix: &Path) -> Result<()> {
    let home = tempfile::tempdir()?;
    let typed = "keystead vault register look --plugin memory && \
                 keystead vault register safe --plugin store && keystead list";
    match typed_in(prefix, home.path(), typed)? {
        (Some(0), _) => Ok(()),
        (_, output) => Err(format!(
            "installed below {}, but from there the binary does not accept its own plugins:\n{output}",
            prefix.display()
        )
        .into()),
    }
}

/// Runs a line of shell as if typed, and returns its exit code and all it said.
fn typed_in(prefix: &Path, home: &Path, typed: &str) -> Result<(Option<i32>, String)> {
    let mut path = prefix.join("bin").into_os_string();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{typed}\necho \"exit=$?\"")]);
    shell.env_clear().env("PATH", path).env("HOME", home).env("TMPDIR", home).current_dir(home);
    for (variable, folder) in [
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_STATE_HOME", ".local/state"),
    ] {
        shell.env(variable, home.join(folder));
    }
    let (_, output) = captured(&mut shell);
    let (_, said) = output.split_once('\n').unwrap_or(("", &output));
    let Some((said, code)) = said.rsplit_once("exit=") else {
        return Err(format!("`{typed}` could not be run: {output}").into());
    };
    Ok((code.trim().parse().ok(), said.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_has_its_own_home_and_tells_its_exit_code() {
        let home = tempfile::tempdir().unwrap();
        let (code, said) = typed_in(
            Path::new("/nowhere"),
            home.path(),
            "printf \"$HOME\"; exit_with() { return 3; }; exit_with",
        )
        .unwrap();
        assert_eq!((code, said), (Some(3), home.path().display().to_string()));
    }
}
