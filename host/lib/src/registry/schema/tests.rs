//! Tests of typed and registered parameters, of what a plugin receives, and of all faults.

use super::*;
use keystead_plugin_api::Parameter;

fn owned(parameters: &[Parameter]) -> Vec<OwnedParameter> {
    parameters.iter().copied().map(OwnedParameter::from).collect()
}

fn schema() -> Vec<OwnedParameter> {
    owned(&[
        Parameter::required("url", ParameterKind::Text, ""),
        Parameter::required("token", ParameterKind::Text, "").secret(),
        Parameter::defaulting("cache", ParameterKind::Path, "~/cache", ""),
        Parameter::defaulting("port", ParameterKind::Integer, "8200", ""),
        Parameter::optional("strict", ParameterKind::Boolean, ""),
        Parameter::optional("file", ParameterKind::Path, ""),
    ])
}

fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn base() -> Base<'static> {
    Base {
        dir: Path::new("/srv/here"),
        home: Some(Path::new("/home/a")),
        data: Some(Path::new("/data/keystead")),
        vault: None,
    }
}

fn faults(pairs: &[(&str, &str)], base: Base<'_>) -> Vec<ParameterError> {
    validate(&schema(), &given(pairs), base).unwrap_err()
}

#[test]
fn typed_parameters_become_values_of_their_kind() {
    let typed = [
        ("url", "https://x"),
        ("token", "env:TOKEN"),
        ("port", "-1"),
        ("strict", "true"),
        ("file", "~/a/./b"),
        ("cache", "c/../d"),
    ];
    let settings = validate(&schema(), &given(&typed), base()).unwrap();
    assert_eq!(settings["url"], Setting::Text("https://x".into()));
    let token = Reference::parse("env:TOKEN").unwrap();
    assert_eq!(settings["token"], Setting::Reference(token));
    assert_eq!(settings["port"], Setting::Integer(-1));
    assert_eq!(settings["strict"], Setting::Boolean(true));
    assert_eq!(settings["file"], Setting::Text("/home/a/a/b".into()));
    assert_eq!(settings["cache"], Setting::Text("/srv/here/c/../d".into()));
}

/// A newer plugin's action may have such a parameter.
#[test]
fn parameter_of_unknown_kind_is_rejected_alone() {
    let unknown = |name| Parameter::optional(name, ParameterKind::Unknown, "");
    let schema = owned(&[
        Parameter::optional("plain", ParameterKind::Text, ""),
        unknown("new"),
        unknown("hidden").secret(),
    ]);
    let plain = validate(&schema, &given(&[("plain", "x")]), base()).unwrap();
    assert!(check(&schema, &plain, None).is_empty());
    for (name, typed) in [("new", "x"), ("hidden", "env:TOKEN")] {
        let faults = validate(&schema, &given(&[(name, typed)]), base()).unwrap_err();
        let [ParameterError::WrongKind { kind, .. }] = &faults[..] else { panic!("{faults:?}") };
        assert_eq!(*kind, ParameterKind::Unknown);
        let said = faults[0].to_string();
        assert!(said.ends_with("of a kind that this version of keystead does not know"), "{said}");
    }
    // The host must fill in a default, so this host cannot run the action at all.
    let schema = owned(&[Parameter::defaulting("new", ParameterKind::Unknown, "x", "")]);
    let faults = check(&schema, &BTreeMap::new(), None);
    assert!(matches!(faults[..], [ParameterError::WrongKind { .. }]), "{faults:?}");
}

#[test]
fn vault_dependent_default_is_registered() {
    let path = Parameter::defaulting("path", ParameterKind::Path, "{data}/store/{vault}", "");
    let schema = owned(&[path]);
    let vault = VaultName::parse("Work").unwrap();
    let base = Base { vault: Some(&vault), ..base() };
    let settings = validate(&schema, &BTreeMap::new(), base).unwrap();
    assert_eq!(settings["path"], Setting::Text("/data/keystead/store/work".into()));
    // A registration that was written by hand must contain the path.
    let name = || "path".to_owned();
    let missing = vec![ParameterError::Missing { name: name() }];
    assert_eq!(check(&schema, &BTreeMap::new(), None), missing);
    let nobody = Base { data: None, ..base };
    let faults = validate(&schema, &BTreeMap::new(), nobody).unwrap_err();
    assert_eq!(faults, [ParameterError::NoDataDir { name: name() }]);
    for bad in ["{other}/x", "{data}", "{data}x", "store/{vault}/{x}"] {
        let schema = owned(&[Parameter::defaulting("path", ParameterKind::Path, bad, "")]);
        let faults = validate(&schema, &BTreeMap::new(), base).unwrap_err();
        assert_eq!(faults, [ParameterError::BadDefault { name: name() }], "{bad}");
    }
}

#[test]
fn every_parameter_error_is_reported_at_once() {
    let typed = [
        ("VERBOSE", "1"),
        ("file", ""),
        ("port", "80a"),
        ("prot", "80"),
        ("strict", "yes"),
        ("token", "canary"),
    ];
    let found = faults(&typed, base());
    let codes: Vec<_> = found.iter().map(|fault| fault.code()).collect();
    assert_eq!(
        codes,
        [
            "E01.parameter-reserved",
            "E01.parameter-empty-path",
            "E01.parameter-kind",
            "E01.parameter-unknown",
            "E01.parameter-kind",
            "E01.parameter-not-a-reference",
            "E01.parameter-missing",
        ]
    );
    let ParameterError::Unknown { similar, .. } = &found[3] else { panic!("{found:?}") };
    assert_eq!(similar.as_deref(), Some("port"));
    assert_eq!(found[6].to_string(), "parameter `url` is required");
}

