//! Finds the command that the user means by another program's word or a synonym. The result is only
//! a tip: Keystead never runs a command that was not named.

/// Commands, each with the words after `keystead` that mean it, in lower case.
const COMMANDS: [(&str, &[&str]); 21] = [
    ("keystead move OLD NEW", &["rename", "ren"]),
    (
        "keystead remove NAME",
        &[
            "delete",
            "del",
            "erase",
            "unset",
            "item delete",
            "document delete",
            "kv delete",
            "secret delete",
            "remove-secret",
        ],
    ),
    (
        "keystead set NAME",
        &[
            "insert",
            "add",
            "put",
            "create",
            "write",
            "store",
            "save",
            "edit",
            "update",
            "generate",
            "item create",
            "item edit",
            "document create",
            "document edit",
            "kv put",
            "kv patch",
            "secret set",
            "secret create",
            "set-secret",
            "new-secret",
        ],
    ),
    (
        "keystead get NAME",
        &[
            "read",
            "print",
            "cat",
            "reveal",
            "fetch",
            "lookup",
            "clip",
            "otp",
            "inject",
            "run",
            "item get",
            "item",
            "document get",
            "document",
            "kv get",
            "kv",
            "secret get",
            "secret",
            "get-secret",
        ],
    ),
    (
        "keystead list",
        &[
            "find",
            "grep",
            "search",
            "dir",
            "item list",
            "document list",
            "kv list",
            "secret list",
            "get-secretinfo",
        ],
    ),
    ("keystead meta set NAME K=V", &["tag", "describe", "set-secretinfo"]),
    (
        "keystead vault unlock VAULT",
        &[
            "unlock",
            "open",
            "signin",
            "login",
            "vault open",
            "vault login",
            "unlock-secretvault",
            "unlock-secretstore",
        ],
    ),
    (
        "keystead vault lock VAULT",
        &["lock", "close", "signout", "logout", "vault close", "vault logout"],
    ),
    (
        "keystead vault register NAME --plugin PLUGIN",
        &[
            "init",
            "register",
            "mount",
            "vault add",
            "vault create",
            "vault new",
            "vault init",
            "vault install",
            "register-secretvault",
        ],
    ),
    (
        "keystead vault unregister VAULT",
        &[
            "unregister",
            "unmount",
            "vault rm",
            "vault remove",
            "vault delete",
            "vault del",
            "unregister-secretvault",
        ],
    ),
    ("keystead vault list", &["vaults", "vault ls-all", "get-secretvault"]),
    (
        "keystead vault show VAULT",
        &["vault get", "vault info", "vault describe", "get-secretstoreconfiguration"],
    ),
    (
        "keystead vault default VAULT",
        &["default", "use", "vault use", "vault select", "set-secretvaultdefault"],
    ),
    ("keystead vault test VAULT", &["test", "vault status", "vault check", "test-secretvault"]),
    ("keystead vault grant VAULT", &["grant", "allow", "vault allow", "vault permit"]),
    (
        "keystead vault do VAULT",
        &[
            "do",
            "vault run",
            "vault action",
            "set-secretstorepassword",
            "set-secretstoreconfiguration",
            "reset-secretstore",
        ],
    ),
    (
        "keystead plugin install FILE",
        &["install", "plugin add", "plugin register", "plugin enable"],
    ),
    (
        "keystead plugin remove PLUGIN",
        &["uninstall", "plugin delete", "plugin uninstall", "plugin unregister", "plugin disable"],
    ),
    ("keystead plugin list", &["plugins"]),
    ("keystead agent status", &["status", "whoami"]),
    ("keystead --version", &["version"]),
];

/// Returns the command for a word that is not a command, after words that are commands; `next` is
/// the word that follows.
pub(crate) fn meant(before: &[&str], given: &str, next: Option<&str>) -> Option<&'static str> {
    let given = before.iter().chain([&given]).copied().collect::<Vec<_>>().join(" ");
    let given = given.to_lowercase();
    let longer = next.map(|next| format!("{given} {}", next.to_lowercase()));
    let find = |words: &str| {
        COMMANDS.iter().find(|(_, known)| known.contains(&words)).map(|(command, _)| *command)
    };
    longer.and_then(|longer| find(&longer)).or_else(|| find(&given))
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;
    use crate::cli;

    fn leads_to_command(tree: &Command, words: &str) -> bool {
        let mut command = Some(tree);
        for word in words.split(' ') {
            command = command.and_then(|command| command.find_subcommand(word));
        }
        command.is_some()
    }

    #[test]
    fn every_intent_tip_names_a_real_command() {
        let tree = cli::tree();
        for (command, words) in COMMANDS {
            let parts = command.split(' ').skip(1);
            let path: Vec<&str> =
                parts.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect();
            let is_option = path.is_empty() && command == "keystead --version";
            assert!(is_option || leads_to_command(&tree, &path.join(" ")), "{command}");
            for word in words {
                assert!(!leads_to_command(&tree, word), "`{word}` is a command");
                assert_eq!(meant(&[], word, None), Some(command), "{word}");
            }
        }
    }

    #[test]
    fn foreign_command_is_recognised_by_next_word() {
        assert_eq!(meant(&[], "item", Some("create")), Some("keystead set NAME"));
        assert_eq!(meant(&[], "ITEM", Some("x")), Some("keystead get NAME"));
        assert_eq!(meant(&["vault"], "rm", Some("work")), Some("keystead vault unregister VAULT"));
        assert_eq!(meant(&["plugin"], "add", None), Some("keystead plugin install FILE"));
        assert_eq!(meant(&["plugin"], "unlock", None), None);
        assert_eq!(meant(&[], "Get-Secret", Some("-Name")), Some("keystead get NAME"));
    }
}
