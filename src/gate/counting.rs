//! Exact counts of two builds: allocations, as their own programs count them, and instructions where Valgrind is
//! installed. Made beside the session and never during it. What cannot be counted is said, and fails nothing.

use std::path::PathBuf;
use std::process::Command;

use crate::console::note;
use crate::counters::{Callgrind, Counted, CountedCase, NotCounted, counted_case, run};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::lockstep::{CountRecord, Counters, Measure, Role};
use crate::units::Share;

/// How often allocations are counted of each build: what is exact is the same each time.
const ROUNDS: usize = 2;
/// Iterations in which allocations are counted. As a divisor of 100 it makes few digits of what is not done in all of
/// them.
const ITERATIONS: u64 = 20;
/// By which share the instructions of one build may differ: seeds of hash tables, and times as digits.
const INSTRUCTIONS_TOLERANCE: f64 = 0.001;

/// The programs of one build.
#[derive(Debug, Clone)]
pub struct CountingPrograms {
    /// The usual one, whose instructions are counted.
    pub usual: PathBuf,
    /// The one whose allocator counts, if the build has one.
    pub counting: Option<PathBuf>,
}

/// Two builds that are to be counted.
#[derive(Debug, Clone)]
pub struct CountedSides {
    /// What the change is compared with.
    pub base: CountingPrograms,
    /// The change.
    pub head: CountingPrograms,
}

/// What is counted, and from where on a change counts.
#[derive(Debug)]
pub struct Counting<'a> {
    /// The builds.
    pub sides: &'a CountedSides,
    /// Ids of the cases to count. If there are none, all that there are.
    pub only: &'a [String],
    /// Ids of cases that head may lack.
    pub allow_missing: &'a [String],
    /// A change by more than this is named.
    pub show: Share,
    /// A rise by more than this fails the run.
    pub fail: Share,
    /// Ends the counting when a signal comes.
    pub interrupt: &'a Interrupt,
}

/// A number that was counted of one build.
struct Count<'a> {
    case: &'a str,
    measure: &'static str,
    iterations: u64,
    tolerance: f64,
    value: u64,
}

/// Instructions of both builds.
#[derive(Debug, Clone, Copy)]
struct Round {
    base: u64,
    head: u64,
}

impl CountedSides {
    fn of(&self, role: Role) -> &CountingPrograms {
        if role == Role::Head { &self.head } else { &self.base }
    }
}

