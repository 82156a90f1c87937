//! The search: which step is made next, and what the steps came to. It runs nothing, and a record is evaluated by the same
//! code as a search that goes on.

use serde::Serialize;

use super::edge::{CapacityEdge, edge, misses_somewhere};
use super::evidence::{LevelVerdict, StepEvidence, StepOutcome, verdict_of_level};
use super::limit::Ratio;
use super::plan::CapacityPlan;
use super::staircase::Staircase;

/// Steps in a row at one level in which the generator does not keep up. After so many, the level counts as the generator's
/// limit. A machine that pauses by chance rarely does so in three steps in a row.
const GENERATOR_TRIES: u32 = 3;
/// Steps in all in which it does not keep up before the search is given up, ...
const MOST_INVALID: u32 = 15;
/// ... and one more for so many steps that count. A long search meets more of the machine's busy moments than a short one,
/// which makes its answer no worse.
const COUNTING_PER_INVALID: u32 = 4;
/// Steps in a row that have to hold at the top.
const AT_TOP: u32 = 3;
/// Steps that have to miss at the bottom.
const AT_BOTTOM: u32 = 2;
/// Confirming runs that may miss. Each of them moves the answer, as it is evidence like every step.
const CONFIRMATIONS: u32 = 3;

/// A step to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextStep {
    /// The level of its rate.
    pub level: i32,
    /// Whether it is a run that confirms the answer.
    pub confirms: bool,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CapacityFinding {
    /// There is an answer, and a longer run just below it held.
    Found,
    /// There is an answer, and no longer run held.
    Unconfirmed,
    /// It held at every rate with which the generator kept up.
    GeneratorLimit,
    /// It held at the highest rate that was asked for.
    HighestAsked,
    /// It missed even at the lowest rate.
    Nowhere,
    /// The search ended before it came to anything.
    Unfinished,
}

/// What a search came to, by levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CapacityAnswer {
    /// What it came to.
    pub finding: CapacityFinding,
    /// Where the first limit stops to hold, as far as that is known.
    pub edge: Option<CapacityEdge>,
    /// The level of the run that confirmed it.
    pub confirmed: Option<i32>,
    /// The highest level whose steps held together.
    pub held: Option<i32>,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Looking,
    /// With a run at this level.
    Confirming(i32),
    Over(CapacityFinding),
}

/// A search.
#[derive(Debug, Clone)]
pub struct CapacitySearch {
    plan: CapacityPlan,
    staircase: Staircase,
    steps: Vec<StepEvidence>,
    phase: Phase,
    /// Steps near the edge.
    fine_steps: u32,
    /// Invalid steps at this level, and in all.
    invalid_here: u32,
    invalid: u32,
    /// Steps in a row that held at the top.
    at_top: u32,
    /// Steps that missed at the bottom.
    at_bottom: u32,
    /// Confirming runs that missed.
    unconfirmed: u32,
    confirmed: Option<i32>,
}

impl CapacitySearch {
    /// A search that has not begun.
    pub fn new(plan: CapacityPlan) -> Self {
        let staircase = Staircase::new(plan.lowest_level(), plan.highest_level());
        Self {
            plan,
            staircase,
            steps: Vec::new(),
            phase: Phase::Looking,
            fine_steps: 0,
            invalid_here: 0,
            invalid: 0,
            at_top: 0,
            at_bottom: 0,
            unconfirmed: 0,
            confirmed: None,
        }
    }

    /// What is looked for.
    pub fn plan(&self) -> &CapacityPlan {
        &self.plan
    }

    /// The steps until now.
    pub fn steps(&self) -> &[StepEvidence] {
        &self.steps
    }

    /// The next step; `None` once the search is over.
    pub fn next_step(&self) -> Option<NextStep> {
        match self.phase {
            Phase::Looking => Some(NextStep { level: self.staircase.level(), confirms: false }),
            Phase::Confirming(level) => Some(NextStep { level, confirms: true }),
            Phase::Over(_) => None,
        }
    }

    /// Takes what the next step showed.
    pub fn tell(&mut self, step: StepEvidence) {
        let outcome = step.outcome;
        self.steps.push(step);
        match self.phase {
            Phase::Looking => self.look(outcome),
            Phase::Confirming(level) => self.confirm(level, outcome),
            Phase::Over(_) => {}
        }
    }

