//! The session: pairs of processes, and in each of them every case in blocks of slices. Only one arm runs at a time.

use std::ops::ControlFlow;
use std::time::Duration;

use super::plan::{CasePlan, Plan, control};
use super::record::{Block, CaseRecord};
use super::schedule::{Order, Role, block_orders, case_order, start_order};
use crate::error::Error;

/// What a slice should last: long enough for the clock and the caches, short against the machine's changes of speed.
const SLICE: Duration = Duration::from_millis(2);
/// A case whose block takes more than this share of its time is too slow to be judged.
const BLOCK_AT_MOST: f64 = 0.1;
/// Slices in a block.
const SLICES: u64 = 6;
/// Slices from which a length is found.
const TRIES: u64 = 3;
/// Slices of each arm that do not count, at the start of a case in a pair.
const WARM_UP: u64 = 1;
/// Slices' worth of iterations that a pair needs at least: finding their length, warming up, one block.
pub const LEAST_SLICES: u64 = 2 * TRIES + 4 * WARM_UP + SLICES;

/// Something that runs slices of a case.
pub trait Timed {
    /// Makes the case ready, in place of the one before.
    fn prepare(&mut self, case: &str) -> Result<(), Error>;

    /// Nanoseconds that so many iterations took, and nanoseconds spent spinning for a share of that afterwards.
    fn slice(&mut self, iters: u64, spin: f64) -> Result<(u64, u64), Error>;
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The pair under way, counted from 1.
    pub pair: usize,
    /// Time of all slices so far.
    pub measured: Duration,
}

/// A session, to be run once.
pub struct Session<'a> {
    plan: &'a Plan,
    cases: &'a [CasePlan],
    records: Vec<CaseRecord>,
    measured: Duration,
}

/// The three workers of a pair.
struct Arms<T> {
    base: T,
    head: T,
    copy: T,
}

impl<'a> Session<'a> {
    /// Nothing is measured yet.
    pub fn new(plan: &'a Plan, cases: &'a [CasePlan]) -> Self {
        Self { plan, cases, records: Vec::new(), measured: Duration::ZERO }
    }

    /// Runs it all with workers from `start`. `watch` is told after every block, and may break it off. Returns the
    /// records, and whether they are whole.
    pub fn run<T: Timed>(
        mut self,
        mut start: impl FnMut(Role) -> Result<T, Error>,
        mut watch: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(Vec<CaseRecord>, bool), Error> {
        self.records = self.calibrated(&mut start(Role::Base)?)?;
        for pair in 0..self.plan.pairs {
            let mut arms = Arms::start(start_order(self.plan.seed, pair), &mut start)?;
            for case in case_order(self.plan.seed, pair, self.cases.len()) {
                if self.case(&mut arms, pair, case, &mut watch)?.is_break() {
                    return Ok((self.records, false));
                }
            }
        }
        Ok((self.records, true))
    }

    /// Finds out how many iterations make a slice of each case, and shares the time among the cases.
    fn calibrated<T: Timed>(&self, base: &mut T) -> Result<Vec<CaseRecord>, Error> {
        let mut found = Vec::new();
        for case in self.cases {
            base.prepare(&case.id)?;
            let (iters, slice) = calibrated(base, case.max_iters)?;
            found.push((iters, slice * SLICES as u32));
        }
        let slots = self.slots(&found.iter().map(|(_, block)| *block).collect::<Vec<_>>());
        let record =
            |((case, (iters, _)), slot): ((&CasePlan, (u64, Duration)), Option<Duration>)| CaseRecord {
                id: case.id.clone(),
                fail_over: case.fail_over,
                iters,
                slot_ns: slot.unwrap_or_default().as_nanos() as u64,
                too_slow: slot.is_none(),
                pairs: Vec::new(),
            };
        Ok(self.cases.iter().zip(found).zip(slots).map(record).collect())
    }

    /// What each case gets of a pair's time, or nothing where its block would take too much of all its time. Nothing
    /// is kept for those: the slowest is left out until the rest fit.
    fn slots(&self, blocks: &[Duration]) -> Vec<Option<Duration>> {
        let all_pairs = self.plan.pairs as f64;
        let mut left: Vec<usize> = (0..blocks.len()).collect();
        let mut slots = vec![None; blocks.len()];
        while let Some(slowest) = left.iter().copied().max_by_key(|&case| blocks[case]) {
            let shares = self.plan.slots(&left.iter().map(|&case| blocks[case]).collect::<Vec<_>>());
            let fits =
                |(&case, slot): (&usize, &Duration)| blocks[case] <= slot.mul_f64(all_pairs * BLOCK_AT_MOST);
            if left.iter().zip(&shares).all(fits) {
                left.iter().zip(shares).for_each(|(&case, slot)| slots[case] = Some(slot));
                break;
            }
            left.retain(|&case| case != slowest);
        }
        slots
    }

    /// One case in one pair of processes.
    fn case<T: Timed>(
        &mut self,
        arms: &mut Arms<T>,
        pair: usize,
        case: usize,
        watch: &mut impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let (plan, planned, record) = (self.plan, &self.cases[case], &mut self.records[case]);
        if record.too_slow {
            return Ok(ControlFlow::Continue(()));
        }
        arms.prepare(&planned.id, start_order(plan.seed, pair))?;
        for _ in 0..WARM_UP {
            arms.each(|arm| arm.slice(record.iters, 0.0).map(drop))?;
        }
        let spins = Spins { head: plan.injected_into(&planned.id), copy: control(planned.fail_over) };
        let most = (planned.max_iters / record.iters).saturating_sub(LEAST_SLICES - SLICES) / SLICES;
        let (mut blocks, mut spent) = (Vec::new(), 0);
        let mut flow = ControlFlow::Continue(());
        for order in block_orders(plan.seed, pair, case).take(most.max(1) as usize) {
            let block = arms.block(order, record.iters, spins)?;
            blocks.push(block);
            spent += block.total_ns();
            self.measured += Duration::from_nanos(block.total_ns());
            flow = watch(Progress { pair: pair + 1, measured: self.measured });
            if flow.is_break() || spent >= record.slot_ns {
                break;
            }
        }
        record.pairs.push(blocks);
        Ok(flow)
    }
}

/// Shares of its own time for which an arm spins after a slice.
#[derive(Clone, Copy)]
struct Spins {
    head: f64,
    copy: f64,
}

impl<T: Timed> Arms<T> {
    fn start(order: Order, start: &mut impl FnMut(Role) -> Result<T, Error>) -> Result<Self, Error> {
        let mut started = [None, None, None];
        for role in order {
            started[role as usize] = Some(start(role)?);
        }
        let [base, head, copy] = started.map(|arm| arm.expect("an order has every role"));
        Ok(Self { base, head, copy })
    }

