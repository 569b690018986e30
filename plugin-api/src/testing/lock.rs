//! Obligations of vaults that may be locked.

use std::collections::BTreeSet;

use super::bench::{
    answer_of, broken, elsewhere, expect_error, expect_success, prepared, soon, Bench, Fault,
    Handle, Verdict,
};
use super::sample;
use crate::challenge::{Challenge, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Capability;
use crate::name::SecretName;
use crate::plugin::{MAX_SESSION_BYTES, MAX_SESSION_LIFETIME};
use crate::vault::{
    DescribeRequest, GetManyRequest, GetRequest, ListRequest, LockRequest, Page, RemoveRequest,
    SetManyRequest, SetMetadataRequest, SetRequest, UnlockRequest, Vault, VersionsRequest,
};

pub(super) fn no_prompt(bench: &mut Bench<'_>) -> Verdict {
    let locked = match &bench.first_open().locked {
        Some(locked) => locked,
        None => return elsewhere("the vault is not locked, and what it asks others is not seen"),
    };
    if !bench.declared.can(Capability::Unlock) {
        return broken("no `locked` from a vault without `unlock`", "`locked`");
    }
    let (prompts, waits) = match locked.challenge() {
        Some(challenge) => (&challenge.prompts, challenge.wait != Wait::None),
        None => return broken("a challenge with `locked`", "none"),
    };
    if prompts.is_empty() && !waits || prompts.len() > Challenge::MAX_PROMPTS {
        let expected = format!("1 to {} prompts with `locked`, or a wait", Challenge::MAX_PROMPTS);
        return broken(expected, prompts.len().to_string());
    }
    let names: BTreeSet<&str> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    if names.len() < prompts.len() || names.contains("") {
        return broken("prompts that each have a name of their own", format!("{names:?}"));
    }
    Ok(())
}

pub(super) fn unlock_right(bench: &mut Bench<'_>) -> Verdict {
    bench.needs_lock()?;
    let (mut handle, locked) = open_locked(bench)?;
    // One that another check's handle handed over is not this one's.
    drop(bench.kept_session());
    match handle.unlock(&locked) {
        Ok(()) => {}
        Err(error) if bench.declared.answers.is_empty() => return elsewhere(error.to_string()),
        Err(error) => {
            return broken("success from right answers", answer_of::<()>(&Err(error)));
        }
    };
    expect_success(list(&mut handle), "`list` after right answers")?;
    let session = match bench.kept_session() {
        Some(session) => session,
        None => return Ok(()),
    };
    if session.secret.len() > MAX_SESSION_BYTES {
        let expected = format!("a session of at most {MAX_SESSION_BYTES} bytes");
        return broken(expected, format!("{} bytes", session.secret.len()));
    }
    if session.lifetime.is_zero() || session.lifetime > MAX_SESSION_LIFETIME {
        let found = format!("{} s", session.lifetime.as_secs());
        return broken("a session that lives for up to a day", found);
    }
    let mut reopened = expect_success(bench.open_own(Some(session)), "`open` with a session")?;
    expect_success(list(&mut reopened), "`list` after `open` with a session")?;
    Ok(())
}

pub(super) fn unlock_wrong(bench: &mut Bench<'_>) -> Verdict {
    bench.needs_lock()?;
    let (mut handle, locked) = open_locked(bench)?;
    let wrong = |_: &str| format!("{} that is wrong", sample::CANARY);
    let request = prepared(handle.answers(&locked, wrong), "answering")?;
    let answer = handle.ask(|vault| vault.unlock(&request));
    expect_error(&answer, ErrorKind::PermissionDenied, "wrong answers")?;
    expect_error(&list(&mut handle), ErrorKind::Locked, "`list` after wrong answers")
}

pub(super) fn unlock_stale(bench: &mut Bench<'_>) -> Verdict {
    bench.needs_lock()?;
    let (mut handle, locked) = open_locked(bench)?;
    let right = prepared(handle.answers(&locked, str::to_owned), "answering")?;
    let request = UnlockRequest::new("keystead-conformance-stale", right.answers, soon());
    let answer = handle.ask(|vault| vault.unlock(&request));
    expect_error(&answer, ErrorKind::Invalid, "a challenge that it did not give")?;
    expect_error(&list(&mut handle), ErrorKind::Locked, "`list` after such a challenge")
}

pub(super) fn lock_locks(bench: &mut Bench<'_>) -> Verdict {
    bench.needs_lock()?;
    let (mut handle, locked) = open_locked(bench)?;
    prepared(handle.unlock(&locked), "`unlock`")?;
    let (name, other) = (sample::name("locked"), sample::name("locked-many"));
    let writable = bench.declared.can(Capability::Write);
    if writable {
        handle.put(&name)?;
        handle.will_write(&other);
    }
    for call in ["`lock`", "a second `lock`"] {
        expect_success(handle.ask(|vault| vault.lock(&LockRequest::new(soon()))), call)?;
    }

    let request = GetRequest::new(name.clone(), soon());
    let describe = DescribeRequest::new(name.clone(), soon());
    let versions = VersionsRequest::new(name.clone(), soon());
    let many = GetManyRequest::new(vec![request.clone()]);
    let mut answers = vec![
        ("`get`", handle.ask(|vault| vault.get(&request).map(drop))),
        ("`list`", list(&mut handle).map(drop)),
        ("`describe`", handle.ask(|vault| vault.describe(&describe).map(drop))),
        (
            "`get_many`",
            handle.ask(|vault| vault.get_many(&many).and_then(|many| first(many.results))),
        ),
    ];
    if writable {
        let set = SetRequest::new(name, sample::plain(bench.declared, "locked"), soon());
        answers.push(("`set`", handle.ask(|vault| vault.set(set).map(drop))));
        let set = SetRequest::new(other, sample::plain(bench.declared, "locked"), soon());
        let many = SetManyRequest::new(vec![set]);
        let set = handle.ask(|vault| vault.set_many(many).and_then(|many| first(many.results)));
        answers.push(("`set_many`", set));
        let remove = RemoveRequest::new(request.name.clone(), soon());
        answers.push(("`remove`", handle.ask(|vault| vault.remove(&remove).map(drop))));
    }
    if bench.declared.can(Capability::Metadata) {
        let metadata = sample::metadata();
        let set = SetMetadataRequest::new(request.name.clone(), metadata, soon());
        let answer = handle.ask(|vault| vault.set_metadata(set).map(drop));
        answers.push(("`set_metadata`", answer));
    }
    if bench.declared.can(Capability::Versions) {
        answers.push(("`versions`", handle.ask(|vault| vault.versions(&versions).map(drop))));
    }
    for (call, answer) in answers {
        expect_error(&answer, ErrorKind::Locked, &format!("{call} after `lock`"))?;
    }
    Ok(())
}

/// Returns what became of the first, and only, of several secrets.
fn first<T>(results: Vec<Result<T>>) -> Result<()> {
    results.into_iter().next().map_or(Ok(()), |result| result.map(drop))
}

pub(super) fn locked_no_effect(bench: &mut Bench<'_>) -> Verdict {
    bench.needs_lock()?;
    let (mut handle, locked) = open_locked(bench)?;
    prepared(handle.unlock(&locked), "`unlock`")?;
    let kept = sample::name("kept");
    let value = handle.put(&kept)?;
    prepared(handle.ask(|vault| vault.lock(&LockRequest::new(soon()))), "`lock`")?;

    let new = sample::name("new");
    handle.will_write(&new);
    let other = || sample::plain(bench.declared, "other");
    let remove = RemoveRequest::new(kept.clone(), soon());
    let write = |name: &SecretName| SetRequest::new(name.clone(), other(), soon());
    let mut answers = vec![
        handle.ask(|vault| vault.set(write(&new)).map(drop)),
        handle.ask(|vault| vault.set(write(&kept)).map(drop)),
        handle.ask(|vault| vault.remove(&remove).map(drop)),
    ];
    if bench.declared.can(Capability::Metadata) {
        let set = SetMetadataRequest::new(kept.clone(), sample::metadata(), soon());
        answers.push(handle.ask(|vault| vault.set_metadata(set).map(drop)));
    }
    let is_locked =
        |answer: &Result<()>| matches!(answer, Err(error) if error.kind() == ErrorKind::Locked);
    if !answers.iter().all(is_locked) {
        return elsewhere("a call after `lock` was not answered with `locked`: see lock-locks");
    }
    match handle.get(&kept) {
        Ok(secret) if secret.value == value && secret.metadata.writable().is_empty() => {}
        Ok(_) => return broken("the secret as it was", "another value or metadata"),
        Err(error) => return broken("the secret as it was", answer_of::<()>(&Err(error))),
    }
    match handle.peek(&new) {
        None => Ok(()),
        Some(_) => broken("no secret that was set while locked", "it is there"),
    }
}

/// Opens one more handle and asks it something; it must be locked as the first one was.
pub(super) fn open_locked<'a>(bench: &mut Bench<'a>) -> Result<(Handle<'a>, Error), Fault> {
    let mut handle = prepared(bench.open_own(None), "`open`")?;
    match list(&mut handle) {
        Err(error) if error.kind() == ErrorKind::Locked => Ok((handle, error)),
        _ => elsewhere("the vault was not locked when it was opened once more"),
    }
}

fn list(handle: &mut Handle<'_>) -> Result<Page> {
    handle.ask(|vault: &mut dyn Vault| vault.list(&ListRequest::new(soon())))
}
