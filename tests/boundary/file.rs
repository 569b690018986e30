//! Files that are no plugins, or pretend to be.
