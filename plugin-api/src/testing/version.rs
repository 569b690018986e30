//! Obligations about versions: writes that go by one, what was removed, and what is gone for good.

use super::bench::{
    broken, elsewhere, expect_error, expect_success, prepared, Bench, Handle, Verdict,
};
use super::bench::{soon, Fault};
use super::pages::{Endless, Next, Pages};
use super::sample;
use crate::error::{Error, ErrorDetail, ErrorKind, Result};
use crate::manifest::Capability;
use crate::name::SecretName;
use crate::vault::{
    GetRequest, ListRemovedRequest, NameEquality, PurgeRequest, RemoveRequest, RestoreRequest,
    RulesRequest, SetMetadataRequest, SetRequest, Vault,
};

/// Breaks the obligation unless the call failed with a conflict.
fn expect_conflict<T>(result: &Result<T>, call: &str) -> Verdict {
    expect_error(result, ErrorKind::AlreadyExists, call)?;
    match result {
        Err(error) if error.detail() == Some(ErrorDetail::Conflict) => Ok(()),
        _ => broken(format!("the detail `conflict` from {call}"), "none"),
    }
}

/// Writes a secret twice, and returns the version that is no longer its, and the one that is.
fn two_versions(bench: &mut Bench<'_>, name: &SecretName) -> Result<(String, String), Fault> {
    let first = sample::plain(bench.declared, "first");
    let main = bench.main();
    prepared(main.set(name, &first), "`set`")?;
    let stale = version(main, name)?;
    main.put(name)?;
    let now = version(main, name)?;
    if stale == now {
        return broken("another version after another `set`", "the same");
    }
    Ok((stale, now))
}

/// Returns a secret's version, which get and describe are to say.
fn version(handle: &mut Handle<'_>, name: &SecretName) -> Result<String, Fault> {
    let got = prepared(handle.get(name), "`get`")?.version;
    let described = prepared(handle.describe(name), "`describe`")?.version;
    match (got, described) {
        (Some(version), Some(_)) => Ok(version),
        _ => broken("a version from `get` and from `describe`", "none"),
    }
}

/// Makes a call with a version that is no longer the secret's, with one of a secret that is not
/// there, and with the one that it has.
fn goes_by_version(
    bench: &mut Bench<'_>,
    tag: &str,
    what: &str,
    call: &dyn Fn(&mut dyn Vault, SecretName, String) -> Result<()>,
) -> Verdict {
    let (name, missing) = (sample::name(tag), sample::name(&format!("{tag}-missing")));
    let (stale, now) = two_versions(bench, &name)?;
    let main = bench.main();
    main.will_write(&missing);
    let before = main.peek(&name);
    let refused = main.call(|vault| call(vault, name.clone(), stale.clone()));
    expect_conflict(&refused, &format!("{what} with an earlier version"))?;
    if main.peek(&name) != before {
        return broken("the secret as it was after a refused call", "another or none");
    }
    let absent = main.call(|vault| call(vault, missing.clone(), now.clone()));
    expect_error(&absent, ErrorKind::NotFound, &format!("{what} with a version of nothing"))?;
    if main.peek(&missing).is_some() {
        return broken("no secret after a refused call", "one");
    }
    let done = main.call(|vault| call(vault, name.clone(), now.clone()));
    expect_success(done, &format!("{what} with the version that it has"))
}

pub(super) fn set_if_version(bench: &mut Bench<'_>) -> Verdict {
    let value = sample::plain(bench.declared, "conditional");
    goes_by_version(bench, "set-if-version", "`set`", &|vault, name, version| {
        let mut request = SetRequest::new(name, value.duplicate(), soon());
        request.if_version = Some(version);
        vault.set(request).map(drop)
    })
}

pub(super) fn remove_if_version(bench: &mut Bench<'_>) -> Verdict {
    goes_by_version(bench, "remove-if-version", "`remove`", &|vault, name, version| {
        let mut request = RemoveRequest::new(name, soon());
        request.if_version = Some(version);
        vault.remove(&request).map(drop)
    })
}

pub(super) fn set_metadata_if_version(bench: &mut Bench<'_>) -> Verdict {
    goes_by_version(bench, "set-metadata-if-version", "`set_metadata`", &|vault, name, version| {
        let mut request = SetMetadataRequest::new(name, sample::metadata(), soon());
        request.if_version = Some(version);
        vault.set_metadata(request).map(drop)
    })
}

