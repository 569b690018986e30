//! Content of manifests, and the text of permissions.

use super::*;

#[test]
fn manifest_with_wrong_header_is_rejected() {
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
fn invalid_manifest_field_is_rejected() {
    let json = json();
    let refused = |from: &str, to: &str| {
        assert!(json.contains(from), "{from} is not in {json}");
        let text = json_refusal(&json.replace(from, to));
        text.strip_prefix("E05.bad-manifest: the manifest is not valid: ").unwrap().to_owned()
    };
    let rule = "expected 1 to 64 lower-case letters, digits and dashes";
    for id in ["", "Vendor", "-a", "a/b", "..", "a b"] {
        assert_eq!(refused("vendor-safe", id), format!("`id` is `{id}`: {rule}"));
    }
    refused("vendor-safe", &"a".repeat(65));
    let semantic = "expected a semantic version, such as `1.0.0`";
    assert_eq!(refused("2.1.0", "2.1"), format!("`version` is `2.1`: {semantic}"));
    assert_eq!(refused("\"api\":\"1.0.0\"", "\"api\":\"1\""), format!("`api` is `1`: {semantic}"));
    for (text, code) in [("V\\u001b[2J", "001B"), ("V\u{202e}dtL", "202E")] {
        let expected = format!("`vendor` has the character U+{code}: expected one plain line");
        assert_eq!(refused("Vendor Ltd", text), expected);
    }
    assert_eq!(
        refused("Vendor Ltd", &"V".repeat(1_025)),
        "`vendor` has 1025 bytes: expected at most 1024"
    );
    assert_eq!(
        refused("case-insensitive", "as\\nit"),
        "`kinds[0].names` has the character U+000A: expected one plain line"
    );
    for template in
        ["{a.to}/..", "{a.to}/.ssh/", "{a.to}.key", "/srv/{a.to}", "{a.to}{a.of}", "{a.to}//"]
    {
        assert_eq!(
            refused("files:{path}", &format!("files:{template}")),
            format!(
                "`permissions[0]`: permission `files:{template}:rw` has more of a path than what is typed for an action"
            )
        );
    }
    assert_eq!(
        refused("files:{path}", "files:{file}"),
        "`permissions[0]`: permission `files:{file}:rw` refers to a parameter that no kind has"
    );
    let kinds =
        &json[json.find("[{\"name\":\"safe\"").unwrap()..json.rfind(",\"permissions\"").unwrap()];
    let kind = &kinds[1..kinds.len() - 1];
    assert_eq!(
        refused(kinds, "[]"),
        "`kinds` is an empty list: expected a list with a kind of vault"
    );
    assert_eq!(
        refused(kinds, &format!("[{kind},{kind}]")),
        "`kinds[1].name` is `safe`: expected a name that no other kind has"
    );
    assert_eq!(
        refused(kinds, &format!("[{}]", [kind; 33].join(","))),
        "`kinds` has 33 entries: expected at most 32"
    );
    let from = json.find("[{\"name\":\"path\"").unwrap();
    let parameters = &json[from..json.find("],\"permissions\":[]}]").unwrap() + 1];
    let parameter = &parameters[1..parameters.len() - 1];
    assert_eq!(
        refused(parameters, &format!("[{parameter},{parameter}]")),
        "`kinds[0].parameters[1].name` is `path`: expected a name that no other parameter has"
    );
    assert_eq!(
        refused("\"default\":\"\"", "\"default\":\"/srv\""),
        "`kinds[0].parameters[0].default` is `/srv`: expected none, for the parameter is required"
    );
    assert_eq!(
        json_refusal(&json.replace("\"schema\":1", "\"schema\":2")),
        "E06.manifest-version: the manifest has version 2 and this host reads version 1"
    );
}

#[test]
fn manifest_error_escapes_and_cuts_foreign_text() {
    let json =
        json().replace("\"schema\":1", &format!("\"schema\":\"\u{202e}{}\"", "x".repeat(9_999)));
    let text = json_refusal(&json);
    assert!(text.len() < 200 && !text.contains('\u{202e}'), "{text}");
    let json = self::json().replace("vendor-safe", &format!("\\u001b[2J{}", "x".repeat(9_999)));
    let text = json_refusal(&json);
    assert!(text.len() < 300 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn manifest_error_has_path_and_expected_value() {
    let refused = |rest: &str| {
        let json = format!("{{\"id\":\"a\",\"version\":\"1.0.0\"{rest}}}");
        let text = json_refusal(&json);
        text.strip_prefix("E05.bad-manifest: the manifest is not valid: ").unwrap().to_owned()
    };
    let of_kind = |rest: &str| refused(&format!(",\"kinds\":[{{\"name\":\"k\"{rest}}}]"));
    for (said, expected) in [
        (refused(""), "`kinds` is missing: expected a list with a kind of vault"),
        (refused(r#","kinds":"k""#), "`kinds` is `k`: expected a list"),
        (refused(r#","kinds":["k"]"#), "`kinds[0]` is `k`: expected an object"),
        (
            refused(r#","kinds":[{}]"#),
            "`kinds[0].name` is missing: expected 1 to 64 lower-case letters, digits and dashes",
        ),
        (of_kind(r#","description":5"#), "`kinds[0].description` is a number: expected a text"),
        (of_kind(r#","values":[null]"#), "`kinds[0].values[0]` is null: expected a text"),
        (
            of_kind(r#","parameters":[{"name":"p","kind":"integer","default":"x"}]"#),
            "`kinds[0].parameters[0].default` is `x`: expected a whole number",
        ),
        (
            of_kind(r#","parameters":[{"name":"p","kind":"boolean","default":"1"}]"#),
            "`kinds[0].parameters[0].default` is `1`: expected `true` or `false`",
        ),
        (
            of_kind(r#","parameters":[{"name":"p"},{"name":"q","secret":"yes"}]"#),
            "`kinds[0].parameters[1].secret` is `yes`: expected `true` or `false`",
        ),
        (
            of_kind(r#","permissions":["files:{x}:r"]"#),
            "`kinds[0].permissions[0]`: permission `files:{x}:r` refers to a parameter that its \
             kind does not have",
        ),
        (
            of_kind(r#","permissions":[["network"]]"#),
            "`kinds[0].permissions[0]` is a list: expected a permission: a text, or an object \
             with `permission`",
        ),
        (
            refused(r#","kinds":[{"name":"k"}],"permissions":["files:/a"]"#),
            "`permissions[0]`: permission `files:/a`: it ends neither with `:r` nor with `:rw`",
        ),
        (
            refused(
                r#","kinds":[{"name":"k"}],"permissions":[{"permission":"library:x.so","optional":true}]"#,
            ),
            "`permissions[0]`: a library is linked, and cannot be optional",
        ),
        (
            of_kind(r#","capabilities":[""]"#),
            "`kinds[0].capabilities[0]` is ``: expected a text that is not empty",
        ),
        (
            of_kind(r#","permissions":[{"optional":5}]"#),
            "`kinds[0].permissions[0].optional` is a number: expected `true` or `false`",
        ),
        (refused(r#","schema":"1""#), "`schema` is `1`: expected a whole number"),
    ] {
        assert_eq!(said, expected);
    }
    assert_eq!(
        json_refusal("[]"),
        "E05.bad-manifest: the manifest is not valid: the whole is an empty list: expected an object"
    );
    let whole = |json: &str| {
        let text = json_refusal(json);
        text.strip_prefix("E05.bad-manifest: the manifest is not valid: ").unwrap().to_owned()
    };
    assert_eq!(whole(r#"{"id":"a","id":"b"}"#), "`id` is there twice");
    let twice =
        r#"{"kinds":[{"name":"a"},{"parameters":[{"name":"p","new":{"a\u001b":1,"a\u001b":2}}]}]}"#;
    assert_eq!(whole(twice), "`kinds[1].parameters[0].new.a\u{fffd}` is there twice");
}

#[test]
fn minimal_manifest_gets_defaults() {
    let json = r#"{"id":"a","version":"0.1.0","kinds":[{"name":"k","parameters":[{"name":"p"}]}]}"#;
    let manifest = ParsedManifest::parse(json.as_bytes()).unwrap();
    assert_eq!(manifest.api, semver::Version::new(1, 0, 0));
    assert_eq!((&*manifest.description, manifest.permissions.len()), ("", 0));
    let kind = &manifest.kinds[0];
    assert_eq!((kind.names, &*kind.values), (NameRule::CaseSensitive, &[ValueKind::Text][..]));
    assert_eq!(kind.parameters, [OwnedParameter::new("p", ParameterKind::Text, "")]);
    assert!(kind.capabilities.is_empty() && kind.unknown.is_empty());
}

#[test]
fn unknown_optional_part_is_ignored_and_listed() {
    let newer = json()
        .replace("\"schema\":1", "\"schema\":1,\"colour\":[\"teal\"]")
        .replace("\"capabilities\":[", "\"capabilities\":[\"rotate\",")
        .replace("\"values\":[", "\"values\":[\"link\",")
        .replace(
            "\"parameters\":[",
            "\"parameters\":[{\"name\":\"wait\",\"kind\":\"duration\",\"default\":\"1s\"},",
        )
        .replace(
            "],\"permissions\":[]}]",
            "],\"permissions\":[{\"permission\":\"camera\",\"optional\":true},\
             \"files:/srv/{wait}:r\"]}]",
        );
    let manifest = ParsedManifest::parse(newer.as_bytes()).unwrap();
    let kind = &manifest.kinds[0];
    assert_eq!(kind.needs_newer_host(), None);
    assert_eq!(
        manifest.left_out(),
        [
            "the capability `rotate`",
            "values of the kind `link`",
            "the parameter `wait` of the kind `duration`",
            "the permission `camera`"
        ]
        .map(|what| format!("vaults of kind `safe` lack {what}: this host does not know it"))
    );
    assert_eq!(kind.capabilities, [Capability::Write, Capability::Unlock]);
    assert_eq!((kind.parameters.len(), kind.permissions.len()), (1, 1));
}

#[test]
fn kind_requiring_unknown_part_cannot_be_opened() {
    for (kind, permissions, unknown) in [
        (r#""names":"unicode""#, "", "the rule for names `unicode`"),
        (
            r#""parameters":[{"name":"wait","kind":"duration","required":true}]"#,
            "",
            "the parameter `wait` of the kind `duration`",
        ),
        (r#""permissions":["camera:{lens}"]"#, "", "the permission `camera:{lens}`"),
        (r#""parameters":[{"name":"lens"}]"#, "camera:{lens}", "the permission `camera:{lens}`"),
    ] {
        let permissions = match permissions {
            "" => String::new(),
            one => format!("\"{one}\""),
        };
        let json = format!(
            r#"{{"id":"a","version":"1.0.0","permissions":[{permissions}],
            "kinds":[{{"name":"new",{kind}}},{{"name":"old"}}]}}"#
        );
        let manifest = ParsedManifest::parse(json.as_bytes()).unwrap();
        let needs = manifest.kind(None).unwrap().needs_newer_host().unwrap();
        assert_eq!(needs.to_string(), unknown);
        assert_eq!(manifest.kind(Some("old")).unwrap().needs_newer_host(), None);
        assert_eq!(
            manifest.left_out(),
            [format!("vaults of kind `new` cannot be opened: this host does not know {unknown}")]
        );
    }
}

#[test]
fn unknown_part_of_any_form_disables_only_its_dependents() {
    let of = |kind: &str, whole: &str| {
        let json = format!(
            r#"{{"id":"a","version":"1.0.0",{whole}"kinds":[{{"name":"new"{kind}}},{{"name":"old"}}]}}"#
        );
        let manifest = ParsedManifest::parse(json.as_bytes())
            .unwrap_or_else(|fault| panic!("{json}: {fault}"));
        (manifest.left_out(), manifest)
    };
    let lacks =
        |what: &str| [format!("vaults of kind `new` lack {what}: this host does not know it")];
    let closed = |what: &str| {
        [format!("vaults of kind `new` cannot be opened: this host does not know {what}")]
    };
    for (list, shown) in [
        (r#"["sign_v2"]"#, "`sign_v2`"),
        (r#"["Sign"]"#, "`Sign`"),
        (r#"["fly_high"]"#, "`fly_high`"),
        (
            r#"["write",{"capability":"sign","n":[1,-2,0.5]}]"#,
            r#"`{"capability":"sign","n":[1,-2,0.5]}`"#,
        ),
        (r#"[{"a":"\u001b"}]"#, "`{\"a\":\"\u{fffd}\"}`"),
    ] {
        let (left_out, manifest) = of(&format!(r#","capabilities":{list}"#), "");
        assert_eq!(left_out, lacks(&format!("the capability {shown}")));
        assert_eq!(manifest.kinds[0].capabilities.is_empty(), !list.contains("write"));
    }
    let long = "y".repeat(1_024);
    let (left_out, _) = of(&format!(r#","capabilities":["{long}"]"#), "");
    assert_eq!(left_out, lacks(&format!("the capability `{}...`", "y".repeat(80))));
    for value in ["json.v2", "ssh_key"] {
        let (left_out, _) = of(&format!(r#","values":["{value}"]"#), "");
        assert_eq!(left_out, lacks(&format!("values of the kind `{value}`")));
    }
    let (left_out, _) = of(r#","names":{"rule":"nfc"}"#, "");
    assert_eq!(left_out, closed(r#"the rule for names `{"rule":"nfc"}`"#));
    let (left_out, _) = of(r#","parameters":[{"name":"p","kind":"list_of"}]"#, "");
    assert_eq!(left_out, lacks("the parameter `p` of the kind `list_of`"));
    for permission in [
        "exec:/bin/sh:A,B:tty",
        "exec:/bin/sh:A:tty",
        "env:X*",
        "env:X:secret",
        "replace:/x/",
        "replace:/x:atomic",
        "network:443",
        "gpu:{0}",
    ] {
        let unknown = format!("the permission `{permission}`");
        let (left_out, _) = of(&format!(r#","permissions":["{permission}"]"#), "");
        assert_eq!(left_out, closed(&unknown));
        let object = format!(r#"{{"permission":"{permission}","optional":true}}"#);
        let (left_out, manifest) = of(&format!(r#","permissions":[{object}]"#), "");
        assert_eq!(
            (left_out, manifest.kinds[0].needs_newer_host()),
            (lacks(&unknown).into(), None)
        );
        // Of all kinds.
        let (left_out, _) = of("", &format!(r#""permissions":["{permission}"],"#));
        assert_eq!((left_out.len(), &left_out[..1]), (2, &closed(&unknown)[..]));
        let (left_out, _) = of("", &format!(r#""permissions":[{object}],"#));
        assert_eq!((left_out.len(), &left_out[..1]), (2, &lacks(&unknown)[..]));
    }
    let (left_out, _) = of(r#","permissions":[{"socket":"/run/x","optional":true}]"#, "");
    assert_eq!(left_out, lacks(r#"the permission `{"optional":true,"socket":"/run/x"}`"#));
}

#[test]
fn unknown_members_are_reported_with_paths() {
    let json = r#"{"id":"a","version":"1.0.0","permisions":["network"],"kinds":[{"name":"k",
        "capabilites":[],"parameters":[{"name":"p","require":true}],
        "permissions":[{"permission":"network","optinal":true},{"socket":"x","optional":true}]}],
        "permissions":[{"permission":"dbus","y\u001b":1}]}"#;
    let file = Elf { block: Some(block(json)), ..Elf::default() }.build();
    let findings = inspect(&file).unwrap().findings;
    let members: Vec<_> = findings
        .iter()
        .filter_map(|finding| match finding {
            InspectionNote::UnknownMember(path) => Some(path.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        members,
        [
            "permisions",
            "kinds[0].capabilites",
            "kinds[0].parameters[0].require",
            "kinds[0].permissions[0].optinal",
            "permissions[0].y\u{fffd}"
        ]
    );
    let shown = InspectionNote::UnknownMember("permisions".to_owned()).to_string();
    let expected =
        "its manifest has the member `permisions`, which this host does not know and passes over";
    assert_eq!(shown, expected);
}

#[test]
fn top_level_permission_object_applies_to_matching_kinds() {
    let json = r#"{"id":"a","version":"1.0.0","permissions":[
        {"permission":"network","optional":true,"why":"icons"},{"permission":"dbus"},
        {"permission":"files:{p}:r","optional":true}],
        "kinds":[{"name":"one","parameters":[{"name":"p","kind":"path"}]},{"name":"two"}]}"#;
    let manifest = ParsedManifest::parse(json.as_bytes()).unwrap();
    assert_eq!(manifest.permissions, [Permission::Dbus]);
    let requests = |at: usize| {
        let all = manifest.kinds[at].permissions.iter();
        all.map(|one| (one.permission.text(), one.optional, &*one.why)).collect::<Vec<_>>()
    };
    let network = ("network".to_owned(), true, "icons");
    assert_eq!(requests(0), [network.clone(), ("files:{p}:r".to_owned(), true, "")]);
    assert_eq!(requests(1), [network]);
}

#[test]
fn unknown_or_malformed_permission_is_rejected() {
    for written in ["root", "network:all", "files", "rotate:x", "", "files:/a:append"] {
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
fn permission_prints_description_and_round_trips() {
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
        (
            "socket:/run/pcscd/pcscd.comm",
            "may connect to the socket /run/pcscd/pcscd.comm, and have the program that listens there \
             do all that it does for you",
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
fn kind_permissions_are_parsed_without_unknown_optional() {
    let with = |requests: &str| {
        json().replace("\"permissions\":[]}]", &format!("\"permissions\":[{requests}]}}]"))
    };
    let requests = r#""network",{"permission":"env:HOME","optional":true,"why":"greets"},"network",
        {"permission":"levitate","optional":true}"#;
    let manifest = ParsedManifest::parse(with(requests).as_bytes()).unwrap();
    let kind = &manifest.kinds[0];
    let request =
        |permission, optional, why: &str| Request { permission, optional, why: why.to_owned() };
    let home = Permission::Env("HOME".to_owned());
    assert_eq!(
        kind.permissions,
        [request(Permission::Network, false, ""), request(home.clone(), true, "greets")]
    );
    let levitate = Unknown::Permission { permission: "levitate".into(), optional: true };
    assert_eq!(kind.unknown, [levitate]);
    let all: Vec<_> = manifest.all_permissions().into_iter().map(Permission::text).collect();
    assert_eq!(all, ["files:{path}:rw", "library:libvendor.so.1", "network", "env:HOME"]);
    // Manifests of plugins that were built before.
    assert_eq!(ParsedManifest::parse(old().as_bytes()).unwrap().kinds[0].permissions, []);

    let refused = |requests: &str| json_refusal(&with(requests));
    for (requests, why) in [
        (
            r#""files:{none}:r""#,
            "permission `files:{none}:r` refers to a parameter that its kind does not have",
        ),
        (
            r#""library:libx.so""#,
            "a library is linked for vaults of every kind: expected it in `permissions` of the \
             manifest",
        ),
    ] {
        let text = format!(
            "E05.bad-manifest: the manifest is not valid: `kinds[0].permissions[0]`: {why}"
        );
        assert_eq!(refused(requests), text);
    }
}

/// Returns the JSON without the members that manifests did not always have.
fn old() -> String {
    let json = json();
    let old = json.replace(",\"permissions\":[]}]", "}]");
    assert_ne!(old, json);
    old
}
