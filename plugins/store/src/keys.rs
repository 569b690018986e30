//! All keys of one unlocked vault, and the places of its names.

use crate::key::{Key, TAG_BYTES};
use crate::name::{Case, folded};
use crate::record::{Place, RecordKeys};

/// The keys derived from the data key.
pub(crate) struct Keys {
    /// The data key itself, for new slots and for sessions.
    pub(crate) data: Key,
    pub(crate) header: Key,
    pub(crate) session: Key,
    pub(crate) records: RecordKeys,
    places: Key,
    links: Key,
}

impl Keys {
    /// Returns the keys of a vault with this data key.
    pub(crate) fn of(data: Key) -> Self {
        Self {
            header: data.derive("header"),
            session: data.derive("session"),
            records: RecordKeys::of(&data),
            places: data.derive("place"),
            links: data.derive("link"),
            data,
        }
    }

    /// Returns the place of a secret's name, even if there is no such secret.
    pub(crate) fn place(&self, name: &str, case: Case) -> Place {
        let place = Place::from_le_bytes(self.places.place(folded(name, case).as_bytes()));
        // No secret has the first place: the chain begins there.
        place.max(Place::MIN + 1)
    }

    /// Returns the tag that proves that no secret is between two places.
    pub(crate) fn link(&self, place: Place, next: Place) -> [u8; TAG_BYTES] {
        self.links.tag(&[&place.to_le_bytes(), &next.to_le_bytes()])
    }

    /// Returns whether the tag matches.
    pub(crate) fn linked(&self, place: Place, next: Place, tag: &[u8]) -> bool {
        self.links.fits(&[&place.to_le_bytes(), &next.to_le_bytes()], tag)
    }
}