pub(super) fn version_missing(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("version-missing");
    let main = bench.main();
    main.put(&name)?;
    let answer = main.call(|vault| {
        let mut request = GetRequest::new(name.clone(), soon());
        // Servers count, and have not come so far.
        request.version = Some("987654321".to_owned());
        vault.get(&request)
    });
    expect_error(&answer, ErrorKind::NotFound, "`get` of a version that there is not")?;
    match answer.map_err(|error| error.detail()) {
        Err(Some(ErrorDetail::NoSuchVersion)) => Ok(()),
        _ => broken("the detail `no such version`", "none"),
    }
}

/// Writes a secret and removes it.
fn removed(bench: &mut Bench<'_>, tag: &str) -> Result<SecretName, Fault> {
    let name = sample::name(tag);
    bench.main().put(&name)?;
    remove(bench.main(), &name)?;
    Ok(name)
}

/// Removes a secret, for a check that is about something else.
fn remove(handle: &mut Handle<'_>, name: &SecretName) -> Verdict {
    prepared(handle.remove(name), "`remove`")?;
    match handle.peek(name) {
        None => Ok(()),
        Some(_) => elsewhere("the secret is still there: see remove-then-missing"),
    }
}

fn restore(handle: &mut Handle<'_>, name: &SecretName) -> Result<()> {
    handle.will_write(name);
    handle.call(|vault| vault.restore(&RestoreRequest::new(name.clone(), soon()))).map(drop)
}

fn purge(handle: &mut Handle<'_>, name: &SecretName) -> Result<()> {
    handle.call(|vault| vault.purge(&PurgeRequest::new(name.clone(), soon()))).map(drop)
}

/// Says whether a removed secret is listed.
fn is_listed(handle: &mut Handle<'_>, name: &SecretName) -> Result<bool, Fault> {
    let mut request = ListRemovedRequest::new(soon());
    let mut pages = Pages::default();
    loop {
        request.deadline = soon();
        let page = prepared(handle.call(|vault| vault.list_removed(&request)), "`list_removed`")?;
        if page.secrets.iter().any(|removed| removed.name == *name) {
            return Ok(true);
        }
        match pages.next(page.secrets.len(), page.next_cursor, handle.own()) {
            Next::Page(next) => request.cursor = Some(next),
            Next::End => return Ok(false),
            Next::StandsStill => return broken("a cursor that advances", "the same again"),
            Next::Empty => return broken("a listing that advances", Endless::found()),
            Next::TooMany => return elsewhere(Endless::TooMany.why()),
        }
    }
}

pub(super) fn list_removed_restorable(bench: &mut Bench<'_>) -> Verdict {
    let name = removed(bench, "list-removed")?;
    let main = bench.main();
    if !is_listed(main, &name)? {
        return broken("the removed secret in the list of what was removed", "no such name");
    }
    expect_success(restore(main, &name), "`restore` of what is listed as removed")?;
    match is_listed(main, &name)? {
        false => Ok(()),
        true => broken("a list without what was brought back", "its name"),
    }
}

pub(super) fn restore_brings_back(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("restored");
    let value = bench.main().put(&name)?;
    let main = bench.main();
    remove(main, &name)?;
    expect_success(restore(main, &name), "`restore` of a removed secret")?;
    match main.peek(&name) {
        Some(found) if found == value => Ok(()),
        Some(_) => broken("the value that was removed", "another"),
        None => broken("the value that was removed", "none"),
    }
}

pub(super) fn restore_missing(bench: &mut Bench<'_>) -> Verdict {
    let answer = restore(bench.main(), &sample::name("restore-missing"));
    expect_error(&answer, ErrorKind::NotFound, "`restore` of a name that there never was")
}

pub(super) fn restore_taken(bench: &mut Bench<'_>) -> Verdict {
    let name = removed(bench, "restore-taken")?;
    let there = sample::plain(bench.declared, "there now");
    let main = bench.main();
    prepared(main.set(&name, &there), "`set`")?;
    let answer = restore(main, &name);
    expect_error(&answer, ErrorKind::AlreadyExists, "`restore` of a name that is there")?;
    match main.peek(&name) {
        Some(found) if found == there => Ok(()),
        _ => broken("the secret that is there as it was", "another or none"),
    }
}

