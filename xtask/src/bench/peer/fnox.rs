//! fnox: a file of its own in which each value is encrypted by its provider `age`.

use super::{Peer, Ready, secrets, wanted, write};

pub(super) const PEER: Peer = Peer {
    name: "fnox",
    programs: &["fnox", "age-keygen"],
    version: &["fnox", "--version"],
    kept: "its provider `age`: each value encrypted for an X25519 identity",
    most: super::MANY,
    hold: |home, count| {
        home.run(&["age-keygen", "-o", "key"])?;
        let recipient = home.run(&["age-keygen", "-y", "key"])?;
        home.variables.push(("FNOX_AGE_KEY_FILE", home.at("key").into()));
        let provider = format!(
            "root = true\n\n[providers]\nage = {{ type = \"age\", recipients = [\"{}\"] }}\n\n[secrets]\n",
            recipient.trim()
        );
        let file = write(home, "fnox.toml", &provider)?;
        let name = wanted(count);
        let value = super::data::value(super::data::measured(count));
        home.run(&["fnox", "set", &name, &value, "--provider", "age"])?;
        // What is beside it is another's value: only the one that is asked for is decrypted.
        let own = fs_err::read_to_string(&file)?;
        let line =
            own.lines().find(|line| line.starts_with(&name)).ok_or("fnox wrote no secret")?;
        let rest = line.strip_prefix(&name).unwrap_or_default();
        let all: Vec<String> = secrets(count).map(|(name, _)| format!("{name}{rest}\n")).collect();
        write(home, "fnox.toml", provider + &all.concat())?;
        Ok(Ready::new(["fnox", "get", &name]))
    },
};
