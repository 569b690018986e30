//! Who vouched for which plugin file.
