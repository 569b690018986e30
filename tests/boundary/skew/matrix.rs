//! Old and new plugins in old and new hosts, of both ABIs and from any build. Each pair has one
//! line.

use std::path::Path;

use super::{header, told_in};
use crate::plugin_files::{Contract, Profile, skewed_in};

/// ABI of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Language {
    Rust,
    C,
}

/// Results by pair, without items that the plugin does not use or the host does not request.
const TABLE: &str = "\
Rust, today's plugin in today's host | works: get, metadata, metadata back, get_many, list, rules, \
actions, set_many, read back
Rust, today's plugin in newer host | works: metadata, metadata back, get_many, list, rules, \
actions, set_many, read back; without: get, health; refused: set link, set map, merge, set digest, \
digest, parameter
Rust, newer plugin in today's host | works: get, set_many, read back; without: metadata, get_many, \
list, rules, actions, notify, throttled, approval, digits; refused: metadata back, link, touch, pin
Rust, newer plugin in newer host | works: get, metadata, metadata back, link, get_many, list, rules, \
actions, notify, throttled, approval, touch, pin, digits, set_many, read back, set link, set map, \
merge, set digest, digest, health, parameter
C, today's plugin in today's host | works: get, metadata, metadata back, get_many, list, rules, \
actions, set_many, read back
C, today's plugin in newer host | works: metadata, metadata back, get_many, list, rules, actions, \
set_many, read back, set map; without: get, health; refused: set link, merge, set digest, digest, \
parameter
C, newer plugin in today's host | works: get, set_many, read back; without: metadata, get_many, \
list, rules, actions, notify, throttled, approval, digits; refused: metadata back, link, touch, pin
C, newer plugin in newer host | works: get, metadata, metadata back, link, get_many, list, rules, \
actions, notify, throttled, approval, touch, pin, digits, set_many, read back, set link, set map, \
merge, set digest, digest, health, parameter
";

/// Returns the name of the pair in the table.
fn pair(language: Language, plugin: Contract, host: Contract) -> String {
    let age = |contract| match contract {
        Contract::Today => "today's",
        Contract::Next => "newer",
    };
    format!("{language:?}, {} plugin in {} host | ", age(plugin), age(host))
}

/// Returns a host's output as one line: items that work, lack a part, or are refused.
fn line(told: &str) -> String {
    let mut groups = [("works", Vec::new()), ("without", Vec::new()), ("refused", Vec::new())];
    for line in told.lines().filter(|line| !line.starts_with([' ', 'f'])) {
        let (what, came) = line.split_once(": ").unwrap_or((line, "?"));
        let group = groups.iter_mut().find(|(group, _)| came.starts_with(group));
        group.unwrap_or_else(|| panic!("what came of it is not clear: {line}")).1.push(what);
    }
    let groups = groups.iter().filter(|(_, all)| !all.is_empty());
    let groups: Vec<_> =
        groups.map(|(group, all)| format!("{group}: {}", all.join(", "))).collect();
    groups.join("; ")
}

/// Checks the result of this plugin in this host against the table.
pub(in super::super) fn check(
    built: &str,
    language: Language,
    plugin: (Contract, &Path),
    host: (Contract, Profile),
) -> String {
    let abi = if language == Language::C { &["c"][..] } else { &[] };
    let told = told_in(host.0, host.1, plugin.1, abi);
    check_line(&format!("{built}, host {:?}", host.1), language, plugin.0, host.0, &told)
}

/// Checks a host's output about a plugin, and returns its line of the table.
pub(super) fn check_line(
    built: &str,
    language: Language,
    plugin: Contract,
    host: Contract,
    told: &str,
) -> String {
    let cell = pair(language, plugin, host) + &line(told);
    assert!(TABLE.lines().any(|expected| expected == cell), "{built}: {cell}\n{told}");
    cell
}

#[test]
fn each_version_pair_works_in_debug_and_release_builds() {
    let dir = tempfile::tempdir().unwrap();
    for host in Profile::ALL {
        let mut table = String::new();
        for (language, profile) in [
            (Language::Rust, Profile::Debug),
            (Language::Rust, Profile::Release),
            (Language::C, Profile::Debug),
            (Language::C, Profile::Release),
        ] {
            for plugin in Contract::ALL {
                let file = match (language, profile) {
                    (Language::Rust, profile) => skewed_in(plugin, profile).0,
                    (Language::C, Profile::Debug) => {
                        header::compiled(plugin, &["-O0", "-g"], dir.path())
                    }
                    (Language::C, Profile::Release) => {
                        header::compiled(plugin, &["-O2", "-s"], dir.path())
                    }
                };
                for other in Contract::ALL {
                    let built = format!("{profile:?}");
                    let cell = check(&built, language, (plugin, &file), (other, host));
                    if profile == Profile::Debug {
                        table += &format!("{cell}\n");
                    }
                }
            }
        }
        assert_eq!(table, TABLE, "host: {host:?}");
    }
}
