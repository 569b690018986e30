//! Obligations of opening, and of all calls.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::bench::{
    answer_of, broken, elsewhere, expect_error, expect_success, prepared, soon, Bench, Verdict,
    SECOND_VAULT,
};
use super::{sample, Places};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Capability;
use crate::value::ValueKind;
use crate::vault::{
    ActionRequest, ActionsRequest, Deadline, DescribeRequest, GetManyRequest, GetRequest,
    ListRemovedRequest, ListRequest, LockRequest, PurgeRequest, RenameRequest, RestoreRequest,
    SetRequest, TestRequest, UnlockRequest, Vault, VersionsRequest, WriteMode,
};

/// How much later than its deadline a call may come back: enough for a busy machine. A host that ends
/// calls waits longer, so that the suite says of a vault what the vault does.
pub const MARGIN: Duration = Duration::from_secs(5);

pub(super) fn open_no_login(bench: &mut Bench<'_>) -> Verdict {
    match &bench.first_open().refused {
        None => Ok(()),
        Some(error) => broken(
            "a vault that opens, and whose calls answer `locked` where they must",
            answer_of::<()>(&Err(error.clone())),
        ),
    }
}

pub(super) fn open_no_effect(bench: &mut Bench<'_>) -> Verdict {
    if let Some(path) = bench.first_open().created.first() {
        let found = format!("{} was made by opening", path.display());
        return broken("nothing made before the first write", found);
    }
    if bench.first_open().stays_locked.is_some() {
        return elsewhere("the vault stays locked, and what it has cannot be seen");
    }
    let before = bench.main().entries()?;
    drop(prepared(bench.open_own(None), "a second `open`")?);
    let after = bench.main().entries()?;
    if before == after {
        return Ok(());
    }
    let found = format!("{} secrets before and {} after", before.len(), after.len());
    broken("the same secrets before and after another opening", found)
}

pub(super) fn open_own_handle(bench: &mut Bench<'_>) -> Verdict {
    let mut one = prepared(bench.open_own(None), "`open`")?;
    let mut other = prepared(bench.open_own(None), "a second `open`")?;
    let list = |vault: &mut dyn Vault| vault.list(&ListRequest::new(soon()));
    if bench.needs_lock().is_ok() {
        let locked = match one.ask(list) {
            Err(error) if error.kind() == ErrorKind::Locked => error,
            other => {
                let expected = "`locked` from a handle that nobody unlocked, as from the first";
                return broken(expected, answer_of(&other));
            }
        };
        prepared(one.unlock(&locked), "`unlock`")?;
        expect_error(&other.ask(list), ErrorKind::Locked, "a handle that nobody unlocked")?;
    }
    drop(one);
    expect_success(other.call(list), "a handle while another of the same vault is closed")?;
    Ok(())
}

pub(super) fn own_handle(bench: &mut Bench<'_>) -> Verdict {
    if bench.places() == Places::PerhapsShared {
        return elsewhere("two vaults may be two doors to one place here");
    }
    let name = sample::name("own");
    bench.main().put(&name)?;
    let mut second = prepared(bench.open(SECOND_VAULT, None), "`open` of a second vault")?;
    if second.get(&name).is_ok() || second.listed(&name)?.is_some() {
        return broken("a second vault without it", "a secret that only the first was told");
    }
    Ok(())
}

pub(super) fn not_found_only(bench: &mut Bench<'_>) -> Verdict {
    let main = bench.main();
    let mut filtered = ListRequest::new(soon());
    filtered.pattern = Some(format!("{}*", sample::name("no-such-secret").as_str()));
    let mut answers = vec![
        ("`list`", main.call(|vault| vault.list(&ListRequest::new(soon())).map(drop))),
        (
            "`list` with a filter that fits nothing",
            main.call(|vault| vault.list(&filtered).map(drop)),
        ),
        (
            "`get_many` of nothing",
            main.call(|vault| vault.get_many(&GetManyRequest::new(Vec::new())).map(drop)),
        ),
        ("`test`", main.call(|vault| vault.test(&TestRequest::new(soon())).map(drop))),
        ("`actions`", main.call(|vault| vault.actions(&ActionsRequest::new(soon())).map(drop))),
    ];
    if bench.declared.can(Capability::Write) {
        let name = sample::name("not-found");
        let value = sample::plain(bench.declared, "not-found");
        answers.push(("`set` of a new secret", bench.main().set(&name, &value)));
    }
    if bench.needs_lock().is_ok() {
        let mut handle = prepared(bench.open_own(None), "`open`")?;
        let listed = handle.ask(|vault| vault.list(&ListRequest::new(soon())));
        if matches!(listed, Err(error) if error.kind() == ErrorKind::Locked) {
            let request = GetRequest::new(sample::name("no-such-secret"), soon());
            answers.push(("`get` while locked", handle.ask(|vault| vault.get(&request).map(drop))));
        }
    }
    for (call, answer) in answers {
        if matches!(&answer, Err(error) if error.kind() == ErrorKind::NotFound) {
            return broken(format!("anything but `not found` from {call}"), answer_of(&answer));
        }
    }
    Ok(())
}

