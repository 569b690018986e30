//! The vaults that SecretManagement knows: whatever the file, each proposal is a command of ours
//! on one line, and what may be a secret is in none.

#![no_main]

mod change;

use std::io::Cursor;
use std::path::Path;

use keystead_exchange::ImportSource;
use keystead_exchange::vaultinfo::{Here, read};

const GOOD: &str = r#"{"DefaultVaultName":"b","Vaults":{
    "a":{"ModuleName":"SecretManagement.KeePass","Description":"it's","VaultParameters":
        {"Path":"/a b.kdbx","KeyPath":"/k","MasterPassword":"canary","Token":["canary"],"x":"canary"}},
    "b c":{"ModuleName":"Microsoft.PowerShell.SecretStore","VaultParameters":{}},
    "d":{"ModuleName":"Nobody.Knows","VaultParameters":{"Secret":"canary","Colour":"canary"}}}}"#;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let text = match which % 2 {
        0 => change::apply(GOOD.as_bytes().to_vec(), rest),
        _ => rest.to_vec(),
    };
    let Ok(registry) = read(ImportSource::Stream(Box::new(Cursor::new(text)))) else { return };
    let plugin = |id: &str| (id == "keepass").then(|| vec!["path".to_owned()]);
    let here = Here { plugin: &plugin, vaults: &[], store: Path::new("/store") };
    let mut names = std::collections::HashSet::new();
    for one in registry.proposals(&here) {
        assert!(names.insert(one.vault.as_str().to_lowercase()), "two of one name");
        for command in &one.commands {
            assert!(command.starts_with("keystead ") && !command.chars().any(char::is_control));
            assert!(is_plain_to_a_shell(command), "{command}");
        }
    }
    for bad in registry.vaults.iter().filter_map(|one| one.as_ref().err()) {
        assert!(!bad.why.is_empty() && bad.why.len() < 600);
    }
});

/// Says whether quotes are closed, and outside of them is nothing that a shell obeys.
fn is_plain_to_a_shell(command: &str) -> bool {
    let mut quoted = false;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => quoted = !quoted,
            // Inside of quotes a backslash is itself.
            _ if quoted => {}
            '\\' if chars.next() == Some('\'') => {}
            c if c.is_ascii_alphanumeric() || " _-./:=@%+,".contains(c) => {}
            _ => return false,
        }
    }
    !quoted
}
