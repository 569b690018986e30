//! Several secrets of one vault at once: in as few calls as the vault completes in time, with a
//! result for each secret.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_plugin_api::{
    Deadline, Error as Answer, ErrorKind, GetManyRequest, GetRequest, MAX_SET_MANY,
    MAX_SET_MANY_BYTES, Metadata, Result as Reply, Secret, SecretName, SetManyRequest, SetRequest,
    Value, VaultName, WriteMode, Written,
};

use super::named;
use super::write::{can_hold, can_write};
use crate::error::{Error, Result};
use crate::host::{Host, VaultRef};
use crate::plugin::inspect::ParsedKind;
use crate::prompter::Prompter;
use crate::retry;

/// How many secrets the first call has: a vault that is in time with one secret must also be in
/// time with many.
const FIRST: usize = 1;

/// Maximum number of names in one call: a vault that reads them one by one has time for these.
const MOST_READ: usize = 1_000;

/// A secret to write among several.
#[derive(Debug)]
pub struct BatchWrite {
    /// Name of the secret.
    pub name: SecretName,
    /// The new value.
    pub value: Value,
    /// Metadata in place of all that exists; `None` leaves it unchanged.
    pub metadata: Option<Metadata>,
    /// What to do if the name exists, or does not exist.
    pub mode: WriteMode,
}

impl BatchWrite {
    fn request(&self, deadline: Deadline) -> SetRequest {
        let mut request = SetRequest::new(self.name.clone(), self.value.duplicate(), deadline);
        request.metadata.clone_from(&self.metadata);
        request.mode = self.mode;
        request
    }

    /// Rejects a secret that the vault cannot hold; returns the bytes that a call counts for it.
    fn check(&self, vault: &VaultName, kind: &ParsedKind) -> Result<usize> {
        can_write(vault, kind, self.metadata.as_ref())?;
        let value = can_hold(vault, kind, &self.value)?;
        Ok(self.name.as_str().len() + value + self.metadata.as_ref().map_or(0, Metadata::bytes))
    }
}

impl Host {
    /// Writes several secrets, in order, and returns a result for each. A caller with very many
    /// secrets passes them in parts, as large as its memory allows.
    ///
    /// The host rejects a secret that the vault cannot hold without sending it. A rejected secret
    /// hinders no other secret. If the vault fails in the middle, the secrets that follow get
    /// [`Error::Stopped`].
    ///
    /// # Errors
    /// [`Error::NoDefaultVault`], or the vault's error as long as the vault has confirmed no write.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::api::{SecretName, Value, WriteMode};
    /// use keystead::{NonInteractive, BatchWrite};
    ///
    /// let new = ["a", "b"].map(|name| BatchWrite {
    ///     name: SecretName::parse(name).expect("it is a name"),
    ///     value: Value::text("correct horse"),
    ///     metadata: None,
    ///     mode: WriteMode::CreateOnly,
    /// });
    /// for result in host.set_many(None, &new, &mut NonInteractive)? {
    ///     result?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_many(
        &self,
        vault: Option<&VaultName>,
        new: &[BatchWrite],
        ask: &mut dyn Prompter,
    ) -> Result<Vec<Result<()>>> {
        let prepared = self.prepare_target(vault)?;
        let vault = prepared.name.clone();
        let (kind, plugin) = (prepared.kind(), &prepared.entry().plugin);
        can_write(&vault, kind, None)?;
        let mut results: Vec<Option<Result<()>>> = Vec::with_capacity(new.len());
        // Index and size in bytes of each secret that is sent.
        let mut left = Vec::with_capacity(new.len());
        for (at, one) in new.iter().enumerate() {
            results.push(match one.check(&vault, kind) {
                Ok(bytes) => {
                    left.push((at, bytes));
                    None
                }
                Err(refused) => Some(Err(refused)),
            });
        }
        let mut left = left.as_slice();
        let mut written = false;
        while !left.is_empty() {
            let pace = self.paces().get(&vault).copied().unwrap_or(FIRST);
            let some = &left[..fitting(left, pace)];
            let mut took = Duration::ZERO;
            let names: Vec<&SecretName> = some.iter().map(|(at, _)| &new[*at].name).collect();
            let answers = self.exclusively(&prepared, &names, ask, &mut |ask| {
                self.call(&prepared, ask, &mut |open, deadline| {
                    let mut set = |places: &[usize]| {
                        let requests = places.iter().map(|at| new[some[*at].0].request(deadline));
                        let all = open.set_many(SetManyRequest::new(requests.collect()));
                        all.map(|all| all.results)
                    };
                    let begun = Instant::now();
                    let mut answers = set(&(0..some.len()).collect::<Vec<_>>())?;
                    took = begun.elapsed();
                    // Of two writes to one name the second must stay the last.
                    if are_distinct(names.iter().copied()) {
                        retry::each(&mut answers, deadline, set);
                    }
                    Ok(answers)
                })
            });
            let answers = match answers {
                Ok(answers) => answers,
                Err(error) if !written => return Err(error),
                Err(error) => {
                    let source = Arc::new(error);
                    for (at, _) in left {
                        let tried = some.iter().any(|(tried, _)| tried == at);
                        let (vault, source) = (vault.clone(), Arc::clone(&source));
                        results[*at] = Some(Err(Error::Stopped { vault, tried, source }));
                    }
                    break;
                }
            };
            self.keep_pace(&vault, some.len(), took);
            // Locked in the middle: the rest is unchanged, and the next call unlocks the vault.
            let locked = |answer: &Reply<Written>| {
                answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Locked)
            };
            let done = answers.iter().position(locked).filter(|done| *done > 0);
            let done = done.unwrap_or(answers.len());
            for ((at, _), answer) in some.iter().zip(answers).take(done) {
                written |= answer.is_ok();
                let name = &new[*at].name;
                let answer = answer.map(drop);
                results[*at] = Some(answer.map_err(|answer| told(answer, &vault, plugin, name)));
            }
            left = &left[done..];
        }
        Ok(results.into_iter().map(|result| result.expect("each is answered or refused")).collect())
    }

    /// Returns several secrets of a vault, a result for each name, in order. All are in memory
    /// at once.
    ///
    /// # Errors
    /// The vault's error for a call as a whole.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::api::{SecretName, VaultName};
    ///
    /// let vault = VaultName::parse("work").expect("it is a name");
    /// let names = ["a", "b"].map(|name| SecretName::parse(name).expect("it is a name"));
    /// for (name, secret) in names.iter().zip(host.get_many(&vault, &names, &mut keystead::NonInteractive)?) {
    ///     println!("{name}: a {}", secret?.value.kind());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many(
        &self,
        vault: &VaultName,
        names: &[SecretName],
        ask: &mut dyn Prompter,
    ) -> Result<Vec<Result<Secret>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let registered = self.layered(vault)?;
        let place = VaultRef::Registered(vault, &registered);
        let mut results = Vec::with_capacity(names.len());
        let mut left = names;
        let mut pace = FIRST;
        while !left.is_empty() {
            let some;
            (some, left) = left.split_at(pace.min(left.len()));
            let mut took = Duration::ZERO;
            let answers = self.call(place, ask, &mut |open, deadline| {
                let mut get = |places: &[usize]| {
                    let requests =
                        places.iter().map(|at| GetRequest::new(some[*at].clone(), deadline));
                    open.get_many(&GetManyRequest::new(requests.collect())).map(|all| all.results)
                };
                let begun = Instant::now();
                let mut answers = get(&(0..some.len()).collect::<Vec<_>>())?;
                took = begun.elapsed();
                retry::each(&mut answers, deadline, get);
                Ok(answers)
            })?;
            pace = next_pace(pace, took, self.timeout()).min(MOST_READ);
            let each = some.iter().zip(answers);
            results.extend(each.map(|(name, answer)| {
                answer.map_err(|answer| told(answer, vault, &registered.entry.plugin, name))
            }));
        }
        Ok(results)
    }

    /// Records how long a vault took for this many secrets, for the next call.
    fn keep_pace(&self, vault: &VaultName, count: usize, took: Duration) {
        let mut paces = self.paces();
        let pace = paces.entry(vault.clone()).or_insert(FIRST);
        // The last few secrets of a batch show little about a full call.
        if count >= *pace || took > self.timeout() / 4 {
            *pace = next_pace(*pace, took, self.timeout());
        }
    }
}

