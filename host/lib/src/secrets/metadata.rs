//! Metadata: the keys that mean the same in every vault, filters by these keys, and changes to
//! metadata alone.
//!
//! A value of another type under these keys belongs to another program: the host shows it as it is,
//! and it decides nothing.

mod change;

use std::time::Duration;

use keystead_plugin_api::{Metadata, MetadataValue, keys};

pub(crate) use change::check_keys;
pub use change::{Change, Changed, MetadataEdit};

/// Type of the value under a known key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// A moment.
    Moment,
    /// A text.
    Text,
    /// A text: tags between commas, spaces around them not counted.
    Tags,
}

/// The known keys.
const KEYS: [(&str, Convention); 5] = [
    (keys::CREATED, Convention::Moment),
    (keys::UPDATED, Convention::Moment),
    (keys::EXPIRES, Convention::Moment),
    (keys::DESCRIPTION, Convention::Text),
    (keys::TAGS, Convention::Tags),
];

impl Convention {
    /// Returns the convention for a key; `None` for a key that is not known.
    pub fn of(key: &str) -> Option<Self> {
        KEYS.iter().find(|(known, _)| *known == key).map(|(_, convention)| *convention)
    }

    /// Returns whether a value has the type that the key requires.
    pub fn fits(self, value: &MetadataValue) -> bool {
        match self {
            Self::Moment => matches!(value, MetadataValue::Timestamp(_)),
            Self::Text | Self::Tags => matches!(value, MetadataValue::Text(_)),
        }
    }
}

/// Returns when a secret expires, in milliseconds since 1970; `None` if it does not.
pub fn expires(metadata: &Metadata) -> Option<i64> {
    match metadata.get(keys::EXPIRES) {
        Some(MetadataValue::Timestamp(at)) => Some(*at),
        _ => None,
    }
}

/// Returns a secret's tags.
pub fn tags(metadata: &Metadata) -> impl Iterator<Item = &str> {
    let text = match metadata.get(keys::TAGS) {
        Some(MetadataValue::Text(text)) => text.as_str(),
        _ => "",
    };
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

/// Filter of secrets by their metadata. The default selects all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The current time, in milliseconds since 1970.
    pub now: i64,
    /// Selects secrets that have not expired and will expire within this time.
    pub expiring: Option<Duration>,
    /// Selects secrets that have expired. With `expiring`: either.
    pub expired: bool,
    /// Selects secrets that have each of these tags.
    pub tags: Vec<String>,
}

impl Filter {
    /// Returns whether the filter selects a secret with this metadata.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        self.matches_time(metadata)
            && self.tags.iter().all(|wanted| tags(metadata).any(|tag| tag == wanted))
    }

    fn matches_time(&self, metadata: &Metadata) -> bool {
        if self.expiring.is_none() && !self.expired {
            return true;
        }
        let Some(at) = expires(metadata) else { return false };
        if at <= self.now {
            return self.expired;
        }
        let left = Duration::from_millis(at.saturating_sub(self.now).unsigned_abs());
        self.expiring.is_some_and(|within| left <= within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(key: &str, value: MetadataValue) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.insert(key, value).unwrap();
        metadata
    }

    fn text(key: &str, text: &str) -> Metadata {
        metadata(key, MetadataValue::Text(text.into()))
    }

    #[test]
    fn tags_are_split_at_commas_and_filtered() {
        let all = |text_of: &str| {
            let metadata = text(keys::TAGS, text_of);
            tags(&metadata).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(all("prod, db ,,grün "), ["prod", "db", "grün"]);
        assert_eq!(all(""), [""; 0]);
        assert_eq!(tags(&metadata(keys::TAGS, MetadataValue::Integer(3))).count(), 0);
        assert_eq!(tags(&Metadata::new()).count(), 0);
        let filter = |wanted: &[&str]| Filter {
            tags: wanted.iter().map(|tag| (*tag).to_owned()).collect(),
            ..Filter::default()
        };
        let both = text(keys::TAGS, "prod,db");
        assert!(filter(&["db"]).matches(&both) && filter(&["db", "prod"]).matches(&both));
        assert!(!filter(&["d"]).matches(&both) && !filter(&["db", "x"]).matches(&both));
        assert!(filter(&[]).matches(&Metadata::new()));
    }

    #[test]
    fn expiry_filter_is_exact_to_millisecond() {
        let now = 1_000_000;
        let filter = |expiring: Option<u64>, expired| Filter {
            now,
            expiring: expiring.map(Duration::from_millis),
            expired,
            tags: Vec::new(),
        };
        let at = |millis| metadata(keys::EXPIRES, MetadataValue::Timestamp(millis));
        for (at_millis, in_500, over, either) in [
            (now - 1, false, true, true),
            (now, false, true, true),
            (now + 1, true, false, true),
            (now + 500, true, false, true),
            (now + 501, false, false, false),
            (keystead_plugin_api::MIN_TIMESTAMP_MILLIS, false, true, true),
            (keystead_plugin_api::MAX_TIMESTAMP_MILLIS, false, false, false),
        ] {
            let metadata = at(at_millis);
            assert_eq!(filter(Some(500), false).matches(&metadata), in_500, "{at_millis}");
            assert_eq!(filter(None, true).matches(&metadata), over, "{at_millis}");
            assert_eq!(filter(Some(500), true).matches(&metadata), either, "{at_millis}");
            assert!(filter(None, false).matches(&metadata));
        }
    }

    #[test]
    fn metadata_value_of_wrong_type_is_ignored() {
        for odd in
            [text(keys::EXPIRES, "2020-01-01"), metadata(keys::EXPIRES, MetadataValue::Integer(1))]
        {
            assert_eq!(expires(&odd), None);
            let filter = Filter { now: 5, expired: true, ..Filter::default() };
            assert!(!filter.matches(&odd));
        }
        assert_eq!(Convention::of("Expires"), None);
        assert!(Convention::of("created").unwrap().fits(&MetadataValue::Timestamp(0)));
        assert!(!Convention::of("tags").unwrap().fits(&MetadataValue::Boolean(true)));
    }
}
