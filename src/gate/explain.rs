//! Explains the cases that got slower: further pairs of both builds, which time their phases and sample their stacks.
//!
//! Whatever goes wrong here is told, and changes neither the verdict nor what is stored of it.

use std::cell::RefCell;
use std::rc::Rc;

use super::arm::{Arm, Side};
use super::copies::{Copies, ScratchFile};
use super::protocol::{Begin, Explained, Hello};
use super::run::patience;
use super::stacks::SampledStacks;
use crate::auth::KeyPair;
use crate::case::Suite;
use crate::console::note;
use crate::error::Error;
use crate::ingester::Settings;
use crate::interrupt::Interrupt;
use crate::lockstep::{
    ArmTime, CaseRecord, CaseVerdict, Difference, ExplainHost, Explains, ExplanationRecord, Finding, Measure,
    PartTime, Record, Report, Role, SampledArm, SessionVerdict, Timed, TimedSlice, Told, explain_case,
    takes_too_long,
};
use crate::machine::Placement;
use crate::units::printable;

/// Cases that are explained at most: a slowdown that is in many cases mostly is one and the same.
const MOST_CASES: usize = 3;

/// What is to be explained, and with what.
pub struct Explaining<'a> {
    /// What the change was compared with.
    pub base: &'a Side,
    /// The change.
    pub head: &'a Side,
    /// The cases that this build knows.
    pub suite: &'a Suite,
    /// Time limit and placement, as in the session.
    pub settings: &'a Settings,
    /// The folder of the session, for flame graphs.
    pub report: &'a Report,
    /// Ends it when a signal comes.
    pub interrupt: &'a Interrupt,
}

impl Explaining<'_> {
    /// Explains the slower cases of a session. Nothing where there are none, or where nobody could tell: services are seen
    /// from outside only, and a count of something has no time.
    pub fn explain(&self, record: &Record, verdict: &SessionVerdict) -> Option<ExplanationRecord> {
        let is_of_builds = !self.base.is_a_service() && !self.head.is_a_service();
        // A slowdown on purpose lies between operations and in none of them.
        if !is_of_builds || record.measure != Measure::WallTime || record.plan.injected.is_some() {
            return None;
        }
        let slower = clearest_first(verdict);
        if slower.is_empty() {
            return None;
        }
        let mut explained = ExplanationRecord::empty();
        if let Err(error) = self.explain_cases(&slower, record, &mut explained) {
            explained.problems.push(error.to_string());
        }
        Some(explained)
    }

    /// Explains these cases in their order. An error is one that ends it for all that follow.
    fn explain_cases(
        &self,
        slower: &[&str],
        record: &Record,
        explained: &mut ExplanationRecord,
    ) -> Result<(), Error> {
        let Placement { client, stub } = self.settings.placement;
        let begin = Begin { key: KeyPair::generate_pem()?, client, stub, explain: true };
        let copies = Copies::in_folder(self.report.copies())?;
        let mut workers = Explainers { of: self, begin, copies, sampled: Rc::default() };
        for role in [Role::Base, Role::Head] {
            let (_, hello) = workers.greeted(role)?;
            if !hello.explains {
                let name = role.name();
                explained
                    .problems
                    .push(format!("{name} cannot tell where its time goes (docs/gate.md, \"Why\")"));
                return Ok(());
            }
        }

        let all = slower.len().min(MOST_CASES);
        for (number, id) in slower.iter().take(MOST_CASES).enumerate() {
            let Some(case) = record.cases.iter().find(|case| case.id == *id) else { continue };
            if takes_too_long(case) {
                explained.problems.push(format!("{id}: its slices are so long that it would take minutes"));
                continue;
            }
            note(format_args!(
                "Explaining {} ({} of {all}): ten seconds or so of further pairs, which tell where their time goes \
                 (--no-explain leaves that out)",
                printable(id),
                number + 1
            ));
            match workers.explain(case, record, number, explained) {
                Ok(()) => {}
                // Nobody waits for the cases that follow.
                Err(Error::Interrupted(signal)) => return Err(Error::Interrupted(signal)),
                Err(error) => explained.problems.push(format!("{id}: {error}")),
            }
        }
        if slower.len() > MOST_CASES {
            let others = slower[MOST_CASES..].join(", ");
            explained.problems.push(format!("{others}: only the {MOST_CASES} clearest cases are looked at"));
        }
        Ok(())
    }
}

/// Ids of the cases that got slower, those first that surely did so by most. Those that got slower in the tail alone come
/// last.
fn clearest_first(verdict: &SessionVerdict) -> Vec<&str> {
    let mut regressed: Vec<&CaseVerdict> = Vec::new();
    let mut in_the_tail = Vec::new();
    for case in &verdict.cases {
        match case.finding {
            Finding::Regressed => regressed.push(case),
            Finding::TailRegressed => in_the_tail.push(case.id.as_str()),
            _ => {}
        }
    }
    regressed.sort_by(|a, b| at_least(b).total_cmp(&at_least(a)));
    let mut ids: Vec<&str> = regressed.iter().map(|case| case.id.as_str()).collect();
    ids.extend(in_the_tail);
    ids
}

/// The share by which a case surely got slower.
fn at_least(case: &CaseVerdict) -> f64 {
    case.figures.as_ref().and_then(|figures| figures.effect.lower).unwrap_or(0.0)
}

/// Starts workers that explain.
struct Explainers<'a> {
    of: &'a Explaining<'a>,
    begin: Begin,
    copies: Copies,
    /// What the workers of the case under way have sampled.
    sampled: Rc<RefCell<Sampled>>,
}

/// What was sampled of a case, in all its processes.
#[derive(Default)]
struct Sampled {
    base: SampledSide,
    head: SampledSide,
    /// The reason why a worker has sampled nothing.
    missing: Option<String>,
}

