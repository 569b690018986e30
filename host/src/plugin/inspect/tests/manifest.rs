//! What a manifest may say, and how permissions read.

use super::*;

#[test]
fn refuses_a_manifest_whose_header_lies() {
    let json = json();
    let len = json.len() as u32;
    let with = |block: Vec<u8>| Elf { block: Some(block), ..Elf::default() }.build();
    let longer = block_of(1, len + 1, &ABI_RUST, &json);
    assert_eq!(
        refusal(&with(longer)),
        format!(
            "E05.bad-manifest: the manifest is not valid: its header says {} bytes and there \
             are {len}",
            len + 1
        )
    );
    assert_eq!(
        refusal(&with(block_of(1, u32::MAX, &ABI_RUST, &json))),
        "E05.bad-manifest: the manifest is not valid: its header says 4294967295 bytes; the most \
         is 65536"
    );
    assert_eq!(
        refusal(&with(b"KEYSTEAD".to_vec())),
        "E05.bad-manifest: the manifest is not valid: its header is cut off"
    );
    assert_eq!(
        refusal(&with(block_of(2, len, &ABI_RUST, &json))),
        "E06.manifest-version: the manifest has version 2 and this host reads version 1"
    );
    assert_eq!(
        refusal(&with(block_of(1, len, b"abi_stable-0.12\0", &json))),
        "E06.unknown-abi: the plugin has the ABI `abi_stable-0.12`; this host knows \
         `abi_stable-0.11` and `c-1`"
    );
    assert_eq!(
        refusal(&with(block("not JSON"))),
        "E05.manifest-not-json: the manifest is not JSON as expected: expected ident at line 1 \
         column 2"
    );
}

#[test]
fn refuses_a_manifest_that_says_what_it_must_not() {
    let json = json();
    let refused = |from: &str, to: &str| {
        assert!(json.contains(from), "{from} is not in {json}");
        let text = json_refusal(&json.replace(from, to));
        text.strip_prefix("E05.bad-manifest: the manifest is not valid: ").unwrap().to_owned()
    };
    let rule = "1 to 64 lower-case letters, digits and dashes are allowed";
    for id in ["", "Vendor", "-a", "a/b", "..", "a b"] {
        assert_eq!(refused("vendor-safe", id), format!("`id` is `{id}`: {rule}"));
    }
    refused("vendor-safe", &"a".repeat(65));
    assert_eq!(refused("2.1.0", "2.1"), "`version` is `2.1`: not a semantic version");
    assert_eq!(
        refused("\"api\":\"1.0.0\"", "\"api\":\"1\""),
        "`api` is `1`: not a semantic version"
    );
    assert_eq!(refused("Vendor Ltd", "V\\u001b[2J"), "`vendor` has the character U+001B");
    assert_eq!(refused("Vendor Ltd", "V\u{202e}dtL"), "`vendor` has the character U+202E");
    assert_eq!(refused("Vendor Ltd", &"V".repeat(1_025)), "`vendor` has more than 1024 bytes");
    assert_eq!(refused("case-insensitive", "as it likes"), "`names` is `as it likes`");
    for template in
        ["{a.to}/..", "{a.to}/.ssh/", "{a.to}.key", "/srv/{a.to}", "{a.to}{a.of}", "{a.to}//"]
    {
        assert_eq!(
            refused("files:{path}", &format!("files:{template}")),
            format!(
                "permission `files:{template}:rw` has more of a path than what is typed for an action"
            )
        );
    }
    assert_eq!(
        refused("files:{path}", "files:{file}"),
        "permission `files:{file}:rw` refers to a parameter that no kind has"
    );
    let kinds =
        &json[json.find("[{\"name\":\"safe\"").unwrap()..json.rfind(",\"permissions\"").unwrap()];
    let kind = &kinds[1..kinds.len() - 1];
    assert_eq!(refused(kinds, "[]"), "`kinds` is empty");
    assert_eq!(refused(kinds, &format!("[{kind},{kind}]")), "`kinds` has `safe` twice");
    assert_eq!(
        refused(kinds, &format!("[{}]", [kind; 33].join(","))),
        "`kinds` has more than 32 entries"
    );
    let from = json.find("[{\"name\":\"path\"").unwrap();
    let parameters = &json[from..json.find("],\"permissions\":[]}]").unwrap() + 1];
    let parameter = &parameters[1..parameters.len() - 1];
    assert_eq!(
        refused(parameters, &format!("[{parameter},{parameter}]")),
        "`parameters` has `path` twice"
    );
    assert_eq!(
        refused("\"default\":\"\"", "\"default\":\"/srv\""),
        "the default of parameter `path`"
    );
    assert_eq!(
        json_refusal(&json.replace("\"schema\":1", "\"schema\":2")),
        "E06.manifest-version: the manifest has version 2 and this host reads version 1"
    );
}