/// Returns whether no two of these are one name to any vault that ignores case.
fn are_distinct<'n>(mut names: impl Iterator<Item = &'n SecretName>) -> bool {
    let mut seen = HashSet::new();
    names.all(|name| seen.insert(name.as_str().to_lowercase()))
}

/// Returns how many of these fit into one call.
fn fitting(left: &[(usize, usize)], pace: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = left.iter().take(pace).take_while(|(_, size)| {
        bytes += size;
        bytes <= MAX_SET_MANY_BYTES
    });
    fits.count().max(1)
}

/// Returns the size of the next call: four times as many secrets after a short call, a quarter
/// after a long call.
fn next_pace(pace: usize, took: Duration, timeout: Duration) -> usize {
    if took < timeout / 16 {
        (pace * 4).min(MAX_SET_MANY)
    } else if took > timeout / 4 {
        (pace / 4).max(1)
    } else {
        pace
    }
}

/// Returns a vault's error for a secret of a batch like its error for that secret alone.
fn told(answer: Answer, vault: &VaultName, plugin: &str, name: &SecretName) -> Error {
    let (owner, plugin) = (vault.clone(), plugin.to_owned());
    let error = match answer.kind() {
        ErrorKind::Internal => Error::Misbehaved { vault: owner, plugin, answer },
        _ => Error::Refused { vault: owner, answer },
    };
    named(error, vault, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_size_adapts_to_vault_speed() {
        let timeout = Duration::from_secs(16);
        let paces = |each: Duration| {
            let mut pace = FIRST;
            let next = |_| {
                let count = u32::try_from(pace).unwrap();
                // No call comes near its deadline.
                assert!(each * count < timeout * 3 / 4, "{pace}");
                pace = next_pace(pace, each * count, timeout);
                pace
            };
            (0..5).map(next).collect::<Vec<_>>()
        };
        assert_eq!(paces(Duration::from_micros(10)), [4, 16, 64, 256, 1_000]);
        assert_eq!(paces(Duration::from_millis(10)), [4, 16, 64, 256, 256]);
        assert_eq!(paces(Duration::from_millis(500)), [4, 4, 4, 4, 4]);
        assert_eq!(paces(Duration::from_secs(3)), [1, 1, 1, 1, 1]);
        assert_eq!(paces(Duration::from_secs(11)), [1, 1, 1, 1, 1]);
    }

    #[test]
    fn batch_is_limited_by_size_and_never_empty() {
        let of = |sizes: &[usize]| sizes.iter().copied().enumerate().collect::<Vec<_>>();
        assert_eq!(fitting(&of(&[1; 5]), 3), 3);
        assert_eq!(fitting(&of(&[1; 5]), 16), 5);
        let half = MAX_SET_MANY_BYTES / 2;
        assert_eq!(fitting(&of(&[half, half, 1]), 16), 2);
        assert_eq!(fitting(&of(&[MAX_SET_MANY_BYTES + 1, 1]), 16), 1);
    }
}
