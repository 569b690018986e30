//! Secrets of Podman, which mounts them into a container as Docker does. Keystead runs inside, in a
//! root directory that contains only a shell otherwise.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::podman::{Mode, Podman};

/// Commands of a container before the first read: install the plugin and register the vault.
const READY: &str = "\
    keystead plugin install --yes -q /files.so >/tmp/told 2>&1 || exit 90; \
    keystead vault register run --plugin files --param path=/run/secrets >/tmp/told 2>&1 \
        || exit 91; ";

/// Users that run Keystead in a container: its root and another user. With rootless Podman, this
/// root is an ordinary user outside.
const USERS: [&str; 2] = ["0", "1000"];

#[test]
#[ignore = "needs podman"]
fn podman_secrets_are_read_in_container_needs_podman() {
    for (mode, user) in Mode::BOTH.iter().flat_map(|mode| USERS.map(|user| (*mode, user))) {
        let podman = Podman::new(mode);
        podman.secret("password", b"canary-5d1f\n");
        podman.secret("key", b"canary\0\xff\x80");
        let options: [&str; 4] = [
            &format!("--user={user}:{user}"),
            "--secret=password",
            &format!("--secret=key,target=tls.key,mode=0400,uid={user},gid={user}"),
            &format!("--secret=key,target=.hidden,uid={user},gid={user}"),
        ];
        let lines: [(&str, &[u8], i32); 5] = [
            ("keystead get password", b"canary-5d1f\n", 0),
            ("keystead get tls.key", b"canary\0\xff\x80", 0),
            ("keystead get nothing", b"", 3),
            ("keystead -q vault test", b"run: ok\n", 0),
            (
                "keystead list --json | while read -r l; do l=${l#*name}; echo ${l%%vault*}; done",
                b"\
                \":\".hidden\",\"\n\":\"password\",\"\n\":\"tls.key\",\"\n",
                0,
            ),
        ];
        for (line, expected, exit) in lines {
            // Each run is a new container without state from the last one.
            let (code, answer, told) = podman.run(&options, &format!("{READY} {line}"));
            let case = format!("{mode:?}, user {user}: {line}: {told}");
            assert_eq!((code, &*answer), (Some(exit), expected), "{case}");
            assert!(!told.contains("canary"), "{case}");
            podman.sweep();
        }
    }
}

#[test]
#[ignore = "needs podman"]
fn read_only_mount_is_trusted_needs_podman() {
    for mode in Mode::BOTH {
        let podman = Podman::new(mode);
        // As Compose mounts a secret from a file of another user outside. With rootless Podman the
        // container does not know that user.
        let given = podman.path("given");
        fs::write(&given, "canary-5d1f").unwrap();
        fs::set_permissions(&given, fs::Permissions::from_mode(0o666)).unwrap();
        chown(&given, Some(1000), Some(1000)).unwrap();
        for (options, code, expected) in [("ro", 0, &b"canary-5d1f"[..]), ("rw", 1, b"")] {
            let volume = format!("--volume={}:/run/secrets/token:{options}", given.display());
            let (ended, answer, told) =
                podman.run(&[&volume], &format!("{READY} keystead get token"));
            assert_eq!((ended, &*answer), (Some(code), expected), "{mode:?}, {options}: {told}");
            podman.sweep();
        }
    }
}

#[test]
#[ignore = "needs podman"]
fn secret_of_other_user_is_denied_needs_podman() {
    for mode in Mode::BOTH {
        let podman = Podman::new(mode);
        podman.secret("password", b"canary-5d1f\n");
        let secret = "--secret=password,uid=1000,gid=1000,mode=0440";
        let line = format!("{READY} keystead get password");
        let (code, answer, told) = podman.run(&[secret, "--user=1000:1000"], &line);
        assert_eq!((code, &*answer), (Some(0), &b"canary-5d1f\n"[..]), "{mode:?}: {told}");
        podman.sweep();
        let (code, answer, told) = podman.run(&[secret], &line);
        assert_eq!((code, &*answer), (Some(1), &b""[..]), "{mode:?}: {told}");
        // A runner with its own root directory has no privilege left to read the file with.
        let words = ["belongs to another user (number 1000)", "Permission denied"];
        let is_told = words.iter().any(|words| told.contains(words));
        assert!(is_told && told.contains("/run/secrets/password"), "{mode:?}: {told}");
        assert!(told.contains("E12.denied"), "{mode:?}: {told}");
    }
}

#[test]
#[ignore = "needs podman"]
fn files_vault_keeps_obligations_in_container_needs_podman() {
    for mode in Mode::BOTH {
        let podman = Podman::new(mode);
        podman.secret("password", b"canary-5d1f\n");
        let read_only = "read-only --param path=/run/secrets --grant files:/run/secrets:r";
        for user in USERS {
            let options: [&str; 2] = [&format!("--user={user}:{user}"), "--secret=password"];
            for kind in [read_only, "read-write"] {
                let line = format!("keystead plugin test --kind {kind} /files.so");
                let (code, answer, told) = podman.run(&options, &line);
                let answer = String::from_utf8(answer).unwrap();
                let case = format!("{mode:?}, user {user}: {line}: {answer}{told}");
                assert_eq!(code, Some(0), "{case}");
                assert!(told.contains(" kept, 0 broken, "), "{case}");
                assert!(!answer.contains("canary") && !told.contains("canary"), "{case}");
                podman.sweep();
            }
        }
    }
}

#[test]
#[ignore = "needs podman"]
fn doctor_reports_missing_sandbox_features_needs_podman() {
    const NAMESPACES: &str = "isolated plugins get no namespaces of their own: ";
    const LANDLOCK: &str = "this kernel has no landlock";
    let podman = Podman::new(Mode::Rootless);
    podman.secret("password", b"canary-5d1f\n");
    let no_namespaces = podman.refusing("no-namespaces", &["unshare"]);
    let neither = podman.refusing("neither", &["unshare", "landlock_create_ruleset"]);
    // Missing features for the container's root, and for another user.
    let cases: [(&[&str], [&[&str]; 2]); 7] = [
        (&[], [&[], &[]]),
        (&["--security-opt=no-new-privileges"], [&[], &[]]),
        (&["--privileged"], [&[], &[]]),
        // A user namespace cannot map root without CAP_SETFCAP. `chroot` is refused to both.
        (&["--cap-drop=all"], [&[NAMESPACES], &[]]),
        (&["--cap-drop=all", "--cap-add=SETFCAP"], [&[], &[]]),
        (&[&no_namespaces], [&[NAMESPACES], &[NAMESPACES]]),
        (&[&neither], [&[NAMESPACES, LANDLOCK], &[NAMESPACES, LANDLOCK]]),
    ];
    for (options, lacking) in cases {
        for (user, lacking) in USERS.iter().zip(lacking) {
            let user = format!("--user={user}:{user}");
            let options: Vec<&str> =
                ["--secret=password", user.as_str()].iter().chain(options).copied().collect();
            let (code, answer, told) = podman.run(&options, "keystead doctor");
            let answer = String::from_utf8(answer).unwrap();
            assert_eq!(code, Some(0), "{options:?}: {answer}{told}");
            for wall in [NAMESPACES, LANDLOCK] {
                assert_eq!(answer.contains(wall), lacking.contains(&wall), "{options:?}: {answer}");
            }
            let (code, answer, told) =
                podman.run(&options, &format!("{READY} keystead get password"));
            assert_eq!((code, &*answer), (Some(0), &b"canary-5d1f\n"[..]), "{options:?}: {told}");
            podman.sweep();
        }
    }
}
