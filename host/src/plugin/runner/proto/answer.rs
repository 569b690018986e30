//! The answers of a vault on their way back: written by the runner, read by the host,
//! which asks for the one shape that its call has.

use keystead_plugin_api as api;

use super::shape::{self, MAX_ITEMS, Sealed};
use crate::codec::{Fault, Reader, Writer};

/// What a vault answered.
pub(in crate::plugin::runner) enum Answer {
    Nothing,
    Secret(Secret),
    Entry(api::Entry),
    Page(api::Page),
    Session(Option<api::Session>),
    Many(Vec<api::Result<Secret>>),
    Versions(Vec<api::Version>),
    Actions(Vec<api::Action>),
    Outcome(Outcome),
    Written(Vec<api::Result<()>>),
}

/// A secret in its byte form.
pub(in crate::plugin::runner) struct Secret {
    value: Sealed,
    metadata: api::Metadata,
}

impl Secret {
    fn new(secret: api::Secret) -> api::Result<Self> {
        Ok(Self { value: seal(&secret.value)?, metadata: secret.metadata })
    }

    fn write(&self, w: &mut Writer<'_>) {
        self.value.write(w);
        shape::write_metadata(w, &self.metadata);
    }
}

/// An outcome with its value in its byte form.
pub(in crate::plugin::runner) struct Outcome {
    message: String,
    value: Option<Sealed>,
}

/// Encodes a value that comes from the vault: one that exceeds a limit is the vault's
/// fault, not the caller's.
fn seal(value: &api::Value) -> api::Result<Sealed> {
    Sealed::new(value)
        .map_err(|refused| api::Error::internal(format!("the vault's answer: {refused}")))
}

impl Answer {
    pub(in crate::plugin::runner) fn secret(secret: api::Secret) -> api::Result<Self> {
        Secret::new(secret).map(Self::Secret)
    }

    pub(in crate::plugin::runner) fn many(secrets: Vec<api::Result<api::Secret>>) -> Self {
        Self::Many(secrets.into_iter().map(|secret| secret.and_then(Secret::new)).collect())
    }

    pub(super) fn outcome(outcome: api::Outcome) -> api::Result<Self> {
        let value = outcome.value.as_ref().map(seal).transpose()?;
        Ok(Self::Outcome(Outcome { message: outcome.message, value }))
    }

    /// Writes the body.
    pub(in crate::plugin::runner) fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Nothing => {}
            Self::Secret(secret) => secret.write(w),
            Self::Entry(entry) => shape::write_entry(w, entry),
            Self::Page(page) => {
                w.count(page.entries.len());
                for entry in &page.entries {
                    shape::write_entry(w, entry);
                }
                w.optional(page.next.as_deref(), |w, next| w.text(next));
            }
            Self::Session(session) => w.optional(session.as_ref(), shape::write_session),
            Self::Many(secrets) => {
                w.count(secrets.len());
                for secret in secrets {
                    match secret {
                        Ok(secret) => {
                            w.flag(true);
                            secret.write(w);
                        }
                        Err(error) => {
                            w.flag(false);
                            shape::write_error(w, error);
                        }
                    }
                }
            }
            Self::Written(results) => {
                w.count(results.len());
                for result in results {
                    w.optional(result.as_ref().err(), shape::write_error);
                }
            }
            Self::Versions(versions) => {
                w.count(versions.len());
                for version in versions {
                    w.text(&version.id);
                    w.optional(version.created, Writer::i64);
                }
            }
            Self::Actions(actions) => {
                w.count(actions.len());
                for action in actions {
                    w.text(&action.id);
                    w.text(&action.description);
                    shape::write_schema(w, &action.parameters);
                    w.flag(action.destructive);
                }
            }
            Self::Outcome(outcome) => {
                w.text(&outcome.message);
                w.optional(outcome.value.as_ref(), |w, value| value.write(w));
            }
        }
    }
}

/// Reads an answer that says nothing but that it was done.
pub(in crate::plugin::runner) fn nothing(_: &mut Reader<'_>) -> Result<(), Fault> {
    Ok(())
}

/// Reads a secret.
pub(in crate::plugin::runner) fn secret(r: &mut Reader<'_>) -> Result<api::Secret, Fault> {
    let value = shape::value(r)?;
    Ok(api::Secret::with_metadata(value, shape::metadata(r)?))
}

/// Reads an entry.
pub(in crate::plugin::runner) fn entry(r: &mut Reader<'_>) -> Result<api::Entry, Fault> {
    shape::entry(r)
}

/// Reads a page.
pub(in crate::plugin::runner) fn page(r: &mut Reader<'_>) -> Result<api::Page, Fault> {
    let count = r.count(api::MAX_PAGE_ENTRIES, "a page of more than 1000 entries")?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(shape::entry(r)?);
    }
    Ok(api::Page::new(entries, r.optional(shape::text)?))
}

/// Reads a session, or that there is none.
pub(in crate::plugin::runner) fn session(
    r: &mut Reader<'_>,
) -> Result<Option<api::Session>, Fault> {
    r.optional(shape::session)
}

/// Reads as many results as were asked for.
pub(in crate::plugin::runner) fn many(
    r: &mut Reader<'_>,
    asked: usize,
) -> Result<Vec<api::Result<api::Secret>>, Fault> {
    if r.u32()? as usize != asked {
        return Err(Fault::new("another number of secrets than was asked for"));
    }
    let mut secrets = Vec::with_capacity(asked);
    for _ in 0..asked {
        secrets.push(if r.flag()? { Ok(secret(r)?) } else { Err(shape::error(r)?) });
    }
    Ok(secrets)
}

/// Reads as many results as secrets were to be written.
pub(in crate::plugin::runner) fn written(
    r: &mut Reader<'_>,
    asked: usize,
) -> Result<Vec<api::Result<()>>, Fault> {
    if r.u32()? as usize != asked {
        return Err(Fault::new("another number of results than of secrets to write"));
    }
    let mut results = Vec::with_capacity(asked);
    for _ in 0..asked {
        results.push(r.optional(shape::error)?.map_or(Ok(()), Err));
    }
    Ok(results)
}

/// Reads versions.
pub(in crate::plugin::runner) fn versions(r: &mut Reader<'_>) -> Result<Vec<api::Version>, Fault> {
    let count = r.count(MAX_ITEMS, "more than 10000 versions")?;
    let mut versions = Vec::with_capacity(count);
    for _ in 0..count {
        let id = shape::text(r)?;
        versions.push(api::Version::new(id, r.optional(Reader::i64)?));
    }
    Ok(versions)
}

/// Reads actions.
pub(in crate::plugin::runner) fn actions(r: &mut Reader<'_>) -> Result<Vec<api::Action>, Fault> {
    let count = r.count(MAX_ITEMS, "more than 10000 actions")?;
    let mut actions = Vec::with_capacity(count);
    for _ in 0..count {
        let id = shape::text(r)?;
        let mut action = api::Action::new(id, shape::message(r)?);
        action.parameters = shape::schema(r)?;
        action.destructive = r.flag()?;
        actions.push(action);
    }
    Ok(actions)
}

/// Reads an action's outcome.
pub(in crate::plugin::runner) fn outcome(r: &mut Reader<'_>) -> Result<api::Outcome, Fault> {
    let mut outcome = api::Outcome::new(shape::message(r)?);
    outcome.value = r.optional(shape::value)?;
    Ok(outcome)
}
