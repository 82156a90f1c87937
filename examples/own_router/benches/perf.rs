//! How fast is this crate's service, and did a change make it slower?
//!
//! `cargo bench`, `cargo bench -- --save-baseline main`, `cargo bench -- --baseline main`; `ingester-perf gate --bench perf`
//! compares two commits.

use std::process::ExitCode;

use ingester_perf::case::Suite;
use ingester_perf::harness;

fn main() -> ExitCode {
    harness::main_of_all(&Suite::of_router(|key| own_router::app(&key.to_pem().expect("the key can be written"))))
}
