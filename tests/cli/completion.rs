//! Completion with Tab, in the shells themselves: exact names, quoted as each shell needs, and only
//! from vaults that open without a prompt.

mod shell;

use std::process::Command;
use std::time::{Duration, Instant};

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};
use crate::plugin_files;

/// Names with characters that some shell interprets.
const NAMES: [&str; 12] = [
    "$HOME", "-lead", "a b", "db:prod", "db:test", "grün", "it's", "q\"uote", "star*", "sub/key",
    "tick`s", "~home",
];

const BREAKS: &str = " \t\n\"'><=;|&(:";

fn with_names() -> Sandbox {
    let sandbox = Sandbox::with_work();
    for name in NAMES {
        let set = sandbox.command("set --stdin --", &[name]);
        sandbox.answer(set, CANARY.as_bytes()).succeeds();
    }
    sandbox
}

/// Returns the input of bash's script for this line.
fn tab(sandbox: &Sandbox, line: &str) -> super::sandbox::Answer {
    sandbox.answer(patient(sandbox, "__complete bash", &[line, BREAKS]), b"")
}

/// Returns a completion command without the usual limit of 200 ms.
fn patient(sandbox: &Sandbox, words: &str, more: &[&str]) -> Command {
    let mut command = sandbox.command(words, more);
    command.env("KEYSTEAD_NAMES_TIMEOUT", "60s");
    command
}

