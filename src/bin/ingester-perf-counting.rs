//! `ingester-perf` with an allocator that counts, for what the other one cannot tell: allocations an upload, and the bytes
//! that a stub keeps. Counting costs time, so nothing is timed with it.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> std::process::ExitCode {
    ingester_perf::cli::main()
}
