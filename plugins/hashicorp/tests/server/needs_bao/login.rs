//! All login methods, and the lifetime of tokens.

use std::io::{BufRead, BufReader, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_plugin_api::{ErrorKind, LockRequest, SecretBytes, Session, Value};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value as Json, json};

use crate::bao::{Bao, ROOT, unique};
use crate::opened::{CANARY, Opened, told};

/// Mounts a login method under a separate name, with a policy for a directory of that name.
fn method(kind: &str) -> String {
    let server = Bao::shared();
    let name = unique(&format!("login-{kind}-"));
    server.must("POST", &format!("sys/auth/{name}"), &json!({ "type": kind }));
    server.token_for("secret", &name);
    name
}

fn policy(name: &str) -> String {
    format!("secret-{name}")
}

fn text(answer: &Json, path: &str) -> String {
    answer.pointer(path).and_then(Json::as_str).unwrap_or_else(|| panic!("{path}")).to_owned()
}

/// Asserts that a vault which logs in without a prompt can write and read.
#[track_caller]
fn works(pairs: &[(&str, &str)]) {
    let mut vault = Opened::new(pairs);
    vault.set("x", Value::text(CANARY)).unwrap();
    assert_eq!(vault.value("x"), Value::text(CANARY));
    assert!(
        told(vault.0.lock(&LockRequest::new(crate::opened::soon())))
            .starts_with("unsupported: this vault is never locked")
    );
}

#[test]
#[ignore = "needs bao"]
fn approle_login_works_and_replaces_revoked_token() {
    let (server, name) = (Bao::shared(), method("approle"));
    let role = format!("auth/{name}/role/app");
    server.must("POST", &role, &json!({ "token_policies": [policy(&name)], "token_ttl": "10m" }));
    let role_id =
        text(&server.must("GET", &format!("{role}/role-id"), &Json::Null), "/data/role_id");
    let secret_id =
        text(&server.must("POST", &format!("{role}/secret-id"), &json!({})), "/data/secret_id");
    let url = server.url();
    let pairs = |secret_id: Option<&'static str>| {
        let mut pairs = vec![
            ("address", url.clone()),
            ("login", "approle".into()),
            ("login-mount", name.clone()),
            ("role", role_id.clone()),
            ("prefix", name.clone()),
        ];
        pairs.extend(secret_id.map(|id| ("secret-id", id.to_owned())));
        pairs
    };
    let opened = |pairs: &[(&str, String)]| {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, text)| (*name, &**text)).collect();
        Opened::new(&pairs)
    };
    let mut given = pairs(None);
    given.push(("secret-id", secret_id.clone()));
    let given: Vec<(&str, &str)> = given.iter().map(|(name, text)| (*name, &**text)).collect();
    works(&given);

    let words = format!(
        "permission denied: {url} refused the login at `auth/{name}`: invalid role or secret ID"
    );
    assert_eq!(told(opened(&pairs(Some(CANARY))).get("x")), words);

    // Without a secret id, the vault prompts for it.
    let mut vault = opened(&pairs(None));
    let locked = vault.get("x").unwrap_err();
    assert_eq!(told(vault.unlock(&locked, &[("secret-id", CANARY)])), words);
    vault.unlock(&locked, &[("secret-id", &secret_id)]).unwrap().unwrap();
    assert_eq!(vault.value("x"), Value::text(CANARY));

    // The vault replaces a token that was revoked meanwhile.
    let mut vault = Opened::new(&given);
    vault.get("x").unwrap();
    assert_eq!(vault.said(), ["keep"]);
    let session = vault.session().unwrap();
    assert_eq!(Opened::with("kv", &given, Some(session)).unwrap().value("x"), Value::text(CANARY));
    let mount = format!("auth/{name}/login");
    server.must("POST", &format!("sys/leases/revoke-prefix/{mount}"), &json!({}));
    assert_eq!(vault.value("x"), Value::text(CANARY));
    assert_eq!(vault.said(), ["forget", "keep"]);
}

