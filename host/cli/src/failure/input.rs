//! Converts the error of a prompt on the terminal to a failure.

use super::{Exit, Failure};
use crate::terminal::InputError;

impl From<InputError> for Failure {
    fn from(why: InputError) -> Self {
        match why {
            InputError::Nobody => {
                Self::new(Exit::NeedsHuman, "input is needed, and prompting is not possible")
            }
            InputError::Interrupted => Self::act("nothing was changed"),
            InputError::TooLong => Self::act("the line is too long to be typed"),
            InputError::SeveralLines => {
                Self::act("several lines were pasted where one is asked for; nothing was changed")
            }
            InputError::Mismatch => Self::act("the values do not match; nothing was changed"),
            InputError::Failed(fault) => Self::act("cannot ask at the terminal").because(fault),
        }
    }
}
