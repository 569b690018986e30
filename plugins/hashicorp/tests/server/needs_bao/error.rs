//! Each refusal of the server has a distinct message that suggests a fix.

use std::net::TcpListener;

use keystead_plugin_api::{Deadline, ErrorKind, ListRequest, Value};
use serde_json::{Value as Json, json};

use crate::bao::{Bao, ROOT, eventually, free, unique};
use crate::opened::{CANARY, Opened, soon, told};

#[test]
#[ignore = "needs bao"]
fn missing_mount_and_non_kv_engine_are_distinct_errors() {
    let server = Bao::shared();
    let url = server.url();
    let open = |token: &str, mount: &str| {
        Opened::new(&[("address", &url), ("token", token), ("mount", mount)])
    };
    let words = format!("invalid: {url} has nothing mounted at `nosuch`");
    assert_eq!(told(open(ROOT, "nosuch").get("x")), words);
    assert_eq!(told(open(ROOT, "nosuch").set("x", Value::text(CANARY))), words);
    assert_eq!(
        told(open(ROOT, "nosuch").0.test(&keystead_plugin_api::TestRequest::new(soon()))),
        words
    );
    let told_version =
        [("address", &*url), ("token", ROOT), ("mount", "nosuch"), ("kv-version", "2")];
    assert_eq!(told(Opened::new(&told_version).get("x")), words);
    assert_eq!(told(Opened::new(&told_version).set("x", Value::text(CANARY))), words);
    assert_eq!(
        told(open(ROOT, "cubbyhole").get("x")),
        "invalid: the mount `cubbyhole` is of the kind `cubbyhole`, and not a KV engine"
    );
    // The server does not reveal to a token without permissions whether a mount exists.
    let nobody = server.token(&["default"], "1h");
    for mount in ["nosuch", "secret"] {
        assert_eq!(
            told(open(&nobody, mount).get("x")),
            format!(
                "permission denied: the token has no right in the mount \
                 `{mount}`, if there is one"
            )
        );
    }
}

#[test]
#[ignore = "needs bao"]
fn token_without_rights_gets_permission_denied_not_missing() {
    let server = Bao::shared();
    let dir = unique("denied");
    let token = server.token_for("secret", &dir);
    let url = server.url();
    let mut vault = Opened::new(&[("address", &url), ("token", &token), ("prefix", "elsewhere")]);
    for (answer, verb, part) in [
        (told(vault.get("x")), "read", "data"),
        (told(vault.remove("x")), "read", "data"),
        (told(vault.set("x", Value::text(CANARY))), "write", "data"),
    ] {
        let words = format!(
            "permission denied: the token may not {verb} \
             `secret/{part}/elsewhere/x`"
        );
        assert_eq!(answer, words);
    }
    assert_eq!(
        told(vault.0.list(&ListRequest::new(soon()))),
        "permission denied: the token may not list `secret/metadata/elsewhere/`"
    );
}

#[test]
#[ignore = "needs bao"]
fn expired_token_error_differs_from_missing_rights() {
    let server = Bao::shared();
    let policy = server.token_for("secret", "expiring");
    drop(policy);
    let token = server.token(&["secret-expiring"], "1s");
    eventually("the token's end", || {
        server.ask("GET", "auth/token/lookup-self", Some(&token), &Json::Null).0 == 403
    });
    let url = server.url();
    for token in [&*token, "canary-that-never-was-one"] {
        let mut vault = Opened::new(&[("address", &url), ("token", token), ("prefix", "expiring")]);
        let words = format!(
            "permission denied: {url} does not know the token: it has expired, was revoked, or \
             is none"
        );
        assert_eq!(told(vault.get("x")), words);
        assert_eq!(told(vault.set("x", Value::text(CANARY))), words);
    }
}

