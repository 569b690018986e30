//! pass: one file a secret, encrypted by GnuPG, whose agent runs already.

use super::{Peer, Ready, data, secrets, wanted, write};

/// A key without a passphrase, of the kind that GnuPG makes by default.
const KEY: &str = "%no-protection\nKey-Type: eddsa\nKey-Curve: ed25519\nSubkey-Type: ecdh\n\
                   Subkey-Curve: cv25519\nName-Real: bench\nExpire-Date: 0\n%commit\n";

pub(super) const PEER: Peer = Peer {
    name: "pass",
    programs: &["pass", "gpg", "gpgconf"],
    version: &["pass", "--version"],
    kept: "a file a secret, for a cv25519 key without passphrase; gpg-agent runs already",
    most: super::MANY,
    hold: |home, count| {
        write(home, "key", KEY)?;
        write(home, ".gnupg/gpg.conf", "")?;
        home.run(&["chmod", "700", ".gnupg"])?;
        // The agent of this home and no other: it is found by its socket.
        let agent = home.at_the_end(&["gpgconf", "--kill", "all"]);
        home.run(&["gpg", "--batch", "--quiet", "--gen-key", "key"])?;
        home.run(&["pass", "init", "bench"])?;
        let name = wanted(count);
        let clear = write(home, "clear", data::value(data::measured(count)))?;
        home.feed(&["pass", "insert", "--multiline", &name], &clear)?;
        // What is beside it is another's value: the time goes to the one file that is asked for.
        let file = |name: &str| home.at(format!(".password-store/{name}.gpg"));
        for (other, _) in secrets(count).filter(|(other, _)| *other != name) {
            fs_err::copy(file(&name), file(&other))?;
        }
        let mut ready = Ready::new(["pass", "show", &name]);
        ready.started.push(agent);
        Ok(ready)
    },
};
