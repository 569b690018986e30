//! Imports of tables: of well-known exports, with named columns, and broken tables.

use snapbox::{assert_data_eq, str};

use super::super::shown::{changed, shown};
use super::*;

fn columns(typed: &[&str]) -> Vec<Column> {
    typed.iter().map(|text| Column::parse(text).unwrap()).collect()
}

/// Returns the plan, rows and skipped parts of an import.
fn whole(bytes: &[u8], typed: &[&str]) -> String {
    let mut table = match read(bytes, &columns(typed), None) {
        Ok(table) => table,
        Err(Error::UnknownTable { columns }) => {
            return format!("unknown table: {}", columns.join(" "));
        }
        Err(error) => return format!("{}: {error}", error.code()),
    };
    let Plan { program, used, left_out, left_out_secret, .. } = table.plan().clone();
    let used: Vec<_> = used.iter().map(|(role, header)| format!("{role}={header}")).collect();
    let mut text = format!(
        "{program:?}: {}; left out: {}; secret: {}\n",
        used.join(" "),
        left_out.join(" "),
        left_out_secret.join(" ")
    );
    text += &shown(&mut table).unwrap();
    for line in table.left_out() {
        text += &format!("left out: {line}\n");
    }
    text
}

#[test]
fn chrome_and_edge_export_is_imported() {
    let text = "name,url,username,password,note\r\n\
        github.com,https://github.com/login,bob,canary-5d1f,\r\n\
        github.com,https://github.com/login,alice,canary-5d1f,\"a note,\r\nof two lines\"\r\n\
        ,https://x.example:8080/a?b,,canary-5d1f,\r\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("Chrome or Edge"): name=name url=url user=username password=password notes=note; left out: ; secret: 
line 2: github.com
  "bob" / "canary-5d1f"
  [url] https://github.com/login
line 3: github.com (2)
  user: "alice"
  password: "canary-5d1f"
  notes: "a note,/r/nof two lines"
  [url] https://github.com/login
line 5: x.example:8080
  "canary-5d1f"
  [url] https://x.example:8080/a?b

"#]]
    );
}

#[test]
fn firefox_export_is_imported() {
    let text = "\"url\",\"username\",\"password\",\"httpRealm\",\"formActionOrigin\",\"guid\",\"timeCreated\",\"timeLastUsed\",\"timePasswordChanged\"\n\
        \"https://github.com\",\"bob\",\"canary-5d1f \"\"quoted\"\"\",,\"https://github.com\",\"{1}\",\"1614298956000\",\"1614298956001\",\"1635346445000\"\n\
        \"https://github.com\",\"alice\",\"canary-5d1f\",,\"\",\"{2}\",\"soon\",\"\",\"\"\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("Firefox"): url=url user=username password=password http-realm=httpRealm form-origin=formActionOrigin guid=guid created=timeCreated last-used=timeLastUsed updated=timePasswordChanged; left out: ; secret: 
line 2: github.com
  "bob" / "canary-5d1f /"quoted/""
  [created] 2021-02-26T00:22:36Z
  [form-origin] https://github.com
  [guid] {1}
  [last-used] 2021-02-26T00:22:36.001Z
  [updated] 2021-10-27T14:54:05Z
  [url] https://github.com
line 3: github.com (2)
  "alice" / "canary-5d1f"
  [guid] {2}
  [url] https://github.com
left out: 1 date that cannot be read

"#]]
    );
}

