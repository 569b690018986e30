//! The byte forms of what has a number, and what belongs to it.

use std::time::Duration;

use super::{Reader, Wire, Writer};
use crate::challenge::{PromptKind, Wait};
use crate::error::Result;
use crate::vault::{NameEquality, UnicodeTables};

/// A rule that is unknown here is as good as none.
impl Wire for NameEquality {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        let (code, tables) = match self {
            Self::Unknown => (0_u32, None),
            Self::Exact => (1, None),
            Self::AsciiCase => (2, None),
            Self::Composed(tables) => (3, Some(tables)),
            Self::ComposedCase(tables) => (4, Some(tables)),
            #[cfg(feature = "next")]
            Self::Width(tables) => (200, Some(tables)),
        };
        code.write(w)?;
        if let Some(tables) = tables {
            w.raw(&[tables.folding, tables.composition]);
        }
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let code = u32::read(r)?;
        let mut tables =
            || r.array().map(|[folding, composition]| UnicodeTables::new(folding, composition));
        Ok(match code {
            1 => Self::Exact,
            2 => Self::AsciiCase,
            3 => Self::Composed(tables()?),
            4 => Self::ComposedCase(tables()?),
            #[cfg(feature = "next")]
            200 => Self::Width(tables()?),
            _ => {
                // Whatever a later rule has behind its number.
                r.rest = &[];
                Self::Unknown
            }
        })
    }
}

/// A line, as every prompt was before there were others.
impl Wire for PromptKind {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.code().write(w)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let code = u32::read(r)?;
        Self::from_code(code).ok_or_else(|| Self::unknown(code))
    }

    fn is_absent(&self) -> bool {
        *self == Self::Line
    }

    fn absent() -> Option<Self> {
        Some(Self::Line)
    }
}

/// A kind, and what belongs to it.
impl Wire for Wait {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Poll { interval, expires } => {
                1_u32.write(w)?;
                interval.write(w)?;
                expires.write(w)
            }
            Self::System => 2_u32.write(w),
            #[cfg(feature = "next")]
            Self::Touch { expires } => {
                200_u32.write(w)?;
                expires.write(w)
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        match u32::read(r)? {
            1 => Ok(Self::Poll { interval: Duration::read(r)?, expires: Duration::read(r)? }),
            2 => Ok(Self::System),
            #[cfg(feature = "next")]
            200 => Ok(Self::Touch { expires: Duration::read(r)? }),
            code => Err(Wait::unknown(code)),
        }
    }

    fn is_absent(&self) -> bool {
        *self == Self::None
    }

    fn absent() -> Option<Self> {
        Some(Self::None)
    }
}
