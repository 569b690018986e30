//! What a plugin asks for, as its manifest writes it and as people read it.

use std::collections::BTreeMap;
use std::fmt;

use super::{Error, Result, text};

/// The most bytes a permission may have: a path of the longest kind, and some words.
const MAX_BYTES: usize = 4_096 + 64;

/// Whether files may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileAccess {
    /// They may be read.
    Read,
    /// They may be read and written.
    ReadWrite,
}

/// One thing a plugin asks for. Its `Display` says so in plain words; [`Permission::text`]
/// is how manifests and registrations write it.
///
/// Paths and programs are templates: `{name}` stands for the parameter of that name.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Files below a folder, or one file.
    Files {
        /// The path, absolute once its parameters are put in.
        template: String,
        /// What may be done with them.
        access: FileAccess,
    },
    /// The network.
    Network,
    /// One variable of the host's environment.
    Env(String),
    /// A program, run by the host for the plugin: a name, or a path that is absolute once
    /// its parameters are put in.
    Exec(String),
    /// The session bus.
    Dbus,
    /// A shared library beyond the system's own, by the name the file needs it under.
    Library(String),
}

impl Permission {
    /// Returns the permission that this text asks for.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`] when it asks for what this host does not know,
    /// [`Error::BadManifest`] when it is not written as it must be.
    pub fn parse(written: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::bad_manifest(format!("permission `{}`: {why}", text::shown(written)))
        };
        if written.len() > MAX_BYTES || written.chars().any(text::misleads) {
            return Err(bad("it is too long or has characters that mislead"));
        }
        let (word, rest) = match written.split_once(':') {
            Some((word, rest)) => (word, Some(rest)),
            None => (written, None),
        };
        match (word, rest) {
            ("network", None) => Ok(Self::Network),
            ("dbus", None) => Ok(Self::Dbus),
            ("files", Some(rest)) => {
                let (template, access) = match rest.rsplit_once(':') {
                    Some((template, "r")) => (template, FileAccess::Read),
                    Some((template, "rw")) => (template, FileAccess::ReadWrite),
                    _ => return Err(bad("it ends neither with `:r` nor with `:rw`")),
                };
                check_path(template).map_err(bad)?;
                Ok(Self::Files { template: template.to_owned(), access })
            }
            ("env", Some(name)) => {
                let fits = |(at, byte): (usize, u8)| {
                    byte == b'_' || byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit()
                };
                if name.is_empty() || !name.bytes().enumerate().all(fits) {
                    return Err(bad("that is not the name of a variable"));
                }
                if steers_loading(name) {
                    return Err(bad("that variable changes which code a program runs"));
                }
                Ok(Self::Env(name.to_owned()))
            }
            ("exec", Some(program)) => {
                if program.contains('/') || program.contains(['{', '}']) {
                    check_path(program).map_err(bad)?;
                } else if program.is_empty() || program.starts_with('.') {
                    return Err(bad("that is not the name of a program"));
                }
                Ok(Self::Exec(program.to_owned()))
            }
            ("library", Some(name)) => {
                let relative = name.contains('/') && !name.starts_with('/');
                if name.is_empty() || relative || name.contains(['$', '@', '{', '}']) {
                    return Err(bad("that is not the name of a library"));
                }
                Ok(Self::Library(name.to_owned()))
            }
            _ => Err(Error::UnknownPermission { permission: text::shown(written) }),
        }
    }

    /// Returns the permission as manifests write it.
    pub fn text(&self) -> String {
        match self {
            Self::Files { template, access: FileAccess::Read } => format!("files:{template}:r"),
            Self::Files { template, access: FileAccess::ReadWrite } => {
                format!("files:{template}:rw")
            }
            Self::Network => "network".to_owned(),
            Self::Env(name) => format!("env:{name}"),
            Self::Exec(program) => format!("exec:{program}"),
            Self::Dbus => "dbus".to_owned(),
            Self::Library(name) => format!("library:{name}"),
        }
    }

    /// Returns the permission with parameters put in for its template's names. A name that
    /// is not among them stays as it is.
    pub fn filled_in(&self, values: &BTreeMap<String, String>) -> Self {
        let fill = |template: &str| {
            // Part by part, so that braces in a value are not taken for names.
            let mut out = String::new();
            for (at, part) in template.split('{').enumerate() {
                match part.split_once('}') {
                    Some((name, rest)) if at > 0 => {
                        match values.get(name) {
                            Some(value) => out.push_str(value),
                            None => out.push_str(&format!("{{{name}}}")),
                        }
                        out.push_str(rest);
                    }
                    _ => out.push_str(part),
                }
            }
            out
        };
        match self {
            Self::Files { template, access } => {
                Self::Files { template: fill(template), access: *access }
            }
            Self::Exec(program) => Self::Exec(fill(program)),
            other => other.clone(),
        }
    }

    /// Returns the names of the parameters that the template refers to.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let template = match self {
            Self::Files { template, .. } | Self::Exec(template) => template,
            _ => "",
        };
        template.split('{').skip(1).filter_map(|part| part.split('}').next())
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { template, access: FileAccess::Read } => {
                write!(f, "may read files under {template}")
            }
            Self::Files { template, access: FileAccess::ReadWrite } => {
                write!(f, "may read and write files under {template}")
            }
            Self::Network => f.write_str("may use the network"),
            Self::Env(name) => write!(f, "may read the environment variable {name}"),
            Self::Exec(program) => write!(f, "may run the program {program}"),
            Self::Dbus => f.write_str("may use the session bus, which acts as you"),
            Self::Library(name) => write!(f, "is linked with the library {name}"),
        }
    }
}

/// Returns whether the loader of programs obeys this variable: who sets it runs code of theirs.
pub(crate) fn steers_loading(name: &str) -> bool {
    name.starts_with("LD_") || name.starts_with("GLIBC_")
}

/// Checks that a template is absolute or starts with a parameter, climbs nowhere, and that
/// its braces are pairs.
fn check_path(template: &str) -> std::result::Result<(), &'static str> {
    if !template.starts_with(['/', '{']) {
        return Err("the path is neither absolute nor a parameter");
    }
    if template.split('/').any(|part| part == "..") {
        return Err("the path has `..` in it");
    }
    let mut open = false;
    for c in template.chars() {
        match c {
            '{' if open => return Err("the braces are not in pairs"),
            '{' => open = true,
            '}' if !open => return Err("the braces are not in pairs"),
            '}' => open = false,
            _ => {}
        }
    }
    if open { Err("the braces are not in pairs") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in_part_by_part() {
        let values = BTreeMap::from([("dir".to_owned(), "/srv/{sub}".to_owned())]);
        let asked = Permission::parse("files:{dir}/{sub}:rw").unwrap();
        assert_eq!(asked.filled_in(&values).text(), "files:/srv/{sub}/{sub}:rw");
        assert_eq!(Permission::Network.filled_in(&values), Permission::Network);
    }
}
