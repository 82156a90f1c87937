//! The session: pairs of processes, and in each of them every case in blocks of slices. Only one arm runs at a time.

use std::time::Duration;

use super::extension::needs_more_pairs;
use super::plan::{CasePlan, Plan, positive_control};
use super::record::{Block, CasePair, CaseRecord, Storm};
use super::schedule::{Order, Role, block_orders, case_order, start_order};
use super::storm::{storm, usual_loop_ns};
use crate::error::Error;
use crate::machine::Conditions;
use crate::units::printable;

/// Duration of a slice: long enough for the clock and the caches, short against the machine's changes of speed.
// The ratio of a build to itself has a standard deviation of 0.17 % with slices of 1 to 5 ms, and of 5.8 % with
// slices of 550 ms.
const SLICE: Duration = Duration::from_millis(2);
/// A case whose block takes more than this share of its time is too slow to be judged.
pub const BLOCK_AT_MOST: f64 = 0.1;
/// Slices in a block.
const SLICES: u64 = 6;
/// Slices from which a duration is estimated.
const TRIES: u64 = 3;
/// Slices of each arm that do not count, at the start of a case in a pair.
const WARM_UP: u64 = 1;
/// Slices' worth of iterations that a pair needs at least: for calibration, warm-up, and one block.
pub const LEAST_SLICES: u64 = 2 * TRIES + 4 * WARM_UP + SLICES;
/// At most one planned pair in so many is repeated because of a storm. Where every pair meets one, repeating does not
/// help.
const PAIRS_PER_REPEAT: usize = 5;

/// One slice of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedSlice {
    /// Value of its iterations, in the worker's unit.
    pub value: u64,
    /// Value of the spinning after them, in the same unit.
    pub spun: u64,
    /// How long the gate waited for it, by its own clock.
    pub waited: Duration,
}

/// Something that runs slices of a case.
pub trait Timed {
    /// Makes the case ready, in place of the one before.
    fn prepare(&mut self, case: &str) -> Result<(), Error>;

    /// Runs so many iterations, and spins for a share of their value afterwards.
    fn slice(&mut self, iters: u64, spin: f64) -> Result<TimedSlice, Error>;

    /// The latencies of all operations since the last call: nanoseconds, ascending, and how many there were.
    fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error>;
}

/// What a session needs from outside: workers, the state of the machine, and whether to continue. Tests have one with
/// a clock of its own.
pub trait Host {
    /// A worker.
    type Arm: Timed;

    /// Starts the worker of a role.
    fn start(&mut self, role: Role) -> Result<Self::Arm, Error>;

    /// The state of the machine since the last call.
    fn conditions(&mut self) -> Conditions;

    /// Number of cores that the conditions are summed over.
    fn cores(&self) -> usize;

    /// Receives the progress after every block. [`Error::Interrupted`] ends the session in order.
    fn watch(&mut self, progress: Progress) -> Result<(), Error>;
}

/// Progress of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The pair under way, counted from 1. Pairs that are repeated count once.
    pub pair: usize,
    /// Time of all slices so far.
    pub measured: Duration,
    /// Whether this pair is beyond the planned ones, because a case was undecided.
    pub extended: bool,
}

/// Result of a session.
#[derive(Debug, PartialEq)]
pub struct Measurements {
    /// Every case.
    pub cases: Vec<CaseRecord>,
    /// For each pair that counts, its number in the order of the seed.
    pub numbers: Vec<usize>,
    /// Pairs that were repeated.
    pub storms: Vec<Storm>,
    /// Whether the session was interrupted.
    pub partial: bool,
}

/// A session, to be run once.
pub struct Session<'a> {
    plan: &'a Plan,
    cases: &'a [CasePlan],
    records: Vec<CaseRecord>,
    numbers: Vec<usize>,
    storms: Vec<Storm>,
    /// The state of the machine during every block of the pairs that count.
    weather: Vec<Conditions>,
    measured: Duration,
}

/// The three workers of a pair.
struct Arms<T> {
    base: T,
    head: T,
    control: T,
}

