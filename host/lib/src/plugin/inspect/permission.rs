//! The permissions that a plugin requests, as its manifest writes them and as users read them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::{Error, Result, text};

/// Maximum length of a permission, in bytes: a path of the longest kind, and some words.
const MAX_BYTES: usize = 4_096 + 64;

/// End of a template that stands for a file's directory.
const DIR_OF: &str = "/..";

/// Access to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileAccess {
    /// The plugin may read them.
    Read,
    /// The plugin may read and write them.
    ReadWrite,
}

/// A permission that a plugin requests. Its `Display` describes it in plain words;
/// [`Permission::text`] returns it as manifests and registrations write it.
///
/// Paths and programs are templates: `{name}` stands for the parameter of that name.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Files below a directory, or one file.
    Files {
        /// The path, absolute once its parameters are put in. A path that ends with `/` is a
        /// directory; any other path is a directory or a file, whichever exists. At the end of a
        /// template `/..` is the directory of a file.
        template: String,
        /// The requested access.
        access: FileAccess,
    },
    /// One file, which the host reads for the plugin and replaces as a whole.
    Replace {
        /// The path, absolute once its parameters are put in.
        template: String,
    },
    /// The network.
    Network,
    /// One variable of the host's environment.
    Env(String),
    /// A program, run by the host for the plugin.
    Exec {
        /// A name, or a path that is absolute once its parameters are put in.
        program: String,
        /// The variables of its environment that the plugin may set, sorted.
        variables: Vec<String>,
    },
    /// One Unix socket that a server listens at.
    Socket {
        /// The path, absolute once its parameters are put in.
        template: String,
    },
    /// The session bus.
    Dbus,
    /// A shared library beyond the system's own, by the name the file needs it under.
    Library(String),
}

