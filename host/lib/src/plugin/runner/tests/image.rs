//! A plugin that is a file of root's: mapped as it is, as long as it is the proven one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::fs::{Rule, walk};

/// A runner of a plugin that is a file of root's.
struct OfRoots {
    dir: tempfile::TempDir,
    path: PathBuf,
    runner: Client<Runner>,
    blamed: Arc<Mutex<Vec<String>>>,
}

impl OfRoots {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plugin");
        fs::write(&path, "").unwrap();
        let file = walk::open(&path, Rule::System).expect("this test is for root");
        let Stage { blamed, setup, .. } = stage("");
        let setup = Setup { image: Image::of_file(file, [7; 32], Abi::Rust), ..setup };
        let runner = Runner::open(setup, request(amply())).unwrap();
        Self { dir, path, runner, blamed }
    }

    /// Ends the runner's process, so that the next call starts another one.
    fn end(&mut self) {
        failure(&mut self.runner, "exit", amply());
    }

    fn blamed(&self) -> usize {
        self.blamed.lock().unwrap().len()
    }
}

#[test]
fn runner_keeps_original_plugin_file_after_replacement() {
    let mut of_roots = OfRoots::open();
    let has = |path: &str| format!("/dev/null /dev/null pipe socket {path}");
    let path = of_roots.path.display().to_string();
    assert_eq!(text(&mut of_roots.runner, "descriptors"), has(&path));
    // After the replacement, the next process still has the original file.
    let new = of_roots.dir.path().join("new");
    fs::write(&new, "another plugin").unwrap();
    fs::rename(new, &of_roots.path).unwrap();
    of_roots.end();
    assert_eq!(text(&mut of_roots.runner, "descriptors"), has(&format!("{path} (deleted)")));
    assert_eq!(of_roots.blamed(), 1);
}

#[test]
fn changed_plugin_file_is_not_run_and_counts_no_crash() {
    let written = |path: &Path| fs::write(path, "another plugin");
    let given_away = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o664));
    for change in [&written as &dyn Fn(&Path) -> io::Result<()>, &given_away] {
        let mut of_roots = OfRoots::open();
        change(&of_roots.path).unwrap();
        of_roots.end();
        let refused = failure(&mut of_roots.runner, "folder", amply());
        assert_eq!(refused.code(), "E11.spawn");
        let told = crate::error::story(&refused);
        assert!(told.ends_with("the plugin's file has changed since it was checked"), "{told}");
        assert_eq!(of_roots.blamed(), 0);
    }
}