    fn of(&mut self, role: Role) -> &mut T {
        match role {
            Role::Base => &mut self.base,
            Role::Head => &mut self.head,
            Role::Copy => &mut self.copy,
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut T) -> Result<(), Error>) -> Result<(), Error> {
        Role::ALL.into_iter().try_for_each(|role| act(self.of(role)))
    }

    fn prepare(&mut self, case: &str, order: Order) -> Result<(), Error> {
        order.into_iter().try_for_each(|role| self.of(role).prepare(case))
    }

    fn block(&mut self, order: Order, iters: u64, spins: Spins) -> Result<Block, Error> {
        let mut block = Block { order, ns: [0; 6], spun_ns: 0 };
        for (slot, role) in order.into_iter().chain(order.into_iter().rev()).enumerate() {
            let (ns, spun_ns) = match role {
                Role::Base => self.base.slice(iters, 0.0)?,
                Role::Head => {
                    let (ns, injected_ns) = self.head.slice(iters, spins.head)?;
                    (ns + injected_ns, 0)
                }
                Role::Copy => self.copy.slice(iters, spins.copy)?,
            };
            block.ns[slot] = ns;
            block.spun_ns += spun_ns;
        }
        Ok(block)
    }
}

/// Doubles the iterations until they fill a slice: how many fit, and how long they take.
fn calibrated(base: &mut impl Timed, max_iters: u64) -> Result<(u64, Duration), Error> {
    let most = (max_iters / LEAST_SLICES).max(1);
    for _ in 0..WARM_UP {
        base.slice(1, 0.0)?;
    }
    let mut iters = 1;
    loop {
        // The shortest of three: one preemption must not decide the slices of the whole session.
        let mut ns = base.slice(iters, 0.0)?.0;
        for _ in 1..TRIES {
            ns = ns.min(base.slice(iters, 0.0)?.0);
        }
        let filled = ns as f64 / SLICE.as_nanos() as f64;
        if filled >= 1.0 || iters * 2 > most {
            let fitting = ((iters as f64 / filled) as u64).clamp(1, most);
            let took = Duration::from_nanos(ns).mul_f64(fitting as f64 / iters as f64);
            return Ok((fitting, took));
        }
        iters *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::*;

    #[test]
    fn a_session_runs_every_case_in_every_pair_and_spends_its_budget() {
        let plan = fake::plan(1);
        let record = session(&plan, &["a", "b"], &[Trait::Quiet]);
        assert_eq!(record.cases.len(), 2);
        let mut spent = 0;
        for case in &record.cases {
            // 0.1 ms an iteration: 20 of them make 2 ms.
            assert!((19..=21).contains(&case.iters), "{}", case.iters);
            assert!(case.pairs.len() == 10 && case.pairs.iter().all(|blocks| blocks.len() > 10));
            spent += case.pairs.iter().flatten().map(Block::total_ns).sum::<u64>();
        }
        assert!((0.98..1.1).contains(&(spent as f64 / 20e9)), "{spent} ns");
    }

    #[test]
    fn the_same_seed_runs_the_same_session() {
        let of = |seed| session(&fake::plan(seed), &["a"], &[Trait::Quiet]);
        assert_eq!(of(5), of(5));
        assert_ne!(of(5).cases, of(6).cases);
    }

    #[test]
    fn a_case_whose_block_takes_a_tenth_of_its_time_is_not_run_and_the_others_get_its_time() {
        // A block takes 6 * 40 ms; a tenth of 2 s is less.
        let plan = Plan { budget_ms: 2_000, ..fake::plan(1) };
        let record = session(&plan, &["slow", "a"], &[Trait::Quiet]);
        assert!(record.cases[0].too_slow && record.cases[0].pairs.is_empty());
        assert_eq!((record.cases[1].too_slow, record.cases[1].slot_ns), (false, 200_000_000));
        assert!(!session(&fake::plan(1), &["slow"], &[Trait::Quiet]).cases[0].too_slow);
    }

    /// Counts iterations, and takes 0.1 ms for each.
    struct Counting<'a>(&'a std::cell::Cell<u64>);

    impl Timed for Counting<'_> {
        fn prepare(&mut self, _: &str) -> Result<(), Error> {
            Ok(())
        }

        fn slice(&mut self, iters: u64, _: f64) -> Result<(u64, u64), Error> {
            self.0.set(self.0.get() + iters);
            Ok((iters * 100_000, 0))
        }
    }

