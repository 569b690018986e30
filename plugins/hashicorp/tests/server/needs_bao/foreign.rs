//! The plugin reads secrets of the server's own client, and the client reads those of the plugin.

use keystead_plugin_api::{
    DescribeRequest, ListRemovedRequest, Map, Metadata, MetadataValue, SetMetadataRequest,
    SetRequest, Value, ValueKind, VersionsRequest, WriteMode,
};
use serde_json::{Value as Json, json};

use crate::bao::{Bao, ROOT, unique};
use crate::opened::{CANARY, Opened, name, soon, told};

/// Returns a vault in its own directory, and the directory.
fn vault(more: &[(&str, &str)]) -> (Opened, String) {
    let dir = unique("foreign");
    let url = Bao::shared().url();
    let mut pairs = vec![("address", &*url), ("token", ROOT), ("prefix", &dir)];
    pairs.extend(more);
    (Opened::new(&pairs), dir)
}

/// Returns a new mount of version 1.
fn mount_one() -> String {
    let mount = unique("foreign-one");
    let body = json!({ "type": "kv", "options": { "version": "1" } });
    Bao::shared().must("POST", &format!("sys/mounts/{mount}"), &body);
    mount
}

fn map(pairs: Vec<(&str, Value)>) -> Value {
    let mut map = Map::new();
    for (key, value) in pairs {
        map.insert(key, value);
    }
    Value::Map(map)
}

/// Fields that the client writes, and the value that the plugin reads.
fn theirs() -> Vec<(&'static str, Vec<&'static str>, Value)> {
    vec![
        ("text", vec!["value=canary-5d1f"], Value::text(CANARY)),
        ("empty", vec!["value="], Value::text("")),
        ("login", vec!["username=ann", "password=canary-5d1f"], Value::credential("ann", CANARY)),
        ("bytes", vec!["base64=AP8K"], Value::bytes(vec![0, 255, 10])),
        ("a/b c/dee*p", vec!["value=x"], Value::text("x")),
        (
            "map",
            vec!["host=db.example", "password=canary-5d1f", "port=5432"],
            map(vec![
                ("host", Value::text("db.example")),
                ("password", Value::text(CANARY)),
                ("port", Value::text("5432")),
            ]),
        ),
    ]
}

#[test]
#[ignore = "needs bao"]
fn secrets_written_by_bao_client_are_read() {
    let (mut vault, dir) = vault(&[]);
    let one = mount_one();
    let url = Bao::shared().url();
    let mut vault_one = Opened::new(&[("address", &url), ("token", ROOT), ("mount", &one)]);
    for (secret, fields, expected) in theirs() {
        let path = format!("{dir}/{secret}");
        Bao::shared().client(&[&["kv", "put", "-mount=secret", &path][..], &fields].concat());
        assert_eq!(vault.value(secret), expected, "{secret}");
        Bao::shared()
            .client(&[&["kv", "put", &format!("-mount={one}"), secret][..], &fields].concat());
        assert_eq!(vault_one.value(secret), expected, "{secret}");
    }
    let mut names: Vec<&str> = theirs().iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    assert_eq!(vault.names(1_000, None), names);
    assert_eq!(vault_one.names(1_000, None), names);
}

#[test]
#[ignore = "needs bao"]
fn large_number_is_kept_in_kv_1_and_rejected_in_kv_2() {
    let one = mount_one();
    let server = Bao::shared();
    let url = server.url();
    let mut vault_one = Opened::new(&[("address", &url), ("token", ROOT), ("mount", &one)]);
    let large = json!({ "large": 12_345_678_901_234_567_890_u64, "other": "old" });
    server.must("POST", &format!("{one}/x"), &large);
    let changed = |vault: &mut Opened| {
        let Value::Map(mut fields) = vault.value("x") else { panic!("no map") };
        fields.insert("other", Value::text("new"));
        Value::Map(fields)
    };
    let written = changed(&mut vault_one);
    vault_one.set("x", written).unwrap();
    assert_eq!(vault_one.value("x"), changed(&mut vault_one));
    let client = server.client(&["kv", "get", &format!("-mount={one}"), "-field=large", "x"]);
    assert_eq!(client.trim(), "12345678901234567890");
    let (mut vault_two, _) = vault(&[]);
    let written = changed(&mut vault_one);
    let refused = vault_two.set("x", written).unwrap_err().to_string();
    assert!(refused.contains("more digits than the server keeps"), "{refused}");
}