    /// What the steps came to.
    pub fn answer(&self) -> CapacityAnswer {
        let finding = match self.phase {
            Phase::Over(finding) => finding,
            Phase::Looking | Phase::Confirming(_) => CapacityFinding::Unfinished,
        };
        CapacityAnswer { finding, edge: self.edge(), confirmed: self.confirmed, held: self.highest_held() }
    }

    fn look(&mut self, outcome: StepOutcome) {
        if outcome == StepOutcome::Invalid {
            self.generator_was_late();
            return;
        }
        self.invalid_here = 0;
        // Counted before the step moves the staircase: the step that led into the smallest stride was not made in it.
        if self.staircase.is_fine() {
            self.fine_steps += 1;
        }
        if outcome == StepOutcome::Held {
            self.held();
        } else {
            self.missed();
        }
        if self.phase == Phase::Looking && self.fine_steps >= self.plan.fine_steps {
            self.phase = self.confirming();
        }
    }

    fn held(&mut self) {
        if !self.staircase.is_at_top() {
            self.staircase.held();
            return;
        }
        self.at_top += 1;
        if self.at_top == AT_TOP {
            // Steps that missed there before are evidence like these: where they outweigh them, the edge lies below.
            let holds = self.holds_at(self.staircase.level());
            self.phase = if holds { Phase::Over(self.finding_at_top()) } else { self.confirming() };
        }
    }

    fn missed(&mut self) {
        self.at_top = 0;
        if !self.staircase.is_at_bottom() {
            self.staircase.missed();
            return;
        }
        self.at_bottom += 1;
        if self.at_bottom == AT_BOTTOM {
            self.phase = Phase::Over(CapacityFinding::Nowhere);
        }
    }

    /// The generator did not keep up. The step is made again, and where that does not help, a lower one in its place.
    fn generator_was_late(&mut self) {
        self.invalid += 1;
        self.invalid_here += 1;
        if self.has_too_many_invalid() {
            self.phase = Phase::Over(self.given_up());
        } else if self.invalid_here == GENERATOR_TRIES {
            self.invalid_here = 0;
            self.at_top = 0;
            if self.staircase.is_at_bottom() {
                self.phase = Phase::Over(self.given_up());
            } else {
                self.staircase.block();
            }
        }
    }

    /// Whether the generator kept up too seldom for the search to go on.
    fn has_too_many_invalid(&self) -> bool {
        let counting = self.steps.len() as u32 - self.invalid;
        self.invalid >= MOST_INVALID + counting / COUNTING_PER_INVALID
    }

    /// What it comes to where the generator kept up too seldom.
    fn given_up(&self) -> CapacityFinding {
        // The steps that count say where the service breaks, so it is not the generator that is the limit.
        if self.edge().is_some() {
            return CapacityFinding::Unconfirmed;
        }
        match self.highest_held() {
            Some(_) => CapacityFinding::GeneratorLimit,
            None => CapacityFinding::Unfinished,
        }
    }

    fn finding_at_top(&self) -> CapacityFinding {
        if self.staircase.is_blocked() {
            CapacityFinding::GeneratorLimit
        } else {
            CapacityFinding::HighestAsked
        }
    }

    /// Begins to confirm the answer by a longer run at the lower end of its interval: at the answer itself, half of all runs
    /// would miss.
    fn confirming(&self) -> Phase {
        if let Some(edge) = self.edge() {
            let level = edge.lower.floor() as i32;
            return Phase::Confirming(level.max(self.plan.lowest_level()));
        }
        // Without an edge, either every level misses, or none does: a single step that missed may be outweighed by others.
        if misses_somewhere(&self.plan.limits, &self.steps) {
            return Phase::Over(CapacityFinding::Nowhere);
        }
        let has_top = self.plan.highest.is_some() || self.staircase.is_blocked();
        if has_top { Phase::Over(self.finding_at_top()) } else { Phase::Looking }
    }