#[test]
fn parameter_error_never_contains_value() {
    let typed = [
        ("token", "canary"),
        ("tokn", "canary"),
        ("port", "canary"),
        ("strict", "canary"),
        ("url", "canary\n"),
        ("file", "canary\0"),
    ];
    let found = faults(&typed, base());
    assert_eq!(found.len(), 6, "{found:?}");
    for fault in found {
        assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault:?}");
    }
}

#[test]
fn reserved_parameter_name_is_rejected_even_if_declared() {
    let schema = owned(&[Parameter::optional("verbose", ParameterKind::Boolean, "")]);
    for name in ["verbose", "Verbose", "VERBOSE"] {
        let found = validate(&schema, &given(&[(name, "true")]), base()).unwrap_err();
        assert_eq!(found, [ParameterError::Reserved { name: name.into() }]);
    }
}

#[test]
fn descriptor_reference_cannot_be_registered() {
    let found = faults(&[("token", "fd:3"), ("url", "x")], base());
    assert_eq!(found, [ParameterError::Descriptor { name: "token".into() }]);
}

#[test]
fn missing_home_fails_only_home_relative_parameters() {
    let homeless = Base { dir: Path::new("/srv"), home: None, data: None, vault: None };
    let typed = [("token", "file:~/t"), ("url", "~/kept"), ("file", "~/f")];
    let names = |name: &str| ParameterError::NoHome { name: name.into() };
    assert_eq!(faults(&typed, homeless), [names("file"), names("token"), names("cache")]);
    let typed = [("token", "file:t"), ("url", "x"), ("cache", "/c")];
    let settings = validate(&schema(), &given(&typed), homeless).unwrap();
    let token = Reference::parse("file:/srv/t").unwrap();
    assert_eq!(settings["token"], Setting::Reference(token));
}

fn registered(pairs: &[(&str, Setting)]) -> BTreeMap<String, Setting> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

#[test]
fn plugin_receives_defaults_and_resolved_secrets() {
    let token = Reference::parse("env:TOKEN").unwrap();
    let settings = registered(&[
        ("url", Setting::Text("x".into())),
        ("token", Setting::Reference(token.clone())),
    ]);
    let mut asked = Vec::new();
    let parameters = to_parameters(&schema(), &settings, base().home, &mut |reference| {
        asked.push(reference.clone());
        Ok::<_, ()>(SecretText::new("resolved"))
    })
    .unwrap();
    assert_eq!(asked, [token]);
    assert_eq!(parameters.secret("token").unwrap().expose(), "resolved");
    assert_eq!(parameters.text("url"), Some("x"));
    assert_eq!(parameters.text("cache"), Some("/home/a/cache"));
    assert_eq!(parameters.integer("port"), Some(8200));
    assert_eq!(parameters.boolean("strict"), None);
}

#[test]
fn hand_written_registration_is_checked_before_resolution() {
    let settings = registered(&[
        ("cache", Setting::Text("relative".into())),
        ("file", Setting::Integer(1)),
        ("other", Setting::Boolean(true)),
        ("port", Setting::Text("80".into())),
        ("token", Setting::Text("canary".into())),
        ("url", Setting::Reference(Reference::parse("env:URL").unwrap())),
    ]);
    let result = to_parameters(&schema(), &settings, base().home, &mut |_| {
        panic!("resolved before it was checked") as Result<_, ()>
    });
    let Err(Unready::Faults(found)) = result else { panic!("{result:?}") };
    let name = |name: &str| name.to_owned();
    assert_eq!(
        found,
        [
            ParameterError::RelativePath { name: name("cache") },
            ParameterError::WrongKind { name: name("file"), kind: ParameterKind::Path },
            ParameterError::Unknown { name: name("other"), similar: None },
            ParameterError::WrongKind { name: name("port"), kind: ParameterKind::Integer },
            ParameterError::NotAReference { name: name("token"), source: None },
            ParameterError::NotSecret { name: name("url") },
        ]
    );
    assert_eq!(check(&schema(), &settings, base().home), found);
}

#[test]
fn unresolvable_reference_names_its_parameter() {
    let token = Reference::parse("env:TOKEN").unwrap();
    let settings =
        registered(&[("url", Setting::Text("x".into())), ("token", Setting::Reference(token))]);
    let result = to_parameters(&schema(), &settings, base().home, &mut |_| Err("unset"));
    let Err(Unready::Unresolved { name, source }) = result else { panic!("{result:?}") };
    assert_eq!((name.as_str(), source), ("token", "unset"));
}

#[test]
fn invalid_default_is_plugin_fault() {
    for (kind, default) in [
        (ParameterKind::Integer, "x"),
        (ParameterKind::Boolean, "1"),
        (ParameterKind::Path, "relative"),
        (ParameterKind::Text, "a\nb"),
    ] {
        let schema = owned(&[Parameter::defaulting("p", kind, default, "")]);
        let found = validate(&schema, &given(&[]), base()).unwrap_err();
        assert_eq!(found, [ParameterError::BadDefault { name: "p".into() }], "{default}");
    }
}
