//! Explains a case: further pairs of processes in lock-step, which tell where the time of their operations goes.
//!
//! Their slices are not judged. Timing phases and sampling stacks takes time of its own, of both arms alike.

use std::time::{Duration, Instant};

use super::parts::{CaseTimes, PairTold, Told};
use super::plan::{MIN_PAIRS, Plan};
use super::record::CaseRecord;
use super::schedule::{Role, first_of_two};
use super::session::Timed;
use crate::error::Error;

/// Most pairs of processes for one case. A session that was shorter has as many as it had.
const MOST_PAIRS: usize = 20;
/// Longest time of the slices of one pair. With 999 samples a second, a function that takes a tenth of the time is met 25
/// times in it by each arm.
const PAIR_TIME: Duration = Duration::from_millis(500);
/// Once a case has taken this long and has enough pairs, no other pair begins.
const CASE_TIME: Duration = Duration::from_secs(10);
/// A case whose fewest slices take longer than this is not explained.
const TOO_LONG: Duration = Duration::from_secs(30);
/// Which of the two arms runs when: AB BA, then the same with the arms exchanged, so that each has every place once.
// The arm that runs twice in a row finds its caches warm.
const ROUND: [usize; 8] = [0, 1, 1, 0, 1, 0, 0, 1];
/// Slices in a block of the session, by which the time of a slice is known.
const SLICES_IN_A_BLOCK: f64 = 6.0;

/// A worker that can tell where the time of its operations went.
pub trait Explains: Timed {
    /// What was until now does not count.
    fn forget(&mut self) -> Result<(), Error>;

    /// Where the time of all operations since then went.
    fn explain(&mut self) -> Result<Told, Error>;
}

/// Starts such workers.
pub trait ExplainHost {
    /// A worker.
    type Arm: Explains;

    /// Starts the worker of base or of head.
    fn start(&mut self, role: Role) -> Result<Self::Arm, Error>;
}

/// Whether the fewest slices that explain a case would take too long.
pub fn takes_too_long(case: &CaseRecord) -> bool {
    let slice = Duration::from_nanos(case.block_ns).div_f64(SLICES_IN_A_BLOCK);
    slice.mul_f64((ROUND.len() * MIN_PAIRS) as f64) > TOO_LONG
}

/// Measures what explains a case of a session, the `number`th of those that are explained.
pub fn explain_case(
    case: &CaseRecord,
    plan: &Plan,
    number: usize,
    host: &mut impl ExplainHost,
) -> Result<CaseTimes, Error> {
    let began = Instant::now();
    let mut times = CaseTimes::of(&case.id);
    loop {
        let pairs = times.pairs.len();
        let has_time = pairs < MIN_PAIRS || began.elapsed() < CASE_TIME;
        if pairs >= MOST_PAIRS.min(plan.pairs) || !has_time {
            return Ok(times);
        }
        times.add(&pair(case, first_of_two(plan.seed, pairs, number), host)?);
    }
}

