//! A vault's header: its id, its rule for names, and its key slots. A checksum separates damage
//! from a wrong password before any prompt. A tag under the data key proves the author.

use keystead_plugin_api::{Error, Result};

use crate::bytes::Reader;
use crate::kdf::Cost;
use crate::key::{Key, TAG_BYTES, checksum, fill};
use crate::name::{Case, TABLES};
use crate::slot::Slot;

/// The version of the format that this plugin reads and writes.
pub(crate) const VERSION: u16 = 1;

/// Start of a header.
const MAGIC: &[u8; 14] = b"keystead-store";

/// The most slots in a vault.
pub(crate) const MAX_SLOTS: usize = 64;

/// A vault's header.
pub(crate) struct Header {
    /// The vault's random id.
    pub(crate) store: [u8; 16],
    /// The vault's rule for names.
    pub(crate) case: Case,
    /// Unicode versions that fold the vault's names.
    tables: [u8; 2],
    /// Number of the next slot.
    next: u32,
    /// Key slots, each of which opens the vault.
    pub(crate) slots: Vec<Slot>,
}

/// Reason why bytes are not a valid header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Written by a later version of the format.
    Newer(u16),
    /// Names folded with newer tables than ours.
    NewerTables,
    /// More work than any password of ours needs: the slot, or `None` for all slots together.
    Excessive(Option<String>),
    /// Not as it was written.
    Damaged,
}

impl Header {
    /// Returns the header of a new vault, without slots.
    pub(crate) fn new(case: Case) -> Result<Self> {
        let mut store = [0; 16];
        fill(&mut store)?;
        Ok(Self { store, case, tables: TABLES, next: 1, slots: Vec::new() })
    }

    /// Returns the number for a new slot.
    ///
    /// # Errors
    /// `Unsupported` if the vault has the most slots already.
    pub(crate) fn number(&mut self) -> Result<u32> {
        if self.slots.len() >= MAX_SLOTS {
            return Err(Error::unsupported(format!("a vault has at most {MAX_SLOTS} key slots")));
        }
        Ok(self.renumber())
    }

