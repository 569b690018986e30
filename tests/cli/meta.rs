//! `meta set` and `meta unset`, and the output of `show`, `list` and `get` for known keys.

use keystead::api::{Metadata, MetadataValue, SecretName, VaultName};
use keystead::metadata::{Change, MetadataEdit};
use keystead::paths::Paths;
use keystead::{Host, NonInteractive, Options, RunMode};
use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};
use crate::plugin_files;

/// Returns a moment this many days from now, as a user types it.
fn days(number: i64) -> String {
    // In the middle of a day, so that a few seconds do not change the number of days.
    let hours = jiff::SignedDuration::from_hours(number * 24 + 12);
    (jiff::Timestamp::now() + hours).to_string()
}

fn with_token() -> Sandbox {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set token --stdin --meta env=dev").succeeds();
    sandbox
}

/// Writes metadata as another program does that ignores the known keys.
fn write_odd(sandbox: &Sandbox, name: &str, entries: &[(&str, MetadataValue)]) {
    let home = sandbox.root().join("home");
    let paths = Paths {
        system_config: sandbox.root().join("etc"),
        user_config: Some(home.join(".config/keystead")),
        user_data: Some(home.join(".local/share/keystead")),
        packaged: Vec::new(),
    };
    let host = Host::new(Options::new(paths, env!("CARGO_BIN_EXE_keystead").into()));
    let mut metadata = Metadata::new();
    for (key, value) in entries {
        metadata.insert(*key, value.clone()).unwrap();
    }
    let change = Change {
        name: SecretName::parse(name).unwrap(),
        vault: Some(VaultName::parse("work").unwrap()),
        edit: MetadataEdit::Replace(metadata),
        run: RunMode::Apply,
    };
    host.change_metadata(&change, &mut NonInteractive).unwrap();
}

