//! The Secret Service: gnome-keyring on a bus of its own, asked by `secret-tool` and by
//! Python's keyring.

use std::fmt::Write as _;

use super::super::home::eventually;
use super::{Home, Peer, Ready, Result, secrets, wanted, write};

/// A bus that starts no service by itself: what runs on it is a child of ours.
const BUS: &str = "<busconfig><type>session</type><listen>unix:path=SOCKET</listen><policy context=\"default\">\
                   <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>";

const KEPT: &str = "gnome-keyring on a bus of its own, unlocked and in its memory; its own work is in the time, \
                    but not among the instructions";

pub(super) const SECRET_TOOL: Peer = Peer {
    name: "secret-tool",
    programs: &["secret-tool", "gnome-keyring-daemon", "dbus-daemon"],
    // secret-tool does not tell it.
    version: &["dpkg-query", "-W", "-f", "${Version}", "libsecret-tools"],
    kept: KEPT,
    most: super::MANY,
    hold: |home, count| {
        let name = wanted(count);
        hold(home, count, &["secret-tool", "lookup", "service", "keystead", "username", &name])
    },
};

pub(super) const KEYRING: Peer = Peer {
    name: "keyring (Python)",
    programs: &["keyring", "gnome-keyring-daemon", "dbus-daemon"],
    // The program does not tell it; the Python beside it does.
    version: &["python3", "-c", "import importlib.metadata as m; print(m.version('keyring'))"],
    kept: KEPT,
    most: super::MANY,
    hold: |home, count| {
        // Of several places to keep secrets it would otherwise look for the best one.
        home.variables
            .push(("PYTHON_KEYRING_BACKEND", "keyring.backends.SecretService.Keyring".into()));
        hold(home, count, &["keyring", "get", "keystead", &wanted(count)])
    },
};

/// Starts bus and keyring, with so many secrets, and waits until one of them is answered.
fn hold(home: &mut Home, count: usize, words: &[&str]) -> Result<Ready> {
    // As the keyring itself writes it where it has no password: adding 10,000 secrets one by
    // one would write 10,000 files, each larger than the last.
    let mut file = String::from("[keyring]\ndisplay-name=bench\nctime=0\nmtime=0\n");
    for (index, (name, value)) in secrets(count).enumerate() {
        let index = index + 1;
        write!(
            file,
            "\n[{index}]\nitem-type=0\ndisplay-name={name}\nsecret={value}\nmtime=0\nctime=0\n\n\
             [{index}:attribute0]\nname=service\ntype=string\nvalue=keystead\n\n\
             [{index}:attribute1]\nname=username\ntype=string\nvalue={name}\n"
        )?;
    }
    write(home, ".local/share/keyrings/bench.keyring", file)?;
    write(home, ".local/share/keyrings/default", "bench")?;
    let socket = home.at("bus").display().to_string();
    write(home, "bus.conf", BUS.replace("SOCKET", &socket))?;
    let password = write(home, "password", "password")?;
    home.variables.push(("XDG_RUNTIME_DIR", home.at("").into()));
    home.variables.push(("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={socket}").into()));

    let mut ready = Ready::new(words.iter().copied());
    let bus = ["dbus-daemon", "--nofork", "--nopidfile", "--config-file=bus.conf"];
    ready.started.push(home.start(&bus, None)?);
    eventually(|| if home.at("bus").exists() { Ok(()) } else { Err("no bus".into()) })?;
    let keyring = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"];
    ready.started.push(home.start(&keyring, Some(&password))?);
    eventually(|| home.run(words))?;
    Ok(ready)
}
