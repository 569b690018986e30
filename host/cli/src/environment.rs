//! The environment, which only this file reads: directories, the default vault, and the variables
//! and descriptors that references name.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead::internals::ids::privilege;
use keystead::paths::Paths;
use keystead::trust::Privilege;
use keystead_plugin_api::{MAX_VALUE_BYTES, SecretBytes, SecretText, VaultName};
use zeroize::Zeroize;

use crate::duration;
use crate::failure::Failure;
use crate::value::input;

/// Directory of the administrator's settings. No variable changes it, since it holds the policy.
const SYSTEM_CONFIG: &str = "/etc/keystead";

/// Directories in which packages install plugins and their pins.
const PACKAGED: [&str; 2] = [LOCAL, "/usr/lib/keystead"];

/// Directory in which an administrator installs plugins for all users.
pub(crate) const LOCAL: &str = "/usr/local/lib/keystead";

/// Environment in which the process was started.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The directories.
    pub(crate) paths: Paths,
    /// Directory of the agent's socket; `None` where there is no such directory.
    pub(crate) agent: Option<PathBuf>,
    /// Directory of files installed beside the program: `<prefix>/share/keystead`.
    pub(crate) share: Option<PathBuf>,
    /// This program, which also runs isolated plugins.
    pub(crate) program: PathBuf,
    /// Whether the program runs with more rights than the user who started it.
    pub(crate) privilege: Privilege,
    /// Directories of other commands that no plugin may write to: the next command may run with
    /// other variables, or without `--config-dir`.
    pub(crate) off_limits: Vec<PathBuf>,
    /// Reason why the user's registrations cannot be read; `None` where they can.
    pub(crate) lost: Option<Lost>,
    /// `KEYSTEAD_VAULT`.
    pub(crate) default_vault: Option<VaultName>,
}

/// Reason why the user's registrations cannot be read: a name not found then may still exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No setting names their directory.
    NoHome,
    /// The command line names a directory that does not exist.
    Typed(PathBuf),
    /// `KEYSTEAD_CONFIG_DIR` names a directory that does not exist.
    Variable(PathBuf),
}

/// Settings from the environment for gpg, which decrypts files of an import.
#[derive(Debug, Default)]
pub(crate) struct ForGpg {
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `GNUPGHOME`.
    pub(crate) keys: Option<PathBuf>,
    /// `GPG_TTY`, or else the terminal of a standard stream.
    pub(crate) terminal: Option<PathBuf>,
}

impl ForGpg {
    /// Reads the environment; reads nothing where the program has more rights than its user.
    pub(crate) fn read() -> Self {
        if privilege() != Privilege::Ordinary {
            return Self::default();
        }
        let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            home: absolute("HOME"),
            keys: absolute("GNUPGHOME"),
            terminal: absolute("GPG_TTY").or_else(terminal),
        }
    }
}

impl Environment {
    /// Reads the environment. `config_dir` comes from the command line, and overrides it.
    ///
    /// # Errors
    /// A variable has an invalid value.
    pub(crate) fn read(config_dir: Option<&Path>) -> Result<Self, Failure> {
        let privilege = privilege();
        let program = std::env::current_exe()
            .map_err(|fault| Failure::act("cannot find this program's own file").because(fault))?;
        // The user who starts a program with more rights chooses its variables and any link to it.
        let ordinary = privilege == Privilege::Ordinary;
        let variable = |name: &str| if ordinary { variable(name) } else { None };

        let is_typed = config_dir.is_some();
        let config_dir = match config_dir {
            Some(_) if !ordinary => {
                return Err(Failure::usage(
                    "`--config-dir` is not for a program that has more rights than its user",
                ));
            }
            Some(typed) => Some(std::path::absolute(typed).map_err(|fault| {
                Failure::usage(format!("`{}` is no directory", typed.display())).because(fault)
            })?),
            None => None,
        };
        let default_vault = match variable("KEYSTEAD_VAULT") {
            None => None,
            Some(name) => {
                let parsed = name.to_str().and_then(|name| VaultName::parse(name).ok());
                Some(parsed.ok_or_else(|| {
                    Failure::usage("`KEYSTEAD_VAULT` is not a vault's name")
                        .hint("run `keystead vault list` to see the names")
                })?)
            }
        };
        let user_data = dir(&variable, "KEYSTEAD_DATA_DIR", "XDG_DATA_HOME", ".local/share")?;
        let agent = agent(&variable, user_data.as_deref());
        let user_config = match config_dir {
            Some(given) => Some(given),
            None => dir(&variable, "KEYSTEAD_CONFIG_DIR", "XDG_CONFIG_HOME", ".config")?,
        };
        let lost = match &user_config {
            // With gained rights, only the directories of the system count.
            None => (privilege == Privilege::Ordinary).then_some(Lost::NoHome),
            Some(dir) if dir.symlink_metadata().is_ok() => None,
            Some(dir) if is_typed => Some(Lost::Typed(dir.clone())),
            Some(dir) => {
                let is_ours = variable("KEYSTEAD_CONFIG_DIR").is_some();
                is_ours.then(|| Lost::Variable(dir.clone()))
            }
        };
        let mut off_limits = others(&variable);
        off_limits.push(program.clone());
        off_limits.extend(agent.clone());
        Ok(Self {
            off_limits,
            agent,
            paths: Paths {
                system_config: SYSTEM_CONFIG.into(),
                user_config,
                user_data,
                packaged: packaged(ordinary.then_some(&program)),
            },
            share: prefix(&program).map(|prefix| prefix.join("share/keystead")),
            program,
            privilege,
            lost,
            default_vault,
        })
    }
}

