//! Tab in the shells themselves: the text that each inserts into the line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use rexpect::session::{PtySession, spawn_command};
use snapbox::{assert_data_eq, str};

use super::{patient, with_names};
use crate::cli::sandbox::Sandbox;

/// A shell at a terminal in which `keystead` prints its arguments; Tab still calls the real
/// command.
struct AtTerminal(PtySession);

impl AtTerminal {
    fn start(sandbox: &Sandbox, program: &OsString, arguments: &[&str], setup: &str) -> Self {
        let bin = sandbox.root().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_keystead"), bin.join("keystead")).unwrap();
        let like = patient(sandbox, "", &[]);
        let mut shell = Command::new(program);
        shell.args(arguments).env_clear().current_dir(like.get_current_dir().unwrap());
        for (name, value) in like.get_envs() {
            shell.env(name, value.unwrap());
        }
        shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        shell.env("TERM", "dumb").env("LC_ALL", "C.UTF-8").env("INPUTRC", "/dev/null");
        let mut session = spawn_command(shell, Some(30_000)).unwrap();
        session.send_line(setup).unwrap();
        // The quotes split the word, so that the echo of this line does not match.
        let show = "keystead() { printf '\\ncalled:'; printf '<%s>' \"$@\"; echo; }; echo rea''dy";
        session.send_line(show).unwrap();
        session.exp_string("ready\r\n").unwrap();
        Self(session)
    }

    /// Types a line with Tab at its end, and returns the arguments that the command gets.
    fn arguments(&mut self, line: &str) -> String {
        self.0.send(&format!("{line}\t")).unwrap();
        self.0.send_line("").unwrap();
        let (_, shown) = self.0.exp_regex("called:[^\r\n]*\r\n").unwrap();
        // The session returns each byte of the terminal as one character.
        let bytes = shown.trim().chars().map(|c| u8::try_from(c).unwrap()).collect();
        String::from_utf8(bytes).unwrap().replace("called:", "")
    }
}

#[test]
fn bash_completes_every_name_as_single_word() {
    let sandbox = with_names();
    let mut bash = AtTerminal::start(
        &sandbox,
        &"bash".into(),
        &["--norc", "--noprofile", "-i"],
        "source <(command keystead completions bash)",
    );
    for (typed, arguments) in [
        (r"keystead get \$", "<get><$HOME>"),
        ("keystead get -- -l", "<get><--><-lead>"),
        ("keystead get a", "<get><a b>"),
        ("keystead get 'a", "<get><a b>"),
        ("keystead get \"a", "<get><a b>"),
        ("keystead get db:p", "<get><db:prod>"),
        ("keystead get 'db:t", "<get><db:test>"),
        ("keystead get gr", "<get><grün>"),
        ("keystead get it", "<get><it's>"),
        ("keystead get 'it", "<get><it's>"),
        ("keystead get q", "<get><q\"uote>"),
        ("keystead get \"q", "<get><q\"uote>"),
        ("keystead get st", "<get><star*>"),
        ("keystead get sub/", "<get><sub/key>"),
        ("keystead get ti", "<get><tick`s>"),
        (r"keystead get \~", "<get><~home>"),
        ("keystead get a --vault=w", "<get><a><--vault=work>"),
        ("keystead get a -V w", "<get><a><-V><work>"),
        ("keystead va", "<vault>"),
        ("keystead vault show w", "<vault><show><work>"),
    ] {
        assert_eq!(bash.arguments(typed), arguments, "{typed}");
    }
}

#[test]
#[ignore = "needs zsh"]
fn zsh_completes_every_name_as_single_word_needs_zsh() {
    let sandbox = with_names();
    let zsh = std::env::var_os("KEYSTEAD_TEST_ZSH").expect("`cargo xtask test` provides zsh");
    let mut zsh = AtTerminal::start(
        &sandbox,
        &zsh,
        &["-f", "-i"],
        "autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste 2>/dev/null; \
         source <(command keystead completions zsh)",
    );
    for (typed, arguments) in [
        (r"keystead get \$", "<get><$HOME>"),
        ("keystead get -- -l", "<get><--><-lead>"),
        ("keystead get a", "<get><a b>"),
        ("keystead get 'a", "<get><a b>"),
        ("keystead get db:p", "<get><db:prod>"),
        ("keystead get gr", "<get><grün>"),
        ("keystead get it", "<get><it's>"),
        ("keystead get q", "<get><q\"uote>"),
        ("keystead get st", "<get><star*>"),
        ("keystead get sub/", "<get><sub/key>"),
        ("keystead get a --vault=w", "<get><a><--vault=work>"),
        ("keystead vault show w", "<vault><show><work>"),
    ] {
        assert_eq!(zsh.arguments(typed), arguments, "{typed}");
    }
}

#[test]
#[ignore = "needs fish"]
fn fish_lists_every_name_needs_fish() {
    let sandbox = with_names();
    let fish = std::env::var_os("KEYSTEAD_TEST_FISH").expect("`cargo xtask test` provides fish");
    let complete = |line: &str| {
        let like = patient(&sandbox, "", &[]);
        let mut shell = Command::new(&fish);
        shell.env_clear().current_dir(like.get_current_dir().unwrap());
        for (name, value) in like.get_envs() {
            shell.env(name, value.unwrap());
        }
        shell.env("LC_ALL", "C.UTF-8").env("LINE", line);
        let own = env!("CARGO_BIN_EXE_keystead");
        let dir = PathBuf::from(own).parent().unwrap().display().to_string();
        shell.env("PATH", format!("{dir}:/usr/bin:/bin"));
        shell.args(["--no-config", "-c", "keystead completions fish | source; complete -C $LINE"]);
        let output = shell.output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_data_eq!(
        complete("keystead get "),
        str![[r#"
$HOME	work
a b	work
db:prod	work
db:test	work
grün	work
it's	work
q"uote	work
star*	work
sub/key	work
tick`s	work
~home	work

"#]]
    );
    assert_data_eq!(
        complete("keystead get 'it"),
        str![[r#"
it's	work

"#]]
    );
    assert_data_eq!(
        complete("keystead get a\\ "),
        str![[r#"
a b	work

"#]]
    );
    assert_data_eq!(
        complete("keystead get -- -"),
        str![[r#"
-lead	work

"#]]
    );
    assert_data_eq!(
        complete("keystead vault show w"),
        str![[r#"
work

"#]]
    );
    assert_data_eq!(
        complete("keystead get a --vault=w"),
        str![[r#"
--vault=work

"#]]
    );
}