pub(super) fn unsupported(bench: &mut Bench<'_>) -> Verdict {
    let declared = bench.declared;
    let name = sample::name("unsupported");
    let request = || GetRequest::new(name.clone(), soon());
    let check = |result: &Result<()>, capability: Capability, call: &str| {
        let call = format!("{call}, without `{}`", capability.as_str());
        expect_error(result, ErrorKind::Unsupported, &call)
    };
    let mut checked = 0;

    if declared.can(Capability::Write) {
        bench.main().put(&name)?;
    } else {
        checked += 1;
        let value = sample::plain(declared, "unsupported");
        let written = bench.main().set(&name, &value);
        check(&written, Capability::Write, "`set`")?;
        check(&bench.main().remove(&name), Capability::Write, "`remove`")?;
        if bench.main().peek(&name).is_some() {
            return broken("nothing written", "the secret that was refused");
        }
    }
    if !declared.can(Capability::Metadata) {
        checked += 1;
        let refused = bench.main().set_metadata(&name, &sample::metadata());
        check(&refused, Capability::Metadata, "`set_metadata`")?;
    }
    if !declared.can(Capability::Rename) {
        checked += 1;
        let other = sample::name("unsupported-renamed");
        let rename = RenameRequest::new(name.clone(), other, soon());
        let refused = bench.main().ask(|vault| vault.rename(&rename).map(drop));
        check(&refused, Capability::Rename, "`rename`")?;
    }
    if !declared.can(Capability::Unlock) {
        checked += 1;
        let unlock = UnlockRequest::new("keystead-conformance", Vec::new(), soon());
        let refused = bench.main().ask(|vault| vault.unlock(&unlock).map(drop));
        check(&refused, Capability::Unlock, "`unlock`")?;
        check(
            &bench.main().ask(|vault| vault.lock(&LockRequest::new(soon())).map(drop)),
            Capability::Unlock,
            "`lock`",
        )?;
    }
    type Ask<'a> = &'a dyn Fn(&mut dyn Vault) -> Result<()>;
    let removed: [(Capability, &str, Ask<'_>); 3] = [
        (Capability::ListRemoved, "`list_removed`", &|vault| {
            vault.list_removed(&ListRemovedRequest::new(soon())).map(drop)
        }),
        (Capability::Restore, "`restore`", &|vault| {
            vault.restore(&RestoreRequest::new(name.clone(), soon())).map(drop)
        }),
        (Capability::Purge, "`purge`", &|vault| {
            vault.purge(&PurgeRequest::new(name.clone(), soon())).map(drop)
        }),
    ];
    for (capability, call, ask) in removed {
        if !declared.can(capability) {
            checked += 1;
            check(&bench.main().ask(ask), capability, call)?;
        }
    }
    if !declared.can(Capability::Versions) {
        checked += 1;
        let versions = VersionsRequest::new(name.clone(), soon());
        let refused = bench.main().call(|vault| vault.versions(&versions).map(drop));
        check(&refused, Capability::Versions, "`versions`")?;
        let mut versioned = request();
        versioned.version = Some("keystead-conformance".to_owned());
        if bench.main().call(|vault| vault.get(&versioned)).is_ok() {
            let expected = "`unsupported` from `get` of a version, without `versions`";
            return broken(expected, "a value, which cannot be of that version");
        }
    }
    match checked {
        0 => elsewhere("the vault declares every capability there is"),
        _ => Ok(()),
    }
}

pub(super) fn deadline(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("deadline");
    if bench.declared.can(Capability::Write) {
        bench.main().put(&name)?;
    }
    let value = sample::plain(bench.declared, "deadline");
    // A slow vault is busy with its call when a short deadline comes, which says more than none does.
    let waits = [Duration::from_millis(1), Duration::ZERO];
    let waits = if bench.is_slow() { &waits[..1] } else { &waits };
    for &wait in waits {
        let get = GetRequest::new(name.clone(), soon());
        in_time(bench, "`get`", wait, move |vault, deadline| {
            let mut get = get;
            get.deadline = deadline;
            vault.get(&get).map(drop)
        })?;
        in_time(bench, "`list`", wait, |vault, deadline| {
            vault.list(&ListRequest::new(deadline)).map(drop)
        })?;
        let describe = DescribeRequest::new(name.clone(), soon());
        in_time(bench, "`describe`", wait, move |vault, deadline| {
            let mut describe = describe;
            describe.deadline = deadline;
            vault.describe(&describe).map(drop)
        })?;
        in_time(bench, "`test`", wait, |vault, deadline| {
            vault.test(&TestRequest::new(deadline)).map(drop)
        })?;
        if bench.declared.can(Capability::Write) {
            let (name, value) = (name.clone(), value.duplicate());
            in_time(bench, "`set`", wait, |vault, deadline| {
                vault.set(SetRequest::new(name, value, deadline)).map(drop)
            })?;
        }
    }
    Ok(())
}

/// Calls the main vault with a deadline that is as good as over, on a thread that is left
/// behind where it does not come back.
fn in_time(
    bench: &mut Bench<'_>,
    call: &'static str,
    wait: Duration,
    ask: impl FnOnce(&mut dyn Vault, Deadline) -> Result<()> + Send + 'static,
) -> Verdict {
    let mut vault = match bench.main().take() {
        Some(vault) => vault,
        None => return elsewhere("the vault did not come back from the call before"),
    };
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let answer = ask(vault.as_mut(), Deadline::after(wait));
        // Nobody waits any more where it was too late.
        let _ = send.send((vault, answer));
    });
    let (vault, answer) = match receive.recv_timeout(wait + MARGIN) {
        Ok(came_back) => came_back,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            bench.hangs();
            let found = format!("no answer {} s after it", MARGIN.as_secs());
            return broken(format!("an answer from {call} soon after its deadline"), found);
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            bench.hangs();
            return broken(format!("an answer from {call}"), "a panic");
        }
    };
    bench.main().put_back(vault);
    // What a vault has in time it may give, deadline or not.
    match bench.main().ask(|_| answer) {
        Err(error) if !in_time_kind(&error) => {
            broken(format!("`timed out` from {call}, or success"), answer_of::<()>(&Err(error)))
        }
        _ => Ok(()),
    }
}

