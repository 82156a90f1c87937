//! Instructions of a program's iterations, counted by Valgrind's tool callgrind.
//!
//! Only what runs in one function is collected, so that starting the program and making a case ready do not count.
//! Valgrind hides new instructions of the processor: hashing and signatures take other paths there than at full speed,
//! with several times as many instructions. So counts are compared with counts, and never with times.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::run::{NotCounted, run};
use crate::files::read_limited;
use crate::interrupt::Interrupt;

/// Variable that names another Valgrind than the one in PATH.
const VARIABLE: &str = "VALGRIND";
/// The function whose instructions count, in count.rs. With stars, as its whole name depends on how names are mangled.
const COUNTED_IN: &str = "*counted_iterations*";
/// Largest file of callgrind's that is read: a hundred times an ordinary one.
const MAX_BYTES: u64 = 256 << 20;

/// Valgrind, as it is installed here.
#[derive(Debug, Clone)]
pub(crate) struct Callgrind {
    valgrind: OsString,
}

impl Callgrind {
    /// Looks for it; `None` where it is not installed.
    pub fn find(interrupt: &Interrupt) -> Option<Self> {
        let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
        let valgrind = named.unwrap_or_else(|| "valgrind".into());
        let mut command = Command::new(&valgrind);
        command.arg("--version");
        run(command, interrupt).ok()?;
        Some(Self { valgrind })
    }

    /// Runs so many iterations of a case in this program, and returns their instructions.
    pub fn count(
        &self,
        program: &Path,
        case: &str,
        iterations: u64,
        interrupt: &Interrupt,
    ) -> Result<u64, NotCounted> {
        let folder =
            tempfile::tempdir().map_err(|e| NotCounted::Failed(format!("no temporary folder: {e}")))?;
        let written = folder.path().join("callgrind.out");
        let mut out = OsString::from("--callgrind-out-file=");
        out.push(&written);
        let mut command = Command::new(&self.valgrind);
        command.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
        command.arg(format!("--toggle-collect={COUNTED_IN}")).arg(out);
        command.arg(program).args(["counters", "--case", case, "--iterations", &iterations.to_string()]);
        run(command, interrupt)?;
        let text = read_limited(&written, MAX_BYTES).map_err(|e| NotCounted::Failed(e.to_string()))?;
        match total(&text) {
            Some(instructions @ 1..) => Ok(instructions),
            _ => Err(NotCounted::Failed(format!(
                "callgrind saw nothing of {case} in {COUNTED_IN}; has the program no symbols (strip), or is it too old?"
            ))),
        }
    }
}

/// The number of instructions in a file of callgrind's (Valgrind manual, "Callgrind Format Specification"): events are
/// named in one line, and their totals stand in another.
fn total(text: &str) -> Option<u64> {
    // `Ir`, instructions read, is the first event, and the only one without a simulation of caches.
    let events = text.lines().find_map(|line| line.strip_prefix("events:"))?;
    if events.split_whitespace().next() != Some("Ir") {
        return None;
    }
    // The summary stands in front of the counts and the totals behind them; a file has either or both.
    let totals = text.lines().rev().find_map(|line| line.strip_prefix("totals:"));
    let totals = totals.or_else(|| text.lines().find_map(|line| line.strip_prefix("summary:")))?;
    totals.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning and the end of a file, as Valgrind 3.19 writes it.
    const FILE: &str = "# callgrind format\nversion: 1\ncreator: callgrind-3.19.0\npid: 7\ncmd:  program\npart: 1\n\n\n\
        desc: I1 cache: \ndesc: Trigger: Program termination\n\npositions: line\nevents: Ir\nsummary: 25000\n\n\n\
        ob=(1) /program\nfl=(1) ???\nfn=(1) counted_iterations\n0 25000\n\ntotals: 25000\n";

    #[test]
    fn the_total_is_read_from_a_file_of_callgrinds() {
        assert_eq!(total(FILE), Some(25_000));
        assert_eq!(total(&FILE.replace("totals: 25000\n", "")), Some(25_000));
        // With a simulation of caches there are more events, and the first is still the one.
        let simulated =
            FILE.replace("events: Ir", "events: Ir Dr Dw").replace("totals: 25000", "totals: 25000 9 8");
        assert_eq!(total(&simulated), Some(25_000));
    }

    #[test]
    fn what_is_no_such_file_has_no_total() {
        assert_eq!(total(""), None);
        assert_eq!(total(&FILE.replace("events: Ir", "events: Dr")), None);
        assert_eq!(total(&FILE.replace("25000", "many")), None);
    }
}
