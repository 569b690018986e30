//! Sessions, from an unlock for a later open. A session holds the data key, so it is as valuable as
//! the password: the agent keeps it in locked memory.
//!
//! Byte form: version (1), end in seconds since 1970 (u64), slot (u32), the slot's mark (16), data
//! key (32), tag (16) under a separate key.

use std::time::Duration;

use keystead_plugin_api::{SecretBytes, Session};
use zeroize::Zeroizing;

use crate::bytes::Reader;
use crate::header::Header;
use crate::key::{KEY_BYTES, Key, TAG_BYTES};
use crate::keys::Keys;
use crate::slot::Slot;

/// Longest lifetime of a session, the plugin API's maximum. The agent ends it sooner.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const BYTES: usize = 1 + 8 + 4 + TAG_BYTES + KEY_BYTES + TAG_BYTES;

/// Returns a session that opens the vault until this slot changes.
pub(crate) fn new(keys: &Keys, slot: &Slot) -> Session {
    let end = crate::now() / 1000 + LIFETIME.as_secs() as i64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
    bytes.push(1);
    bytes.extend_from_slice(&end.to_le_bytes());
    bytes.extend_from_slice(&slot.number.to_le_bytes());
    bytes.extend_from_slice(&slot.mark());
    bytes.extend_from_slice(keys.data.bytes());
    let tag = keys.session.tag(&[&bytes]);
    bytes.extend_from_slice(&tag);
    Session::new(SecretBytes::new(std::mem::take(&mut *bytes)), LIFETIME)
}

/// Returns the keys of a session if this vault issued it, it has not expired, and its slot is
/// unchanged.
pub(crate) fn keys(session: &Session, header: &Header) -> Option<(Keys, u32)> {
    let bytes = session.secret.expose();
    let signed = bytes.get(..BYTES.checked_sub(TAG_BYTES)?)?;
    let mut reader = Reader::new(bytes);
    let (version, end, number) = (reader.u8()?, reader.i64()?, reader.u32()?);
    let mark: [u8; TAG_BYTES] = reader.array()?;
    let keys = Keys::of(Key::of(SecretBytes::copy_of(reader.take(KEY_BYTES)?))?);
    let now = crate::now() / 1000;
    // No session ends further ahead than one lifetime, unless the clock was set back.
    let in_time = now < end && end <= now + LIFETIME.as_secs() as i64;
    let slot = header.slot(number)?;
    let good = version == 1 && in_time && slot.mark() == mark;
    (good && keys.session.fits(&[signed], reader.rest())).then_some((keys, number))
}