#[test]
#[ignore = "needs bao"]
fn written_secrets_are_read_by_bao_client() {
    let (mut vault, dir) = vault(&[]);
    let one = mount_one();
    let url = Bao::shared().url();
    let mut vault_one = Opened::new(&[("address", &url), ("token", ROOT), ("mount", &one)]);
    for (secret, value, expected) in [
        ("text", Value::text(CANARY), json!({ "value": CANARY })),
        ("bytes", Value::bytes(vec![0, 255, 10]), json!({ "base64": "AP8K" })),
        (
            "a/login",
            Value::credential("ann", CANARY),
            json!({ "username": "ann", "password": CANARY }),
        ),
        (
            "map",
            map(vec![("a", Value::text("1")), ("b", Value::credential("u", "p"))]),
            json!({ "a": "1", "b": { "username": "u", "password": "p" } }),
        ),
        (
            "order",
            map(vec![("b", Value::text("1")), ("a", Value::text("2"))]),
            json!({ "a": "2", "b": "1", "keystead.shape": "[[\"b\",\"text\"],[\"a\",\"text\"]]" }),
        ),
    ] {
        vault.set(secret, value.duplicate()).unwrap();
        let path = format!("{dir}/{secret}");
        let read = Bao::shared().client(&["kv", "get", "-format=json", "-mount=secret", &path]);
        let read: Json = serde_json::from_str(&read).unwrap();
        assert_eq!(read["data"]["data"], expected);
        vault_one.set(secret, value).unwrap();
        let mount = format!("-mount={one}");
        let read = Bao::shared().client(&["kv", "get", "-format=json", &mount, secret]);
        let read: Json = serde_json::from_str(&read).unwrap();
        assert_eq!(read["data"], expected);
    }
}

#[test]
#[ignore = "needs bao"]
fn field_patched_by_bao_client_changes_and_rest_stays() {
    let (mut vault, dir) = vault(&[]);
    vault.set("map", map(vec![("b", Value::bytes(vec![1])), ("a", Value::text("2"))])).unwrap();
    let path = format!("{dir}/map");
    Bao::shared().client(&["kv", "patch", "-mount=secret", &path, "a=new", "c=more"]);
    let expected = map(vec![
        ("b", Value::bytes(vec![1])),
        ("a", Value::text("new")),
        ("c", Value::text("more")),
    ]);
    assert_eq!(vault.value("map"), expected);
}

#[test]
#[ignore = "needs bao"]
fn metadata_round_trips_as_custom_metadata_of_bao_client() {
    let (mut vault, dir) = vault(&[]);
    let path = format!("{dir}/x");
    Bao::shared().client(&["kv", "put", "-mount=secret", &path, "value=x"]);
    Bao::shared().client(&[
        "kv",
        "metadata",
        "put",
        "-mount=secret",
        "-custom-metadata=owner=ann",
        "-custom-metadata=count=integer:3",
        &path,
    ]);
    let mut expected = Metadata::new();
    expected.insert("owner", MetadataValue::Text("ann".into())).unwrap();
    expected.insert("count", MetadataValue::Integer(3)).unwrap();
    assert_eq!(vault.get("x").unwrap().metadata.writable(), expected);

    // The reverse direction; the kind is omitted, since the client's write made it stale.
    expected.insert("owner", MetadataValue::Text("bob".into())).unwrap();
    vault.set_with("x", Value::bytes(vec![1]), Some(expected.clone()), WriteMode::Replace).unwrap();
    let read =
        Bao::shared().client(&["kv", "metadata", "get", "-format=json", "-mount=secret", &path]);
    let read: Json = serde_json::from_str(&read).unwrap();
    let custom = json!({ "owner": "bob", "count": "integer:3", "keystead.kind": "2 bytes" });
    assert_eq!(read["data"]["custom_metadata"], custom);
    let request = DescribeRequest::new(name("x"), soon());
    assert_eq!(vault.0.describe(&request).unwrap().kind, Some(ValueKind::Bytes));
    Bao::shared().client(&["kv", "put", "-mount=secret", &path, "value=y"]);
    let described = vault.0.describe(&request).unwrap();
    assert_eq!((described.kind, described.metadata.writable()), (None, expected));
}

