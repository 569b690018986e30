//! The connection to the server: TLS with certificates of both sides, and namespaces.

use std::path::{Path, PathBuf};

use keystead_plugin_api::Value;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value as Json, json};

use crate::bao::{Bao, ROOT, eventually, free, unique};
use crate::opened::{CANARY, Opened, told};

/// A certificate authority, and files with the certificates that it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = dir.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    fn sign(&self, dir: &Path, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = ["pem", "key"].map(|end| dir.join(format!("signed-{name}.{end}")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        let [certificate, key] = files.map(|file| file.to_str().unwrap().to_owned());
        (certificate, key)
    }
}

#[test]
#[ignore = "needs bao"]
fn tls_uses_given_ca_and_client_certificate() {
    let home = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(home.path(), "ours"), Authority::new(home.path(), "other"));
    let (certificate, key) = ours.sign(home.path(), "localhost");
    let (client, client_key) = ours.sign(home.path(), "ann");
    let (plain, open, closed) = (free(), free(), free());
    let tls = |at: &str, more: &str| {
        format!(
            "listener \"tcp\" {{ address = \"{at}\"\n tls_cert_file = \"{certificate}\"\n \
             tls_key_file = \"{key}\"\n {more} }}\n"
        )
    };
    let wants = format!(
        "tls_require_and_verify_client_cert = true\n tls_client_ca_file = \"{}\"",
        ours.file.display()
    );
    let configuration = format!(
        "storage \"inmem\" {{}}\nlistener \"tcp\" {{ address = \"{plain}\"\n tls_disable = true }}\n{}{}",
        tls(&open, "tls_disable_client_certs = true"),
        tls(&closed, &wants)
    );
    let server = Bao::configured(plain, home.path(), &configuration);
    let (unseal, root) = server.init();
    server.unseal(&unseal);
    eventually("an active server", || server.ask("GET", "sys/health", None, &Json::Null).0 == 200);
    let body = json!({ "type": "kv", "options": { "version": "1" } });
    assert_eq!(server.ask("POST", "sys/mounts/kv", Some(&root), &body).0, 204);

    let ca = |authority: &Authority| authority.file.to_str().unwrap().to_owned();
    let url = |at: &str| format!("https://localhost:{}", at.rsplit(':').next().unwrap());
    let vault = |url: &str, more: &[(&str, &str)]| {
        let mut pairs = vec![("address", url), ("token", &*root), ("mount", "kv")];
        pairs.extend(more);
        Opened::new(&pairs)
    };
    let (open, closed) = (url(&open), url(&closed));
    let (ours, other) = (ca(&ours), ca(&other));
    let mut first = vault(&open, &[("ca-file", &ours)]);
    first.set("x", Value::text(CANARY)).unwrap();
    assert_eq!(first.value("x"), Value::text(CANARY));
    assert_eq!(
        told(vault(&open, &[("ca-file", &other)]).get("x")),
        format!(
            "unavailable: the certificate of {open} is signed by no authority that is in {other}"
        )
    );
    assert_eq!(
        told(vault(&open, &[]).get("x")),
        format!(
            "unavailable: the certificate of {open} is signed by no authority that this machine believes"
        )
    );
    let by_number = open.replace("localhost", "127.0.0.1");
    assert_eq!(
        told(vault(&by_number, &[("ca-file", &ours)]).get("x")),
        format!("unavailable: the certificate of {by_number} is for another name")
    );
    let ours_too =
        [("ca-file", &*ours), ("client-cert-file", &client), ("client-key-file", &client_key)];
    assert_eq!(vault(&closed, &ours_too).value("x"), Value::text(CANARY));
    assert_eq!(
        told(vault(&closed, &[("ca-file", &ours)]).get("x")),
        format!("unavailable: {closed} does not take the client's certificate, or wants one")
    );
}

#[test]
#[ignore = "needs bao"]
fn secrets_in_namespaces_stay_separate() {
    let server = Bao::shared();
    let (one, other) = (unique("ns"), unique("ns"));
    for name in [&one, &other] {
        server.must("POST", &format!("sys/namespaces/{name}"), &json!({}));
        let body = json!({ "type": "kv", "options": { "version": "1" } });
        server.must("POST", &format!("{name}/sys/mounts/team"), &body);
    }
    let url = server.url();
    let open = |namespace: &str| {
        Opened::new(&[
            ("address", &url),
            ("token", ROOT),
            ("mount", "team"),
            ("namespace", namespace),
        ])
    };
    open(&one).set("x", Value::text(CANARY)).unwrap();
    assert_eq!(open(&one).value("x"), Value::text(CANARY));
    assert!(told(open(&other).get("x")).starts_with("not found"));
    let (_, read) = server.root("GET", &format!("{one}/team/x"), &Json::Null);
    assert_eq!(read["data"]["value"], CANARY);
    assert_eq!(told(open("nosuch").get("x")), format!("invalid: {url} has no such namespace"));
}
