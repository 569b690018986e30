//! Frames that a plugin sends in the runner's place, and answers that break the contract.

use super::*;

#[test]
fn protocol_violation_by_plugin_kills_runner_process() {
    for (name, what) in [
        ("send nothing", "the end of its connection"),
        ("send shutdown", "the end of its connection"),
        ("send short", "a frame without a header"),
        ("send garbage", "a frame of an unknown kind"),
        ("send oversized", "a frame of more than 64 KiB"),
        ("send other id", "an answer to another call"),
        ("reply nothing", "a reply that is none"),
        ("reply unknown status", "a reply that is none"),
        ("send opened", "an answer of another kind"),
        ("send no service", "a call that is none"),
        ("send greeting", "an answer to another call"),
        ("send unloadable", "an answer of another kind"),
        ("send request", "an answer of another kind"),
        ("send pipe", "a body that is not sealed"),
        ("send descriptors", "a frame with the wrong number of descriptors"),
        ("send no descriptor", "a frame with the wrong number of descriptors"),
        ("send bad log", "a value that is none: `message` is not UTF-8"),
        ("send large log", "a body that is too large"),
        ("send part of another", "a frame within another"),
        ("send empty part", "a body in parts that do not fit"),
        ("send small part", "a body in parts that do not fit"),
    ] {
        let mut stage = stage("");
        // A runner that has connections can send frames with descriptors.
        stage.setup.granted =
            Granted::for_tests(&["exec:upper", "network"], [7; 32], SandboxLevel::Full);
        let mut runner = open(&stage);
        let pid = runner.carrier().process_id().unwrap().to_string();
        let failure = failure(&mut runner, name, amply());
        assert_eq!(failure.code(), "E11.protocol", "{name}");
        assert_eq!(
            failure.to_string(),
            format!(
                "the plugin's process broke the protocol during `get` and was killed: it sent {what}"
            )
        );
        assert!(is_gone(&pid));
    }
}

#[test]
fn missing_write_result_is_plugin_fault() {
    let mut runner = open(&stage(""));
    let two = ["a", "too few"].map(|name| set(name, api::Value::text("canary")));
    let error = runner.set_many(api::SetManyRequest::new(two.into())).unwrap_err();
    assert_eq!(error, api::Error::internal("2 secrets were to be written and 1 answers came back"));
}

#[test]
fn malformed_reply_is_plugin_fault_and_keeps_process() {
    for (name, what) in [
        ("reply truncated", "`answer` ends too early"),
        ("reply extended", "`answer` ends too early"),
        ("reply without value", "`value` is missing"),
    ] {
        let mut runner = open(&stage(""));
        let error = Vault::get(&mut runner, &get(name)).unwrap_err();
        assert_eq!(error, api::Error::internal(what), "{name}");
        assert!(runner.carrier_mut().failure().is_none());
    }
}

#[test]
fn duplicate_reply_fails_next_call() {
    let stage = stage("");
    let mut runner = open(&stage);
    runner.remove(&remove("answer twice")).unwrap();
    let error = Vault::get(&mut runner, &get("folder")).unwrap_err();
    assert_eq!(error.kind(), api::ErrorKind::Internal);
    assert_eq!(runner.carrier_mut().failure().unwrap().code(), "E11.protocol");
    assert_eq!(text(&mut runner, "folder"), "/");
}

#[test]
fn reply_above_plugin_api_limit_is_plugin_fault() {
    for (name, what) in [
        ("page", "`entries` has more than 1000 items"),
        ("cursor", "`next_cursor` has 5000 bytes; the most is 4096"),
    ] {
        let mut runner = open(&stage(""));
        let mut pages = api::ListRequest::new(amply());
        pages.pattern = Some(name.to_owned());
        assert_eq!(runner.list(&pages).unwrap_err(), api::Error::internal(what));
    }
    let mut runner = open(&stage(""));
    let error = Vault::get(&mut runner, &get("too large")).unwrap_err();
    assert_eq!(error.kind(), api::ErrorKind::Internal);
    assert!(error.message().starts_with("the value has"), "{error}");
}
