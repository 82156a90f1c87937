//! What does one upload, or one token check, ask the allocator for?

use std::alloc::System;

use ingester_perf::harness;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> std::process::ExitCode {
    harness::main_of_allocations()
}
