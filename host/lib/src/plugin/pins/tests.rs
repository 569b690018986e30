//! Content that a trusted pin must have, and a check that a bad pin hides nothing.

use std::path::Path;

use super::*;
use crate::fs::Rule;

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn pin() -> Pin {
    Pin {
        id: PluginId::parse("memory").unwrap(),
        sha256: Digest::parse(HASH).unwrap(),
        layer: PinLayer::User,
        in_process: InProcess::Never,
        size: Some(4),
        version: Some("1.2.3".parse().unwrap()),
        source: Some("/home/ada/\"odd\"\nname.so".to_owned()),
        trusted_at: Some(jiff::Timestamp::from_second(1_800_000_000).unwrap()),
    }
}

fn read(text: &str, layer: PinLayer) -> Result<PinEntry, Error> {
    text::read(text.as_bytes(), "memory", layer, Path::new("/pins.d/memory.toml"))
}

fn message(text: &str) -> String {
    read(text, PinLayer::User).unwrap_err().to_string()
}

#[test]
fn pin_round_trips_through_toml() {
    let mut pin = pin();
    assert_eq!(read(&pin.to_toml(), PinLayer::User).unwrap(), PinEntry::Pin(pin.clone()));
    pin.in_process = InProcess::Danger;
    pin.size = None;
    pin.trusted_at = None;
    assert_eq!(read(&pin.to_toml(), PinLayer::User).unwrap(), PinEntry::Pin(pin));
}

#[test]
fn minimal_administrator_pin_is_accepted() {
    let text =
        format!("schema = 1\nid = 'memory'\nsha256 = '{HASH}'\ntrust-source = 'administrator'\n");
    let PinEntry::Pin(pin) = read(&text, PinLayer::Administrator).unwrap() else {
        panic!("a denial")
    };
    assert_eq!(pin.sha256, Digest::of(b"test"));
    assert_eq!(pin.in_process, InProcess::Never);
}

#[test]
fn pin_claiming_other_layer_is_rejected() {
    let text = pin().to_toml().replace("\"user\"", "\"administrator\"");
    assert_eq!(
        message(&text),
        "the pin `/pins.d/memory.toml` is not valid: `trust-source` is not `user`, whose directory it lies in"
    );
    let denial = "schema = 1\nid = 'memory'\ndeny = true\n";
    assert!(message(denial).ends_with("only the administrator can say `deny`"));
    assert_eq!(read(denial, PinLayer::Administrator).unwrap(), PinEntry::Denial);
}

#[test]
fn malformed_or_unknown_pin_content_is_rejected() {
    let good = pin().to_toml();
    assert_eq!(
        message(&good.replace("size", "sise")),
        "the pin `/pins.d/memory.toml` is malformed in line 5, column 1: unknown field `sise`, \
         expected one of `schema`, `id`, `sha256`, `trust-source`, `deny`, `in-process`, `size`, \
         `version`, `source`, `trusted-at`"
    );
    let code = |text: &str| read(text, PinLayer::User).unwrap_err().code();
    assert_eq!(code(&good.replace("schema = 1", "schema = 2")), "E03.pin-version");
    assert_eq!(code(&good.replace("schema = 1\n", "")), "E03.pin-malformed");
    assert_eq!(code("= = ="), "E03.pin-malformed");
    assert_eq!(code(""), "E03.pin-malformed");
    for (from, to) in [
        ("memory", "other"),
        ("memory", "../memory"),
        (HASH, "9f86"),
        ("9f86", "9F86"),
        ("1.2.3", "1.2"),
        ("2027", "soon "),
    ] {
        assert_eq!(code(&good.replacen(from, to, 1)), "E03.pin-invalid", "{from} -> {to}");
    }
    let error = text::read(b"\xff", "memory", PinLayer::User, Path::new("/p")).unwrap_err();
    assert_eq!(error.code(), "E03.pin-invalid");
}

#[test]
fn plugin_id_unsafe_as_file_name_or_like_hash_is_rejected() {
    for id in ["a", "0", "a-1", &"x".repeat(64)] {
        assert!(PluginId::parse(id).is_ok(), "{id}");
    }
    for id in ["", "-a", "A", "a_b", "a.b", "a/b", "..", "\u{e4}", &"x".repeat(65), HASH] {
        assert!(PluginId::parse(id).is_err(), "{id}");
    }
}

#[test]
fn malformed_pin_hides_no_other_pin() {
    let dir = tempfile::tempdir().unwrap();
    let root = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
    assert!(PinStore::open(PinLayer::User, &root).unwrap().is_none());
    let held = root.make_dir(DIR, 0o700).unwrap();
    held.write("memory.toml", pin().to_toml().as_bytes(), 0o600).unwrap();
    held.write("bad.toml", b"?", 0o600).unwrap();
    held.write("README", b"not a pin", 0o600).unwrap();
    held.write("large.toml", &vec![b'#'; 20_000], 0o600).unwrap();
    let book = PinStore::open(PinLayer::User, &root).unwrap().unwrap();
    assert_eq!(book.entry(&pin().id).unwrap(), Some(PinEntry::Pin(pin())));
    assert_eq!(book.entry(&PluginId::parse("none").unwrap()).unwrap(), None);
    let all = book.entries().unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|(stem, e)| (&**stem, e.as_ref().map_or_else(|e| e.code(), |_| "ok")))
        .collect();
    assert_eq!(told, [("bad", "E03.pin-malformed"), ("large", "E02.too-large"), ("memory", "ok")]);
    let error = book.entry(&PluginId::parse("bad").unwrap()).unwrap_err();
    assert!(error.to_string().contains("bad.toml"), "{error}");
}

#[test]
fn hash_is_denied_by_pin_file_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let root = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
    let held = root.make_dir(DIR, 0o755).unwrap();
    let denial = format!("schema = 1\nsha256 = '{HASH}'\ndeny = true\n");
    held.write(&format!("{HASH}.toml"), denial.as_bytes(), 0o644).unwrap();
    let book = PinStore::open(PinLayer::Administrator, &root).unwrap().unwrap();
    assert!(book.denial(&Digest::of(b"test")).unwrap().is_some());
    assert!(book.denial(&Digest::of(b"tests")).unwrap().is_none());
    held.write(&format!("{HASH}.toml"), denial.replace("9f86", "9f87").as_bytes(), 0o644).unwrap();
    assert_eq!(book.denial(&Digest::of(b"test")).unwrap_err().code(), "E03.pin-invalid");
}
