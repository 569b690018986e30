//! Tests of reading maps.

use super::*;
use crate::secrets::transfer::same_value;

fn fault(text: &str) -> String {
    map(text).unwrap_err().to_string()
}

#[test]
fn members_become_texts_bytes_credentials_and_maps() {
    let parsed = map(
        "{\"a\": \"x\", \"b\":{\"base64\":\"AAH/\"},\n \"c\":{\"password\":\"p\",\"user\":\"u\"},\
         \"d\":{\"e\":{\"f\":\"\"}}, \"g\":{\"map\":{\"text\":\"t\"}}, \"h\":{\"text\":\"t\"} }",
    )
    .unwrap();
    assert_eq!(parsed.get("a"), Some(&Value::text("x")));
    assert_eq!(parsed.get("b"), Some(&Value::bytes(vec![0, 1, 255])));
    assert_eq!(parsed.get("c"), Some(&Value::credential("u", "p")));
    let Some(Value::Map(d)) = parsed.get("d") else { panic!() };
    let Some(Value::Map(e)) = d.get("e") else { panic!() };
    assert_eq!(e.get("f"), Some(&Value::text("")));
    let Some(Value::Map(g)) = parsed.get("g") else { panic!() };
    assert_eq!(g.get("text"), Some(&Value::text("t")));
    assert_eq!(parsed.get("h"), Some(&Value::text("t")));
    assert!(map(" {} \n").unwrap().is_empty());
}