impl Counting<'_> {
    /// Counts both builds. An error only where a signal came.
    pub fn count(&self) -> Result<Counters, Error> {
        let mut counters =
            Counters { show: self.show.0, fail: self.fail.0, notes: Vec::new(), counts: Vec::new() };
        let mut base = self.cases(Role::Base)?;
        // Without a base there is nothing to compare with, whatever the head counts.
        if base.is_empty() {
            counters.notes.push("base has no exact counters, so nothing was counted".to_owned());
            return Ok(counters);
        }
        let mut head = self.cases(Role::Head)?;
        if head.is_empty() {
            counters.notes.push("head has no exact counters".to_owned());
        }
        head.retain(|id| self.wants(id));
        base.retain(|id| self.wants(id) && (head.contains(id) || !self.allow_missing.contains(id)));
        if base.is_empty() && head.is_empty() {
            return Ok(counters);
        }

        note("Counting what both builds allocate, and their instructions");
        self.count_allocations(&base, &head, &mut counters)?;
        let mut common = base.clone();
        common.retain(|id| head.contains(id));
        self.count_instructions(&common, &mut counters)?;
        // Instructions were added last, and are read beside the allocations of their case.
        counters.counts.sort_by_key(|count| place(&count.case, &base));
        Ok(counters)
    }

    /// Whether this case was asked for.
    fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }

    /// Ids of the cases that a build can count; none where it has no such program, or an older one.
    fn cases(&self, role: Role) -> Result<Vec<String>, Error> {
        let Some(program) = &self.sides.of(role).counting else { return Ok(Vec::new()) };
        let mut command = Command::new(program);
        command.args(["counters", "--list"]);
        match run(command, self.interrupt) {
            Ok(listed) => Ok(listed.lines().map(str::to_owned).collect()),
            Err(NotCounted::Interrupted(signal)) => Err(Error::Interrupted(signal)),
            // A program without that command refuses it.
            Err(NotCounted::Failed(_)) => Ok(Vec::new()),
        }
    }

    /// Counts allocations of these cases of base, and of these of head. Both at once: a count does not depend on what
    /// runs beside it.
    fn count_allocations(
        &self,
        of_base: &[String],
        of_head: &[String],
        counters: &mut Counters,
    ) -> Result<(), Error> {
        let [base, head] = std::thread::scope(|scope| {
            let base = scope.spawn(|| self.allocations(Role::Base, of_base));
            let head = self.allocations(Role::Head, of_head);
            [base.join().expect("counting does not panic"), head]
        });
        for (role, counted) in [(Role::Base, base), (Role::Head, head)] {
            match counted {
                Ok(counted) => {
                    for counted in &counted {
                        add_allocations(counters, role, counted);
                    }
                }
                Err(NotCounted::Interrupted(signal)) => return Err(Error::Interrupted(signal)),
                Err(NotCounted::Failed(problem)) => {
                    counters
                        .notes
                        .push(format!("allocations of {} were not counted: {problem}", role.name()));
                }
            }
        }
        Ok(())
    }

    /// What each round of a build's own program counts of these cases.
    fn allocations(&self, role: Role, ids: &[String]) -> Result<Vec<Counted>, NotCounted> {
        let mut counted = Vec::new();
        let Some(program) = self.sides.of(role).counting.as_ref().filter(|_| !ids.is_empty()) else {
            return Ok(counted);
        };
        for _ in 0..ROUNDS {
            let mut command = Command::new(program);
            command.args(["counters", "--iterations", &ITERATIONS.to_string()]);
            for id in ids {
                command.args(["--case", id]);
            }
            for line in run(command, self.interrupt)?.lines() {
                let line = serde_json::from_str::<Counted>(line);
                let line = line.map_err(|e| NotCounted::Failed(format!("its output is not understood: {e}")));
                counted.push(line?);
            }
        }
        Ok(counted)
    }

    /// Counts instructions of these cases, which both builds have.
    fn count_instructions(&self, ids: &[String], counters: &mut Counters) -> Result<(), Error> {
        let callgrind = Callgrind::find(self.interrupt);
        self.interrupt.check()?;
        let Some(callgrind) = callgrind else {
            counters.notes.push("instructions were not counted, as valgrind is not installed".to_owned());
            return Ok(());
        };
        // A case that only later builds know has its iterations there, and is left to their gate.
        for case in ids.iter().filter_map(|id| counted_case(id)) {
            let Some(iterations) = case.traced_iterations else { continue };
            match self.instructions(&callgrind, case, iterations) {
                Ok(rounds) => {
                    for round in rounds {
                        add_instructions(counters, Role::Base, case.id, iterations, round.base);
                        add_instructions(counters, Role::Head, case.id, iterations, round.head);
                    }
                }
                Err(NotCounted::Interrupted(signal)) => return Err(Error::Interrupted(signal)),
                Err(NotCounted::Failed(problem)) => {
                    counters.notes.push(format!("instructions of {} were not counted: {problem}", case.id));
                }
            }
        }
        Ok(())
    }

    /// The instructions of both builds, in one round; in two where the first shows a change, which may be a count that is
    /// not exact.
    fn instructions(
        &self,
        callgrind: &Callgrind,
        case: CountedCase,
        iterations: u64,
    ) -> Result<Vec<Round>, NotCounted> {
        let mut rounds = Vec::new();
        while rounds.len() < ROUNDS {
            // Both at once, as allocations are counted.
            let [base, head] = std::thread::scope(|scope| {
                let base = scope.spawn(|| self.traced(callgrind, Role::Base, case.id, iterations));
                let head = self.traced(callgrind, Role::Head, case.id, iterations);
                [base.join().expect("counting does not panic"), head]
            });
            let round = Round { base: base?, head: head? };
            let shows_a_change = round.is_beyond(self.show);
            rounds.push(round);
            if !shows_a_change {
                break;
            }
        }
        Ok(rounds)
    }

    fn traced(
        &self,
        callgrind: &Callgrind,
        role: Role,
        id: &str,
        iterations: u64,
    ) -> Result<u64, NotCounted> {
        callgrind.count(&self.sides.of(role).usual, id, iterations, self.interrupt)
    }
}

