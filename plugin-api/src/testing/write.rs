//! Obligations of `set`, `remove` and `set_metadata`.

use super::bench::{
    answer_of, broken, elsewhere, expect_error, expect_success, prepared, Bench, Verdict,
};
use super::sample;
use crate::error::ErrorKind;
use crate::manifest::Capability;
use crate::metadata::{Metadata, MetadataValue};
use crate::value::{Map, Value, ValueKind};
use crate::vault::{Deadline, SetRequest, WriteMode};

pub(super) fn set_atomic(bench: &mut Bench<'_>) -> Verdict {
    let holds = |value: &Value| bench.declared.values.contains(&value.kind());
    // Each shares something with the one before that a mix would keep.
    let long = sample::CANARY.repeat(100);
    let mut values = vec![
        Value::text(long.as_str()),
        Value::text(format!("{} short", sample::CANARY)),
        Value::bytes(long.clone().into_bytes()),
        Value::bytes(sample::CANARY.into()),
        Value::credential("first user", long.as_str()),
        Value::credential("second", sample::CANARY),
        map_of(&[("a", "1"), ("b", "2"), ("c", "3")]),
        map_of(&[("b", "new"), ("d", "4")]),
    ];
    values.retain(holds);
    let name = sample::name("atomic");
    for value in bench.few(&values, 2) {
        prepared(bench.main().set(&name, value), "`set`")?;
        match bench.main().get(&name) {
            Ok(secret) if secret.value == *value => {}
            Ok(secret) => {
                let found = format!("a mix, {}", sample::shape(&secret.value));
                return broken(format!("the new value, {}", sample::shape(value)), found);
            }
            // Not to find it at all has another name.
            Err(_) => return elsewhere("the secret is not there: see get-what-was-set"),
        }
    }

    // Cut short, whatever it answers, it is one or the other.
    let (old, new) = (sample::plain(bench.declared, "old"), sample::plain(bench.declared, "new"));
    prepared(bench.main().set(&name, &old), "`set`")?;
    let _ = bench.main().call(|vault| {
        let deadline = Deadline::after(Default::default());
        vault.set(SetRequest::new(name.clone(), new.duplicate(), deadline))
    });
    match bench.main().peek(&name) {
        Some(value) if value == old || value == new => Ok(()),
        Some(_) => broken("the old value or the new one", "another"),
        None => broken("the old value or the new one", "neither"),
    }
}

fn map_of(pairs: &[(&str, &str)]) -> Value {
    let mut map = Map::new();
    for (key, value) in pairs {
        map.insert(*key, Value::text(format!("{} {value}", sample::CANARY)));
    }
    Value::Map(map)
}

pub(super) fn set_create_only(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("create-only");
    let (first, second) = (sample::plain(bench.declared, "1"), sample::plain(bench.declared, "2"));
    let main = bench.main();
    let new = main.set_with(&name, &first, None, WriteMode::CreateOnly);
    expect_success(new, "`set` of a new name, create only")?;
    let again = main.set_with(&name, &second, None, WriteMode::CreateOnly);
    expect_error(&again, ErrorKind::AlreadyExists, "`set` of a present name, create only")?;
    match main.peek(&name) {
        Some(value) if value == second => broken("the secret as it was", "the refused value"),
        _ => Ok(()),
    }
}

pub(super) fn set_replace(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("replace");
    let value = sample::plain(bench.declared, "replaced");
    let main = bench.main();
    let absent = main.set_with(&name, &value, None, WriteMode::Replace);
    expect_error(&absent, ErrorKind::NotFound, "`set` of an absent name, replace")?;
    if main.peek(&name).is_some() {
        return broken("no secret after a refused `set`", "one");
    }
    main.put(&name)?;
    let present = main.set_with(&name, &value, None, WriteMode::Replace);
    expect_success(present, "`set` of a present name, replace")?;
    match main.peek(&name) {
        Some(found) if found != value => broken("the new value", "another"),
        _ => Ok(()),
    }
}