/// Returns whether a call that had no time left may answer with this error.
fn in_time_kind(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::NotFound | ErrorKind::Locked)
}

pub(super) fn no_secret_in_error(bench: &mut Bench<'_>) -> Verdict {
    if !bench.hangs_now() && bench.declared.can(Capability::Write) && !bench.has_provoked() {
        provoke(bench)?;
    }
    let digits = |base: fn(&u8) -> String, between: &str| {
        sample::CANARY.as_bytes().iter().map(base).collect::<Vec<_>>().join(between)
    };
    let forms = [
        sample::CANARY.to_owned(),
        digits(|byte| format!("{byte:02x}"), ""),
        digits(|byte| byte.to_string(), ", "),
    ];
    let heard = bench.heard();
    // A short answer, such as a PIN, is part of many an innocent message.
    let answers = bench.declared.answers.iter().map(|answer| answer.value.expose());
    let answers: Vec<&str> = answers.filter(|answer| answer.len() >= 6).collect();
    for message in &heard {
        if forms.iter().any(|form| message.contains(form)) {
            let found = message.chars().take(200).collect::<String>();
            return broken("no secret's bytes in a message", format!("`{found}`"));
        }
        if answers.iter().any(|answer| message.contains(answer)) {
            return broken("no answer to a prompt in a message", format!("`{message}`"));
        }
    }
    Ok(())
}

/// Makes calls that fail while they hold a secret.
pub(super) fn provoke(bench: &mut Bench<'_>) -> Verdict {
    bench.note_provoked();
    let declared = bench.declared;
    let name = sample::name("message");
    let kinds = if bench.is_slow() { &ValueKind::ALL[..2] } else { ValueKind::ALL };
    for kind in kinds {
        let value = sample::of_kind(*kind, "message");
        for mode in [WriteMode::Replace, WriteMode::CreateOnly, WriteMode::CreateOnly] {
            let _ = bench.main().set_with(&name, &value, Some(&sample::metadata()), mode);
        }
    }
    let main = bench.main();
    let _ = main.set_with(&name, &sample::plain(declared, "message"), None, WriteMode::CreateOnly);
    let _ = main.remove(&name);
    let _ = main.remove(&name);
    let act = ActionRequest::new("keystead-conformance", Default::default(), soon());
    let _ = main.call(|vault| vault.run_action(&act));
    let _ = main.call(|vault| vault.test(&TestRequest::new(soon())));
    Ok(())
}
