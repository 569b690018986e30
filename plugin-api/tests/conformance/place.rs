//! The secrets of one faulty vault, whichever handle wrote them.

use std::collections::BTreeMap;

use keystead_plugin_api::*;

/// Where the secrets of one vault are: all versions by name, the newest last.
#[derive(Default)]
pub struct Place {
    pub secrets: BTreeMap<SecretName, Vec<Secret>>,
    pub removed: BTreeMap<SecretName, Vec<Secret>>,
    pub unlocked: bool,
    pub count: usize,
    /// What only the handle that wrote it may see.
    pub unsaved: Vec<SecretName>,
    /// What was handed to the host.
    pub session: Option<Session>,
}

impl Place {
    pub fn insert(&mut self, key: &str, value: Value) {
        let name = SecretName::parse(key).unwrap();
        let version = self.version();
        self.secrets.insert(name, vec![Secret::new(value).of_version(version)]);
    }

    /// Returns a version that no other write has.
    pub fn version(&mut self) -> String {
        self.count += 1;
        format!("v{}", self.count)
    }

    pub fn newest(&self, name: &SecretName) -> Result<&Secret> {
        self.secrets.get(name).and_then(|versions| versions.last()).ok_or_else(Error::not_found)
    }
}

/// Checks the version that a caller expects.
pub fn expect(place: &Place, name: &SecretName, version: &Option<String>) -> Result<()> {
    let now = place.newest(name).ok().and_then(|secret| secret.version.as_deref());
    check_version(version.as_deref(), now)
}

/// What the vault reports of itself, whatever else it keeps.
pub const OWN: &str = "keeper";

pub fn with_own(metadata: &Metadata) -> Metadata {
    let mut metadata = metadata.clone();
    metadata.insert_read_only(OWN, MetadataValue::Text("this vault".to_owned())).unwrap();
    metadata
}

pub fn copy(secret: &Secret) -> Secret {
    let mut copy = Secret::with_metadata(secret.value.duplicate(), with_own(&secret.metadata));
    copy.version.clone_from(&secret.version);
    copy
}
