//! A plugin in a process of its own.