impl<'a> Session<'a> {
    /// A session of these cases, not yet begun.
    pub fn new(plan: &'a Plan, cases: &'a [CasePlan]) -> Self {
        Self {
            plan,
            cases,
            records: Vec::new(),
            numbers: Vec::new(),
            storms: Vec::new(),
            weather: Vec::new(),
            measured: Duration::ZERO,
        }
    }

    /// Runs the whole session.
    pub fn run(mut self, host: &mut impl Host) -> Result<Measurements, Error> {
        // What was measured until an interrupt is kept; the record says that it is partial.
        let partial = match self.run_pairs(host) {
            Ok(()) => false,
            Err(Error::Interrupted(_)) => true,
            Err(error) => return Err(error),
        };
        let Self { records, numbers, storms, .. } = self;
        Ok(Measurements { cases: records, numbers, storms, partial })
    }

    fn run_pairs(&mut self, host: &mut impl Host) -> Result<(), Error> {
        // By base alone, as all arms run the same number of iterations. The worker ends with this statement, so that
        // the first pair has the machine to itself.
        self.records = self.calibrated(&mut host.start(Role::Base)?)?;
        let mut number = 0;
        while self.goes_on() {
            self.pair(number, host)?;
            number += 1;
        }
        Ok(())
    }

    /// Whether another pair is to be measured. After the planned ones, this is so while a case is undecided, as seen
    /// without knowing which arm was slower, up to the largest number of pairs. Time does not decide it: head's own
    /// is part of that, so a slower head would have fewer pairs.
    fn goes_on(&self) -> bool {
        let pairs = self.numbers.len();
        let may_go_on = pairs < self.plan.max_pairs;
        pairs < self.plan.pairs || may_go_on && needs_more_pairs(&self.records, self.plan.margin)
    }

    /// Finds the number of iterations that fill a slice of each case, and shares the time among the cases.
    fn calibrated<T: Timed>(&self, base: &mut T) -> Result<Vec<CaseRecord>, Error> {
        let mut found = Vec::new();
        for case in self.cases {
            base.prepare(&case.id)?;
            let (iters, slice) = calibrated(base, case.max_iters)?;
            found.push((iters, slice * SLICES as u32));
        }
        let blocks: Vec<Duration> = found.iter().map(|(_, block)| *block).collect();
        let slots = self.slots(&blocks);
        let mut records = Vec::new();
        for ((case, (iters, block)), slot) in self.cases.iter().zip(found).zip(slots) {
            records.push(CaseRecord {
                id: case.id.clone(),
                threshold: case.threshold,
                iters,
                slot_ns: slot.unwrap_or_default().as_nanos() as u64,
                block_ns: block.as_nanos() as u64,
                too_slow: slot.is_none(),
                pairs: Vec::new(),
            });
        }
        Ok(records)
    }

    /// The time of each case in one pair, or nothing where a block would take too much of all its time. No time is
    /// kept for such cases: the slowest is left out until the rest fit.
    fn slots(&self, blocks: &[Duration]) -> Vec<Option<Duration>> {
        let all_pairs = self.plan.pairs as f64;
        let mut left: Vec<usize> = (0..blocks.len()).collect();
        let mut slots = vec![None; blocks.len()];
        while let Some(slowest) = left.iter().copied().max_by_key(|&case| blocks[case]) {
            // Leaving one out gives its time to the others, so the shares are computed anew.
            let shares = self.plan.slots(&left.iter().map(|&case| blocks[case]).collect::<Vec<_>>());
            let all_fit = left
                .iter()
                .zip(&shares)
                .all(|(&case, slot)| blocks[case] <= slot.mul_f64(all_pairs * BLOCK_AT_MOST));
            if all_fit {
                for (case, slot) in left.into_iter().zip(shares) {
                    slots[case] = Some(slot);
                }
                break;
            }
            left.retain(|&case| case != slowest);
        }
        slots
    }

