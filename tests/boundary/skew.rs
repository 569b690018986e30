//! Plugins and hosts of different versions. The feature `next` of plugin-api appends a
//! request's field, a reply's, a function, a kind of error and a kind of value: with it a
//! plugin is newer than today's host, without it older than tomorrow's.

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
get text: Secret { value: Text([redacted]), metadata: Metadata({}) }
get link: not found: no such secret
get throttled: not found: no such secret
list: [(\"text\", Some(\"text\"))]
  logged: set one
  logged: set two
set_many: [Ok(()), Ok(())]
get two: Secret { value: Text([redacted]), metadata: Metadata({}) }
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
fit: plugin-newer
  logged: reason: None
get text: Secret { value: Text([redacted]), metadata: Metadata({}) }
  logged: reason: None
get link: unsupported: the value is of kind 5, unknown here
  logged: reason: None
get throttled: internal error: slow down
list: [(\"link\", None), (\"text\", Some(\"text\"))]
  logged: set one
  logged: set two
set_many: [Ok(()), Ok(())]
  logged: reason: None
get two: Secret { value: Text([redacted]), metadata: Metadata({}) }
"
    );
}

#[test]
fn todays_plugin_works_in_tomorrows_host_and_refuses_what_it_does_not_know() {
    // That `set` refused it before the plugin saw it shows in the log: there is no line.
    assert_eq!(
        told_of(Contract::Next, Contract::Today),
        "\
fit: plugin-older
get text: Secret { value: Text([redacted]), metadata: Metadata({}), lease_millis: None }
get link: not found: no such secret
get throttled: not found: no such secret
list: [(\"text\", Some(\"text\"))]
  logged: set one
  logged: set two
set_many: [Ok(()), Ok(())]
get two: Secret { value: Text([redacted]), metadata: Metadata({}), lease_millis: None }
set new-link: unsupported: the value is of kind 5, unknown here
get new-link: not found: no such secret
set new-map: unsupported: the value is of kind 5, unknown here
get new-map: not found: no such secret
health: {}
"
    );
}

#[test]
fn a_plugin_from_before_set_many_is_written_to_one_by_one() {
    let table: Patch = (
        "plugin-api/src/abi/table.rs",
        "    /// [`Vault::set_many`](crate::Vault::set_many).
    pub set_many:
        unsafe extern \"C\" fn(*mut AbiState, AbiSetManyRequestRef) -> AbiReply<AbiWrittenRef>,\n",
        "",
    );
    let plugin_side: Patch =
        ("plugin-api/src/abi/plugin_side.rs", "    close,\n    set_many,\n", "    close,\n");
    let host_side: Patch = (
        "plugin-api/src/abi/host_side.rs",
        "match self.0.table.set_many() {",
        "match None::<AbiCall<AbiSetManyRequestRef, AbiWrittenRef>> {",
    );
    let older = patched("skew", "before-set-many", &[table, plugin_side, host_side], &[]);
    let told = told(Contract::Today, &older);
    assert!(told.starts_with("fit: plugin-older\n"), "{told}");
    let end = "  logged: set one\n  logged: set two\nset_many: [Ok(()), Ok(())]\n\
               get two: Secret { value: Text([redacted]), metadata: Metadata({}) }\n";
    assert!(told.ends_with(end), "{told}");
}

const NEXT: &[&str] = &["--features", "next"];

const TYPES: &str = "plugin-api/src/abi/types.rs";

const MINOR: Patch = ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"1.1.0\"");

#[test]
fn a_plugin_of_the_next_minor_version_fits_by_its_number_too() {
    let newer = patched("skew", "minor", &[MINOR], NEXT);
    assert!(told(Contract::Today, &newer).starts_with("fit: plugin-newer\n"));
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

#[test]
fn a_type_that_has_changed_is_refused_in_one_line_with_path_and_sizes() {
    for (label, patch, difference) in [
        (
            "grown",
            (TYPES, "    pub key: AbiBytes,\n", "    pub key: AbiBytes,\n    pub extra: u64,\n"),
            "AbiMetadata: size: host 48, plugin 56",
        ),
        (
            "swapped",
            (TYPES, "        status: i32,\n", "        status: u32,\n"),
            "status > i32: type: host i32, plugin u32",
        ),
    ] {
        let mut patches: Vec<Patch> = vec![patch];
        if label == "grown" {
            // What fills the new field in.
            patches.push((
                "plugin-api/src/abi/lend.rs",
                "        AbiMetadata { key, kind, integer, text }",
                "        AbiMetadata { key, extra: 0, kind, integer, text }",
            ));
        } else {
            patches.push((
                "plugin-api/src/abi/lend.rs",
                "        status: output.status,",
                "        status: output.status as u32,",
            ));
            patches.push((
                "plugin-api/src/abi/read/reply.rs",
                "ExecOutput::new(view.status(),",
                "ExecOutput::new(view.status() as i32,",
            ));
        }
        let changed = patched("skew", label, &patches, &[]);
        let line = told(Contract::Today, &changed);
        let prefix = format!("E09.layout: {} does not fit this host: plugin > ", changed.display());
        assert!(line.starts_with(&prefix), "{line}");
        assert!(line.ends_with(&format!("{difference}\n")), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn two_versions_that_grew_apart_do_not_fit() {
    // Tomorrow's host has `reason` where this one has something else.
    let apart: Patch = (
        TYPES,
        "        #[cfg(feature = \"next\")]\n        reason: AbiBytes,\n",
        "        urgency: u64,\n",
    );
    let other: Patch = (
        "plugin-api/src/abi/lend.rs",
        "        #[cfg(feature = \"next\")]\n        reason: arena.optional(request.reason.as_deref()),\n",
        "        urgency: 0,\n",
    );
    let diverged = patched("skew", "apart", &[apart, other], &[]);
    assert!(told(Contract::Today, &diverged).starts_with("fit: plugin-newer\n"));
    let line = told(Contract::Next, &diverged);
    assert!(line.starts_with("E09.layout: ") && line.lines().count() == 1, "{line}");
    assert!(line.contains("host `reason`, plugin `urgency`"), "{line}");
}

#[test]
fn a_plugin_that_does_not_fit_leaves_the_next_one_alone() {
    let changed = patched(
        "skew",
        "grown",
        &[
            (TYPES, "    pub key: AbiBytes,\n", "    pub key: AbiBytes,\n    pub extra: u64,\n"),
            (
                "plugin-api/src/abi/lend.rs",
                "        AbiMetadata { key, kind, integer, text }",
                "        AbiMetadata { key, extra: 0, kind, integer, text }",
            ),
        ],
        &[],
    );
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
