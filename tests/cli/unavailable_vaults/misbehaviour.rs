//! Vaults in between whose plugins crash, or give out what they must not.

use snapbox::{assert_data_eq, str};

use super::{ALL, told, with};
use crate::plugin_files::{plugin, unchecked};

/// Those of them that the vault is asked in for one secret.
const SEARCH: [&str; 3] = ["-q get first", "-q get last", "-q get last --any"];

#[test]
fn vaults_in_between_that_crash() {
    assert_data_eq!(
        told(&with(plugin("exits"), "exits"), &SEARCH),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: plugin `exits` failed in vault `fishy`
  2: the plugin's process ended during `get`: exit status 7
Hint: report this to the vendor shown by `keystead plugin show exits`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any
exit code 0
--- stdout
[VALUE]<no newline>

"#]]
    );
    assert_data_eq!(
        told(&with(plugin("aborts"), "aborts"), &SEARCH),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: plugin `aborts` failed in vault `fishy`
  2: the plugin's process ended during `get`: signal 6 (SIGABRT)
Hint: report this to the vendor shown by `keystead plugin show aborts`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any
exit code 0
--- stdout
[VALUE]<no newline>

"#]]
    );
    assert_data_eq!(
        told(&with(plugin("segfaults"), "segfaults"), &SEARCH),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: plugin `segfaults` failed in vault `fishy`
  2: the plugin's process ended during `get`: signal 11 (SIGSEGV)
Hint: report this to the vendor shown by `keystead plugin show segfaults`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any
exit code 0
--- stdout
[VALUE]<no newline>

"#]]
    );
    assert_data_eq!(
        told(&with(plugin("panics"), "panics"), &SEARCH),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by: plugin `panics` misbehaved in vault `fishy`: the plugin panicked in `get` at panics/src/lib.rs:7
Hint: report this to the vendor shown by `keystead plugin show panics`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any
exit code 0
--- stdout
[VALUE]<no newline>

"#]]
    );
    let sandbox = with(plugin("panics-on-open"), "panics-on-open");
    assert_data_eq!(
        told(&sandbox, &ALL),
        str![[r#"
$ keystead -q get first
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: vault `fishy` cannot be opened
  2: plugin `panics-on-open` refused to open it: the plugin panicked in `open` at panics-on-open/src/lib.rs:4
Hint: run `keystead vault show fishy` to see its registration
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q get last --any
exit code 0
--- stdout
[VALUE]<no newline>
$ keystead -q show last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by:
  1: vault `fishy` cannot be opened
  2: plugin `panics-on-open` refused to open it: the plugin panicked in `open` at panics-on-open/src/lib.rs:4
Hint: run `keystead vault show fishy` to see its registration
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q list
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: vault `fishy` cannot be opened: plugin `panics-on-open` refused to open it: the plugin panicked in `open` at panics-on-open/src/lib.rs:4

"#]]
    );
}

#[test]
fn vaults_in_between_that_lie() {
    let lists = ["-q show last", "-q show last --any", "-q list", "-q list --json"];
    assert_data_eq!(
        told(&with(plugin("page-over"), "page-over"), &lists),
        str![[r#"
$ keystead -q show last
exit code 0
--- stdout
Name:  last
Vault: late
Kind:  text
$ keystead -q show last --any
exit code 0
--- stdout
Name:  last
Vault: late
Kind:  text
$ keystead -q list
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: plugin `page-over` misbehaved in vault `fishy`: `entries` has more than 1000 items
$ keystead -q list --json
exit code 5
--- stdout
{"schema":1,"name":"first","vault":"early","kind":"text","metadata":{}}
{"schema":1,"name":"last","vault":"late","kind":"text","metadata":{}}
--- stderr
{"schema":1,"warning":"vault `fishy` is not listed: plugin `page-over` misbehaved in vault `fishy`: `entries` has more than 1000 items"}

"#]]
    );
    assert_data_eq!(
        told(&with(plugin("cursor-still"), "cursor-still"), &lists),
        str![[r#"
$ keystead -q show last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by: plugin `cursor-still` misbehaved in vault `fishy`: the cursor of a listing stands still
Hint: report this to the vendor shown by `keystead plugin show cursor-still`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q show last --any
exit code 0
--- stdout
Name:  last
Vault: late
Kind:  text
$ keystead -q list
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: plugin `cursor-still` misbehaved in vault `fishy`: the page's cursor does not advance
$ keystead -q list --json
exit code 5
--- stdout
{"schema":1,"name":"first","vault":"early","kind":"text","metadata":{}}
{"schema":1,"name":"last","vault":"late","kind":"text","metadata":{}}
--- stderr
{"schema":1,"warning":"vault `fishy` is not listed: plugin `cursor-still` misbehaved in vault `fishy`: the page's cursor does not advance"}

"#]]
    );
    assert_data_eq!(
        told(&with(plugin("cursor-cycles"), "cursor-cycles"), &lists),
        str![[r#"
$ keystead -q show last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by: plugin `cursor-cycles` misbehaved in vault `fishy`: the cursor of a listing stands still
Hint: report this to the vendor shown by `keystead plugin show cursor-cycles`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q show last --any
exit code 0
--- stdout
Name:  last
Vault: late
Kind:  text
$ keystead -q list
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: plugin `cursor-cycles` misbehaved in vault `fishy`: the cursor of a listing stands still
$ keystead -q list --json
exit code 5
--- stdout
{"schema":1,"name":"first","vault":"early","kind":"text","metadata":{}}
{"schema":1,"name":"last","vault":"late","kind":"text","metadata":{}}
--- stderr
{"schema":1,"warning":"vault `fishy` is not listed: plugin `cursor-cycles` misbehaved in vault `fishy`: the cursor of a listing stands still"}

"#]]
    );
    let sandbox = with(unchecked("rude-names"), "rude-names");
    assert_data_eq!(
        told(&sandbox, &["-q list", "-q list control*"]),
        str![[r#"
$ keystead -q list
exit code 5
--- stdout
first	early	text	
last	late	text	
--- stderr
Warning: vault `fishy` is not listed: plugin `rude-names` misbehaved in vault `fishy`: a secret's name is not UTF-8
$ keystead -q list control*
exit code 5
--- stderr
Warning: vault `fishy` is not listed: plugin `rude-names` misbehaved in vault `fishy`: a secret's name has the control character U+001B

"#]]
    );
    let sandbox = with(plugin("value-long"), "value-long");
    assert_data_eq!(
        told(&sandbox, &["-q get last", "-q list"]),
        str![[r#"
$ keystead -q get last
exit code 5
--- stderr
Error: Vault `fishy` could not be asked for `last`
Caused by: plugin `value-long` misbehaved in vault `fishy`: the value has 16777217 bytes in its encoded form; the most is 16777216
Hint: report this to the vendor shown by `keystead plugin show value-long`
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete
$ keystead -q list
exit code 0
--- stdout
a	fishy	text	
first	early	text	
last	late	text	

"#]]
    );
}
