//! References: one line of text that locates a secret. Only the grammar is here; the host
//! resolves references with its vaults.

use std::fmt;
use std::path::{Path, PathBuf};

use keystead_plugin_api::{MAX_SECRET_NAME_BYTES, SecretName, VaultName};

/// The maximum length of a reference in bytes: enough for a percent-encoded name of 1,024
/// bytes, or for a long command line.
pub(crate) const MAX_REFERENCE_BYTES: usize = 8 * 1_024;

/// Reference to a secret.
///
/// | text | where |
/// |---|---|
/// | `keystead://[VAULT]/NAME[#FIELD]` | a registered vault; if none, the default, then a search |
/// | `env:VAR` | an environment variable |
/// | `file:PATH` | a file's content |
/// | `command:["PROGRAM","ARGUMENT"]` | the output of a program; no shell |
/// | `fd:N` | an open file descriptor; on the command line only |
///
/// In `keystead://`, `%`, `#` and control characters are percent-encoded; others may be.
///
/// # Examples
/// ```
/// use keystead::reference::Reference;
/// let reference = Reference::parse("keystead://work/db/password#user").unwrap();
/// assert_eq!(reference.to_string(), "keystead://work/db/password#user");
/// assert!(Reference::parse("hunter2").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A secret in a vault.
    Secret {
        /// The vault; `None` for the default vault and then a search.
        vault: Option<VaultName>,
        /// The secret's name.
        name: SecretName,
        /// The requested part of the value.
        field: Option<Field>,
    },
    /// An environment variable.
    Env(Variable),
    /// A file.
    File(FilePath),
    /// A program's output.
    Command(Command),
    /// An open file descriptor.
    Fd(u32),
}

/// Name of a part of a value, or a JSON pointer to it: 1 to 1,024 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(SecretName);

impl Field {
    /// Returns the field, if it follows the rules of a secret's name.
    ///
    /// # Errors
    /// As [`SecretName::parse`].
    pub fn parse(text: &str) -> Result<Self, keystead_plugin_api::Error> {
        SecretName::parse(text).map(Self)
    }

    /// Returns the field as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The name of an environment variable: not empty, no `=`, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable(String);

impl Variable {
    /// Returns the name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path of a file, in UTF-8: not empty, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(String);

impl FilePath {
    /// Returns the path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

/// A program and its arguments: at least the program, no NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<String>);

impl Command {
    /// Returns the program and its arguments.
    pub fn argv(&self) -> &[String] {
        &self.0
    }
}

/// Error of a text that is not a reference. Holds no part of the text, which may be a secret
/// that a user typed in place of a reference.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text does not start with a known scheme.
    #[error(
        "not a reference: it starts with none of `keystead://`, `env:`, `file:`, `command:`, `fd:`"
    )]
    Scheme,
    /// The text is longer than 8 KiB.
    #[error("the reference has {bytes} bytes; the most is {MAX_REFERENCE_BYTES}")]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
    },
    /// The text after a known scheme is not allowed there.
    #[error("the reference is wrong at character {column}: {why}")]
    Syntax {
        /// Position of the fault in characters, from 1.
        column: usize,
        /// The fault at that character.
        why: &'static str,
    },
}

impl Error {
    /// Returns the stable code of this cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scheme => "E01.reference-scheme",
            Self::TooLong { .. } => "E01.reference-too-long",
            Self::Syntax { .. } => "E01.reference-syntax",
        }
    }
}

impl Reference {
    /// Returns the reference in this text.
    ///
    /// # Errors
    /// Why the text is not a reference, with the position of the fault.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(Error::TooLong { bytes: text.len() });
        }
        let parsed = if let Some(rest) = text.strip_prefix("keystead://") {
            secret(rest)
        } else if let Some(rest) = text.strip_prefix("env:") {
            variable(rest)
        } else if let Some(rest) = text.strip_prefix("file:") {
            file(rest)
        } else if let Some(rest) = text.strip_prefix("command:") {
            command(rest)
        } else if let Some(rest) = text.strip_prefix("fd:") {
            fd(rest)
        } else {
            return Err(Error::Scheme);
        };
        parsed.map_err(|Wrong { rest, why }| {
            let at = text.len() - rest;
            Error::Syntax { column: text[..at].chars().count() + 1, why }
        })
    }

    /// Returns the same reference, with an absolute path if it names a file: below `home` for
    /// `~/`, otherwise below `dir`. `None` if `~/` is used without a home, or if the directory
    /// is not UTF-8, so that the reference cannot be written.
    pub fn anchored(self, dir: &Path, home: Option<&Path>) -> Option<Self> {
        let Self::File(path) = self else { return Some(self) };
        let absolute = absolute(&path.0, dir, home)?;
        Some(Self::File(FilePath(absolute.to_str()?.to_owned())))
    }

    /// Returns the vault that this reference names, if any.
    pub fn vault(&self) -> Option<&VaultName> {
        match self {
            Self::Secret { vault, .. } => vault.as_ref(),
            _ => None,
        }
    }
}