    /// Runs one pair of processes, which counts unless it met a storm.
    fn pair(&mut self, number: usize, host: &mut impl Host) -> Result<(), Error> {
        let order = start_order(self.plan.seed, number);
        let mut arms = Arms::start(order, host)?;
        let mut measured = Vec::new();
        for case in case_order(self.plan.seed, number, self.cases.len()) {
            if self.records[case].too_slow {
                continue;
            }
            let mut pair = CasePair { blocks: Vec::new(), latencies: Default::default() };
            let outcome = self.case(&mut arms, number, case, &mut pair, host);
            measured.push((case, pair));
            if let Err(problem) = outcome {
                let problem = self.in_pair(case, problem);
                // What was measured until an interrupt is kept.
                self.keep(number, measured);
                return Err(problem);
            }
        }

        // Whether the machine was disturbed is decided by the machine's state alone, never by what the arms measured.
        let mut weather = Vec::new();
        let mut waited_ns = 0;
        for block in measured.iter().flat_map(|(_, pair)| &pair.blocks) {
            weather.push(block.conditions);
            waited_ns += block.waited_ns.iter().sum::<u64>();
        }
        // The first pair has none before it to be held against, so it is held against itself.
        let seen = if self.weather.is_empty() { &weather } else { &self.weather };
        let met = storm(&weather, waited_ns, usual_loop_ns(seen), host.cores());
        match met.filter(|_| self.storms.len() < self.plan.pairs / PAIRS_PER_REPEAT) {
            Some(reason) => self.storms.push(Storm { number, reason }),
            None => {
                self.weather.extend(weather);
                self.keep(number, measured);
            }
        }
        Ok(())
    }

    /// A problem of an arm, with the case and the pair in which it came up.
    fn in_pair(&self, case: usize, problem: Error) -> Error {
        if matches!(problem, Error::Interrupted(_)) {
            return problem;
        }
        let case = printable(&self.cases[case].id);
        Error::InPair { case, pair: self.numbers.len() + 1, problem: Box::new(problem) }
    }

    fn keep(&mut self, number: usize, measured: Vec<(usize, CasePair)>) {
        self.numbers.push(number);
        for (case, pair) in measured {
            self.records[case].pairs.push(pair);
        }
    }

    /// Runs one case in one pair of processes: blocks until its time is over.
    fn case<H: Host>(
        &mut self,
        arms: &mut Arms<H::Arm>,
        number: usize,
        case: usize,
        pair: &mut CasePair,
        host: &mut H,
    ) -> Result<(), Error> {
        let planned = &self.cases[case];
        let pairs = self.numbers.len();
        let iters = self.records[case].iters;
        arms.warm_up(&planned.id, iters, start_order(self.plan.seed, number))?;
        // What the machine did until now is not the blocks' concern.
        host.conditions();

        let spins = Spins {
            head: self.plan.injected_into(&planned.id),
            control: positive_control(planned.threshold),
        };
        // Blocks run until the case's time is spent, one at least, and never more than may be sent to a running
        // ingester.
        let slot = Duration::from_nanos(self.records[case].slot_ns);
        let most = (planned.max_iters / iters).saturating_sub(LEAST_SLICES - SLICES) / SLICES;
        let mut spent = Duration::ZERO;
        for order in block_orders(self.plan.seed, number, case).take(most.max(1) as usize) {
            let mut block = arms.block(order, iters, spins)?;
            block.conditions = host.conditions();
            pair.blocks.push(block);
            let waited = Duration::from_nanos(block.waited_ns.iter().sum());
            // The budget is one of slices: starting processes and what lies between slices does not count.
            spent += waited;
            self.measured += waited;
            host.watch(Progress {
                pair: pairs + 1,
                measured: self.measured,
                extended: pairs >= self.plan.pairs,
            })?;
            if spent >= slot {
                break;
            }
        }
        // Asked for once, after the last block: until then the worker only counts.
        for role in Role::ALL {
            pair.latencies[role as usize] = arms.of(role).latencies()?;
        }
        Ok(())
    }
}

/// Shares of its own value for which an arm spins after a slice.
#[derive(Clone, Copy)]
struct Spins {
    head: f64,
    control: f64,
}

impl<T: Timed> Arms<T> {
    /// Starts the three workers in this order, which the seed decides, so that no role always starts first.
    fn start(order: Order, host: &mut impl Host<Arm = T>) -> Result<Self, Error> {
        let mut started = [None, None, None];
        for role in order {
            started[role as usize] = Some(host.start(role)?);
        }
        let [base, head, control] = started.map(|arm| arm.expect("an order has every role"));
        Ok(Self { base, head, control })
    }

