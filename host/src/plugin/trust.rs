//! From a pin to a file that may be loaded.