#[test]
#[ignore = "needs bao"]
fn server_times_are_read_only_and_custom_metadata_overrides() {
    let (mut vault, dir) = vault(&[]);
    vault.set("x", Value::text("1")).unwrap();
    vault.set("x", Value::text("2")).unwrap();
    let path = format!("{dir}/x");
    let read =
        Bao::shared().client(&["kv", "metadata", "get", "-format=json", "-mount=secret", &path]);
    let read: Json = serde_json::from_str(&read).unwrap();
    let millis = |time: &Json| {
        let at: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
        MetadataValue::Timestamp(at.as_millisecond())
    };
    let created = millis(&read["data"]["created_time"]);
    let updated = millis(&read["data"]["versions"]["2"]["created_time"]);
    let request = DescribeRequest::new(name("x"), soon());
    let described = vault.0.describe(&request).unwrap().metadata;
    let listed = vault.0.list(&keystead_plugin_api::ListRequest::new(soon())).unwrap();
    assert_eq!(listed.entries[0].metadata, described);
    assert!(described.is_read_only("created") && described.is_read_only("updated"));
    let found: Vec<_> = described.iter().collect();
    assert_eq!(found, [("created", &created), ("updated", &updated)]);
    // A read of the value does not return the creation time.
    let got = vault.get("x").unwrap().metadata;
    assert_eq!(got.iter().collect::<Vec<_>>(), [("updated", &updated)]);
    assert!(got.is_read_only("updated"));

    let mut own = Metadata::new();
    own.insert("created", MetadataValue::Timestamp(0)).unwrap();
    vault.0.set_metadata(SetMetadataRequest::new(name("x"), own.clone(), soon())).unwrap();
    let described = vault.0.describe(&request).unwrap().metadata;
    assert_eq!(described.writable(), own);
    assert!(described.is_read_only("updated"));
}

#[test]
#[ignore = "needs bao"]
fn versions_are_listed_and_actions_delete_and_restore_them() {
    let (mut vault, dir) = vault(&[]);
    let path = format!("{dir}/x");
    for text in ["one", "two", "three"] {
        Bao::shared().client(&["kv", "put", "-mount=secret", &path, &format!("value={text}")]);
    }
    let request = || keystead_plugin_api::GetRequest::new(name("x"), soon());
    let versions = |vault: &mut Opened| -> Vec<String> {
        let versions = vault.0.versions(&VersionsRequest::new(name("x"), soon())).unwrap().versions;
        assert!(
            versions.iter().all(|version| version.created.is_some_and(|at| at > 1_700_000_000_000))
        );
        let readable = versions.into_iter().filter(|version| !version.unreadable);
        readable.map(|version| version.id).collect()
    };
    assert_eq!(versions(&mut vault), ["3", "2", "1"]);
    let at = |vault: &mut Opened, version: &str| {
        let mut request = request();
        request.version = Some(version.to_owned());
        vault.0.get(&request).map(|secret| secret.value)
    };
    assert_eq!(at(&mut vault, "1").unwrap(), Value::text("one"));
    assert_eq!(told(at(&mut vault, "9")), "not found: the secret has no version 9");
    assert_eq!(told(at(&mut vault, "x")), "invalid: `x` is no version's number");

    // `remove` matches the client's `delete`, which can be undone.
    vault.remove("x").unwrap();
    assert_eq!(told(vault.get("x")), "not found: its version 3 is deleted");
    assert_eq!(told(vault.remove("x")), "not found: no such secret");
    assert!(vault.names(1_000, None).is_empty());
    assert_eq!(vault.act("undelete", &[("name", "x")]).unwrap(), "version 3 of `x`: back");
    assert_eq!(vault.value("x"), Value::text("three"));

    assert_eq!(
        vault.act("delete", &[("name", "x"), ("versions", "1, 2")]).unwrap(),
        "version 1, 2 of `x`: deleted"
    );
    assert_eq!(versions(&mut vault), ["3"]);
    vault.act("undelete", &[("name", "x"), ("versions", "1")]).unwrap();
    vault.act("destroy", &[("name", "x"), ("versions", "1")]).unwrap();
    assert_eq!(versions(&mut vault), ["3"]);
    assert_eq!(
        told(vault.act("undelete", &[("name", "x"), ("versions", "7")])),
        "invalid: `x` has no version 7"
    );
    vault.act("undelete", &[("name", "x"), ("versions", "1,2")]).unwrap();
    assert_eq!(versions(&mut vault), ["3", "2"], "what is destroyed does not come back");

    assert_eq!(
        vault.act("erase", &[("name", "x")]).unwrap(),
        "`x` is removed with all of its versions"
    );
    assert_eq!(told(vault.act("undelete", &[("name", "x")])), "not found: no such secret");
    assert_eq!(
        told(vault.act("shred", &[("name", "x")])),
        "unsupported: this vault has no action `shred`"
    );
    let (status, _) = Bao::shared().root("GET", &format!("secret/metadata/{path}"), &Json::Null);
    assert_eq!(status, 404);
}