/// Runs one pair of processes, in which this role begins.
fn pair(case: &CaseRecord, first: Role, host: &mut impl ExplainHost) -> Result<PairTold, Error> {
    let second = if first == Role::Base { Role::Head } else { Role::Base };
    let mut arms = [host.start(first)?, host.start(second)?];
    for arm in &mut arms {
        arm.prepare(&case.id)?;
    }
    for arm in &mut arms {
        arm.slice(case.iters, 0.0)?;
    }
    for arm in &mut arms {
        arm.forget()?;
    }

    // As long as the case had in a pair of the session, and a whole round at least.
    let enough = Duration::from_nanos(case.slot_ns).min(PAIR_TIME);
    let mut spent = Duration::ZERO;
    loop {
        for place in ROUND {
            spent += arms[place].slice(case.iters, 0.0)?.waited;
        }
        if spent >= enough {
            break;
        }
    }

    let [mut first_arm, mut second_arm] = arms;
    let of_first = first_arm.explain()?;
    let of_second = second_arm.explain()?;
    Ok(match first {
        Role::Base => PairTold { base: of_first, head: of_second },
        _ => PairTold { base: of_second, head: of_first },
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::parts::tests::told;
    use super::super::session::TimedSlice;
    use super::*;

    /// A worker that notes what it is asked for. Its slices take 2 ms by its own word, and no time.
    struct Noting<'a> {
        role: Role,
        notes: &'a RefCell<Vec<String>>,
        operations: u64,
    }

    impl Noting<'_> {
        fn note(&self, what: &str) {
            self.notes.borrow_mut().push(format!("{} {what}", self.role.name()));
        }
    }

    impl Timed for Noting<'_> {
        fn prepare(&mut self, case: &str) -> Result<(), Error> {
            self.note(&format!("prepares {case}"));
            Ok(())
        }

        fn slice(&mut self, iters: u64, spin: f64) -> Result<TimedSlice, Error> {
            assert_eq!(spin, 0.0);
            self.note("runs");
            self.operations += iters;
            Ok(TimedSlice { value: 1, spun: 0, waited: Duration::from_millis(2) })
        }

        fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
            unreachable!("nobody judges")
        }
    }

    impl Explains for Noting<'_> {
        fn forget(&mut self) -> Result<(), Error> {
            self.note("forgets");
            self.operations = 0;
            Ok(())
        }

        fn explain(&mut self) -> Result<Told, Error> {
            self.note("explains");
            let hash_ns = if self.role == Role::Head { 40 } else { 30 };
            Ok(told(self.operations, 100, &[("hash", hash_ns)]))
        }
    }

    struct NotingHost<'a>(&'a RefCell<Vec<String>>);

    impl<'a> ExplainHost for NotingHost<'a> {
        type Arm = Noting<'a>;

        fn start(&mut self, role: Role) -> Result<Noting<'a>, Error> {
            Ok(Noting { role, notes: self.0, operations: 0 })
        }
    }

    /// A case whose slices take 2 ms, and that has so much time in a pair.
    fn case(slot_ms: u64) -> CaseRecord {
        CaseRecord {
            id: "a".to_owned(),
            threshold: 0.02,
            iters: 5,
            slot_ns: slot_ms * 1_000_000,
            block_ns: 12_000_000,
            too_slow: false,
            pairs: Vec::new(),
        }
    }

    fn explained(slot_ms: u64, pairs: usize) -> (CaseTimes, Vec<String>) {
        let notes = RefCell::new(Vec::new());
        let plan = Plan { pairs, seed: 1, ..Plan::default() };
        let times = explain_case(&case(slot_ms), &plan, 0, &mut NotingHost(&notes)).expect("runs");
        (times, notes.into_inner())
    }

    #[test]
    fn a_pair_takes_turns_in_mirrored_blocks_after_a_warm_up() {
        // 10 ms are less than a round of eight slices of 2 ms.
        let (times, notes) = explained(10, 10);
        assert_eq!(times.pairs.len(), 10);
        let first = first_of_two(1, 0, 0).name();
        let second = if first == "base" { "head" } else { "base" };
        let mut expected = Vec::new();
        for what in ["prepares a", "runs", "forgets"] {
            expected.extend([format!("{first} {what}"), format!("{second} {what}")]);
        }
        for name in [first, second, second, first, second, first, first, second] {
            expected.push(format!("{name} runs"));
        }
        expected.extend([format!("{first} explains"), format!("{second} explains")]);
        assert_eq!(notes[..expected.len()], expected);
        // The next pair begins with the other arm.
        assert_eq!(notes[expected.len()], format!("{second} prepares a"));
    }

    #[test]
    fn each_side_is_told_apart_and_without_the_warm_up() {
        let (times, _) = explained(10, 10);
        // Four slices of five operations each.
        assert!(times.pairs.iter().all(|pair| pair.base.operations == 20 && pair.head.operations == 20));
        assert_eq!((&times.phases[0].base_ns, &times.phases[0].head_ns), (&vec![600; 10], &vec![800; 10]));
    }

    #[test]
    fn a_pair_is_as_long_as_in_the_session_up_to_half_a_second() {
        // Rounds of 16 ms: 4 of them reach 50 ms, and 32 of them half a second.
        for (slot_ms, rounds) in [(50, 4), (3000, 32)] {
            let (times, _) = explained(slot_ms, 10);
            assert!(times.pairs.iter().all(|pair| pair.head.operations == rounds * 20), "{slot_ms} ms");
        }
        // As many pairs as the session had planned, and 20 at most.
        assert_eq!([10, 15, 20, 50].map(|pairs| explained(10, pairs).0.pairs.len()), [10, 15, 20, 20]);
    }

    #[test]
    fn a_case_of_long_slices_takes_too_long() {
        // Ten pairs of eight slices: 30 s are 375 ms a slice, and 2.25 s a block of six.
        let too_long = [12, 2_249, 2_251].map(|block_ms| {
            let slow = CaseRecord { block_ns: block_ms * 1_000_000, ..case(10) };
            takes_too_long(&slow)
        });
        assert_eq!(too_long, [false, false, true]);
    }
}
