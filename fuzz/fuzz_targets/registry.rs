//! A registration's file as an editor, a script or an enemy leaves it: whatever the text,
//! it is a registration or an error with a place; and what is read is written back the same.

#![no_main]

mod change;

use std::path::Path;

use keystead::Registration;
use keystead::paths::Layer;
use keystead_plugin_api::VaultName;

/// A good file, which most inputs are changes to.
const GOOD: &str = "# made by hand\nschema = 1\nplugin = \"memory\" # ours\nkind = \"memory\"\n\
    description = \"at work\"\nplacement = \"isolated\"\nsearch = false\ngrants = [\"network\"]\n\n\
    [parameters]\nport = 8200\nstrict = true\nurl = 'https://vault.example'\n\
    token = { from = \"keystead://other/token#value\" }\n\n\
    [unlock]\npassword = 'command:[\"pass\", \"show\", \"x\"]'\n";

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let bytes = match which % 2 {
        0 => change::apply(GOOD.as_bytes().to_vec(), rest),
        _ => rest.to_vec(),
    };
    let Ok(text) = String::from_utf8(bytes) else { return };
    let name = VaultName::parse("work").expect("a good name");
    let path = Path::new("/etc/keystead/vaults/work.toml");
    for layer in [Layer::System, Layer::User] {
        let Ok(entry) = Registration::parse(name.clone(), layer, path, &text) else { continue };
        for old in [None, Some(text.as_str())] {
            let written = entry.to_toml(old);
            let again = Registration::parse(name.clone(), layer, path, &written);
            assert_eq!(again.expect("what is written can be read"), entry);
        }
    }
});
