//! Imports of a 1Password export, and of broken and hostile exports.

use std::io::Cursor;

use snapbox::{assert_data_eq, str};

use super::super::packed::{Packed, zip};
use super::super::shown::{changed, shown};
use super::*;

const DATA: &str = include_str!("../../../../tests/fixtures/1password.json");
const ATTRIBUTES: &str =
    r#"{"version":3,"description":"1Password Unencrypted Export","createdAt":1715000000}"#;

fn export(data: &str, files: Vec<Packed>) -> Vec<u8> {
    let mut all = vec![
        Packed::deflated("export.attributes", ATTRIBUTES.as_bytes()),
        Packed::deflated("export.data", data.as_bytes()),
    ];
    all.extend(files);
    zip(&all)
}

fn of_items(items: &str) -> String {
    format!(r#"{{"accounts":[{{"vaults":[{{"attrs":{{"name":"Private"}},"items":[{items}]}}]}}]}}"#)
}

fn refused(bytes: Vec<u8>) -> String {
    let error = read(Cursor::new(bytes)).unwrap_err();
    format!("{}: {error}", error.code())
}

#[test]
fn each_item_and_field_type_is_imported() {
    let bytes = export(
        DATA,
        vec![
            Packed::stored("files/docpassport__scan.pdf", b"%PDF canary-5d1f"),
            Packed::deflated("files/docrecovery__codes.txt", b"canary-5d1f codes"),
        ],
    );
    let mut items = read(Cursor::new(bytes)).unwrap();
    assert_data_eq!(
        shown(&mut items).unwrap(),
        str![[r#"
item 1, `GitHub`: Private/GitHub
  "bob@example.com" / "canary-5d1f-github"
  [category] login
  [created] 2021-02-26T00:22:36Z
  [favourite] Boolean(true)
  [tags] code,work  old
  [updated] 2021-10-27T14:54:05Z
  [url] https://github.com/
  [url.2] https://api.github.com/
item 2, `Bank`: Private/Bank
  user: "bob"
  password: "canary-5d1f-bank"
  totp: "otpauth://totp/Bank?secret=canary-5d1f"
  PIN: "canary-5d1f-0815"
  branch: "https://branch.bank.example/"
  contact: "help@bank.example"
  line: "+44 1632 960002"
  opened: "2020-10-01"
  valid from: "2021-04"
  home: 
    street: "1 High Street"
    city: "Exeter"
    zip: "EX1 1AA"
    country: "gb"
  kind: "savings"
  notes: "canary-5d1f note"
  [category] login
  [created] 2021-02-26T00:22:36Z
  [state] archived
  [updated] 2021-10-27T14:54:05Z
item 2, `Bank`: Private/Bank/codes.txt
  17 bytes
  [category] file
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-10-27T14:54:05Z
item 3, `Card`: Private/Card
  cardholder name: "Bob Example"
  type: "visa"
  number: "canary-5d1f-4111"
  verification number: "canary-5d1f-123"
  expiry date: "2027-12"
  [category] card
  [created] 2021-02-26T00:22:36Z
  [expires] 2028-01-01T00:00:00Z
  [updated] 2021-10-27T14:54:05Z
item 4, `Alarm`: Private/Alarm
  "canary-5d1f alarm"
  [category] note
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-10-27T14:54:05Z
item 5, `Passport scan`: Private/Passport scan/scan.pdf
  16 bytes
  [category] file
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-10-27T14:54:05Z
item 6, `Deploy`: Work/Deploy
  user: "deploy"
  credential: "canary-5d1f-token"
  expires: "2027-01-01"
  [category] api-credential
  [created] 2021-02-26T00:22:36Z
  [expires] 2027-01-01T00:00:00Z
  [updated] 2021-10-27T14:54:05Z
item 7, `deploy`: Work/deploy (2)
  private-key: "-----BEGIN PRIVATE KEY-----/ncanary-5d1f/n-----END PRIVATE KEY-----/n"
  public-key: "ssh-ed25519 AAAAExample"
  fingerprint: "SHA256:example"
  [category] ssh-key
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-10-27T14:54:05Z

"#]]
    );
    let left_out: Vec<String> = items.left_out();
    assert_data_eq!(
        left_out.join("\n"),
        str![[r#"
1 box or button of a web form
1 old password
1 link to another item
1 sign-in by another account
1 passkey
1 deleted item
"#]]
    );
}

#[test]
fn export_with_single_vault_omits_vault_name() {
    let data = of_items(r#"{"overview":{"title":"a"},"details":{"password":"p"}}"#);
    assert_data_eq!(
        shown(read(Cursor::new(export(&data, vec![]))).unwrap()).unwrap(),
        str![[r#"
item 1, `a`: a
  "p"

"#]]
    );
}

#[test]
fn broken_items_and_fields_are_reported_and_rest_imported() {
    let data = of_items(
        r#"7,
        {"overview":{"title":"\udfff"}},
        {"overview":{"title":"empty"},"details":{}},
        {"overview":{"title":"new kind"},"details":{"sections":[{"fields":[
            {"title":"f","id":"x","value":{"hologram\u0007":{"a":"canary"}}},
            {"title":"g","id":"y","value":{"voice":"kept"}}]}]}},
        {"overview":{"title":"odd"},"favIndex":"1","createdAt":99999999999999,"details":{
            "loginFields":[null,7,{"value":"canary","designation":"password"}],
            "sections":[null,{"fields":[null,{"value":null},{"title":"","id":"","value":{"string":"x"}},
            {"title":"when","id":"expires","value":{"date":9223372036854775807}},
            {"title":"month","id":"expiry","value":{"monthYear":202613}}]}]}}"#,
    );
    assert_data_eq!(
        shown(read(Cursor::new(export(&data, vec![]))).unwrap()).unwrap(),
        str![[r#"
item 1: BAD: it is no object
item 2: BAD: half of a surrogate pair
item 3, `empty`: BAD: there is nothing in it
item 4, `new kind`: BAD: its field `f` is of the kind `hologram`, not known here
item 4, `new kind`: new kind
  g: "kept"
item 5, `odd`: odd
  password: "canary"
  field: "x"
  when: "9223372036854775807"
  month: "202613"

"#]]
    );
}

#[test]
fn attached_file_is_read_once_and_named_without_its_path() {
    let item = |title: &str, id: &str, name: &str| {
        format!(
            r#"{{"overview":{{"title":"{title}"}},"details":{{"documentAttributes":
            {{"fileName":"{name}","documentId":"{id}","decryptedSize":1}}}}}}"#
        )
    };
    let data = of_items(
        &[
            item("a", "one", "../../../etc/passwd"),
            item("b", "one", "again.txt"),
            item("c", "none", "none.txt"),
            item("d", "two", "C:\\\\x\\\\.."),
            item("e", "locked", "e"),
            item("f", "large", "f"),
        ]
        .join(","),
    );
    let bytes = export(
        &data,
        vec![
            Packed::stored("files/one__x", b"canary"),
            Packed::stored("files/two", b"canary"),
            Packed { encrypted: true, ..Packed::stored("files/locked__e", b"canary") },
            Packed {
                checksum: Some(0),
                ..Packed::deflated("files/large__f", &vec![0; MAX_VALUE_BYTES + 1])
            },
        ],
    );
    assert_data_eq!(
        shown(read(Cursor::new(bytes)).unwrap()).unwrap(),
        str![[r#"
item 1, `a`: a/passwd
  6 bytes
  [category] file
item 2, `b`: BAD: its file `again.txt`: it is not in the export, or belongs to another item
item 3, `c`: BAD: its file `none.txt`: it is not in the export, or belongs to another item
item 4, `d`: d/untitled
  6 bytes
  [category] file
item 5, `e`: BAD: its file `e`: it is encrypted
item 6, `f`: BAD: its file `f`: it has 16777217 bytes; the most is 16777216

"#]]
    );
}

#[test]
fn invalid_export_is_rejected_without_echoing_content() {
    let attributes = |text: &str| {
        let data = Packed::deflated("export.data", br#"{"accounts":[]}"#);
        zip(&[Packed::stored("export.attributes", text.as_bytes()), data])
    };
    let locked = Packed { encrypted: true, ..Packed::stored("export.attributes", b"x") };
    let bomb = vec![b' '; input::MAX_BYTES + 1];
    let answers: Vec<String> = [
        b"canary".to_vec(),
        zip(&[Packed::stored("canary", b"x")]),
        zip(&[Packed::stored("export.attributes", b"{}")]),
        attributes("{}"),
        attributes(r#"{"version":4}"#),
        attributes("canary"),
        attributes(&" ".repeat(70_000)),
        zip(&[locked]),
        export("{}", vec![]),
        export(r#"{"accounts":[{"vaults":[{"items":[canary]}]}]}"#, vec![]),
        zip(&[
            Packed::stored("export.attributes", ATTRIBUTES.as_bytes()),
            Packed { checksum: Some(0), ..Packed::deflated("export.data", &bomb) },
        ]),
        zip(&[
            Packed::stored("export.attributes", ATTRIBUTES.as_bytes()),
            Packed { size: Some(64), checksum: Some(0), ..Packed::deflated("export.data", &bomb) },
        ]),
        zip(&[
            Packed::stored("export.attributes", ATTRIBUTES.as_bytes()),
            Packed::stored("export.data", b"{\"canary\xff\"}"),
        ]),
    ]
    .into_iter()
    .map(refused)
    .collect();
    assert_data_eq!(
        answers.join("\n"),
        str![[r#"
E13.not-of-form: this is not a 1PUX export: it is no zip
E13.not-of-form: this is not a 1PUX export: it has no `export.attributes`
E13.not-of-form: this is not a 1PUX export: it has no `export.data`
E13.not-of-form: this is not a 1PUX export: it has no version
E13.not-of-form: this is not a 1PUX export: its version 4 is not known here
E13.not-of-form: this is not a 1PUX export: `export.attributes`: line 1, column 1: an object, `{...}`, is expected
E13.not-of-form: this is not a 1PUX export: `export.attributes`: it has 70000 bytes; the most is 65536
E13.encrypted: this is an encrypted 1PUX export
E13.not-of-form: this is not a 1PUX export: `export.data` has no list `accounts`
E13.not-of-form: this is not a 1PUX export: `export.data`: line 1, column 35: no value of JSON begins like this
E13.not-of-form: this is not a 1PUX export: `export.data`: it has 67108865 bytes; the most is 67108864
E13.not-of-form: this is not a 1PUX export: `export.data`: it is damaged
E13.not-of-form: this is not a 1PUX export: `export.data`: line 1, column 9: a control character must be escaped
"#]]
    );
}

#[test]
fn changed_export_never_panics() {
    let file = || vec![Packed::deflated("files/docpassport__scan.pdf", b"canary canary")];
    let read_all = |bytes: Vec<u8>| {
        if let Ok(items) = read(Cursor::new(bytes)) {
            items.for_each(|row| drop(row.unwrap()));
        }
    };
    changed(&export("{}", file()), |bytes| read_all(bytes.to_vec()));
    changed(DATA.as_bytes(), |bytes| {
        read_all(export(&String::from_utf8_lossy(bytes), file()));
    });
}