#[test]
#[ignore = "needs bao"]
fn list_removed_without_metadata_rights_is_denied() {
    let (mut vault, dir) = vault(&[]);
    vault.set("x", Value::text("1")).unwrap();
    vault.remove("x").unwrap();
    let request = ListRemovedRequest::new(soon());
    let removed = vault.0.list_removed(&request).unwrap().secrets;
    assert_eq!(removed.len(), 1);
    let rules = format!("path \"secret/metadata/{dir}/*\" {{ capabilities = [\"list\"] }}");
    let (server, policy) = (Bao::shared(), unique("lists"));
    server.must("PUT", &format!("sys/policies/acl/{policy}"), &json!({ "policy": rules }));
    let token = server.token(&[&policy], "1h");
    let url = server.url();
    let pairs = [("address", &*url), ("token", &token), ("prefix", &dir), ("kv-version", "2")];
    let answer = Opened::new(&pairs).0.list_removed(&request);
    assert_eq!(
        told(answer.map(|page| page.secrets)),
        "permission denied: the token may not read the metadata of `x`"
    );
}

#[test]
#[ignore = "needs bao"]
fn create_after_remove_starts_without_old_metadata() {
    let (mut vault, _) = vault(&[]);
    let mut about = Metadata::new();
    about.insert("owner", MetadataValue::Text("ann".into())).unwrap();
    vault.set_with("x", Value::text("1"), Some(about), WriteMode::CreateOnly).unwrap();
    assert_eq!(
        told(vault.set_with("x", Value::text("2"), None, WriteMode::CreateOnly)),
        "already exists: a secret of this name exists"
    );
    vault.remove("x").unwrap();
    assert_eq!(
        told(vault.set_with("x", Value::text("2"), None, WriteMode::Replace)),
        "not found: no such secret"
    );
    vault.set_with("x", Value::text("3"), None, WriteMode::CreateOnly).unwrap();
    let secret = vault.get("x").unwrap();
    assert_eq!((secret.value, secret.metadata.writable()), (Value::text("3"), Metadata::new()));
}