#[test]
#[ignore = "needs bao"]
fn userpass_login_prompts_and_returns_session() {
    let (server, name) = (Bao::shared(), method("userpass"));
    let account = json!({ "password": "canary pass/word", "token_policies": [policy(&name)], "token_ttl": "10m" });
    server.must("POST", &format!("auth/{name}/users/ann"), &account);
    let url = server.url();
    let pairs =
        [("address", &*url), ("login", "userpass"), ("login-mount", &name), ("prefix", &name)];
    let mut vault = Opened::new(&pairs);
    let locked = vault.set("x", Value::text(CANARY)).unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::Locked);
    let prompts = &locked.challenge().unwrap().prompts;
    let asked: Vec<_> = prompts.iter().map(|prompt| (&*prompt.name, prompt.secret)).collect();
    assert_eq!(asked, [("user", false), ("password", true)]);
    let words = format!(
        "permission denied: {url} refused the login at `auth/{name}`: invalid username or password"
    );
    assert_eq!(told(vault.unlock(&locked, &[("user", "ann"), ("password", "canary")])), words);
    assert_eq!(
        told(vault.unlock(&locked, &[("user", "../ann"), ("password", "canary")])),
        "permission denied: that is no user's name"
    );
    assert_eq!(
        told(vault.unlock(&locked, &[("user", "ann"), ("password", "")])),
        "permission denied: the answer to `password` is empty"
    );
    let right = [("user", "ann"), ("password", "canary pass/word")];
    let session = vault.unlock(&locked, &right).unwrap().unwrap();
    let minutes = session.lifetime.as_secs() / 60;
    assert!((8..=10).contains(&minutes), "{minutes}");
    vault.set("x", Value::text(CANARY)).unwrap();

    // Another handle opens with the session alone, until the server rejects the token.
    let reopened = |session| Opened::with("kv", &pairs, session).unwrap();
    let copy = Session::new(session.secret.duplicate(), session.lifetime);
    assert_eq!(reopened(Some(copy)).value("x"), Value::text(CANARY));
    vault.0.lock(&LockRequest::new(crate::opened::soon())).unwrap();
    assert_eq!(vault.get("x").unwrap_err().kind(), ErrorKind::Locked);
    server.must("POST", &format!("sys/leases/revoke-prefix/auth/{name}/login"), &json!({}));
    assert_eq!(reopened(Some(session)).get("x").unwrap_err().kind(), ErrorKind::Locked);
    let nonsense =
        Session::new(SecretBytes::copy_of(b"canary"), std::time::Duration::from_secs(60));
    assert_eq!(reopened(Some(nonsense)).get("x").unwrap_err().kind(), ErrorKind::Locked);
}

#[test]
#[ignore = "needs bao"]
fn typed_token_unlocks_vault_and_returns_session() {
    let server = Bao::shared();
    let dir = unique("typed");
    let token = server.token_for("secret", &dir);
    let url = server.url();
    let pairs = [("address", &*url), ("prefix", &*dir)];
    let mut vault = Opened::new(&pairs);
    let locked = vault.get("x").unwrap_err();
    for (wrong, words) in [
        (CANARY, format!("permission denied: {url} does not know that token")),
        ("canary\u{1}", "permission denied: that is no token".to_owned()),
    ] {
        assert_eq!(told(vault.unlock(&locked, &[("token", wrong)])), words);
    }
    let session = vault.unlock(&locked, &[("token", &token)]).unwrap().unwrap();
    let minutes = session.lifetime.as_secs() / 60;
    assert!((55..=60).contains(&minutes), "{minutes}");
    vault.set("x", Value::text(CANARY)).unwrap();
    let mut again = Opened::with("kv", &pairs, Some(session)).unwrap();
    assert_eq!(again.value("x"), Value::text(CANARY));

    // The session of a token without an end has the longest allowed lifetime.
    let locked = Opened::new(&pairs).get("x").unwrap_err();
    let session = Opened::new(&pairs).unlock(&locked, &[("token", ROOT)]).unwrap().unwrap();
    assert_eq!(session.lifetime, keystead_plugin_api::MAX_SESSION_LIFETIME);
}

#[test]
#[ignore = "needs bao"]
fn token_file_is_read_again_after_replacement() {
    let server = Bao::shared();
    let dir = unique("file");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    let url = server.url();
    let shown = file.to_str().unwrap();
    let pairs = [("address", &*url), ("token-file", shown), ("prefix", &dir)];
    let mut vault = Opened::new(&pairs);
    assert!(told(vault.get("x")).starts_with(&format!("unavailable: cannot read {shown}: ")));
    std::fs::write(&file, " \n").unwrap();
    assert_eq!(told(vault.get("x")), format!("invalid: {shown} holds no token"));
    let first = server.token_for("secret", &dir);
    std::fs::write(&file, format!("{first}\n")).unwrap();
    vault.set("x", Value::text(CANARY)).unwrap();
    server.must("POST", "auth/token/revoke", &json!({ "token": first }));
    assert!(told(vault.get("x")).contains("does not know the token"));
    std::fs::write(&file, server.token_for("secret", &dir)).unwrap();
    assert_eq!(vault.value("x"), Value::text(CANARY));
}

