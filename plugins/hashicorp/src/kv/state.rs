//! What KV version 2 says of a secret besides its value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keystead_plugin_api::{Entry, Result, SecretName, Version};
use serde::Deserialize;

use crate::metadata::{self, Custom};

/// A secret's versions and custom metadata. A folder in a listing has none of both.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The newest version; 0 where there is metadata alone.
    pub(crate) current_version: u64,
    custom_metadata: Option<Custom>,
    versions: BTreeMap<String, One>,
}

/// One version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct One {
    created_time: String,
    deletion_time: String,
    destroyed: bool,
}

impl One {
    /// Says whether it can be read. It may be given a moment to be deleted at beforehand.
    pub(crate) fn is_alive(&self) -> bool {
        let deleted = self.deletion_time.parse::<Timestamp>();
        !self.destroyed && deleted.map_or(true, |at| at > Timestamp::now())
    }
}

impl State {
    /// Says whether the newest version can be read.
    pub(crate) fn is_alive(&self) -> bool {
        self.versions.get(&self.current_version.to_string()).is_some_and(One::is_alive)
    }

    /// Says whether there is this version, deleted or not.
    pub(crate) fn has(&self, version: u64) -> bool {
        self.versions.contains_key(&version.to_string())
    }

    /// Returns the custom metadata.
    pub(crate) fn custom(&self) -> Custom {
        self.custom_metadata.clone().unwrap_or_default()
    }

    /// Returns the versions that can be read, newest first.
    pub(crate) fn versions(&self) -> Vec<Version> {
        let mut versions: Vec<(u64, &One)> = self
            .versions
            .iter()
            .filter(|(_, one)| one.is_alive())
            .filter_map(|(number, one)| Some((number.parse().ok()?, one)))
            .collect();
        versions.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let version = |(number, one): (u64, &One)| {
            let created = one.created_time.parse::<Timestamp>().ok();
            Version::new(number.to_string(), created.map(Timestamp::as_millisecond))
        };
        versions.into_iter().map(version).collect()
    }

    /// Returns the entry of a listing.
    pub(crate) fn entry(&self, name: SecretName) -> Result<Entry> {
        let custom = self.custom();
        let kind = metadata::kind(&custom, self.current_version);
        Ok(Entry::new(name, kind, metadata::metadata(&custom)?))
    }
}
