//! A vault behind a server, as a person uses it: unlocked once, used for a while, locked; and two
//! of them with two accounts.

use serde_json::{Value as Json, json};

use super::sandbox::{CANARY, Sandbox, hashicorp};
use crate::bao::{Bao, ROOT, unique};

/// Returns a sandbox with the plugin, and the password of every account in `pass.given`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::empty();
    let file = hashicorp().to_str().unwrap();
    sandbox.run("plugin install --yes", &[file]).succeeds();
    sandbox.run("plugin trust --yes --danger-in-process", &[file]).succeeds();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    sandbox
}

/// Makes an account that may use a folder of its own name alone, below a login mount of that
/// name, and registers a vault of it.
fn account(sandbox: &Sandbox, vault: &str, placement: &str) -> String {
    let (server, user) = (Bao::shared(), unique("person"));
    // A token of it is not needed, its policy is.
    server.token_for("secret", &user);
    server.must("POST", &format!("sys/auth/{user}"), &json!({ "type": "userpass" }));
    let policy = format!("secret-{user}");
    let account = json!({ "password": CANARY, "token_policies": [policy], "token_ttl": "2h" });
    server.must("POST", &format!("auth/{user}/users/ann"), &account);
    let words = format!(
        "vault register {vault} --plugin hashicorp --placement {placement} --param login=userpass \
         --param user=ann --param login-mount={user} --param prefix={user} --param address={}",
        server.url()
    );
    sandbox.run(&words, &[]).succeeds();
    user
}

#[test]
fn needs_bao_a_vault_is_unlocked_once_until_it_is_locked_or_its_token_ends() {
    let sandbox = sandbox();
    let user = account(&sandbox, "team", "isolated");
    let unlock = "vault unlock team --unlock password=file:pass.given --for 8h";
    let value = format!("{CANARY} kept");
    // The token is good for less than was asked for, and so is the session.
    let told = sandbox.run(unlock, &[]);
    told.succeeds();
    let shown = told.to_string();
    assert!(shown.contains("is unlocked for 2 hours") || shown.contains("for 1 hour"), "{shown}");
    sandbox.feed(&value, "set db/token --stdin --no-input").succeeds();
    assert_eq!(sandbox.run("-q get db/token --no-input", &[]).succeeds(), value.as_bytes());

    sandbox.run("vault lock team", &[]).succeeds();
    sandbox.run("get db/token --no-input", &[]).ends_with(4);

    sandbox.run(unlock, &[]).succeeds();
    sandbox.run("get db/token --no-input", &[]).succeeds();
    let prefix = format!("sys/leases/revoke-prefix/auth/{user}/login");
    Bao::shared().must("POST", &prefix, &Json::Null);
    sandbox.run("get db/token --no-input", &[]).ends_with(4);
    sandbox.run("agent stop", &[]).succeeds();
    // What can be undone is.
    let answer = "--unlock password=file:pass.given";
    sandbox.run(&format!("remove db/token {answer}"), &[]).succeeds();
    sandbox.run(&format!("get db/token {answer}"), &[]).ends_with(3);
    sandbox.run(&format!("vault do team undelete --param name=db/token {answer}"), &[]).succeeds();
    assert_eq!(sandbox.run(&format!("-q get db/token {answer}"), &[]).succeeds(), value.as_bytes());
}

#[test]
fn needs_bao_two_vaults_with_two_accounts_never_mix() {
    let sandbox = sandbox();
    for placement in ["isolated", "in-process"] {
        let vaults = ["mine", "yours"].map(|name| format!("{name}-{placement}"));
        let users = vaults.each_ref().map(|vault| account(&sandbox, vault, placement));
        assert_ne!(users[0], users[1]);
        let answer = "--unlock password=file:pass.given";
        for vault in &vaults {
            let set = format!("set token --stdin -V {vault} {answer}");
            sandbox.feed(format!("{CANARY} of {vault}"), &set).succeeds();
        }
        for (vault, user) in vaults.iter().zip(&users) {
            let got = sandbox.run(&format!("-q get token -V {vault} {answer}"), &[]);
            assert_eq!(got.succeeds(), format!("{CANARY} of {vault}").as_bytes());
            let path = format!("secret/data/{user}/token");
            let (_, kept) = Bao::shared().ask("GET", &path, Some(ROOT), &Json::Null);
            assert_eq!(kept["data"]["data"]["value"], format!("{CANARY} of {vault}"));
        }
        // Both at once, in one process.
        let [mine, yours] = &vaults;
        let copy = format!("copy token --from {mine} --to {yours} --as copied {answer}");
        sandbox.run(&copy, &[]).succeeds();
        let copied = sandbox.run(&format!("-q get copied -V {yours} {answer}"), &[]);
        assert_eq!(copied.succeeds(), format!("{CANARY} of {mine}").as_bytes());
        sandbox.run(&format!("get copied -V {mine} {answer}"), &[]).ends_with(3);
    }
}
