//! State of a secret in KV version 2, without its value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keystead_plugin_api::{Entry, Metadata, RemovedSecret, Result, SecretName, Version, keys};
use serde::Deserialize;

use crate::metadata::{self, Custom};

/// A secret's versions and custom metadata. A folder in a listing has neither.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The newest version; 0 if the secret has only metadata.
    pub(crate) current_version: u64,
    /// Version of the metadata; `None` if the server does not count it. OpenBao does since 2.4.
    pub(crate) current_metadata_version: Option<u64>,
    created_time: String,
    custom_metadata: Option<Custom>,
    versions: BTreeMap<String, One>,
}

/// One version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct One {
    created_time: String,
    deletion_time: String,
    pub(crate) destroyed: bool,
}

impl One {
    /// Adds the time of the write to a secret's metadata.
    pub(crate) fn put_time(&self, metadata: &mut Metadata) {
        metadata::put_time(metadata, keys::UPDATED, &self.created_time);
    }

    /// Returns whether the version can be read. Its deletion time can be in the future.
    pub(crate) fn is_alive(&self) -> bool {
        let deleted = self.deletion_time.parse::<Timestamp>();
        !self.destroyed && deleted.map_or(true, |at| at > Timestamp::now())
    }
}

impl State {
    /// Returns whether the newest version can be read.
    pub(crate) fn is_alive(&self) -> bool {
        self.versions.get(&self.current_version.to_string()).is_some_and(One::is_alive)
    }

    /// Returns the removed secret of a listing.
    pub(crate) fn removed(&self, name: SecretName) -> RemovedSecret {
        let mut removed = RemovedSecret::new(name);
        let deleted = self.one(self.current_version).map(|one| one.deletion_time.as_str());
        let deleted = deleted.and_then(|at| at.parse::<Timestamp>().ok());
        removed.removed = deleted.map(Timestamp::as_millisecond);
        removed
    }

    /// Returns the custom metadata.
    pub(crate) fn custom(&self) -> Custom {
        self.custom_metadata.clone().unwrap_or_default()
    }

    /// Returns whether the newest version is deleted and can be restored.
    pub(crate) fn is_recoverable(&self) -> bool {
        self.one(self.current_version).is_some_and(|one| !one.is_alive() && !one.destroyed)
    }

    /// Returns one version; `None` if there is no such version.
    pub(crate) fn one(&self, version: u64) -> Option<&One> {
        self.versions.get(&version.to_string())
    }

    /// Returns the combined version of value and metadata, as far as the server counts them.
    pub(crate) fn version(&self) -> String {
        match self.current_metadata_version {
            Some(metadata) => format!("{}.{metadata}", self.current_version),
            None => self.current_version.to_string(),
        }
    }

    /// Returns whether the server counts metadata versions.
    pub(crate) fn counts_metadata(&self) -> bool {
        self.current_metadata_version.is_some()
    }

    /// Returns the versions, newest first.
    pub(crate) fn versions(&self) -> Vec<Version> {
        let mut versions: Vec<(u64, &One)> = self
            .versions
            .iter()
            .filter_map(|(number, one)| Some((number.parse().ok()?, one)))
            .collect();
        versions.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let version = |(number, one): (u64, &One)| {
            let created = one.created_time.parse::<Timestamp>().ok();
            let version = Version::new(number.to_string(), created.map(Timestamp::as_millisecond));
            if one.is_alive() { version } else { version.unreadable() }
        };
        versions.into_iter().map(version).collect()
    }

    /// Returns the list entry.
    pub(crate) fn entry(&self, name: SecretName) -> Result<Entry> {
        let custom = self.custom();
        let kind = metadata::kind(&custom, self.current_version);
        let mut about = metadata::metadata(&custom)?;
        metadata::put_time(&mut about, keys::CREATED, &self.created_time);
        if let Some(newest) = self.one(self.current_version) {
            newest.put_time(&mut about);
        }
        let entry = Entry::new(name, kind, about);
        Ok(entry.of_version(self.version()))
    }
}
