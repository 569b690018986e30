//! A file's mode does not depend on the umask. The test is a separate process, since all threads
//! share the umask.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use keystead_plugin_api::{
    Context, Deadline, OpenRequest, ParameterValue, Parameters, Plugin, SecretName, SetRequest,
    Value, VaultName,
};
use keystead_plugin_files::Files;
use rustix::fs::Mode;

#[test]
fn new_file_has_mode_600_with_any_umask() {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let soon = Deadline::after(Duration::from_secs(60));
    for (number, umask) in [0o000, 0o022, 0o277, 0o777].into_iter().enumerate() {
        // The directory exists already: the umask could create one that no user may enter.
        let dir = root.path().join(number.to_string());
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        let mut parameters = Parameters::new();
        let path = dir.to_str().unwrap().to_owned();
        parameters.insert("folder", ParameterValue::Text(path));
        let name = VaultName::parse("work").unwrap();
        let request = OpenRequest::new(name, "read-write", parameters, soon);
        let mut vault = Files::open(request, Context::silent()).unwrap();

        let token = SecretName::parse("token").unwrap();
        let before = rustix::process::umask(Mode::from_raw_mode(umask));
        let set = vault.set(SetRequest::new(token, Value::text("canary"), soon));
        rustix::process::umask(before);
        set.unwrap();
        let mode = fs::metadata(dir.join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "umask {umask:03o}");
    }
}