    fn of(&mut self, role: Role) -> &mut T {
        match role {
            Role::Base => &mut self.base,
            Role::Head => &mut self.head,
            Role::Control => &mut self.control,
        }
    }

    /// Prepares a case and runs slices of it that do not count.
    fn warm_up(&mut self, case: &str, iters: u64, order: Order) -> Result<(), Error> {
        for role in order {
            self.of(role).prepare(case)?;
        }
        for _ in 0..WARM_UP {
            for role in order {
                self.of(role).slice(iters, 0.0)?;
            }
        }
        // The latencies until here are those of the warm-up. Asking for them is how a worker is told to forget them.
        for role in order {
            self.of(role).latencies()?;
        }
        Ok(())
    }

    /// Runs six slices, and leaves it to the caller to say what the machine did meanwhile.
    fn block(&mut self, order: Order, iters: u64, spins: Spins) -> Result<Block, Error> {
        let mut block =
            Block { order, values: [0; 6], spun: 0, waited_ns: [0; 6], conditions: Conditions::default() };
        // ABC CBA: what changes steadily over the block cancels.
        for (slot, role) in order.into_iter().chain(order.into_iter().rev()).enumerate() {
            let spin = match role {
                Role::Base => 0.0,
                Role::Head => spins.head,
                Role::Control => spins.control,
            };
            let slice = self.of(role).slice(iters, spin)?;
            block.values[slot] = slice.value;
            block.waited_ns[slot] = slice.waited.as_nanos() as u64;
            match role {
                Role::Base => {}
                // A slowdown on purpose is part of what head takes.
                Role::Head => block.values[slot] += slice.spun,
                // The positive control is the A/A control with this, so it is kept apart.
                Role::Control => block.spun += slice.spun,
            }
        }
        Ok(block)
    }
}