#[test]
#[ignore = "needs bao"]
fn concurrent_creates_of_secret_have_single_winner() {
    let (_, dir) = vault(&[]);
    let url = Bao::shared().url();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let (url, dir) = (&url, &dir);
                scope.spawn(move || {
                    let pairs = [("address", &**url), ("token", ROOT), ("prefix", dir)];
                    let mut vault = Opened::new(&pairs);
                    let mut set =
                        SetRequest::new(name("x"), Value::text(format!("{number}")), soon());
                    set.mode = WriteMode::CreateOnly;
                    vault.0.set(set).map_err(|error| error.kind())
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let created = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(created, 1, "{outcomes:?}");
    let exists = keystead_plugin_api::ErrorKind::AlreadyExists;
    assert!(outcomes.iter().all(|outcome| outcome.is_ok() || *outcome == Err(exists)));
}

#[test]
#[ignore = "needs bao"]
fn concurrent_writes_all_succeed_as_versions() {
    let (mut vault, dir) = vault(&[]);
    let url = Bao::shared().url();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (url, dir) = (&url, &dir);
            scope.spawn(move || {
                let mut vault = Opened::new(&[("address", url), ("token", ROOT), ("prefix", dir)]);
                vault.set("x", Value::text(format!("{number}"))).unwrap();
            });
        }
    });
    let request = VersionsRequest::new(name("x"), soon());
    assert_eq!(vault.0.versions(&request).unwrap().versions.len(), 4);
}

#[test]
#[ignore = "needs bao"]
fn listing_walks_nested_dirs_in_order_with_any_page_size() {
    let (mut vault, dir) = vault(&[]);
    let mut names =
        vec!["a", "a-b", "a/b", "a/b/c/d/e", "a.b", "b/*", "b/c", "c", "ü/x", "z/z/z/z/z/z"];
    for secret in &names {
        vault.set(secret, Value::text("x")).unwrap();
    }
    // Outside the vault's directory.
    Bao::shared().client(&["kv", "put", "-mount=secret", &format!("{dir}-other/x"), "value=x"]);
    vault.set("b/gone", Value::text("x")).unwrap();
    vault.remove("b/gone").unwrap();
    names.sort_unstable();
    for limit in [1, 2, 3, 1_000] {
        assert_eq!(vault.names(limit, None), names, "{limit}");
    }
    let some = vault.names(1_000, Some("b/*"));
    assert!(some == ["b/*", "b/c"], "{some:?}");
    // A page that this handle did not start is found by its cursor.
    for (at, after) in names.iter().enumerate() {
        let (mut fresh, mut request) =
            (self::again(&dir), keystead_plugin_api::ListRequest::new(soon()));
        request.cursor = Some((*after).to_owned());
        let page = fresh.0.list(&request).unwrap();
        let rest: Vec<_> = page.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(rest, names[at + 1..]);
    }
}

fn again(dir: &str) -> Opened {
    Opened::new(&[("address", &Bao::shared().url()), ("token", ROOT), ("prefix", dir)])
}

#[test]
#[ignore = "needs bao"]
fn vaults_with_different_tokens_stay_separate() {
    let server = Bao::shared();
    let (mine, yours) = (unique("mine"), unique("yours"));
    let tokens = [&mine, &yours].map(|dir| server.token_for("secret", dir));
    let url = server.url();
    let open = |token: &str, dir: &str| {
        Opened::new(&[("address", &url), ("token", token), ("prefix", dir)])
    };
    let mut vaults = [open(&tokens[0], &mine), open(&tokens[1], &yours)];
    for (number, vault) in vaults.iter_mut().enumerate() {
        vault.set("x", Value::text(format!("{CANARY} {number}"))).unwrap();
    }
    for (number, vault) in vaults.iter_mut().enumerate() {
        assert_eq!(vault.value("x"), Value::text(format!("{CANARY} {number}")));
        assert_eq!(vault.names(10, None), ["x"]);
    }
    // The server denies each account access to the other's directory.
    let mut crossed = open(&tokens[0], &yours);
    let denied =
        |verb: &str| format!("permission denied: the token may not {verb} `secret/data/{yours}/x`");
    assert_eq!(told(crossed.get("x")), denied("read"));
    assert_eq!(told(crossed.set("x", Value::text(CANARY))), denied("write"));
    assert_eq!(vaults[1].value("x"), Value::text(format!("{CANARY} 1")));
}