#[test]
#[ignore = "needs bao"]
fn sealed_or_uninitialized_server_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let at = free();
    let configuration = format!(
        "storage \"inmem\" {{}}\nlistener \"tcp\" {{ address = \"{at}\"\n tls_disable = true }}\n"
    );
    let server = Bao::configured(at, dir.path(), &configuration);
    let url = server.url();
    let ask = |token: &str| {
        let pairs = [("address", &*url), ("token", token), ("kv-version", "2")];
        told(Opened::new(&pairs).get("x"))
    };
    // A server without keys reports that it is sealed.
    let sealed = format!("unavailable: {url} is sealed: whoever keeps its keys must unseal it");
    let before = ask(ROOT);
    assert!(before == sealed || before.contains("not initialized"), "{before}");
    let (key, root) = server.init();
    assert_eq!(ask(&root), sealed);
    server.unseal(&key);
    eventually("an active server", || {
        server.ask("GET", "sys/leader", None, &Json::Null).1["is_self"] == json!(true)
            || server.ask("GET", "sys/health", None, &Json::Null).0 == 200
    });
    assert_eq!(ask(&root), format!("invalid: {url} has nothing mounted at `secret`"));
    server.ask("PUT", "sys/seal", Some(&root), &Json::Null);
    assert_eq!(ask(&root), sealed);
    let login = [
        ("address", &*url),
        ("login", "approle"),
        ("role", "r"),
        ("secret-id", CANARY),
        ("kv-version", "2"),
    ];
    assert_eq!(told(Opened::new(&login).get("x")), sealed);
}

#[test]
#[ignore = "needs bao"]
fn standby_without_leader_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let node = |name: &str| {
        let (at, cluster) = (free(), free());
        let own = dir.path().join(name);
        std::fs::create_dir_all(own.join("data")).unwrap();
        let configuration = format!(
            "storage \"raft\" {{ path = \"{}\"\n node_id = \"{name}\" }}\n\
             listener \"tcp\" {{ address = \"{at}\"\n cluster_address = \"{cluster}\"\n \
             tls_disable = true }}\n\
             api_addr = \"http://{at}\"\ncluster_addr = \"https://{cluster}\"\n",
            own.join("data").display()
        );
        Bao::configured(at, &own, &configuration)
    };
    let (first, second) = (node("one"), node("two"));
    let (key, root) = first.init();
    first.unseal(&key);
    eventually("a leader", || first.ask("GET", "sys/health", None, &Json::Null).0 == 200);
    let body = json!({ "type": "kv", "options": { "version": "1" } });
    assert_eq!(first.ask("POST", "sys/mounts/kv", Some(&root), &body).0, 204);
    first.ask("POST", "kv/x", Some(&root), &json!({ "value": "x" }));
    let join = json!({ "leader_api_addr": first.url() });
    assert_eq!(second.ask("POST", "sys/storage/raft/join", None, &join).0, 200);
    second.unseal(&key);
    eventually("a standby", || second.ask("GET", "sys/health", None, &Json::Null).0 == 429);

    // While there is a leader, a standby forwards requests to it.
    let url = second.url();
    let pairs = [("address", &*url), ("token", &root), ("mount", "kv"), ("kv-version", "1")];
    let mut vault = Opened::new(&pairs);
    eventually("a forwarded request", || vault.get("x").is_ok());
    drop(first);
    let words = format!("unavailable: {url} is a standby, and no server is active");
    // Reads still work; a write would be lost.
    eventually("a lost leader", || match vault.set("x", Value::text(CANARY)) {
        Ok(()) => false,
        failed => told(failed) == words,
    });
}

#[test]
#[ignore = "needs bao"]
fn exhausted_rate_limit_quota_is_unavailable() {
    let server = Bao::shared();
    let mount = unique("quota");
    let body = json!({ "type": "kv", "options": { "version": "1" } });
    server.must("POST", &format!("sys/mounts/{mount}"), &body);
    let limit = json!({ "rate": 0.01, "path": format!("{mount}/"), "interval": "1h" });
    server.must("POST", &format!("sys/quotas/rate-limit/{mount}"), &limit);
    let url = server.url();
    let pairs = [("address", &*url), ("token", ROOT), ("mount", &mount), ("kv-version", "1")];
    let mut vault = Opened::new(&pairs);
    let mut answer = vault.get("x");
    for _ in 0..50 {
        match &answer {
            Err(error) if error.kind() == ErrorKind::NotFound => answer = vault.get("x"),
            _ => break,
        }
    }
    let words = format!("unavailable: {url} asks for fewer requests: a quota is used up");
    assert_eq!(told(answer), words);
}

