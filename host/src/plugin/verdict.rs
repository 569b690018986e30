//! What was found out about a file, kept until the file or the host changes.
