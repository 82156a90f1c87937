//! Workers that only say how long their slices took, on a clock of their own: a session with them is over at once,
//! and always the same.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::measure::Measure;
use super::plan::{CasePlan, Plan};
use super::record::{Build, Measured, Record, SCHEMA_VERSION};
use super::schedule::Role;
use super::session::{Host, Measurements, Progress, Session, Timed, TimedSlice};
use crate::error::Error;
use crate::machine::Conditions;

/// The machine that the workers share.
pub struct World {
    pub now_ns: f64,
    rng: Xoshiro256PlusPlus,
    /// Slices until the machine changes its speed, and whether it is in its slow one.
    mode: (u32, bool),
}

/// What is odd about the machine, or about the head.
#[derive(Clone, Copy, PartialEq)]
pub enum Trait {
    /// Nothing but noise of 3 % a slice.
    Quiet,
    /// The head takes this share longer.
    Slower(f64),
    /// Everything gets slower by this share a second.
    Drift(f64),
    /// The machine has two speeds 35 % apart, and changes between them at random.
    TwoSpeeds,
    /// This role's workers differ by a share (standard deviation) from process to process.
    Restless(Role, f64),
    /// Spinning does not happen.
    NoSpin,
    /// The clock of this role runs slower by a share.
    SlowClock(Role, f64),
    /// The clock of this role stands still.
    FrozenClock(Role),
    /// This role works for a share of its time before it starts its clock.
    HiddenWork(Role, f64),
    /// This share of the head's operations takes so many ns longer.
    Stalls(f64, u64),
    /// The machine is disturbed during these pairs, counted from 0 by their starts.
    Storms(&'static [usize]),
}

/// What the gate waits beside a slice: a pipe there and back.
const PIPE_NS: f64 = 60_000.0;

pub struct Fake {
    world: Rc<RefCell<World>>,
    role: Role,
    traits: Vec<Trait>,
    own: f64,
    iteration_ns: f64,
    operations: u64,
}

impl Timed for Fake {
    fn prepare(&mut self, case: &str) -> Result<(), Error> {
        // "slow" takes 40 ms, any other 0.1 ms.
        self.iteration_ns = if case == "slow" { 40e6 } else { 1e5 };
        Ok(())
    }

    fn slice(&mut self, iters: u64, spin: f64) -> Result<TimedSlice, Error> {
        let world = &mut *self.world.borrow_mut();
        self.operations += iters;
        // Uniform within 5 % either way, which is a standard deviation of 0.05 / sqrt(3), 2.9 %.
        let mut ns =
            self.iteration_ns * iters as f64 * self.own * (1.0 + world.rng.random_range(-0.05..0.05));
        // What the worker tells can differ from what the machine did: by its clock, and by work that it does not
        // time.
        let mut says = 1.0;
        let mut hidden = 0.0;
        for odd in &self.traits {
            match *odd {
                Trait::Slower(share) if self.role == Role::Head => ns *= 1.0 + share,
                Trait::Drift(share) => ns *= 1.0 + share * world.now_ns / 1e9,
                Trait::TwoSpeeds => ns *= world.speed(),
                Trait::SlowClock(role, share) if self.role == role => says = 1.0 - share,
                Trait::HiddenWork(role, share) if self.role == role => hidden = share,
                _ => {}
            }
        }
        let spun = if self.traits.contains(&Trait::NoSpin) { 0.0 } else { ns * spin };
        let waited = ns * (1.0 + hidden) + spun + PIPE_NS;
        world.now_ns += waited;
        // The shared time goes on by what was really done, whatever the worker tells.
        let frozen = self.traits.contains(&Trait::FrozenClock(self.role));
        let value = if frozen { 2_000_000 } else { (ns * says) as u64 };
        Ok(TimedSlice { value, spun: spun as u64, waited: Duration::from_nanos(waited as u64) })
    }