/// Doubles the iterations until they fill a slice. Returns how many fit, and how long they take, by the gate's own
/// clock: a worker's value may count something else than time.
fn calibrated(base: &mut impl Timed, max_iters: u64) -> Result<(u64, Duration), Error> {
    // A slice may use no more than its part of what a pair may send: a larger one would leave nothing for a block.
    let most = (max_iters / LEAST_SLICES).max(1);
    for _ in 0..WARM_UP {
        base.slice(1, 0.0)?;
    }
    let mut iters = 1;
    loop {
        // The shortest of three: one preemption must not decide the slices of the whole session.
        let mut waited = base.slice(iters, 0.0)?.waited;
        for _ in 1..TRIES {
            waited = waited.min(base.slice(iters, 0.0)?.waited);
        }
        // Scaled from the last trial, as doubling alone would hit a slice only to a factor of two.
        let filled = waited.as_secs_f64() / SLICE.as_secs_f64();
        if filled >= 1.0 || iters * 2 > most {
            let fitting = ((iters as f64 / filled) as u64).clamp(1, most);
            let took = waited.mul_f64(fitting as f64 / iters as f64);
            return Ok((fitting, took));
        }
        iters *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::record::Record;
    use super::*;

    fn measured_ns(record: &Record) -> u64 {
        let pairs = record.cases.iter().flat_map(|case| &case.pairs);
        pairs.flat_map(|pair| &pair.blocks).map(|block| block.waited_ns.iter().sum::<u64>()).sum()
    }

    #[test]
    fn a_session_runs_every_case_in_every_pair_and_spends_its_budget() {
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::Quiet]);
        assert_eq!(record.cases.len(), 2);
        assert_eq!(record.numbers, (0..10).collect::<Vec<_>>());
        for case in &record.cases {
            // 0.1 ms an iteration and 0.06 ms of waiting beside them all: 19 of them make 2 ms, with noise 20.
            assert!((19..=20).contains(&case.iters), "{}", case.iters);
            assert!(case.pairs.len() == 10 && case.pairs.iter().all(|pair| pair.blocks.len() > 10));
        }
        let spent = measured_ns(&record) as f64 / 20e9;
        assert!((0.98..1.1).contains(&spent), "{spent}");
    }

    fn quiet_session(seed: u64) -> Record {
        session(&fake::plan(seed), &["a"], &[Trait::Quiet])
    }

    #[test]
    fn the_same_seed_runs_the_same_session() {
        assert_eq!(quiet_session(5), quiet_session(5));
        assert_ne!(quiet_session(5).cases, quiet_session(6).cases);
    }

    #[test]
    fn latencies_are_those_of_the_blocks_and_not_of_the_warm_up() {
        let record = session(&fake::plan(1), &["a"], &[Trait::Quiet]);
        let case = &record.cases[0];
        for pair in &case.pairs {
            // Two slices of each arm in every block.
            let expected = 2 * pair.blocks.len() as u64 * case.iters;
            for latencies in &pair.latencies {
                assert_eq!(latencies.iter().map(|(_, count)| count).sum::<u64>(), expected);
            }
        }
    }

    #[test]
    fn a_case_whose_block_takes_a_tenth_of_its_time_is_not_run_and_the_others_get_its_time() {
        // A block takes 6 * 40 ms; a tenth of 2 s is less.
        let plan = Plan { budget_ms: 2_000, ..fake::plan(1) };
        let record = session(&plan, &["slow", "a"], &[Trait::Quiet]);
        assert!(record.cases[0].too_slow && record.cases[0].pairs.is_empty());
        // All of the time is that of the other case: 2 s over 10 pairs.
        assert_eq!((record.cases[1].too_slow, record.cases[1].slot_ns), (false, 200_000_000));
        assert!(!session(&fake::plan(1), &["slow"], &[Trait::Quiet]).cases[0].too_slow);
    }

    /// Number of pairs in a session of one case that may have so many.
    fn pairs(max_pairs: usize, odd: Trait) -> usize {
        session(&Plan { max_pairs, ..fake::plan(1) }, &["a"], &[odd]).numbers.len()
    }

    #[test]
    fn an_undecided_case_gets_more_pairs_up_to_the_most() {
        assert_eq!(pairs(20, Trait::Restless(Role::Head, 0.1)), 20);
        assert_eq!(pairs(15, Trait::Restless(Role::Head, 0.1)), 15);
        assert_eq!(pairs(20, Trait::Quiet), 10);
    }

    #[test]
    fn a_slowdown_or_a_speedup_does_not_decide_how_long_a_session_is() {
        // Mirrored at the margin of 1 %: head is as much slower as it is faster.
        for seed in 0..20 {
            let plan = Plan { max_pairs: 20, ..fake::plan(seed) };
            let slower = session(&plan, &["a"], &[Trait::Slower(0.05)]).numbers.len();
            let faster = session(&plan, &["a"], &[Trait::Slower(-0.05)]).numbers.len();
            assert_eq!(slower, faster, "seed {seed}");
        }
    }

    #[test]
    fn a_pair_that_met_a_storm_is_repeated_and_told() {
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::Storms(&[2, 5])]);
        assert_eq!(record.numbers, [0, 1, 3, 4, 6, 7, 8, 9, 10, 11]);
        assert_eq!(record.storms.iter().map(|storm| storm.number).collect::<Vec<_>>(), [2, 5]);
        assert!(record.storms[0].reason.contains("the host took"), "{:?}", record.storms);
        assert!(record.cases.iter().all(|case| case.pairs.len() == 10));
    }

    #[test]
    fn in_a_storm_without_end_repeating_has_one() {
        // Of ten planned pairs two may be repeated: one in five.
        let record =
            session(&fake::plan(1), &["a"], &[Trait::Storms(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])]);
        assert_eq!((record.numbers.len(), record.storms.len()), (10, 2));
    }

    /// Counts iterations, and takes 0.1 ms for each.
    struct Counting<'a>(&'a std::cell::Cell<u64>);

    impl Timed for Counting<'_> {
        fn prepare(&mut self, _: &str) -> Result<(), Error> {
            Ok(())
        }

        fn slice(&mut self, iters: u64, _: f64) -> Result<TimedSlice, Error> {
            self.0.set(self.0.get() + iters);
            Ok(slice_of(iters * 100_000))
        }

        fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
            Ok(Vec::new())
        }
    }

    fn slice_of(ns: u64) -> TimedSlice {
        TimedSlice { value: ns, spun: 0, waited: Duration::from_nanos(ns) }
    }

    /// A host of such workers, which breaks off after so many blocks.
    struct CountingHost<'a> {
        sent: &'a std::cell::Cell<u64>,
        blocks_left: u64,
    }

    impl<'a> Host for CountingHost<'a> {
        type Arm = Counting<'a>;

        fn start(&mut self, _: Role) -> Result<Counting<'a>, Error> {
            Ok(Counting(self.sent))
        }

        fn conditions(&mut self) -> Conditions {
            Conditions::default()
        }

        fn cores(&self) -> usize {
            1
        }

        fn watch(&mut self, _: Progress) -> Result<(), Error> {
            self.blocks_left -= 1;
            if self.blocks_left == 0 { Err(Error::Interrupted(2)) } else { Ok(()) }
        }
    }

    #[test]
    fn no_more_iterations_than_are_allowed() {
        for max_iters in [LEAST_SLICES, 100, 1000] {
            let sent = std::cell::Cell::new(0);
            let plan = fake::plan(1);
            let case = CasePlan { max_iters, ..fake::case("a") };
            let mut host = CountingHost { sent: &sent, blocks_left: u64::MAX };
            let measured = Session::new(&plan, &[case]).run(&mut host).expect("runs");
            assert!(measured.cases[0].pairs.iter().all(|pair| !pair.blocks.is_empty()));
            assert!(sent.get() <= max_iters * plan.pairs as u64, "{} of {max_iters}", sent.get());
        }
    }

    #[test]
    fn it_can_be_broken_off_after_any_block_and_keeps_what_was_measured() {
        let sent = std::cell::Cell::new(0);
        let cases = [fake::case("a"), fake::case("b")];
        let mut host = CountingHost { sent: &sent, blocks_left: 7 };
        let measured = Session::new(&fake::plan(1), &cases).run(&mut host).expect("runs");
        assert!(measured.partial);
        let pairs = measured.cases.iter().flat_map(|case| &case.pairs);
        assert_eq!(pairs.map(|pair| pair.blocks.len()).sum::<usize>(), 7);
    }

    #[test]
    fn one_stall_does_not_decide_how_long_slices_are() {
        struct Stalls(u32);
        impl Timed for Stalls {
            fn prepare(&mut self, _: &str) -> Result<(), Error> {
                Ok(())
            }
            fn slice(&mut self, iters: u64, _: f64) -> Result<TimedSlice, Error> {
                self.0 += 1;
                Ok(slice_of(iters * 100_000 + if self.0 == 2 { 50_000_000 } else { 0 }))
            }
            fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
                Ok(Vec::new())
            }
        }
        // The second call stalls, the first after the warm-up. Twenty iterations of 0.1 ms fill a slice of 2 ms.
        assert_eq!(calibrated(&mut Stalls(0), u64::MAX).expect("runs"), (20, SLICE));
    }

    #[test]
    fn the_first_failure_ends_it_and_says_where() {
        /// Prepares one case at most.
        struct Dies(u32);
        impl Timed for Dies {
            fn prepare(&mut self, _: &str) -> Result<(), Error> {
                self.0 += 1;
                if self.0 == 1 { Ok(()) } else { Err(Error::Worker("died".to_owned())) }
            }
            fn slice(&mut self, iters: u64, _: f64) -> Result<TimedSlice, Error> {
                Ok(slice_of(iters * 100_000))
            }
            fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
                Ok(Vec::new())
            }
        }
        struct Once(u32);
        impl Host for Once {
            type Arm = Dies;
            fn start(&mut self, _: Role) -> Result<Dies, Error> {
                self.0 += 1;
                // The worker that calibrates prepares one case, the others none.
                Ok(Dies(u32::from(self.0 > 1)))
            }
            fn conditions(&mut self) -> Conditions {
                Conditions::default()
            }
            fn cores(&self) -> usize {
                1
            }
            fn watch(&mut self, _: Progress) -> Result<(), Error> {
                unreachable!("it never gets so far")
            }
        }
        let failed = Session::new(&fake::plan(1), &[fake::case("a")]).run(&mut Once(0));
        assert_eq!(failed.expect_err("fails").to_string(), "a, pair 1: the worker died");
    }
}
