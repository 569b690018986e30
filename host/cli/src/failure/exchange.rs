//! Converts the errors of an import or export to failures, each with a hint.

use keystead::internals::visible;
use keystead_exchange::Error;

use super::Failure;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Error::Host(error) = error {
            return Self::from(*error);
        }
        let (exit, code) = (error.class().into(), Some(error.code()));
        let hint = hint(&error);
        let causes = match error {
            Error::NoPassword => {
                vec!["it asks for `password`, and prompting is not possible".into()]
            }
            Error::UnknownTable { ref columns } if !columns.is_empty() => {
                let columns: Vec<String> =
                    columns.iter().map(|column| format!("`{}`", visible(column))).collect();
                vec![format!("its columns are {}", columns.join(", "))]
            }
            _ => Vec::new(),
        };
        Self { exit, error: Box::new(error), code, causes, hints: hint.into_iter().collect() }
    }
}

/// Returns the hint for an error.
fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Encrypted { form } => {
            let how = match form.starts_with("Bitwarden") {
                true => "with `bw export --format json`, or in the application",
                false => "in the application",
            };
            return Some(format!(
                "export it again without encryption ({how}), import that, and delete it"
            ));
        }
        Error::Foreign { remedy, .. } => remedy,
        Error::UnknownTable { .. } => {
            "say which column is what: add `--column name=HEADER --column password=HEADER`"
        }
        Error::WrongAccount { .. } => "name the account that SecretStore ran as with `--user NAME`",
        Error::NoPassword => "run the command in a terminal, or add `--unlock password=env:VAR`",
        Error::NoPassphrase { path } => {
            return Some(format!(
                "run it in a terminal without `--no-input`, or unlock the key first: `gpg --decrypt {}`",
                visible(&path.to_string_lossy())
            ));
        }
        Error::NoProgram { .. } => "install GnuPG: the package is called `gnupg`",
        _ => return None,
    };
    Some(hint.to_owned())
}