impl Permission {
    /// Returns the permission of this text.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`] if this host does not know the permission,
    /// [`Error::BadManifest`] if its form is wrong.
    pub fn parse(written: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::bad_manifest(format!("permission `{}`: {why}", text::shown(written)))
        };
        if written.len() > MAX_BYTES || written.chars().any(text::misleads) {
            return Err(bad("it is too long or has characters that mislead"));
        }
        let unknown = || Error::UnknownPermission { permission: text::shown(written) };
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
                    // An access of a later plugin API, and no misspelling of these.
                    Some((_, word)) if is_word(word) && word.contains(|c| c != 'r' && c != 'w') => {
                        return Err(Error::UnknownPermission { permission: text::shown(written) });
                    }
                    _ => return Err(bad("it ends neither with `:r` nor with `:rw`")),
                };
                check_path(template.strip_suffix(DIR_OF).unwrap_or(template)).map_err(bad)?;
                Ok(Self::Files { template: template.to_owned(), access })
            }
            ("replace", Some(template)) => {
                check_path(template).map_err(bad)?;
                // This plugin API does not replace the files of a directory.
                if template.ends_with('/') {
                    return Err(unknown());
                }
                Ok(Self::Replace { template: template.to_owned() })
            }
            ("socket", Some(template)) => {
                check_path(template).map_err(bad)?;
                // No permission of this plugin API covers all sockets of a directory.
                if template.ends_with('/') {
                    return Err(unknown());
                }
                Ok(Self::Socket { template: template.to_owned() })
            }
            ("env", Some(name)) => {
                if is_pattern(name) {
                    return Err(unknown());
                }
                if !is_variable(name) {
                    return Err(bad("that is not the name of a variable"));
                }
                if steers_loading(name) {
                    return Err(bad("that variable changes which code a program runs"));
                }
                Ok(Self::Env(name.to_owned()))
            }
            ("exec", Some(rest)) => {
                let (program, list) = match rest.strip_prefix(':') {
                    // Only a path that was put in for a parameter has colons.
                    Some(rest) => rest
                        .rsplit_once(':')
                        .filter(|(program, _)| program.contains(':') && program.starts_with('/'))
                        .map(|(program, list)| {
                            (program, Some(list).filter(|list| !list.is_empty()))
                        })
                        .ok_or_else(|| bad("that is not the name of a program"))?,
                    None => match rest.split_once(':') {
                        Some((program, list)) => (program, Some(list)),
                        None => (rest, None),
                    },
                };
                if list
                    .and_then(|list| list.rsplit_once(':'))
                    .is_some_and(|(_, word)| is_word(word))
                {
                    return Err(unknown());
                }
                let variables = list.map(variables).transpose().map_err(bad)?.unwrap_or_default();
                if program.contains('/') || program.contains(['{', '}']) {
                    check_path(program).map_err(bad)?;
                } else if program.is_empty() || program.starts_with('.') {
                    return Err(bad("that is not the name of a program"));
                }
                Ok(Self::Exec { program: program.to_owned(), variables })
            }
            ("library", Some(name)) => {
                let relative = name.contains('/') && !name.starts_with('/');
                if name.is_empty() || relative || name.contains(['$', '@', '{', '}']) {
                    return Err(bad("that is not the name of a library"));
                }
                Ok(Self::Library(name.to_owned()))
            }
            _ => Err(unknown()),
        }
    }

    /// Returns the permission that a manifest requests with this text. In addition to the checks of
    /// [`Permission::parse`], it refuses a colon in the program, which only a parameter may bring.
    /// A word behind the path of a replaced file or a socket, as in `replace:{file}:word`, belongs
    /// to a later plugin API.
    ///
    /// # Errors
    /// Those of [`Permission::parse`].
    pub(super) fn parse_template(written: &str) -> Result<Self> {
        match Self::parse(written)? {
            Self::Exec { program, .. } if program.contains(':') => Err(Error::bad_manifest(
                format!("permission `{}`: the program has a colon in it", text::shown(written)),
            )),
            Self::Replace { template } | Self::Socket { template }
                if template.rsplit_once(':').is_some_and(|(_, word)| is_word(word)) =>
            {
                Err(Error::UnknownPermission { permission: text::shown(written) })
            }
            permission => Ok(permission),
        }
    }

    /// Returns the permission of this text, whose path is no template: braces belong to the path.
    /// Returns `None` for an unknown permission and for a relative path.
    pub(crate) fn parse_filled_in(written: &str) -> Option<Self> {
        let path = |path: &str| path.starts_with('/').then(|| resolved(path));
        if let Some(rest) = written.strip_prefix("files:") {
            let (template, access) = match rest.rsplit_once(':')? {
                (template, "r") => (template, FileAccess::Read),
                (template, "rw") => (template, FileAccess::ReadWrite),
                _ => return None,
            };
            return Some(Self::Files { template: path(template)?, access });
        }
        if let Some(template) = written.strip_prefix("replace:") {
            return Some(Self::Replace { template: path(template)? });
        }
        match written.strip_prefix("socket:") {
            Some(template) => Some(Self::Socket { template: path(template)? }),
            None => Self::parse(written).ok(),
        }
    }

    /// Returns the permission as manifests write it.
    pub fn text(&self) -> String {
        match self {
            Self::Files { template, access: FileAccess::Read } => format!("files:{template}:r"),
            Self::Files { template, access: FileAccess::ReadWrite } => {
                format!("files:{template}:rw")
            }
            Self::Replace { template } => format!("replace:{template}"),
            Self::Network => "network".to_owned(),
            Self::Env(name) => format!("env:{name}"),
            Self::Exec { program, variables } => {
                let variables = variables.join(",");
                match (program.contains(':'), variables.is_empty()) {
                    (true, _) => format!("exec::{program}:{variables}"),
                    (false, true) => format!("exec:{program}"),
                    (false, false) => format!("exec:{program}:{variables}"),
                }
            }
            Self::Socket { template } => format!("socket:{template}"),
            Self::Dbus => "dbus".to_owned(),
            Self::Library(name) => format!("library:{name}"),
        }
    }

    /// Returns the permission with parameters put in for its template's names. Other names stay
    /// unchanged.
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
        let file = |template: &str| {
            // Nothing is left of `/`, and it is no file.
            let path = resolved(&fill(template));
            path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path).to_owned()
        };
        match self {
            Self::Files { template, access } => {
                Self::Files { template: resolved(&fill(template)), access: *access }
            }
            Self::Replace { template } => Self::Replace { template: file(template) },
            Self::Socket { template } => Self::Socket { template: file(template) },
            Self::Exec { program, variables } => {
                Self::Exec { program: fill(program), variables: variables.clone() }
            }
            other => other.clone(),
        }
    }

    /// Returns whether this permission, filled in and granted, covers another permission.
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
            // Write access to all of its directory includes this permission.
            (
                Self::Files { template: granted, access: FileAccess::ReadWrite },
                Self::Replace { template: wanted },
            ) => granted.ends_with('/') && wanted.starts_with(granted.as_str()),
            (
                Self::Exec { program: granted, variables: may },
                Self::Exec { program: wanted, variables: wants },
            ) => granted == wanted && wants.iter().all(|name| may.contains(name)),
            _ => self == asked,
        }
    }

    /// Returns whether the template refers to a parameter of an action: `{ACTION.PARAMETER}`.
    pub fn is_of_action(&self) -> bool {
        self.parameters().any(|name| name.contains('.'))
    }

    /// Returns the path, or its template, of a permission for files or a socket.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Files { template, .. }
            | Self::Replace { template }
            | Self::Socket { template } => Some(template),
            _ => None,
        }
    }

    /// Returns the names of the parameters that the template refers to.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let template = match self {
            Self::Exec { program, .. } => program,
            other => other.path().unwrap_or_default(),
        };
        template.split('{').skip(1).filter_map(|part| part.split('}').next())
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { template, access } if self.is_of_action() => {
                f.write_str(match access {
                    FileAccess::Read => "may read what is typed for its action, ",
                    FileAccess::ReadWrite => "may read and write what is typed for its action, ",
                })?;
                f.write_str(template)
            }
            Self::Files { template, access } => {
                f.write_str(match access {
                    FileAccess::Read => "may read files ",
                    FileAccess::ReadWrite => "may read and write files ",
                })?;
                match template.strip_suffix(DIR_OF) {
                    Some(file) => write!(f, "in the directory of {file}"),
                    None if template == "/" => f.write_str("under /"),
                    None => write!(f, "under {}", template.trim_end_matches('/')),
                }
            }
            Self::Replace { template } => {
                write!(f, "may read the file {template}, and have Keystead replace it as a whole")
            }
            Self::Network => f.write_str("may use the network"),
            Self::Env(name) => write!(f, "may read the environment variable {name}"),
            Self::Exec { program, variables } => {
                write!(f, "may run the program {program}")?;
                match variables.as_slice() {
                    [] => Ok(()),
                    [one] => write!(f, " and set its environment variable {one}"),
                    [first @ .., last] => {
                        let first = first.join(", ");
                        write!(f, " and set its environment variables {first} and {last}")
                    }
                }
            }
            Self::Socket { template } => write!(
                f,
                "may connect to the socket {template}, and have the program that listens there do \
                 all that it does for you"
            ),
            Self::Dbus => f.write_str(
                "may use the session bus and other sockets of yours, and so can run anything as you",
            ),
            Self::Library(name) => write!(f, "is linked with the library {name}"),
        }
    }
}

