//! The calls of a vault and of its host, by number; and how a vault answers one.

use super::merged;
use super::wire::{self, decode, encode_reply, record, LogLine, One};
use crate::error::{cut, Result, MAX_MESSAGE_BYTES};
use crate::plugin::{ExecOutput, Services, MAX_EXEC_ERRORS_BYTES};
use crate::value::SecretBytes;
use crate::vault::*;

/// Numbers with a name each; a number is never used again for something else.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $( $(#[$attribute:meta])* $variant:ident = $number:literal $text:literal, )* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $name {
            $( $(#[$attribute])* #[doc = $text] $variant = $number, )*
        }

        impl $name {
            /// Returns the one of this number, if it is known here.
            pub fn from_code(code: u32) -> Option<Self> {
                match code {
                    $( $(#[$attribute])* $number => Some(Self::$variant), )*
                    _ => None,
                }
            }

            /// Returns its number.
            pub fn code(self) -> u32 {
                self as u32
            }

            /// Returns its name in messages.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( $(#[$attribute])* Self::$variant => $text, )*
                }
            }
        }
    };
}

numbered! {
    /// A call to a vault.
    Method {
        Get = 1 "get",
        List = 2 "list",
        Describe = 3 "describe",
        Set = 4 "set",
        Remove = 5 "remove",
        SetMetadata = 6 "set_metadata",
        Unlock = 7 "unlock",
        Lock = 8 "lock",
        Test = 9 "test",
        Unregister = 10 "unregister",
        GetMany = 11 "get_many",
        SetMany = 12 "set_many",
        Versions = 13 "versions",
        Actions = 14 "actions",
        RunAction = 15 "run_action",
        Rename = 16 "rename",
        ListRemoved = 17 "list_removed",
        Restore = 18 "restore",
        Purge = 19 "purge",
        Rules = 20 "rules",
        #[cfg(feature = "next")]
        Health = 21 "health",
    }
}

numbered! {
    /// A call to the host.
    Service {
        Log = 1 "log",
        Exec = 2 "exec",
        Ownership = 3 "ownership",
        ReplaceFile = 4 "replace_file",
        ReadFile = 5 "read_file",
        IsGranted = 6 "is_granted",
        KeepSession = 7 "keep_session",
        ForgetSession = 8 "forget_session",
        #[cfg(feature = "next")]
        Notify = 200 "notify",
    }
}

/// The most bytes of a request or reply with one value: 16 MiB, and as much beside it as a call may
/// have (64 KiB of metadata, 1 MiB of arguments).
pub const MAX_VALUE_BODY_BYTES: usize = 18 * 1024 * 1024;

/// The most bytes of a request with several secrets to write: 17 MiB as the contract counts them, and
/// the form of 1,000 secrets and of their 256 pieces of metadata.
const MAX_WRITES_BYTES: usize = 32 * 1024 * 1024;

/// The most bytes of a reply with many things: a page of 1,000 entries with full names and metadata
/// has 79 MiB.
const MAX_MANY_BYTES: usize = 80 * 1024 * 1024;

impl Method {
    /// Returns whether this call changes nothing, so that an answer that cannot be read means no more
    /// than that.
    pub fn only_reads(self) -> bool {
        match self {
            Self::Get | Self::GetMany | Self::List | Self::Describe | Self::Versions => true,
            Self::Actions | Self::Test | Self::ListRemoved | Self::Rules => true,
            #[cfg(feature = "next")]
            Self::Health => true,
            _ => false,
        }
    }

    /// Returns whether a vault may make what is not there for this call.
    pub fn may_make(self) -> bool {
        matches!(self, Self::Set | Self::SetMany | Self::SetMetadata | Self::RunAction)
    }

    /// Returns the most bytes that a request may have.
    pub fn max_request(self) -> usize {
        match self {
            Self::SetMany => MAX_WRITES_BYTES,
            _ => MAX_VALUE_BODY_BYTES,
        }
    }

    /// Returns the most bytes that a reply may have. More of several secrets is asked for one by one.
    pub fn max_reply(self) -> usize {
        match self {
            Self::List | Self::ListRemoved | Self::Versions | Self::Actions => MAX_MANY_BYTES,
            _ => MAX_VALUE_BODY_BYTES,
        }
    }
}

/// A vault as it is called from the other side of a boundary: by number and bytes.
pub trait Serve: Send {
    /// Answers a call: hands the reply to `reply`, once.
    ///
    /// # Errors
    /// Where what answered is no reply.
    fn serve(&mut self, method: u32, request: &[u8], reply: &mut dyn FnMut(&[u8])) -> Result<()>;
}

/// A vault of the plain contract, served.
pub struct Served(Box<dyn Vault>);

impl Served {
    /// Returns this vault, to be called by number.
    pub fn new(vault: Box<dyn Vault>) -> Self {
        Self(vault)
    }
}

impl Serve for Served {
    fn serve(&mut self, method: u32, request: &[u8], reply: &mut dyn FnMut(&[u8])) -> Result<()> {
        reply(serve(&mut *self.0, method, request).expose());
        Ok(())
    }
}

/// Returns a vault's reply to the call of this number.
pub fn serve(vault: &mut dyn Vault, method: u32, request: &[u8]) -> SecretBytes {
    let method = match Method::from_code(method) {
        Some(method) => method,
        None => return wire::unknown_call(),
    };
    answer(vault, method, request).unwrap_or_else(|error| encode_reply::<()>(&Err(error)))
}

