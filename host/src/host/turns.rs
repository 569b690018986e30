//! Whose turn it is with a vault: one caller at a time, and never a circle of callers that
//! wait for each other. A vault may need another one's secret while it is opened or
//! unlocked; where it comes to need itself, that is an error and not a wait.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use super::lock;

/// The turns of one host.
#[derive(Default)]
pub(super) struct Turns {
    waits: Mutex<Waits>,
    ended: Condvar,
}

/// Names one vault's place, as long as somebody holds it.
pub(super) type Place = usize;

#[derive(Default)]
struct Waits {
    holders: HashMap<Place, ThreadId>,
    waiting: HashMap<ThreadId, Place>,
}

/// A turn; dropped, it is the next one's.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    place: Place,
}

impl Turns {
    /// Waits for this thread's turn. Returns `None` where it would wait for itself.
    pub(super) fn wait(&self, place: Place) -> Option<Turn<'_>> {
        let me = thread::current().id();
        let mut waits = lock(&self.waits);
        while waits.holders.contains_key(&place) {
            if waits.lead_to(me, place) {
                return None;
            }
            waits.waiting.insert(me, place);
            waits = self.ended.wait(waits).unwrap_or_else(PoisonError::into_inner);
            waits.waiting.remove(&me);
        }
        waits.holders.insert(place, me);
        Some(Turn { turns: self, place })
    }
}

impl Waits {
    /// Returns whether the holder of a place is this thread, or waits for it in the end.
    fn lead_to(&self, thread: ThreadId, place: Place) -> bool {
        let mut at = Some(place);
        while let Some(holder) = at.and_then(|place| self.holders.get(&place)) {
            if *holder == thread {
                return true;
            }
            at = self.waiting.get(holder).copied();
        }
        false
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waits = lock(&self.turns.waits);
        waits.holders.remove(&self.place);
        if !waits.waiting.is_empty() {
            self.turns.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_thread_does_not_wait_for_itself() {
        let turns = Turns::default();
        let first = turns.wait(1).unwrap();
        let _other = turns.wait(2).unwrap();
        assert!(turns.wait(1).is_none());
        drop(first);
        assert!(turns.wait(1).is_some());
    }

    #[test]
    fn of_threads_that_wait_in_a_circle_one_is_told() {
        let turns = Turns::default();
        let ready = Barrier::new(3);
        let told = thread::scope(|scope| {
            let threads = [0, 1, 2].map(|own| {
                let (turns, ready) = (&turns, &ready);
                scope.spawn(move || {
                    let _own = turns.wait(own).unwrap();
                    ready.wait();
                    turns.wait((own + 1) % 3).is_none()
                })
            });
            threads.into_iter().map(|t| t.join().unwrap()).filter(|t| *t).count()
        });
        assert_eq!(told, 1);
        assert!(lock(&turns.waits).holders.is_empty() && lock(&turns.waits).waiting.is_empty());
    }
}
