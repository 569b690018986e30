//! The plugins this host was built with: the same build makes host and plugins, so these files may
//! run in-process.

use crate::plugin::pins::{Digest, PluginId};

/// The plugins this host was built with, as `id=sha256,id=sha256`: set by the build that makes
/// plugins and host together.
pub const BUILTIN: Option<&str> = option_env!("KEYSTEAD_BUILTIN_PLUGINS");

/// Returns whether this file comes from the host's own build.
pub(super) fn has(id: &PluginId, sha256: &Digest) -> bool {
    lists(BUILTIN, id, sha256)
}

fn lists(builtin: Option<&str>, id: &PluginId, sha256: &Digest) -> bool {
    builtin.unwrap_or("").split(',').filter_map(|one| one.split_once('=')).any(|(name, hash)| {
        name == id.as_str() && Digest::parse(hash).is_ok_and(|hash| hash == *sha256)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_plugin_is_matched_by_id_and_hash() {
        let id = |text| PluginId::parse(text).unwrap();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let list = format!("store={a},files={b}");
        assert!(lists(Some(&list), &id("store"), &a));
        assert!(lists(Some(&list), &id("files"), &b));
        assert!(!lists(Some(&list), &id("store"), &b));
        assert!(!lists(Some(&list), &id("stor"), &a));
        assert!(!lists(Some(""), &id("store"), &a));
        assert!(!lists(None, &id("store"), &a));
        assert!(!lists(Some("store,store=,=x"), &id("store"), &a));
    }
}
