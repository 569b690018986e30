//! keepassxc-cli: a KDBX file, opened with a key file, with the key derivation that the
//! program itself sets.

use std::fmt::Write as _;

use super::{Peer, Ready, secrets, wanted, write};

pub(super) const PEER: Peer = Peer {
    name: "keepassxc-cli",
    programs: &["keepassxc-cli"],
    version: &["keepassxc-cli", "--version"],
    kept: "a database as `keepassxc-cli import` makes it (AES-KDF, 1,000,000 rounds), with a key file and no password",
    most: super::MANY,
    hold: |home, count| {
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><KeePassFile><Meta/><Root><Group>\
             <UUID>AAAAAAAAAAAAAAAAAAAAAQ==</UUID><Name>Root</Name>",
        );
        for (name, value) in secrets(count) {
            write!(
                xml,
                "<Entry><String><Key>Title</Key><Value>{name}</Value></String><String><Key>Password</Key>\
                 <Value ProtectInMemory=\"True\">{value}</Value></String></Entry>"
            )?;
        }
        xml.push_str("</Group></Root></KeePassFile>");
        write(home, "all.xml", xml)?;
        write(home, "key", "a file of any bytes opens it")?;
        home.run(&[
            "keepassxc-cli",
            "import",
            "-q",
            "--set-key-file",
            "key",
            "all.xml",
            "db.kdbx",
        ])?;
        let show = ["keepassxc-cli", "show", "-q", "--no-password", "-k", "key", "-s", "-a"];
        let name = wanted(count);
        Ok(Ready::new(show.into_iter().chain(["Password", "db.kdbx", &name])))
    },
};
