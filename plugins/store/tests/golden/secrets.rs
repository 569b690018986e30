//! Content and keys of the golden files of the first version. The generator and the test share this
//! list.

use keystead_plugin_api::{Map, Metadata, MetadataValue, Value};

/// Password as one keyboard types it: the é is one character.
pub(crate) const PASSWORD: &str = "caf\u{e9} canary-5d1f \u{1f511}";

/// Password as another keyboard types it: e and an accent.
#[allow(dead_code, reason = "the generator types it in one way only")]
pub(crate) const PASSWORD_ELSEWHERE: &str = "cafe\u{301} canary-5d1f \u{1f511}";

/// One secret.
pub(crate) struct Golden {
    /// Name as typed.
    pub(crate) name: &'static str,
    /// Another spelling of the name.
    #[allow(dead_code, reason = "the generator types it in one way only")]
    pub(crate) also: &'static str,
    pub(crate) value: Value,
    pub(crate) metadata: Metadata,
}

/// Returns every secret.
pub(crate) fn secrets() -> Vec<Golden> {
    let mut every_type = Metadata::new();
    for (key, value) in [
        ("text", MetadataValue::Text("de\u{301}j\u{e0} vu".into())),
        ("empty", MetadataValue::Text(String::new())),
        ("least", MetadataValue::Integer(i64::MIN)),
        ("yes", MetadataValue::Boolean(true)),
        ("no", MetadataValue::Boolean(false)),
        ("expires", MetadataValue::Timestamp(4_102_444_800_123)),
        ("before 1970", MetadataValue::Timestamp(-1_500)),
    ] {
        every_type.insert(key, value).expect("seven keys");
    }
    let mut tags = Metadata::new();
    tags.insert("tags", MetadataValue::Text("prod, db".into())).expect("one key");

    let mut innermost = Map::new();
    innermost.insert("bytes", Value::bytes(vec![0, 255, 10]));
    innermost.insert("", Value::text("the empty key"));
    let mut map = Map::new();
    map.insert("user", Value::text("ann"));
    map.insert("login", Value::credential("ann", "canary-5d1f login"));
    map.insert("deeper", Value::Map(innermost));
    map.insert("nothing", Value::Map(Map::new()));

    let plain = |name, also, value| Golden { name, also, value, metadata: Metadata::new() };
    vec![
        Golden {
            name: "db/Password",
            also: "DB/pASSWORD",
            value: Value::text("canary-5d1f text\r\n"),
            metadata: every_type,
        },
        plain("empty text", "Empty Text", Value::text("")),
        Golden {
            name: "bytes",
            also: "BYTES",
            value: Value::bytes((0..=255).collect()),
            metadata: tags,
        },
        plain("no bytes", "NO bytes", Value::bytes(Vec::new())),
        plain("login", "Login", Value::credential("b\u{f6}b", "canary-5d1f \u{e9}")),
        plain("map", "MAP", Value::Map(map)),
        // More than one page of the file.
        plain("long", "LONG", Value::text("canary-5d1f long ".repeat(600))),
        // The sharp s equals its capital, but not `ss`.
        plain("stra\u{df}e", "STRA\u{1e9e}E", Value::text("canary-5d1f sharp s")),
        plain("strasse", "STRASSE", Value::text("canary-5d1f two s")),
        // The Turkish capital equals its decomposed form, but neither i.
        plain("\u{130}stanbul", "I\u{307}STANBUL", Value::text("canary-5d1f dotted")),
        plain("istanbul", "ISTANBUL", Value::text("canary-5d1f i")),
        // The long s equals `s`, and the Kelvin sign equals `k`.
        plain("\u{17f}ecret", "SECRET", Value::text("canary-5d1f long s")),
        plain("\u{212a}elvin", "kelvin", Value::text("canary-5d1f kelvin")),
        // Composed and decomposed forms are equal, with marks in any order that looks the same.
        plain("cafe\u{301}", "CAF\u{c9}", Value::text("canary-5d1f combining")),
        plain("q\u{307}\u{323}", "Q\u{323}\u{307}", Value::text("canary-5d1f marks")),
        plain(
            "\u{3a3}\u{38a}\u{3a3}\u{3a5}\u{3a6}\u{39f}\u{3a3}",
            "\u{3c3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c2}",
            Value::text("canary-5d1f sigma"),
        ),
        // A ligature equals only itself.
        plain("\u{fb01}le", "\u{fb01}LE", Value::text("canary-5d1f ligature")),
    ]
}
