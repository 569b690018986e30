//! A command reads each registration, pin and verdict file once.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use keystead::api::{SecretName, Value, VaultName, WriteMode};
use keystead::metadata::{Change, MetadataEdit};
use keystead::transfer::Transfer;
use keystead::{NewSecret, NonInteractive, Placement, RunMode, SearchScope};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::cli::sandbox::plugin;
use crate::scene::Scene;

/// Directories in which inotify reports opened files.
struct Watched {
    inotify: OwnedFd,
    dirs: BTreeMap<i32, &'static str>,
}

impl Watched {
    fn new(root: &Path, dirs: &[&'static str]) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        // With close events as well: the kernel merges equal consecutive events.
        let flags = WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE;
        let watch = |dir: &&'static str| {
            (inotify::add_watch(&inotify, root.join(dir), flags).unwrap(), *dir)
        };
        let dirs = dirs.iter().map(watch).collect();
        Self { inotify, dirs }
    }

    /// Returns the files opened since the last call, with counts.
    fn opened(&self) -> BTreeMap<String, usize> {
        let mut buffer = [MaybeUninit::uninit(); 64 * 1024];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut opened = BTreeMap::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return opened,
                Err(error) => panic!("{error}"),
            };
            if event.events().contains(ReadFlags::OPEN) {
                let name = event.file_name().map_or("", |name| name.to_str().unwrap());
                // A verdict's file name is the plugin's hash.
                let name = if self.dirs[&event.wd()].contains("verdicts") { "*" } else { name };
                *opened.entry(format!("{}/{name}", self.dirs[&event.wd()])).or_default() += 1;
            }
        }
    }
}

#[test]
fn command_reads_registration_pin_and_verdict_once() {
    let scene = Scene::new();
    let id = scene.install(plugin());
    let file = |name: &str| [("file", scene.apart().join(name).display().to_string())];
    let first = scene.register_with("first", &id, Placement::InProcess, &file("first.secrets"));
    let second = scene.register_with("second", &id, Placement::InProcess, &file("second.secrets"));
    let (name, ask) = (SecretName::parse("a").unwrap(), &mut NonInteractive);
    let set = |vault: Option<&VaultName>, ask: &mut NonInteractive| {
        let new = NewSecret {
            name: name.clone(),
            vault: vault.cloned(),
            value: Value::text("v"),
            field: None,
            metadata: None,
            mode: WriteMode::Upsert,
            run: RunMode::Apply,
        };
        scene.host.set(new, ask).unwrap();
    };
    // Before the counts start, the host verifies and loads the plugin once.
    set(None, ask);
    scene.host.reload();

    let watched = Watched::new(scene.path(), &["config/vaults", "data/pins.d", "data/verdicts"]);
    let mut check = |what: &str, vaults: &[&str], run: &mut dyn FnMut(&mut NonInteractive)| {
        watched.opened();
        run(ask);
        scene.host.reload();
        let opened = watched.opened();
        // A look-up in the directory finds each vault's file.
        let mut expected = BTreeMap::from([("config/vaults/".to_owned(), vaults.len())]);
        for vault in vaults {
            expected.insert(format!("config/vaults/{vault}.toml"), 1);
        }
        expected.insert(format!("data/pins.d/{id}.toml"), vaults.len());
        expected.insert("data/verdicts/*".to_owned(), vaults.len());
        assert_eq!(opened, expected, "{what}");
    };
    let vault = SearchScope::Vault(first.clone());
    check("get", &["first"], &mut |ask| drop(scene.host.get(&name, &vault, ask).unwrap()));
    let anywhere = SearchScope::anywhere();
    check("search", &["first"], &mut |ask| drop(scene.host.get(&name, &anywhere, ask).unwrap()));
    check("set", &["first"], &mut |ask| set(Some(&first), ask));
    check("set in the default vault", &["first"], &mut |ask| set(None, ask));
    check("metadata", &["first"], &mut |ask| {
        let (vault, edit) = (Some(first.clone()), MetadataEdit::Clear);
        let change = Change { name: name.clone(), vault, edit, run: RunMode::Apply };
        scene.host.change_metadata(&change, ask).unwrap();
    });
    check("copy", &["first", "second"], &mut |ask| {
        let transfer = Transfer::new("a", first.clone(), second.clone());
        let plan = scene.host.plan_transfer(transfer, ask).unwrap();
        scene.host.transfer(&plan, ask, &mut |_| ()).unwrap();
    });
    check("test", &["first"], &mut |ask| scene.host.test(&first, ask).unwrap());
    check("remove", &["first"], &mut |ask| {
        scene.host.remove(&name, Some(&first), RunMode::Apply, ask).unwrap();
    });
}
