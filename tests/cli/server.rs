//! A vault on a server, as a user uses it: unlocked once, used for a while, locked. Also two such
//! vaults with two accounts.

use std::time::{Duration, Instant};

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

/// Makes an account and a login mount of one name, and registers a vault for it. The account may
/// use only the directory of that name.
fn account(sandbox: &Sandbox, vault: &str, placement: &str) -> String {
    let (server, user) = (Bao::shared(), unique("person"));
    // This creates the policy; the token itself is not needed.
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
#[ignore = "needs bao"]
fn needs_bao_unlocked_vault_stays_open_until_lock_or_revoke() {
    let sandbox = sandbox();
    let user = account(&sandbox, "team", "isolated");
    let unlock = "vault unlock team --unlock password=file:pass.given --for 8h";
    let value = format!("{CANARY} kept");
    // The token is valid for less than the requested time, and so is the session.
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
    let kept = sandbox.run("agent status --json", &[]);
    let kept = String::from_utf8(kept.succeeds().to_vec()).unwrap();
    assert!(
        kept.contains("\"vaults\":[]"),
        "a session that the server does not take stays: {kept}"
    );
    sandbox.run("agent stop", &[]).succeeds();
    // A vault action can undo the removal.
    let answer = "--unlock password=file:pass.given";
    sandbox.run(&format!("remove db/token {answer}"), &[]).succeeds();
    sandbox.run(&format!("get db/token {answer}"), &[]).ends_with(3);
    sandbox.run(&format!("vault do team undelete --param name=db/token {answer}"), &[]).succeeds();
    assert_eq!(sandbox.run(&format!("-q get db/token {answer}"), &[]).succeeds(), value.as_bytes());
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_vaults_with_different_accounts_stay_separate() {
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
        // A copy uses both vaults in one process.
        let [mine, yours] = &vaults;
        let copy = format!("copy token --from {mine} --to {yours} --as copied {answer}");
        sandbox.run(&copy, &[]).succeeds();
        let copied = sandbox.run(&format!("-q get copied -V {yours} {answer}"), &[]);
        assert_eq!(copied.succeeds(), format!("{CANARY} of {mine}").as_bytes());
        sandbox.run(&format!("get copied -V {mine} {answer}"), &[]).ends_with(3);
    }
}

/// Makes an AppRole that may use only the directory of this name, and returns the role id. Writes
/// the secret id, valid for `uses` logins, to `{name}.given`.
fn role(sandbox: &Sandbox, name: &str, uses: u32) -> String {
    let server = Bao::shared();
    server.token_for("secret", name);
    server.must("POST", &format!("sys/auth/{name}"), &json!({ "type": "approle" }));
    let path = format!("auth/{name}/role/ci");
    let role = json!({
        "token_policies": [format!("secret-{name}")], "token_ttl": "1h", "secret_id_num_uses": uses,
    });
    server.must("POST", &path, &role);
    let secret = server.must("POST", &format!("{path}/secret-id"), &json!({}));
    let secret = secret["data"]["secret_id"].as_str().unwrap();
    std::fs::write(sandbox.here(&format!("{name}.given")), secret).unwrap();
    let id = server.must("GET", &format!("{path}/role-id"), &Json::Null);
    id["data"]["role_id"].as_str().unwrap().to_owned()
}

/// Registers a vault with such a role.
fn machine(sandbox: &Sandbox, vault: &str, name: &str, role: &str, more: &str) {
    let words = format!(
        "vault register {vault} --plugin hashicorp --param login=approle --param role={role} \
         --param login-mount={name} --param secret-id=file:{name}.given --param prefix={name} \
         --param address={} {more}",
        Bao::shared().url()
    );
    sandbox.run(&words, &[]).succeeds();
}

/// Returns how many tokens the server has issued at a login mount.
fn logins(name: &str) -> usize {
    let server = Bao::shared();
    let list = server.must("LIST", "auth/token/accessors", &Json::Null);
    let accessors = list["data"]["keys"].as_array().unwrap().clone();
    let of_it = accessors.iter().filter(|accessor| {
        let asked = json!({ "accessor": accessor });
        let (_, found) = server.ask("POST", "auth/token/lookup-accessor", Some(ROOT), &asked);
        found["data"]["path"] == format!("auth/{name}/login")
    });
    of_it.count()
}

fn put(name: &str, value: &str) {
    let body = json!({ "data": { "value": value } });
    Bao::shared().must("POST", &format!("secret/data/{name}/token"), &body);
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_100_processes_with_keep_login_log_in_once() {
    let sandbox = sandbox();
    let name = unique("hundred");
    let value = format!("{CANARY} of all");
    // The server accepts the secret id once: a second login would fail.
    let id = role(&sandbox, &name, 1);
    machine(&sandbox, "ci", &name, &id, "--keep-login");
    put(&name, &value);
    let shown = sandbox.run("vault show ci", &[]).to_string();
    assert!(shown.contains("Keep login:   yes"), "{shown}");
    let mut processes = Vec::new();
    for _ in 0..100 {
        let mut command = sandbox.command("-q get token -V ci --no-input --timeout 2m", &[]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        processes.push(command.spawn().unwrap());
    }
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.stdout.as_slice(), told.as_str()), (value.as_bytes(), ""));
    }
    assert_eq!(logins(&name), 1);
    sandbox.run("agent stop", &[]).succeeds();
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_vaults_of_same_approle_share_login_until_lock() {
    let sandbox = sandbox();
    let name = unique("shared");
    let id = role(&sandbox, &name, 0);
    put(&name, CANARY);
    for (vault, more) in [("one", "--keep-login"), ("two", "--keep-login --param kv-version=2")] {
        machine(&sandbox, vault, &name, &id, more);
        sandbox.run(&format!("get token -V {vault}"), &[]).succeeds();
    }
    assert_eq!(logins(&name), 1);
    let told = sandbox.run("vault lock two", &[]).to_string();
    assert!(told.contains("Vault `two` is locked.\nVault `one` is locked: it shares"), "{told}");
    sandbox.run("get token -V one", &[]).succeeds();
    assert_eq!(logins(&name), 2);
    sandbox.run("agent stop", &[]).succeeds();
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_different_approles_do_not_share_login() {
    for placement in ["isolated", "in-process"] {
        two_approles(placement);
    }
}

fn two_approles(placement: &str) {
    let sandbox = sandbox();
    let (mine, yours) = (unique("mine"), unique("yours"));
    let more = format!("--keep-login --placement {placement}");
    for (vault, name) in [("mine", &mine), ("yours", &yours)] {
        let id = role(&sandbox, name, 1);
        machine(&sandbox, vault, name, &id, &more);
        put(name, &format!("{CANARY} of {vault}"));
    }
    // Both vaults, each twice: the second time with the kept session.
    for _ in 0..2 {
        for vault in ["mine", "yours"] {
            let got = sandbox.run(&format!("-q get token -V {vault}"), &[]);
            assert_eq!(got.succeeds(), format!("{CANARY} of {vault}").as_bytes());
        }
    }
    assert_eq!((logins(&mine), logins(&yours)), (1, 1));
    // Another secret id behind the same reference is another account, with its own login.
    std::fs::copy(sandbox.here(&format!("{mine}.given")), sandbox.here("kept.given")).unwrap();
    std::fs::write(sandbox.here(&format!("{mine}.given")), "no secret id").unwrap();
    sandbox.run("get token -V mine", &[]).ends_with(1);
    std::fs::copy(sandbox.here("kept.given"), sandbox.here(&format!("{mine}.given"))).unwrap();
    sandbox.run("get token -V mine", &[]).succeeds();
    sandbox.run("agent stop", &[]).succeeds();
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_get_without_keep_login_keeps_no_session() {
    let sandbox = sandbox();
    let name = unique("none");
    let id = role(&sandbox, &name, 0);
    machine(&sandbox, "ci", &name, &id, "");
    put(&name, CANARY);
    for _ in 0..2 {
        sandbox.run("get token -V ci", &[]).succeeds();
    }
    assert_eq!(logins(&name), 2);
    let status = sandbox.run("agent status", &[]).to_string();
    assert!(status.contains("The agent is not running."), "{status}");
    // A user can unlock the vault for a limited time.
    let told = sandbox.run("vault unlock ci --for 5m", &[]).to_string();
    assert!(told.contains("Vault `ci` is unlocked for 5 minutes."), "{told}");
    sandbox.run("get token -V ci", &[]).succeeds();
    assert_eq!(logins(&name), 3);
    sandbox.run("agent stop", &[]).succeeds();
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_renewed_token_stays_unlocked_until_requested_end() {
    let sandbox = sandbox();
    let user = account(&sandbox, "team", "isolated");
    let short = json!({ "token_ttl": "15s", "token_max_ttl": "1h" });
    Bao::shared().must("POST", &format!("auth/{user}/users/ann"), &short);
    let unlock = "vault unlock team --unlock password=file:pass.given --for 25s";
    let began = Instant::now();
    sandbox.run(unlock, &[]).succeeds();
    let sleep_until = |seconds| {
        std::thread::sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed()));
    };
    // Less than a third of the token's time is left: this process renews and hands over the token.
    sleep_until(11);
    sandbox.run("get nothing -V team --no-input", &[]).ends_with(3);
    sleep_until(17);
    sandbox.run("get nothing -V team --no-input", &[]).ends_with(3);
    sleep_until(26);
    sandbox.run("get nothing -V team --no-input", &[]).ends_with(4);
    sandbox.run("agent stop", &[]).succeeds();
}
