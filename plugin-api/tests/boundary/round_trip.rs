//! Every call, with everything that can be in it, comes out on the other side as it went in.

use std::time::Duration;

use keystead_plugin_api::abi::{Client, Library};
use keystead_plugin_api::*;

use crate::host::{
    describe, get, get_many, name, open, remove, request, set, set_metadata, soon, versions, Notes,
};
use crate::parrot::{error, Parrot};

fn parrot() -> (Client<Library>, Notes) {
    let (vault, notes) = open::<Parrot>(Parameters::new());
    let vault = vault.unwrap();
    notes.take();
    (vault, notes)
}

fn everything() -> Vec<Value> {
    let mut inner = Map::new();
    inner.insert("", Value::text("under the empty key"));
    let mut map = Map::new();
    map.insert("z", Value::credential("bob", "pw"));
    map.insert("a", Value::bytes(vec![]));
    map.insert("m", Value::Map(inner));
    vec![
        Value::text(""),
        Value::text("one\0two é"),
        Value::bytes(vec![]),
        Value::bytes(vec![0, 255, 128]),
        Value::bytes(vec![7; MAX_VALUE_BYTES - 4]),
        Value::credential("", ""),
        Value::credential("bob", "hunter2"),
        Value::Map(Map::new()),
        Value::Map(map),
    ]
}

fn metadata() -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in [
        ("text", MetadataValue::Text(String::new())),
        ("most", MetadataValue::Integer(i64::MIN)),
        ("yes", MetadataValue::Boolean(true)),
        ("no", MetadataValue::Boolean(false)),
        ("at", MetadataValue::Timestamp(MIN_TIMESTAMP_MILLIS)),
        ("none", MetadataValue::TextList(Vec::new())),
        ("texts", MetadataValue::TextList(["b", "", "ü\n", "b"].map(str::to_owned).to_vec())),
    ] {
        metadata.insert(key, value).unwrap();
    }
    metadata
}

#[test]
fn every_value_kind_and_metadata_round_trip() {
    let (mut vault, _) = parrot();
    for value in everything() {
        let mut write = set("n", value.duplicate());
        write.metadata = Some(metadata());
        vault.set(write).unwrap();
        let found = vault.get(&get("n")).unwrap();
        assert!(found.value == value, "{:?}", value.kind());
        assert_eq!(found.metadata, metadata());
        assert_eq!(vault.describe(&describe("n")).unwrap().kind, Some(value.kind()));
    }
    vault.set_metadata(set_metadata("n", Metadata::new())).unwrap();
    assert_eq!(vault.get(&get("n")).unwrap().metadata, Metadata::new());
    vault.remove(&remove("n")).unwrap();
    assert_eq!(vault.get(&get("n")).unwrap_err(), Error::not_found());
}

#[test]
fn value_over_limit_is_rejected_by_host() {
    let (mut vault, notes) = parrot();
    let fault = vault.set(set("n", Value::bytes(vec![7; MAX_VALUE_BYTES]))).unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Invalid);
    assert_eq!(notes.take(), [""; 0]);
}

#[test]
fn every_write_mode_round_trips() {
    let (mut vault, notes) = parrot();
    for mode in [WriteMode::CreateOnly, WriteMode::Replace, WriteMode::Upsert] {
        let mut write = set("n", Value::text("x"));
        write.mode = mode;
        vault.set(write).unwrap();
        assert_eq!(notes.take(), [format!("Debug: set {mode:?}")]);
    }
}

#[test]
fn error_keeps_kind_message_challenge_and_retry_delay() {
    let (mut vault, _) = parrot();
    for code in 1..=10 {
        let found = vault.get(&get(&format!("error/{code}"))).unwrap_err();
        assert_eq!(found, error(code));
        let opened = {
            let mut parameters = Parameters::new();
            parameters.insert("fail", ParameterValue::Integer(i64::from(code)));
            open::<Parrot>(parameters).0
        };
        assert_eq!(opened.err(), Some(error(code)));
    }
    assert_eq!(error(3).challenge().unwrap().prompts.len(), 2);
}

