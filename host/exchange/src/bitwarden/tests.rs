//! Imports of a Bitwarden export, and of broken and hostile exports.

use snapbox::{assert_data_eq, str};

use super::super::packed::{Packed, zip};
use super::super::shown::{changed, shown};
use super::*;

const EXPORT: &str = include_str!("../../../../tests/fixtures/bitwarden.json");

fn refused(text: &str) -> String {
    let error = read(text.as_bytes(), None).unwrap_err();
    format!("{}: {error}", error.code())
}

#[test]
fn each_item_type_is_imported_and_skipped_data_counted() {
    let mut items = read(EXPORT.as_bytes(), None).unwrap();
    assert_data_eq!(
        shown(&mut items).unwrap(),
        str![[r#"
item 1, `GitHub`: Work/GitHub
  "bob@example.com" / "canary-5d1f-github ä/"//"
  [category] login
  [created] 2022-03-04T05:06:07.08Z
  [favourite] Boolean(true)
  [updated] 2024-05-06T07:08:09.1Z
  [url] https://github.com/login
item 2, `Bank`: Bank
  url: "https://bob:canary-5d1f@old.bank.example/"
  user: "bob"
  password: "canary-5d1f-bank"
  totp: "otpauth://totp/Bank:bob?secret=canary-5d1f&issuer=Bank"
  notes: "canary-5d1f first line/nsecond line"
  customer number: "canary-5d1f-4711"
  PIN: "canary-5d1f-0815"
  app installed: "true"
  [category] login
  [created] 2022-03-04T05:06:07.08Z
  [reprompt] 1
  [updated] 2024-05-06T07:08:09.1Z
  [url] https://bank.example/
item 3, `Alarm code`: Work/Servers/Alarm code
  "canary-5d1f-1234"
  [category] note
  [created] 2022-03-04T05:06:07.08Z
  [updated] 2024-05-06T07:08:09.1Z
item 4, `Card`: Card
  cardholder: "Bob Example"
  brand: "Visa"
  number: "canary-5d1f-4111111111111111"
  expires: "2027-04"
  code: "canary-5d1f-123"
  [category] card
  [created] 2022-03-04T05:06:07.08Z
  [expires] 2027-05-01T00:00:00Z
  [updated] 2024-05-06T07:08:09.1Z
item 5, `Me`: Me
  title: "Mr"
  first-name: "Bob"
  last-name: "Example"
  user: "bob"
  email: "bob@example.com"
  phone: "+44 1632 960001"
  address: "1 High Street"
  city: "Exeter"
  postal-code: "EX1 1AA"
  country: "GB"
  ssn: "canary-5d1f-ssn"
  passport: "canary-5d1f-passport"
  [category] identity
  [created] 2022-03-04T05:06:07.08Z
  [updated] 2024-05-06T07:08:09.1Z
item 6, `Deploy key`: Deploy key
  private-key: "-----BEGIN OPENSSH PRIVATE KEY-----/ncanary-5d1f/n-----END OPENSSH PRIVATE KEY-----/n"
  public-key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample bob@example.com"
  fingerprint: "SHA256:example"
  [category] ssh-key
  [created] 2022-03-04T05:06:07.08Z
  [updated] 2024-05-06T07:08:09.1Z
item 8, `GitHub`: Work/GitHub (2)
  "canary-5d1f-second"
  [category] login
  [created] 2022-03-04T05:06:07.08Z
  [updated] 2024-05-06T07:08:09.1Z
item 9, `From the future`: From the future
  "canary-5d1f-future"
  [category] type-99
  [created] 2022-03-04T05:06:07.08Z
  [updated] 2024-05-06T07:08:09.1Z

"#]]
    );
    let left_out: Vec<String> = items.left_out();
    assert_data_eq!(
        left_out.join("\n"),
        str![[r#"
2 old passwords
1 passkey
1 field that repeats another
1 item of the trash
"#]]
    );
}

#[test]
fn organisation_item_is_named_by_its_first_collection() {
    let text = r#"{"encrypted":false,"collections":[{"id":"1","organizationId":"9","name":"Ops"},
        {"id":"2","organizationId":"9","name":"Web, old"},{"id":"3","name":null}],"items":[
        {"type":1,"name":"a","folderId":null,"collectionIds":["1","2"],"login":{"password":"p"}},
        {"type":1,"name":"b","folderId":null,"collectionIds":["3","4"],"login":{"password":"p"}}]}"#;
    assert_data_eq!(
        shown(read(text.as_bytes(), None).unwrap()).unwrap(),
        str![[r#"
item 1, `a`: Ops/a
  "p"
  [category] login
  [collections] Ops,Web  old
item 2, `b`: b
  "p"
  [category] login

"#]]
    );
}

#[test]
fn encrypted_forms_need_their_account_or_password() {
    let by_account = r#"{"encrypted":true,"encKeyValidation_DO_NOT_EDIT":"2.canary","items":[]}"#;
    let by_password = r#"{"encrypted":true,"passwordProtected":true,"salt":"canary","data":"2.x"}"#;
    assert_eq!(refused(by_account), "E13.encrypted: this is an encrypted Bitwarden export");
    assert_eq!(refused(by_password), "E13.locked: this is locked with a password");
}

#[test]
fn invalid_export_is_rejected_without_echoing_content() {
    let answers: Vec<String> =
        ["canary", "[]", "{}", r#"{"items":"canary"}"#, r#"{"items":[canary]}"#, ""]
            .into_iter()
            .map(refused)
            .collect();
    assert_data_eq!(
        answers.join("\n"),
        str![[r#"
E13.not-of-form: this is not a Bitwarden export: line 1, column 1: an object, `{...}`, is expected
E13.not-of-form: this is not a Bitwarden export: line 1, column 1: an object, `{...}`, is expected
E13.not-of-form: this is not a Bitwarden export: it has no list `items`
E13.not-of-form: this is not a Bitwarden export: it has no list `items`
E13.not-of-form: this is not a Bitwarden export: line 1, column 11: no value of JSON begins like this
E13.not-of-form: this is not a Bitwarden export: line 1, column 1: an object, `{...}`, is expected
"#]]
    );
}

#[test]
fn every_type_keeps_all_of_its_members() {
    let text = r#"{"items":[
        {"type":6,"name":"bank","bankAccount":{"bankName":"B","accountNumber":"canary 1","pin":"canary 2","iban":""}},
        {"type":7,"name":"licence","driversLicense":{"firstName":"Bob","licenseNumber":"canary 3"}},
        {"type":8,"name":"passport","passport":{"passportNumber":"canary 4","issueDate":"2020-01-01"}},
        {"type":9,"name":"later","notes":"canary 5","wifi":{"networkName":"n","password":"canary 6","bands":[2,5],"more":{"isHidden":true}},"plain":7,"reprompt":1},
        {"type":5,"name":"key","sshKey":{"privateKey":"canary 7","publicKey":"p","keyFingerprint":"f","passphrase":"canary 8"}},
        {"type":3,"name":"card","card":{"number":"canary 9","expMonth":"4","expYear":"2027","code":null,"pin":"canary 10"}},
        {"type":4,"name":"me","identity":{"firstName":"Bob","taxNumber":"canary 11"}},
        {"type":10,"name":"empty"}]}"#;
    assert_data_eq!(
        shown(read(text.as_bytes(), None).unwrap()).unwrap(),
        str![[r#"
item 1, `bank`: bank
  bank-name: "B"
  account-number: "canary 1"
  pin: "canary 2"
  [category] bank-account
item 2, `licence`: licence
  first-name: "Bob"
  license-number: "canary 3"
  [category] driving-licence
item 3, `passport`: passport
  passport-number: "canary 4"
  issue-date: "2020-01-01"
  [category] passport
item 4, `later`: later
  network-name: "n"
  password: "canary 6"
  bands: "2"
  bands (2): "5"
  more-is-hidden: "true"
  plain: "7"
  notes: "canary 5"
  [category] type-9
  [reprompt] 1
item 5, `key`: key
  private-key: "canary 7"
  public-key: "p"
  fingerprint: "f"
  passphrase: "canary 8"
  [category] ssh-key
item 6, `card`: card
  number: "canary 9"
  expires: "2027-04"
  pin: "canary 10"
  [category] card
  [expires] 2027-05-01T00:00:00Z
item 7, `me`: me
  first-name: "Bob"
  tax-number: "canary 11"
  [category] identity
item 8, `empty`: BAD: there is nothing in it

"#]]
    );
}

#[test]
fn bad_folder_or_byte_fails_only_its_item() {
    let text = b"{\"folders\":[{\"id\":\"1\",\"name\":\"\\ud800\"},{\"id\":\"2\",\"name\":\"x\xff\"},{\"id\":\"3\",\"name\":\"Good\"}],\"items\":[\
        {\"type\":2,\"name\":\"a\",\"folderId\":\"1\",\"notes\":\"canary\"},\
        {\"type\":2,\"name\":\"b\",\"folderId\":\"3\",\"notes\":\"canary \xe9\"},\
        {\"type\":2,\"name\":\"c\",\"folderId\":\"3\",\"notes\":\"canary\"}]}";
    let mut items = read(&text[..], None).unwrap();
    assert_data_eq!(
        shown(&mut items).unwrap(),
        str![[r#"
item 1, `a`: a
  "canary"
  [category] note
item 2: BAD: it is not UTF-8
item 3, `c`: Good/c
  "canary"
  [category] note

"#]]
    );
    assert_eq!(items.left_out(), ["2 folders whose names cannot be read"]);
}

#[test]
fn zip_has_items_and_their_attachments() {
    let text = br#"{"encrypted":false,"items":[
        {"id":"i1","type":1,"name":"a","login":{"password":"canary"}},
        {"id":"i2","type":2,"name":"only a file"}]}"#;
    let files = [
        Packed::deflated("data.json", text),
        Packed::stored("attachments/", b""),
        Packed::stored("attachments/i1/", b""),
        Packed::deflated("attachments/i1/scan.pdf", b"canary 1"),
        Packed::stored("attachments/i1/../../key", b"canary 2"),
        Packed::stored("attachments/i2/x", b"canary 3"),
        Packed { checksum: Some(1), ..Packed::stored("attachments/i2/damaged", b"canary") },
        Packed::stored("attachments/gone/x", b"canary 4"),
    ];
    let mut items = read(&zip(&files)[..], None).unwrap();
    assert_data_eq!(
        shown(&mut items).unwrap(),
        str![[r#"
item 1, `a`: a
  "canary"
  [category] login
item 1, `a`: a/scan.pdf
  8 bytes
  [category] file
item 1, `a`: a/key
  8 bytes
  [category] file
item 2, `only a file`: only a file/x
  8 bytes
  [category] file
item 2, `only a file`: BAD: its file `damaged`: it is damaged

"#]]
    );
    assert_eq!(items.left_out(), ["1 attachment of no item"]);
    let other = zip(&[Packed::stored("x", b"canary")]);
    let error = read(&other[..], None).unwrap_err();
    assert_eq!(error.to_string(), "this is not a Bitwarden export: it has no `data.json`");
}

#[test]
fn broken_items_are_reported_and_rest_is_imported() {
    let text = r#"{"items":[
        1,
        {"type":1,"name":"half \ud800"},
        {"type":1,"name":"twice","name":"canary"},
        {"name":"no type"},
        {"type":"1","name":"a text for a type"},
        {"type":1,"name":"empty","login":null},
        {"type":1,"name":"of other types","login":[],"fields":{},"notes":7,"favorite":"yes","creationDate":12},
        {"type":2,"name":"bad\u0000\u001b[31m\ntitle","notes":"canary"},
        {"type":2,"name":"soon","notes":"canary","creationDate":"soon"}]}"#;
    assert_data_eq!(
        shown(read(text.as_bytes(), None).unwrap()).unwrap(),
        str![[r#"
item 1: BAD: it is no object
item 2: BAD: half of a surrogate pair
item 3: BAD: a name stands in an object twice
item 4, `no type`: BAD: it has no `type`
item 5, `a text for a type`: BAD: it has no `type`
item 6, `empty`: BAD: there is nothing in it
item 7, `of other types`: of other types
  "7"
  [category] login
item 8, `bad  [31m title`: bad  [31m title
  "canary"
  [category] note
item 9, `soon`: soon
  "canary"
  [category] note

"#]]
    );
}

#[test]
fn item_with_too_long_name_is_reported_as_broken() {
    let text = format!(r#"{{"items":[{{"type":2,"name":"{}","notes":"n"}}]}}"#, "x".repeat(1_025));
    assert_data_eq!(
        shown(read(text.as_bytes(), None).unwrap()).unwrap(),
        str![[r#"
item 1, `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...`: BAD: a secret's name has 1025 bytes; the most is 1024

"#]]
    );
}

#[test]
fn changed_export_never_panics() {
    changed(EXPORT.as_bytes(), |bytes| {
        if let Ok(items) = read(bytes, None) {
            items.for_each(|row| drop(row.unwrap()));
        }
    });
}
