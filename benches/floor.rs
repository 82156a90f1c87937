//! How close is each case to what this machine allows at best?

mod harness;

fn main() -> std::process::ExitCode {
    harness::main("floor")
}
