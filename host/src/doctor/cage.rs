//! What this machine's kernel lacks for the cage of isolated plugins.

use super::{Finding, Severity};
use crate::plugin::runner::{self, Cage, Lack};

/// Tries the cage, in a thread that ends with it.
pub(super) fn findings(demanded: Cage) -> Vec<Finding> {
    match runner::lacking() {
        Ok(lacking) => lacking.into_iter().map(|lack| of_lack(lack, demanded)).collect(),
        Err(problem) => {
            let what = format!("the cage of isolated plugins cannot be taken: {problem}");
            let why = "no vault whose plugin is isolated can be opened";
            vec![Finding::new(Severity::Error, "E11.sandbox", what).because(why)]
        }
    }
}

fn of_lack(lack: Lack, demanded: Cage) -> Finding {
    let (severity, why) = match demanded {
        Cage::Whole => (
            Severity::Error,
            "the policy demands a whole cage, so that no isolated plugin is loaded",
        ),
        Cage::Possible => (
            Severity::Warning,
            "isolated plugins can do more than they were granted; `cage = \"whole\"` in the policy \
             refuses them here",
        ),
    };
    Finding::new(severity, "E11.sandbox", lack.to_string()).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_an_error_where_the_policy_demands_it() {
        let finding = of_lack(Lack::Truncate, Cage::Possible);
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.what.contains("Linux 6.2"), "{}", finding.what);
        let finding = of_lack(Lack::Files, Cage::Whole);
        assert_eq!((finding.severity, finding.code), (Severity::Error, "E11.sandbox"));
        assert!(finding.why.contains("no isolated plugin is loaded"), "{}", finding.why);
    }
}
