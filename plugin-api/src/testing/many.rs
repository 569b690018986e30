//! Obligations of `set_many`.

use super::bench::{
    answer_of, broken, elsewhere, expect_error, expect_success, prepared, soon, Bench, Fault,
    Handle, Verdict,
};
use super::{lock, sample};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::value::Value;
use crate::vault::{LockRequest, SetManyRequest, SetRequest, WriteMode, Written};

/// One of several writes.
type Write<'a> = (&'a SecretName, &'a Value, WriteMode);

pub(super) fn set_many_each(bench: &mut Bench<'_>) -> Verdict {
    let cases = [
        ("new", WriteMode::CreateOnly),
        ("present", WriteMode::CreateOnly),
        ("absent", WriteMode::Replace),
        ("last", WriteMode::Upsert),
    ];
    let value = sample::plain(bench.declared, "of many");
    let ones = cases.map(|(case, mode)| (sample::name(&format!("one-{case}")), mode));
    let several = cases.map(|(case, mode)| (many_name(case), mode));
    let olds = [bench.main().put(&ones[1].0)?, bench.main().put(&several[1].0)?];
    let mut expected = Vec::new();
    for (name, mode) in &ones {
        expected.push(bench.main().set_with(name, &value, None, *mode));
    }
    let writes: Vec<Write<'_>> = several.iter().map(|(n, mode)| (n, &value, *mode)).collect();
    let found = set_many(bench.main(), &writes)?;

    for ((one, many), (name, mode)) in expected.iter().zip(&found).zip(&several) {
        let (one_kind, many_kind) = (one.as_ref().err(), many.as_ref().err());
        if one_kind.map(Error::kind) != many_kind.map(Error::kind) {
            let expected = format!("what `set` gives for `{name}` ({mode:?}), {}", answer_of(one));
            return broken(expected, answer_of(many));
        }
    }
    // The present one has a value of its own under either name.
    let state = |found: Option<Value>, old: &Value| match found {
        None => "no secret",
        Some(found) if found == value => "the new value",
        Some(found) if found == *old => "the old value",
        Some(_) => "another value",
    };
    for ((one, _), (many, _)) in ones.iter().zip(&several) {
        let expected = state(bench.main().peek(one), &olds[0]);
        let found = state(bench.main().peek(many), &olds[1]);
        if expected != found {
            return broken(format!("{expected} under `{many}`, as after `set`"), found);
        }
    }
    Ok(())
}

pub(super) fn set_many_order(bench: &mut Bench<'_>) -> Verdict {
    let twice = many_name("twice");
    let (first, second) = (sample::plain(bench.declared, "1"), sample::plain(bench.declared, "2"));
    let writes = [(&twice, &first, WriteMode::Upsert), (&twice, &second, WriteMode::Upsert)];
    for result in set_many(bench.main(), &writes)? {
        prepared(result, "a write of `set_many`")?;
    }
    match bench.main().peek(&twice) {
        Some(value) if value == first => broken("the value that was given last", "the first"),
        _ => Ok(()),
    }
}

pub(super) fn set_many_kept(bench: &mut Bench<'_>) -> Verdict {
    let [one, of_many] = ["kept-one", "kept-of-many"].map(many_name);
    bench.main().put(&one)?;
    let value = sample::plain(bench.declared, "kept");
    for result in set_many(bench.main(), &[(&of_many, &value, WriteMode::Upsert)])? {
        prepared(result, "a write of `set_many`")?;
    }
    let mut other = prepared(bench.open_own(None), "a second `open`")?;
    match (other.peek(&one), other.peek(&of_many)) {
        (None, _) => elsewhere("another handle of the vault does not show what `set` wrote"),
        (_, Some(found)) if found == value => Ok(()),
        (_, found) => {
            let found = found.map_or("none", |_| "another");
            broken("the secret in a handle that is opened afterwards, as after `set`", found)
        }
    }
}

pub(super) fn set_many_refused(bench: &mut Bench<'_>) -> Verdict {
    bench.needs_lock()?;
    let (mut handle, locked) = lock::open_locked(bench)?;
    prepared(handle.unlock(&locked), "`unlock`")?;
    let [present, new] = ["refused", "refused-new"].map(many_name);
    let old = handle.put(&present)?;
    prepared(handle.ask(|vault| vault.lock(&LockRequest::new(soon()))), "`lock`")?;
    let value = sample::plain(bench.declared, "refused");
    let writes = [(&present, &value, WriteMode::Upsert), (&new, &value, WriteMode::Upsert)];
    handle.will_write(&new);
    let answer = handle.ask(|vault| vault.set_many(requests(&writes)));
    match answer {
        Ok(many) if many.results.iter().all(Result::is_ok) => {
            return elsewhere("a call after `lock` was not answered with `locked`: see lock-locks");
        }
        answer => expect_error(&answer, ErrorKind::Locked, "`set_many` as a whole, while locked")?,
    }
    expect_kept(&mut handle, &present, Some(&old))?;
    expect_kept(&mut handle, &new, None)
}

fn many_name(rest: &str) -> SecretName {
    sample::name(&format!("many-{rest}"))
}

fn requests(writes: &[Write<'_>]) -> SetManyRequest {
    let each = writes.iter().map(|(name, value, mode)| {
        let mut request = SetRequest::new((*name).clone(), value.duplicate(), soon());
        request.mode = *mode;
        request
    });
    SetManyRequest::new(each.collect())
}

/// Writes several, and breaks the obligation unless there is a result for each.
fn set_many(handle: &mut Handle<'_>, writes: &[Write<'_>]) -> Result<Vec<Result<Written>>, Fault> {
    writes.iter().for_each(|(name, ..)| handle.will_write(name));
    let answer = handle.call(|vault| vault.set_many(requests(writes)));
    let results = expect_success(answer, "`set_many`")?.results;
    match results.len() == writes.len() {
        true => Ok(results),
        false => broken(format!("{} results", writes.len()), results.len().to_string()),
    }
}

fn expect_kept(handle: &mut Handle<'_>, name: &SecretName, expected: Option<&Value>) -> Verdict {
    let say = |value: Option<&Value>| value.map_or("no secret".to_owned(), sample::shape);
    match handle.peek(name) {
        found if found.as_ref() == expected => Ok(()),
        found => broken(
            format!("{} under `{name}` after `set_many`", say(expected)),
            format!("{}, not that", say(found.as_ref())),
        ),
    }
}
