//! A damaged registry, in fifty variants, and a full disk. Keystead rewrites no damaged file,
//! explains every fault, and keeps the other vaults working.

use std::path::PathBuf;
use std::process::Command;

use snapbox::{assert_data_eq, str};

use crate::cli::sandbox::{CANARY, Sandbox};

const GOOD: &str = "# by hand\nschema = 1\nplugin = \"memory\"\nkind = \"memory\"\n\
    description = \"at work\"\nsearch = true\ngrants = []\n\n[parameters]\nfile = \"/tmp/x\"\n\
    locked = { from = \"env:PASSWORD\" }\n\n[unlock]\npassword = \"env:PASSWORD\"\n";

/// Pseudo-random numbers, equal in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Returns the good file with one kind of damage: truncated, bytes changed, or a piece removed or
/// duplicated.
fn damaged(random: &mut Random) -> Vec<u8> {
    let mut text = GOOD.as_bytes().to_vec();
    let (at, other) = (random.below(text.len()), random.below(text.len()));
    let (from, to) = (at.min(other), at.max(other) + 1);
    match random.below(6) {
        0 => text.truncate(at),
        1 => text[at] = random.below(256) as u8,
        2 => text[from..to.min(GOOD.len())].fill(0),
        3 => drop(text.drain(from..to.min(GOOD.len()))),
        4 => {
            let piece = text[from..to.min(GOOD.len())].to_vec();
            text.splice(at..at, piece);
        }
        _ => {
            for _ in 0..8 {
                let at = random.below(text.len());
                text[at] ^= 1 << random.below(8);
            }
        }
    }
    text
}

fn dir(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("home/.config/keystead")
}

#[test]
fn damaged_registration_is_explained_and_not_rewritten() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin -V work --quiet").succeeds();
    let file = dir(&sandbox).join("vaults/broken.toml");
    let mut random = Random(0x5eed_0003);
    let (mut refused, mut accepted) = (0, 0);
    for round in 0..50 {
        let text = damaged(&mut random);
        std::fs::write(&file, &text).unwrap();
        let show = sandbox.run("vault show broken", &[]);
        let list = sandbox.run("vault list", &[]);
        let context =
            || format!("round {round}:\n{}\n{show}{list}", String::from_utf8_lossy(&text));
        match show.status {
            // The damage is in a comment or description, or the file is still valid.
            0 => accepted += 1,
            1 => {
                refused += 1;
                assert!(show.stderr.contains("broken.toml`"), "no file is named: {}", context());
                assert!(show.stderr.contains("\nCode: E01."), "no code: {}", context());
                assert_eq!(list.status, 5, "{}", context());
                assert!(list.stderr.contains("vault `broken` is broken: "), "{}", context());
                let replace = sandbox.run("vault register broken --plugin memory --replace", &[]);
                assert_eq!(replace.status, 1, "it went over what it could not read: {}", context());
            }
            _ => panic!("{}", context()),
        }
        assert_eq!(std::fs::read(&file).unwrap(), text, "it was rewritten: {}", context());
        assert_eq!(sandbox.run("get a -V work", &[]).succeeds(), CANARY.as_bytes());
    }
    assert!(refused >= 25 && accepted >= 1, "{refused} refused, {accepted} accepted");
}

#[test]
fn damaged_settings_are_explained_and_not_rewritten() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin -V work --quiet").succeeds();
    let file = dir(&sandbox).join("config.toml");
    let good = std::fs::read(&file).unwrap();
    let mut random = Random(0x5eed_0004);
    let mut refused = 0;
    for round in 0..50 {
        let mut text = good.clone();
        let at = random.below(text.len());
        match random.below(3) {
            0 => text.truncate(at),
            1 => text[at] ^= 1 << random.below(8),
            _ => text.insert(at, random.below(256) as u8),
        }
        std::fs::write(&file, &text).unwrap();
        let get = sandbox.run("get a", &[]);
        let context = || format!("round {round}:\n{}\n{get}", String::from_utf8_lossy(&text));
        if get.status == 0 {
            assert_eq!(get.stdout, CANARY.as_bytes(), "{}", context());
        } else {
            assert!(get.status == 1 || get.status == 3, "{}", context());
            refused += 1;
            let told = get.stderr.contains("config.toml`") || get.stderr.contains("\nHint: ");
            assert!(told && get.stderr.contains("\nCode: E"), "{}", context());
        }
        assert_eq!(std::fs::read(&file).unwrap(), text, "it was rewritten: {}", context());
        assert_eq!(sandbox.run("get a -V work", &[]).succeeds(), CANARY.as_bytes());
    }
    assert!(refused >= 15, "{refused} refused");
}

/// Runs a script in a separate namespace, where a small file system can be mounted without
/// privileges.
fn on_a_small_disk(sandbox: &Sandbox, script: &str) -> String {
    let command = sandbox.command("", &[]);
    let mut shell = Command::new("unshare");
    shell.args(["--user", "--map-root-user", "--mount", "--", "/bin/sh", "-ec", script, "sh"]);
    shell.arg(command.get_program());
    shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    sandbox.answer(shell, b"").to_string()
}

#[test]
fn registry_write_on_full_disk_loses_nothing() {
    let sandbox = Sandbox::with_work();
    let script = r#"
        sums() { cd ~/.config/keystead; find . -type f | sort | xargs sha256sum; cd - > ../old; }
        cp -a ~/.config/keystead ../keep
        mount -t tmpfs -o size=32k,mode=700 small ~/.config/keystead
        cp -a ../keep/. ~/.config/keystead/
        before="$(sums)"
        head -c 100000 /dev/zero > ~/.config/keystead/filler 2> ../old || true
        for words in 'vault register two --plugin memory' 'vault unregister work' \
            'vault default --clear' 'vault register work --plugin memory --replace'; do
            echo "$ keystead $words"
            "$1" $words 2>&1 || echo "exit code $?"
        done
        rm ~/.config/keystead/filler
        test "$before" = "$(sums)" || { echo "it was changed:"; sums; echo "$before"; }
        "$1" vault list
    "#;
    assert_data_eq!(
        on_a_small_disk(&sandbox, script),
        str![[r#"
exit code 0
--- stdout
$ keystead vault register two --plugin memory
Error: Cannot write `[ROOT]/home/.config/keystead/vaults/two.toml`
Caused by: No space left on device (os error 28)
Code: E02.io
exit code 1
$ keystead vault unregister work
Error: Cannot write `[ROOT]/home/.config/keystead/config.toml`
Caused by: No space left on device (os error 28)
Code: E02.io
exit code 1
$ keystead vault default --clear
Error: Cannot write `[ROOT]/home/.config/keystead/config.toml`
Caused by: No space left on device (os error 28)
Code: E02.io
exit code 1
$ keystead vault register work --plugin memory --replace
Error: Cannot write `[ROOT]/home/.config/keystead/vaults/work.toml`
Caused by: No space left on device (os error 28)
Code: E02.io
exit code 1
work	default	user	memory	isolated (default)	

"#]]
    );
}
