//! Workers that only say how long their slices took, on a clock of their own: a session with them is over at once,
//! and always the same.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::plan::{CasePlan, Plan};
use super::protocol::Build;
use super::record::{Measured, Record, SCHEMA_VERSION};
use super::schedule::Role;
use super::session::{Session, Timed};
use crate::error::Error;

/// The machine that the workers share.
pub struct World {
    pub now_ns: f64,
    rng: Xoshiro256PlusPlus,
    /// Slices until the machine changes its speed, and whether it is the slow one.
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
}

pub struct Fake {
    world: Rc<RefCell<World>>,
    role: Role,
    traits: Vec<Trait>,
    own: f64,
    iteration_ns: f64,
}

impl Timed for Fake {
    fn prepare(&mut self, case: &str) -> Result<(), Error> {
        // "slow" takes 40 ms, any other 0.1 ms.
        self.iteration_ns = if case == "slow" { 40e6 } else { 1e5 };
        Ok(())
    }

    fn slice(&mut self, iters: u64, spin: f64) -> Result<(u64, u64), Error> {
        let world = &mut *self.world.borrow_mut();
        let mut ns =
            self.iteration_ns * iters as f64 * self.own * (1.0 + world.rng.random_range(-0.05..0.05));
        for odd in &self.traits {
            match *odd {
                Trait::Slower(share) if self.role == Role::Head => ns *= 1.0 + share,
                Trait::Drift(share) => ns *= 1.0 + share * world.now_ns / 1e9,
                Trait::TwoSpeeds => ns *= world.speed(),
                _ => {}
            }
        }
        let spun = if self.traits.contains(&Trait::NoSpin) { 0.0 } else { ns * spin };
        world.now_ns += ns + spun;
        Ok((ns as u64, spun as u64))
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

/// A short plan: 10 pairs, 20 s of the fakes' own clock.
pub fn plan(seed: u64) -> Plan {
    Plan { budget_ms: 20_000, seed, ..Plan::default() }
}

pub fn case(id: &str) -> CasePlan {
    CasePlan { id: id.to_owned(), fail_over: 0.02, max_iters: u64::MAX }
}

/// A session of such workers.
pub fn session(plan: &Plan, cases: &[&str], traits: &[Trait]) -> Record {
    let rng = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
    let world = Rc::new(RefCell::new(World { now_ns: 0.0, rng, mode: (0, false) }));
    let start = |role| {
        let own = traits.iter().fold(1.0, |own, odd| match *odd {
            Trait::Restless(restless, share) if restless == role => {
                // Three uniform numbers: nearly normal, with a standard deviation of 1.
                let rng = &mut world.borrow_mut().rng;
                own + share * (0..3).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>()
            }
            _ => own,
        });
        Ok(Fake { world: Rc::clone(&world), role, traits: traits.to_vec(), own, iteration_ns: 0.0 })
    };
    let cases: Vec<CasePlan> = cases.iter().map(|id| case(id)).collect();
    let run = Session::new(plan, &cases).run(start, |_| ControlFlow::Continue(()));
    let (cases, whole) = run.expect("fakes do not fail");
    record(plan, cases, whole)
}

fn record(plan: &Plan, cases: Vec<super::record::CaseRecord>, whole: bool) -> Record {
    let build = Build {
        version: "0".to_owned(),
        rustc: "rustc".to_owned(),
        profile: "release".to_owned(),
        sha256: "00".to_owned(),
    };
    let arm = |name: &str| Measured { name: name.to_owned(), build: build.clone(), url: None };
    Record {
        schema_version: SCHEMA_VERSION,
        partial: !whole,
        made_at: "2026-11-23T00:00:00.000000+00:00".to_owned(),
        plan: plan.clone(),
        base: arm("old"),
        head: arm("new"),
        environment: serde_json::Value::Null,
        notices: Vec::new(),
        only_in_base: Vec::new(),
        only_in_head: Vec::new(),
        cases,
    }
}
