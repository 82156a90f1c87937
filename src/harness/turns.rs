//! Threads that run one at a time, in turn. Criterion samples a benchmark from beginning to end, and the machine's
//! speed lasts about as long as that; with a thread each, the cases of a bench share its whole time, sample by sample.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who is in the round; the one in front runs.
#[derive(Debug)]
pub struct Turns {
    round: Mutex<VecDeque<usize>>,
    changed: Condvar,
}

/// A place in the round. Dropping it leaves the round.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    who: usize,
}

impl Turns {
    /// A round of so many.
    pub fn new(count: usize) -> Self {
        Self { round: Mutex::new((0..count).collect()), changed: Condvar::new() }
    }

    /// Waits for the first turn of `who`.
    pub fn join(&self, who: usize) -> Turn<'_> {
        let turn = Turn { turns: self, who };
        turn.wait(self.lock());
        turn
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Lets everybody else have a turn, and returns at one's own.
    pub fn pass(&self) {
        let mut round = self.turns.lock();
        round.rotate_left(1);
        // All are woken, as a condition variable cannot wake the one that is in front now.
        self.turns.changed.notify_all();
        self.wait(round);
    }

    fn wait(&self, mut round: MutexGuard<'_, VecDeque<usize>>) {
        while round.front() != Some(&self.who) {
            round = self.turns.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.lock().retain(|&who| who != self.who);
        self.turns.changed.notify_all();
    }
}