    fn confirm(&mut self, level: i32, outcome: StepOutcome) {
        match outcome {
            StepOutcome::Held => {
                self.confirmed = Some(level);
                self.phase = Phase::Over(CapacityFinding::Found);
            }
            StepOutcome::Missed => {
                self.unconfirmed += 1;
                self.phase = self.confirming();
                if self.unconfirmed == CONFIRMATIONS {
                    self.phase = Phase::Over(CapacityFinding::Unconfirmed);
                }
            }
            StepOutcome::Invalid => {
                self.invalid += 1;
                if self.has_too_many_invalid() {
                    self.phase = Phase::Over(CapacityFinding::Unconfirmed);
                }
            }
        }
    }

    fn edge(&self) -> Option<CapacityEdge> {
        edge(&self.plan.limits, &self.steps, self.plan.seed)
    }

    /// The highest level at which the steps held, taken together.
    fn highest_held(&self) -> Option<i32> {
        self.levels().into_iter().rev().find(|level| self.holds_at(*level))
    }

    /// The levels at which steps were made, in ascending order.
    fn levels(&self) -> Vec<i32> {
        let mut levels: Vec<i32> = self.steps.iter().map(|step| step.level).collect();
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    fn holds_at(&self, level: i32) -> bool {
        let mut sums = vec![Ratio::default(); self.plan.limits.len()];
        let mut is_known = false;
        for step in &self.steps {
            if step.level == level && step.outcome != StepOutcome::Invalid {
                is_known = true;
                for (place, sum) in sums.iter_mut().enumerate() {
                    sum.add(step.sum(place));
                }
            }
        }
        is_known && self.plan.limits.iter().zip(sums).all(|(limit, sum)| limit.holds(sum))
    }

    /// Whether this level holds, by all of its steps. Where they are too few to say, those of other levels may: what counts
    /// against a limit only rises with the rate.
    pub fn verdict_at(&self, level: i32) -> LevelVerdict {
        let verdict = self.verdict_of_steps_at(level);
        if verdict != LevelVerdict::Undecided {
            return verdict;
        }
        for other in self.levels() {
            match self.verdict_of_steps_at(other) {
                LevelVerdict::Held if other > level => return LevelVerdict::Held,
                LevelVerdict::Missed if other < level => return LevelVerdict::Missed,
                _ => {}
            }
        }
        LevelVerdict::Undecided
    }

    fn verdict_of_steps_at(&self, level: i32) -> LevelVerdict {
        let steps: Vec<&StepEvidence> = self.steps.iter().filter(|step| step.level == level).collect();
        verdict_of_level(&self.plan.limits, &steps)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::limit::CapacityLimit;
    use super::*;
    use crate::targets::Metric;

    fn plan() -> CapacityPlan {
        CapacityPlan {
            limits: vec![CapacityLimit::new((Metric::P99Ms, 100.0)).expect("can be looked for")],
            from: 10.0,
            highest: None,
            lasting: Duration::from_secs(10),
            fine_steps: 12,
            seed: 1,
        }
    }

    /// Everything below this level holds, and everything from it on has a tenth of slow requests; from the level `late` on
    /// the generator does not keep up.
    struct Cliff {
        edge: i32,
        late: i32,
    }

    impl Cliff {
        fn step(&self, plan: &CapacityPlan, level: i32) -> StepEvidence {
            let slow = if level < self.edge { 0.0 } else { 100.0 };
            let second = vec![Ratio { above: slow, below: 1000.0 }];
            StepEvidence::new(&plan.limits, level, vec![second], level < self.late, false)
        }

        /// A search to its end.
        fn searched(&self, plan: CapacityPlan) -> CapacitySearch {
            let mut search = CapacitySearch::new(plan.clone());
            while let Some(next) = search.next_step() {
                search.tell(self.step(&plan, next.level));
                assert!(search.steps().len() < 200, "it ends");
            }
            search
        }

        fn answer(&self, plan: CapacityPlan) -> CapacityAnswer {
            self.searched(plan).answer()
        }
    }

    #[test]
    fn a_cliff_is_found_and_confirmed() {
        for edge in [-50, -1, 0, 1, 33, 70, 71] {
            let search = Cliff { edge, late: 1000 }.searched(plan());
            let answer = search.answer();
            assert_eq!(answer.finding, CapacityFinding::Found, "{edge}");
            let found = answer.edge.expect("is found");
            assert!(
                found.lower <= f64::from(edge - 1) && found.upper >= f64::from(edge),
                "{edge}: {found:?}"
            );
            assert!((found.level - f64::from(edge)).abs() <= 1.0, "{edge}: {found:?}");
            assert_eq!(answer.held, Some(edge - 1));
            assert!(answer.confirmed.is_some_and(|level| level < edge), "{edge}: {answer:?}");
            // Some ten steps to the edge, twelve beside it, and one that confirms.
            assert!(search.steps().len() < 40, "{edge}: {}", search.steps().len());
        }
    }

    #[test]
    fn a_rate_below_one_that_holds_holds_too() {
        let mut search = CapacitySearch::new(plan());
        // Two seconds tell nothing of themselves, ten do.
        for (level, slow, seconds) in [(0, 0.0, 2), (8, 0.0, 10), (16, 0.0, 2), (24, 100.0, 10), (32, 0.0, 2)]
        {
            let ratios = vec![Ratio { above: slow, below: 1000.0 }; seconds];
            search.steps.push(StepEvidence::new(&search.plan.limits, level, vec![ratios], true, false));
        }
        let verdicts = [0, 8, 16, 24, 32].map(|level| search.verdict_at(level));
        let [held, missed] = [LevelVerdict::Held, LevelVerdict::Missed];
        assert_eq!(verdicts, [held, held, LevelVerdict::Undecided, missed, missed]);
    }

    #[test]
    fn the_generators_limit_is_told_from_the_services() {
        let answer = Cliff { edge: 1000, late: 48 }.answer(plan());
        assert_eq!(answer.finding, CapacityFinding::GeneratorLimit);
        assert_eq!((answer.held, answer.edge), (Some(47), None));
        // A service that breaks below it has an edge of its own.
        let answer = Cliff { edge: 40, late: 50 }.answer(plan());
        assert_eq!((answer.finding, answer.held), (CapacityFinding::Found, Some(39)));
    }

    #[test]
    fn a_step_in_which_the_generator_was_late_is_made_again() {
        let cliff = Cliff { edge: 20, late: 1000 };
        let plan = plan();
        let mut search = CapacitySearch::new(plan.clone());
        let mut number = 0;
        while let Some(next) = search.next_step() {
            number += 1;
            let mut step = cliff.step(&plan, next.level);
            // Every fourth one says nothing.
            if number % 4 == 0 {
                step.outcome = StepOutcome::Invalid;
            }
            search.tell(step);
        }
        assert_eq!((search.answer().finding, search.answer().held), (CapacityFinding::Found, Some(19)));
    }

    #[test]
    fn a_long_search_may_have_more_late_steps_than_a_short_one() {
        let cliff = Cliff { edge: 20, late: 1000 };
        let plan = CapacityPlan { fine_steps: 100, ..plan() };
        let mut search = CapacitySearch::new(plan.clone());
        let mut late = 0;
        while let Some(next) = search.next_step() {
            let mut step = cliff.step(&plan, next.level);
            // Every sixth one: more than 15 in all, and one for five that count.
            if search.steps().len() % 6 == 5 {
                step.outcome = StepOutcome::Invalid;
                late += 1;
            }
            search.tell(step);
        }
        assert!(late > MOST_INVALID, "{late}");
        assert_eq!((search.answer().finding, search.answer().held), (CapacityFinding::Found, Some(19)));
    }

    #[test]
    fn an_edge_that_is_known_is_not_the_generators_limit() {
        let cliff = Cliff { edge: 20, late: 1000 };
        let plan = plan();
        let mut search = CapacitySearch::new(plan.clone());
        while let Some(next) = search.next_step() {
            let mut step = cliff.step(&plan, next.level);
            // From the eleventh on the generator is late in each of them.
            if search.steps().len() >= 10 {
                step.outcome = StepOutcome::Invalid;
            }
            search.tell(step);
            assert!(search.steps().len() < 200, "it ends");
        }
        // With ten steps that count, 15 others and two more are too many.
        assert_eq!(search.steps().len(), 10 + 17);
        let answer = search.answer();
        assert_eq!((answer.finding, answer.held), (CapacityFinding::Unconfirmed, Some(19)));
        assert!(answer.edge.is_some());
    }

    #[test]
    fn a_generator_that_never_keeps_up_ends_the_search() {
        let answer = Cliff { edge: 1000, late: -1000 }.answer(plan());
        assert_eq!((answer.finding, answer.held), (CapacityFinding::Unfinished, None));
    }

    #[test]
    fn the_highest_rate_that_was_asked_for_is_an_answer() {
        let search =
            Cliff { edge: 1000, late: 1000 }.searched(CapacityPlan { highest: Some(25.0), ..plan() });
        // 25 is 1.32 doublings above 10: level 21.
        assert_eq!(search.answer().finding, CapacityFinding::HighestAsked);
        assert_eq!(search.answer().held, Some(21));
        let levels: Vec<i32> = search.steps().iter().map(|step| step.level).collect();
        assert_eq!(levels, [0, 16, 21, 21, 21]);
    }

    /// A step of a thousand requests with so many slow ones, of which ten are allowed.
    fn step(plan: &CapacityPlan, level: i32, slow: f64) -> StepEvidence {
        StepEvidence::new(&plan.limits, level, vec![vec![Ratio { above: slow, below: 1000.0 }]], true, false)
    }

    /// A search up to level 16, in which the steps at that level have so many slow requests, in turn.
    fn searched_to_the_top(at_top: &[f64]) -> CapacitySearch {
        let plan = CapacityPlan { highest: Some(20.0), ..plan() };
        let mut search = CapacitySearch::new(plan.clone());
        let mut number = 0;
        while let Some(next) = search.next_step() {
            let mut slow = 0.0;
            if next.level == 16 {
                slow = at_top[number % at_top.len()];
                number += 1;
            }
            search.tell(step(&plan, next.level, slow));
            assert!(search.steps().len() < 200, "it ends");
        }
        search
    }

    #[test]
    fn three_steps_at_the_top_do_not_outweigh_a_clear_miss() {
        // 100 of 4000 are 2.5 %: more than allowed. So the edge lies below, and is confirmed there.
        let answer = searched_to_the_top(&[100.0, 0.0, 0.0, 0.0]).answer();
        assert_eq!(answer.finding, CapacityFinding::Found);
        let edge = answer.edge.expect("is found");
        assert!(edge.lower < 16.0 && edge.level <= 16.0, "{edge:?}");
        // 11 of 4000 are less than 1 %.
        let answer = searched_to_the_top(&[11.0, 0.0, 0.0, 0.0]).answer();
        assert_eq!((answer.finding, answer.held), (CapacityFinding::HighestAsked, Some(16)));
    }

    #[test]
    fn misses_that_others_outweigh_are_not_those_of_every_rate() {
        // It never holds three times in a row, but has 55 slow ones of 8000 in all, which is below 1 %.
        let answer = searched_to_the_top(&[11.0, 0.0, 11.0]).answer();
        assert_eq!((answer.finding, answer.edge), (CapacityFinding::HighestAsked, None));
        assert_eq!(answer.held, Some(16));
    }

    #[test]
    fn a_service_that_holds_nothing_is_said_to() {
        let search = Cliff { edge: -1000, late: 1000 }.searched(plan());
        let answer = search.answer();
        assert_eq!((answer.finding, answer.held, answer.edge), (CapacityFinding::Nowhere, None, None));
        // 10 requests are due in 10 s at a tenth of the rate, which is below the lowest level: -53.
        assert_eq!(search.steps().last().expect("made some").level, -53);
    }

    #[test]
    fn a_run_that_does_not_confirm_is_evidence_too() {
        let cliff = Cliff { edge: 30, late: 1000 };
        let plan = plan();
        let mut search = CapacitySearch::new(plan.clone());
        let mut confirming = 0;
        while let Some(next) = search.next_step() {
            // Whatever is tried for longer misses.
            let level = if next.confirms { 30 } else { next.level };
            confirming += u32::from(next.confirms);
            let mut step = cliff.step(&plan, level);
            step.level = next.level;
            search.tell(step);
        }
        assert_eq!((confirming, search.answer().finding), (3, CapacityFinding::Unconfirmed));
    }

    #[test]
    fn a_search_that_was_broken_off_has_no_answer() {
        let plan = plan();
        let mut search = CapacitySearch::new(plan.clone());
        search.tell(Cliff { edge: 8, late: 1000 }.step(&plan, 0));
        let answer = search.answer();
        assert_eq!((answer.finding, answer.held), (CapacityFinding::Unfinished, Some(0)));
    }
}