pub(super) fn purge_for_good(bench: &mut Bench<'_>) -> Verdict {
    let gone = removed(bench, "purged")?;
    let there = sample::name("purged-at-once");
    bench.main().put(&there)?;
    let restores = bench.declared.can(Capability::Restore);
    let lists = bench.declared.can(Capability::ListRemoved);
    let main = bench.main();
    for name in [gone, there] {
        expect_success(purge(main, &name), "`purge`")?;
        if main.peek(&name).is_some() {
            return broken("no secret after `purge`", "one");
        }
        if restores && restore(main, &name).is_ok() && main.peek(&name).is_some() {
            return broken("`not found` from `restore` after `purge`", "the secret again");
        }
        if lists && is_listed(main, &name)? {
            return broken("a list of what was removed without what was purged", "its name");
        }
    }
    Ok(())
}

pub(super) fn purge_missing(bench: &mut Bench<'_>) -> Verdict {
    let answer = purge(bench.main(), &sample::name("purge-missing"));
    expect_error(&answer, ErrorKind::NotFound, "`purge` of a name that there never was")
}

pub(super) fn rules_names(bench: &mut Bench<'_>) -> Verdict {
    let rules = bench.main().call(|vault| vault.rules(&RulesRequest::new(soon())));
    let rules = prepared(rules, "`rules`")?;
    let (case, composed) = match rules.names {
        NameEquality::Unknown => return elsewhere("the vault does not say which names are one"),
        NameEquality::Exact => (false, false),
        NameEquality::AsciiCase => (true, false),
        NameEquality::Composed(_) => (false, true),
        NameEquality::ComposedCase(_) => (true, true),
        #[cfg(feature = "next")]
        NameEquality::Width(_) => (false, false),
    };
    let pairs = [("rule-Case", "rule-case", case), ("rule-e\u{301}", "rule-\u{e9}", composed)];
    let (first, second) = (sample::plain(bench.declared, "1"), sample::plain(bench.declared, "2"));
    let mut checked = 0;
    for (one, other, is_one) in pairs {
        let (one, other) = (sample::name(one), sample::name(other));
        // A name that the vault refuses is of no use here.
        if bench.main().set(&one, &first).is_err() || bench.main().set(&other, &second).is_err() {
            continue;
        }
        checked += 1;
        let found = match bench.main().peek(&one) {
            Some(value) if value == second => true,
            Some(value) if value == first => false,
            _ => return elsewhere("the secret is not there: see get-what-was-set"),
        };
        if found != is_one {
            let words = |is_one| if is_one { "one secret" } else { "two secrets" };
            let expected = format!("`{one}` and `{other}` to be {}", words(is_one));
            return broken(expected, words(found));
        }
    }
    match checked {
        0 => elsewhere("the vault takes neither of the names"),
        _ => Ok(()),
    }
}

pub(super) fn rules_limits(bench: &mut Bench<'_>) -> Verdict {
    let rules = bench.main().call(|vault| vault.rules(&RulesRequest::new(soon())));
    let rules = prepared(rules, "`rules`")?;
    let is_refusal =
        |error: &Error| matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported);
    let mut checked = 0;
    let mut tries = Vec::new();
    if let Some(most) = rules.max_name_bytes.filter(|most| *most < crate::MAX_SECRET_NAME_BYTES) {
        let prefix = sample::name("n").as_str().len() - 1;
        let long = "n".repeat((most + 1).saturating_sub(prefix));
        tries.push((sample::name(&long), sample::plain(bench.declared, "long name"), "name"));
    }
    if let Some(most) = rules.max_value_bytes.filter(|most| *most < crate::MAX_VALUE_BYTES) {
        let filler = "x".repeat(most);
        tries.push((sample::name("large"), sample::plain(bench.declared, &filler), "value"));
    }
    for (name, value, what) in tries {
        checked += 1;
        match bench.main().set(&name, &value) {
            Err(error) if is_refusal(&error) => {}
            Err(error) => {
                return broken(
                    format!("`invalid` for a {what} beyond the limit"),
                    error.kind().as_str(),
                )
            }
            Ok(()) => return broken(format!("a refusal of a {what} beyond the limit"), "success"),
        }
        if bench.main().peek(&name).is_some() {
            return broken("no secret after a refused `set`", "one");
        }
    }
    match checked {
        0 => elsewhere("the vault has no limits of its own"),
        _ => Ok(()),
    }
}
