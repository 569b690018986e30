//! Obligations of `get`, `get_many`, `versions`, `list` and `describe`.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::bench::{
    answer_of, broken, elsewhere, expect_error, expect_success, prepared, soon, Bench, Fault,
    Verdict,
};
use super::pace::SAMPLE;
use super::pages::Endless;
use super::sample;
use crate::error::{ErrorKind, Result};
use crate::manifest::{Capability, NameRule};
use crate::name::SecretName;
use crate::value::Value;
use crate::vault::{
    Entry, GetManyRequest, GetRequest, Secret, VersionsRequest, MAX_CURSOR_BYTES, MAX_PAGE_ENTRIES,
};

/// How many secrets of somebody else are read where the vault cannot be written to.
const FEW: usize = 3;

pub(super) fn get_what_was_set(bench: &mut Bench<'_>) -> Verdict {
    let declared = bench.declared;
    for kind in &declared.values {
        let name = sample::name(&format!("value-{kind}"));
        let value = sample::of_kind(*kind, kind.as_str());
        expect_success(bench.main().set(&name, &value), &format!("`set` of a small {kind}"))?;
        expect_value(&value, bench.main().get(&name))?;
    }
    let (mut tried, mut left_out) = (declared.values.len(), false);
    let share = bench.share(SAMPLE);
    for kind in &declared.values {
        for (n, value) in sample::odd_values(*kind).iter().enumerate() {
            let least = n == 0 && (!bench.is_slow() || tried == declared.values.len());
            if !least && !bench.has_time(share) {
                left_out = true;
                break;
            }
            tried += 1;
            let name = sample::name(&format!("odd-value-{kind}-{n}"));
            if accepted(bench.main().set(&name, value), &sample::shape(value))? {
                expect_value(value, bench.main().get(&name))?;
            }
            // Large values would make every later write of some vaults slow.
            let _ = bench.main().remove(&name);
        }
    }

    let mut kept = Vec::new();
    let share = bench.share(SAMPLE);
    for (n, name) in sample::odd_names(declared.names, "").into_iter().enumerate() {
        if n > 0 && !bench.has_time(share) {
            left_out = true;
            break;
        }
        tried += 1;
        let value = sample::plain(declared, &format!("of the odd name {n}"));
        if accepted(bench.main().set(&name, &value), &format!("the name `{name}`"))? {
            kept.push((name, value));
        }
    }
    for (name, value) in kept {
        expect_value(&value, bench.main().get(&name))?;
    }
    if declared.names == NameRule::CaseInsensitive {
        let value = bench.main().put(&sample::name("fold"))?;
        expect_value(&value, bench.main().get(&sample::name("FOLD")))?;
    }
    bench.tried = if left_out { Some(tried) } else { None };
    Ok(())
}

/// Returns whether the vault took it. To refuse what it cannot hold is honest.
fn accepted(answer: Result<()>, what: &str) -> Result<bool, Fault> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported) => {
            Ok(false)
        }
        refused => {
            let expected = format!("success, `invalid` or `unsupported` from `set` of {what}");
            broken(expected, answer_of(&refused))
        }
    }
}

fn expect_value(expected: &Value, answer: Result<Secret>) -> Verdict {
    match answer {
        Ok(secret) if secret.value == *expected => Ok(()),
        Ok(secret) => {
            let (expected, found) = (sample::shape(expected), sample::shape(&secret.value));
            let other = if expected == found { ", other ones" } else { "" };
            broken(expected, format!("{found}{other}"))
        }
        Err(error) => broken(sample::shape(expected), answer_of::<()>(&Err(error))),
    }
}

pub(super) fn get_missing(bench: &mut Bench<'_>) -> Verdict {
    if bench.declared.can(Capability::Write) {
        // Neither a longer name nor a pattern finds it: one of these is `missing-but-longer`.
        bench.standing()?;
    }
    let patterns = bench.few(&["missing*", "missing-but-longe?"], 1);
    for rest in patterns.iter().chain(bench.few(&sample::MISSING, 1)) {
        let answer = bench.main().get(&sample::name(rest));
        let call = format!("`get` of `{}`, which is not there", sample::name(rest));
        expect_error(&answer, ErrorKind::NotFound, &call)?;
    }
    Ok(())
}

pub(super) fn get_empty(bench: &mut Bench<'_>) -> Verdict {
    let mut checked = 0;
    for kind in &bench.declared.values {
        let name = sample::name(&format!("empty-{kind}"));
        if let Some(value) = sample::empty(*kind) {
            if accepted(bench.main().set(&name, &value), &format!("an empty {kind}"))? {
                checked += 1;
                expect_value(&value, bench.main().get(&name))?;
            }
        }
    }
    match checked {
        0 => elsewhere("the vault takes no empty value"),
        _ => Ok(()),
    }
}

