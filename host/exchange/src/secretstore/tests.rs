//! Tests of the golden stores, damaged stores, and hostile stores.

use keystead_plugin_api::Value;

use super::super::shown::shown;
use super::super::{Row, Rows as _};
use super::written::{IV, KEY, Lock, Written, utf16};
use super::*;

const PASSWORD: &str = "Correct-Horse 9";

fn golden(kind: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/secretstore").join(kind)
}

fn unlocked(dir: &Path, user: &str, password: Option<&str>) -> Result<Entries, Error> {
    read(dir, &Owner { user: user.into(), password: password.map(SecretText::new) })
}

fn store(written: &Written, user: &str) -> Result<Store, Error> {
    let [config, key, data] = written.files();
    Store::new(user, &config, &key, data)
}

/// Returns all rows of a store without a password, and the skipped data.
fn rows(written: &Written) -> String {
    let mut entries = store(written, "bob").unwrap().unlock(None).unwrap();
    let text = shown(&mut entries).unwrap();
    text + &entries.left_out().join("\n")
}

fn said<T>(result: Result<T, Error>) -> String {
    let error = result.err().expect("it is refused");
    format!("{}: {error}", error.code())
}

#[test]
fn golden_stores_are_read_completely() {
    for (kind, password) in [("with-password", Some(PASSWORD)), ("no-password", None)] {
        let store = Store::open(&golden(kind), "root").unwrap();
        assert_eq!(store.has_password(), password.is_some());
        let entries: Vec<Row> = unlocked(&golden(kind), "root", password)
            .unwrap()
            .map(|row| row.unwrap().unwrap())
            .collect();
        let bytes = entries.iter().find(|row| row.name.as_str() == "bytes").unwrap();
        assert_eq!(bytes.value, Value::bytes(vec![0, 1, 2, 255]));
        let map = entries.iter().find(|row| row.name.as_str() == "map").unwrap();
        let Value::Map(map) = &map.value else { panic!() };
        assert_eq!(map.get("C"), Some(&Value::bytes(vec![9, 0, 9])));
        let all = shown(entries.into_iter().map(|row| Ok(Ok(row)))).unwrap();
        snapbox::assert_data_eq!(
            all,
            snapbox::str![[r#"
item 1, `plain`: plain
  "hunter2 ü"
item 2, `secure`: secure
  "s3cure €"
item 3, `bytes`: bytes
  4 bytes
item 4, `cred`: cred
  "bob" / "credpw"
  [Env] dev
item 5, `map`: map
  C: 3 bytes
  D: "eve" / "evepw"
  B: "y"
  A: "x"
item 10, `withmeta`: withmeta
  "v"
  [Count] Integer(42)
  [Due] 2022-05-01T00:00:00Z
  [Note] text note

"#]]
        );
    }
}

#[test]
fn wrong_password_and_wrong_account_are_distinct_errors() {
    let locked = golden("with-password");
    assert_eq!(
        said(unlocked(&locked, "root", Some("wrong"))),
        "E13.wrong-password: the password is wrong, or `storefile` is damaged: both look the same"
    );
    assert_eq!(said(unlocked(&locked, "root", None)), "E13.locked: this is locked with a password");
    assert_eq!(
        said(unlocked(&locked, "bob", Some(PASSWORD))),
        "E13.wrong-account: `storeconfig` is not that of account `bob`, or it is damaged"
    );
    assert_eq!(said(unlocked(&locked, "", None)).split(':').next(), Some("E13.wrong-account"));
    // A password is ignored for a store without a password.
    assert!(unlocked(&golden("no-password"), "Root", Some("any")).is_ok());
    assert!(
        said(unlocked(&locked.join("none"), "root", None)).ends_with("it has no `storeconfig`")
    );
    assert!(said(unlocked(&locked.join("storeaux"), "root", None)).ends_with("it is no directory"));
}

/// Returns the three files of a golden store, and its password.
fn parts(kind: &str) -> ([Vec<u8>; 3], Option<SecretText>) {
    let part = |name: &str| fs_err::read(golden(kind).join(name)).unwrap();
    let password = (kind == "with-password").then(|| SecretText::new(PASSWORD));
    ([part(super::CONFIG), part(super::KEY), part(super::DATA)], password)
}

#[test]
fn damaged_config_and_key_files_give_no_wrong_value() {
    for kind in ["with-password", "no-password"] {
        let ([config, key, data], password) = parts(kind);
        let ciphers = [Cipher::of_account("ROOT")];
        let read = |config: &[u8], key: &[u8]| {
            let store = Store::decrypted_with(&ciphers, "root", config, key, data.clone());
            store.and_then(|store| {
                let has_password = store.has_password;
                let rows = shown(store.unlock(password.as_ref())?)?;
                Ok((has_password, rows))
            })
        };
        let good = read(&config, &key).unwrap();
        // No HMAC covers these two files: any content that is still read must be unchanged.
        for at in 0..config.len() {
            let mut flipped = config.clone();
            flipped[at] ^= 1;
            if let Ok(read) = read(&flipped, &key) {
                assert_eq!(read, good, "{at}");
            }
            assert!(read(&config[..at], &key).is_err(), "{at}");
        }
        // A password makes no difference to this file.
        for at in 0..if good.0 { 0 } else { key.len() } {
            let mut flipped = key.clone();
            flipped[at] ^= 1;
            assert!(read(&config, &flipped).is_err(), "{at}");
            assert!(read(&config, &key[..at]).is_err(), "{at}");
        }
    }
}

#[test]
fn flipped_byte_or_cut_in_store_file_is_detected() {
    for kind in ["with-password", "no-password"] {
        let ([config, key, data], password) = parts(kind);
        // The key is derived once: a thousand rounds for each byte take minutes.
        let seal = match &password {
            Some(password) => seal(&to_utf16(password.expose())),
            None => seal(b"ROOT"),
        };
        let opens =
            |data: &[u8]| split(data).is_some_and(|(mac, rest)| is_sealed(&seal, mac, rest));
        assert!(opens(&data));
        for at in 0..data.len() {
            let mut flipped = data.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(!opens(&flipped), "byte {at}");
            assert!(!opens(&data[..at]), "cut at {at}");
        }
        // The error is a wrong password, or damage.
        let mut flipped = data.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [flipped, data[..data.len() - 1].to_vec(), Vec::new(), vec![0xff; 50]] {
            let store = Store::new("root", &config, &key, damaged).unwrap();
            let said = said(store.unlock(password.as_ref()));
            let expected = match &password {
                Some(_) => "E13.wrong-password: ",
                None => "E13.not-of-form: this is not a SecretStore: its `storefile` is damaged",
            };
            assert!(said.starts_with(expected), "{said}");
        }
    }
}

#[test]
fn authenticated_data_with_invalid_content_is_rejected() {
    let written = Written::new("BOB", None);
    let [config, key, _] = written.files();
    let with = |listing: &[u8]| {
        said(Store::new("bob", &config, &key, written.data(listing)).unwrap().unlock(None))
    };
    let of_list = "E13.not-of-form: this is not a SecretStore: its list: ";
    assert_eq!(with(b"{}"), format!("{of_list}it has no `MetaData`"));
    assert_eq!(with(b"{\"MetaData\":{}}"), format!("{of_list}it has no `MetaData`"));
    assert_eq!(
        with(b"[]"),
        format!("{of_list}line 1, column 1: an object, `{{...}}`, is expected")
    );
    assert!(with(b"\xff").ends_with("its `storefile` is damaged"));
    // A valid HMAC over no data, and over false lengths.
    let seal = seal(b"BOB");
    for sealed in
        [&b""[..], b"\xff\xff\xff\xff", b"\xff\xff\xff\x7fx", b"\0\0\0\0", b"\x05\0\0\0abcde"]
    {
        use hmac::{KeyInit as _, Mac as _};
        let mut hmac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&*seal).unwrap();
        hmac.update(sealed);
        let data = [&b"\x20\0\0\0"[..], &hmac.finalize().into_bytes(), sealed].concat();
        let store = Store::new("bob", &config, &key, data).unwrap();
        assert!(said(store.unlock(None)).ends_with("its `storefile` is damaged"), "{sealed:?}");
    }
    assert!(
        said(Store::new("bob", &config, &config, Vec::new()))
            .ends_with("its `storeaux` is damaged")
    );
}

#[test]
fn unknown_authentication_setting_is_rejected() {
    let text = |value: &str| format!("{{\"ConfigData\":{{\"Authentication\":{value}}}}}");
    assert_eq!(has_password(text("0").as_bytes()), Some(Ok(false)));
    assert_eq!(has_password(text("1").as_bytes()), Some(Ok(true)));
    let why = "its `storeconfig` asks for what is neither a password nor nothing";
    for odd in ["2", "null", "\"1\"", "{}"] {
        assert_eq!(has_password(text(odd).as_bytes()), Some(Err(why.into())), "{odd}");
    }
    for none in ["", "{}", "[]", "{\"ConfigData\":", "\u{e9}"] {
        assert_eq!(has_password(none.as_bytes()), None, "{none}");
    }
}

#[test]
fn key_accepts_upper_case_and_legacy_account_spelling() {
    assert_eq!(spellings("bob.ä"), ["BOB.Ä", "bob.ä"]);
    assert_eq!(spellings("ROOT"), ["ROOT"]);
    assert_eq!(spellings("groß"), ["GROß", "groß"]);
    // A store of an older version, and a store to which a newer version has added.
    let old = Written::new("bob", None).text("old", "a");
    assert_eq!(rows(&old), "item 1, `old`: old\n  \"a\"\n");
    let mut mixed = Written::new("BOB", None).text("new", "b");
    let new = std::mem::replace(&mut mixed.lock, old.lock.clone());
    let mut mixed = mixed.text("old", "a");
    mixed.lock = new;
    assert_eq!(rows(&mixed), "item 1, `new`: new\n  \"b\"\nitem 2, `old`: old\n  \"a\"\n");
}

#[test]
fn entry_that_decrypts_with_two_keys_is_rejected() {
    // 1 of 256 texts fits the other key as well: search for such a text.
    let (upper, lower) = (Lock::new(b"BOB", &KEY, &IV), Lock::new(b"bob", &KEY, &IV));
    let other = Cipher::new(b"BOB", &KEY, &IV);
    let value = (0_u32..).map(u32::to_le_bytes);
    let value = value.into_iter().find(|value| other.decrypt(&lower.encrypt(value)).is_some());
    let value = value.unwrap();
    let mut store = Written::new("BOB", None);
    store.lock = lower;
    let mut store = store.with("either", "ByteArrayType", &value, "{}").text("old", "a");
    store.lock = upper.clone();
    assert_eq!(
        rows(&store),
        "item 1, `either`: BAD: it can be decrypted in two ways, and only one is right\n\
         item 2, `old`: old\n  \"a\"\n"
    );
    // If no other entry is old, such a text is new.
    let other = Cipher::new(b"bob", &KEY, &IV);
    let value = (0_u32..).map(u32::to_le_bytes);
    let value = value.into_iter().find(|value| other.decrypt(&upper.encrypt(value)).is_some());
    let store = Written::new("BOB", None).with("new", "ByteArrayType", &value.unwrap(), "{}");
    assert_eq!(rows(&store), "item 1, `new`: new\n  4 bytes\n");
}

#[test]
fn broken_entries_are_reported_and_rest_is_read() {
    let long = "x".repeat(1_025);
    let mut store = Written::new("BOB", None)
        .text("good", "a")
        .with("odd", "IntegerType", b"canary", "{}")
        .with("utf-8", "StringType", b"canary\xff", "{}")
        .with("utf-16", "SecureStringType", b"canary!", "{}")
        .with("who", "CredentialType", b"\xff\0\0\0canary", "{}")
        .text("GOOD", "canary")
        .text("", "canary")
        .text(&long, "canary")
        .with("meta", "StringType", b"canary", "{\"\": 1}")
        .with("left", "StringType", b"b", "{\"a\": [1], \"b\": null}")
        .entry("7")
        .entry("{\"Name\":\"a\",\"Name\":\"b\"}")
        .entry("{\"Type\":\"StringType\"}")
        .entry("{\"Name\":\"a\\u0000b\",\"Type\":\"StringType\",\"Offset\":0,\"Size\":0}");
    for (name, place) in [
        ("no place", ""),
        ("minus", ",\"Offset\":-16,\"Size\":16"),
        ("text", ",\"Offset\":\"0\",\"Size\":16"),
        ("far", ",\"Offset\":0,\"Size\":99999"),
        ("farther", ",\"Offset\":9223372036854775807,\"Size\":9223372036854775807"),
    ] {
        store = store.entry(&format!("{{\"Name\":\"{name}\",\"Type\":\"StringType\"{place}}}"));
    }
    let end = store.blobs.len();
    store.blobs.extend([1; 40]);
    for (name, offset, size) in [("empty", end, 0), ("no block", end, 15), ("noise", end + 15, 16)]
    {
        store = store.entry(&format!(
            "{{\"Name\":\"{name}\",\"Type\":\"ByteArrayType\",\"Offset\":{offset},\"Size\":{size}}}"
        ));
    }
    let store = store.text("last", "c");
    snapbox::assert_data_eq!(
        rows(&store).replace(&long, "xxx"),
        snapbox::str![[r#"
item 1, `good`: good
  "a"
item 2, `odd`: BAD: its type `IntegerType` is not known
item 3, `utf-8`: BAD: its text is not UTF-8
item 4, `utf-16`: BAD: its text is not UTF-16
item 5, `who`: BAD: its credential is cut off, or its lengths are wrong
item 6, `GOOD`: BAD: item 1 has its name already
item 7: BAD: a secret's name is empty
item 8, `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...`: BAD: a secret's name has 1025 bytes; the most is 1024
item 9, `meta`: BAD: a metadata key is 1 to 256 bytes without control characters
item 10, `left`: left
  "b"
item 11: BAD: it is no object
item 12: BAD: a name stands in an object twice
item 13: BAD: it has no name
item 14, `a b`: BAD: it cannot be decrypted
item 15, `no place`: BAD: its bytes are not in the file
item 16, `minus`: BAD: its bytes are not in the file
item 17, `text`: BAD: its bytes are not in the file
item 18, `far`: BAD: its bytes are not in the file
item 19, `farther`: BAD: its bytes are not in the file
item 20, `empty`: BAD: it cannot be decrypted
item 21, `no block`: BAD: it cannot be decrypted
item 22, `noise`: BAD: it cannot be decrypted
item 23, `last`: last
  "c"
2 values of metadata of no known kind
"#]]
    );
}

#[test]
fn entries_with_overlapping_bytes_are_rejected() {
    let store = Written::new("BOB", None).text("a", "canary").text("b", "b").text("c", "c");
    let store = store
        .entry("{\"Name\":\"over\",\"Type\":\"ByteArrayType\",\"Offset\":16,\"Size\":16}")
        .entry("{\"Name\":\"beside\",\"Type\":\"StringType\",\"Offset\":8,\"Size\":16}")
        .entry("{\"Name\":\"none\",\"Type\":\"StringType\",\"Offset\":32,\"Size\":0}");
    snapbox::assert_data_eq!(
        rows(&store),
        snapbox::str![[r#"
item 1, `a`: a
  "canary"
item 2, `b`: BAD: its bytes are also those of another
item 3, `c`: c
  "c"
item 4, `over`: BAD: its bytes are also those of another
item 5, `beside`: BAD: it cannot be decrypted
item 6, `none`: BAD: it cannot be decrypted

"#]]
    );
}

#[test]
fn hashtable_members_are_merged_into_their_map() {
    let store = Written::new("BOB", None)
        .with("psht:DbPass", "SecureStringType", &utf16("p"), "{\"Note\":\"of a member\"}")
        .with(
            "db",
            "HashtableType",
            &super::written::list(&["psht:dbPass", "psht:dbUser"]),
            "{\"Note\":\"of the map\"}",
        )
        .text("psht:dbUser", "u")
        .map("none", &[])
        .text("psht:left over", "canary")
        .map("missing", &["psht:missinga"])
        .map("broken", &["psht:brokenb"])
        .with("psht:brokenb", "StringType", b"\xff", "{}")
        .map("placeless", &["psht:placelessb"])
        .entry("{\"Name\":\"psht:placelessb\",\"Type\":\"StringType\",\"Offset\":0,\"Size\":99999}")
        .map("nested", &["psht:nestedm"])
        .map("psht:nestedm", &[])
        .map("foreign", &["good", "psht:foreignx"])
        .map("twice", &["psht:twicea", "psht:twiceA"])
        .text("psht:twicea", "canary")
        .with("list", "HashtableType", b"\x09\0\0\0", "{}")
        .text("good", "g");
    snapbox::assert_data_eq!(
        rows(&store),
        snapbox::str![[r#"
item 2, `db`: db
  Pass: "p"
  User: "u"
  [Note] of the map
item 4, `none`: none
item 6, `missing`: BAD: its member `a` is missing
item 7, `broken`: BAD: its member `b`: its text is not UTF-8
item 9, `placeless`: BAD: its member `b`: its bytes are not in the file
item 11, `nested`: BAD: its member `m`: a map cannot be in a map
item 13, `foreign`: BAD: its member `good` is not named after it
item 14, `twice`: BAD: its member `psht:twicea` is listed twice
item 16, `list`: BAD: the list of its members is cut off, or its lengths are wrong
item 17, `good`: good
  "g"
1 member that no map has
"#]]
    );
}

#[test]
fn maps_with_ambiguous_member_names_are_rejected() {
    let store = Written::new("BOB", None)
        .map("db", &["psht:dbprodpw", "psht:dbuser"])
        .text("psht:dbprodpw", "canary of one of them")
        .text("psht:dbuser", "canary")
        .map("dbprod", &["psht:dbprodpw"])
        .map("DBP", &["psht:DBProdPw"])
        .map("other", &["psht:otherpw"])
        .text("psht:otherpw", "o");
    snapbox::assert_data_eq!(
        rows(&store),
        snapbox::str![[r#"
item 1, `db`: BAD: its member `prodpw` may be one of the map `dbprod`: SecretStore calls both `psht:dbprodpw`
item 4, `dbprod`: BAD: its member `pw` may be one of the map `db`: SecretStore calls both `psht:dbprodpw`
item 5, `DBP`: BAD: its member `rodPw` may be one of the map `db`: SecretStore calls both `psht:DBProdPw`
item 6, `other`: other
  pw: "o"

"#]]
    );
}

#[test]
fn changed_store_never_panics() {
    let good = Written::new("BOB", None)
        .text("plain", "a")
        .map("map", &["psht:mapA"])
        .with("psht:mapA", "CredentialType", b"\x07\0\0\0bobp\0w\0", "{}")
        .with("due", "StringType", b"b", "{\"Due\":\"\\/Date(1651363200000+0200)\\/\"}");
    let listing = good.listing().into_bytes();
    let (upper, lower) = (Cipher::new(b"BOB", &KEY, &IV), Cipher::new(b"bob", &KEY, &IV));
    super::super::shown::changed(&listing, |bytes| {
        let Ok(text) = SecretText::from_bytes(SecretBytes::copy_of(bytes)) else { return };
        let ciphers = vec![upper.duplicate(), lower.duplicate()];
        let Ok(entries) = Entries::new(text, good.blobs.clone(), ciphers) else { return };
        shown(entries).unwrap();
    });
    super::super::shown::changed(b"{\"ConfigData\":{\"Authentication\":1}}", |bytes| {
        let _ = (has_password(bytes), key_and_iv(bytes), split(bytes), blob::members(bytes));
    });
}

#[test]
fn fifo_or_oversized_store_file_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    Written::new("BOB", None).write(dir.path());
    fs_err::remove_file(at(super::KEY)).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at(super::KEY), 0o600.into()).unwrap();
    let error = Store::open(dir.path(), "bob").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "`storeaux` is no file");
    fs_err::remove_file(at(super::KEY)).unwrap();
    let large = fs_err::File::create(at(super::KEY)).unwrap();
    large.set_len(MAX_SMALL_BYTES as u64 + 1).unwrap();
    let said = said(Store::open(dir.path(), "bob"));
    assert!(said.ends_with("its `storeaux` has more than 65536 bytes"), "{said}");
}

#[test]
fn debug_output_omits_store_secrets() {
    let written = Written::new("BOB", Some("canary-password")).text("a", "canary-value");
    let store = store(&written, "bob").unwrap();
    let before = format!("{store:?}");
    let password = SecretText::new("canary-password");
    let after = format!("{:?}", store.unlock(Some(&password)).unwrap());
    let shown =
        format!("{before}{after}{:?}", Owner { user: "bob".into(), password: Some(password) });
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!before.contains("7, 7, 7"), "the key: {before}");
}
