//! Obligations of vaults whose handles are called at the same time.

use std::sync::{mpsc, Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::bench::{broken, elsewhere, prepared, soon, Bench, Fault, Handle, Verdict};
use super::pages::{Next, Pages};
use super::sample;
use crate::error::{Error, Result};
use crate::manifest::Capability;
use crate::name::SecretName;
use crate::value::Value;
use crate::vault::{Entry, GetRequest, ListRequest, SetRequest, Vault, MAX_PAGE_ENTRIES};

/// How many handles are called at the same time.
const HANDLES: usize = 2;

/// How often each handle writes and reads: enough to overlap, few enough for a slow server.
const ROUNDS: usize = 5;

/// How often each writes and reads where the vault is slow.
const LEAST_ROUNDS: usize = 1;

/// How long all of that may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn concurrent_calls(bench: &mut Bench<'_>) -> Verdict {
    bench.main().needs_listing()?;
    let writes = bench.declared.can(Capability::Write);
    // What nobody changes meanwhile, and each handle must find as it is.
    let still = match writes {
        true => {
            let name = sample::name("concurrent-calls-still");
            let value = bench.main().put(&name)?;
            Some((name, value))
        }
        false => some_secret(bench)?,
    };
    let (send, receive) = mpsc::channel();
    let barrier = Arc::new(Barrier::new(HANDLES));
    let rounds = bench.few(&[(); ROUNDS], LEAST_ROUNDS).len();
    for number in 0..HANDLES {
        let mut handle = opened(bench)?;
        let own = sample::name(&format!("concurrent-calls-{}", number));
        let values = ["one", "other"].map(|text| {
            let text = format!("{} of {}", text, number);
            sample::plain(bench.declared, &text)
        });
        let own = match writes {
            true => {
                bench.main().will_write(&own);
                Some((own, values))
            }
            false => None,
        };
        let still = still.as_ref().map(|(name, value)| (name.clone(), value.duplicate()));
        let mut vault = match handle.take() {
            Some(vault) => vault,
            None => return elsewhere("a handle is gone"),
        };
        let (send, barrier) = (send.clone(), Arc::clone(&barrier));
        thread::spawn(move || {
            let found = calls(vault.as_mut(), own.as_ref(), still.as_ref(), &barrier, rounds);
            // Nobody waits any more where it took too long.
            let _ = send.send(found);
        });
    }
    drop(send);
    for _ in 0..HANDLES {
        match receive.recv_timeout(PATIENCE) {
            Ok(Ok(())) => {}
            Ok(Err(found)) => return broken("what a call answers that is alone", found),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bench.hangs();
                let found = format!("no answer for {} s", PATIENCE.as_secs());
                return broken("an answer to calls of two handles at once", found);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return broken("an answer to calls of two handles at once", "a panic");
            }
        }
    }
    Ok(())
}

/// Writes, reads and lists with one handle, and returns what an answer is that is wrong.
fn calls(
    vault: &mut dyn Vault,
    own: Option<&(SecretName, [Value; 2])>,
    still: Option<&(SecretName, Value)>,
    barrier: &Barrier,
    rounds: usize,
) -> Result<(), String> {
    let mut wrong = None;
    // To the end also where something is wrong: the other thread waits for this one.
    for round in 0..rounds {
        barrier.wait();
        if wrong.is_none() {
            wrong = one_round(vault, own, still, round).err();
        }
    }
    wrong.map_or(Ok(()), Err)
}

fn one_round(
    vault: &mut dyn Vault,
    own: Option<&(SecretName, [Value; 2])>,
    still: Option<&(SecretName, Value)>,
    round: usize,
) -> Result<(), String> {
    let said = |call: &str, error: Error| format!("`{}` ({}) from {}", error.kind(), error, call);
    if let Some((name, values)) = own {
        let value = &values[round % values.len()];
        let request = SetRequest::new(name.clone(), value.duplicate(), soon());
        vault.set(request).map_err(|error| said("`set`", error))?;
        expect(vault, name, value)?;
    }
    if let Some((name, value)) = still {
        expect(vault, name, value)?;
    }
    let listed = walk(&mut [vault], MAX_PAGE_ENTRIES).map_err(|error| said("`list`", error))?;
    let names = own.map(|(name, _)| name).into_iter().chain(still.map(|(name, _)| name));
    for name in names {
        match listed.iter().filter(|entry| entry.name == *name).count() {
            1 => {}
            count => return Err(format!("`{}` {} times in a listing", name, count)),
        }
    }
    Ok(())
}

