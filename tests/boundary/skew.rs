//! Plugins and hosts of different versions. The feature `next` of plugin-api adds an item of each
//! kind: a call, a service, fields of a request and a reply, enumeration variants. With `next` a
//! plugin is newer than today's host, without `next` older than tomorrow's.

mod header;
pub(super) mod matrix;
mod sanitizer;

use std::path::Path;
use std::process::Command;

use keystead::internals::plugin::inspect::inspect;

use crate::plugin_files::{
    Contract, Patch, Profile, patched, plugin, repository, skewed, skewed_in, succeed,
};
use crate::scene::Scene;

/// Makes a host of this contract load the plugin, and returns its output.
pub(super) fn told(host: Contract, plugin: &Path) -> String {
    told_in(host, Profile::Debug, plugin, &[])
}

/// Makes a host of this contract and profile load the plugin, and returns its output.
fn told_in(host: Contract, profile: Profile, plugin: &Path, abi: &[&str]) -> String {
    let output = succeed(Command::new(skewed_in(host, profile).1).arg(plugin).args(abi));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn newer_plugin_works_in_current_host_without_new_items() {
    assert_eq!(
        told(Contract::Today, &skewed(Contract::Next).0),
        "\
fit: exact
  logged, Debug: opened
get: works
metadata: without a kind of metadata
metadata back: refused, unsupported: metadata of a kind that is unknown here would be lost by this
link: refused, unsupported: the value is of kind 6, unknown here
get_many: without one of two
list: without a kind of value
rules: without the rule for names
actions: without a parameter
notify: without the service
throttled: without its kind, internal error: slow down
approval: without its detail, permission denied: ask the other one
touch: refused, unsupported: unlocking needs a newer host: the vault waits in a way (200) that this \
one does not know
pin: refused, unsupported: unlocking needs a newer host: the vault asks for a kind of answer (200) \
that this one does not know
digits: without the flag, and still hidden
  logged, Info: set one
  logged, Info: set two
set_many: works
read back: works
"
    );
}

#[test]
fn current_plugin_in_newer_host_gets_no_unknown_calls() {
    // The log has no line about the refused calls: they did not reach the plugin's code.
    assert_eq!(
        told(Contract::Next, &skewed(Contract::Today).0),
        "\
fit: exact
get: without a lease
metadata: works
  logged, Info: set_metadata text
metadata back: works
get_many: works
list: works
rules: works
actions: works
  logged, Info: set one
  logged, Info: set two
set_many: works
read back: works
set link: refused, unsupported: the value is of kind 6, unknown here
set map: refused, unsupported: the value is of kind 6, unknown here
  logged, Info: set plain
merge: refused, unsupported: the write mode 200 is not known here
set digest: refused, unsupported: metadata of a kind that is unknown here would be lost by this
digest: refused, unsupported: metadata of a kind that is unknown here would be lost by this
health: without an answer
parameter: refused, unsupported: the parameter `mirror` is of kind 200, unknown here
"
    );
}

#[test]
fn newer_manifest_lists_items_unknown_to_current_host() {
    let file = std::fs::read(skewed(Contract::Next).0).unwrap();
    let without =
        |what: &str| format!("vaults of kind `vault` lack {what}: this host does not know it");
    let needs = |kind: &str, what: &str| {
        format!("vaults of kind `{kind}` cannot be opened: this host does not know {what}")
    };
    let append = "the permission `files:/srv/log:append`";
    assert_eq!(
        inspect(&file).unwrap().manifest.left_out(),
        [
            without("the capability `watch`"),
            without("values of the kind `link`"),
            without("the parameter `mirror` of the kind `url`"),
            without("the permission `clipboard`"),
            without(append),
            needs("desktop", "the permission `clipboard`"),
            needs("journal", append),
            needs("wide", "the rule for names `width-insensitive`"),
            needs("server", "the parameter `server` of the kind `url`"),
        ]
    );
}

/// Collects the sources of the contract, without the parts for authors' tests.
fn sources(dir: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("testing") && !path.ends_with("abi") {
            sources(&path, all);
        } else if path.is_file() && !path.ends_with("testing.rs") {
            all.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_api_enum_has_variant_in_next_version() {
    let mut all = Vec::new();
    sources(&repository().join("plugin-api/src"), &mut all);
    let enums = all.iter().flat_map(|text| text.split("\npub enum ").skip(1));
    let enums: Vec<_> = enums.map(|text| text.split_once("\n}").unwrap().0).collect();
    assert!(enums.len() >= 13, "{} enumerations were found", enums.len());
    for text in enums {
        let name = text.split(' ').next().unwrap();
        assert!(text.contains("#[cfg(feature = \"next\")]"), "`{name}` has no new variant");
    }
}

const NEXT: &[&str] = &["--features", "next"];

const TABLE: &str = "plugin-api/src/abi/table.rs";

const MINOR: Patch = ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"1.1.0\"");

#[test]
fn plugin_of_next_minor_version_is_compatible() {
    let newer = patched("skew", "minor", &[MINOR], NEXT);
    assert!(told(Contract::Today, &newer).starts_with("fit: exact\n"));
}

#[test]
fn plugin_of_other_major_version_is_rejected() {
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

/// A reply with an additional field.
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
fn changed_type_is_rejected_with_path_and_sizes() {
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
fn reply_with_unknown_mandatory_field_is_rejected() {
    let marked: Patch =
        ("plugin-api/src/abi/wire/records.rs", "4 lease_millis", "0x8004 lease_millis");
    let told = told(Contract::Today, &patched("skew", "marked", &[marked], NEXT));
    let refused = "get: refused, unsupported: `answer` has the field 4, which is not known here\n";
    assert!(told.contains(refused), "{told}");
}

#[test]
fn incompatible_plugin_does_not_affect_next_load() {
    let changed = patched("skew", "grown", &GROWN, &[]);
    let load = |file: &Path| {
        let scene = Scene::new();
        keystead::internals::plugin::loader::load(&scene.trusted(file))
    };
    for _ in 0..2 {
        assert_eq!(load(&changed).unwrap_err().code(), "E09.layout");
        assert!(load(&skewed(Contract::Next).0).is_ok());
        assert!(load(&plugin("in-order")).is_ok());
    }
}
