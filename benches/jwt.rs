//! How long does the check of one RS256 token take?

use ingester_perf::case::Suite;
use ingester_perf::harness;

fn main() -> std::process::ExitCode {
    harness::main(&Suite::default(), "jwt")
}
