//! The vault keeps every obligation: version 2 with a token and with a password, version 1 as far
//! as it can.

use keystead_plugin_api::manifest::{Capability, Kind};
use keystead_plugin_api::testing::{Declared, Linked, Places, Subject, assert_kept, run};
use keystead_plugin_api::{
    Context, Deadline, OpenRequest, Plugin, Result, Session, Vault, VaultName,
};
use keystead_plugin_hashicorp::{Hashicorp, MANIFEST};
use serde_json::json;

use crate::bao::{Bao, ROOT, unique};
use crate::opened::parameters;

/// Obligations that are not checked for a vault that is never locked.
const WITHOUT_LOCK: [&str; 7] = [
    "no-prompt",
    "unlock-right",
    "unlock-wrong",
    "unlock-stale",
    "lock-locks",
    "locked-no-effect",
    "set-many-refused",
];

/// Obligations that are not checked for any vault of this kind.
const NEVER: [&str; 6] = [
    "set-kind",
    "unregister-keeps",
    "rename-moves",
    "rename-taken",
    "rename-missing",
    "rules-limits",
];

#[test]
#[ignore = "needs bao"]
fn kv_version_2_with_token_keeps_obligations() {
    let linked = Linked::<Hashicorp>::new(&MANIFEST)
        .parameter("address", &Bao::shared().url())
        .parameter("token", ROOT)
        .parameter("prefix", &format!("{}/{{vault}}", unique("conformance")))
        .many(1_100);
    let outcomes = linked.outcomes().unwrap();
    assert_kept(&outcomes, &[&NEVER[..], &WITHOUT_LOCK].concat());
}

#[test]
#[ignore = "needs bao"]
fn kv_version_2_with_password_keeps_obligations() {
    let (server, user) = (Bao::shared(), unique("conformer"));
    server.root("POST", "sys/auth/userpass", &json!({ "type": "userpass" }));
    let rules = json!({ "policy": "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }" });
    server.must("PUT", "sys/policies/acl/all", &rules);
    let account = json!({ "password": "canary-password", "token_policies": ["all"] });
    server.must("POST", &format!("auth/userpass/users/{user}"), &account);
    let linked = Linked::<Hashicorp>::new(&MANIFEST)
        .parameter("address", &server.url())
        .parameter("login", "userpass")
        .parameter("user", &user)
        .parameter("prefix", &format!("{}/{{vault}}", unique("conformance")))
        .answer("password", "canary-password")
        .many(20);
    assert_kept(&linked.outcomes().unwrap(), &NEVER);
}

/// A mount of version 1: the kind's manifest without the capabilities of version 2.
struct One {
    mount: String,
}

impl Subject for One {
    fn open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>> {
        let url = Bao::shared().url();
        let pairs =
            [("address", &*url), ("token", ROOT), ("mount", &self.mount), ("prefix", vault)];
        let deadline = Deadline::after(std::time::Duration::from_secs(60));
        let parameters = parameters("kv", &pairs);
        let mut request = OpenRequest::new(VaultName::parse(vault)?, "kv", parameters, deadline);
        request.session = session;
        Hashicorp::open(request, Context::silent())
    }

    fn places(&self) -> Places {
        Places::Separate
    }
}

#[test]
#[ignore = "needs bao"]
fn kv_version_1_keeps_applicable_obligations() {
    let mount = unique("one");
    let body = json!({ "type": "kv", "options": { "version": "1" } });
    Bao::shared().must("POST", &format!("sys/mounts/{mount}"), &body);
    let kind: Kind = MANIFEST.kinds[0];
    let mut declared = Declared::of(&kind);
    declared.capabilities =
        vec![Capability::Write, Capability::Concurrent, Capability::Unlock, Capability::Actions];
    declared.many = Some(1_100);
    let mut outcomes = Vec::new();
    run(&One { mount }, &declared, &mut |outcome| outcomes.push(outcome.clone())).unwrap();
    let without_version_2 = [
        "list-removed-restorable",
        "purge-for-good",
        "purge-missing",
        "remove-if-version",
        "restore-brings-back",
        "restore-missing",
        "restore-taken",
        "set-if-version",
        "set-metadata-if-version",
        "set-metadata-missing",
        "set-metadata-only",
        "set-metadata-read-only",
        "set-metadata-replaces",
        "version-missing",
        "versions-gettable",
    ];
    assert_kept(&outcomes, &[&NEVER[..], &without_version_2, &WITHOUT_LOCK].concat());
}
