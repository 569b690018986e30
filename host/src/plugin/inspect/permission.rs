//! What a plugin asks for, as its manifest writes it and as people read it.

use std::collections::BTreeMap;
use std::fmt;

use super::{Error, Result, text};

/// The most bytes a permission may have: a path of the longest kind, and some words.
const MAX_BYTES: usize = 4_096 + 64;

/// What ends the template of a file's folder.
const FOLDER_OF: &str = "/..";

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
        /// The path, absolute once its parameters are put in: one that ends with `/` is a folder,
        /// any other a folder or a file, whichever is there. At the end of a template `/..` is the
        /// folder of a file.
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
                check_path(template.strip_suffix(FOLDER_OF).unwrap_or(template)).map_err(bad)?;
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
                Self::Files { template: resolved(&fill(template)), access: *access }
            }
            Self::Exec(program) => Self::Exec(fill(program)),
            other => other.clone(),
        }
    }

    /// Returns whether this permission, filled in and granted, is enough for another one.
    pub fn covers(&self, asked: &Self) -> bool {
        match (self, asked) {
            (
                Self::Files { template: granted, access: may },
                Self::Files { template: wanted, access: wants },
            ) => {
                let is_below = granted.ends_with('/') && wanted.starts_with(granted.as_str());
                let is_same = granted.trim_end_matches('/') == wanted.trim_end_matches('/');
                (is_below || is_same) && may >= wants
            }
            _ => self == asked,
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
            Self::Files { template, access } => {
                f.write_str(match access {
                    FileAccess::Read => "may read files ",
                    FileAccess::ReadWrite => "may read and write files ",
                })?;
                match template.strip_suffix(FOLDER_OF) {
                    Some(file) => write!(f, "in the folder of {file}"),
                    None if template == "/" => f.write_str("under /"),
                    None => write!(f, "under {}", template.trim_end_matches('/')),
                }
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

/// Returns a filled-in path without empty parts and without `..`: each is taken back with the part
/// before it, so that at a template's end it leaves a file's folder. Where a link stands before it
/// the system would go elsewhere, where nothing is granted.
pub(crate) fn resolved(filled: &str) -> String {
    let is_folder = filled.ends_with('/') || filled.ends_with(FOLDER_OF);
    let mut parts = Vec::new();
    for part in filled.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (path.is_empty(), is_folder) {
        (true, _) => "/".to_owned(),
        (false, true) => format!("/{path}/"),
        (false, false) => format!("/{path}"),
    }
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

    #[test]
    fn a_folder_ends_with_a_slash_and_a_files_folder_is_the_one_it_is_in() {
        for (template, value, filled, shown) in [
            ("{x}", "/a/b", "/a/b", "under /a/b"),
            ("{x}/", "/a/b", "/a/b/", "under /a/b"),
            ("{x}/", "/a//b/", "/a/b/", "under /a/b"),
            ("{x}/..", "/a/b", "/a/", "under /a"),
            ("{x}/..", "/a/b/", "/a/", "under /a"),
            ("{x}/..", "/a", "/", "under /"),
            ("{x}/", "/", "/", "under /"),
            ("{x}/sub/..", "/a/b", "/a/b/", "under /a/b"),
            ("{x}/..", "/a/b/c/..", "/a/", "under /a"),
            ("{x}", "/a/./b/../c", "/a/c", "under /a/c"),
            ("{x}", "/../a", "/a", "under /a"),
        ] {
            let values = BTreeMap::from([("x".to_owned(), value.to_owned())]);
            let asked = Permission::parse(&format!("files:{template}:r")).unwrap();
            let asked = asked.filled_in(&values);
            assert_eq!(asked.text(), format!("files:{filled}:r"), "{template} {value}");
            assert_eq!(asked.to_string(), format!("may read files {shown}"));
        }
        let asked = Permission::parse("files:{file}/..:rw").unwrap();
        assert_eq!(asked.to_string(), "may read and write files in the folder of {file}");
        assert_eq!(asked.text(), "files:{file}/..:rw");
        for wrong in
            ["files:{file}/../..:r", "files:{file}/../x:r", "files:..:r", "files:/..x/../:r"]
        {
            assert!(Permission::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_grant_covers_what_is_no_more_than_it() {
        let covers = |granted: &str, asked: &str| {
            Permission::parse(granted).unwrap().covers(&Permission::parse(asked).unwrap())
        };
        for (granted, asked) in [
            ("files:/a/:rw", "files:/a/:rw"),
            ("files:/a/:rw", "files:/a:r"),
            ("files:/a:rw", "files:/a/:rw"),
            ("files:/a/:rw", "files:/a/b/c:rw"),
            ("files:/a/:r", "files:/a/b/:r"),
            ("network", "network"),
        ] {
            assert!(covers(granted, asked), "{granted} {asked}");
        }
        for (granted, asked) in [
            ("files:/a/:r", "files:/a/:rw"),
            ("files:/a/:rw", "files:/ab:r"),
            ("files:/a:rw", "files:/a/b:r"),
            ("files:/a/b/:rw", "files:/a/:r"),
            ("network", "dbus"),
            ("env:A", "env:B"),
        ] {
            assert!(!covers(granted, asked), "{granted} {asked}");
        }
    }
}