#[test]
#[ignore = "needs bao"]
fn absent_or_foreign_server_is_unavailable_not_missing_secret() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let pairs = [("address", &*url), ("token", CANARY), ("kv-version", "2")];
    assert_eq!(
        told(Opened::new(&pairs).get("x")),
        format!("unavailable: {url} refuses the connection: nothing listens there")
    );
    // A 404 from another kind of server does not mean that a secret is missing.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in other.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let reply = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 9\r\n\r\nnot found";
            let _ = std::io::Write::write_all(&mut stream, reply);
        }
    });
    let pairs = [("address", &*url), ("token", CANARY), ("kv-version", "2")];
    let mut vault = Opened::new(&pairs);
    let refused = format!("unavailable: {url} refused to read `secret/data/x`: status 404");
    assert_eq!(told(vault.get("x")), refused);
    assert_eq!(
        told(vault.0.list(&ListRequest::new(soon()))),
        format!("unavailable: {url} refused to list `secret/metadata/`: status 404")
    );
    let mut late = ListRequest::new(Deadline::after(std::time::Duration::ZERO));
    late.limit = 1;
    assert!(told(vault.0.list(&late)).starts_with("timed out: "));
}

#[test]
#[ignore = "needs bao"]
fn names_unsupported_by_server_are_rejected_locally() {
    let url = Bao::shared().url();
    let mut vault = Opened::new(&[("address", &url), ("token", ROOT), ("prefix", "names")]);
    for wrong in ["/a", "a/", "a//b", "..", "a/../../../sys/mounts", "a/./b", "a\u{202e}b"] {
        let answer = told(vault.set(wrong, Value::text(CANARY)));
        assert!(answer.starts_with("invalid: the server has no place for "), "{answer}");
        // With `NotFound`, a search continues in the next vault.
        assert!(told(vault.get(wrong)).starts_with("not found: "), "{wrong}");
    }
    let shape = {
        let mut map = keystead_plugin_api::Map::new();
        map.insert("keystead.shape", Value::text(CANARY));
        Value::Map(map)
    };
    let words = "invalid: the key `keystead.shape` is this plugin's own";
    assert_eq!(told(vault.set("shape", shape)), words);
}

#[test]
#[ignore = "needs bao"]
fn invalid_parameters_are_rejected_on_open() {
    let url = "https://vault.example:8200";
    for (pairs, words) in [
        (
            vec![("address", "vault.example")],
            "the server's address is not like `https://vault.example:8200`: a scheme, a host and perhaps a port, and nothing that logs in",
        ),
        (
            vec![("login", "magic")],
            "there is no login `magic`: token, approle, userpass, kubernetes, jwt",
        ),
        (vec![("login", "approle")], "the login `approle` needs `role`"),
        (
            vec![("login", "userpass"), ("token", CANARY)],
            "the login `userpass` has no use for `token`",
        ),
        (
            vec![("token", CANARY), ("token-file", "/x")],
            "the login `token` takes its secret from one place, not two",
        ),
        (vec![("mount", "../sys")], "`mount` is no path on the server: `../sys`"),
        (vec![("mount", "/")], "`mount` is empty"),
        (vec![("kv-version", "3")], "`kv-version` is 1 or 2"),
        (vec![("client-cert-file", "/x")], "`client-cert-file` and `client-key-file` go together"),
    ] {
        let mut all = vec![("address", url)];
        all.retain(|(name, _)| !pairs.iter().any(|(own, _)| own == name));
        all.extend(pairs);
        assert_eq!(told(Opened::with("kv", &all, None)), format!("invalid: {words}"));
    }
}