#[test]
fn open_passes_name_kind_parameters_and_session() {
    let mut parameters = Parameters::new();
    parameters.insert("file", ParameterValue::Text("/srv/x".into()));
    parameters.insert("count", ParameterValue::Integer(-3));
    parameters.insert("on", ParameterValue::Boolean(true));
    parameters.insert("token", ParameterValue::Secret(SecretText::new("hunter2")));
    let mut request = request(parameters);
    request.session = Some(Session::new(SecretBytes::new(vec![0, 9]), Duration::MAX));
    request.host = Some(HostInfo::new("host", "1.2.3"));
    let notes = Notes::default();
    let context = Context::new(Box::new(notes.clone()));
    drop(abi::open_linked::<Parrot>(&request, context).unwrap());
    assert_eq!(
        notes.take(),
        [
            "Info: open Work as parrot",
            "Info: parameter count = Integer(-3)",
            "Info: parameter file = Text(\"/srv/x\")",
            "Info: parameter on = Boolean(true)",
            "Info: parameter token = Secret([redacted])",
            "Debug: the token has 7 bytes",
            "Debug: a session [0, 9] for 86400s",
            "Info: opened by host 1.2.3",
            "context closed",
        ]
    );
}

#[test]
fn listing_pages_follow_to_end() {
    let (mut vault, notes) = parrot();
    for n in 0..5 {
        vault.set(set(&format!("n{n}"), Value::text(""))).unwrap();
    }
    notes.take();
    let mut request = ListRequest::new(soon());
    request.limit = 2;
    request.pattern = Some("n*".into());
    let mut seen = Vec::new();
    loop {
        let page = vault.list(&request).unwrap();
        seen.extend(page.entries.into_iter().map(|entry| entry.name));
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [name("n0"), name("n1"), name("n2"), name("n3"), name("n4")]);
    assert_eq!(
        notes.take(),
        [
            "Debug: list None 2 Some(\"n*\")",
            "Debug: list Some(\"n1\") 2 Some(\"n*\")",
            "Debug: list Some(\"n3\") 2 Some(\"n*\")",
        ]
    );
}