fn answer(vault: &mut dyn Vault, method: Method, request: &[u8]) -> Result<SecretBytes> {
    Ok(match method {
        Method::Get => encode_reply(&vault.get(&decode(request)?)),
        Method::List => encode_reply(&vault.list(&decode(request)?)),
        Method::Describe => encode_reply(&vault.describe(&decode(request)?)),
        Method::Set => encode_reply(&vault.set(decode(request)?)),
        Method::Remove => encode_reply(&vault.remove(&decode(request)?)),
        Method::Rename => encode_reply(&vault.rename(&decode(request)?)),
        Method::SetMetadata => encode_reply(&vault.set_metadata(decode(request)?)),
        Method::Unlock => encode_reply(&vault.unlock(&decode(request)?)),
        Method::Lock => encode_reply(&vault.lock(&decode(request)?)),
        Method::Test => encode_reply(&vault.test(&decode(request)?)),
        Method::Unregister => encode_reply(&vault.unregister(&decode(request)?)),
        Method::GetMany => encode_reply(&vault.get_many(&decode(request)?)),
        Method::SetMany => encode_reply(&set_readable(vault, decode(request)?)),
        Method::Versions => encode_reply(&vault.versions(&decode(request)?)),
        Method::ListRemoved => encode_reply(&vault.list_removed(&decode(request)?)),
        Method::Restore => encode_reply(&vault.restore(&decode(request)?)),
        Method::Purge => encode_reply(&vault.purge(&decode(request)?)),
        Method::Rules => encode_reply(&vault.rules(&decode(request)?)),
        Method::Actions => encode_reply(&vault.actions(&decode(request)?)),
        Method::RunAction => {
            let outcome = vault.run_action(&decode(request)?).map(|mut outcome| {
                // Cut, not refused: what the action did is done.
                let kept = cut(&outcome.message, MAX_MESSAGE_BYTES).len();
                outcome.message.truncate(kept);
                outcome
            });
            encode_reply(&outcome)
        }
        #[cfg(feature = "next")]
        Method::Health => {
            let health = vault.health(one(request)?);
            encode_reply(&health.map(|health| One(health.into_iter().collect::<Vec<_>>())))
        }
    })
}

fn one<T: wire::Wire>(request: &[u8]) -> Result<T> {
    decode::<One<T>>(request).map(|one| one.0)
}

/// A [`SetManyRequest`], each secret for itself: one that cannot be read is answered, and no other
/// is kept from being written.
struct Readable {
    requests: Each,
}

record! { Readable { 1 requests } }

struct Each(Vec<Result<SetRequest>>);

impl wire::Wire for Each {
    fn write(&self, w: &mut wire::Writer<'_>) -> Result<()> {
        w.list(self.0.iter().flatten())
    }

    fn absent() -> Option<Self> {
        Some(Self(Vec::new()))
    }

    fn read(r: &mut wire::Reader<'_>) -> Result<Self> {
        r.each().map(Self)
    }
}

/// Writes what could be read and puts the answers between the errors of what could not.
fn set_readable(vault: &mut dyn Vault, readable: Readable) -> Result<SetManyResults> {
    let each = readable.requests.0;
    let mut requests = Vec::with_capacity(each.len());
    let each = each.into_iter().map(|request| request.map(|request| requests.push(request)));
    let results: Vec<Result<()>> = each.collect();
    let answers = vault.set_many(SetManyRequest::new(requests))?.results;
    merged(results, answers).map(SetManyResults::new)
}

/// Returns the host's reply to the service of this number.
pub fn serve_host(services: &dyn Services, service: u32, request: &[u8]) -> SecretBytes {
    let reply = || -> Result<SecretBytes> {
        Ok(match Service::from_code(service) {
            Some(Service::Log) => {
                let line: LogLine = decode(request)?;
                services.log(line.level, &line.message);
                encode_reply(&Ok(()))
            }
            Some(Service::Exec) => encode_reply(&services.exec(decode(request)?).map(cut_errors)),
            Some(Service::Ownership) => {
                encode_reply(&services.ownership(&one::<String>(request)?).map(One))
            }
            Some(Service::ReplaceFile) => encode_reply(&services.replace_file(decode(request)?)),
            Some(Service::ReadFile) => encode_reply(&services.read_file(decode(request)?)),
            Some(Service::IsGranted) => {
                encode_reply(&services.is_granted(&one::<String>(request)?).map(One))
            }
            Some(Service::KeepSession) => {
                services.keep_session(decode(request)?);
                encode_reply(&Ok(()))
            }
            Some(Service::ForgetSession) => {
                services.forget_session();
                encode_reply(&Ok(()))
            }
            #[cfg(feature = "next")]
            Some(Service::Notify) => encode_reply(&services.notify(&one::<String>(request)?)),
            None => wire::unknown_call(),
        })
    };
    reply().unwrap_or_else(|error| encode_reply::<()>(&Err(error)))
}

/// Returns how a program ended, with no more of its standard error than reaches a plugin.
pub fn cut_errors(mut output: ExecOutput) -> ExecOutput {
    let kept = cut(&output.errors, MAX_EXEC_ERRORS_BYTES).len();
    output.errors.truncate(kept);
    output
}
