//! The vault that answers if none is named, and conditions that prevent a write.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::path::Path;

use keystead::Placement;
use keystead::api::{Map, Metadata, MetadataValue, Value, WriteMode};
use keystead::paths::Layer;
use keystead::{Error, ErrorClass, Host, NonInteractive, OnUnavailable, RunMode, SearchScope};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::{
    PLACEMENTS, filed, files, get, get_in, new_secret, options, register, registration, scene,
    secret, set, vault, write_registration,
};
use crate::plugin_files::plugin;
use crate::scene::story;

#[test]
fn search_starts_with_default_vault_then_sorts_by_name() {
    let scene = scene();
    let host = &scene.host;
    // The first vault becomes the default.
    let [z, c, b] = ["z", "c", "b"].map(|name| filed(&scene, name, Placement::InProcess));
    let mut quiet = registration(&scene, "a", &[("file", "a")], &[]);
    (quiet.search, quiet.placement) = (false, Some(Placement::InProcess));
    let a = register(host, quiet);
    for vault in [&a, &b, &c, &z] {
        set(host, vault, vault.as_str(), "own");
        set(host, vault, "all", "x");
    }
    for vault in [&a, &b, &c] {
        set(host, vault, "not-in-default", "x");
    }
    let anywhere = |name| get(host, name, &SearchScope::anywhere());
    assert_eq!(anywhere("all").unwrap(), "z: x");
    assert_eq!(anywhere("not-in-default").unwrap(), "b: x");
    assert_eq!(anywhere("c").unwrap(), "c: own");

    let error = anywhere("a").unwrap_err();
    assert_eq!((error.code(), error.class()), ("E12.no-such-secret", ErrorClass::NoSuch));
    assert_eq!(error.to_string(), "no secret `a` in the vaults `z`, `b`, `c`");

    host.set_default(Some(&c), Layer::User, RunMode::Apply).unwrap();
    assert_eq!(anywhere("all").unwrap(), "c: x");
    // A default vault comes first, even if searches skip it otherwise.
    let mut options = options(&scene);
    options.default_vault = Some(a.clone());
    let another = Host::new(options);
    assert_eq!(get(&another, "all", &SearchScope::anywhere()).unwrap(), "a: x");
    assert_eq!(another.set(new_secret(None, "new", "x"), &mut NonInteractive).unwrap(), a);
    scene.end();
}

#[test]
fn unavailable_vault_ends_search_unless_skipped() {
    let scene = scene();
    let host = &scene.host;
    let [a, c] = ["a", "c"].map(|name| filed(&scene, name, Placement::InProcess));
    set(host, &a, "early", "x");
    set(host, &c, "late", "x");
    write_registration(&scene, "b", "plugin = \"memory\"\nkind = \"no-such\"\n");
    let anywhere = |name| get(host, name, &SearchScope::anywhere());
    let any = |name| get(host, name, &SearchScope::Search(OnUnavailable::Skip));

    assert_eq!(anywhere("early").unwrap(), "a: x");
    let error = anywhere("late").unwrap_err();
    assert_eq!((error.code(), error.class()), ("E12.search-incomplete", ErrorClass::Partial));
    assert_eq!(
        story(&error),
        "E12.search-incomplete: vault `b` could not be asked for `late`: vault `b` cannot be \
         opened: plugin `memory` has no kind of vault `no-such`"
    );
    assert_eq!(any("late").unwrap(), "c: x");
    // An incomplete search does not prove that the secret is missing.
    assert_eq!(any("nowhere").unwrap_err().code(), "E12.search-incomplete");
    assert_eq!(anywhere("nowhere").unwrap_err().code(), "E12.search-incomplete");

    // A registration that cannot be read also makes the search incomplete.
    write_registration(&scene, "b", "plugin = 7\n");
    host.reload();
    assert!(matches!(anywhere("late").unwrap_err(), Error::SearchIncomplete { .. }));
    assert_eq!(any("late").unwrap(), "c: x");
    let listing = host.list(None, None, &mut NonInteractive).unwrap();
    assert_eq!((listing.entries.len(), listing.failed.len()), (2, 1));
    scene.end();
}

#[test]
fn write_without_default_vault_error_lists_vaults() {
    let scene = scene();
    let host = &scene.host;
    let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::InProcess));
    host.set_default(None, Layer::User, RunMode::Apply).unwrap();
    let refused = [
        host.set(new_secret(None, "x", "y"), &mut NonInteractive).unwrap_err(),
        host.remove(&secret("x"), None, RunMode::Apply, &mut NonInteractive).unwrap_err(),
    ];
    for error in refused {
        assert_eq!((error.code(), error.class()), ("E01.no-default-vault", ErrorClass::CannotDo));
        assert!(
            matches!(error, Error::NoDefaultVault { vaults } if vaults == [a.clone(), b.clone()])
        );
    }
    let error = host.set_default(Some(&vault("bb")), Layer::User, RunMode::Apply).unwrap_err();
    assert!(
        matches!(&error, Error::NoSuchVault { similar: Some(similar), .. } if *similar == b
            || *similar == a),
        "{error:?}"
    );
    scene.end();
}