    /// One operation in fifty takes twice as long as the others. Those that stall come on top.
    fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        let all = std::mem::take(&mut self.operations);
        let mut stalled = 0;
        let mut stall_ns = 0;
        for odd in &self.traits {
            if let Trait::Stalls(share, ns) = *odd
                && self.role == Role::Head
            {
                stalled = (share * all as f64) as u64;
                stall_ns = ns;
            }
        }
        let usual = self.iteration_ns as u64;
        let late = (all - stalled) / 50;
        let buckets = [(usual, all - stalled - late), (2 * usual, late), (2 * usual + stall_ns, stalled)];
        Ok(buckets.into_iter().filter(|(_, count)| *count > 0).collect())
    }
}

/// Starts fakes. It reads nothing of the real machine.
struct FakeHost {
    world: Rc<RefCell<World>>,
    traits: Vec<Trait>,
    starts: usize,
}

impl Host for FakeHost {
    type Arm = Fake;

    fn start(&mut self, role: Role) -> Result<Fake, Error> {
        self.starts += 1;
        let mut own = 1.0;
        for odd in &self.traits {
            if let Trait::Restless(restless, share) = *odd
                && restless == role
            {
                // Three uniform numbers: nearly normal, with a standard deviation of 1.
                let rng = &mut self.world.borrow_mut().rng;
                own += share * (0..3).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>();
            }
        }
        let world = Rc::clone(&self.world);
        Ok(Fake { world, role, traits: self.traits.clone(), own, iteration_ns: 0.0, operations: 0 })
    }

    fn conditions(&mut self) -> Conditions {
        // One worker was started for calibration, then three for each pair.
        let pair = (self.starts - 2) / 3;
        let stormy =
            self.traits.iter().any(|odd| matches!(odd, Trait::Storms(pairs) if pairs.contains(&pair)));
        // A block of six slices of 2 ms takes 12 ms: with 10 of them stolen the pair is far beyond the limit.
        Conditions { stolen_ms: if stormy { 10 } else { 0 }, pressure_us: 0, loop_ns: 40_000 }
    }

    fn cores(&self) -> usize {
        1
    }

    fn watch(&mut self, _: Progress) -> Result<(), Error> {
        Ok(())
    }
}

impl World {
    fn speed(&mut self) -> f64 {
        if self.mode.0 == 0 {
            self.mode = (self.rng.random_range(100..1500), !self.mode.1);
        }
        self.mode.0 -= 1;
        if self.mode.1 { 1.35 } else { 1.0 }
    }
}

/// A short plan: 10 pairs, 20 s of the fakes' own clock, no more.
pub fn plan(seed: u64) -> Plan {
    Plan { pairs: 10, max_pairs: 10, budget_ms: 20_000, seed, ..Plan::default() }
}

pub fn case(id: &str) -> CasePlan {
    CasePlan { id: id.to_owned(), threshold: 0.02, max_iters: u64::MAX }
}

/// A session of such workers.
pub fn session(plan: &Plan, cases: &[&str], traits: &[Trait]) -> Record {
    let rng = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
    let world = Rc::new(RefCell::new(World { now_ns: 0.0, rng, mode: (0, false) }));
    let mut host = FakeHost { world, traits: traits.to_vec(), starts: 0 };
    let mut planned = Vec::new();
    for id in cases {
        planned.push(CasePlan { threshold: plan.threshold, ..case(id) });
    }
    record(plan, Session::new(plan, &planned).run(&mut host).expect("fakes do not fail"))
}

fn record(plan: &Plan, measured: Measurements) -> Record {
    let build = Build {
        version: "0".to_owned(),
        compiler: "rustc".to_owned(),
        profile: "release".to_owned(),
        sha256: "00".to_owned(),
    };
    Record {
        schema_version: SCHEMA_VERSION,
        checksum: String::new(),
        partial: measured.partial,
        // Fixed, so that the records of two sessions with one seed are equal.
        made_at: "2026-11-23T00:00:00.000000+00:00".to_owned(),
        plan: plan.clone(),
        base: Measured { name: "old".to_owned(), build: build.clone(), url: None, commit: None },
        head: Measured { name: "new".to_owned(), build, url: None, commit: None },
        measure: Measure::WallTime,
        environment: serde_json::Value::Null,
        notices: Vec::new(),
        missing: Vec::new(),
        allowed_missing: Vec::new(),
        only_in_head: Vec::new(),
        numbers: measured.numbers,
        storms: measured.storms,
        cases: measured.cases,
        counters: None,
        accepted: None,
    }
}