#[test]
fn never_repeats_foreign_text_that_misleads_or_does_not_end() {
    let json =
        json().replace("\"schema\":1", &format!("\"schema\":\"\u{202e}{}\"", "x".repeat(9_999)));
    let text = json_refusal(&json);
    assert!(text.len() < 200 && !text.contains('\u{202e}'), "{text}");
    let json = self::json().replace("vendor-safe", &format!("\\u001b[2J{}", "x".repeat(9_999)));
    let text = json_refusal(&json);
    assert!(text.len() < 300 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn keeps_what_a_newer_plugin_says_apart() {
    let newer = json()
        .replace("\"schema\":1", "\"schema\":1,\"colour\":[\"teal\"]")
        .replace("\"capabilities\":[", "\"capabilities\":[\"rotate\",")
        .replace("\"values\":[", "\"values\":[\"link\",")
        .replace(
            "\"parameters\":[",
            "\"parameters\":[{\"name\":\"wait\",\"kind\":\"duration\",\"description\":\"\",\
             \"required\":false,\"secret\":false,\"default\":\"1s\"},",
        );
    let manifest = Manifest::parse(newer.as_bytes()).unwrap();
    let kind = &manifest.kinds[0];
    assert_eq!(kind.unknown, ["rotate", "link", "duration"]);
    assert_eq!(kind.capabilities, [Capability::Write, Capability::Unlock]);
    assert_eq!(kind.parameters.len(), 1);
    let needed = newer.replace("\"\",\"required\":false", "\"\",\"required\":true");
    assert_eq!(
        json_refusal(&needed),
        "E06.parameter-kind: the parameter `wait` has the kind `duration`, which this host does \
         not know"
    );
}

#[test]
fn refuses_a_permission_it_cannot_grant() {
    for written in ["root", "network:all", "files", "rotate:x", ""] {
        let error = Permission::parse(written).unwrap_err();
        assert_eq!(error.code(), "E07.unknown-permission", "{written}: {error}");
    }
    for written in [
        "files:{path}:w",
        "files:{path}",
        "files:etc:r",
        "files:/a/../b:r",
        "files:{a:r",
        "files:a}:r",
        "files:/{{a}}:r",
        "env:",
        "env:1A",
        "env:A=B",
        "env:LD_PRELOAD",
        "env:GLIBC_TUNABLES",
        "exec:",
        "exec:a/b",
        "exec:../sh",
        "library:",
        "library:../x.so",
        "library:$ORIGIN",
        "exec:a\u{202e}b",
    ] {
        let error = Permission::parse(written).unwrap_err();
        assert_eq!(error.code(), "E05.bad-manifest", "{written}: {error}");
    }
}

#[test]
fn a_permission_reads_as_plain_words_and_writes_as_it_was() {
    for (written, words) in [
        ("files:{path}:r", "may read files under {path}"),
        ("files:/srv/{name}:rw", "may read and write files under /srv/{name}"),
        ("replace:{path}", "may read the file {path}, and have Keystead replace it as a whole"),
        ("network", "may use the network"),
        ("env:HTTPS_PROXY", "may read the environment variable HTTPS_PROXY"),
        ("exec:gpg", "may run the program gpg"),
        ("exec:/usr/bin/gpg", "may run the program /usr/bin/gpg"),
        (
            "dbus",
            "may use the session bus and other sockets of yours, and so can run anything as you",
        ),
        ("library:libpcsclite.so.1", "is linked with the library libpcsclite.so.1"),
    ] {
        let permission = Permission::parse(written).unwrap();
        assert_eq!(permission.to_string(), words);
        assert_eq!(permission.text(), written);
    }
    let permission = Permission::parse("files:/srv/{a}/{b}:r").unwrap();
    assert_eq!(permission.parameters().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn kind_requests_what_is_its_own_and_unknown_optional_is_left_out() {
    let with = |requests: &str| {
        json().replace("\"permissions\":[]}]", &format!("\"permissions\":[{requests}]}}]"))
    };
    let requests = r#""network",{"permission":"env:HOME","optional":true,"why":"greets"},"network",
        {"permission":"levitate","optional":true}"#;
    let manifest = Manifest::parse(with(requests).as_bytes()).unwrap();
    let kind = &manifest.kinds[0];
    let request =
        |permission, optional, why: &str| Request { permission, optional, why: why.to_owned() };
    let home = Permission::Env("HOME".to_owned());
    assert_eq!(
        kind.permissions,
        [request(Permission::Network, false, ""), request(home.clone(), true, "greets")]
    );
    assert_eq!(kind.unknown, ["levitate"]);
    let all: Vec<_> = manifest.all_permissions().into_iter().map(Permission::text).collect();
    assert_eq!(all, ["files:{path}:rw", "library:libvendor.so.1", "network", "env:HOME"]);
    // Of plugins that were built before.
    assert_eq!(Manifest::parse(old().as_bytes()).unwrap().kinds[0].permissions, []);

    let refused = |requests: &str| json_refusal(&with(requests));
    assert_eq!(
        refused(r#""levitate""#),
        "E07.unknown-permission: the manifest asks for `levitate`, which this host cannot grant"
    );
    for (requests, why) in [
        (
            r#""files:{none}:r""#,
            "`files:{none}:r` refers to a parameter that its kind does not have",
        ),
        (
            r#""library:libx.so""#,
            "`library:libx.so` is of one kind of vault: a library is linked for all",
        ),
    ] {
        let text = format!("E05.bad-manifest: the manifest is not valid: permission {why}");
        assert_eq!(refused(requests), text);
    }
    let text = refused(r#"{"optional":true}"#);
    assert!(
        text.contains("expected a permission: a text, or an object with `permission`"),
        "{text}"
    );
}

/// Returns the JSON without the members that manifests did not always have.
fn old() -> String {
    let json = json();
    let old = json.replace(",\"permissions\":[]}]", "}]");
    assert_ne!(old, json);
    old
}