#[test]
fn set_of_unsupported_secret_opens_no_vault() {
    let scene = scene();
    let host = &scene.host;
    let plain = scene.vault("plain", &plugin("in-order"), Placement::Isolated);
    let mut metadata = Metadata::new();
    metadata.insert("owner", MetadataValue::Text("me".into())).unwrap();
    let mut described = new_secret(Some(&plain), "x", "canary");
    described.metadata = Some(metadata);
    let mut map = new_secret(Some(&plain), "x", "");
    map.value = Value::Map(Map::new());
    let fixed = scene.vault("fixed", &plugin("two-steps"), Placement::Isolated);
    for (new, why) in [
        (
            new_secret(Some(&fixed), "x", "canary"),
            "vault `fixed` answered: this vault cannot be written to",
        ),
        (described, "vault `plain` answered: this vault keeps no metadata"),
        (map, "vault `plain` answered: this vault cannot hold a value of kind map"),
    ] {
        let error = host.set(new, &mut NonInteractive).unwrap_err();
        assert_eq!((error.code(), error.class()), ("E12.unsupported", ErrorClass::CannotDo));
        assert_eq!(error.to_string(), why);
    }
    assert_eq!(scene.runners(), 0);
}

#[test]
fn dry_run_predicts_result_and_changes_nothing() {
    let scene = scene();
    let host = &scene.host;
    let [a, b] = ["a", "b"].map(|name| filed(&scene, name, Placement::Isolated));
    for vault in [&a, &b] {
        set(host, vault, "there", "x");
    }
    let before = files(scene.path());
    let dry = |name, mode| {
        let mut new = new_secret(Some(&a), name, "y");
        (new.mode, new.run) = (mode, RunMode::DryRun);
        host.set(new, &mut NonInteractive).map_err(|error| error.code())
    };
    assert_eq!(dry("there", WriteMode::Upsert), Ok(a.clone()));
    assert_eq!(dry("new", WriteMode::Upsert), Ok(a.clone()));
    assert_eq!(dry("new", WriteMode::CreateOnly), Ok(a.clone()));
    assert_eq!(dry("there", WriteMode::CreateOnly), Err("E12.secret-exists"));
    assert_eq!(dry("new", WriteMode::Replace), Err("E12.no-such-secret"));
    let remove = |name| {
        let removed = host.remove(&secret(name), Some(&a), RunMode::DryRun, &mut NonInteractive);
        removed.map_err(|error| error.code())
    };
    assert_eq!(remove("there"), Ok(a.clone()));
    assert_eq!(remove("new"), Err("E12.no-such-secret"));
    host.set_default(Some(&b), Layer::User, RunMode::DryRun).unwrap();
    assert!(host.unregister(&a, Layer::User, RunMode::DryRun).unwrap().was_default);
    let plan = host.plan_registration(registration(&scene, "c", &[("file", "c")], &[])).unwrap();
    drop(plan);
    assert!(host.plan_registration(registration(&scene, "a", &[], &[])).is_err());
    assert_eq!(files(scene.path()), before);
    assert_eq!(get_in(host, &a, "there").unwrap(), "a: x");
    scene.end();
}

#[test]
fn search_reads_only_registration_of_default_vault() {
    for placement in PLACEMENTS {
        let scene = scene();
        let main = filed(&scene, "m", placement);
        set(&scene.host, &main, "here", "x");
        for number in 0..49 {
            let text = "plugin = \"memory\"\nplacement = \"in-process\"\n";
            write_registration(&scene, &format!("v{number}"), text);
        }
        scene.host.reload();
        let opened = Opened::in_dir(&scene.path().join("config/vaults"));
        assert_eq!(get(&scene.host, "here", &SearchScope::anywhere()).unwrap(), "m: x");
        assert_eq!(opened.names(), BTreeSet::from(["m.toml".to_owned()]));
        // The search tries all vaults for a secret that the default vault lacks.
        get(&scene.host, "nowhere", &SearchScope::anywhere()).unwrap_err();
        assert_eq!(opened.names().len(), 49);
        scene.end();
    }
}

/// Reports which files of a directory are opened, through inotify.
struct Opened(rustix::fd::OwnedFd);

impl Opened {
    fn in_dir(dir: &Path) -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, dir, WatchFlags::OPEN).unwrap();
        Self(watch)
    }

    /// Returns the names opened since the last call, each once.
    fn names(&self) -> BTreeSet<String> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut names = BTreeSet::new();
        loop {
            match events.next() {
                Ok(event) => {
                    names.extend(event.file_name().map(|name| name.to_str().unwrap().to_owned()));
                }
                Err(Errno::AGAIN) => return names,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
