//! How many uploads a second are held for 10 and for 50 users at once? One iteration is one whole pass.

use ingester_perf::case::Suite;
use ingester_perf::harness;

fn main() -> std::process::ExitCode {
    harness::main(&Suite::default(), "load")
}
