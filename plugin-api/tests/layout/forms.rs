//! What crosses the Rust ABI as bytes: the numbers of calls, services, kinds and fields, the types of
//! fields, and the byte forms of what is made of none.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::time::Duration;

use keystead_plugin_api::abi::wire::{encode, encode_reply, unknown_call, One, Wire, RECORDS};
use keystead_plugin_api::abi::{Method, Service};
use keystead_plugin_api::*;

/// Returns all of them.
pub(crate) fn numbers() -> String {
    let mut text = String::new();
    let mut list = |what: &str, rule: &str, members: &mut dyn Iterator<Item = String>| {
        writeln!(text, "{what}: {rule}").unwrap();
        members.for_each(|member| writeln!(text, "    {member}").unwrap());
    };
    let at_its_end = "grows at its end";
    let codes = || 0..1_000_u32;
    let calls = codes().filter_map(Method::from_code);
    list("calls", at_its_end, &mut calls.map(|it| format!("{} {}", it.code(), it.as_str())));
    let services = codes().filter_map(Service::from_code);
    list("services", at_its_end, &mut services.map(|it| format!("{} {}", it.code(), it.as_str())));
    for (name, fields) in RECORDS {
        let mut fields = fields.iter().map(|(number, name, of_type)| {
            format!("{number} {name}: {}", without_paths(of_type()))
        });
        list(&format!("record {name}"), at_its_end, &mut fields);
    }
    fn named<T: Debug>(of: impl Fn(u32) -> Option<T>) -> impl Iterator<Item = String> {
        (0..1_000).filter_map(move |code| of(code).map(|it| format!("{code} {it:?}")))
    }
    list("error kinds", at_its_end, &mut named(ErrorKind::from_code));
    let details = (0..0x1_0000_u32).filter_map(|number| {
        Error::of_number(number, "").detail().map(|detail| format!("{number} {detail:?}"))
    });
    list("error details", at_its_end, &mut { details });
    list("value kinds", at_its_end, &mut named(ValueKind::from_code));
    list("parameter kinds", at_its_end, &mut named(ParameterKind::from_code));
    list("write modes", at_its_end, &mut named(WriteMode::from_code));
    list("prompt kinds", at_its_end, &mut named(PromptKind::from_code));
    list("log levels", at_its_end, &mut named(Level::from_code));
    list(
        "byte forms",
        "grows",
        &mut forms().into_iter().map(|(what, bytes)| format!("{what} = {bytes}")),
    );
    text
}

/// Returns a type's name without the modules that it is in: they are no part of the promise.
fn without_paths(name: &str) -> String {
    let mut text = String::new();
    for part in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        text += part.rsplit("::").next().unwrap_or(part);
    }
    text
}

/// Returns samples of what is written by hand, each with its bytes in hexadecimal digits.
fn forms() -> BTreeMap<&'static str, String> {
    fn of<T: Wire>(value: &T) -> String {
        hex(encode(value).unwrap().expose())
    }
    let mut map = Map::new();
    map.insert("b", Value::bytes(vec![0, 255]));
    map.insert("a", Value::text("x"));
    let mut metadata = Metadata::new();
    for (key, value) in [
        ("boolean", MetadataValue::Boolean(true)),
        ("integer", MetadataValue::Integer(-2)),
        ("text", MetadataValue::Text("x".to_owned())),
        ("timestamp", MetadataValue::Timestamp(1)),
    ] {
        metadata.insert(key, value).unwrap();
    }
    let mut parameters = Parameters::new();
    parameters.insert("boolean", ParameterValue::Boolean(false));
    parameters.insert("integer", ParameterValue::Integer(-2));
    parameters.insert("secret", ParameterValue::Secret(SecretText::new("s")));
    parameters.insert("text", ParameterValue::Text("x".to_owned()));
    let tables = UnicodeTables::new(16, 17);
    let poll =
        |challenge: Challenge| challenge.poll(Duration::from_secs(5), Duration::from_secs(600));
    let slow =
        Error::detailed(ErrorDetail::Throttled, "slow").with_retry_after(Duration::from_millis(7));
    let results = vec![Ok(Written::new().of_version("1")), Err(Error::not_found())];
    let mut prompts = vec![Prompt::choice("c", "C", ["1", "2"]), Prompt::yes_no("y", "Y")];
    prompts.push(Prompt::new_secret("n", "N"));
    let reply = |result: &Result<One<u32>>| hex(encode_reply(result).expose());
    let forms = [
        ("value text", of(&Value::text("x"))),
        ("value bytes", of(&Value::bytes(vec![0, 255]))),
        ("value credential", of(&Value::credential("u", "p"))),
        ("value map", of(&Value::Map(map))),
        ("value json", of(&Value::json("[1]").unwrap())),
        ("metadata", of(&metadata)),
        ("parameters", of(&parameters)),
        ("names unknown", of(&NameEquality::Unknown)),
        ("names exact", of(&NameEquality::Exact)),
        ("names ascii-case", of(&NameEquality::AsciiCase)),
        ("names composed", of(&NameEquality::Composed(tables))),
        ("names composed-case", of(&NameEquality::ComposedCase(tables))),
        ("challenge with prompts", of(&Challenge::new("i", prompts))),
        ("challenge that polls", of(&poll(Challenge::new("i", Vec::new()).url("https://x/")))),
        ("challenge of the system", of(&Challenge::new("i", Vec::new()).message("m").system())),
        ("duration", of(&Duration::from_nanos(1))),
        ("deadline", of(&Deadline::after(Duration::ZERO))),
        ("yes", of(&One(true))),
        ("no, in a record", of(&vec![One(false)])),
        ("u32", of(&1_u32)),
        ("u64", of(&2_u64)),
        ("i32", of(&-1_i32)),
        ("i64", of(&-1_i64)),
        ("list", of(&vec!["a".to_owned(), String::new()])),
        ("variables", of(&vec![("A".to_owned(), "1".to_owned())])),
        ("kind of an entry", of(&Some(ValueKind::Json))),
        ("results", of(&SetManyResults::new(results))),
        ("error", of(&slow)),
        ("reply answer", reply(&Ok(One(1)))),
        ("reply error", reply(&Err(Error::not_found()))),
        ("reply unknown call", hex(unknown_call().expose())),
    ];
    let count = forms.len();
    let forms: BTreeMap<_, _> = IntoIterator::into_iter(forms).collect();
    assert_eq!(forms.len(), count, "two byte forms have one name");
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