/// The place of a case in the table: those of base in their order, then those that only head has.
fn place(id: &str, base: &[String]) -> usize {
    base.iter().position(|of_base| of_base == id).unwrap_or(base.len())
}

impl Round {
    /// Whether the two differ by more than this share of the base's.
    fn is_beyond(&self, share: Share) -> bool {
        self.base.abs_diff(self.head) as f64 > self.base as f64 * share.0
    }
}

fn add_allocations(counters: &mut Counters, role: Role, counted: &Counted) {
    let Counted { case, iterations, allocations, bytes, held, .. } = counted;
    for (measure, iterations, value) in [
        ("allocations", *iterations, allocations),
        ("allocated bytes", *iterations, bytes),
        // The most of any iteration, and no sum.
        ("held bytes", 1, held),
    ] {
        if let Some(value) = *value {
            add(counters, role, &Count { case, measure, iterations, tolerance: 0.0, value });
        }
    }
}

fn add_instructions(counters: &mut Counters, role: Role, case: &str, iterations: u64, value: u64) {
    let tolerance = INSTRUCTIONS_TOLERANCE;
    add(counters, role, &Count { case, measure: "instructions", iterations, tolerance, value });
}

/// Adds a round to what was counted of a case.
fn add(counters: &mut Counters, role: Role, count: &Count<'_>) {
    let measure = Measure::Count(count.measure.to_owned());
    let known = counters.counts.iter().position(|known| known.case == count.case && known.measure == measure);
    let at = known.unwrap_or_else(|| {
        counters.counts.push(CountRecord {
            case: count.case.to_owned(),
            measure,
            iterations: count.iterations,
            tolerance: count.tolerance,
            base: Vec::new(),
            head: Vec::new(),
        });
        counters.counts.len() - 1
    });
    let record = &mut counters.counts[at];
    let rounds = if role == Role::Head { &mut record.head } else { &mut record.base };
    rounds.push(count.value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(case: &str, allocations: u64) -> Counted {
        Counted {
            case: case.to_owned(),
            iterations: 20,
            allocations: Some(allocations),
            bytes: Some(5000),
            held: Some(700),
            instructions: None,
        }
    }

    #[test]
    fn rounds_of_both_builds_come_together_by_case() {
        let mut counters = Counters { show: 0.01, fail: 0.05, notes: Vec::new(), counts: Vec::new() };
        for (role, allocations) in [(Role::Base, 100), (Role::Base, 101), (Role::Head, 120)] {
            add_allocations(&mut counters, role, &counted("a", allocations));
        }
        add_allocations(&mut counters, Role::Head, &counted("b", 9));
        add_instructions(&mut counters, Role::Base, "a", 50, 1_000_000);
        let base = ["a".to_owned()];
        counters.counts.sort_by_key(|count| place(&count.case, &base));

        let names: Vec<String> =
            counters.counts.iter().map(|count| format!("{} {}", count.case, count.measure)).collect();
        let of_a = ["a allocations", "a allocated bytes", "a held bytes", "a instructions"];
        assert_eq!(names[..4], of_a);
        assert_eq!(names[4], "b allocations");
        let first = &counters.counts[0];
        assert_eq!((&first.base[..], &first.head[..]), (&[100, 101][..], &[120][..]));
        // What is held is the most of any iteration, and what is counted a sum of all.
        assert_eq!((first.iterations, counters.counts[2].iterations), (20, 1));
        assert_eq!((first.tolerance, counters.counts[3].tolerance), (0.0, 0.001));
    }

    #[test]
    fn a_change_is_counted_once_more() {
        let one_percent = Share(0.01);
        assert!(!Round { base: 1000, head: 1010 }.is_beyond(one_percent));
        assert!(Round { base: 1000, head: 1011 }.is_beyond(one_percent));
        assert!(Round { base: 1000, head: 989 }.is_beyond(one_percent));
    }
}
