//! The programs and variables that a plugin may have run, and the log line of a program.

use std::collections::{BTreeMap, BTreeSet};

use keystead_plugin_api::{Error, ErrorDetail, ExecRequest, Result};

use crate::error::visible;
use crate::plugin::inspect::Permission;

/// Maximum characters of an argument, and maximum arguments, in a log line.
const MAX_SHOWN: (usize, usize) = (80, 12);

/// The programs that a registration grants to its plugin, each with the variables that the plugin
/// may set for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programs(BTreeMap<String, BTreeSet<String>>);

impl Programs {
    /// Returns the programs among these permissions, all of which are granted.
    pub(crate) fn among(granted: &[Permission]) -> Self {
        let mut programs = BTreeMap::<String, BTreeSet<String>>::new();
        for permission in granted {
            if let Permission::Exec { program, variables } = permission {
                programs.entry(program.clone()).or_default().extend(variables.iter().cloned());
            }
        }
        Self(programs)
    }

    /// Returns whether no program is granted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that a program is granted with all its requested variables.
    ///
    /// # Errors
    /// [`PermissionDenied`](keystead_plugin_api::ErrorKind::PermissionDenied), with the names.
    pub(crate) fn permit(&self, request: &ExecRequest) -> Result<()> {
        let program = visible(&request.program);
        let Some(variables) = self.0.get(&request.program) else {
            let message = format!("running `{program}` is not granted");
            return Err(Error::detailed(ErrorDetail::NotGranted, message));
        };
        match request.environment.iter().find(|(name, _)| !variables.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Error::detailed(
                ErrorDetail::NotGranted,
                format!("setting the variable `{}` for `{program}` is not granted", visible(name)),
            )),
        }
    }
}

/// Returns the log line of a program that is run: its arguments, which are foreign text, and the
/// names of its variables.
pub(crate) fn line(request: &ExecRequest) -> String {
    let shown = |text: &str| {
        let mut text = visible(text);
        if let Some((end, _)) = text.char_indices().nth(MAX_SHOWN.0) {
            text.truncate(end);
            text.push('…');
        }
        format!("`{text}`")
    };
    let mut line = format!("runs {}", shown(&request.program));
    let arguments = request.arguments.iter().map(|argument| shown(argument));
    for (at, argument) in arguments.take(MAX_SHOWN.1).enumerate() {
        line += if at == 0 { " with " } else { " " };
        line += &argument;
    }
    if let more @ 1.. = request.arguments.len().saturating_sub(MAX_SHOWN.1) {
        line += &format!(" and {more} more");
    }
    if !request.environment.is_empty() {
        let names: Vec<&str> = request.environment.iter().map(|(name, _)| name.as_str()).collect();
        line += &format!("; sets {}", names.join(" "));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keystead_plugin_api::{Deadline, ErrorKind, SecretBytes};

    use super::*;

    fn request(program: &str, arguments: &[&str], variables: &[&str]) -> ExecRequest {
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        let deadline = Deadline::after(Duration::from_secs(1));
        let mut request = ExecRequest::new(program, arguments, deadline);
        request.environment =
            variables.iter().map(|name| ((*name).to_owned(), "value-4c".to_owned())).collect();
        request
    }

    #[test]
    fn only_granted_program_and_variables_are_permitted() {
        let granted = ["exec:op:ACCOUNT,REGION", "exec:op:PROFILE", "exec:sh", "network"];
        let granted = granted.map(|text| Permission::parse(text).unwrap());
        let programs = Programs::among(&granted);
        let answer = |program, variables: &[&str]| match programs.permit(&request(
            program,
            &[],
            variables,
        )) {
            Ok(()) => "permitted".to_owned(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                error.message().to_owned()
            }
        };
        assert_eq!(answer("op", &[]), "permitted");
        assert_eq!(answer("op", &["REGION", "PROFILE", "ACCOUNT"]), "permitted");
        assert_eq!(answer("sh", &[]), "permitted");
        assert_eq!(answer("/bin/sh", &[]), "running `/bin/sh` is not granted");
        for name in
            ["BASH_ENV", "GCONV_PATH", "OPENSSL_CONF", "PYTHONPATH", "NODE_OPTIONS", "PATH", ""]
        {
            for program in ["op", "sh"] {
                let refused =
                    format!("setting the variable `{name}` for `{program}` is not granted");
                assert_eq!(answer(program, &[name]), refused);
            }
        }
        assert_eq!(
            answer("sh", &["ACCOUNT"]),
            "setting the variable `ACCOUNT` for `sh` is not granted",
            "it is granted for another program"
        );
    }

    #[test]
    fn exec_log_line_escapes_arguments_and_omits_values() {
        let mut one = request("/bin/x", &["a b", "\u{1b}[31m\u{202e}c\nd", ""], &["A", "B"]);
        one.input = SecretBytes::copy_of(b"input-4c");
        assert_eq!(line(&one), "runs `/bin/x` with `a b` `\\u{1b}[31m\\u{202e}c d` ``; sets A B");
        assert_eq!(line(&request("/bin/x", &[], &[])), "runs `/bin/x`");
        let long = "é".repeat(200);
        let many: Vec<&str> = std::iter::repeat_n(long.as_str(), 20).collect();
        let shown = format!("`{}…`", "é".repeat(80));
        let shown = [shown.as_str(); 12].join(" ");
        assert_eq!(line(&request("x", &many, &[])), format!("runs `x` with {shown} and 8 more"));
    }
}