#[test]
#[ignore = "needs bao"]
fn token_without_metadata_rights_writes_values() {
    let server = Bao::shared();
    let dir = unique("narrow");
    let rules = format!(
        "path \"secret/data/{dir}/*\" {{ capabilities = [\"create\", \"read\", \"update\", \"delete\"] }}"
    );
    server.must("PUT", &format!("sys/policies/acl/{dir}"), &json!({ "policy": rules }));
    let token = server.token(&[&dir], "1h");
    let url = server.url();
    let mut vault = Opened::new(&[("address", &url), ("token", &token), ("prefix", &dir)]);
    vault.set_with("x", Value::text("1"), None, WriteMode::CreateOnly).unwrap();
    assert!(
        told(vault.set_with("x", Value::text("2"), None, WriteMode::CreateOnly))
            .starts_with("already exists")
    );
    vault.set_with("x", Value::text("3"), None, WriteMode::Replace).unwrap();
    assert!(
        told(vault.set_with("y", Value::text("3"), None, WriteMode::Replace))
            .starts_with("not found")
    );
    vault.set("x", Value::text("4")).unwrap();
    assert_eq!(vault.value("x"), Value::text("4"));
    let mut about = Metadata::new();
    about.insert("k", MetadataValue::Boolean(true)).unwrap();
    for about in [about, Metadata::new()] {
        let words = told(vault.set_with("x", Value::text("5"), Some(about), WriteMode::Upsert));
        assert!(words.starts_with("permission denied: "), "{words}");
    }
    assert_eq!(vault.value("x"), Value::text("4"), "it was refused before anything was written");
    vault.remove("x").unwrap();
    assert!(told(vault.get("x")).starts_with("not found"));
}

#[test]
#[ignore = "needs bao"]
fn listing_works_with_list_right_alone() {
    let server = Bao::shared();
    let (mut writer, dir) = vault(&[]);
    let mut about = Metadata::new();
    about.insert("owner", MetadataValue::Text("ann".into())).unwrap();
    writer.set_with("a/x", Value::text(CANARY), Some(about.clone()), WriteMode::Upsert).unwrap();
    writer.set("b", Value::text(CANARY)).unwrap();
    writer.set("gone", Value::text(CANARY)).unwrap();
    writer.remove("gone").unwrap();
    let url = server.url();
    // One request a secret, as with HashiCorp Vault; and a token that may only list names.
    for (rights, expected) in [
        ("\"list\", \"read\"", vec![("a/x", about), ("b", Metadata::new())]),
        ("\"list\"", ["a/x", "b", "gone"].map(|name| (name, Metadata::new())).into()),
    ] {
        let policy = unique("rights");
        let rules = format!("path \"secret/metadata/{dir}/*\" {{ capabilities = [{rights}] }}");
        server.must("PUT", &format!("sys/policies/acl/{policy}"), &json!({ "policy": rules }));
        let token = server.token(&["default", &policy], "1h");
        let mut vault = Opened::new(&[("address", &url), ("token", &token), ("prefix", &dir)]);
        let page = vault.0.list(&keystead_plugin_api::ListRequest::new(soon())).unwrap();
        let listed: Vec<_> = page
            .entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.metadata.writable()))
            .collect();
        assert_eq!(listed, expected, "{rights}");
    }
}

#[test]
#[ignore = "needs bao"]
fn kv_version_1_reports_versions_and_metadata_unsupported() {
    let one = mount_one();
    let mut vault =
        Opened::new(&[("address", &Bao::shared().url()), ("token", ROOT), ("mount", &one)]);
    vault.set("x", Value::text("1")).unwrap();
    let has_no =
        |what: &str| format!("unsupported: the mount `{one}` is KV version 1: it keeps no {what}");
    let request = VersionsRequest::new(name("x"), soon());
    assert_eq!(told(vault.0.versions(&request)), has_no("earlier versions"));
    assert_eq!(told(vault.act("undelete", &[("name", "x")])), has_no("versions"));
    let mut about = Metadata::new();
    about.insert("k", MetadataValue::Boolean(true)).unwrap();
    let request = SetMetadataRequest::new(name("x"), about.clone(), soon());
    assert_eq!(told(vault.0.set_metadata(request)), has_no("metadata"));
    let set = vault.set_with("x", Value::text("2"), Some(about), WriteMode::Upsert);
    assert_eq!(told(set), has_no("metadata"));
    assert_eq!(vault.value("x"), Value::text("1"));
}
