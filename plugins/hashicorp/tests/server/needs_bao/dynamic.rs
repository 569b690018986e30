//! Secrets that engines create: certificates by the server's own pki, users of a real database.

use keystead_plugin_api::testing::{Linked, Outcome};
use keystead_plugin_api::{ListRequest, Metadata, MetadataValue, Value};
use keystead_plugin_hashicorp::{Hashicorp, MANIFEST};
use serde_json::json;

use crate::bao::{Bao, ROOT, unique};
use crate::opened::{Opened, soon, told};

fn dynamic(mount: &str) -> Opened {
    let url = Bao::shared().url();
    let pairs = [("address", &*url), ("token", ROOT), ("mount", mount)];
    Opened::with("dynamic", &pairs, None).unwrap()
}

fn text(metadata: &Metadata, key: &str) -> String {
    match metadata.get(key) {
        Some(MetadataValue::Text(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

/// Returns the remaining lifetime of a secret in seconds.
fn left(metadata: &Metadata) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    match metadata.get("expires") {
        Some(MetadataValue::Timestamp(at)) => at / 1000 - now.as_secs() as i64,
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "needs bao"]
fn pki_role_issues_certificates() {
    let server = Bao::shared();
    let mount = unique("pki");
    server.must("POST", &format!("sys/mounts/{mount}"), &json!({ "type": "pki" }));
    let root = json!({ "common_name": "root.example", "key_type": "ec", "ttl": "700h" });
    server.must("POST", &format!("{mount}/root/generate/internal"), &root);
    let role = json!({
        "allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec",
        "ttl": "1h", "generate_lease": true,
    });
    server.must("POST", &format!("{mount}/roles/web"), &role);
    let mut vault = dynamic(&mount);
    vault.0.test(&keystead_plugin_api::TestRequest::new(soon())).unwrap();
    assert_eq!(vault.names(10, None), ["web"]);

    let secret = vault.get("web/a.example.com").unwrap();
    let Value::Map(map) = &secret.value else { panic!() };
    let part = |key: &str| match map.get(key) {
        Some(Value::Text(text)) => text.expose().to_owned(),
        _ => panic!("{key}"),
    };
    assert!(part("certificate").starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(part("private_key").starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    assert!(part("ca_chain").starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(text(&secret.metadata, "serial-number"), part("serial_number"));
    assert!(text(&secret.metadata, "lease-id").starts_with(&format!("{mount}/issue/web/")));
    assert!((3_400..=3_600).contains(&left(&secret.metadata)));
    // A repeated read returns the same secret; another handle gets its own.
    assert_eq!(vault.get("web/a.example.com").unwrap(), secret);
    assert_ne!(dynamic(&mount).get("web/a.example.com").unwrap(), secret);

    assert_eq!(told(vault.get("nosuch/a.example.com")), "not found: no such secret");
    let refused = told(vault.get("web/a.other.com"));
    let url = server.url();
    assert_eq!(
        refused,
        format!(
            "invalid: {url} refused to write `{mount}/issue/web`: common name a.other.com not \
             allowed by this role"
        )
    );
    assert!(told(vault.get("web")).contains("common_name field is required"));
}

#[test]
#[ignore = "needs bao"]
fn dynamic_vault_on_wrong_mount_or_foreign_lease_is_rejected() {
    let words =
        "invalid: the mount `secret` keeps secrets and makes none: register it as the kind `kv`";
    assert_eq!(told(dynamic("secret").get("x")), words);
    let url = Bao::shared().url();
    assert_eq!(
        told(dynamic("nosuch").0.list(&ListRequest::new(soon()))),
        format!("invalid: {url} has nothing mounted at `nosuch`")
    );
    assert_eq!(
        told(dynamic("pki").act("revoke", &[("lease-id", "database/creds/x/1")])),
        "invalid: `database/creds/x/1` is no lease of the mount `pki`"
    );
}

mod needs_redis {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::bao::{eventually, free};

    /// Starts a database with one account, until this process ends; returns its port.
    fn database() -> u16 {
        let port: u16 = free().rsplit(':').next().unwrap().parse().unwrap();
        let program = std::env::var_os("KEYSTEAD_TEST_REDIS");
        let program = program.expect("`KEYSTEAD_TEST_REDIS` names no `redis-server`");
        let words = format!("--port {port} --bind 127.0.0.1 --save '' --requirepass canary-root");
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("\"$0\" {words} & read -r _; kill $!; wait $!")])
            .arg(program)
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The child's standard input closes when this process ends, which ends the child.
        std::mem::forget(child);
        eventually("the database", || ask(port, "AUTH default canary-root").starts_with("+OK"));
        port
    }

    /// Sends a line to the database, and returns the first line of the reply.
    fn ask(port: u16, line: &str) -> String {
        use std::io::{BufRead, BufReader, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
            return String::new();
        };
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    }

    /// Mounts a database engine with a role and a static role, and returns the mount.
    fn mounted(port: u16) -> String {
        let server = Bao::shared();
        let mount = unique("database");
        server.must("POST", &format!("sys/mounts/{mount}"), &json!({ "type": "database" }));
        let config = json!({
            "plugin_name": "valkey-database-plugin", "allowed_roles": "*", "host": "127.0.0.1",
            "port": port, "username": "default", "password": "canary-root",
        });
        server.must("POST", &format!("{mount}/config/db"), &config);
        let role = json!({
            "db_name": "db", "creation_statements": "[\"+@read\"]", "default_ttl": "1h",
            "max_ttl": "24h",
        });
        server.must("POST", &format!("{mount}/roles/reader"), &role);
        mount
    }

    #[test]
    #[ignore = "needs redis and bao"]
    fn database_role_issues_renewable_credentials() {
        let port = database();
        let mount = mounted(port);
        let mut vault = dynamic(&mount);
        assert_eq!(vault.names(10, None), ["reader"]);
        let secret = vault.get("reader").unwrap();
        let Value::Credential(credential) = &secret.value else { panic!() };
        let login = format!("AUTH {} {}", credential.user, credential.password.expose());
        assert!(ask(port, &login).starts_with("+OK"), "the database knows the user");
        assert_eq!(secret.metadata.get("lease-seconds"), Some(&MetadataValue::Integer(3600)));
        assert_eq!(secret.metadata.get("renewable"), Some(&MetadataValue::Boolean(true)));
        assert!((3_400..=3_600).contains(&left(&secret.metadata)));
        let own = ["lease-id", "lease-seconds", "renewable"];
        assert!(own.iter().all(|key| secret.metadata.is_read_only(key)));
        assert_eq!(
            secret.metadata.writable().iter().map(|one| one.0).collect::<Vec<_>>(),
            ["expires"]
        );
        let lease = text(&secret.metadata, "lease-id");
        let (_, looked) =
            Bao::shared().root("PUT", "sys/leases/lookup", &json!({ "lease_id": lease }));
        assert_eq!(looked["data"]["id"], json!(lease));
        assert_eq!(vault.get("reader").unwrap(), secret);

        let renewed = vault.act("renew", &[("lease-id", &lease)]).unwrap();
        assert!(renewed.starts_with(&format!("lease `{lease}` is good for ")), "{renewed}");
        vault.act("revoke", &[("lease-id", &lease)]).unwrap();
        eventually("the user's end", || ask(port, &login).starts_with("-WRONGPASS"));
        let again = vault.get("reader").unwrap();
        assert_ne!(again.value, secret.value, "what is revoked is not handed out again");
        assert_eq!(
            told(vault.act("renew", &[("lease-id", &lease)])),
            format!("invalid: there is no lease `{lease}`")
        );
        assert_eq!(told(vault.get("nosuch")), "not found: no such secret");
    }

    #[test]
    #[ignore = "needs redis and bao"]
    fn static_role_is_listed_and_read_by_static_name() {
        let port = database();
        let mount = mounted(port);
        ask(port, "AUTH default canary-root");
        let role = json!({ "db_name": "db", "username": "default", "rotation_period": "24h" });
        Bao::shared().must("POST", &format!("{mount}/static-roles/root"), &role);
        let mut vault = dynamic(&mount);
        assert_eq!(vault.names(1, None), ["reader", "static/root"]);
        let secret = vault.get("static/root").unwrap();
        let Value::Credential(credential) = &secret.value else { panic!() };
        let login = format!("AUTH default {}", credential.password.expose());
        assert!(ask(port, &login).starts_with("+OK"));
        assert!((86_000..=86_400).contains(&left(&secret.metadata)));
    }

    #[test]
    #[ignore = "needs redis and bao"]
    fn dynamic_vault_keeps_applicable_obligations() {
        let mount = mounted(database());
        let linked = Linked::<Hashicorp>::new(&MANIFEST)
            .kind(&MANIFEST, "dynamic")
            .parameter("address", &Bao::shared().url())
            .parameter("token", ROOT)
            .parameter("mount", &mount);
        let outcomes = linked.outcomes().unwrap();
        let broken: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_broken()).collect();
        assert!(broken.is_empty(), "{broken:?}");
        let passed = outcomes.iter().filter(|one| matches!(one, Outcome::Passed { .. })).count();
        assert!(passed >= 15, "{passed}");
    }
}
