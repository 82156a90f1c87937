//! How close is each case to what this machine allows at best?

use ingester_perf::case::Suite;
use ingester_perf::harness;

fn main() -> std::process::ExitCode {
    harness::main(&Suite::default(), "floor")
}
