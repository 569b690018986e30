//! The wrappers of a vault forward every call of the contract. Otherwise the trait's default
//! replies, as if the vault did not support the call.

use crate::plugin_files::repository;

/// Returns the names of the functions that are defined in a text, from this line on.
fn functions(text: &str, from: &str) -> Vec<String> {
    let text = text.split_once(from).expect("it is there").1;
    let lines = text.lines().take_while(|line| *line != "}");
    let name = |line: &str| {
        let rest = line.strip_prefix("    fn ")?;
        Some(rest.split(['(', '<']).next()?.to_owned())
    };
    lines.filter_map(name).collect()
}

#[test]
fn vault_wrappers_forward_every_call() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let calls = functions(&read("plugin-api/src/vault.rs"), "pub trait Vault: Send {");
    assert!(calls.len() >= 20 && calls.contains(&"rules".to_owned()), "{calls:?}");
    for (path, from) in [
        ("plugin-api/src/abi/client.rs", "> Vault for Client<C> {"),
        ("plugin-api/src/abi/guard.rs", "> Vault for Guarded<V> {"),
        ("host/lib/src/plugin/c_abi/vault.rs", "impl Vault for CVault {"),
    ] {
        let handed_on = functions(&read(path), from);
        // The C ABI lacks calls of a later contract.
        let missing = calls.iter().filter(|call| *call != "health" && !handed_on.contains(call));
        assert_eq!(missing.collect::<Vec<_>>(), [""; 0], "{path}");
    }
}
