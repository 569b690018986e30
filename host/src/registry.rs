//! Which vaults are registered: layers of folders, one file a vault.
