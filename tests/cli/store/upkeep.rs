//! Checking a vault, backing it up during use, and freeing unused space.

use std::os::unix::fs::PermissionsExt;

use snapbox::{assert_data_eq, str};

use super::{CANARY, Home};

#[test]
fn verify_action_detects_damaged_page() {
    let home = Home::with_key_file();
    assert_data_eq!(
        home.0.run("vault do safe verify", &[]),
        str![[r#"
exit code 0
--- stderr
everything is as it was written; secrets: 1

"#]]
    );
    let file = home.dir("safe").join("store.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // The last page, which holds values.
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let answer = home.0.run("vault do safe verify", &[]);
    answer.ends_with(1);
    assert!(answer.stderr.contains("E12.damaged"), "{answer}");
}

/// The backup is complete while another process writes. It is an ordinary vault, unlocked as the
/// original is.
#[test]
fn backup_during_writes_is_valid_vault() {
    let home = Home::with_key_file();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                home.0.feed(CANARY, &format!("set busy/{round} --stdin")).succeeds();
            }
        });
        for copy in 0..4 {
            let words = format!("vault do safe backup --param to=copy{copy}.db");
            home.0.run(&words, &[]).succeeds();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_data_eq!(
        home.0.run("vault do safe backup --param to=copy0.db", &[]),
        str![[r#"
exit code 1
--- stderr
For this action the plugin of vault `safe`:
  may read and write files under [ROOT]/here/copy0.db
Error: Vault `safe` answered: [ROOT]/here/copy0.db exists
Code: E12.invalid

"#]]
    );
    assert_data_eq!(
        home.0.run("vault do safe backup --param to=copy9.db", &[]),
        str![[r#"
exit code 0
--- stderr
For this action the plugin of vault `safe`:
  may read and write files under [ROOT]/here/copy9.db
wrote [ROOT]/here/copy9.db; as `store.db` in a directory of its own it is a vault

"#]]
    );
    for copy in 0..4 {
        let from = home.0.here(&format!("copy{copy}.db"));
        assert_eq!(std::fs::metadata(&from).unwrap().permissions().mode() & 0o777, 0o600);
        let dir = home.0.here(&format!("restored{copy}"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::rename(from, dir.join("store.db")).unwrap();
        let name = format!("copy{copy}");
        let register = format!(
            "vault register {name} --plugin store --param path=restored{copy} \
             --param key-file=work.key"
        );
        home.0.run(&register, &[]).succeeds();
        home.0.run("vault do --", &[&name, "verify"]).succeeds();
        assert_eq!(home.0.run("get a -V", &[&name]).succeeds(), CANARY.as_bytes());
    }
}

#[test]
fn compact_action_shrinks_file() {
    let home = Home::with_key_file();
    std::fs::write(home.0.here("large.given"), vec![b'x'; 400_000]).unwrap();
    home.0.run("set large --file large.given", &[]).succeeds();
    home.0.run("remove large", &[]).succeeds();
    let size = || std::fs::metadata(home.dir("safe").join("store.db")).unwrap().len();
    let before = size();
    let answer = home.0.run("vault do safe compact", &[]);
    answer.succeeds();
    // The pages of the value, without those that the vault keeps.
    assert!(before - size() > 390_000, "{answer}");
    assert_eq!(answer.stderr, format!("gave {} KiB back\n", (before - size()) / 1024));
    assert_eq!(home.0.run("get a", &[]).succeeds(), CANARY.as_bytes());
}
