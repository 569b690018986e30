//! Plugins that do not compile.

use crate::plugin_files::{cargo, repository};

#[test]
fn plugin_with_panic_abort_fails_to_compile() {
    let mut build = cargo(&repository().join("tests/plugins"));
    // `check` is enough: the build fails at that step.
    build.args(["check", "--locked", "-p", "in-order", "--config", "profile.dev.panic='abort'"]);
    let output = build.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    let expected = "error: a Keystead plugin must be built with `panic = \"unwind\"`: a panic is \
                    caught at the boundary";
    assert!(told.contains(expected), "{told}");
}