pub(super) fn get_no_effect(bench: &mut Bench<'_>) -> Verdict {
    let names = some_names(bench)?;
    let before = bench.main().entries()?;
    for name in &names {
        let first = prepared(bench.main().get(name), "`get`")?;
        if bench.main().get(name).as_ref() != Ok(&first) {
            return broken("the same from a second `get`", "another answer");
        }
    }
    let _ = bench.main().get(&sample::name("missing"));
    let after = bench.main().entries()?;
    match before == after {
        true => Ok(()),
        false => broken("the same listing before and after `get`", "another listing"),
    }
}

pub(super) fn get_many_each(bench: &mut Bench<'_>) -> Verdict {
    let mut names = some_names(bench)?;
    names.insert(names.len().min(1), sample::name("missing"));
    let mut each = Vec::new();
    for name in &names {
        each.push(bench.main().get(name));
    }
    let requests = names.into_iter().map(|name| GetRequest::new(name, soon()));
    let request = GetManyRequest::new(requests.collect());
    let many = expect_success(bench.main().call(|vault| vault.get_many(&request)), "`get_many`")?;
    let many = many.results;
    if many.len() != each.len() {
        return broken(format!("{} results", each.len()), many.len().to_string());
    }
    for (one, of_many) in each.iter().zip(&many) {
        let same = match (one, of_many) {
            (Ok(one), Ok(of_many)) => one == of_many,
            (Err(one), Err(of_many)) => one.kind() == of_many.kind(),
            _ => false,
        };
        if !same {
            let expected = format!("what `get` gives, {}", answer_of(one));
            return broken(expected, format!("another result, {}", answer_of(of_many)));
        }
    }
    Ok(())
}

pub(super) fn versions_gettable(bench: &mut Bench<'_>) -> Verdict {
    let name = match bench.declared.can(Capability::Write) {
        true => {
            let name = sample::name("versions");
            bench.main().put(&name)?;
            let value = sample::plain(bench.declared, "a newer version");
            prepared(bench.main().set(&name, &value), "`set`")?;
            name
        }
        false => some_names(bench)?.remove(0),
    };
    let asked = VersionsRequest::new(name.clone(), soon());
    let page = expect_success(bench.main().call(|vault| vault.versions(&asked)), "`versions`")?;
    for version in page.versions {
        let mut request = GetRequest::new(name.clone(), soon());
        request.version = Some(version.id.clone());
        let call = format!("`get` of the version `{}`", version.id);
        expect_success(bench.main().call(|vault| vault.get(&request)), &call)?;
    }
    Ok(())
}

/// The most secrets for a listing of many pages: more than two of the largest pages.
const MOST: usize = 2_500;

/// How long writing secrets for a listing may take: removing them takes about as long again.
const WRITING: Duration = Duration::from_millis(500);

/// Writes up to this many secrets, as many as the vault writes within `time` but no fewer than
/// `least`, and returns their names.
fn write_some(
    bench: &mut Bench<'_>,
    what: &str,
    least: usize,
    most: usize,
    time: Duration,
) -> Result<HashSet<SecretName>, Fault> {
    let mut names = HashSet::new();
    let share = bench.share(time);
    for n in 0..most {
        if n >= least && !bench.has_time(share) {
            break;
        }
        let name = sample::name(&format!("{what}-{n:05}"));
        bench.main().put(&name)?;
        names.insert(name);
    }
    bench.tried = Some(names.len());
    Ok(names)
}

pub(super) fn list_all(bench: &mut Bench<'_>) -> Verdict {
    let mut expected = HashSet::new();
    if bench.declared.can(Capability::Write) {
        let (least, most) = match bench.declared.many {
            Some(many) => (many, many),
            None => (3, MOST),
        };
        expected = write_some(bench, "many", least, most, WRITING)?;
    }
    let walk = expect_success(bench.main().walk(MAX_PAGE_ENTRIES), "`list`")?;
    if walk.stands_still {
        walk.ended()?;
    }
    let mut times: BTreeMap<&SecretName, usize> = BTreeMap::new();
    for entry in &walk.entries {
        *times.entry(&entry.name).or_default() += 1;
    }
    if let Some((name, times)) = times.iter().find(|(_, times)| **times > 1) {
        return broken("every secret once", format!("`{name}` {times} times"));
    }
    walk.ended()?;
    let lost = expected.iter().filter(|name| !times.contains_key(name)).count();
    match lost {
        0 => Ok(()),
        _ => broken(format!("all {} secrets", expected.len()), format!("{lost} of them not")),
    }
}

pub(super) fn list_limit(bench: &mut Bench<'_>) -> Verdict {
    several(bench)?;
    for &limit in bench.few(&[1, 7, 2, MAX_PAGE_ENTRIES], 2) {
        let walk = bench.walk_some(limit)?;
        bench.tried = Some(walk.entries.len()).filter(|_| bench.tried.is_some());
        if walk.largest_page > limit {
            let found = format!("a page of {}", walk.largest_page);
            return broken(format!("at most {limit} entries on a page"), found);
        }
    }
    Ok(())
}