pub(super) fn set_kind(bench: &mut Bench<'_>) -> Verdict {
    let mut checked = 0;
    let undeclared = |kind: &&ValueKind| !bench.declared.values.contains(kind);
    let undeclared: Vec<&ValueKind> = ValueKind::ALL.iter().filter(undeclared).collect();
    for kind in bench.few(&undeclared, 1) {
        checked += 1;
        let refused = sample::of_kind(**kind, "refused");
        let call = format!("`set` of a {kind}, which it does not declare");
        let new = sample::name(&format!("kind-{kind}"));
        expect_error(&bench.main().set(&new, &refused), ErrorKind::Unsupported, &call)?;
        if bench.main().peek(&new).is_some() {
            return broken("no secret after a refused `set`", "one");
        }
        let present = sample::name("kind");
        let value = bench.main().put(&present)?;
        expect_error(&bench.main().set(&present, &refused), ErrorKind::Unsupported, &call)?;
        if bench.main().peek(&present) != Some(value) {
            return broken("the secret as it was after a refused `set`", "another or none");
        }
    }
    match checked {
        0 => elsewhere("the vault declares every kind of value there is"),
        _ => Ok(()),
    }
}

pub(super) fn set_metadata_with_value(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("metadata");
    let value = sample::plain(bench.declared, "with metadata");
    let (first, second) = (sample::metadata(), sample::other_metadata());
    if !bench.declared.can(Capability::Metadata) {
        let refused = bench.main().set_with(&name, &value, Some(&first), WriteMode::Upsert);
        expect_error(&refused, ErrorKind::Unsupported, "`set` with metadata, without `metadata`")?;
        return match bench.main().peek(&name) {
            None => Ok(()),
            Some(_) => broken("no secret after a refused `set`", "one"),
        };
    }
    let none = Metadata::new();
    let steps = [
        (Some(&first), &first, "the metadata that was given"),
        (Some(&second), &second, "the new metadata instead of the old"),
        (None, &second, "the metadata as it was, where none was given"),
        (Some(&none), &none, "no metadata, where empty metadata was given"),
    ];
    for (given, expected, meaning) in steps {
        let answer = bench.main().set_with(&name, &value, given, WriteMode::Upsert);
        expect_success(answer, "`set` with metadata")?;
        let found = prepared(bench.main().get(&name), "`get`")?.metadata.writable();
        if found != *expected {
            return broken(format!("{meaning}, {expected:?}"), format!("{found:?}"));
        }
    }
    Ok(())
}

pub(super) fn set_metadata_replaces(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("replaced-metadata");
    bench.main().put(&name)?;
    for metadata in [sample::metadata(), sample::other_metadata()] {
        expect_success(bench.main().set_metadata(&name, &metadata), "`set_metadata`")?;
        let listed = match bench.main().listed(&name)? {
            Some(entry) => entry.metadata.writable(),
            None => return elsewhere("the secret is not listed: see list-all"),
        };
        if listed != metadata {
            return broken(format!("exactly {metadata:?}"), format!("{listed:?}"));
        }
    }
    Ok(())
}

pub(super) fn set_metadata_missing(bench: &mut Bench<'_>) -> Verdict {
    for rest in bench.few(&sample::MISSING, 1) {
        let answer = bench.main().set_metadata(&sample::name(rest), &sample::metadata());
        let call = format!("`set_metadata` of `{}`, which is not there", sample::name(rest));
        expect_error(&answer, ErrorKind::NotFound, &call)?;
    }
    Ok(())
}

pub(super) fn set_metadata_only(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("metadata-only");
    let value = bench.main().put(&name)?;
    prepared(bench.main().set_metadata(&name, &sample::metadata()), "`set_metadata`")?;
    match bench.main().get(&name) {
        Ok(secret) if secret.value == value => Ok(()),
        Ok(_) => broken("the value as it was", "another"),
        Err(error) => broken("the value as it was", answer_of::<()>(&Err(error))),
    }
}

pub(super) fn set_metadata_read_only(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("read-only-metadata");
    bench.main().put(&name)?;
    let before = prepared(bench.main().get(&name), "`get`")?.metadata;
    let own: Vec<String> = before
        .iter()
        .filter(|(key, _)| before.is_read_only(key))
        .map(|(key, _)| key.to_owned())
        .collect();
    prepared(bench.main().set_metadata(&name, &sample::metadata()), "`set_metadata`")?;
    let after = prepared(bench.main().get(&name), "`get`")?.metadata;
    if let Some(key) = own.iter().find(|key| !after.is_read_only(key)) {
        return broken(format!("`{key}` still there and read-only"), format!("{after:?}"));
    }
    for key in &own {
        let given = sample::of_pairs(&[(key, MetadataValue::Text("given".to_owned()))]);
        let call = format!("`set_metadata` of `{key}`, which is read-only");
        let answer = bench.main().set_metadata(&name, &given);
        if answer.is_err() {
            expect_error(&answer, ErrorKind::Invalid, &call)?;
            continue;
        }
        let found = prepared(bench.main().get(&name), "`get`")?.metadata;
        if found.writable() != given {
            return broken(
                format!("`invalid` from {call}, or what was given"),
                "success and neither",
            );
        }
    }
    Ok(())
}

