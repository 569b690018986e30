//! age: one encrypted file a secret, opened with an identity in a file.

use super::{Peer, Ready, data, write};

pub(super) const PEER: Peer = Peer {
    name: "age",
    programs: &["age", "age-keygen"],
    version: &["age", "--version"],
    kept: "one file, encrypted for an X25519 identity that lies in a file",
    // A file a secret: how many files there are makes no difference.
    most: 1,
    hold: |home, _| {
        home.run(&["age-keygen", "-o", "key"])?;
        let recipient = home.run(&["age-keygen", "-y", "key"])?;
        let clear = write(home, "clear", data::value(0))?;
        home.feed(&["age", "-r", recipient.trim(), "-o", "secret.age"], &clear)?;
        Ok(Ready::new(["age", "-d", "-i", "key", "secret.age"]))
    },
};
