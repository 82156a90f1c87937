//! The command: see `ingester_perf::cli`.

fn main() -> std::process::ExitCode {
    ingester_perf::cli::main()
}
