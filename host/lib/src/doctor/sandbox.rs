//! Finds features that the sandbox of isolated plugins needs and this machine's kernel lacks.

use super::{Finding, Severity};
use std::path::Path;

use crate::plugin::runner::{self, MissingFeature, Namespaces, SandboxLevel};

/// Tries the sandbox in a thread that ends afterwards.
pub(super) fn findings(demanded: SandboxLevel) -> Vec<Finding> {
    match runner::lacking() {
        Ok(lacking) => lacking.into_iter().map(|lack| of_lack(lack, demanded)).collect(),
        Err(problem) => {
            let what = format!("the sandbox of isolated plugins cannot be taken: {problem}");
            let why = "no vault whose plugin is isolated can be opened";
            vec![Finding::new(Severity::Error, "E11.sandbox", what).because(why)]
        }
    }
}

/// Tries the namespaces of isolated plugins, in a process of this program.
pub(super) fn of_namespaces(demanded: Namespaces, program: &Path) -> Option<Finding> {
    if demanded == Namespaces::Off {
        return None;
    }
    let why = match runner::no_namespaces(program) {
        Ok(why) => why?,
        Err(error) => error.to_string(),
    };
    Some(without_namespaces(demanded, &why))
}

fn without_namespaces(demanded: Namespaces, why: &str) -> Finding {
    let (severity, means) = match demanded {
        Namespaces::Required => (
            Severity::Error,
            "the policy requires namespaces, so that no isolated plugin is loaded",
        ),
        Namespaces::BestEffort | Namespaces::Off => (
            Severity::Warning,
            "isolated plugins can see the names, sizes and links of files that they cannot open; \
             `namespaces = \"required\"` in the policy refuses them here",
        ),
    };
    let what = format!("isolated plugins get no namespaces of their own: {why}");
    Finding::new(severity, "E11.sandbox", what).because(means)
}

fn of_lack(lack: MissingFeature, demanded: SandboxLevel) -> Finding {
    if lack == MissingFeature::Sockets {
        let why = "a vault that is granted `socket:` is not opened isolated; nothing is open";
        return Finding::new(Severity::Note, "E11.sandbox", lack.to_string()).because(why);
    }
    if !lack.is_open() {
        let why = "nothing is open; the sandbox has one wall here where newer kernels have two";
        return Finding::new(Severity::Note, "E11.sandbox", lack.to_string()).because(why);
    }
    let (severity, why) = match demanded {
        SandboxLevel::Full => (
            Severity::Error,
            "the policy demands the full sandbox, so that no isolated plugin is loaded",
        ),
        SandboxLevel::BestEffort => (
            Severity::Warning,
            "isolated plugins can do more than they were granted; `sandbox = \"full\"` in the policy \
             refuses them here",
        ),
    };
    Finding::new(severity, "E11.sandbox", lack.to_string()).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::runner::Older;

    #[test]
    fn missing_feature_is_error_under_strict_sandbox_policy() {
        let finding = of_lack(MissingFeature::Truncate, SandboxLevel::BestEffort);
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.what.contains("Linux 6.2"), "{}", finding.what);
        let why = "the kernel refuses user namespaces to this user (EPERM)";
        let finding = without_namespaces(Namespaces::BestEffort, why);
        assert_eq!((finding.severity, finding.code), (Severity::Warning, "E11.sandbox"));
        assert_eq!(finding.what, format!("isolated plugins get no namespaces of their own: {why}"));
        assert_eq!(without_namespaces(Namespaces::Required, why).severity, Severity::Error);
        let finding = of_lack(MissingFeature::Files, SandboxLevel::Full);
        assert_eq!((finding.severity, finding.code), (Severity::Error, "E11.sandbox"));
        assert!(finding.why.contains("no isolated plugin is loaded"), "{}", finding.why);
    }

    #[test]
    fn missing_second_sandbox_layer_is_note_under_any_policy() {
        for demanded in [SandboxLevel::BestEffort, SandboxLevel::Full] {
            let finding = of_lack(MissingFeature::Second(Older::Tcp), demanded);
            assert_eq!(finding.severity, Severity::Note);
            assert_eq!(
                finding.what,
                "the landlock of this kernel does not know TCP ports (Linux 6.7), the controls of \
                 devices (Linux 6.10), signals and abstract sockets (Linux 6.12): the filter of \
                 system calls holds plugins there, and nothing behind it"
            );
        }
    }
}