/// What was sampled of one side.
#[derive(Default)]
struct SampledSide {
    stacks: SampledStacks,
    operations: u64,
}

impl<'a> Explainers<'a> {
    fn side(&self, role: Role) -> &'a Side {
        if role == Role::Head { self.of.head } else { self.of.base }
    }

    /// Starts the worker of a role, and waits for its greeting.
    fn greeted(&mut self, role: Role) -> Result<(Arm, Hello), Error> {
        let side = self.side(role);
        let patience = patience(self.of.settings, self.of.suite);
        Arm::start(role, side, &mut self.copies, patience, self.of.interrupt)
    }

    /// Measures what explains a case, and writes its flame graph.
    fn explain(
        &mut self,
        case: &CaseRecord,
        record: &Record,
        number: usize,
        explained: &mut ExplanationRecord,
    ) -> Result<(), Error> {
        *self.sampled.borrow_mut() = Sampled::default();
        let times = explain_case(case, &record.plan, number, self)?;
        // Before the picture is drawn: should that fail, the times are not lost.
        explained.cases.push(times);
        let sampled = self.sampled.take();
        if let Some(reason) = &sampled.missing {
            note(format_args!("No flame graph of {}: {}", printable(&case.id), printable(reason)));
            return Ok(());
        }
        let base_folded = sampled.base.stacks.folded();
        let head_folded = sampled.head.stacks.folded();
        let difference = Difference {
            case: &case.id,
            base: SampledArm {
                name: &record.base.name,
                folded: &base_folded,
                operations: sampled.base.operations,
            },
            head: SampledArm {
                name: &record.head.name,
                folded: &head_folded,
                operations: sampled.head.operations,
            },
        };
        match self.of.report.save_difference(&difference) {
            Ok(Some(files)) => {
                note(format_args!("Differential flame graph: {}", files.svg.display()));
                note(format_args!("Its stacks: {} and {}", files.base.display(), files.head.display()));
            }
            Ok(None) => {}
            Err(error) => note(format_args!("No flame graph of {}: {error}", printable(&case.id))),
        }
        Ok(())
    }
}

impl ExplainHost for Explainers<'_> {
    type Arm = Explainer;

    fn start(&mut self, role: Role) -> Result<Explainer, Error> {
        let (mut arm, _) = self.greeted(role)?;
        arm.begin(self.side(role), &self.begin)?;
        Ok(Explainer { arm, role, file: self.copies.file(), sampled: Rc::clone(&self.sampled) })
    }
}

/// A worker that explains, and hands on what it has sampled.
struct Explainer {
    // Dropped before the file, as the worker may still be writing to it.
    arm: Arm,
    role: Role,
    file: ScratchFile,
    sampled: Rc<RefCell<Sampled>>,
}

impl Timed for Explainer {
    fn prepare(&mut self, case: &str) -> Result<(), Error> {
        self.arm.prepare(case)
    }

    fn slice(&mut self, iters: u64, spin: f64) -> Result<TimedSlice, Error> {
        self.arm.slice(iters, spin)
    }

    fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        self.arm.latencies()
    }
}

impl Explains for Explainer {
    fn forget(&mut self) -> Result<(), Error> {
        self.arm.explain(None).map(drop)
    }

    fn explain(&mut self) -> Result<Told, Error> {
        let Explained { operations, latency_ns, phases, without_stacks } =
            self.arm.explain(Some(&self.file.path))?;
        let time = ArmTime { operations, latency_ns };
        if !time.has_operations() {
            return Err(Error::Worker(format!("of {} tells of no operations", self.role.name())));
        }
        let stacks = SampledStacks::read(&self.file.path)?;
        let frames = stacks.own_times();

        let mut sampled = self.sampled.borrow_mut();
        if without_stacks.is_some() {
            sampled.missing = without_stacks;
        }
        let side = if self.role == Role::Head { &mut sampled.head } else { &mut sampled.base };
        side.stacks.merge(&stacks);
        side.operations = side.operations.saturating_add(operations);

        let mut parts = Vec::new();
        for phase in phases {
            parts.push(PartTime { name: phase.phase, ns: phase.ns });
        }
        Ok(Told { time, phases: parts, frames })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lockstep::{Effect, Figures};
    use crate::verdict::Verdict;

    /// A case of which this was found, and that is slower by this at least.
    fn case(id: &str, finding: Finding, lower: f64) -> CaseVerdict {
        let effect = Effect {
            share: lower + 0.01,
            lower: Some(lower),
            upper: Some(lower + 0.02),
            coverage: Some(0.95),
        };
        let figures = Figures {
            base: 100.0,
            head: 103.0,
            effect,
            p: Some(0.001),
            mde: 0.02,
            spread: 0.01,
            aa_control: effect,
            positive_control: effect,
            positive_control_share: 0.05,
            tail: None,
            pairs: 20,
            blocks: 400,
        };
        CaseVerdict {
            id: id.to_owned(),
            finding,
            threshold: 0.02,
            distrust: Vec::new(),
            figures: Some(figures),
        }
    }

    #[test]
    fn slower_cases_are_explained_the_clearest_first() {
        let cases = vec![
            case("tail", Finding::TailRegressed, 0.3),
            case("a", Finding::Regressed, 0.02),
            case("same", Finding::Same, 0.0),
            case("b", Finding::Regressed, 0.04),
            case("doubtful", Finding::Untrusted, 0.5),
            case("c", Finding::Regressed, 0.03),
        ];
        let verdict = SessionVerdict {
            conclusion: Verdict::Missed,
            identical: false,
            cases,
            ..SessionVerdict::identical()
        };
        assert_eq!(clearest_first(&verdict), ["b", "c", "a", "tail"]);
    }
}
