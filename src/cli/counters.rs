//! `ingester-perf counters`: exact counts of what the stub does for a request, a line of JSON for each case.

use std::io::{self, Write};

use crate::counters::{COUNTED_CASES, Callgrind, Counted, CountedCase, counted_case};
use crate::gate::own_executable;
use crate::interrupt::Interrupt;
use crate::{Error, Exit};

use super::heap_profile::HeapProfileArgs;

const EXAMPLES: &str = "\
Examples:
  ingester-perf-counting counters                                    allocations of every case
  ingester-perf-counting counters --case upload/1MB --iterations 1   of one upload
  ingester-perf counters --case jwt/validate --instructions          instructions too; needs valgrind
  ingester-perf-counting counters --case upload/1MB --heap-profile heap.json

Allocations are missing in the output of ingester-perf, whose allocator does not count. How to read it: docs/memory.md.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CountersArgs {
    /// Print the ids of the cases
    #[arg(long)]
    list: bool,
    /// Only this case; can be given several times
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    /// Iterations that are counted, after a few that are not
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    iterations: u64,
    /// Count instructions too, in another run of this program under valgrind
    #[arg(long)]
    instructions: bool,
    #[command(flatten)]
    heap_profile: HeapProfileArgs,
}

impl CountersArgs {
    pub fn run(self) -> Result<Exit, Error> {
        let cases = self.selected()?;
        if self.list {
            for case in cases {
                writeln!(io::stdout(), "{}", case.id).map_err(Error::Output)?;
            }
            return Ok(Exit::Held);
        }
        if self.heap_profile.is_wanted() && cases.len() != 1 {
            let problem = "is of one case; choose it with --case".to_owned();
            return Err(Error::Setting { name: "--heap-profile", problem });
        }
        let tracer = if self.instructions { Some(Tracer::find()?) } else { None };
        for case in cases {
            let mut counted = self.count(case)?;
            if let Some(tracer) = &tracer {
                counted.instructions = Some(tracer.count(case, self.iterations)?);
            }
            let line = serde_json::to_string(&counted).expect("counts have names and numbers only");
            writeln!(io::stdout(), "{line}").map_err(Error::Output)?;
        }
        Ok(Exit::Held)
    }

    /// The cases that were asked for; all, if none was.
    fn selected(&self) -> Result<Vec<CountedCase>, Error> {
        if self.cases.is_empty() {
            return Ok(COUNTED_CASES.to_vec());
        }
        let mut selected = Vec::new();
        for id in &self.cases {
            let case = counted_case(id).ok_or_else(|| {
                let ids: Vec<&str> = COUNTED_CASES.iter().map(|case| case.id).collect();
                Error::Setting {
                    name: "--case",
                    problem: format!("there is no {id}; there are {}", ids.join(", ")),
                }
            })?;
            selected.push(case);
        }
        Ok(selected)
    }

    fn count(&self, case: CountedCase) -> Result<Counted, Error> {
        let mut warm = case.warm_up()?;
        // Only now, so that the profile is of the iterations, and not of the file that they send.
        self.heap_profile.around(|| warm.count(self.iterations))
    }
}

/// Counts instructions of this program.
struct Tracer {
    callgrind: Callgrind,
    interrupt: Interrupt,
}

impl Tracer {
    fn find() -> Result<Self, Error> {
        let interrupt = Interrupt::watch()?;
        let callgrind = Callgrind::find(&interrupt);
        interrupt.check()?;
        let callgrind = callgrind.ok_or_else(|| Error::Setting {
            name: "--instructions",
            problem: "valgrind is not installed; install it, or name it in VALGRIND".to_owned(),
        })?;
        Ok(Self { callgrind, interrupt })
    }

    fn count(&self, case: CountedCase, iterations: u64) -> Result<u64, Error> {
        Ok(self.callgrind.count(&own_executable()?, case.id, iterations, &self.interrupt)?)
    }
}
