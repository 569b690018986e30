//! Obligations of `test`, `unregister`, `actions` and `act`.

use std::collections::HashSet;

use super::bench::{broken, expect_error, expect_success, prepared, soon, Bench, Verdict};
use super::sample;
use crate::error::ErrorKind;
use crate::manifest::Capability;
use crate::vault::{ActionRequest, ActionsRequest, TestRequest, UnregisterRequest};

pub(super) fn test_read_only(bench: &mut Bench<'_>) -> Verdict {
    let name = match bench.declared.can(Capability::Write) {
        true => bench.standing()?.remove(0),
        false => sample::name("tested"),
    };
    let value = bench.main().peek(&name);
    let before = bench.main().entries()?;
    // What it says of the vault is the vault's business; it has its effect either way.
    let _ = bench.main().call(|vault| vault.test(&TestRequest::new(soon())));
    let after = bench.main().entries()?;
    if before != after || bench.main().peek(&name) != value {
        return broken("the same secrets before and after `test`", "others");
    }
    Ok(())
}

pub(super) fn unregister_keeps(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("unregistered");
    let mut handle = prepared(bench.open_own(None), "`open`")?;
    let value = handle.put(&name)?;
    expect_success(
        handle.call(|vault| vault.unregister(&UnregisterRequest::new(soon()))),
        "`unregister`",
    )?;
    if handle.peek(&name).as_ref() == Some(&value) {
        return Ok(());
    }
    // The handle may be of no use afterwards; the secret is there for the next one.
    let mut next = prepared(bench.open_own(None), "`open`")?;
    match next.peek(&name) {
        Some(found) if found == value => Ok(()),
        _ => broken("the vault's secrets as they were", "a secret that is gone"),
    }
}

pub(super) fn actions_named(bench: &mut Bench<'_>) -> Verdict {
    let asked = ActionsRequest::new(soon());
    let actions = expect_success(bench.main().call(|vault| vault.actions(&asked)), "`actions`")?;
    let mut seen = HashSet::new();
    for action in &actions.actions {
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if action.id.is_empty() || !action.id.bytes().all(sound) {
            let expected = "an id of lower-case letters, digits and dashes";
            return broken(expected, format!("`{}`", action.id));
        }
        if !seen.insert(&action.id) {
            return broken("each id once", format!("`{}` twice", action.id));
        }
    }
    Ok(())
}

pub(super) fn run_action_unknown(bench: &mut Bench<'_>) -> Verdict {
    let request = ActionRequest::new("keystead-conformance-unknown", Default::default(), soon());
    let answer = bench.main().call(|vault| vault.run_action(&request));
    expect_error(&answer, ErrorKind::Unsupported, "an action that it does not have")
}
