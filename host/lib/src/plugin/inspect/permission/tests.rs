//! Permissions as they are written, filled in, shown and compared.

use super::*;

#[test]
fn template_fills_only_known_parameters() {
    let values = BTreeMap::from([("dir".to_owned(), "/srv/{sub}".to_owned())]);
    let asked = Permission::parse("files:{dir}/{sub}:rw").unwrap();
    assert_eq!(asked.filled_in(&values).text(), "files:/srv/{sub}/{sub}:rw");
    assert_eq!(Permission::Network.filled_in(&values), Permission::Network);
}

#[test]
fn filled_in_dir_path_is_normalised_with_trailing_slash() {
    for (template, value, filled, shown) in [
        ("{x}", "/a/b", "/a/b", "under /a/b"),
        ("{x}/", "/a/b", "/a/b/", "under /a/b"),
        ("{x}/", "/a//b/", "/a/b/", "under /a/b"),
        ("{x}/..", "/a/b", "/a/", "under /a"),
        ("{x}/..", "/a/b/", "/a/", "under /a"),
        ("{x}/..", "/a", "/", "under /"),
        ("{x}/", "/", "/", "under /"),
        ("{x}/sub/..", "/a/b", "/a/b/", "under /a/b"),
        ("{x}/..", "/a/b/c/..", "/a/", "under /a"),
        ("{x}", "/a/./b/../c", "/a/c", "under /a/c"),
        ("{x}", "/../a", "/a", "under /a"),
    ] {
        let values = BTreeMap::from([("x".to_owned(), value.to_owned())]);
        let asked = Permission::parse(&format!("files:{template}:r")).unwrap();
        let asked = asked.filled_in(&values);
        assert_eq!(asked.text(), format!("files:{filled}:r"), "{template} {value}");
        assert_eq!(asked.to_string(), format!("may read files {shown}"));
    }
    let asked = Permission::parse("files:{file}/..:rw").unwrap();
    assert_eq!(asked.to_string(), "may read and write files in the directory of {file}");
    assert_eq!(asked.text(), "files:{file}/..:rw");
    for wrong in ["files:{file}/../..:r", "files:{file}/../x:r", "files:..:r", "files:/..x/../:r"] {
        assert!(Permission::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn replace_and_socket_permission_take_single_file_path() {
    for word in ["replace", "socket"] {
        for (template, value, filled) in
            [("{x}", "/a/b", "/a/b"), ("{x}", "/a//b/", "/a/b"), ("/a/{x}.kdbx", "b", "/a/b.kdbx")]
        {
            let values = BTreeMap::from([("x".to_owned(), value.to_owned())]);
            let asked = Permission::parse(&format!("{word}:{template}")).unwrap();
            let asked = asked.filled_in(&values);
            assert_eq!(asked.text(), format!("{word}:{filled}"), "{template} {value}");
            assert_eq!(Permission::parse(&asked.text()).unwrap(), asked);
        }
        for wrong in ["", "x", "{x}/..", "/a/../b"] {
            let error = Permission::parse(&format!("{word}:{wrong}")).unwrap_err();
            assert_eq!(error.code(), "E05.bad-manifest", "{wrong}");
        }
        // A path from a parameter may have a colon; a colon in a manifest's own path belongs to a
        // later plugin API.
        for later in ["{x}/", "{x}:atomic", "/a:b"] {
            let error = Permission::parse_template(&format!("{word}:{later}")).unwrap_err();
            assert_eq!(error.code(), "E07.unknown-permission", "{later}");
        }
        let with_colon = format!("{word}:/a:b");
        assert_eq!(Permission::parse(&with_colon).unwrap().text(), with_colon);
    }
    assert_eq!(Permission::parse("socket").unwrap_err().code(), "E07.unknown-permission");
}

#[test]
fn duplicate_or_reserved_program_variables_are_rejected() {
    for (written, words) in [
        ("exec:op", "may run the program op"),
        ("exec:op:A", "may run the program op and set its environment variable A"),
        ("exec:{p}:A,B", "may run the program {p} and set its environment variables A and B"),
        ("exec:op:A,B,C", "may run the program op and set its environment variables A, B and C"),
    ] {
        let permission = Permission::parse_template(written).unwrap();
        assert_eq!((permission.text().as_str(), permission.to_string().as_str()), (written, words));
    }
    for list in [
        "",
        "A,",
        "A,,B",
        "A,A",
        "1A",
        "A=B",
        "A B",
        "A:B",
        "PATH",
        "A,HOME",
        "LD_PRELOAD",
        "LD_X",
        "GLIBC_TUNABLES",
        ":",
        "\u{e9}",
    ] {
        for program in ["sh", "/bin/sh", "{p}"] {
            let written = format!("exec:{program}:{list}");
            let error = Permission::parse(&written).unwrap_err();
            assert_eq!(error.code(), "E05.bad-manifest", "{written}: {error}");
        }
    }
}

#[test]
fn program_path_with_colon_is_not_read_as_variables() {
    let asked = Permission::parse_template("exec:{program}:REGION").unwrap();
    let plain = Permission::parse_template("exec:{program}").unwrap();
    for (value, with, without) in [
        ("/opt/a", "exec:/opt/a:REGION", "exec:/opt/a"),
        ("/opt/a:B", "exec::/opt/a:B:REGION", "exec::/opt/a:B:"),
        ("/opt/a:", "exec::/opt/a::REGION", "exec::/opt/a::"),
        ("/opt/a:B,C:", "exec::/opt/a:B,C::REGION", "exec::/opt/a:B,C::"),
    ] {
        let values = BTreeMap::from([("program".to_owned(), value.to_owned())]);
        for (asked, text) in [(&asked, with), (&plain, without)] {
            let filled = asked.filled_in(&values);
            assert_eq!(filled.text(), text);
            assert_eq!(Permission::parse(text).unwrap(), filled, "{text}");
            assert_eq!(Permission::parse_template(text).is_ok(), !value.contains(':'), "{text}");
        }
    }
    // A text that is no path is ambiguous and never granted.
    for text in ["exec::a:B:", "exec::a:", "exec::/a:B", "exec::", "exec::::"] {
        assert!(Permission::parse(text).is_err(), "{text}");
    }
}

#[test]
fn filled_in_path_is_normalised_and_keeps_braces() {
    for (written, expected) in [
        ("files:/root/../etc/shadow:r", Some("files:/etc/shadow:r")),
        ("files:/root/a{b:r", Some("files:/root/a{b:r")),
        ("files:/a//b/./c/:rw", Some("files:/a/b/c/:rw")),
        ("replace:/a/../b}", Some("replace:/b}")),
        ("socket:/a/../b}", Some("socket:/b}")),
        ("socket:x", None),
        ("network", Some("network")),
        ("files:rel:r", None),
        ("files:{x}:r", None),
        ("files:/a", None),
        ("files:/a:rx", None),
        ("replace:x", None),
        ("gpu", None),
        ("", None),
    ] {
        let parsed = Permission::parse_filled_in(written).map(|permission| permission.text());
        assert_eq!(parsed.as_deref(), expected, "{written}");
    }
}

#[test]
fn grant_covers_only_equal_or_narrower_permission() {
    let covers = |granted: &str, asked: &str| {
        Permission::parse(granted).unwrap().covers(&Permission::parse(asked).unwrap())
    };
    for (granted, asked) in [
        ("files:/a/:rw", "files:/a/:rw"),
        ("files:/a/:rw", "files:/a:r"),
        ("files:/a:rw", "files:/a/:rw"),
        ("files:/a/:rw", "files:/a/b/c:rw"),
        ("files:/a/:r", "files:/a/b/:r"),
        ("files:/a/:rw", "replace:/a/b"),
        ("network", "network"),
        ("socket:/a/b", "socket:/a/b"),
        ("exec:gpg", "exec:gpg"),
        ("exec:gpg:A,B", "exec:gpg"),
        ("exec:gpg:A,B", "exec:gpg:B"),
        ("exec:gpg:A,B", "exec:gpg:B,A"),
    ] {
        assert!(covers(granted, asked), "{granted} {asked}");
    }
    for (granted, asked) in [
        ("files:/a/:r", "files:/a/:rw"),
        ("files:/a/:rw", "files:/ab:r"),
        ("files:/a:rw", "files:/a/b:r"),
        ("files:/a/b/:rw", "files:/a/:r"),
        ("network", "dbus"),
        ("files:/a/:r", "replace:/a/b"),
        ("files:/a/b:rw", "replace:/a/b"),
        ("replace:/a", "replace:/a/b"),
        ("replace:/a", "files:/a:r"),
        ("socket:/a", "socket:/a/b"),
        ("files:/a/:rw", "socket:/a/b"),
        ("dbus", "socket:/a"),
        ("socket:/a", "dbus"),
        ("env:A", "env:B"),
        ("exec:gpg", "exec:gpg2"),
        ("exec:gpg", "exec:gpg:A"),
        ("exec:gpg:A", "exec:gpg:A,B"),
        ("exec:gpg:A,B", "exec:sh:A"),
        ("exec::/a:B:", "exec:/a:B"),
        ("exec:/a:B", "exec::/a:B:"),
    ] {
        assert!(!covers(granted, asked), "{granted} {asked}");
    }
}