/// Returns the time limit for optional lookups of names: the value of `KEYSTEAD_NAMES_TIMEOUT`,
/// where that leaves enough time for an answer.
pub(crate) fn names_timeout() -> Option<Duration> {
    if privilege() != Privilege::Ordinary {
        return None;
    }
    let text = variable("KEYSTEAD_NAMES_TIMEOUT")?;
    duration::parse(text.to_str()?).ok().filter(|time| *time >= Duration::from_millis(100))
}

/// Returns `HOME` where it is a directory of another user, as with `sudo -E`.
pub(crate) fn home_of_another() -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let home = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute())?;
    let owner = fs_err::metadata(&home).ok()?.uid();
    (owner != 0 && owner != rustix::process::geteuid().as_raw()).then_some(home)
}

/// Returns whether the terminal may get the request to mark pastes: always, unless `TERM` is unset
/// or `dumb`. A terminal that does not know the request ignores it.
pub(crate) fn marks_pastes() -> bool {
    variable("TERM").is_some_and(|kind| kind != "dumb")
}

/// Returns the name of this process's account: from the system's user list, which .NET uses, or
/// else from `USER` or `LOGNAME`.
pub(crate) fn account() -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    let listed = fs_err::read_to_string("/etc/passwd").ok();
    let listed = listed.and_then(|list| named(&list, user));
    let set = |name| match privilege() {
        Privilege::Ordinary => variable(name)?.into_string().ok(),
        Privilege::SetId => None,
    };
    listed.or_else(|| set("USER")).or_else(|| set("LOGNAME"))
}

/// Returns the name of this user in the text of a `passwd`.
fn named(list: &str, user: u32) -> Option<String> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found = fields.nth(1)?.parse::<u32>().ok()?;
        (found == user && !name.is_empty()).then(|| name.to_owned())
    })
}

/// Reads a variable; an empty variable counts as not set.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the device of the terminal that a standard stream is connected to.
fn terminal() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let name =
        streams.into_iter().find_map(|one| rustix::termios::ttyname(one, Vec::new()).ok())?;
    Some(OsString::from_vec(name.into_bytes()).into())
}

/// Returns a directory of the user: from Keystead's own variable, else by the XDG rules (which
/// ignore relative paths), else `None`.
fn dir(
    variable: &dyn Fn(&str) -> Option<OsString>,
    own: &str,
    xdg: &str,
    in_home: &str,
) -> Result<Option<PathBuf>, Failure> {
    if let Some(own_dir) = variable(own).map(PathBuf::from) {
        return match own_dir.is_absolute() {
            true => Ok(Some(own_dir)),
            false => Err(Failure::usage(format!(
                "`{own}` is `{}`, which is not an absolute path",
                own_dir.display()
            ))),
        };
    }
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(xdg).or_else(|| absolute("HOME").map(|home| home.join(in_home)));
    Ok(base.map(|base| base.join("keystead")))
}

/// Returns the directories in which this user's commands find registrations and pins, by each rule.
fn others(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let by_rules = |own, xdg, in_home: &str| {
        let xdg = absolute(xdg).map(|dir| dir.join("keystead"));
        let home = absolute("HOME").map(|home| home.join(in_home).join("keystead"));
        [absolute(own), xdg, home].into_iter().flatten()
    };
    let mut dirs: Vec<PathBuf> =
        by_rules("KEYSTEAD_CONFIG_DIR", "XDG_CONFIG_HOME", ".config").collect();
    for data in by_rules("KEYSTEAD_DATA_DIR", "XDG_DATA_HOME", ".local/share") {
        dirs.extend(["plugins", "pins.d", "verdicts"].map(|name| data.join(name)));
    }
    dirs
}

/// Returns the directory of the agent's socket: in the user's own runtime directory, else beside
/// the user's data. Never below `/tmp`: another user who first creates a directory of that name
/// there can block the agent.
fn agent(variable: &dyn Fn(&str) -> Option<OsString>, user_data: Option<&Path>) -> Option<PathBuf> {
    let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    match runtime {
        Some(runtime) => Some(runtime.join("keystead")),
        None => Some(user_data?.join("agent")),
    }
}

