//! A verdict holds for one file and one host, and damage is no verdict.

use super::*;

fn verdict() -> Verdict {
    let json = br#"{"schema":1,"id":"safe","version":"1.2.3","api":"1.0.0","description":"a safe",
        "vendor":"V","license":"MIT","homepage":"","kinds":[{"name":"one","description":"",
        "names":"case-insensitive","capabilities":["write","levitate"],"values":["text","map"],
        "parameters":[{"name":"path","kind":"path","description":"where it is","required":true,
        "secret":false,"login":false,"default":""},{"name":"wait","kind":"duration"}],"permissions":["dbus",
        "camera:{path}",{"permission":"rotate","optional":true},{"permission":"env:HOME",
        "optional":true,"why":"greets"}]},{"name":"two","description":"2","names":"case-sensitive",
        "capabilities":[],"values":["link"]},{"name":"three","names":"unicode"}],
        "permissions":["files:{path}:rw","network"]}"#;
    Verdict {
        sha256: Digest::of(b"safe"),
        identity: Identity {
            device: 1,
            inode: 2,
            len: 3,
            modified: (1_700_000_000, 5),
            changed: (-1, 999_999_999),
        },
        host: HostBuild(7),
        abi: Abi::Rust,
        fit: Some(AbiCompatibility::PluginOlder),
        manifest: ParsedManifest::parse(json).unwrap(),
    }
}

#[test]
fn verdict_round_trips() {
    let mut verdict = verdict();
    assert_eq!(text::read(text::write(&verdict).unwrap().as_bytes()).unwrap(), verdict);
    verdict.fit = None;
    verdict.abi = Abi::C;
    assert_eq!(text::read(text::write(&verdict).unwrap().as_bytes()).unwrap(), verdict);
}

#[test]
fn damaged_verdict_is_rejected() {
    let good = text::write(&verdict()).unwrap().into_bytes();
    for at in 0..good.len() {
        assert!(text::read(&good[..at]).is_none(), "cut at {at}");
        for bit in [0x01, 0x20, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            assert!(text::read(&bad).is_none(), "byte {at}");
        }
    }
    let more = [&good[..], b"end 0\n"].concat();
    assert!(text::read(&more).is_none());
}

#[test]
fn verdict_with_newline_is_not_cached() {
    let mut verdict = verdict();
    verdict.manifest.description = "a\nfit exact".to_owned();
    assert!(text::write(&verdict).is_none());
}

#[test]
fn verdict_applies_to_single_file_state_and_host() {
    let dir = tempfile::tempdir().unwrap();
    let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
    let v = verdict();
    assert!(Verdict::read(&data, &v.sha256, &v.identity, v.host).is_none());
    v.write(&data).unwrap();
    assert_eq!(Verdict::read(&data, &v.sha256, &v.identity, v.host).unwrap(), v);
    let other = |change: fn(&mut Identity)| {
        let mut identity = v.identity;
        change(&mut identity);
        Verdict::read(&data, &v.sha256, &identity, v.host)
    };
    assert!(other(|i| i.device += 1).is_none());
    assert!(other(|i| i.inode += 1).is_none());
    assert!(other(|i| i.len += 1).is_none());
    assert!(other(|i| i.modified.1 += 1).is_none());
    assert!(other(|i| i.changed.0 += 1).is_none());
    assert!(Verdict::read(&data, &v.sha256, &v.identity, HostBuild(8)).is_none());
    // A valid text under another hash's name.
    let held = data.dir(DIR).unwrap().unwrap();
    let wrong = Digest::of(b"other");
    held.write(&name(&wrong, v.host), text::write(&v).unwrap().as_bytes(), 0o600).unwrap();
    assert!(Verdict::read(&data, &wrong, &v.identity, v.host).is_none());
    Verdict::forget(&data, &v.sha256).unwrap();
    assert!(Verdict::read(&data, &v.sha256, &v.identity, v.host).is_none());
}

#[test]
fn verdict_of_recently_changed_file_is_not_cached() {
    let dir = tempfile::tempdir().unwrap();
    let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
    let mut v = verdict();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    v.identity.changed = (i64::try_from(now.as_secs()).unwrap() + 1, 0);
    v.write(&data).unwrap();
    assert!(Verdict::read(&data, &v.sha256, &v.identity, v.host).is_none());
}

#[test]
fn verdicts_of_old_hosts_are_limited() {
    let dir = tempfile::tempdir().unwrap();
    let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
    let mut v = verdict();
    for host in 1..=100 {
        v.host = HostBuild(host);
        v.write(&data).unwrap();
    }
    assert!(Verdict::read(&data, &v.sha256, &v.identity, v.host).is_some());
    let held = data.dir(DIR).unwrap().unwrap();
    assert!(held.names().unwrap().len() <= MAX_HOSTS);
}
