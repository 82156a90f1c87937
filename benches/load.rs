//! How many uploads a second are held for 10 and for 50 users at once? One iteration is one whole pass.

mod harness;

fn main() -> std::process::ExitCode {
    harness::main("load")
}
