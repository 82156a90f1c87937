//! How long does one upload take, by size?

mod harness;

fn main() -> std::process::ExitCode {
    harness::main("upload")
}
