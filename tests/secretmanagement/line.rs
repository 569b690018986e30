//! All lines, each as a sentence, and the check that every line has a test.

use std::collections::BTreeSet;

use super::{command, local_vault, metadata, registration, secret, unlocking, value};

/// Behaviours that users rely on, by the numbers in test names. SM are those of SecretManagement's
/// own tests, SS those of SecretStore's, D those in the documentation of both.
const LINES: &[(&str, &str)] = &[
    ("SM-01", "bytes can be written"),
    ("SM-02", "a text can be written"),
    ("SM-03", "a protected text can be written"),
    ("SM-04", "a credential can be written"),
    ("SM-05", "a map can be written"),
    ("SM-06", "bytes are read as they were written"),
    ("SM-07", "a text is read as it was written"),
    ("SM-08", "a protected text is read as it was written"),
    ("SM-09", "a credential is read with its user name and its password"),
    ("SM-10", "a map is read with all that is in it, whatever its kind"),
    ("SM-11", "bytes are listed once by their exact name, with kind and vault"),
    ("SM-12", "a text is listed once by its exact name, with kind and vault"),
    ("SM-13", "a protected text is listed likewise"),
    ("SM-14", "a credential is listed likewise"),
    ("SM-15", "a map is listed likewise, without its parts"),
    ("SM-16", "bytes that were removed are not found, and that is the error"),
    ("SM-17", "so is a text"),
    ("SM-18", "so is a protected text"),
    ("SM-19", "so is a credential"),
    ("SM-20", "so is a map"),
    ("SM-21", "what describes a secret has its name, kind, vault and metadata unchanged"),
    ("SM-22", "a parameter of a name that cannot be used is refused, and nothing is registered"),
    ("SM-23", "parameters that the vault cannot mean do not keep it from being registered"),
    ("SM-24", "a vault that fails its test says so in its own words"),
    ("SM-25", "the only registered vault is the default one"),
    ("SM-26", "a secret set without a vault goes to the default one"),
    ("SM-27", "a vault is unregistered by its name"),
    ("SM-28", "its name can be registered again, with parameters and description"),
    ("SM-29", "a description is kept to the letter"),
    ("SM-30", "a registered name is not taken over by accident"),
    ("SM-31", "a vault is tested with the parameters it was registered with"),
    ("SM-32", "a vault's warnings and remarks come apart from the answer, and in order"),
    ("SM-33", "a secret is set together with metadata; what is false stays false"),
    ("SM-34", "metadata of a secret can be changed later"),
    ("SM-35", "where a vault cannot change metadata, that is the error"),
    ("SM-36", "unlocking reaches the vault with what it asks for"),
    ("SM-37", "a vault that is not there cannot be the default one"),
    ("SM-38", "a vault can be made the default one"),
    ("SM-39", "the default can be cleared"),
    ("SM-40", "what is set in the default vault is got from it by its name"),
    ("SM-41", "a vault that wants to know is told before it is unregistered"),
    ("SS-01", "the store's directory is its owner's alone"),
    ("SS-02", "so is the file of its settings"),
    ("SS-03", "so is the file of its secrets"),
    ("SS-04", "so is the file of its key"),
    ("SS-05", "whatever the directory above it allows"),
    ("SS-06", "the settings' file is for no one else to read or write, whatever the umask"),
    ("SS-07", "nor is the secrets' file, while it is written to as well"),
    ("SS-08", "nor is the key's file"),
    ("SS-09", "what a store was set up with is read back"),
    ("SS-10", "a scope that is not offered is refused by name"),
    ("SS-11", "a password for a store that has none is an error that says so"),
    ("SS-12", "metadata set with a secret is listed with it"),
    ("SS-13", "metadata that is changed is listed as it is then"),
    ("SS-14", "metadata of a type that there is not is refused"),
    ("SS-15", "a date and time is metadata"),
    ("SS-16", "metadata of a secret that is not there cannot be set"),
    ("SS-17", "bytes are written"),
    ("SS-18", "bytes are read as they were"),
    ("SS-19", "bytes are listed, with the vault as the caller named it"),
    ("SS-20", "bytes are removed"),
    ("SS-21", "a text is written"),
    ("SS-22", "a text is read to the letter"),
    ("SS-23", "a text is listed"),
    ("SS-24", "a text is removed"),
    ("SS-25", "a protected text is written"),
    ("SS-26", "a protected text is read"),
    ("SS-27", "a protected text is listed"),
    ("SS-28", "a protected text is removed"),
    ("SS-29", "a credential is written"),
    ("SS-30", "a credential is read"),
    ("SS-31", "a credential is listed"),
    ("SS-32", "a credential is removed"),
    ("SS-33", "a map is written"),
    ("SS-34", "a map is read with bytes, texts and a credential in it"),
    ("SS-35", "a map is listed once"),
    ("SS-36", "a map is removed whole"),
    ("D1", "the default vault is asked before any other"),
    ("D2", "the first vault that has the secret answers, and no other"),
    ("D3", "where no vault is named all are listed"),
    ("D4", "metadata is refused by a vault that keeps none, before anything is written"),
    ("D5", "unlocking a vault that is never locked has no effect"),
    ("D6", "a vault's secrets outlive its registration"),
    ("D7", "new metadata takes the place of all there was"),
    ("D8", "names that differ by case are one secret, and setting it overwrites it"),
    ("D9", "to ask for plain text changes nothing about other kinds of value"),
    ("D10", "vaults pass their test only if every one does"),
    ("D11", "the first vault becomes the default one without being told to"),
    ("D12", "a locked vault and nobody to ask is an error and no prompt"),
];

/// Number of lines of each source, so that the list cannot lose one.
const COUNTS: [(&str, usize); 3] = [("SM", 41), ("SS", 36), ("D", 12)];

/// Returns the lines in a test's name: one line or a range.
fn numbers(name: &str) -> Vec<String> {
    let digits = |text: &str| text.parse::<u32>().ok();
    let mut words = name.split('_').peekable();
    let first = words.next().unwrap();
    if let Some(number) = first.strip_prefix('d').and_then(digits) {
        return vec![format!("D{number}")];
    }
    let from = words.next().and_then(digits).unwrap_or_else(|| panic!("{name} has no number"));
    let to = words.peek().and_then(|word| digits(word)).unwrap_or(from);
    (from..=to).map(|number| format!("{}-{number:02}", first.to_uppercase())).collect()
}

#[test]
fn each_line_has_single_test() {
    let files = [
        command::NAMES,
        local_vault::NAMES,
        metadata::NAMES,
        registration::NAMES,
        secret::NAMES,
        unlocking::NAMES,
        value::NAMES,
    ];
    let tested: Vec<String> = files.concat().into_iter().flat_map(numbers).collect();
    let once: BTreeSet<&str> = tested.iter().map(String::as_str).collect();
    let listed: BTreeSet<&str> = LINES.iter().map(|(number, _)| *number).collect();
    assert_eq!(once, listed);
    assert_eq!(tested.len(), once.len(), "a line has two tests");

    for (source, count) in COUNTS {
        let of = |number: &&str| {
            number.trim_end_matches(char::is_numeric).trim_end_matches('-') == source
        };
        assert_eq!(listed.iter().copied().filter(of).count(), count, "{source}");
    }
}
