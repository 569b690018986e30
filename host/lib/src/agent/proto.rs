//! Messages on the agent's socket: one packet a request, one packet its reply. Both ends check each
//! other's user and still treat the other's bytes as hostile.
//!
//! A frame is the protocol's number (`u8`), its kind (`u8`), and a body; little-endian.

use std::time::Duration;

use keystead_plugin_api::{MAX_SESSION_LIFETIME, VaultName};

use super::{MAX_SESSION_BYTES, MAX_VAULTS, SessionKey};
use crate::codec::{Fault, Reader, Writer};
use crate::paths::Layer;
use crate::plugin::pins::Digest;

/// Version of this protocol. An agent outlives an upgrade of the program.
pub(super) const PROTOCOL: u8 = 2;

/// Maximum size of a frame in bytes: a session, and a key with its longest names beside it.
pub(super) const MAX_FRAME_BYTES: usize = MAX_SESSION_BYTES + 1024;

/// Maximum length in bytes of the name of a vault or a vault kind.
const MAX_NAME_BYTES: usize = 64;

/// Maximum length in bytes of the agent's version.
const MAX_VERSION_BYTES: usize = 64;

const GET: u8 = 1;
const KEEP: u8 = 2;
const REFUSED: u8 = 3;
const FORGET: u8 = 4;
const FORGET_ALL: u8 = 5;
const STATUS: u8 = 6;
const STOP: u8 = 7;
const RENEW: u8 = 8;

const SESSION: u8 = 65;
const NONE: u8 = 66;
const KEPT: u8 = 67;
const FULL: u8 = 68;
const FORGOTTEN: u8 = 69;
const IS: u8 = 70;
const STOPPING: u8 = 71;
/// The same in every version, without a body.
const OTHER_VERSION: u8 = 255;

/// A request to the agent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// Return the session of exactly this key, for use by this vault.
    Get { key: SessionKey, vault: VaultName },
    /// Keep a session of this vault, in place of the session of this key.
    Keep {
        key: SessionKey,
        vault: VaultName,
        secret: Secret<'a>,
        /// Maximum time, renewals included.
        whole: Duration,
        /// Time during which the plugin accepts this secret.
        lifetime: Duration,
        /// Maximum time without a request for it.
        idle: Duration,
        /// Whether to replace a session of this key that is kept already.
        replace: bool,
    },
    /// Keep this secret in place of that with this serial number; the total limit stays.
    Renew { key: SessionKey, serial: u64, secret: Secret<'a>, lifetime: Duration },
    /// Record that the vault rejected this session.
    Refused { key: SessionKey, serial: u64 },
    /// Discard the sessions that a vault uses, whatever their keys.
    Forget(VaultName),
    /// Discard everything.
    ForgetAll,
    /// Report the kept sessions, without secrets.
    Status,
    /// Discard everything and exit.
    Stop,
}

/// A reply of the agent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    Session {
        serial: u64,
        secret: Secret<'a>,
        left: Duration,
    },
    None,
    /// The session is kept, under this serial number.
    Kept(u64),
    Full,
    /// The vaults whose sessions were discarded.
    Forgotten(Vec<VaultName>),
    Is(Status),
    Stopping,
    OtherVersion,
}

/// Bytes that `Debug` does not show.
#[derive(PartialEq, Eq)]
pub(super) struct Secret<'a>(pub(super) &'a [u8]);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Status of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Process id of the agent.
    pub process: u32,
    /// Keystead version of the agent.
    pub version: String,
    /// How much of its memory stays out of swap.
    pub locked: MemoryLock,
    /// The vaults whose sessions the agent keeps, by name.
    pub vaults: Vec<UnlockedVault>,
}

/// How much of an agent's memory stays out of swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLock {
    /// All of it.
    Whole,
    /// The memory that sessions are kept in.
    Sessions,
    /// None: the limit on locked memory is too small.
    No,
}