pub(super) fn list_advances(bench: &mut Bench<'_>) -> Verdict {
    let empty = || broken("a listing that advances", Endless::found());
    if bench.main().endless() == Some(Endless::Empty) {
        return empty();
    }
    several(bench)?;
    for &limit in bench.few(&[1, 7], 1) {
        let walk = bench.walk_some(limit)?;
        bench.tried = Some(walk.entries.len()).filter(|_| bench.tried.is_some());
        if walk.stands_still {
            return broken("each page's `next` different from all before", "one a second time");
        }
        if walk.endless == Some(Endless::Empty) {
            return empty();
        }
        if walk.longest_cursor > MAX_CURSOR_BYTES {
            let found = walk.longest_cursor.to_string();
            return broken(format!("a `next` of at most {MAX_CURSOR_BYTES} bytes"), found);
        }
    }
    Ok(())
}

/// Writes enough secrets for several small pages, where the vault can be written to.
fn several(bench: &mut Bench<'_>) -> Verdict {
    if bench.declared.can(Capability::Write) && bench.is_slow() {
        bench.tried = Some(bench.standing()?.len());
    } else if bench.declared.can(Capability::Write) {
        const SEVERAL: usize = 20;
        if write_some(bench, "several", 3, SEVERAL, SAMPLE)?.len() == SEVERAL {
            bench.tried = None;
        }
    }
    Ok(())
}

pub(super) fn list_as_given(bench: &mut Bench<'_>) -> Verdict {
    let value = sample::plain(bench.declared, "as given");
    let mut given = Vec::new();
    let share = bench.share(SAMPLE);
    for (n, name) in sample::odd_names(bench.declared.names, "listed-").into_iter().enumerate() {
        if n > 1 && !bench.has_time(share) {
            bench.tried = Some(n);
            break;
        }
        if bench.main().set(&name, &value).is_ok() {
            given.push(name);
        }
    }
    let listed = bench.main().entries()?.into_iter();
    let listed: HashSet<SecretName> = listed.map(|entry| entry.name).collect();
    match given.iter().find(|name| !listed.contains(name)) {
        None => Ok(()),
        Some(name) => broken(format!("the name `{name}` in the listing"), "no such name"),
    }
}

pub(super) fn list_no_values(bench: &mut Bench<'_>) -> Verdict {
    for kind in bench.few(&bench.declared.values, 1) {
        let name = sample::name(&format!("unopened-{kind}"));
        prepared(bench.main().set(&name, &sample::of_kind(*kind, "unopened")), "`set`")?;
    }
    let tells =
        |entry: &&Entry| format!("{} {:?}", entry.name, entry.metadata).contains(sample::CANARY);
    match bench.main().entries()?.iter().find(tells) {
        None => Ok(()),
        Some(entry) => broken("no value in a listing", format!("one in that of `{}`", entry.name)),
    }
}

pub(super) fn describe_as_listed(bench: &mut Bench<'_>) -> Verdict {
    let writes = bench.declared.can(Capability::Write);
    let names = match writes {
        true => vec![sample::name("described")],
        false => some_names(bench)?,
    };
    for name in names {
        if writes {
            bench.main().put(&name)?;
        }
        if writes && bench.declared.can(Capability::Metadata) {
            let _ = bench.main().set_metadata(&name, &sample::metadata());
        }
        let listed = match bench.main().listed(&name)? {
            Some(entry) => entry,
            None => return elsewhere(format!("`{name}` is not listed: see list-all")),
        };
        let described = expect_success(bench.main().describe(&name), "`describe`")?;
        if described != listed {
            return broken(format!("{listed:?}"), format!("{described:?}"));
        }
    }
    Ok(())
}

pub(super) fn describe_missing(bench: &mut Bench<'_>) -> Verdict {
    bench.main().needs_listing()?;
    for rest in bench.few(&sample::MISSING, 1) {
        let answer = bench.main().describe(&sample::name(rest));
        let call = format!("`describe` of `{}`, which is not there", sample::name(rest));
        expect_error(&answer, ErrorKind::NotFound, &call)?;
    }
    Ok(())
}

/// Returns names that are there: our own, or a few that were there before.
fn some_names(bench: &mut Bench<'_>) -> Result<Vec<SecretName>, Fault> {
    if bench.declared.can(Capability::Write) {
        let names = bench.standing()?;
        return Ok(bench.few(&names, 1).to_vec());
    }
    let names: Vec<SecretName> =
        bench.main().entries()?.into_iter().take(FEW).map(|entry| entry.name).collect();
    let names = bench.few(&names, 1).to_vec();
    match names.is_empty() {
        true => elsewhere("the vault has no secrets and cannot be written to"),
        false => Ok(names),
    }
}