/// Returns what is wrong with the value under a name.
fn expect(vault: &mut dyn Vault, name: &SecretName, value: &Value) -> Result<(), String> {
    match vault.get(&GetRequest::new(name.clone(), soon())) {
        Ok(secret) if secret.value == *value => Ok(()),
        Ok(_) => Err(format!("another value under `{}`", name)),
        Err(error) => Err(format!("`{}` ({}) from `get`", error.kind(), error)),
    }
}

pub(super) fn concurrent_shows(bench: &mut Bench<'_>) -> Verdict {
    let (mut one, mut other) = (opened(bench)?, opened(bench)?);
    let name = sample::name("concurrent-shows");
    let expected = "what the last call of another handle left";
    for text in ["first", "second", "third"] {
        let value = sample::plain(bench.declared, text);
        prepared(one.set(&name, &value), "`set`")?;
        match other.peek(&name) {
            Some(found) if found == value => {}
            Some(_) => return broken(expected, "another value"),
            None => return broken(expected, "no secret"),
        }
        if other.listed(&name)?.is_none() {
            return broken(expected, "a listing without the secret");
        }
        // Twice by one handle, then by the other.
        if text == "second" {
            std::mem::swap(&mut one, &mut other);
        }
    }
    prepared(one.remove(&name), "`remove`")?;
    if one.peek(&name).is_some() {
        return elsewhere("the handle that removed it shows it still: see remove-then-missing");
    }
    match other.peek(&name) {
        Some(_) => broken(expected, "a secret that was removed"),
        None => Ok(()),
    }
}

pub(super) fn concurrent_cursors(bench: &mut Bench<'_>) -> Verdict {
    if bench.declared.can(Capability::Write) {
        bench.standing()?;
    }
    let (mut one, mut other) = (opened(bench)?, opened(bench)?);
    let expected = bench.main().entries()?;
    if expected.len() < 2 {
        return elsewhere("the vault has too few secrets for two pages");
    }
    let (mut one, mut other) = match (one.take(), other.take()) {
        (Some(one), Some(other)) => (one, other),
        _ => return elsewhere("a handle is gone"),
    };
    // Three pages, as far as the vault gives so much at once.
    let limit = (expected.len() / 3).max(1);
    match walk(&mut [one.as_mut(), other.as_mut()], limit) {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => broken(
            format!("the {} secrets, page by page from two handles", expected.len()),
            format!("{} entries, not those", found.len()),
        ),
        Err(error) => broken(
            "a page from a cursor that another handle gave",
            format!("`{}` ({})", error.kind(), error),
        ),
    }
}

/// Lists everything, each page with the next one of these handles.
fn walk(vaults: &mut [&mut dyn Vault], limit: usize) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut request = ListRequest::new(soon());
    request.limit = limit;
    let mut pages = Pages::default();
    for turn in 0.. {
        request.deadline = soon();
        let turn: usize = turn;
        let page = vaults[turn % vaults.len()].list(&request)?;
        match pages.next(page.entries.len(), page.next_cursor, 0) {
            Next::Page(next) => request.cursor = Some(next),
            Next::End => {
                entries.extend(page.entries);
                break;
            }
            _ => return Err(Error::internal("the listing does not advance")),
        }
        entries.extend(page.entries);
    }
    Ok(entries)
}

/// Returns one more handle, unlocked.
fn opened<'a>(bench: &mut Bench<'a>) -> Result<Handle<'a>, Fault> {
    let mut handle = prepared(bench.open_own(None), "`open`")?;
    let first = |vault: &mut dyn Vault| {
        let mut request = ListRequest::new(soon());
        request.limit = 1;
        vault.list(&request)
    };
    prepared(handle.call(first), "`list`")?;
    Ok(handle)
}

/// Returns a secret that the vault has already, where it has one.
fn some_secret(bench: &mut Bench<'_>) -> Result<Option<(SecretName, Value)>, Fault> {
    let entries = bench.main().entries()?;
    let first = entries.into_iter().next();
    Ok(first.and_then(|entry| {
        let value = bench.main().peek(&entry.name)?;
        Some((entry.name, value))
    }))
}