#[test]
fn escapes_are_decoded_and_lone_surrogate_is_rejected() {
    let parsed = map(r#"{"k":"\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00"}"#).unwrap();
    assert_eq!(parsed.get("k"), Some(&Value::text("\"\\/\u{8}\u{c}\n\r\téé😀")));
    for lone in
        [r#"{"k":"\ud83d"}"#, r#"{"k":"\ud83dx"}"#, r#"{"k":"\ude00"}"#, r#"{"k":"\ud83d\u0041"}"#]
    {
        assert!(fault(lone).ends_with("half of a surrogate pair"), "{lone}");
    }
}

#[test]
fn duplicate_member_is_rejected_with_position() {
    assert_eq!(
        fault("{\"a\":\"1\",\n \"a\":\"2\"}"),
        "line 2, column 2: this name stands in the object twice"
    );
    assert!(fault("{\"a\":{\"b\":\"1\",\"\\u0062\":\"2\"}}").ends_with("twice"));
}

fn json(text: &str) -> Value {
    Value::json(text).unwrap()
}

#[test]
fn numbers_lists_booleans_and_null_keep_json_text() {
    let parsed = map(
        "{\"a\": -1.50e+400, \"b\":[1, {\"x\":{\"text\":\"\\ud800\"}}] , \"c\":true,\"d\":false,\n\
         \"e\":null,\"f\":{\"g\":12345678901234567890123}}",
    )
    .unwrap();
    for (key, value) in [
        ("a", "-1.50e+400"),
        ("b", "[1, {\"x\":{\"text\":\"\\ud800\"}}]"),
        ("c", "true"),
        ("d", "false"),
        ("e", "null"),
    ] {
        assert_eq!(parsed.get(key), Some(&json(value)), "{key}");
    }
    let Some(Value::Map(f)) = parsed.get("f") else { panic!() };
    assert_eq!(f.get("g"), Some(&json("12345678901234567890123")));
    for wrong in ["01", "1.", "nul", "truex", "[1}", "[1,]", "[1", "-", "[{\"a\":1,\"\\u0061\":2}]"]
    {
        assert!(map(&format!("{{\"a\":{wrong}}}")).is_err(), "{wrong}");
        assert!(map(&format!("{{\"a\":{{\"json\":{wrong}}}}}")).is_err(), "{wrong}");
    }
    assert_eq!(
        fault("{\"a\":\"\",\n \"b\":[canary]}"),
        "line 2, column 6: not JSON at byte 1: a value is missing"
    );
}

#[test]
fn object_with_sole_json_member_is_json_except_in_map() {
    let parsed = map("{\"a\":{\"json\":{\"b\": [\"\\ud800\"]}},\"c\":{ \"\\u006ason\" : \"d\" },\
         \"e\":{\"map\":{\"json\":{\"text\":\"f\"}}},\"g\":{\"json\":\"h\",\"i\":1},\
         \"j\":{\"map\":{\"json\":{\"json\":1}}},\"k\":{\"map\":{\"json\":2},\"l\":\"\"},\
         \"m\":{\"text\":1},\"n\":{\"map\":3},\"o\":{\"user\":4,\"password\":\"\"},\"json\":5}")
    .unwrap();
    let inner = |key: &str| match parsed.get(key) {
        Some(Value::Map(inner)) => inner,
        other => panic!("{key}: {other:?}"),
    };
    assert_eq!(parsed.get("a"), Some(&json("{\"b\": [\"\\ud800\"]}")));
    assert_eq!(parsed.get("c"), Some(&json("\"d\"")));
    assert_eq!(inner("e").get("json"), Some(&Value::text("f")));
    assert_eq!(inner("g").get("json"), Some(&Value::text("h")));
    assert_eq!(inner("g").get("i"), Some(&json("1")));
    assert_eq!(inner("j").get("json"), Some(&json("1")));
    assert_eq!(inner("k").get("map"), Some(&json("2")));
    assert_eq!(inner("m").get("text"), Some(&json("1")));
    assert_eq!(inner("n").get("map"), Some(&json("3")));
    assert_eq!(inner("o").get("user"), Some(&json("4")));
    assert_eq!(parsed.get("json"), Some(&json("5")));
    assert!(fault("{\"a\":{\"json\":1,\"json\":2}}").ends_with("twice"));
    assert!(fault("{\"a\":{\"json\":1,\"\\u006ason\":2}}").ends_with("twice"));
    for wrong in ["{\"json\":}", "{\"json\"}", "{\"json\":1 2}", "{\"json\":1", "{\"json\":\"\\"] {
        assert!(map(&format!("{{\"a\":{wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn json_value_has_own_depth_limit_and_any_length() {
    let deep = |levels: usize| {
        format!("{{\"a\":{{\"json\":{}1{}}}}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert!(map(&deep(keystead_plugin_api::MAX_JSON_DEPTH)).is_ok());
    assert!(fault(&deep(keystead_plugin_api::MAX_JSON_DEPTH + 1)).ends_with("too many levels"));
    assert!(fault(&deep(1_000_000)).ends_with("too many levels"));
    for open in ["{\"json\":", "{\"map\":{\"json\":"] {
        let text = format!("{{\"a\":{}", open.repeat(100_000));
        assert!(map(&text).is_err());
        let close = "}".repeat(open.matches('{').count() * 100_000);
        assert!(map(&format!("{text}1{close}}}")).is_err());
    }
    let long = format!(
        "{{\"a\":[{}1],\"b\":{{\"json\":\"{}\"}}}}",
        "0,".repeat(4_000_000),
        "x".repeat(8_000_000)
    );
    assert_eq!(map(&long).unwrap().len(), 2);
}

#[test]
fn malformed_map_is_rejected() {
    for text in [
        "",
        "[]",
        "\"x\"",
        "{",
        "{}}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12é\"}",
        "{\"a\":\"x\",}",
        "{é}",
        "{\"a\":{\"base64\":\"A\"}}",
    ] {
        assert!(map(text).is_err(), "{text}");
    }
}

#[test]
fn map_above_depth_or_member_limit_is_rejected() {
    let deep = "{\"a\":".repeat(100_000);
    assert!(fault(&deep).ends_with("a value has at most 16 levels"));
    let many: Vec<String> = (0..=2 * MAX_VALUE_ENTRIES).map(|n| format!("\"{n}\":\"\"")).collect();
    assert!(fault(&format!("{{{}}}", many.join(","))).ends_with("too many members"));
}

#[test]
fn parse_error_omits_input_text() {
    for text in ["{\"canary\":canary}", "canary", "{\"a\":\"canary\" canary}"] {
        assert!(!fault(text).contains("canary"), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn map_parser_never_panics(text in ".*") {
        let _ = map(&text);
    }

    #[test]
    fn written_map_reads_back_equal(value in crate::json::any::any_map()) {
        let written = crate::json::write::map(&value);
        let read = Value::Map(map(std::str::from_utf8(&written).unwrap()).unwrap());
        // Harmful characters in JSON come back as escapes.
        proptest::prop_assert!(same_value(&read, &Value::Map(value)));
    }
}

proptest::proptest! {
    #[test]
    fn accepted_hostile_json_round_trips(
        text in "(\\{|\\}|\\[|\\]|,|:|\"|\\\\|\"json\"|\"map\"|\"text\"|\"a\"|1|null|\u{9b}| |\n){0,24}",
    ) {
        if let Ok(value) = map(&text) {
            let written = crate::json::write::map(&value);
            let read = map(std::str::from_utf8(&written).unwrap()).unwrap();
            proptest::prop_assert!(same_value(&Value::Map(read), &Value::Map(value)), "{}", text);
        }
    }

    #[test]
    fn object_is_read_unless_member_is_duplicate(
        members in proptest::collection::vec(
            (
                proptest::sample::select(vec!["json", "map", "text", "a", "user", "password"]),
                proptest::sample::select(vec![
                    "1", "null", "\"x\"", "[]", "{}", "{\"json\":1}", "{\"map\":{\"json\":\"\"}}",
                    "{\"json\":{\"map\":2}}", "{\"text\":\"t\"}", "{\"map\":{\"json\":[]},\"a\":1}",
                ]),
            ),
            0..4,
        ),
    ) {
        let names: std::collections::BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
        let members: Vec<String> = members.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
        let inner = format!("{{{}}}", members.join(","));
        for text in [inner.clone(), format!("{{\"b\":{inner}}}"), format!("{{\"b\":{{\"map\":{inner}}}}}")] {
            proptest::prop_assert_eq!(map(&text).is_ok(), names.len() == members.len(), "{}", text);
        }
    }
}