/// Returns the absolute form of a path as typed, without access to any file. `..` stays,
/// since its meaning depends on links. `None` if `~` is used without a home.
pub(crate) fn absolute(typed: &str, dir: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let joined = match typed.strip_prefix('~') {
        Some("") => home?.to_owned(),
        Some(rest) if rest.starts_with('/') => home?.join(rest.trim_start_matches('/')),
        _ => dir.join(typed),
    };
    Some(joined.components().collect())
}

/// A fault, and its distance from the end in bytes.
struct Wrong {
    rest: usize,
    why: &'static str,
}

fn wrong<T>(rest: &str, why: &'static str) -> Result<T, Wrong> {
    Err(Wrong { rest: rest.len(), why })
}

/// `[VAULT]/NAME[#FIELD]`
fn secret(text: &str) -> Result<Reference, Wrong> {
    let Some((vault, path)) = text.split_once('/') else {
        return wrong("", "a `/` and a secret's name must follow the vault");
    };
    let vault = match vault {
        "" => None,
        named => match VaultName::parse(named) {
            Ok(name) => Some(name),
            Err(_) => return wrong(text, "this is not a vault's name"),
        },
    };
    let (name, field) = match path.split_once('#') {
        Some((name, field)) => (name, Some(field)),
        None => (path, None),
    };
    let after_name = field.map_or(0, |field| field.len() + 1);
    let decoded = percent_decode(name)
        .map_err(|Wrong { rest, why }| Wrong { rest: rest + after_name, why })?;
    let Ok(name) = SecretName::parse(&decoded) else {
        return wrong(path, "a secret's name has 1 to 1024 bytes and no control characters");
    };
    let field = match field {
        None => None,
        Some(text) => match Field::parse(&percent_decode(text)?) {
            Ok(field) => Some(field),
            Err(_) => {
                return wrong(text, "a field has 1 to 1024 bytes and no control characters");
            }
        },
    };
    Ok(Reference::Secret { vault, name, field })
}

fn variable(text: &str) -> Result<Reference, Wrong> {
    if text.is_empty() {
        return wrong(text, "the name of a variable must follow");
    }
    match text.find(|c: char| c == '=' || c.is_control()) {
        Some(at) => wrong(&text[at..], "a variable's name has no `=` and no control characters"),
        None => Ok(Reference::Env(Variable(text.to_owned()))),
    }
}

fn file(text: &str) -> Result<Reference, Wrong> {
    if text.is_empty() {
        return wrong(text, "a path must follow");
    }
    match text.find(char::is_control) {
        Some(at) => wrong(&text[at..], "a path has no control characters here"),
        None => Ok(Reference::File(FilePath(text.to_owned()))),
    }
}

fn command(text: &str) -> Result<Reference, Wrong> {
    let argv: Vec<String> = match serde_json::from_str(text) {
        Ok(argv) => argv,
        Err(fault) => {
            // The column counts bytes of the line, and is past the wrong byte.
            let line: usize =
                text.split('\n').take(fault.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
            let mut at = (line + fault.column().saturating_sub(1)).min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            return wrong(
                &text[at..],
                "a JSON array of texts must follow, such as `[\"pass\",\"show\",\"x\"]`",
            );
        }
    };
    if argv.first().is_none_or(String::is_empty) {
        return wrong(text, "the program to run is missing");
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        return wrong(text, "a program's arguments cannot hold a NUL");
    }
    Ok(Reference::Command(Command(argv)))
}

fn fd(text: &str) -> Result<Reference, Wrong> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // File descriptors are C ints.
    match text.parse::<u32>() {
        Ok(number) if digits && i32::try_from(number).is_ok() => Ok(Reference::Fd(number)),
        _ => wrong(text, "the number of an open file must follow"),
    }
}

fn percent_decode(text: &str) -> Result<String, Wrong> {
    let mut bytes = Vec::with_capacity(text.len().min(MAX_SECRET_NAME_BYTES));
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(Wrong {
                rest: rest.len(),
                why: "two hexadecimal digits must follow `%`; a `%` itself is `%25`",
            });
        };
        bytes.push((high * 16 + low) as u8);
        rest = &after[2..];
    }
    String::from_utf8(bytes)
        .map_err(|_| Wrong { rest: text.len(), why: "what is percent-encoded is not UTF-8" })
}

struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { vault, name, field } => {
                f.write_str("keystead://")?;
                if let Some(vault) = vault {
                    write!(f, "{vault}")?;
                }
                write!(f, "/{}", Encoded(name.as_str()))?;
                if let Some(field) = field {
                    write!(f, "#{}", Encoded(field.as_str()))?;
                }
                Ok(())
            }
            Self::Env(variable) => write!(f, "env:{}", variable.0),
            Self::File(path) => write!(f, "file:{}", path.0),
            Self::Command(command) => {
                let argv = serde_json::to_string(&command.0).map_err(|_| fmt::Error)?;
                write!(f, "command:{argv}")
            }
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> (usize, &'static str) {
        match Reference::parse(text) {
            Err(Error::Syntax { column, why }) => (column, why),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reference_of_each_form_is_parsed() {
        let Reference::Secret { vault, name, field } =
            Reference::parse("keystead://Work/a%20b%2Fc/d#pass%23word").unwrap()
        else {
            panic!("not a secret")
        };
        assert_eq!(vault.unwrap().as_str(), "Work");
        assert_eq!(name.as_str(), "a b/c/d");
        assert_eq!(field.unwrap().as_str(), "pass#word");
        let Reference::Secret { vault: None, field: None, .. } =
            Reference::parse("keystead:///token").unwrap()
        else {
            panic!("has a vault or field")
        };
        let pointer = Reference::parse("keystead://work/a#/b~1c/0").unwrap();
        assert_eq!(pointer.to_string(), "keystead://work/a#/b~1c/0");
        let Reference::Secret { field: Some(field), .. } = pointer else { panic!("no field") };
        assert_eq!(field.as_str(), "/b~1c/0");
        let Reference::Command(command) =
            Reference::parse(r#"command:["pass", "show", "a b"]"#).unwrap()
        else {
            panic!("not a command")
        };
        assert_eq!(command.argv(), ["pass", "show", "a b"]);
        assert_eq!(Reference::parse("fd:03").unwrap(), Reference::Fd(3));
        assert_eq!(Reference::parse("env:A.B").unwrap().to_string(), "env:A.B");
    }

    #[test]
    fn reference_syntax_error_has_column() {
        assert_eq!(fault("keystead://work").0, 16);
        assert_eq!(fault("keystead://-work/a").0, 12);
        assert_eq!(fault("keystead://work/").0, 17);
        assert_eq!(fault("keystead://work/a%2").0, 18);
        assert_eq!(fault("keystead://work/a%zz#f").0, 18);
        assert_eq!(fault("keystead://work/é%ff").0, 17);
        assert_eq!(fault("keystead://work/a#").0, 19);
        assert_eq!(fault("keystead://work/a#%").0, 19);
        assert_eq!(fault("env:").0, 5);
        assert_eq!(fault("env:A=B").0, 6);
        assert_eq!(fault("file:").0, 6);
        assert_eq!(fault("file:a\nb").0, 7);
        assert_eq!(fault("command:pass").0, 9);
        assert_eq!(fault("command:[\"a\", 1]").0, 15);
        assert_eq!(fault("command:[]").0, 9);
        assert_eq!(fault("command:[\"\"]").0, 9);
        assert_eq!(fault("fd:-1").0, 4);
        assert_eq!(fault("fd:+1").0, 4);
        assert_eq!(fault("fd:4294967295").0, 4);
    }

    #[test]
    fn secret_in_place_of_reference_is_never_printed() {
        for text in
            ["canary", "env:canary=1", "command:canary", "keystead://canary!/x", "fd:canary"]
        {
            let error = Reference::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        let long = format!("env:{}", "canary".repeat(MAX_REFERENCE_BYTES));
        let error = Reference::parse(&long).unwrap_err();
        assert_eq!(error.code(), "E01.reference-too-long");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }

    #[test]
    fn file_reference_is_anchored_at_home_or_dir() {
        let anchored = |text: &str, home: Option<&str>| {
            let reference = Reference::parse(text).unwrap();
            let home = home.map(Path::new);
            reference.anchored(Path::new("/srv/x"), home).map(|r| r.to_string())
        };
        assert_eq!(anchored("file:a/./b", None).unwrap(), "file:/srv/x/a/b");
        assert_eq!(anchored("file:../b", None).unwrap(), "file:/srv/x/../b");
        assert_eq!(anchored("file:~/b", Some("/home/a")).unwrap(), "file:/home/a/b");
        assert_eq!(anchored("file:~", Some("/home/a")).unwrap(), "file:/home/a");
        assert_eq!(anchored("file:~b", None).unwrap(), "file:/srv/x/~b");
        assert_eq!(anchored("file:~/b", None), None);
        assert_eq!(anchored("env:A", None).unwrap(), "env:A");
    }

    fn references() -> impl Strategy<Value = Reference> {
        let name = "[^\\p{Cc}]{1,40}";
        prop_oneof![
            (
                proptest::option::of("[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
                name,
                proptest::option::of(name)
            )
                .prop_map(|(vault, name, field)| Reference::Secret {
                    vault: vault.map(|text| VaultName::parse(&text).unwrap()),
                    name: SecretName::parse(&name).unwrap(),
                    field: field.map(|text| Field::parse(&text).unwrap()),
                }),
            "[^\\p{Cc}=]{1,40}".prop_map(|text| Reference::Env(Variable(text))),
            name.prop_map(|text| Reference::File(FilePath(text))),
            ("[^\0]{1,20}", proptest::collection::vec("[^\0]{0,20}", 0..4)).prop_map(
                |(program, mut argv)| {
                    argv.insert(0, program);
                    Reference::Command(Command(argv))
                }
            ),
            (0..=i32::MAX as u32).prop_map(Reference::Fd),
        ]
    }

    proptest! {
        #[test]
        fn reference_round_trips(reference in references()) {
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }

        #[test]
        fn reference_parser_never_panics(scheme in "(keystead://|env:|file:|command:|fd:)?", rest in ".{0,60}") {
            let _ = Reference::parse(&format!("{scheme}{rest}"));
        }
    }
}