pub(super) fn remove_then_missing(bench: &mut Bench<'_>) -> Verdict {
    let name = sample::name("removed");
    bench.main().put(&name)?;
    expect_success(bench.main().remove(&name), "`remove`")?;
    if bench.main().peek(&name).is_some() {
        return broken("`not found` from `get` after `remove`", "a value");
    }
    match bench.main().listed(&name)? {
        None => Ok(()),
        Some(_) => broken("a listing without what was removed", "its entry"),
    }
}

pub(super) fn remove_missing(bench: &mut Bench<'_>) -> Verdict {
    for rest in bench.few(&sample::MISSING, 1) {
        let answer = bench.main().remove(&sample::name(rest));
        let call = format!("`remove` of `{}`, which is not there", sample::name(rest));
        expect_error(&answer, ErrorKind::NotFound, &call)?;
    }
    Ok(())
}

pub(super) fn remove_only_that(bench: &mut Bench<'_>) -> Verdict {
    let removed = [sample::name("only"), sample::name("only-*")];
    let mut kept = Vec::new();
    for rest in bench.few(&["only-a", "onl", "only-b", "only/c", "not-only"], 2) {
        let name = sample::name(rest);
        // A name that the vault refuses is of no use here.
        if let Ok(value) = bench.main().put(&name) {
            kept.push((name, value));
        }
    }
    for name in &removed {
        if bench.main().put(name).is_ok() {
            let _ = bench.main().remove(name);
        }
    }
    for (name, value) in kept {
        match bench.main().peek(&name) {
            Some(found) if found == value => {}
            Some(_) => return broken(format!("`{name}` as it was"), "another value"),
            None => return broken(format!("`{name}` as it was"), "it is gone"),
        }
    }
    Ok(())
}

pub(super) fn rename_moves(bench: &mut Bench<'_>) -> Verdict {
    let [old, new] = ["rename-old", "rename-new"].map(sample::name);
    bench.main().put(&old)?;
    if bench.declared.can(Capability::Metadata) {
        prepared(bench.main().set_metadata(&old, &sample::metadata()), "`set_metadata`")?;
    }
    let before = prepared(bench.main().get(&old), "`get`")?;
    expect_success(bench.main().rename(&old, &new), "`rename`")?;
    let found = expect_success(bench.main().get(&new), "`get` of the new name")?;
    if found.value != before.value {
        return broken("the value under the new name", "another value");
    }
    if found.metadata.writable() != before.metadata.writable() {
        return broken("the metadata under the new name", "other metadata");
    }
    if bench.main().listed(&old)?.is_some() {
        return broken("no old name in a listing", "the old name");
    }
    match bench.main().listed(&new)? {
        Some(_) => Ok(()),
        None => broken("the new name in a listing", "no such name"),
    }
}

pub(super) fn rename_missing(bench: &mut Bench<'_>) -> Verdict {
    let [missing, new] = ["rename-missing", "rename-never"].map(sample::name);
    let answer = bench.main().rename(&missing, &new);
    expect_error(&answer, ErrorKind::NotFound, "`rename` of a name that is not there")
}

pub(super) fn rename_taken(bench: &mut Bench<'_>) -> Verdict {
    let [from, to] = ["rename-from", "rename-to"].map(sample::name);
    let (moved, there) = (bench.main().put(&from)?, bench.main().put(&to)?);
    let answer = bench.main().rename(&from, &to);
    expect_error(&answer, ErrorKind::AlreadyExists, "`rename` to a name that is there")?;
    for (name, value) in [(from, moved), (to, there)] {
        if bench.main().peek(&name).as_ref() != Some(&value) {
            return broken(format!("`{name}` as it was"), "not that");
        }
    }
    Ok(())
}
