//! What the allocator was asked for, in a program whose allocator counts. The counters are of the whole process: exact where
//! one thread works.

use std::alloc::System;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_the_usual_allocator_counts_nothing() {
        assert_eq!(allocated(), None);
    }
}
