//! Repeats a call after the delay that its vault requests, while the deadline leaves time for that.

use std::thread::sleep;
use std::time::Duration;

use keystead_plugin_api::{Deadline, Error, ErrorKind, Result};

/// The shortest delay before a call is repeated, even if the vault requests less.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// Returns the delay that a vault requests before the same call is repeated. `None` if the vault
/// requests no delay, or the deadline leaves no time for the delay.
pub(crate) fn pause(refusal: &Error, deadline: Deadline) -> Option<Duration> {
    let wait = refusal.retry_after().filter(|_| refusal.kind() == ErrorKind::Unavailable)?;
    Some(wait.max(SHORTEST_WAIT)).filter(|wait| *wait < deadline.remaining())
}

/// Repeats a call until the vault no longer requests a delay, or the deadline leaves no time.
pub(crate) fn again<T>(deadline: Deadline, mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(refusal) => match pause(&refusal, deadline) {
                Some(pause) => sleep(pause),
                None => return Err(refusal),
            },
            answer => return answer,
        }
    }
}

/// Repeats a batch call for the results that request a delay, by their indexes, and stores the new
/// results. A result that is locked by then keeps its old value.
pub(crate) fn each<T>(
    results: &mut [Result<T>],
    deadline: Deadline,
    mut call: impl FnMut(&[usize]) -> Result<Vec<Result<T>>>,
) {
    let is_locked = |result: &Result<T>| {
        result.as_ref().is_err_and(|refusal| refusal.kind() == ErrorKind::Locked)
    };
    // The vault is unlocked first, and then these requests are repeated.
    let mut locked = results.iter().any(is_locked);
    while !locked {
        let asks = |result: &Result<T>| pause(result.as_ref().err()?, deadline);
        let due = results.iter().enumerate().filter_map(|(at, result)| Some((at, asks(result)?)));
        let (due, pauses): (Vec<_>, Vec<_>) = due.unzip();
        let Some(longest) = pauses.into_iter().max() else { return };
        sleep(longest);
        let Ok(answers) = call(&due) else { return };
        for (at, answer) in due.into_iter().zip(answers) {
            match is_locked(&answer) {
                true => locked = true,
                false => results[at] = answer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(wait: Duration) -> Error {
        Error::unavailable("slow down").with_retry_after(wait)
    }

    #[test]
    fn retry_repeats_only_results_with_retry_delay() {
        let wait = Duration::from_millis(1);
        let hour = Duration::from_secs(3_600);
        let mut results =
            [Ok(0), Err(throttled(wait)), Err(Error::not_found()), Err(throttled(hour))];
        let mut calls = Vec::new();
        each(&mut results, Deadline::after(Duration::from_secs(60)), |due| {
            calls.push(due.to_vec());
            let answer = if calls.len() < 3 { Err(throttled(wait)) } else { Ok(7) };
            Ok(vec![answer])
        });
        assert_eq!(calls, [[1], [1], [1]]);
        assert_eq!(results, [Ok(0), Ok(7), Err(Error::not_found()), Err(throttled(hour))]);
    }

    #[test]
    fn retry_stops_if_vault_is_locked_or_call_fails() {
        let wait = Duration::from_millis(1);
        let deadline = Deadline::after(Duration::from_secs(60));
        let locked = || Error::new(ErrorKind::Locked, "the vault is locked");
        let mut results = [Ok(0), Err(throttled(wait))];
        each(&mut results, deadline, |_| Ok(vec![Err(locked())]));
        each(&mut results, deadline, |_| Err(locked()));
        assert_eq!(results, [Ok(0), Err(throttled(wait))]);
        let mut results = [Err(locked()), Err(throttled(wait))];
        each(&mut results, deadline, |_| -> Result<Vec<Result<i32>>> { panic!("it is locked") });
    }
}