/// Returns whether this text can be a word of an unknown permission.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Returns whether a later plugin API may have this text after `env:`: a name with `*` in it, or a
/// name and a word.
fn is_pattern(text: &str) -> bool {
    let (name, word) = text.split_once(':').unwrap_or((text, "word"));
    let plain = name.replace('*', "");
    is_variable(&format!("_{plain}")) && is_word(word) && (plain != name || text != name)
}

/// Returns whether this is the name of an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| {
        byte == b'_' || byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit()
    };
    !name.is_empty() && name.bytes().enumerate().all(fits)
}

/// Returns whether no plugin may set this variable of a program: the loader of programs obeys it,
/// or the host sets its value.
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(name, "PATH" | "HOME") || steers_loading(name)
}

/// Returns the variables of a list with commas, sorted.
fn variables(list: &str) -> std::result::Result<Vec<String>, &'static str> {
    let mut names: Vec<String> = list.split(',').map(str::to_owned).collect();
    names.sort();
    if !names.iter().all(|name| is_variable(name)) {
        return Err("what follows the program is not a list of variables");
    }
    if names.iter().any(|name| is_reserved(name)) {
        return Err(
            "one of these variables is set by the host or changes which code a program runs",
        );
    }
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a variable is named twice");
    }
    Ok(names)
}

/// Returns whether the loader of programs obeys this variable: its value can add code to a program.
pub(crate) fn steers_loading(name: &str) -> bool {
    name.starts_with("LD_") || name.starts_with("GLIBC_")
}

/// Returns a filled-in path without empty parts and without `..`. Each `..` removes the part before
/// it, so that at a template's end it leaves a file's directory. If a link stands before it, the
/// system goes elsewhere, where nothing is granted.
pub(crate) fn resolved(filled: &str) -> String {
    let is_dir = filled.ends_with('/') || filled.ends_with(DIR_OF);
    let mut parts = Vec::new();
    for part in filled.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (path.is_empty(), is_dir) {
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
