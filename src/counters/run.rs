//! Running a program that counts.

use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::process_group;
use crate::units::printable;

/// How long a program may count: a hundred times as long as it takes.
const LIMIT: Duration = Duration::from_secs(180);

/// Error for something that could not be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCounted {
    /// A signal came.
    #[error("interrupted")]
    Interrupted(u8),
    /// A program failed, or said something that is not understood; a sentence without its end.
    #[error("{0}")]
    Failed(String),
}

impl From<NotCounted> for Error {
    fn from(error: NotCounted) -> Self {
        match error {
            // An interrupt has an exit code of its own.
            NotCounted::Interrupted(signal) => Self::Interrupted(signal),
            error @ NotCounted::Failed(_) => Self::Unusable(error.into()),
        }
    }
}

/// Runs a command to its end; its standard output.
pub(crate) fn run(command: Command, interrupt: &Interrupt) -> Result<String, NotCounted> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ended = process_group::output_within(command, interrupt, LIMIT);
    // What was interrupted looks like what failed.
    if let Some(signal) = interrupt.signal() {
        return Err(NotCounted::Interrupted(signal));
    }
    let output = ended.map_err(|e| NotCounted::Failed(format!("{}: {e}", printable(&program))))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(NotCounted::Failed(format!(
        "{} failed ({}): {}",
        printable(&program),
        output.status,
        printable(last)
    )))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn of_shell(script: &str) -> Result<String, NotCounted> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, &Interrupt::default())
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        assert_eq!(of_shell("echo 5").expect("ends well"), "5\n");
        let failed = of_shell("echo no >&2; echo luck >&2; exit 3").expect_err("fails").to_string();
        assert_eq!(failed, "sh failed (exit status: 3): luck");
        let none = run(Command::new("/no/such/program"), &Interrupt::default()).expect_err("is not there");
        assert!(none.to_string().starts_with("/no/such/program: No such file"), "{none}");
    }
}