#[test]
fn get_many_returns_results_in_order() {
    let (mut vault, _) = parrot();
    vault.set(set("a", Value::text("1"))).unwrap();
    let results = vault.get_many(&get_many(&["none", "a", "error/5"])).unwrap();
    let expected = [Err(Error::not_found()), Ok(Secret::new(Value::text("1"))), Err(error(5))];
    assert_eq!(results.results, expected);
    assert_eq!(vault.get_many(&get_many(&[])).unwrap().results, []);
    assert_eq!(vault.get_many(&get_many(&["a", "error/3"])).unwrap_err(), error(3));
    let many = get_many(&["a"; MAX_GET_MANY]);
    assert_eq!(vault.get_many(&many).unwrap().results.len(), MAX_GET_MANY);
    let many = get_many(&["a"; MAX_GET_MANY + 1]);
    assert_eq!(vault.get_many(&many).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn set_many_returns_results_in_order() {
    let (mut vault, notes) = parrot();
    let mut first = set("a", Value::text("1"));
    first.metadata = Some(metadata());
    first.mode = WriteMode::CreateOnly;
    let mut last = set("a", Value::text("2"));
    last.mode = WriteMode::Replace;
    // What exceeds a limit does not leave the host, and hinders no other.
    let too_large = set("large", Value::bytes(vec![7; MAX_VALUE_BYTES]));
    let refusing = set("error/5", Value::text(""));
    let written = vec![first, too_large, set("b", Value::bytes(vec![])), refusing, last];
    let results = vault.set_many(SetManyRequest::new(written)).unwrap().results;
    assert_eq!(results[1].as_ref().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!([&results[0], &results[2], &results[4]], [&Ok(Written::new()); 3]);
    assert_eq!((&results[3], results.len()), (&Err(error(5)), 5));
    assert_eq!(
        notes.take(),
        ["CreateOnly", "Upsert", "Upsert", "Replace"].map(|m| format!("Debug: set {m}"))
    );
    assert_eq!(vault.get(&get("a")).unwrap().value, Value::text("2"));
    assert_eq!(vault.get(&get("b")).unwrap().value, Value::bytes(vec![]));
    assert_eq!(vault.set_many(SetManyRequest::new(vec![])).unwrap().results, []);
}

#[test]
fn set_many_after_lock_fails_remaining_secrets() {
    let (mut vault, notes) = parrot();
    let locks = || set("error/3", Value::text(""));
    let both = SetManyRequest::new(vec![set("error/5", Value::text("")), locks()]);
    let refused = vault.set_many(both);
    assert_eq!(refused.unwrap_err(), error(3));
    let some = vec![set("a", Value::text("1")), locks(), set("b", Value::text("2")), locks()];
    let expected = [Ok(Written::new()), Err(error(3)), Err(error(3)), Err(error(3))];
    notes.take();
    assert_eq!(vault.set_many(SetManyRequest::new(some)).unwrap().results, expected);
    assert_eq!(notes.take().len(), 2);
    assert_eq!(vault.get(&get("b")).unwrap_err(), Error::not_found());
}

#[test]
fn set_many_skips_request_past_deadline() {
    let (mut vault, notes) = parrot();
    let mut late = set("b", Value::text("2"));
    late.deadline = Deadline::after(Duration::ZERO);
    let both = SetManyRequest::new(vec![set("a", Value::text("1")), late]);
    let results = vault.set_many(both).unwrap().results;
    assert_eq!(results, [Ok(Written::new()), Err(Error::timed_out())]);
    assert_eq!(notes.take().len(), 1);
}

#[test]
fn set_many_over_count_or_byte_limit_is_rejected() {
    let (mut vault, notes) = parrot();
    let many = |count| {
        let each = (0..count).map(|n| set(&format!("{n}"), Value::text("")));
        SetManyRequest::new(each.collect())
    };
    assert_eq!(vault.set_many(many(MAX_SET_MANY)).unwrap().results.len(), MAX_SET_MANY);
    notes.take();
    let refused = vault.set_many(many(MAX_SET_MANY + 1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(refused.message(), "1001 secrets were to be written at once; the most is 1000");

    let largest = || {
        let mut largest =
            set(&"n".repeat(MAX_SECRET_NAME_BYTES), Value::bytes(vec![7; MAX_VALUE_BYTES - 4]));
        let mut metadata = Metadata::new();
        let text = "x".repeat(MAX_METADATA_BYTES - 1);
        metadata.insert("k", MetadataValue::Text(text)).unwrap();
        largest.metadata = Some(metadata);
        largest
    };
    let one = SetManyRequest::new(vec![largest()]);
    assert_eq!(vault.set_many(one).unwrap().results, [Ok(Written::new())]);
    notes.take();
    let two = SetManyRequest::new(vec![largest(), largest()]);
    let refused = vault.set_many(two).unwrap_err();
    assert_eq!(
        refused.message(),
        "secrets of 33687552 bytes were to be written at once; the most is 17825792"
    );
    assert_eq!(notes.take(), [""; 0]);
}

#[test]
fn session_is_stored_by_host_service() {
    let (mut vault, notes) = parrot();
    notes.take();
    let answer = |name: &str| Answer::new(name, SecretText::new("hunter2"));
    let right = UnlockRequest::new("step 1", vec![answer("user"), answer("password")], soon());
    vault.unlock(&right).unwrap();
    assert_eq!(notes.take(), ["keep \"hunter2\" for 61s"]);
    let endless = UnlockRequest::new("endless", vec![answer("password")], soon());
    vault.unlock(&endless).unwrap();
    assert_eq!(notes.take(), ["keep \"hunter2\" for 86400s"], "at most a day");
    let wrong = UnlockRequest::new("step 1", vec![answer("user")], soon());
    assert_eq!(vault.unlock(&wrong).unwrap_err().kind(), ErrorKind::PermissionDenied);
    let nothing = UnlockRequest::new("", vec![], soon());
    vault.unlock(&nothing).unwrap();
    assert_eq!(notes.take(), ["forget the session"]);
}

#[test]
fn passed_deadline_arrives_as_passed() {
    let (mut vault, notes) = parrot();
    vault.lock(&LockRequest::new(Deadline::after(Duration::ZERO))).unwrap();
    assert_eq!(notes.take(), ["Debug: lock, late: true"]);
}

#[test]
fn versions_test_and_unregister_round_trip() {
    let (mut vault, notes) = parrot();
    let all = [Version::new("2", Some(-5)), Version::new("1", None)];
    let page = vault.versions(&versions("a")).unwrap();
    assert_eq!((&page.versions[..], page.next_cursor), (&all[..], None));
    let mut one = versions("a");
    one.limit = 1;
    let first = vault.versions(&one).unwrap();
    assert_eq!((&first.versions[..], first.next_cursor.as_deref()), (&all[..1], Some("2")));
    one.cursor = first.next_cursor;
    let last = vault.versions(&one).unwrap();
    assert_eq!((&last.versions[..], last.next_cursor), (&all[1..], None));
    let mut earlier = get("a");
    earlier.version = Some("1".into());
    assert_eq!(vault.get(&earlier).unwrap().value, Value::text("1"));
    assert_eq!(
        vault.test(&TestRequest::new(soon())).unwrap_err(),
        Error::unavailable("the branch is gone")
    );
    vault.unregister(&UnregisterRequest::new(soon())).unwrap();
    assert_eq!(notes.take(), ["Warning: it could be better", "Info: farewell"]);
    drop(vault);
    assert_eq!(notes.take(), ["context closed"]);
}

#[test]
fn actions_round_trip_with_schema_and_output() {
    let (mut vault, _) = parrot();
    let actions = vault.actions(&ActionsRequest::new(soon())).unwrap().actions;
    assert_eq!(actions.len(), 2);
    assert!(actions[0].destructive && !actions[1].destructive);
    let times = Parameter::defaulting("times", ParameterKind::Integer, "3", "how often").secret();
    let tune = Parameter::required("tune", ParameterKind::Text, "which");
    assert_eq!(actions[0].parameters, [tune, times].map(OwnedParameter::from));

    let mut parameters = Parameters::new();
    parameters.insert("times", ParameterValue::Integer(2));
    let outcome = vault.run_action(&ActionRequest::new("whistle", parameters, soon())).unwrap();
    assert_eq!(outcome.message, r#"whistled Parameters({"times": Integer(2)})"#);
    assert_eq!(outcome.value, Some(Value::text("a recovery code")));

    let long = vault.run_action(&ActionRequest::new("rest", Parameters::new(), soon())).unwrap();
    assert_eq!(long.message.len(), MAX_MESSAGE_BYTES);
    assert_eq!(long.value, None);
}

#[test]
fn exec_runs_granted_program_and_denies_ungranted() {
    let (mut vault, notes) = parrot();
    let outcome =
        vault.run_action(&ActionRequest::new("granted", Parameters::new(), soon())).unwrap();
    assert_eq!(outcome.message, "-7 and 65536 bytes");
    assert_eq!(outcome.value, Some(Value::bytes(vec![0, 1, 255])));
    assert_eq!(notes.take(), [r#"exec ["-x", ""] [("A", "b=c"), ("D", "")]"#]);
    let denied =
        vault.run_action(&ActionRequest::new("rm", Parameters::new(), soon())).unwrap_err();
    assert_eq!(denied, Error::permission_denied("running `rm` is not granted"));
}

#[test]
fn vault_moves_to_another_thread() {
    let (mut vault, notes) = parrot();
    vault.set(set("n", Value::text("x"))).unwrap();
    std::thread::spawn(move || assert!(vault.get(&get("n")).is_ok())).join().unwrap();
    assert_eq!(notes.take().last().unwrap(), "context closed");
}
