//! `ingester-perf` with an allocator that counts, for what the other one cannot tell: allocations an upload, and the
//! bytes that a stub keeps. Counting costs time, so nothing is timed with it.
//!
//! With the feature `heap-profile` the allocator is dhat's: it does not count, and notes who asked for what
//! (`--heap-profile`).

#[cfg(not(feature = "heap-profile"))]
use std::alloc::System;

#[cfg(not(feature = "heap-profile"))]
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[cfg(not(feature = "heap-profile"))]
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[cfg(feature = "heap-profile")]
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() -> std::process::ExitCode {
    ingester_perf::cli::main()
}