    #[test]
    fn no_more_iterations_than_are_allowed() {
        for max_iters in [LEAST_SLICES, 100, 1000] {
            let sent = std::cell::Cell::new(0);
            let (plan, case) = (fake::plan(1), CasePlan { max_iters, ..fake::case("a") });
            let run =
                Session::new(&plan, &[case]).run(|_| Ok(Counting(&sent)), |_| ControlFlow::Continue(()));
            assert!(run.expect("runs").0[0].pairs.iter().all(|blocks| !blocks.is_empty()));
            assert!(sent.get() <= max_iters * plan.pairs as u64, "{} of {max_iters}", sent.get());
        }
    }

    #[test]
    fn one_stall_does_not_decide_how_long_slices_are() {
        struct Stalls(u32);
        impl Timed for Stalls {
            fn prepare(&mut self, _: &str) -> Result<(), Error> {
                Ok(())
            }
            fn slice(&mut self, iters: u64, _: f64) -> Result<(u64, u64), Error> {
                self.0 += 1;
                Ok((iters * 100_000 + if self.0 == 2 { 50_000_000 } else { 0 }, 0))
            }
        }
        assert_eq!(calibrated(&mut Stalls(0), u64::MAX).expect("runs"), (20, SLICE));
    }

    #[test]
    fn it_can_be_broken_off_after_any_block() {
        let (plan, cases) = (fake::plan(1), [fake::case("a"), fake::case("b")]);
        let sent = std::cell::Cell::new(0);
        let mut left = 7;
        let run = Session::new(&plan, &cases).run(
            |_| Ok(Counting(&sent)),
            |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        let (records, whole) = run.expect("runs");
        assert!(!whole);
        assert_eq!(records.iter().flat_map(|case| &case.pairs).flatten().count(), 7);
    }

    #[test]
    fn the_first_failure_ends_it() {
        struct Dies;
        impl Timed for Dies {
            fn prepare(&mut self, _: &str) -> Result<(), Error> {
                Err(Error::Worker("died".to_owned()))
            }
            fn slice(&mut self, _: u64, _: f64) -> Result<(u64, u64), Error> {
                unreachable!("it never gets so far")
            }
        }
        let (plan, cases) = (fake::plan(1), [fake::case("a")]);
        let run = Session::new(&plan, &cases).run(|_| Ok(Dies), |_| ControlFlow::Continue(()));
        assert_eq!(run.expect_err("fails").to_string(), "the worker died");
    }
}