#[test]
fn completion_is_narrowed_by_earlier_arguments() {
    let sandbox = with_names();
    sandbox
        .run("vault register other --plugin memory --param file=other.secrets --no-search", &[])
        .succeeds();
    sandbox.feed(CANARY, "set only-there -V other --stdin").succeeds();
    assert_data_eq!(
        tab(&sandbox, "keystead get -V other "),
        str![[r#"
exit code 0
--- stdout
words
only-there

"#]]
    );
    // A search skips this vault, a listing does not; a write goes to the default vault.
    assert_data_eq!(
        tab(&sandbox, "keystead get only"),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead list only"),
        str![[r#"
exit code 0
--- stdout
words
only-there

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead rm only"),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead get a --vault "),
        str![[r#"
exit code 0
--- stdout
words
other
work

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead vault "),
        str![[r#"
exit code 0
--- stdout
words
default
do
grant
list
lock
ls
register
show
test
unlock
unregister

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead vault register x --plugin m"),
        str![[r#"
exit code 0
--- stdout
words
memory

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead vault register x --plugin memory:"),
        str![[r#"
exit code 0
--- stdout
words
memory

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead vault register x --plugin memory --param "),
        str![[r#"
exit code 0
--- stdout
words
file=
locked=

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead plugin remove "),
        str![[r#"
exit code 0
--- stdout
words
memory

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead plugin show ./"),
        str![[r#"
exit code 0
--- stdout
files

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead set a --file "),
        str![[r#"
exit code 0
--- stdout
files

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead set a --kind "),
        str![[r#"
exit code 0
--- stdout
words
bytes
credential
json
map
text

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead set a --field f --as j"),
        str![[r#"
exit code 0
--- stdout
words
json

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead get a --a"),
        str![[r#"
exit code 0
--- stdout
words
--any

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead completions "),
        str![[r#"
exit code 0
--- stdout
words
bash
fish
nushell
powershell
zsh

"#]]
    );
}

#[test]
fn powershell_and_nushell_get_same_candidates() {
    let sandbox = with_names();
    let words = ["new", "--", "keystead", "get", "-V", "work"];
    assert_data_eq!(
        sandbox.answer(patient(&sandbox, "__complete powershell", &words), b""),
        str![[r#"
exit code 0
--- stdout
words
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
    let words = ["within", "--", "keystead", "get", "db:"];
    assert_data_eq!(
        sandbox.answer(patient(&sandbox, "__complete powershell", &words), b""),
        str![[r#"
exit code 0
--- stdout
words
db:prod	work
db:test	work

"#]]
    );
    assert_data_eq!(
        sandbox.answer(patient(&sandbox, "__complete nushell", &["ls | keystead get "]), b""),
        str![[r#"
exit code 0
--- stdout
[{"value":"/"$HOME/"","description":"work"},{"value":"/"a b/"","description":"work"},{"value":"db:prod","description":"work"},{"value":"db:test","description":"work"},{"value":"grün","description":"work"},{"value":"/"it's/"","description":"work"},{"value":"/"q///"uote/"","description":"work"},{"value":"/"star*/"","description":"work"},{"value":"sub/key","description":"work"},{"value":"/"tick`s/"","description":"work"},{"value":"/"~home/"","description":"work"}]

"#]]
    );
    assert_data_eq!(
        sandbox.answer(patient(&sandbox, "__complete nushell", &["keystead set x --file "]), b""),
        str![[r#"
exit code 0
--- stdout
null

"#]]
    );
}

#[test]
fn powershell_and_nushell_scripts_match_reviewed_text() {
    let sandbox = Sandbox::empty();
    assert_data_eq!(
        sandbox.run("completions powershell", &[]),
        str![[r#"
exit code 0
--- stdout
# Completion of keystead for PowerShell: asks keystead itself, which says nothing else.
Register-ArgumentCompleter -Native -CommandName keystead -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @()
    $current = ''
    foreach ($element in $commandAst.CommandElements) {
        if ($element.Extent.StartOffset -ge $cursorPosition) { break }
        $word = $element.Extent.Text
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $word = $element.Value
        }
        if ($element.Extent.EndOffset -ge $cursorPosition) {
            $current = $word.TrimStart("'", '"')
        } else {
            $words += $word
        }
    }
    # Windows PowerShell drops an empty argument: a cursor behind a blank is a word of its own.
    if ($current -eq '') { $place = 'new' } else { $place = 'within'; $words += $current }
    $answer = @(& keystead __complete powershell $place -- @words 2>$null)
    if ($answer.Count -eq 0) { return }
    if ($answer[0] -eq 'files') {
        [System.Management.Automation.CompletionCompleters]::CompleteFilename($current)
        return
    }
    $answer | Select-Object -Skip 1 | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        if (-not $help) { $help = $value }
        $text = $value
        if ($value -notmatch '^[A-Za-z0-9_./-][A-Za-z0-9_./:=+-]*$') {
            $text = "'" + [System.Management.Automation.Language.CodeGeneration]::EscapeSingleQuotedStringContent($value) + "'"
        }
        [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $help)
    }
}

"#]]
    );
    // The script follows the command tree: compares its beginning, and checks completeness.
    let script = sandbox.run("completions nushell", &[]);
    let script = String::from_utf8(script.succeeds().to_vec()).unwrap();
    let beginning: String = script.split_inclusive('\n').take(11).collect();
    assert_data_eq!(
        beginning,
        str![[r##"
# Completion of keystead for Nushell.
module completions {

  def "nu-complete keystead" [context: string] {
    ^keystead __complete nushell $context | from json
  }

  def "nu-complete keystead color" [] {
    [ "auto" "always" "never" ]
  }


"##]]
    );
    assert!(script.contains(r#"    wanted: string@"nu-complete keystead""#), "{script}");
    assert!(script.contains(r#"    --vault(-V): string@"nu-complete keystead""#), "{script}");
    assert!(!script.contains(": string\n") && !script.contains(": string "), "{script}");
    assert_eq!(script.matches('{').count(), script.matches('}').count());
}

#[test]
fn completion_with_faults_prints_and_prompts_nothing() {
    let sandbox = with_names();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    // A locked vault with an unlock reference, one that needs a program, and a broken one.
    let ran = sandbox.here("ran");
    for (name, locked) in [
        ("locked", "file:pass.given".to_owned()),
        ("needs", format!("command:[\"touch\",\"{}\"]", ran.display())),
        ("chain", "keystead://work/db:prod".to_owned()),
    ] {
        let words = "vault register --plugin memory --unlock password=file:pass.given";
        let file = format!("file={name}.secrets");
        let locked = format!("locked={locked}");
        sandbox.run(words, &[name, "--param", &file, "--param", &locked]).succeeds();
    }
    sandbox.feed(CANARY, "set inside -V locked --stdin").succeeds();
    let broken = sandbox.root().join("home/.config/keystead/vaults/broken.toml");
    std::fs::write(&broken, "plugin = ").unwrap();
    assert_data_eq!(
        tab(&sandbox, "keystead list sub"),
        str![[r#"
exit code 0
--- stdout
words
sub/key

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead list -V locked "),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead list -V needs "),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead list -V chain "),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead list -V broken "),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead list -V nosuch "),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead list -V '../x' "),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        tab(&sandbox, "keystead nosuch --nosuch "),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert_data_eq!(
        sandbox.run("__complete bash", &[]),
        str![[r#"
exit code 0

"#]]
    );
    assert_data_eq!(
        sandbox.run("__complete tcsh", &["keystead "]),
        str![[r#"
exit code 0

"#]]
    );
    assert!(!ran.exists());
    let mut homeless = sandbox.command("__complete bash", &["keystead get ", BREAKS]);
    homeless.env("HOME", "relative").env("KEYSTEAD_VAULT", "../no");
    assert_data_eq!(
        sandbox.answer(homeless, b""),
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
}

#[test]
fn hanging_vault_does_not_block_completion() {
    let sandbox = with_names();
    let hangs = plugin_files::plugin("constructor-hangs");
    sandbox.run("plugin install --yes", &[hangs.to_str().unwrap()]).succeeds();
    for name in ["hangs", "hangs-too"] {
        sandbox.run("vault register --plugin constructor-hangs", &[name]).succeeds();
    }
    let tab = |line: &str| {
        let mut command = sandbox.command("__complete bash", &[line, BREAKS]);
        // Enough time for the other vault on a busy machine; the calls' own deadline is later.
        command.env("KEYSTEAD_NAMES_TIMEOUT", "6s");
        let started = Instant::now();
        let answer = sandbox.answer(command, b"");
        (answer, started.elapsed())
    };
    let (answer, took) = tab("keystead get sub");
    assert_data_eq!(
        answer,
        str![[r#"
exit code 0
--- stdout
words
sub/key

"#]]
    );
    assert!(took < Duration::from_secs(60), "{took:?}");
    let (answer, took) = tab("keystead get -V hangs ");
    assert_data_eq!(
        answer,
        str![[r#"
exit code 0
--- stdout
words

"#]]
    );
    assert!(took < Duration::from_secs(60), "{took:?}");
    // No crash is counted.
    sandbox.run("doctor", &[]).succeeds();
}