#[test]
#[ignore = "needs bao"]
fn token_near_expiry_is_renewed() {
    let server = Bao::shared();
    let dir = unique("renewed");
    let token = server.token_for("secret", &dir);
    let renewal = |token: &str| {
        let looked = server.ask("GET", "auth/token/lookup-self", Some(token), &Json::Null).1;
        looked["data"]["last_renewal"].clone()
    };
    assert_eq!(renewal(&token), Json::Null);
    let url = server.url();
    // A session of a token with an hour's lifetime, of which ten seconds are left.
    let ends = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let session = |left: u128, token: &str| {
        let text = format!("keystead-hashicorp-1 {} 3600 1 {token}", ends.as_millis() + left);
        Session::new(SecretBytes::new(text.into_bytes()), std::time::Duration::from_secs(10))
    };
    let pairs = [("address", &*url), ("prefix", &*dir)];
    let open = |left| Opened::with("kv", &pairs, Some(session(left, &token))).unwrap();
    open(3_000_000).set("x", Value::text(CANARY)).unwrap();
    assert_eq!(renewal(&token), Json::Null, "there is time enough");
    let mut vault = open(10_000);
    assert_eq!(vault.value("x"), Value::text(CANARY));
    assert!(renewal(&token).is_string());
    assert_eq!(vault.said(), ["keep"], "the host gets what was renewed");
}

/// Returns a JWT with these claims, signed with this key.
fn signed(claims: &Json, key: &rcgen::KeyPair) -> String {
    let random = ring::rand::SystemRandom::new();
    let signer =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &random);
    let part = |value: &Json| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(claims));
    let signature = signer.unwrap().sign(&random, text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
#[ignore = "needs bao"]
fn jwt_login_works_and_rejects_forged_signature() {
    let (server, name) = (Bao::shared(), method("jwt"));
    let key = rcgen::KeyPair::generate().unwrap();
    let keys = json!({ "jwt_validation_pubkeys": [key.public_key_pem()] });
    server.must("POST", &format!("auth/{name}/config"), &keys);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["keystead"],
        "token_policies": [policy(&name)],
    });
    server.must("POST", &format!("auth/{name}/role/ci"), &role);
    let claims = json!({ "sub": "build", "aud": "keystead", "iat": now(), "exp": now() + 3600 });
    let jwt = signed(&claims, &key);
    let url = server.url();
    let pairs = |jwt: &'static str, more: &str| {
        vec![
            ("address", url.clone()),
            ("login", "jwt".to_owned()),
            ("login-mount", name.clone()),
            ("role", "ci".to_owned()),
            ("prefix", name.clone()),
            (jwt, more.to_owned()),
        ]
    };
    let borrowed =
        |pairs: &[(&'static str, String)]| -> Vec<(&'static str, String)> { pairs.to_vec() };
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("jwt");
    std::fs::write(&file, &jwt).unwrap();
    for pairs in [pairs("jwt", &jwt), pairs("jwt-file", file.to_str().unwrap())] {
        let pairs = borrowed(&pairs);
        let pairs: Vec<_> = pairs.iter().map(|(name, text)| (*name, &**text)).collect();
        works(&pairs);
    }
    // A JWT that is signed with another key.
    let forged = signed(&claims, &rcgen::KeyPair::generate().unwrap());
    let pairs = pairs("jwt", &forged);
    let pairs: Vec<_> = pairs.iter().map(|(name, text)| (*name, &**text)).collect();
    let words = format!(
        "permission denied: {url} refused the login at `auth/{name}`: error validating token: \
         error verifying token signature: no known key successfully validated the token signature"
    );
    assert_eq!(told(Opened::new(&pairs).get("x")), words);
}

/// The server's own login method; a few lines simulate the Kubernetes that checks service account
/// tokens.
#[test]
#[ignore = "needs bao"]
fn kubernetes_service_account_login_works() {
    let (server, name) = (Bao::shared(), method("kubernetes"));
    let reviewer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", reviewer.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in reviewer.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&mut stream);
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(given) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = given.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let review = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "status": { "authenticated": true, "audiences": ["vault"], "user": {
                    "username": "system:serviceaccount:default:app", "uid": "1",
                    "groups": ["system:serviceaccounts"],
                } },
            })
            .to_string();
            let reply = format!(
                "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{review}",
                review.len()
            );
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    // The server requires a certificate, although the connection uses no TLS.
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    let config = json!({
        "kubernetes_host": host, "disable_local_ca_jwt": true, "kubernetes_ca_cert": certificate,
    });
    server.must("POST", &format!("auth/{name}/config"), &config);
    let role = json!({
        "bound_service_account_names": ["app"], "bound_service_account_namespaces": ["default"],
        "token_policies": [policy(&name)], "audience": "vault",
    });
    server.must("POST", &format!("auth/{name}/role/app"), &role);
    let claims = json!({
        "iss": "https://kubernetes.default.svc", "aud": ["vault"], "iat": now(), "exp": now() + 3600,
        "sub": "system:serviceaccount:default:app",
        "kubernetes.io": { "namespace": "default", "serviceaccount": { "name": "app", "uid": "1" } },
    });
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    std::fs::write(&file, signed(&claims, &rcgen::KeyPair::generate().unwrap())).unwrap();
    let url = server.url();
    works(&[
        ("address", &url),
        ("login", "kubernetes"),
        ("login-mount", &name),
        ("role", "app"),
        ("prefix", &name),
        ("jwt-file", file.to_str().unwrap()),
    ]);
}
