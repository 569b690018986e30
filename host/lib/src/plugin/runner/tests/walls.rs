//! A runner's own namespaces: outside paths have no name there, and each wall works alone.

use super::*;

/// Returns a setup whose runner has namespaces. If this machine refuses them, checks the error of a
/// runner that requires them and returns `None`.
fn required(grants: &[String]) -> Option<Stage> {
    let mut stage = stage("");
    stage.setup.granted = granted(grants, Namespaces::Required);
    match Runner::open(stage.setup.clone(), request(amply())) {
        Ok(_) => Some(stage),
        Err(CallError::Runner(error)) => {
            assert_eq!(error.code(), "E11.sandbox");
            let text = error.to_string();
            assert!(text.contains("the policy requires namespaces, and the kernel"), "{text}");
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn granted(grants: &[String], namespaces: Namespaces) -> Granted {
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    Granted::for_tests(&grants, [7; 32], SandboxLevel::BestEffort).with_namespaces(namespaces)
}

/// A directory with granted and other files.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("dir/sub")).unwrap();
        std::fs::create_dir(root.path().join("write")).unwrap();
        for name in ["file", "dir/inner", "dir/sub/deep", "beside", "write/old"] {
            std::fs::write(root.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("beside", root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("../beside", root.path().join("dir/out")).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    fn grants(&self) -> Vec<String> {
        ["file:r", "dir/:r", "dir/sub/:rw", "write/:rw", "none:r"]
            .map(|grant| format!("files:{}", self.path(grant)))
            .into()
    }
}

#[test]
fn ungranted_path_is_not_found_with_namespaces() {
    let place = Place::new();
    let Some(stage) = required(&place.grants()) else { return };
    let mut runner = open(&stage);
    let mut look = |path: &str| text(&mut runner, &format!("look {path}"));
    // Not by `/proc/self/root`: that belongs to the test harness, which a runner does not have.
    let outside = [place.path("beside"), place.path("link"), place.path("dir/../beside")];
    let system = ["/etc/passwd", "/home", "/proc/1", "/proc/thread-self", "/sys"];
    let here = std::env::current_exe().unwrap().display().to_string();
    let up = format!("/..{here}");
    let all = outside.iter().map(String::as_str).chain(system).chain([here.as_str(), up.as_str()]);
    for path in all {
        assert_eq!(look(path), "ENOENT", "{path}");
    }
    // The link is visible, but its target is not.
    let out = look(&place.path("dir/out"));
    assert!(out.contains("ENOENT") && out.contains("done"), "{out}");
    for path in ["file", "dir", "dir/inner", "dir/sub/deep", "write/old"] {
        assert!(look(&place.path(path)).contains("done"), "{path}");
    }
    assert_eq!(look(&place.path("none")), "ENOENT");
}

#[test]
fn root_dir_without_landlock_has_only_granted_and_base_paths() {
    let place = Place::new();
    let Some(mut stage) = required(&place.grants()) else { return };
    stage.setup.launch.environment.push((stand_in::KERNEL.to_owned(), "landlock".into()));
    let mut runner = open(&stage);
    let names = text(&mut runner, "names");
    let system = ["/dev/null", "/dev/random", "/dev/urandom", "/dev/zero", "/proc/self"];
    let granted = ["dir", "file", "write"].map(|name| place.path(name));
    let granted = granted.iter().map(String::as_str);
    let expected: Vec<&str> = system.into_iter().chain(granted).collect();
    for path in &expected {
        assert!(names.split(' ').any(|name| name == *path), "{path} in {names}");
    }
    let is_known = |name: &str| {
        let base = ["/etc/localtime", "/usr/share/zoneinfo"];
        let is_library = name.contains("/lib") && name.contains(".so.");
        is_library || base.contains(&name) || expected.contains(&name)
    };
    for name in names.split(' ') {
        assert!(is_known(name), "{name}");
    }
    let mut look = |path: &str| text(&mut runner, &format!("look {path}"));
    // Mounted read-only, except for writable grants inside.
    for path in ["file", "dir/inner"] {
        assert!(look(&place.path(path)).contains("EROFS"), "{path}");
    }
    for path in ["dir/sub/deep", "write/old"] {
        assert!(!look(&place.path(path)).contains("EROFS"), "{path}");
    }
    assert_eq!(look(&place.path("beside")), "ENOENT");
}

#[test]
fn sandbox_without_filter_denies_mounts_and_capabilities() {
    let place = Place::new();
    let Some(mut stage) = required(&place.grants()) else { return };
    let none = "CapabilitySet(0x0) and CapabilitySet(0x0)";
    assert_eq!(text(&mut open(&stage), "privileges"), none);
    stage.setup.launch.environment.push((stand_in::KERNEL.to_owned(), "filters".into()));
    let mut runner = open(&stage);
    assert_eq!(text(&mut runner, "privileges"), none);
    // No mount, no root, no namespace, and no user namespace to get a capability in.
    let mounts = text(&mut runner, "mounts");
    assert!(mounts.contains("EPERM") && !mounts.contains("done"), "{mounts}");
}

#[test]
fn granted_path_ownership_matches_host() {
    let place = Place::new();
    let Some(stage) = required(&place.grants()) else { return };
    let mut runner = open(&stage);
    let stat = rustix::fs::stat(place.path("file")).unwrap();
    let told = text(&mut runner, &format!("owner {}", place.path("file")));
    assert_eq!(
        told,
        format!("{:?}", Some(api::Ownership::new(stat.st_uid, stat.st_dev, stat.st_ino)))
    );
    let refused = text(&mut runner, &format!("owner {}", place.path("beside")));
    assert!(refused.ends_with("is not granted"), "{refused}");
    // Without namespaces no owner is hidden, so the runner does not ask the host.
    let mut stage = stage;
    stage.setup.granted = stage.setup.granted.with_namespaces(Namespaces::Off);
    let path = place.path("file");
    assert_eq!(text(&mut open(&stage), &format!("owner {path}")), "None");
}

#[test]
fn sandbox_without_namespaces_denies_ungranted_path() {
    let place = Place::new();
    let mut stage = stage("");
    for (kernel, namespaces) in [
        ("", Namespaces::Off),
        ("namespaces", Namespaces::BestEffort),
        ("mounts", Namespaces::BestEffort),
    ] {
        stage.setup.granted = granted(&place.grants(), namespaces);
        stage.setup.launch.environment.retain(|(name, _)| name != stand_in::KERNEL);
        if !kernel.is_empty() {
            let lacking = (stand_in::KERNEL.to_owned(), kernel.into());
            stage.setup.launch.environment.push(lacking);
        }
        let mut runner = open(&stage);
        let beside = text(&mut runner, &format!("look {}", place.path("beside")));
        assert!(beside.contains("EACCES") && beside.contains("done"), "{kernel}: {beside}");
        let file = text(&mut runner, &format!("look {}", place.path("file")));
        assert!(file.contains("done"), "{kernel}: {file}");
        assert_eq!(*stage.blamed.lock().unwrap(), [""; 0], "{kernel}");
    }
    // Required but missing namespaces are an error.
    stage.setup.granted = stage.setup.granted.with_namespaces(Namespaces::Required);
    let refused = match Runner::open(stage.setup, request(amply())) {
        Err(CallError::Runner(error)) => error,
        opened => panic!("{opened:?}"),
    };
    assert_eq!(refused.code(), "E11.sandbox");
}
