//! Runs a granted program for a plugin, which never forks itself. Not there yet: every
//! request is refused until it is.

use keystead_plugin_api::{Error, ExecOutput, ExecRequest, Result};

/// Refuses: the next commit runs it.
pub(crate) fn run(request: ExecRequest) -> Result<ExecOutput> {
    Err(Error::unsupported(format!("running `{}` is not possible yet", request.program)))
}
