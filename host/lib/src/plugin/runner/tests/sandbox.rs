//! The sandbox on a kernel that lacks features, and grants without meaning.

use super::*;

#[test]
fn missing_kernel_feature_fails_only_full_sandbox() {
    for (without, lack) in [("landlock", MissingFeature::Files), ("filters", MissingFeature::Calls)]
    {
        let Stage { mut setup, .. } = stage("");
        setup.launch.environment.push((stand_in::KERNEL.to_owned(), without.into()));
        setup.granted = setup.granted.with_sandbox(SandboxLevel::BestEffort);
        assert_eq!(
            text(&mut Runner::open(setup.clone(), request(amply())).unwrap(), "folder"),
            "/"
        );
        setup.granted = setup.granted.with_sandbox(SandboxLevel::Full);
        let refused = match Runner::open(setup, request(amply())) {
            Err(CallError::Runner(error)) => error,
            opened => panic!("{opened:?}"),
        };
        assert_eq!(refused.code(), "E11.sandbox");
        assert_eq!(
            refused.to_string(),
            format!(
                "the runner could not enter its sandbox: the policy demands the full sandbox, and {lack}"
            )
        );
    }
}

#[test]
fn grants_for_other_plugin_start_no_runner() {
    let Stage { mut setup, .. } = stage("");
    setup.granted = Granted::for_tests(&[], [8; 32], SandboxLevel::Full);
    let refused = match Runner::open(setup, request(amply())) {
        Err(CallError::Runner(error)) => error,
        opened => panic!("{opened:?}"),
    };
    assert!(crate::error::story(&refused).ends_with("the grants are for another plugin"));
}

#[test]
fn sandbox_probe_finds_no_gap_and_keeps_host_unrestricted() {
    let lacking = lacking().unwrap();
    assert!(!lacking.iter().any(|lack| lack.is_open()), "{lacking:?}");
    assert!(Command::new("/bin/true").status().unwrap().success());
}