impl MemoryLock {
    const ALL: [Self; 3] = [Self::Whole, Self::Sessions, Self::No];

    /// Returns the name in messages and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Sessions => "sessions",
            Self::No => "no",
        }
    }
}

/// A vault whose session the agent keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockedVault {
    /// Name of the vault.
    pub vault: VaultName,
    /// Layer of the registration.
    pub layer: Layer,
    /// Number of the session: vaults with the same number share it.
    pub session: u64,
    /// Time until the agent discards the session, used or not.
    pub left: Duration,
    /// Time until the agent discards the session if it is not used.
    pub idle_left: Duration,
}

impl<'a> Request<'a> {
    /// Writes the frame.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.u8(PROTOCOL);
        match self {
            Self::Get { key, vault } => {
                w.u8(GET);
                write_key(w, key);
                w.text(vault.as_str());
            }
            Self::Keep { key, vault, secret, whole, lifetime, idle, replace } => {
                w.u8(KEEP);
                write_key(w, key);
                w.text(vault.as_str());
                w.span(*whole);
                w.span(*lifetime);
                w.span(*idle);
                w.flag(*replace);
                w.bytes(secret.0);
            }
            Self::Renew { key, serial, secret, lifetime } => {
                w.u8(RENEW);
                write_key(w, key);
                w.u64(*serial);
                w.span(*lifetime);
                w.bytes(secret.0);
            }
            Self::Refused { key, serial } => {
                w.u8(REFUSED);
                write_key(w, key);
                w.u64(*serial);
            }
            Self::Forget(vault) => {
                w.u8(FORGET);
                w.text(vault.as_str());
            }
            Self::ForgetAll => w.u8(FORGET_ALL),
            Self::Status => w.u8(STATUS),
            Self::Stop => w.u8(STOP),
        }
    }

    /// Reads a frame; `None` if it has another version.
    pub(super) fn read(frame: &'a [u8]) -> Result<Option<Self>, Fault> {
        let r = &mut Reader::new(frame);
        if r.u8()? != PROTOCOL {
            return Ok(None);
        }
        let request = match r.u8()? {
            GET => Self::Get { key: key(r)?, vault: vault(r)? },
            KEEP => {
                let (key, vault) = (key(r)?, vault(r)?);
                let (whole, lifetime, idle) = (span(r)?, span(r)?, span(r)?);
                let replace = r.flag()?;
                Self::Keep { key, vault, secret: secret(r)?, whole, lifetime, idle, replace }
            }
            RENEW => {
                let (key, serial, lifetime) = (key(r)?, r.u64()?, span(r)?);
                Self::Renew { key, serial, secret: secret(r)?, lifetime }
            }
            REFUSED => Self::Refused { key: key(r)?, serial: r.u64()? },
            FORGET => Self::Forget(vault(r)?),
            FORGET_ALL => Self::ForgetAll,
            STATUS => Self::Status,
            STOP => Self::Stop,
            _ => return Err(Fault::new("a request of an unknown kind")),
        };
        r.end()?;
        Ok(Some(request))
    }
}

