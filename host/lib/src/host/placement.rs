//! Where a vault's code runs, and why.

use super::{Host, prepare};
use crate::error::Result;
use crate::registry::{Placement, Registration};

/// Reason for the placement of a vault's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementReason {
    /// The registration specifies it.
    Registered,
    /// The plugin was built with this host, and keeps its secrets in files of the user.
    BuiltIn,
    /// The default for plugins.
    Default,
}

impl PlacementReason {
    /// Returns the reason in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::BuiltIn => "built-in",
            Self::Default => "default",
        }
    }
}

impl Host {
    /// Returns where the code of a registered vault runs, and the reason.
    ///
    /// # Errors
    /// The plugin cannot be used.
    pub(crate) fn placement(&self, entry: &Registration) -> Result<(Placement, PlacementReason)> {
        if let Some(placement) = entry.placement {
            return Ok((placement, PlacementReason::Registered));
        }
        let placement = prepare::usual_placement(&self.trusted(&entry.plugin)?);
        Ok(match placement {
            Placement::InProcess => (placement, PlacementReason::BuiltIn),
            Placement::Isolated => (placement, PlacementReason::Default),
        })
    }
}
