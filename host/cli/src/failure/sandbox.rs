//! Adds hints about a sandbox's grants where a plugin may have been denied access: "permission
//! denied" alone does not help the user.

use keystead::internals::Denied;
use keystead::{Error, Host};

use super::Failure;

/// Adds the grants of the failure's vault, and how to grant more.
pub(crate) fn with_grants(failure: Failure, host: &Host) -> Failure {
    let denied = failure
        .error
        .downcast_ref::<Error>()
        .and_then(|error| keystead::internals::denied(host, error));
    match denied {
        Some(denied) => hints(&denied).into_iter().fold(failure, Failure::hint),
        None => failure,
    }
}

fn hints(denied: &Denied) -> Vec<String> {
    let Denied { vault, plugin, grants, optional, .. } = denied;
    let grants = match grants.as_slice() {
        [] => "nothing".to_owned(),
        grants => grants.join(", "),
    };
    let mut hints = vec![format!("vault `{vault}` is sandboxed, and grants {grants}")];
    hints.extend(optional.iter().map(|one| {
        format!("run `keystead vault grant {vault} {}` to grant that as well", one.permission)
    }));
    hints.push(format!(
        "run `keystead plugin show {plugin}` to see what it can be granted; a path is granted by the \
         parameter that names it"
    ));
    hints
}
