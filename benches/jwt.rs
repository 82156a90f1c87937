//! How long does the check of one RS256 token take?

mod harness;

fn main() -> std::process::ExitCode {
    harness::main("jwt")
}
