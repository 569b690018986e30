//! A kernel that lacks a part of the sandbox, simulated by a system call filter for all children.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use snapbox::{assert_data_eq, str};

use super::super::sandbox::{Answer, CANARY, Sandbox};

/// Runs the command on a kernel without these system calls.
fn without(calls: &'static [libc::c_long], sandbox: &Sandbox, words: &str, input: &[u8]) -> Answer {
    let rules = calls.iter().map(|call| (*call, vec![])).collect();
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    std::thread::scope(|scope| {
        let run = || {
            // The filter applies to this thread and its children.
            seccompiler::apply_filter(&program).unwrap();
            sandbox.answer(sandbox.command(words, &[]), input)
        };
        scope.spawn(run).join().unwrap()
    })
}

#[test]
fn missing_kernel_feature_is_warned_of_and_plugins_run() {
    let landlock = &[
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_add_rule,
        libc::SYS_landlock_restrict_self,
    ];
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        without(landlock, &sandbox, "doctor", b""),
        str![[r#"
exit code 0
--- stdout
Warning: this kernel has no landlock (Linux 5.13 and later, unless it is turned off): plugins can open all files that you can
  Why:   isolated plugins can do more than they were granted; `sandbox = "full"` in the policy refuses them here
  Code:  E11.sandbox

0 errors, 1 warning.

"#]]
    );
    without(landlock, &sandbox, "set a --stdin", CANARY.as_bytes()).succeeds();
    assert_eq!(without(landlock, &sandbox, "get a", b"").succeeds(), CANARY.as_bytes());
    let filters = &[libc::SYS_seccomp];
    assert_data_eq!(
        without(filters, &sandbox, "doctor", b""),
        str![[r#"
exit code 0
--- stdout
Warning: this kernel filters no system calls: plugins can run programs and use the network
  Why:   isolated plugins can do more than they were granted; `sandbox = "full"` in the policy refuses them here
  Code:  E11.sandbox

Note: Keystead cannot answer the connections of a plugin here, which takes Linux 5.9 and no other filter around Keystead that answers calls
  Why:   a vault that is granted `socket:` is not opened isolated; nothing is open
  Code:  E11.sandbox

0 errors, 1 warning.

"#]]
    );
    assert_eq!(without(filters, &sandbox, "get a", b"").succeeds(), CANARY.as_bytes());
}
