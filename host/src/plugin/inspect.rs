//! What a plugin file is, from its bytes alone: no code of it runs.
