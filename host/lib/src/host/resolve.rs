//! Resolves references at the moment their values are needed, and keeps no value.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keystead_plugin_api::{
    Deadline, ExecRequest, OwnedParameter, ParameterKind, ParameterValue, Parameters, SecretBytes,
    SecretName, SecretText, Value, VaultName,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Host;
use crate::error::{Error, Result, story};
use crate::fs::object::Target;
use crate::ids;
use crate::plugin::exec;
use crate::plugin::grant::HostUse;
use crate::prompter::NonInteractive;
use crate::reference::{Field, Reference};
use crate::registry::Setting;
use crate::registry::schema::{self, Unready};
use crate::secrets::{NoField, SearchScope, single};

/// Maximum size in bytes of a file or descriptor that a reference names: a key file or certificate
/// chain is far smaller.
const MAX_BYTES: u64 = 1024 * 1024;

thread_local! {
    /// How many references to vaults this thread is resolving: a vault's secret may need another
    /// vault. Registration rejects cycles; this ends cycles that appeared later.
    static DEPTH: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Maximum number of vaults that may need each other in a row.
const MAX_DEPTH: usize = 4;

impl Host {
    /// Returns the secret text of a reference as a parameter or unlock reference has it. Text of a
    /// file, a command or a descriptor loses the newline at its end. A relative path starts at
    /// `dir`; errors use `what` for the parameter's name.
    ///
    /// # Errors
    /// [`Error::Unresolved`] or [`Error::UnresolvedSecret`]; neither holds the value.
    pub(crate) fn follow(
        &self,
        what: &str,
        reference: &Reference,
        dir: &Path,
    ) -> Result<SecretText> {
        match reference.clone().anchored(dir, self.home().as_deref()) {
            Some(anchored) => self.resolve(what, &anchored),
            None => Err(Error::Unresolved {
                parameter: what.to_owned(),
                reference: reference.clone(),
                why: "its path cannot be made absolute".to_owned(),
            }),
        }
    }

    /// Returns the secret of a reference; errors use `what` for the parameter's name.
    ///
    /// # Errors
    /// [`Error::Unresolved`] or [`Error::UnresolvedSecret`]; neither holds the value.
    pub(crate) fn resolve(&self, what: &str, reference: &Reference) -> Result<SecretText> {
        ids::check()?;
        let unresolved = |why: String| Error::Unresolved {
            parameter: what.to_owned(),
            reference: reference.clone(),
            why,
        };
        match reference {
            Reference::Env(variable) => {
                let name = variable.as_str();
                let value = self.0.options.sources.variable(name);
                value.ok_or_else(|| unresolved("there is no such environment variable".into()))
            }
            Reference::File(path) => self
                .open_file(path.as_path())
                .and_then(|file| read(file, path.as_path(), self.deadline()))
                .and_then(line)
                .map_err(unresolved),
            Reference::Fd(number) => {
                let bytes = self.0.options.sources.descriptor(*number);
                let said = |error: std::io::Error| match error.kind() {
                    std::io::ErrorKind::NotFound => "no file of this number is open".to_owned(),
                    _ => error.to_string(),
                };
                bytes.map_err(said).and_then(line).map_err(unresolved)
            }
            Reference::Command(command) => {
                let (program, arguments) =
                    command.argv().split_first().expect("a command has a program");
                let request = ExecRequest::new(program, arguments.to_vec(), self.deadline());
                let home = self.home();
                let off = self.boundaries().keep_plugins_off_program(program);
                off.map_err(|error| unresolved(story(&error)))?;
                let output = exec::run(&request, home.as_deref())
                    .map_err(|e| unresolved(e.message().to_owned()))?;
                if output.status != 0 {
                    return Err(unresolved(format!("it ended with status {}", output.status)));
                }
                line(output.output).map_err(unresolved)
            }
            Reference::Secret { vault, name, field } => {
                let depth = DEPTH.get();
                if depth == MAX_DEPTH {
                    return Err(unresolved(format!(
                        "more than {MAX_DEPTH} vaults need each other"
                    )));
                }
                DEPTH.set(depth + 1);
                let found = self.secret(vault.as_ref(), name, field.as_ref());
                DEPTH.set(depth);
                found.map_err(|why| match why {
                    Why::Vault(source) => Error::UnresolvedSecret {
                        parameter: what.to_owned(),
                        reference: reference.clone(),
                        source,
                    },
                    Why::Value(why) => unresolved(why),
                })
            }
        }
    }

    /// Opens a file that a reference names. A plugin that may write along that path must not choose
    /// another vault's value.
    fn open_file(&self, path: &Path) -> Result<File, String> {
        let failed =
            |error: std::io::Error| format!("failed to open file `{}`: {error}", path.display());
        let off = self.boundaries().keep_plugins_off(path, HostUse::Read);
        match off.map_err(|error| story(&error))? {
            Some(Target { object: Some(object), .. }) => {
                object.reopened().map_err(|error| failed(error.into()))
            }
            Some(Target { object: None, .. }) => Err(failed(Errno::NOENT.into())),
            None => std::fs::File::options()
                .read(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(path)
                .map_err(failed),
        }
    }

    fn secret(
        &self,
        vault: Option<&VaultName>,
        name: &SecretName,
        field: Option<&Field>,
    ) -> Result<SecretText, Why> {
        let place =
            vault.map_or_else(SearchScope::anywhere, |vault| SearchScope::Vault(vault.clone()));
        let found =
            self.get(name, &place, &mut NonInteractive).map_err(|e| Why::Vault(Box::new(e)))?;
        let value = match field {
            None => single(found.secret.value),
            Some(field) => found
                .into_field(field.as_str())
                .map_err(|why| Why::Value(no_field(field.as_str(), &why)))?,
        };
        match value {
            Value::Text(text) => Ok(text),
            Value::Credential(credential) => Ok(credential.password),
            Value::Json(json) => Ok(json.into_text()),
            Value::Bytes(bytes) => {
                SecretText::from_bytes(bytes).map_err(|e| Why::Value(e.to_string()))
            }
            _ => Err(Why::Value("the secret is a map: name a field with `#FIELD`".into())),
        }
    }

    /// Returns registered settings as a plugin gets them.
    pub(crate) fn parameters(
        &self,
        settings: &BTreeMap<String, Setting>,
        schema: &[OwnedParameter],
        what: &str,
    ) -> Result<Parameters> {
        let home = self.0.options.sources.home();
        let resolve = &mut |reference: &Reference| self.resolve("a parameter", reference);
        let ready = schema::to_parameters(schema, settings, home.as_deref(), resolve);
        ready.map(|parameters| as_granted(parameters, schema)).map_err(|unready| match unready {
            Unready::Faults(faults) => Error::Parameters { what: what.to_owned(), faults },
            Unready::Unresolved { name, source } => match source {
                Error::Unresolved { reference, why, .. } => {
                    Error::Unresolved { parameter: name, reference, why }
                }
                Error::UnresolvedSecret { reference, source, .. } => {
                    Error::UnresolvedSecret { parameter: name, reference, source }
                }
                other => other,
            },
        })
    }

    /// Returns the user's home, if there is one.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.0.options.sources.home()
    }
}

/// Removes `..` from paths, as in the grants that are made of them. The directory that `..` leaves
/// need not be granted, and then does not exist in a sandbox.
fn as_granted(mut parameters: Parameters, schema: &[OwnedParameter]) -> Parameters {
    for one in schema.iter().filter(|one| one.kind == ParameterKind::Path) {
        let path = parameters.text(&one.name).unwrap_or_default();
        if path.split('/').any(|part| part == "..") {
            let path = ParameterValue::Text(crate::plugin::inspect::resolved(path));
            parameters.insert(one.name.clone(), path);
        }
    }
    parameters
}

/// Reason why a vault's secret has no value for a reference.
enum Why {
    /// No vault returned the secret.
    Vault(Box<Error>),
    /// The secret exists, but its value does not fit.
    Value(String),
}

fn no_field(field: &str, why: &NoField) -> String {
    match why {
        NoField::Null => format!("the secret's field `{field}` is null"),
        _ => format!("the secret has no field `{field}`"),
    }
}

/// Reads a small file whole into memory that is wiped. A pipe may be slow until the deadline; a
/// pipe without a writer must not keep its reader for ever.
fn read(file: File, path: &Path, deadline: Deadline) -> Result<SecretBytes, String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!("it has {size} bytes; the most is {MAX_BYTES}"));
    }
    // Reserved once: a buffer that grows leaves copies behind. The extra byte detects more data
    // than the size, which is 0 for a pipe, a device and a file of `/proc`.
    let most = if size == 0 { MAX_BYTES } else { size } as usize;
    let mut bytes = zeroize::Zeroizing::new(vec![0_u8; most + 1]);
    let mut len = 0;
    loop {
        let mut wait = [PollFd::new(&file, PollFlags::IN)];
        let left = Timespec::try_from(deadline.remaining()).expect("a deadline is at most a day");
        match poll(&mut wait, Some(&left)) {
            Ok(0) => return Err("nobody wrote to it in time".to_owned()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(fault) => return Err(said(fault.into())),
        }
        match rustix::io::read(&file, &mut bytes[len..]) {
            Ok(0) => return Ok(SecretBytes::copy_of(&bytes[..len])),
            Ok(read) => len += read,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(fault) => return Err(said(fault.into())),
        }
        if len > most {
            let now = if size == 0 { "" } else { " now" };
            return Err(format!("it has more than {most} bytes{now}"));
        }
    }
}

/// Returns bytes as text without the line end that editors and `echo` leave.
fn line(bytes: SecretBytes) -> Result<SecretText, String> {
    let whole = bytes.expose();
    let cut =
        whole.strip_suffix(b"\n").map_or(whole, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    SecretText::from_bytes(SecretBytes::copy_of(cut)).map_err(|error| error.message().to_owned())
}
