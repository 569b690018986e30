//! secretspec: names in its own file, values in a `.env` file.

use std::fmt::Write as _;

use super::{Peer, Ready, secrets, wanted, write};

pub(super) const PEER: Peer = Peer {
    name: "secretspec",
    programs: &["secretspec"],
    version: &["secretspec", "--version"],
    kept: "its provider `dotenv`: values in a file, in clear text",
    most: super::MANY,
    hold: |home, count| {
        let mut names =
            String::from("[project]\nname = \"bench\"\nrevision = \"1.0\"\n\n[profiles.default]\n");
        let mut values = String::new();
        for (name, value) in secrets(count) {
            writeln!(names, "{name} = {{ description = \"{name}\", required = true }}")?;
            writeln!(values, "{name}={value}")?;
        }
        write(home, "secretspec.toml", names)?;
        write(home, ".env", values)?;
        Ok(Ready::new(["secretspec", "get", &wanted(count), "--provider", "dotenv"]))
    },
};
