//! What becomes of an export of Bitwarden, and of one that is broken or hostile.

use snapbox::{assert_data_eq, str};

use super::super::shown::{changed, shown};
use super::*;

const EXPORT: &str = include_str!("../../../../tests/fixtures/bitwarden.json");

fn refused(text: &str) -> String {
    let error = read(text.as_bytes()).unwrap_err();
    format!("{}: {error}", error.code())
}

#[test]
fn every_kind_of_item_becomes_a_secret() {
    let mut items = read(EXPORT.as_bytes()).unwrap();
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
  user: "bob"
  password: "canary-5d1f-bank"
  totp: "otpauth://totp/Bank:bob?secret=canary-5d1f&issuer=Bank"
  url: "https://bob:canary-5d1f@old.bank.example/"
  notes: "canary-5d1f first line/nsecond line"
  customer number: "canary-5d1f-4711"
  PIN: "canary-5d1f-0815"
  app installed: "true"
  [category] login
  [created] 2022-03-04T05:06:07.08Z
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
item 9, `From the future`: BAD: type 99 is not known

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
fn items_of_an_organisation_are_named_by_their_first_collection() {
    let text = r#"{"encrypted":false,"collections":[{"id":"1","organizationId":"9","name":"Ops"},
        {"id":"2","organizationId":"9","name":"Web, old"},{"id":"3","name":null}],"items":[
        {"type":1,"name":"a","folderId":null,"collectionIds":["1","2"],"login":{"password":"p"}},
        {"type":1,"name":"b","folderId":null,"collectionIds":["3","4"],"login":{"password":"p"}}]}"#;
    assert_data_eq!(
        shown(read(text.as_bytes()).unwrap()).unwrap(),
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
fn both_encrypted_forms_are_refused() {
    let by_account = r#"{"encrypted":true,"encKeyValidation_DO_NOT_EDIT":"2.canary","items":[]}"#;
    let by_password = r#"{"encrypted":true,"passwordProtected":true,"salt":"canary","data":"2.x"}"#;
    for text in [by_account, by_password] {
        assert_eq!(refused(text), "E13.encrypted: this is an encrypted Bitwarden export");
    }
}

#[test]
fn what_is_no_export_is_refused_without_repeating_it() {
    let answers: Vec<String> = [
        "canary",
        "[]",
        "{}",
        r#"{"items":"canary"}"#,
        r#"{"items":[canary]}"#,
        r#"{"items":[],"folders":[{"id":"1","name":"\ud800"}]}"#,
        "",
    ]
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
E13.not-of-form: this is not a Bitwarden export: folder 1: half of a surrogate pair
E13.not-of-form: this is not a Bitwarden export: line 1, column 1: an object, `{...}`, is expected
"#]]
    );
}

#[test]
fn a_broken_item_is_reported_and_the_rest_goes_in() {
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
        shown(read(text.as_bytes()).unwrap()).unwrap(),
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
fn a_name_that_is_too_long_is_a_broken_item() {
    let text = format!(r#"{{"items":[{{"type":2,"name":"{}","notes":"n"}}]}}"#, "x".repeat(1_025));
    assert_data_eq!(
        shown(read(text.as_bytes()).unwrap()).unwrap(),
        str![[r#"
item 1, `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...`: BAD: a secret's name has 1025 bytes; the most is 1024

"#]]
    );
}

#[test]
fn a_second_run_finds_the_same_names() {
    let names = || -> Vec<_> {
        let rows = read(EXPORT.as_bytes()).unwrap().filter_map(|row| row.unwrap().ok());
        rows.map(|row| row.name).collect()
    };
    assert_eq!(names(), names());
}

#[test]
fn no_change_of_an_export_makes_it_panic() {
    changed(EXPORT.as_bytes(), |bytes| {
        if let Ok(items) = read(bytes) {
            items.for_each(|row| drop(row.unwrap()));
        }
    });
}
