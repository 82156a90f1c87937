//! What the allocator was asked for, in a program whose allocator counts. The counters are of the whole process: exact
//! where one thread works.

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::units::Bytes;

/// The system's allocator, with counters. A program counts if it has this one as its `#[global_allocator]`.
pub static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What was asked for since the program began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocated {
    /// Calls that made a block, or made one larger or smaller.
    pub calls: u64,
    /// Bytes of all blocks that were made, and of those by which one grew.
    pub bytes: Bytes,
    /// Bytes that are in use now.
    pub live: Bytes,
}

/// The counters; `None` where this program's allocator does not count.
pub fn allocated() -> Option<Allocated> {
    let stats = COUNTING.stats();
    // Every program has asked for something before its `main`.
    if stats.allocations == 0 {
        return None;
    }
    let freed = stats.bytes_deallocated as u64;
    let bytes = stats.bytes_allocated as u64;
    Some(Allocated {
        calls: (stats.allocations + stats.reallocations) as u64,
        bytes: Bytes(bytes),
        live: Bytes(bytes.saturating_sub(freed)),
    })
}

/// What some iterations asked the allocator for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocationCounts {
    /// Calls that made a block, or made one larger or smaller.
    pub calls: u64,
    /// Bytes of all blocks that were made, and of those by which one grew.
    pub bytes: Bytes,
    /// Most bytes in use at once beyond those before an iteration, of all the moments at which the meter was asked to
    /// look.
    pub held: Bytes,
}

/// Counts what iterations ask the allocator for, and leaves out what the counting itself asks for. Exact where one thread
/// works. In a program whose allocator does not count, it costs a few reads and tells nothing.
#[derive(Debug, Default)]
pub struct AllocationMeter(Mutex<Reading>);

/// What the meter has seen so far.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    /// The counters where the counting began.
    start: Allocated,
    left_out_calls: u64,
    left_out_bytes: u64,
    /// Bytes in use before the iteration under way.
    in_use: Bytes,
    held: Bytes,
}

impl AllocationMeter {
    /// Counts from here on.
    pub fn start(&self) {
        *self.reading() = Reading { start: allocated().unwrap_or_default(), ..Reading::default() };
    }

    /// Notes that an iteration begins: what is in use now is not held by it.
    pub fn begin_iteration(&self) {
        self.reading().in_use = allocated().unwrap_or_default().live;
    }

    /// Looks at how many bytes the iteration holds now.
    pub fn look(&self) {
        let live = allocated().unwrap_or_default().live;
        self.reading().see(live);
    }

    /// Does something whose allocations are not counted. What it makes is held by the iteration all the same, for as long
    /// as it lives.
    pub fn leave_out<T>(&self, make: impl FnOnce() -> T) -> T {
        let before = allocated().unwrap_or_default();
        let made = make();
        let after = allocated().unwrap_or_default();
        let mut reading = self.reading();
        reading.left_out_calls += after.calls - before.calls;
        reading.left_out_bytes += after.bytes.0 - before.bytes.0;
        made
    }

    /// What was counted since the start; `None` where this program's allocator does not count.
    pub fn counts(&self) -> Option<AllocationCounts> {
        let now = allocated()?;
        Some(self.reading().until(now))
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        // No invariant spans two of its fields, so that of a thread that panicked can be used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn see(&mut self, live: Bytes) {
        // Something from before the iteration may have been freed in it.
        let held = Bytes(live.0.saturating_sub(self.in_use.0));
        self.held = self.held.max(held);
    }

    fn until(&self, now: Allocated) -> AllocationCounts {
        AllocationCounts {
            calls: now.calls - self.start.calls - self.left_out_calls,
            bytes: Bytes(now.bytes.0 - self.start.bytes.0 - self.left_out_bytes),
            held: self.held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_the_usual_allocator_counts_nothing() {
        assert_eq!(allocated(), None);
        let meter = AllocationMeter::default();
        meter.start();
        assert_eq!(meter.leave_out(|| vec![0_u8; 10]).len(), 10);
        assert_eq!(meter.counts(), None);
    }

    #[test]
    fn what_the_counting_itself_asks_for_is_taken_off() {
        let start = Allocated { calls: 10, bytes: Bytes(1000), live: Bytes(300) };
        let reading = Reading { start, left_out_calls: 2, left_out_bytes: 100, ..Reading::default() };
        let now = Allocated { calls: 17, bytes: Bytes(1500), live: Bytes(300) };
        // 17 - 10 - 2 calls, and 1500 - 1000 - 100 bytes.
        let counts = AllocationCounts { calls: 5, bytes: Bytes(400), held: Bytes(0) };
        assert_eq!(reading.until(now), counts);
    }

    #[test]
    fn the_most_that_was_held_is_kept() {
        let mut reading = Reading { in_use: Bytes(100), ..Reading::default() };
        for live in [150, 400, 200, 50] {
            reading.see(Bytes(live));
        }
        // 400 in use, of which 100 were before.
        assert_eq!(reading.held, Bytes(300));
    }
}