/// Returns the installation prefix: the directory that contains the program's `bin`.
fn prefix(program: &Path) -> Option<&Path> {
    program.parent()?.parent()
}

fn packaged(program: Option<&PathBuf>) -> Vec<PathBuf> {
    let mut dirs = Vec::with_capacity(PACKAGED.len() + 1);
    if let Some(prefix) = program.and_then(|program| prefix(program)) {
        dirs.push(prefix.join("lib/keystead"));
    }
    for dir in PACKAGED {
        if dirs.iter().all(|known| known != Path::new(dir)) {
            dirs.push(dir.into());
        }
    }
    dirs
}

/// Sources of the references that read the environment: `env:VAR`, `fd:N`, `~/`.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Privilege of the process; only an ordinary process may use the environment.
    pub(crate) privilege: Privilege,
}

impl keystead::Sources for Sources {
    fn variable(&self, name: &str) -> Option<SecretText> {
        if self.privilege != Privilege::Ordinary {
            return None;
        }
        let text = std::env::var_os(name)?.into_string();
        match text {
            Ok(text) => Some(SecretText::new(text)),
            Err(bytes) => {
                bytes.into_encoded_bytes().zeroize();
                None
            }
        }
    }

    fn descriptor(&self, number: u32) -> io::Result<SecretBytes> {
        // Opened by name, since taking over a bare number cannot be proven safe.
        let file = File::open(format!("/dev/fd/{number}"))?;
        input::read_all(file, MAX_VALUE_BYTES)
    }

    fn home(&self) -> Option<PathBuf> {
        if self.privilege != Privilege::Ordinary {
            return None;
        }
        variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    }

    fn config(variables: &'static [(&str, &str)]) -> Result<Option<PathBuf>, Failure> {
        dir(&with(variables), "KEYSTEAD_CONFIG_DIR", "XDG_CONFIG_HOME", ".config")
    }

    #[test]
    fn user_name_is_read_from_passwd() {
        let list = "# x\nroot:x:0:0::/root:/bin/sh\n::7:\nbroken\nbob:x:1000:1000::/:/bin/sh\nalso:x:1000:";
        assert_eq!(named(list, 1000).as_deref(), Some("bob"));
        assert_eq!(named(list, 0).as_deref(), Some("root"));
        assert_eq!(named(list, 7), None);
        assert_eq!(named(list, 9), None);
    }

    #[test]
    fn keystead_variable_overrides_xdg_and_home() {
        let all: &[_] = &[("KEYSTEAD_CONFIG_DIR", "/k"), ("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(config(all).unwrap(), Some("/k".into()));
        assert_eq!(
            config(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]).unwrap(),
            Some("/x/keystead".into())
        );
        assert_eq!(config(&[("HOME", "/h")]).unwrap(), Some("/h/.config/keystead".into()));
        assert_eq!(config(&[]).unwrap(), None);
    }

    #[test]
    fn relative_dir_is_error_for_keystead_ignored_for_xdg() {
        assert!(config(&[("KEYSTEAD_CONFIG_DIR", "here")]).is_err());
        assert_eq!(
            config(&[("XDG_CONFIG_HOME", "x"), ("HOME", "/h")]).unwrap(),
            Some("/h/.config/keystead".into())
        );
        assert_eq!(config(&[("HOME", "relative")]).unwrap(), None);
    }

    #[test]
    fn all_possible_keystead_dirs_are_listed() {
        let variables: &[_] =
            &[("KEYSTEAD_CONFIG_DIR", "/k"), ("HOME", "/h"), ("XDG_DATA_HOME", "x")];
        let found = others(&with(variables));
        let expected = ["/k", "/h/.config/keystead", "/h/.local/share/keystead/plugins"];
        assert_eq!(found[..3], expected.map(PathBuf::from));
        assert_eq!(found.len(), 5);
        assert!(others(&with(&[])).is_empty());
    }

    #[test]
    fn packaged_plugin_dirs_have_no_duplicates() {
        assert_eq!(
            packaged(Some(&"/usr/bin/keystead".into())),
            [Path::new("/usr/lib/keystead"), Path::new("/usr/local/lib/keystead")]
        );
        assert_eq!(packaged(Some(&"/opt/k/bin/keystead".into())).len(), 3);
        assert_eq!(packaged(None), PACKAGED.map(PathBuf::from));
    }

    #[test]
    fn agent_dir_is_in_runtime_dir_or_data_dir() {
        let data = Path::new("/d");
        let dir = |variables, data| agent(&with(variables), data);
        assert_eq!(dir(&[("XDG_RUNTIME_DIR", "/r")], None), Some("/r/keystead".into()));
        assert_eq!(dir(&[("XDG_RUNTIME_DIR", "r")], Some(data)), Some("/d/agent".into()));
        assert_eq!(dir(&[], Some(data)), Some("/d/agent".into()));
        assert_eq!(dir(&[], None), None);
    }
}
