//! How long does one upload take, by size?

use ingester_perf::case::Suite;
use ingester_perf::harness;

fn main() -> std::process::ExitCode {
    harness::main(&Suite::default(), "upload")
}