impl<'a> Reply<'a> {
    /// Writes the frame.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.u8(PROTOCOL);
        match self {
            Self::Session { serial, secret, left } => {
                w.u8(SESSION);
                w.u64(*serial);
                w.span(*left);
                w.bytes(secret.0);
            }
            Self::None => w.u8(NONE),
            Self::Kept(serial) => {
                w.u8(KEPT);
                w.u64(*serial);
            }
            Self::Full => w.u8(FULL),
            Self::Forgotten(vaults) => {
                w.u8(FORGOTTEN);
                w.count(vaults.len());
                for vault in vaults {
                    w.text(vault.as_str());
                }
            }
            Self::Is(status) => {
                w.u8(IS);
                w.u32(status.process);
                w.text(&status.version);
                w.u8(MemoryLock::ALL.iter().position(|l| *l == status.locked).unwrap_or(0) as u8);
                w.count(status.vaults.len());
                for held in &status.vaults {
                    w.text(held.vault.as_str());
                    write_layer(w, held.layer);
                    w.u64(held.session);
                    w.span(held.left);
                    w.span(held.idle_left);
                }
            }
            Self::Stopping => w.u8(STOPPING),
            Self::OtherVersion => w.u8(OTHER_VERSION),
        }
    }

    /// Reads a frame.
    pub(super) fn read(frame: &'a [u8]) -> Result<Self, Fault> {
        let r = &mut Reader::new(frame);
        if r.u8()? != PROTOCOL {
            return Ok(Self::OtherVersion);
        }
        let reply = match r.u8()? {
            SESSION => {
                let (serial, left) = (r.u64()?, span(r)?);
                Self::Session { serial, secret: secret(r)?, left }
            }
            NONE => Self::None,
            KEPT => Self::Kept(r.u64()?),
            FULL => Self::Full,
            FORGOTTEN => {
                let count = r.count(MAX_VAULTS, "too many vaults")?;
                Self::Forgotten((0..count).map(|_| vault(r)).collect::<Result<_, _>>()?)
            }
            IS => Self::Is(status(r)?),
            STOPPING => Self::Stopping,
            OTHER_VERSION => Self::OtherVersion,
            _ => return Err(Fault::new("an answer of an unknown kind")),
        };
        r.end()?;
        Ok(reply)
    }
}

fn write_key(w: &mut Writer<'_>, key: &SessionKey) {
    write_layer(w, key.layer);
    w.raw(key.plugin.as_bytes());
    w.text(&key.kind);
    w.raw(key.registered.as_bytes());
    w.raw(key.account.as_bytes());
}

fn key(r: &mut Reader<'_>) -> Result<SessionKey, Fault> {
    Ok(SessionKey {
        layer: layer(r)?,
        plugin: Digest::from_bytes(r.array()?),
        kind: r.text(MAX_NAME_BYTES, "a kind of more than 64 bytes")?.to_owned(),
        registered: Digest::from_bytes(r.array()?),
        account: Digest::from_bytes(r.array()?),
    })
}

fn vault(r: &mut Reader<'_>) -> Result<VaultName, Fault> {
    let name = r.text(MAX_NAME_BYTES, "a vault's name of more than 64 bytes")?;
    VaultName::parse(name).map_err(|_| Fault::new("a name that is no vault's"))
}

fn write_layer(w: &mut Writer<'_>, layer: Layer) {
    w.flag(layer == Layer::User);
}

fn layer(r: &mut Reader<'_>) -> Result<Layer, Fault> {
    Ok(if r.flag()? { Layer::User } else { Layer::System })
}

fn span(r: &mut Reader<'_>) -> Result<Duration, Fault> {
    match r.span()? {
        span if span <= MAX_SESSION_LIFETIME => Ok(span),
        _ => Err(Fault::new("a lifetime of more than a day")),
    }
}

fn secret<'a>(r: &mut Reader<'a>) -> Result<Secret<'a>, Fault> {
    r.bytes(MAX_SESSION_BYTES, "a session that is too large").map(Secret)
}

fn status(r: &mut Reader<'_>) -> Result<Status, Fault> {
    let process = r.u32()?;
    let version = r.text(MAX_VERSION_BYTES, "a version of more than 64 bytes")?.to_owned();
    let locked = MemoryLock::ALL.get(usize::from(r.u8()?)).copied();
    let locked = locked.ok_or_else(|| Fault::new("memory that is locked in an unknown way"))?;
    let count = r.count(MAX_VAULTS, "too many vaults")?;
    let mut vaults = Vec::with_capacity(count);
    for _ in 0..count {
        vaults.push(UnlockedVault {
            vault: vault(r)?,
            layer: layer(r)?,
            session: r.u64()?,
            left: span(r)?,
            idle_left: span(r)?,
        });
    }
    Ok(Status { process, version, locked, vaults })
}