#[test]
fn keepassxc_export_is_imported() {
    let text = "\"Group\",\"Title\",\"Username\",\"Password\",\"URL\",\"Notes\",\"TOTP\",\"Icon\",\"Last Modified\",\"Created\"\n\
        \"Root/Internet/Mail\",\"Post\",\"bob\",\"canary-5d1f\",\"https://mail.example\",\"\",\"otpauth://totp/x?secret=canary-5d1f\",\"0\",\"2024-05-06T07:08:09Z\",\"2022-03-04T05:06:07Z\"\n\
        \"Root\",\"Top\",\"\",\"canary-5d1f\",\"\",\"\",\"\",\"0\",\"2024-05-06T07:08:09Z\",\"2022-03-04T05:06:07Z\"\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("KeePassXC"): folder=Group name=Title user=Username password=Password url=URL notes=Notes totp=TOTP icon=Icon updated=Last Modified created=Created; left out: ; secret: 
line 2: Internet/Mail/Post
  user: "bob"
  password: "canary-5d1f"
  totp: "otpauth://totp/x?secret=canary-5d1f"
  [created] 2022-03-04T05:06:07Z
  [updated] 2024-05-06T07:08:09Z
  [url] https://mail.example
line 3: Top
  "canary-5d1f"
  [created] 2022-03-04T05:06:07Z
  [updated] 2024-05-06T07:08:09Z

"#]]
    );
}

#[test]
fn lastpass_export_is_imported() {
    let text = "url,username,password,totp,extra,name,grouping,fav\n\
        https://github.com,bob,canary-5d1f,,,GitHub,Work\\Code,1\n\
        http://sn,,,,canary-5d1f note,Alarm,,0\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("LastPass"): url=url user=username password=password totp=totp notes=extra name=name folder=grouping favourite=fav; left out: ; secret: 
line 2: Work/Code/GitHub
  "bob" / "canary-5d1f"
  [favourite] Boolean(true)
  [url] https://github.com
line 3: Alarm
  "canary-5d1f note"

"#]]
    );
}

#[test]
fn bitwarden_csv_export_is_imported() {
    let text = "folder,favorite,type,name,notes,fields,reprompt,login_uri,login_username,login_password,login_totp\n\
        Work,1,login,GitHub,,\"PIN: canary-5d1f\nkey: a: b\nsecond line\r\n\",0,\"https://github.com,https://api.github.com\",bob,canary-5d1f,\n\
        ,,note,Alarm,canary-5d1f,,0,,,,\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("Bitwarden"): folder=folder favourite=favorite category=type name=name notes=notes fields=fields reprompt=reprompt url=login_uri user=login_username password=login_password totp=login_totp; left out: ; secret: 
line 2: Work/GitHub
  PIN: "canary-5d1f"
  key: "a: b/nsecond line"
  user: "bob"
  password: "canary-5d1f"
  [category] login
  [favourite] Boolean(true)
  [url] https://github.com
  [url.2] https://api.github.com
line 6: Alarm
  "canary-5d1f"
  [category] note

"#]]
    );
}

#[test]
fn onepassword_and_safari_exports_are_imported() {
    let text = "Title,Url,Username,Password,OTPAuth,Favorite,Archived,Tags,Notes\n\
        GitHub,https://github.com,bob,canary-5d1f,,true,true,code;work,\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("1Password"): name=Title url=Url user=Username password=Password totp=OTPAuth favourite=Favorite state=Archived tags=Tags notes=Notes; left out: ; secret: 
line 2: GitHub
  "bob" / "canary-5d1f"
  [favourite] Boolean(true)
  [state] archived
  [tags] code,work
  [url] https://github.com

"#]]
    );
    let text = "Title,URL,Username,Password,Notes,OTPAuth\n\
        GitHub,https://github.com,bob,canary-5d1f,,\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("Safari or Apple Passwords"): name=Title url=URL user=Username password=Password notes=Notes totp=OTPAuth; left out: ; secret: 
line 2: GitHub
  "bob" / "canary-5d1f"
  [url] https://github.com

"#]]
    );
}

