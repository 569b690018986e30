//! Plugins and hosts of different versions. The feature `next` of plugin-api adds a field to a
//! request and to an answer, a call, a kind of error and a kind of value: with it a plugin is
//! newer than today's host, without it older than tomorrow's.

use std::path::Path;
use std::process::Command;

use crate::plugin_files::{Contract, Patch, patched, plugin, skewed, succeed};
use crate::scene::Scene;

/// Has a host of this contract load the plugin, and returns all that it says.
pub(super) fn told(host: Contract, plugin: &Path) -> String {
    let output = succeed(Command::new(skewed(host).1).arg(plugin));
    String::from_utf8(output.stdout).unwrap()
}

fn told_of(host: Contract, plugin: Contract) -> String {
    told(host, &skewed(plugin).0)
}

#[test]
fn a_plugin_of_the_hosts_own_version_fits_exactly() {
    assert_eq!(
        told_of(Contract::Today, Contract::Today),
        "\
fit: exact
get text: Secret { value: Text([redacted]), metadata: Metadata({}), version: None }
get link: not found: no such secret
get throttled: not found: no such secret
list: [(\"text\", Some(\"text\"))]
  logged: set one
  logged: set two
set_many: [Ok(()), Ok(())]
get two: Secret { value: Text([redacted]), metadata: Metadata({}), version: None }
"
    );
    let next = told_of(Contract::Next, Contract::Next);
    assert!(next.starts_with("fit: exact\n  logged: reason: Some(\"a test\")\n"), "{next}");
    assert!(next.ends_with("health: {\"mood\": \"fine\"}\n"), "{next}");
}

#[test]
fn a_newer_plugin_works_in_todays_host_without_what_the_host_does_not_know() {
    assert_eq!(
        told_of(Contract::Today, Contract::Next),
        "\
fit: exact
  logged: reason: None
get text: Secret { value: Text([redacted]), metadata: Metadata({}), version: None }
  logged: reason: None
get link: unsupported: the value is of kind 6, unknown here
  logged: reason: None
get throttled: internal error: slow down
list: [(\"link\", None), (\"text\", Some(\"text\"))]
  logged: set one
  logged: set two
set_many: [Ok(()), Ok(())]
  logged: reason: None
get two: Secret { value: Text([redacted]), metadata: Metadata({}), version: None }
"
    );
}

#[test]
fn todays_plugin_works_in_tomorrows_host_and_refuses_what_it_does_not_know() {
    // That `set` refused it before the plugin saw it shows in the log: there is no line.
    assert_eq!(
        told_of(Contract::Next, Contract::Today),
        "\
fit: exact
get text: Secret { value: Text([redacted]), metadata: Metadata({}), version: None, lease_millis: None }
get link: not found: no such secret
get throttled: not found: no such secret
list: [(\"text\", Some(\"text\"))]
  logged: set one
  logged: set two
set_many: [Ok(()), Ok(())]
get two: Secret { value: Text([redacted]), metadata: Metadata({}), version: None, lease_millis: None }
set new-link: unsupported: the value is of kind 6, unknown here
get new-link: not found: no such secret
set new-map: unsupported: the value is of kind 6, unknown here
get new-map: not found: no such secret
health: {}
"
    );
}

const NEXT: &[&str] = &["--features", "next"];

const TABLE: &str = "plugin-api/src/abi/table.rs";

const MINOR: Patch = ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"1.1.0\"");

#[test]
fn a_plugin_of_the_next_minor_version_fits_by_its_number_too() {
    let newer = patched("skew", "minor", &[MINOR], NEXT);
    assert!(told(Contract::Today, &newer).starts_with("fit: exact\n"));
}

#[test]
fn a_plugin_of_another_major_version_is_refused() {
    let major: Patch = ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"2.0.0\"");
    let other = patched("skew", "major", &[major], &[]);
    assert_eq!(
        told(Contract::Today, &other),
        format!(
            "E09.layout: {} does not fit this host: plugin > AbiPlugin: version: host 1.0.0, \
             plugin 2.0.0\n",
            other.display()
        )
    );
}

/// A reply with a field more.
const GROWN: [Patch; 2] = [
    (TABLE, "pub struct AbiReply {\n", "pub struct AbiReply {\n    extra: u64,\n"),
    (TABLE, "        Self { bytes, owner", "        Self { extra: 0, bytes, owner"),
];

/// Calls with a number of another type.
const SWAPPED: [Patch; 2] = [
    (
        TABLE,
        "    /// Makes a call: a [`Method`](super::call::Method).
    pub call: unsafe extern \"C\" fn(*mut AbiState, u32, AbiBytes) -> AbiReply,",
        "    pub call: unsafe extern \"C\" fn(*mut AbiState, i32, AbiBytes) -> AbiReply,",
    ),
    (
        "plugin-api/src/abi/plugin_side.rs",
        "unsafe extern \"C\" fn call(state: *mut AbiState, method: u32, request: AbiBytes) -> AbiReply {",
        "unsafe extern \"C\" fn call(state: *mut AbiState, method: i32, request: AbiBytes) -> AbiReply {
    let method = method as u32;",
    ),
];

const CALLS_BY_I32: Patch = (
    "plugin-api/src/abi/host_side.rs",
    "unsafe { (self.0.table.call())(self.0.state, method, AbiBytes::of(request)) }",
    "unsafe { (self.0.table.call())(self.0.state, method as i32, AbiBytes::of(request)) }",
);

#[test]
fn a_type_that_has_changed_is_refused_in_one_line_with_path_and_sizes() {
    let swapped = [SWAPPED[0], SWAPPED[1], CALLS_BY_I32];
    for (label, patches, difference) in [
        ("grown", &GROWN[..], "AbiReply: size: host 32, plugin 40"),
        ("swapped", &swapped, "param_1 > u32: type: host u32, plugin i32"),
    ] {
        let changed = patched("skew", label, patches, &[]);
        let line = told(Contract::Today, &changed);
        let prefix = format!("E09.layout: {} does not fit this host: plugin > ", changed.display());
        assert!(line.starts_with(&prefix), "{line}");
        assert!(line.ends_with(&format!("{difference}\n")), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn answer_with_a_field_that_must_be_known_is_refused_by_a_host_that_does_not_know_it() {
    let marked: Patch =
        ("plugin-api/src/abi/wire/records.rs", "4 lease_millis", "0x8004 lease_millis");
    let told = told(Contract::Today, &patched("skew", "marked", &[marked], NEXT));
    let refused = "get text: unsupported: `answer` has the field 4, which is not known here\n";
    assert!(told.contains(refused), "{told}");
}

#[test]
fn a_plugin_that_does_not_fit_leaves_the_next_one_alone() {
    let changed = patched("skew", "grown", &GROWN, &[]);
    let load = |file: &Path| {
        let scene = Scene::new();
        keystead::plugin::loader::load(&scene.trusted(file))
    };
    for _ in 0..2 {
        assert_eq!(load(&changed).unwrap_err().code(), "E09.layout");
        assert!(load(&skewed(Contract::Next).0).is_ok());
        assert!(load(&plugin("in-order")).is_ok());
    }
}