    /// Returns a number that no slot has had.
    pub(crate) fn renumber(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Returns the slot with this number.
    pub(crate) fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.number == number)
    }

    /// Returns the byte form: the authenticated part, its checksum, and its tag.
    pub(crate) fn write(&self, key: &Key) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.store);
        out.push(u8::from(self.case == Case::Sensitive));
        out.extend_from_slice(&self.tables);
        out.extend_from_slice(&self.next.to_le_bytes());
        out.push(u8::try_from(self.slots.len()).expect("at most 64 slots"));
        for slot in &self.slots {
            slot.write(&mut out);
        }
        let sum = checksum(&[&out]);
        let tag = key.tag(&[&out]);
        out.extend_from_slice(&sum);
        out.extend_from_slice(&tag);
        out
    }

    /// Parses a header. Only [`Header::is_by`] proves that it is ours.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let (body, rest) = bytes
            .len()
            .checked_sub(2 * TAG_BYTES)
            .map(|at| bytes.split_at(at))
            .ok_or(Fault::Damaged)?;
        let mut reader = Reader::new(body);
        if reader.array() != Some(*MAGIC) {
            return Err(Fault::Damaged);
        }
        let version = reader.array().map(u16::from_le_bytes).ok_or(Fault::Damaged)?;
        let sound = checksum(&[body]) == rest[..TAG_BYTES];
        match version {
            // A later format may have another checksum, but a flipped bit causes no valid one.
            version if version > VERSION && sound => return Err(Fault::Newer(version)),
            VERSION if sound => {}
            _ => return Err(Fault::Damaged),
        }
        let header = Self::body(reader).ok_or(Fault::Damaged)?;
        let newer = header.tables.iter().zip(TABLES).any(|(theirs, ours)| *theirs > ours);
        if newer {
            return Err(Fault::NewerTables);
        }
        let excessive = |slot: &&Slot| slot.cost().is_some_and(Cost::is_excessive);
        if let Some(slot) = header.slots.iter().find(excessive) {
            return Err(Fault::Excessive(Some(slot.to_string())));
        }
        if header.is_excessive() { Err(Fault::Excessive(None)) } else { Ok(header) }
    }

    /// Returns whether all passwords together need more work than allowed.
    pub(crate) fn is_excessive(&self) -> bool {
        Cost::are_excessive(self.slots.iter().filter_map(Slot::cost))
    }

    fn body(mut reader: Reader<'_>) -> Option<Self> {
        let store = reader.array()?;
        let case = match reader.u8()? {
            0 => Case::Folded,
            1 => Case::Sensitive,
            _ => return None,
        };
        let tables = reader.array()?;
        let next = reader.u32()?;
        let count = usize::from(reader.u8()?);
        if count > MAX_SLOTS {
            return None;
        }
        let slots: Vec<Slot> =
            (0..count).map(|_| Slot::read(&mut reader)).collect::<Option<_>>()?;
        let numbered = slots.iter().all(|slot| slot.number < next);
        (numbered && reader.is_empty()).then_some(Self { store, case, tables, next, slots })
    }

    /// Returns whether a header's bytes were written by an owner of the key.
    pub(crate) fn is_by(key: &Key, bytes: &[u8]) -> bool {
        match bytes.len().checked_sub(2 * TAG_BYTES) {
            Some(at) => key.fits(&[&bytes[..at]], &bytes[at + TAG_BYTES..]),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::{Deadline, SecretText};

    use super::*;
    use crate::recovery::Code;
    use crate::slot::Opener;

    fn amply() -> Deadline {
        Deadline::after(std::time::Duration::from_secs(3_600))
    }

    /// Returns a slot of any cost that is cheap to derive.
    fn of_password(
        number: u32,
        label: &str,
        password: &SecretText,
        cost: Cost,
        data_key: &Key,
        store: &[u8; 16],
    ) -> Slot {
        let salt = crate::kdf::salt().unwrap();
        let key = Cost::CHEAP.key(password, &salt, amply()).unwrap();
        Slot::new(number, Opener::Password { salt, cost }, label, &key, data_key, store).unwrap()
    }

    fn sample(data_key: &Key) -> Header {
        let mut header = Header::new(Case::Folded).unwrap();
        let store = header.store;
        let number = header.number().unwrap();
        let password = SecretText::new("canary-password");
        header.slots.push(of_password(number, "desk", &password, Cost::CHEAP, data_key, &store));
        let number = header.number().unwrap();
        let key = Code::random().unwrap().key();
        header
            .slots
            .push(Slot::new(number, Opener::RecoveryCode, "", &key, data_key, &store).unwrap());
        header
    }

    #[test]
    fn header_round_trips_and_slot_opens_with_its_key_only() {
        let data_key = Key::random().unwrap();
        let header = sample(&data_key);
        let bytes = header.write(&data_key.derive("header"));
        let back = Header::read(&bytes).unwrap();
        assert!(Header::is_by(&data_key.derive("header"), &bytes));
        assert!(!Header::is_by(&data_key, &bytes));
        assert_eq!((back.store, back.case), (header.store, header.case));
        let Opener::Password { salt, cost } = back.slots[0].opener else { panic!() };
        let key = cost.key(&SecretText::new("canary-password"), &salt, amply()).unwrap();
        let opened = back.slots[0].open(&key, &back.store).unwrap();
        assert_eq!(opened.bytes(), data_key.bytes());
        assert!(back.slots[1].open(&key, &back.store).is_none());
        assert!(back.slots[0].open(&key, &[0; 16]).is_none());
    }

    #[test]
    fn flipped_bit_in_header_is_damage_and_not_newer_format() {
        let key = Key::random().unwrap();
        let bytes = sample(&key).write(&key);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                match Header::read(&flipped) {
                    Err(fault) => assert_eq!(fault, Fault::Damaged, "byte {at}"),
                    // The tag is checked later, with the key.
                    Ok(_) => assert!(!Header::is_by(&key, &flipped), "byte {at}"),
                }
            }
            assert_eq!(Header::read(&bytes[..at]).err(), Some(Fault::Damaged), "cut at {at}");
        }
    }

    /// Such a vault may store a name at another place: "not found" would be wrong.
    #[test]
    fn newer_tables_are_rejected() {
        for at in 0..2 {
            let key = Key::random().unwrap();
            let mut header = sample(&key);
            header.tables[at] += 1;
            assert_eq!(Header::read(&header.write(&key)).err(), Some(Fault::NewerTables));
            header.tables[at] -= 2;
            assert!(Header::read(&header.write(&key)).is_ok());
        }
    }

    #[test]
    fn header_with_excessive_kdf_cost_is_rejected() {
        let key = Key::random().unwrap();
        let with = |costs: &[Cost]| {
            let mut header = Header::new(Case::Folded).unwrap();
            let store = header.store;
            for cost in costs {
                let number = header.number().unwrap();
                let password = SecretText::new("x");
                header.slots.push(of_password(number, "", &password, *cost, &key, &store));
            }
            Header::read(&header.write(&key)).map(drop)
        };
        let cost = |memory_kib: u32, passes: u32| {
            let bytes = [memory_kib.to_le_bytes(), passes.to_le_bytes()].concat();
            Cost::read(&mut Reader::new(&bytes)).unwrap()
        };
        let (most, much) = (cost(256 * 1024, 32), cost(2 * 1024 * 1024, 32));
        assert_eq!(with(&[most; 4]), Ok(()));
        assert_eq!(with(&[most; 5]), Err(Fault::Excessive(None)));
        let slot = "slot 2: password (Argon2id, 2048 MiB, 32 passes)".to_owned();
        assert_eq!(with(&[most, much]), Err(Fault::Excessive(Some(slot))));
    }

    #[test]
    fn newer_header_format_is_reported() {
        let key = Key::random().unwrap();
        let mut bytes = sample(&key).write(&key);
        bytes[14] = 2;
        let body = bytes.len() - 2 * TAG_BYTES;
        let sum = checksum(&[&bytes[..body]]);
        bytes[body..body + TAG_BYTES].copy_from_slice(&sum);
        assert_eq!(Header::read(&bytes).err(), Some(Fault::Newer(2)));
    }
}