#[test]
fn proton_pass() {
    let text = "type,name,url,autofillUrls,email,username,password,note,totp,createTime,modifyTime,vault\n\
        login,GitHub,\"https://github.com/, https://api.github.com/\",\"[{\"\"url\"\":\"\"https://github.com/\"\",\"\"mode\"\":0},{\"\"url\"\":\"\"https://gist.github.com/\"\"}]\",bob@example.com,bob,canary-5d1f,a note,canary-5d1f-totp,1614298956,1635346445,Work\n\
        alias,Shop,,,x@passmail.net,,,,,1614298956,1614298956,Personal\n\
        creditCard,Card,,,,,,\"{\"\"number\"\":\"\"canary-5d1f\"\"}\",,1614298956,1614298956,Personal\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("Proton Pass"): category=type name=name url=url url=autofillUrls field.email=email user=username password=password notes=note totp=totp created=createTime updated=modifyTime folder=vault; left out: ; secret: 
line 2: Work/GitHub
  email: "bob@example.com"
  user: "bob"
  password: "canary-5d1f"
  notes: "a note"
  totp: "canary-5d1f-totp"
  [category] login
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-10-27T14:54:05Z
  [url] https://github.com/
  [url.2] https://api.github.com/
  [url.3] https://gist.github.com/
line 3: Personal/Shop
  email: "x@passmail.net"
  [category] alias
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-02-26T00:22:36Z
line 4: Personal/Card
  "{/"number/":/"canary-5d1f/"}"
  [category] creditCard
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-02-26T00:22:36Z

"#]]
    );
    let old = "type,name,url,username,password,note,totp,createTime,modifyTime,vault\n\
        login,a,,bob,canary-5d1f,,,1614298956,1614298956,Personal\n";
    assert_data_eq!(
        whole(old.as_bytes(), &[]),
        str![[r#"
Some("Proton Pass"): category=type name=name url=url user=username password=password notes=note totp=totp created=createTime updated=modifyTime folder=vault; left out: ; secret: 
line 2: Personal/a
  "bob" / "canary-5d1f"
  [category] login
  [created] 2021-02-26T00:22:36Z
  [updated] 2021-02-26T00:22:36Z

"#]]
    );
}

#[test]
fn nordpass() {
    let text = "name,url,additional_urls,username,password,note,cardholdername,cardnumber,cvc,expirydate,zipcode,folder,full_name,phone_number,email,address1,address2,city,country,state,type,custom_fields\n\
        Work,,,,,,,,,,,,,,,,,,,,folder,\n\
        GitHub,https://github.com,\"[\"\"https://api.github.com\"\"]\",bob,canary-5d1f,,,,,,,Work,,,,,,,,,password,\"[{\"\"label\"\":\"\"PIN\"\",\"\"type\"\":\"\"hidden\"\",\"\"value\"\":\"\"canary-5d1f\"\"}]\"\n\
        Card,,,,,,Bob,canary-5d1f,canary-5d1f,04/27,EX1,,,,,,,,,,credit_card,\n\
        odd,,,,canary-5d1f,,,,,,,,,,,,,,,,password,{canary-5d1f\n";
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("NordPass"): name=name url=url url=additional_urls user=username password=password notes=note field.cardholder=cardholdername field.number=cardnumber field.code=cvc field.expires=expirydate field.postal-code=zipcode folder=folder field.full-name=full_name field.phone=phone_number field.email=email field.address=address1 field.address-2=address2 field.city=city field.country=country field.state=state category=type fields=custom_fields; left out: ; secret: 
line 3: Work/GitHub
  user: "bob"
  password: "canary-5d1f"
  PIN: "canary-5d1f"
  [category] password
  [url] https://github.com
  [url.2] https://api.github.com
line 4: Card
  cardholder: "Bob"
  number: "canary-5d1f"
  code: "canary-5d1f"
  expires: "04/27"
  postal-code: "EX1"
  [category] credit_card
line 5: odd
  password: "canary-5d1f"
  custom fields: "{canary-5d1f"
  [category] password

"#]]
    );
}