#[test]
fn metadata_keys_are_merged_replaced_and_removed() {
    let sandbox = with_token();
    assert_data_eq!(
        sandbox.run("meta set token owner=ann port:=5432 expires=2100-01-31 tags=prod,db", &[]),
        str![[r#"
exit code 0
--- stderr
Changed the metadata of `token` in vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token port:=5432", &[]),
        str![[r#"
exit code 0
--- stderr
The metadata of `token` in vault `work` is so already.

"#]]
    );
    assert_data_eq!(
        sandbox.run("show token", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  token
Vault: work
Kind:  text
Metadata:
  env: dev
  expires: 2100-01-31T00:00:00Z (in [..] years)
  owner: ann
  port: 5432
  tags: prod,db

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token port:=5433 --replace --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"token","vault":"work","metadata":{"port":5433},"changed":true,"missing":[],"dry_run":false}

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token a=b --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would change the metadata of `token` in vault `work`; nothing was changed

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta unset token nothing port nothing", &[]),
        str![[r#"
exit code 0
--- stderr
`token` in vault `work` has no metadata `nothing`.
Changed the metadata of `token` in vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta unset token port --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"token","vault":"work","metadata":{},"changed":false,"missing":["port"],"dry_run":false}

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token a=b", &[]),
        str![[r#"
exit code 0
--- stderr
Changed the metadata of `token` in vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta unset token --all --dry-run --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"token","vault":"work","metadata":{},"changed":true,"missing":[],"dry_run":true}

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta unset token --all -V work", &[]),
        str![[r#"
exit code 0
--- stderr
Changed the metadata of `token` in vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("show token", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  token
Vault: work
Kind:  text

"#]]
    );
    assert_eq!(sandbox.run("get -q token", &[]).succeeds(), CANARY.as_bytes());
}

#[test]
fn invalid_metadata_change_is_rejected() {
    let sandbox = with_token();
    let plain = plugin_files::plugin("in-order");
    sandbox.run("plugin install --yes", &[plain.to_str().unwrap()]).succeeds();
    sandbox.run("vault register plain --plugin in-order", &[]).succeeds();
    assert_data_eq!(
        sandbox.run("meta set a k=v -V plain", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `plain` answered: this vault keeps no metadata
Code: E12.unsupported

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set nosuch k=v", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `nosuch` in vault `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta unset nosuch k --json", &[]),
        str![[r#"
exit code 3
--- stderr
{"schema":1,"error":{"code":"E12.no-such-secret","exit":3,"message":"no secret `nosuch` in vault `work`","causes":[],"hints":["run `keystead list` to see what there is"]}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token expires=soon", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'expires=soon' for '<K=V>...': expected a time such as `2030-01-31`, `2030-01-31T18:00:00Z` or `90d`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token created:=3", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'created:=3' for '<K=V>...': `created` is always a time: `created=2030-01-31`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token description:=true", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'description:=true' for '<K=V>...': `description` is always a text: `description=TEXT`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token a=1 a=2", &[]),
        str![[r#"
exit code 2
--- stderr
Error: The metadata key `a` is given twice

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta set token", &[]),
        str![[r#"
exit code 2
--- stderr
Error: the following required arguments were not provided:
  <K=V>...

Usage: keystead meta set <NAME> <K=V>...

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta unset token", &[]),
        str![[r#"
exit code 2
--- stderr
Error: the following required arguments were not provided:
  <KEY>...

Usage: keystead meta unset <NAME> <KEY>...

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("meta unset token a --all", &[]),
        str![[r#"
exit code 2
--- stderr
Error: the argument '[KEY]...' cannot be used with '--all'

Usage: keystead meta unset <NAME> <KEY>...

For more information, try '--help'.

"#]]
    );
}

#[test]
fn list_filters_by_expiry_and_tags() {
    let sandbox = Sandbox::with_work();
    for (name, meta) in [
        ("db/old", format!("expires={}", days(-3))),
        ("db/soon", format!("expires={}", days(10))),
        ("far", format!("expires={}", days(100))),
        ("plain", "env=dev".to_owned()),
        ("tagged", "tags=prod, db".to_owned()),
    ] {
        let set = format!("set {name} --stdin --meta");
        sandbox.answer(sandbox.command(&set, &[&meta]), CANARY.as_bytes()).succeeds();
    }
    sandbox.run("meta set db/soon tags=db", &[]).succeeds();
    let names = |words: &str| {
        let lines = sandbox.run(&format!("ls -q {words}"), &[]).succeeds().to_vec();
        let lines = String::from_utf8(lines).unwrap();
        lines.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("--expiring 30d"), ["db/soon"]);
    assert_eq!(names("--expiring 2w"), ["db/soon"]);
    assert_eq!(names("--expiring 24h"), [""; 0]);
    assert_eq!(names("--expiring 200d"), ["db/soon", "far"]);
    assert_eq!(names("--expired"), ["db/old"]);
    assert_eq!(names("--expired --expiring 30d"), ["db/old", "db/soon"]);
    assert_eq!(names("--expired --expiring 200d db/* -V work"), ["db/old", "db/soon"]);
    assert_eq!(names("--tag db"), ["db/soon", "tagged"]);
    assert_eq!(names("--tag db --tag prod"), ["tagged"]);
    assert_eq!(names("--tag db --expiring 30d"), ["db/soon"]);
    assert_eq!(names("--tag DB"), [""; 0]);
    assert_data_eq!(
        sandbox.run("ls --expiring soon", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'soon' for '--expiring <TIME>': expected a whole number with its unit, such as `12h`, `30d` or `2w`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls --expiring 3y", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value '3y' for '--expiring <TIME>': expected a whole number with its unit, such as `12h`, `30d` or `2w`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls --tag a,b", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'a,b' for '--tag <TAG>': a tag has no comma; give `--tag` again

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls --tag=", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value '' for '--tag <TAG>': a tag is not empty

For more information, try '--help'.

"#]]
    );
}

#[test]
fn get_of_expired_secret_warns() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set old --stdin --meta expires=2020-01-31").succeeds();
    sandbox.feed(CANARY, "set new --stdin --meta expires=2100-01-31").succeeds();
    let old = sandbox.run("get old", &[]);
    assert_eq!(
        (old.succeeds(), &*old.stderr),
        (CANARY.as_bytes(), "Warning: `old` expired on 2020-01-31T00:00:00Z\n")
    );
    let json = sandbox.run("get old --json", &[]);
    assert_eq!(
        json.stderr,
        "{\"schema\":1,\"warning\":\"`old` expired on 2020-01-31T00:00:00Z\"}\n"
    );
    for quiet in ["get -q old", "get new", "get -q old --json"] {
        assert_eq!(sandbox.run(quiet, &[]).stderr, "", "{quiet}");
    }
    assert_data_eq!(
        sandbox.run("show old", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  old
Vault: work
Kind:  text
Metadata:
  expires: 2020-01-31T00:00:00Z (expired [..] ago)

"#]]
    );
    assert_data_eq!(
        sandbox.run("show new", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  new
Vault: work
Kind:  text
Metadata:
  expires: 2100-01-31T00:00:00Z (in [..] years)

"#]]
    );
    assert_data_eq!(
        sandbox.run("show old --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"old","vault":"work","kind":"text","metadata":{"expires":{"timestamp":"2020-01-31T00:00:00Z"}}}

"#]]
    );
    sandbox.run("meta set new", &[&format!("expires={}", days(3))]).succeeds();
    assert_data_eq!(
        sandbox.run("show new", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  new
Vault: work
Kind:  text
Metadata:
  expires: [..] (in 3 days)

"#]]
    );
}

#[test]
fn known_metadata_keys_of_wrong_kind_are_shown_unchanged() {
    let sandbox = with_token();
    let odd = [
        ("created", MetadataValue::Boolean(true)),
        ("description", MetadataValue::Integer(3)),
        ("expires", MetadataValue::Text("2020-01-31".to_owned())),
        ("tags", MetadataValue::Timestamp(0)),
        ("updated", MetadataValue::Text(String::new())),
    ];
    write_odd(&sandbox, "token", &odd);
    assert_data_eq!(
        sandbox.run("show token", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  token
Vault: work
Kind:  text
Metadata:
  created: true
  description: 3
  expires: 2020-01-31
  tags: 1970-01-01T00:00:00Z
  updated: 

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls", &[]),
        str![[r#"
exit code 0
--- stdout
token	work	text	created=true description=3 expires=2020-01-31 tags=1970-01-01T00:00:00Z updated=

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls --expired --expiring 100d", &[]),
        str![[r#"
exit code 0

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls --tag 1970-01-01T00:00:00Z", &[]),
        str![[r#"
exit code 0

"#]]
    );
    let got = sandbox.run("get token", &[]);
    assert_eq!((got.succeeds(), &*got.stderr), (CANARY.as_bytes(), ""));
    write_odd(&sandbox, "token", &[("expires", MetadataValue::Timestamp(0))]);
    assert!(sandbox.run("get token", &[]).stderr.contains("expired on 1970"));
}

#[test]
fn relative_time_is_accepted_as_metadata() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin --meta expires=90d").succeeds();
    let expires = |sandbox: &Sandbox| {
        let shown = sandbox.run("show a", &[]);
        String::from_utf8(shown.succeeds().to_vec()).unwrap()
    };
    assert!(expires(&sandbox).contains("(in 89 days)"), "{}", expires(&sandbox));
    for (time, distance) in
        [("in 30 days", "in 29 days"), ("2 years", "in 2 years"), ("12h", "in 11 hours")]
    {
        sandbox.run("meta set a", &[&format!("expires={time}")]).succeeds();
        assert!(expires(&sandbox).contains(distance), "{time}: {}", expires(&sandbox));
    }
    let listed = sandbox.run("list -q --expiring", &["in 1 day"]);
    assert!(listed.succeeds().starts_with(b"a\t"), "{listed}");
    sandbox.run("meta set a expires=90", &[]).ends_with(2);
}