#[test]
fn dashlane() {
    for text in [
        "username,username2,username3,title,password,note,url,category,otpSecret\n\
         bob,bob2,,GitHub,canary-5d1f,,https://github.com,Work,canary-5d1f-totp\n",
        "type,account_name,account_holder,cc_number,code,expiration_month,expiration_year,routing_number,account_number,country,issuing_bank\n\
         credit_card,Card,Bob,canary-5d1f,123,4,2027,,,GB,\n",
        "type,number,name,issue_date,expiration_date,place_of_issue,state\n\
         passport,canary-5d1f,Bob,2020-1-1,2030-1-1,GB,\n",
        "title,note\nAlarm,canary-5d1f\n",
    ] {
        let read = whole(text.as_bytes(), &[]);
        let rows = read.split_once('\n').unwrap().1;
        assert!(read.starts_with("Some(\"Dashlane (") && rows.contains("canary-5d1f"), "{read}");
        assert!(!rows.contains("BAD") && !rows.contains("left out"), "{read}");
    }
}

#[test]
fn keepass_1_escapes_with_backslashes() {
    let text = r#""Account","Login Name","Password","Web Site","Comments"
"shop","bob","canary-5d1f\"\\","https://shop.example/",""
"share","","canary-5d1f\server","","two
lines, \\ and \"quotes\""
"#;
    assert_data_eq!(
        whole(text.as_bytes(), &[]),
        str![[r#"
Some("KeePass 1"): name=Account user=Login Name password=Password url=Web Site notes=Comments; left out: ; secret: 
line 2: shop
  "bob" / "canary-5d1f/"//"
  [url] https://shop.example/
line 3: share
  password: "canary-5d1f//server"
  notes: "two/nlines, // and /"quotes/""

"#]]
    );
}

#[test]
fn entities_of_lastpass_are_decoded_where_its_export_has_them() {
    let header = "url,username,password,totp,extra,name,grouping,fav\n";
    let table = |rows: &str| whole(format!("{header}{rows}").as_bytes(), &[]);
    let encoded = table("https://a.example/?b&c,bob,canary&amp;lt;&#39;,,,R&amp;D,,0\n");
    assert!(encoded.contains("R&D\n  \"bob\" / \"canary&lt;'\""), "{encoded}");
    // An export that writes `<` or `&` as they are has entities as part of a value.
    let plain = table("https://a.example/,bob,canary&amp;x,,,a,,0\n,,canary<,,,b,,0\n");
    assert!(plain.contains("\"bob\" / \"canary&amp;x\""), "{plain}");
}

#[test]
fn more_or_other_columns_are_an_unknown_table() {
    for (header, columns) in [
        ("name,url,username,password,totp", "name url username password totp"),
        (
            "name,url,username,password,note,email,folder",
            "name url username password note email folder",
        ),
        ("name,url,username,password,password", "name url username password password"),
        (
            "Group,Title,Username,Password,URL,Notes,Tags",
            "Group Title Username Password URL Notes Tags",
        ),
        ("Title;Token;Recovery code", "Title Token Recovery code"),
        ("Title;Secret", "Title Secret"),
    ] {
        let text = format!("{header}\na,b,c,canary,e\n");
        assert_eq!(whole(text.as_bytes(), &[]), format!("unknown table: {columns}"));
    }
}

#[test]
fn first_line_of_spreadsheet_names_delimiter() {
    for start in ["sep=;\r\n", "\u{feff}sep=;\n", "\"sep=;\"\n", "SEP=;\n"] {
        let text = format!("{start}name;url;username;password\na,b;;bob;canary\nx\n");
        let read = whole(text.as_bytes(), &[]);
        assert!(read.contains("line 3: a,b\n  \"bob\" / \"canary\""), "{read}");
        assert!(read.contains("line 4: BAD: it has 1 fields"), "{read}");
    }
    let odd = "sep=|\nname|url|username|password\na|||canary\n";
    assert!(whole(odd.as_bytes(), &[]).contains("line 3: a\n  \"canary\""));
}

#[test]
fn unsupported_encodings_are_named_with_fix() {
    let error = |bytes: &[u8]| match read(bytes, &[], None) {
        Err(Error::Foreign { what, remedy }) => format!("{what}: {remedy}"),
        Err(other) => other.to_string(),
        Ok(table) => table.plan().lines().pop().unwrap(),
    };
    let utf_16: Vec<u8> = "\u{feff}name,url".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(error(&utf_16).starts_with("a text in UTF-16: convert it: `iconv -f UTF-16"));
    assert!(error(b"Gr\xf6\xdfe,url\n").contains("Windows-1252"));
    assert!(error(b"name,url,username,password\na,,b\xf6b,canary\n").contains("WINDOWS-1252"));
    // UTF-8 with one bad byte is still UTF-8.
    let one = "name,url,username,password\n\u{e4},,b".as_bytes();
    assert!(!error(&[one, b"\xffb,canary\n"].concat()).contains("WINDOWS-1252"));
    assert_eq!(
        error(b"PK\x03\x04data.json"),
        "a zip archive: unpack it with `unzip FILE`, and import the file in it"
    );
}

#[test]
fn columns_that_hold_something_are_left_out_by_name_or_skipped_on_purpose() {
    let text = "Title,Secret,PIN,Empty\na,canary,1234,\n";
    let typed = ["name=Title", "value=Secret"];
    assert!(whole(text.as_bytes(), &typed).ends_with("left out: the column `PIN`\n"));
    let typed = ["name=Title", "value=Secret", "skip=PIN", "skip=Empty"];
    assert!(!whole(text.as_bytes(), &typed).contains("left out: the column"));
}

#[test]
fn named_columns_are_imported_and_other_columns_reported() {
    let text = "\u{feff}Title;Token;Owner;Team;PIN code;Valid until;;Extra\n\
        deploy;canary-5d1f;bob;core;canary-5d1f;2027-01-01;x;e\n\
        next;canary-5d1f;;;;;;\n";
    let typed = [
        "name=title",
        "value=Token",
        "meta.owner=Owner",
        "meta.team=Team",
        "expires=Valid until",
        "field.extra=Extra",
    ];
    assert_data_eq!(
        whole(text.as_bytes(), &typed),
        str![[r#"
None: name=Title value=Token meta.owner=Owner meta.team=Team expires=Valid until field.extra=Extra; left out: PIN code (no header); secret: PIN code
line 2: deploy
  value: "canary-5d1f"
  extra: "e"
  [expires] 2027-01-01T00:00:00Z
  [owner] bob
  [team] core
line 3: next
  "canary-5d1f"
left out: the column `PIN code`
left out: the column `(no header)`

"#]]
    );
    let tabs = "Title\tUser\tPassword\na,b\tbob\tcanary-5d1f\n";
    let typed = ["name=Title", "user=User", "password=Password"];
    assert_data_eq!(
        whole(tabs.as_bytes(), &typed),
        str![[r#"
None: name=Title user=User password=Password; left out: ; secret: 
line 2: a,b
  "bob" / "canary-5d1f"

"#]]
    );
}

#[test]
fn given_delimiter_overrides_detection() {
    let text = b"n,a,m,e;v\nx;canary\n";
    let typed = columns(&["name=n,a,m,e", "value=v"]);
    let table = read(&text[..], &typed, Some(Delimiter::Semicolon)).unwrap();
    assert_data_eq!(
        shown(table).unwrap(),
        str![[r#"
line 2: x
  "canary"

"#]]
    );
}

#[test]
fn broken_rows_are_reported_by_line_and_rest_is_imported() {
    let text = b"name,url,username,password\n\
        a,,,canary\n\
        too,few\n\
        too,many,fields,canary,canary\n\
        \"b\n2\",,,canary\n\
        \"c\"x,,,canary\n\
        \xff,,,canary\n\
        d,,,ca\xffnary\n\
        e,,,\n\
        a,,,canary\n\
        \"f,,,canary\n";
    assert_data_eq!(
        whole(text, &[]),
        str![[r#"
Some("Chrome or Edge"): name=name url=url user=username password=password; left out: ; secret: 
line 2: a
  "canary"
line 3: BAD: it has 2 fields, and the header row 4
line 4: BAD: it has 5 fields, and the header row 4
line 5: b 2
  "canary"
line 7: BAD: something follows a closing quote
line 8: BAD: field 1 is not UTF-8
line 9: BAD: field 4 is not UTF-8
line 10: BAD: there is nothing in it
line 11: a (2)
  "canary"
line 12: BAD: a quote is not closed: all that follows it is lost

"#]]
    );
}

#[test]
fn invalid_header_row_is_rejected_without_echoing_secrets() {
    let answers: Vec<String> = [
        (&b"github,bob,canary\n"[..], &[][..]),
        (b"github,bob,canary\n", &["name=Title", "value=Token"]),
        (b"\"canary", &[]),
        (b"\xff", &[]),
        (b"", &[]),
        (b"\xef\xbb\xbf\n\n", &[]),
        (b"a,a,b\n", &["name=a", "value=b"]),
        (b"A,a,b\n", &["name=a", "value=B"]),
        (b"a,b\n", &["name=a", "name=b"]),
        (b"a,b\n", &["name=a", "value=a"]),
        (b"a,b\n", &["value=a"]),
        (b"a,b\n", &["name=a", "url=b"]),
    ]
    .into_iter()
    .map(|(bytes, typed)| whole(bytes, typed))
    .collect();
    assert_data_eq!(
        answers.join("\n"),
        str![[r#"
unknown table: 
E13.not-of-form: this is not a CSV table: its first row has no column `Title`
E13.not-of-form: this is not a CSV table: its header row: a quote is not closed: all that follows it is lost
E13.foreign: this is a text that is not UTF-8, most likely Windows-1252
E13.not-of-form: this is not a CSV table: it is empty
E13.not-of-form: this is not a CSV table: it is empty
E13.not-of-form: this is not a CSV table: its first row has the column `a` twice
None: name=a value=b; left out: A; secret: 

E13.not-of-form: this is not a CSV table: `name` was given two columns
E13.not-of-form: this is not a CSV table: the column `a` was named twice
E13.not-of-form: this is not a CSV table: no column was named to be the secrets' name: `name=HEADER`
E13.not-of-form: this is not a CSV table: no column was named to be the secret: `value=HEADER` or `password=HEADER`
"#]]
    );
    let wide = ",".repeat(2_000);
    assert_eq!(
        whole(wide.as_bytes(), &[]),
        "E13.not-of-form: this is not a CSV table: it has more than 1000 columns"
    );
}

#[test]
fn invalid_column_argument_is_rejected_with_reason() {
    let answers: Vec<String> = ["name", "colour=x", "field.=x", "meta=x", "=x"]
        .into_iter()
        .map(|text| Column::parse(text).unwrap_err().to_string())
        .collect();
    assert_data_eq!(
        answers.join("\n"),
        str![[r#"
`name` is not ROLE=HEADER, like `name=Title`
a column is no `colour`, but one of name, folder, value, user, password, notes, totp, url, tags, favourite, created, updated, expires, skip, field.LABEL, meta.KEY
a column is no `field.`, but one of name, folder, value, user, password, notes, totp, url, tags, favourite, created, updated, expires, skip, field.LABEL, meta.KEY
a column is no `meta`, but one of name, folder, value, user, password, notes, totp, url, tags, favourite, created, updated, expires, skip, field.LABEL, meta.KEY
a column is no ``, but one of name, folder, value, user, password, notes, totp, url, tags, favourite, created, updated, expires, skip, field.LABEL, meta.KEY
"#]]
    );
}

#[test]
fn changed_csv_table_never_panics() {
    let good = "folder,favorite,type,name,notes,fields,reprompt,login_uri,login_username,login_password,login_totp\n\
        Work,1,login,GitHub,,\"PIN: canary\nkey: a: b\nsecond\r\n\",0,\"https://a.example,b\",bob,canary,\n\
        ,,note,Alarm,\"can\"\"ary\",,0,,,,\n";
    changed(good.as_bytes(), |bytes| {
        if let Ok(table) = read(bytes, &[], None) {
            table.for_each(|row| drop(row.unwrap()));
        }
    });
}
