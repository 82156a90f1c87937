//! Which commit made a case slower? What was asked, what was measured so far, and what follows from that.
//!
//! What is compared next and what is concluded are functions of the stored record alone. So a search that was interrupted
//! goes on where it was, and whoever has the record can check the conclusion.

use serde::{Deserialize, Serialize};

use super::compared::Effect;
use super::finding::Finding;
use super::plan::{MAX_PAIRS, Plan};
use super::search::{Answer, Between, Search};
use super::verdict::SessionVerdict;
use crate::error::Error;
use crate::verdict::Verdict;

/// Version of the record. It rises when a field below changes its meaning.
pub(crate) const BISECT_VERSION: u32 = 1;
/// Digits of a hash that people read, as git abbreviates it.
const SHORT: usize = 7;

/// A search for the commit that made a case slower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BisectRecord {
    /// Version of these fields.
    pub schema_version: u32,
    /// What was asked.
    pub asked: BisectPlan,
    /// Every comparison so far, in the order in which they were made.
    pub steps: Vec<BisectStep>,
}

/// What is searched for, where, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BisectPlan {
    /// Id of the case.
    pub case: String,
    /// How the first session runs and is judged. Those of the search follow from it and from what it finds.
    pub plan: Plan,
    /// A hash of all else that decides what is measured: this program, the configuration, the variables.
    pub measured_by: String,
    /// The commits from GOOD to BAD, both included.
    pub line: Vec<LineCommit>,
}

/// A commit of the line that is searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineCommit {
    /// Its whole hash.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The first line of its message.
    pub subject: String,
    /// Number of its parents: two or more for a merge.
    pub parents: usize,
}

/// One comparison, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BisectStep {
    /// What was compared.
    pub comparison: BisectComparison,
    /// What came of it.
    pub outcome: StepOutcome,
}

/// Two commits to be compared, by their places in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BisectComparison {
    /// What for.
    pub kind: SessionKind,
    /// Place of the base.
    pub base: usize,
    /// Place of the head.
    pub head: usize,
}

/// What a session of a search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionKind {
    /// Whether there is anything to find: BAD against GOOD.
    Ends,
    /// Whether a commit between them is slower already: that commit against GOOD.
    Search,
    /// Whether what was found is right: the commit against the one before it.
    Confirm,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum StepOutcome {
    /// A session was run and judged.
    Measured {
        /// The finding of the session.
        finding: Finding,
        /// By how much head is slower; nothing where the case was not run.
        effect: Option<Effect>,
        /// Pairs of processes.
        pairs: usize,
    },
    /// Head is the same bytes as another commit of the line, about which everything is known that was measured.
    SameBuild {
        /// The place of that commit.
        place: usize,
    },
    /// Head does not build.
    NotBuilt {
        /// The message.
        reason: String,
    },
    /// Head builds, and does not start or cannot be measured.
    NotMeasured {
        /// The message.
        reason: String,
    },
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BisectState {
    /// This is to be compared.
    Compare(BisectComparison),
    /// The search is over.
    Done(BisectVerdict),
}

/// The conclusion of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BisectVerdict {
    /// The finding.
    pub finding: BisectFinding,
    /// Hashes of the commits one of which made the case slower, in their order. Nothing where there was nothing to search.
    pub commits: Vec<String>,
    /// By how much the last of these is slower than the commit before the first of them.
    pub effect: Option<Effect>,
    /// By how much BAD is slower than GOOD.
    pub slowdown: Option<Effect>,
    /// The places of these commits in the line.
    #[serde(skip)]
    pub between: Option<Between>,
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BisectFinding {
    /// The commit, confirmed by a session of its own.
    Found,
    /// Several commits, between which the others could not be told; confirmed likewise.
    OneOfSeveral,
    /// The search led to commits that turned out not to be slower than the one before them.
    NotConfirmed,
    /// BAD is not slower than GOOD.
    NothingSlower,
    /// Whether BAD is slower than GOOD could not be told.
    EndsUndecided,
}

impl BisectFinding {
    /// What it comes to: missed where the commit is known, held where there is none, and otherwise neither.
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Found => Verdict::Missed,
            Self::NothingSlower => Verdict::Held,
            Self::OneOfSeveral | Self::NotConfirmed | Self::EndsUndecided => Verdict::Untrusted,
        }
    }
}

impl LineCommit {
    /// Its hash as people read it.
    pub(super) fn short(&self) -> &str {
        self.id.get(..SHORT).unwrap_or(&self.id)
    }
}

impl BisectPlan {
    /// An error where some session of the search could not come to a verdict.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.plan.check()?;
        Plan { max_pairs: pairs_of_a_step(&self.plan), ..self.plan.clone() }.check()
    }

    /// What the sessions of another plan were about that these are not; nothing where they can be used for this one.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<&'static str> {
        // A seed is drawn for each search, unless it is given: any will do.
        let seeded = Plan { seed: other.plan.seed, ..self.plan.clone() };
        let same_commits = self.line.iter().map(|commit| &commit.id).eq(other.line.iter().map(|c| &c.id));
        if self.case != other.case {
            Some("another case")
        } else if !same_commits {
            Some("other commits")
        } else if seeded != other.plan {
            Some("other options")
        } else if self.measured_by != other.measured_by {
            Some("another build of this program, another configuration or other INGESTER_ variables")
        } else {
            None
        }
    }
}

impl StepOutcome {
    /// What came of a session of one case.
    pub(crate) fn of(verdict: &SessionVerdict) -> Self {
        let case = verdict.cases.first();
        let figures = case.and_then(|case| case.figures.as_ref());
        let finding = match case {
            Some(case) if verdict.distrust.is_empty() => case.finding,
            _ => Finding::Untrusted,
        };
        Self::Measured {
            finding,
            effect: figures.map(|figures| figures.effect),
            pairs: figures.map_or(0, |figures| figures.pairs),
        }
    }
}

impl BisectRecord {
    /// A search that has not begun.
    pub(crate) fn new(asked: BisectPlan) -> Self {
        Self { schema_version: BISECT_VERSION, asked, steps: Vec::new() }
    }

    /// An error where it cannot be gone on with.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.schema_version != BISECT_VERSION {
            return Err(format!("has version {}, and {BISECT_VERSION} is understood", self.schema_version));
        }
        let places = self.asked.line.len();
        if places < 2 {
            return Err("has a line of fewer than two commits".to_owned());
        }
        for step in &self.steps {
            let BisectComparison { base, head, .. } = step.comparison;
            let same = match step.outcome {
                StepOutcome::SameBuild { place } => place,
                _ => 0,
            };
            if base >= head || head >= places || same >= places {
                return Err(format!("has a step of commits {base} and {head}, of {places}"));
            }
        }
        Ok(())
    }

    /// What is to be compared next, or the conclusion.
    pub(crate) fn state(&self) -> BisectState {
        let last = self.last();
        let Some(ends) = self.step_of(SessionKind::Ends) else {
            let kind = SessionKind::Ends;
            return BisectState::Compare(BisectComparison { kind, base: 0, head: last });
        };
        let Some(search) = self.search() else {
            return BisectState::Done(without_search(&ends.outcome));
        };
        if let Some(head) = search.ask() {
            let kind = SessionKind::Search;
            return BisectState::Compare(BisectComparison { kind, base: 0, head });
        }
        let between = search.between();
        let whole = Between { without: 0, with: last };
        // The session that would confirm it is the first one, if nothing could be narrowed.
        let confirming = if between == whole { Some(ends) } else { self.step_of(SessionKind::Confirm) };
        match confirming {
            Some(step) => BisectState::Done(self.concluded(between, &step.outcome)),
            None => {
                let kind = SessionKind::Confirm;
                BisectState::Compare(BisectComparison { kind, base: between.without, head: between.with })
            }
        }
    }

    /// How a session of this kind runs and is judged.
    pub(crate) fn plan_of(&self, kind: SessionKind) -> Plan {
        let asked = &self.asked.plan;
        // Another order for each session: what depends on it must not be the same in all of them.
        let plan = Plan { seed: asked.seed.wrapping_add(self.steps.len() as u64), ..asked.clone() };
        match (kind, self.half()) {
            // The question is on which side of half of the slowdown a commit is. With the margin there as well the test
            // asks just that, and a session goes on while the pairs' values lie on both sides.
            (SessionKind::Search, Some(half)) => {
                Plan { margin: half, threshold: half, max_pairs: pairs_of_a_step(asked), ..plan }
            }
            // A commit may have a part of the slowdown only: it is confirmed if it is slower by more than chance.
            (SessionKind::Confirm, Some(half)) => {
                let margin = asked.margin.min(half);
                Plan { margin, threshold: margin, ..plan }
            }
            _ => plan,
        }
    }

    /// About how many steps there are in all, the next one included, if all that are left can be told.
    pub(crate) fn steps_in_all(&self) -> usize {
        let search = self.search().unwrap_or_else(|| Search::new(self.last()));
        let first = usize::from(self.steps.is_empty());
        // A range of one commit, if it is the whole line, has been confirmed by the first session.
        let confirming = usize::from(self.last() > 1);
        self.steps.len() + first + search.asks_left() + confirming
    }

    /// Half of the slowdown between the ends: a commit that is slower than GOOD by more is with it. Nothing where there is
    /// no slowdown, or it is not known yet.
    // Half on the scale of ratios, as all effects are judged: 21 % is 10 % twice.
    pub(super) fn half(&self) -> Option<f64> {
        match self.step_of(SessionKind::Ends)?.outcome {
            StepOutcome::Measured { finding: Finding::Regressed, effect: Some(effect), .. } => {
                Some((effect.share.ln_1p() / 2.0).exp_m1())
            }
            _ => None,
        }
    }

    /// What the outcome of a step of the search says of its commit.
    pub(super) fn answer(&self, outcome: &StepOutcome) -> Answer {
        match outcome {
            StepOutcome::Measured { finding, effect, .. } => self.answer_of_session(*finding, *effect),
            StepOutcome::SameBuild { place } => self.answer_at(*place),
            StepOutcome::NotBuilt { .. } | StepOutcome::NotMeasured { .. } => Answer::Unknown,
        }
    }

    /// Slower than half of the slowdown, or surely not; whatever is neither is not known.
    fn answer_of_session(&self, finding: Finding, effect: Option<Effect>) -> Answer {
        let upper = effect.and_then(|effect| effect.upper);
        match finding {
            Finding::Regressed => Answer::With,
            Finding::Untrusted | Finding::TooSlow | Finding::Missing => Answer::Unknown,
            // "The same" is not enough: it leaves room for up to twice the threshold, which is all of the slowdown. No session
            // of a search accepts a slowdown beforehand.
            Finding::Same
            | Finding::Improved
            | Finding::Undecided
            | Finding::TailRegressed
            | Finding::Accepted => match (upper, self.half()) {
                (Some(upper), Some(half)) if upper < half => Answer::Without,
                _ => Answer::Unknown,
            },
        }
    }

    /// What is known of the commit at this place by the ends, or by its own session.
    fn answer_at(&self, place: usize) -> Answer {
        if place == 0 {
            return Answer::Without;
        }
        if place == self.last() {
            return Answer::With;
        }
        for step in &self.steps {
            let is_of_place = step.comparison.kind == SessionKind::Search && step.comparison.head == place;
            if let StepOutcome::Measured { finding, effect, .. } = step.outcome
                && is_of_place
            {
                return self.answer_of_session(finding, effect);
            }
        }
        Answer::Unknown
    }

    /// The search with all that is known; nothing where there is no slowdown whose commit could be searched.
    fn search(&self) -> Option<Search> {
        self.half()?;
        let mut search = Search::new(self.last());
        for step in &self.steps {
            if step.comparison.kind == SessionKind::Search {
                search.tell(step.comparison.head, self.answer(&step.outcome));
            }
        }
        Some(search)
    }

    /// The conclusion of a search that came down to these commits, from the session that was to confirm it.
    fn concluded(&self, between: Between, confirming: &StepOutcome) -> BisectVerdict {
        let Between { without, with } = between;
        let mut verdict = BisectVerdict {
            finding: BisectFinding::NotConfirmed,
            commits: self.asked.line[without + 1..=with].iter().map(|commit| commit.id.clone()).collect(),
            effect: None,
            slowdown: self.step_of(SessionKind::Ends).and_then(|step| effect_of(&step.outcome)),
            between: Some(between),
        };
        if let StepOutcome::Measured { finding, effect, .. } = confirming {
            verdict.effect = *effect;
            if *finding == Finding::Regressed {
                let is_one = without + 1 == with;
                verdict.finding = if is_one { BisectFinding::Found } else { BisectFinding::OneOfSeveral };
            }
        }
        verdict
    }

    /// The place of BAD.
    fn last(&self) -> usize {
        self.asked.line.len() - 1
    }

    /// The one session of this kind, if it was made.
    pub(super) fn step_of(&self, kind: SessionKind) -> Option<&BisectStep> {
        self.steps.iter().find(|step| step.comparison.kind == kind)
    }
}

/// The conclusion from the first session, where it found no slowdown.
fn without_search(ends: &StepOutcome) -> BisectVerdict {
    let finding = match ends {
        StepOutcome::SameBuild { .. }
        | StepOutcome::Measured { finding: Finding::Same | Finding::Improved, .. } => {
            BisectFinding::NothingSlower
        }
        _ => BisectFinding::EndsUndecided,
    };
    BisectVerdict { finding, commits: Vec::new(), effect: None, slowdown: effect_of(ends), between: None }
}

fn effect_of(outcome: &StepOutcome) -> Option<Effect> {
    match outcome {
        StepOutcome::Measured { effect, .. } => *effect,
        _ => None,
    }
}

/// Most pairs of a session of the search: twice as many as of others, as a commit that is not told costs more steps.
fn pairs_of_a_step(plan: &Plan) -> usize {
    plan.max_pairs.saturating_mul(2).min(MAX_PAIRS)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::fake::{self, Trait};
    use super::super::schedule::Role;
    use super::super::verdict::judge;
    use super::*;

    /// A search in a line of so many commits.
    pub fn asked(seed: u64, commits: usize) -> BisectPlan {
        let mut line = Vec::new();
        for place in 0..commits {
            // The hash begins with the place, so that a test can read it: 3333333 is the fourth.
            let digit = char::from_digit(place as u32 % 36, 36).expect("is a digit");
            line.push(LineCommit {
                id: digit.to_string().repeat(40),
                name: digit.to_string().repeat(7),
                subject: format!("Change {place}"),
                parents: 1,
            });
        }
        BisectPlan { case: "a".to_owned(), plan: fake::plan(seed), measured_by: "this".to_owned(), line }
    }

    /// What stands at a place of a line in these tests.
    #[derive(Clone, Copy)]
    enum Commit {
        /// It is by this share slower than the first.
        Slower(f64),
        /// It does not build.
        Broken,
        /// Its processes differ by this share from one to the next.
        Restless(f64),
    }

    /// A line in which everything from `first` on is slower by this share.
    fn step_of_share(commits: usize, first: usize, share: f64) -> Vec<Commit> {
        let mut line = vec![Commit::Slower(0.0); commits];
        line[first..].fill(Commit::Slower(share));
        line
    }

    /// The outcome of a session between two commits: simulated, and judged by the rule of the gate.
    fn outcome(record: &BisectRecord, comparison: BisectComparison, line: &[Commit]) -> StepOutcome {
        let odd = match (line[comparison.base], line[comparison.head]) {
            (_, Commit::Broken) => return StepOutcome::NotBuilt { reason: "no luck".to_owned() },
            (Commit::Slower(base), Commit::Slower(head)) => Trait::Slower((1.0 + head) / (1.0 + base) - 1.0),
            (_, Commit::Restless(share)) => Trait::Restless(Role::Head, share),
            _ => unreachable!("a base was told before"),
        };
        // No more than ten: of twenty, trying all patterns of signs would take seconds.
        let plan = Plan { max_pairs: 10, ..record.plan_of(comparison.kind) };
        StepOutcome::of(&judge(&fake::session(&plan, &["a"], &[odd])))
    }

    /// A whole search.
    fn search(seed: u64, line: &[Commit]) -> (BisectRecord, BisectVerdict) {
        let mut record = BisectRecord::new(asked(seed, line.len()));
        loop {
            match record.state() {
                BisectState::Done(verdict) => return (record, verdict),
                BisectState::Compare(comparison) => {
                    let outcome = outcome(&record, comparison, line);
                    record.steps.push(BisectStep { comparison, outcome });
                }
            }
        }
    }

    /// The commits that a search names, by the first digit of their hashes.
    fn named(verdict: &BisectVerdict) -> String {
        verdict.commits.iter().map(|id| &id[..1]).collect()
    }

    #[test]
    fn the_slow_commit_is_found_wherever_it_is() {
        for first in 1..=16 {
            let (record, verdict) = search(first as u64, &step_of_share(17, first, 0.05));
            assert_eq!(verdict.finding, BisectFinding::Found, "{first}: {record:?}");
            assert_eq!(verdict.commits, [record.asked.line[first].id.clone()]);
            let effect = verdict.effect.expect("was measured");
            assert!((effect.share - 0.05).abs() < 0.01, "{effect:?}");
            // The ends, four halvings of sixteen, and the last session.
            assert!(record.steps.len() <= 6, "{first}: {} steps", record.steps.len());
        }
    }

    #[test]
    fn what_does_not_build_makes_the_answer_a_range() {
        let mut line = step_of_share(9, 5, 0.05);
        line[4] = Commit::Broken;
        line[5] = Commit::Broken;
        // 3 is the last that is known to be fast, 6 the first that is known to be slow.
        let (_, verdict) = search(1, &line);
        assert_eq!((verdict.finding, named(&verdict).as_str()), (BisectFinding::OneOfSeveral, "456"));
        // Beside the place that matters it makes no difference.
        let mut line = step_of_share(9, 7, 0.05);
        line[4] = Commit::Broken;
        let (_, verdict) = search(1, &line);
        assert_eq!((verdict.finding, named(&verdict).as_str()), (BisectFinding::Found, "7"));
    }

    #[test]
    fn a_commit_that_cannot_be_told_is_not_guessed() {
        let mut line = step_of_share(5, 3, 0.05);
        line[2] = Commit::Restless(0.2);
        let (_, verdict) = search(1, &line);
        assert_eq!((verdict.finding, named(&verdict).as_str()), (BisectFinding::OneOfSeveral, "23"));
        assert_eq!(verdict.finding.verdict(), Verdict::Untrusted);
    }

    #[test]
    fn a_slowdown_in_two_halves_names_both() {
        // What lies between is slower by just the half.
        let line = [0.0, 0.0, 0.05, 0.1025, 0.1025].map(Commit::Slower);
        let (_, verdict) = search(1, &line);
        assert_eq!((verdict.finding, named(&verdict).as_str()), (BisectFinding::OneOfSeveral, "23"));
    }

    #[test]
    fn without_a_slowdown_there_is_nothing_to_search() {
        let (record, verdict) = search(1, &step_of_share(9, 8, 0.0));
        assert_eq!((verdict.finding, record.steps.len()), (BisectFinding::NothingSlower, 1));
        let (record, verdict) = search(1, &[Commit::Slower(0.0), Commit::Slower(0.0), Commit::Restless(0.2)]);
        assert_eq!((verdict.finding, record.steps.len()), (BisectFinding::EndsUndecided, 1));
    }

    #[test]
    fn a_line_of_one_commit_is_found_by_the_first_session() {
        let (record, verdict) = search(1, &step_of_share(2, 1, 0.05));
        assert_eq!((verdict.finding, record.steps.len()), (BisectFinding::Found, 1));
        assert_eq!(record.asked.line[1].id, verdict.commits[0]);
    }

    #[test]
    fn a_search_goes_on_from_whatever_was_stored_of_it() {
        let mut line = step_of_share(17, 11, 0.05);
        line[8] = Commit::Broken;
        let (whole, verdict) = search(1, &line);
        for stored in 0..whole.steps.len() {
            let steps = whole.steps[..stored].to_vec();
            let text = serde_json::to_string(&BisectRecord { steps, ..whole.clone() }).expect("serialises");
            let read: BisectRecord = serde_json::from_str(&text).expect("reads");
            assert_eq!(read.check(), Ok(()));
            assert_eq!(read.state(), BisectState::Compare(whole.steps[stored].comparison));
        }
        assert_eq!(whole.state(), BisectState::Done(verdict));
    }

    fn measured(finding: Finding, share: f64) -> StepOutcome {
        let effect = Effect { share, lower: Some(share - 0.01), upper: Some(share + 0.01), coverage: None };
        StepOutcome::Measured { finding, effect: Some(effect), pairs: 10 }
    }

    fn step(kind: SessionKind, base: usize, head: usize, outcome: StepOutcome) -> BisectStep {
        BisectStep { comparison: BisectComparison { kind, base, head }, outcome }
    }

    /// A search in a line of four commits, whose ends differ by 21 %: half of that is 10 %, as 1.1 * 1.1 is 1.21.
    pub fn begun() -> BisectRecord {
        let ends = step(SessionKind::Ends, 0, 3, measured(Finding::Regressed, 0.21));
        BisectRecord { steps: vec![ends], ..BisectRecord::new(asked(1, 4)) }
    }

    #[test]
    fn a_step_asks_on_which_side_of_the_half_a_commit_is() {
        let record = begun();
        let half = record.half().expect("is slower");
        assert!((half - 0.1).abs() < 1e-12, "{half}");
        let plan = record.plan_of(SessionKind::Search);
        assert_eq!((plan.margin, plan.threshold, plan.max_pairs), (half, half, 20));
        let confirming = record.plan_of(SessionKind::Confirm);
        assert_eq!((confirming.margin, confirming.threshold, confirming.max_pairs), (0.01, 0.01, 10));
        // "The same" may be anything below twice the threshold.
        for (outcome, answer) in [
            (measured(Finding::Regressed, 0.12), Answer::With),
            (measured(Finding::Same, 0.085), Answer::Without),
            (measured(Finding::Same, 0.095), Answer::Unknown),
            (measured(Finding::Undecided, 0.02), Answer::Without),
            (measured(Finding::Untrusted, 0.02), Answer::Unknown),
            (StepOutcome::SameBuild { place: 0 }, Answer::Without),
            (StepOutcome::SameBuild { place: 3 }, Answer::With),
            (StepOutcome::SameBuild { place: 2 }, Answer::Unknown),
            (StepOutcome::NotMeasured { reason: String::new() }, Answer::Unknown),
        ] {
            assert_eq!(record.answer(&outcome), answer, "{outcome:?}");
        }
    }

    #[test]
    fn a_build_that_is_known_is_not_measured_again() {
        let mut record = begun();
        record.steps.push(step(SessionKind::Search, 0, 1, measured(Finding::Same, 0.0)));
        record.steps.push(step(SessionKind::Search, 0, 2, StepOutcome::SameBuild { place: 1 }));
        let confirm = BisectComparison { kind: SessionKind::Confirm, base: 2, head: 3 };
        assert_eq!(record.state(), BisectState::Compare(confirm));
    }

    #[test]
    fn what_the_last_session_does_not_confirm_is_not_found() {
        let mut record = begun();
        record.steps.push(step(SessionKind::Search, 0, 1, measured(Finding::Regressed, 0.2)));
        record.steps.push(step(SessionKind::Confirm, 0, 1, measured(Finding::Same, 0.0)));
        let BisectState::Done(verdict) = record.state() else { panic!("{:?}", record.state()) };
        assert_eq!((verdict.finding, named(&verdict).as_str()), (BisectFinding::NotConfirmed, "1"));
    }

    #[test]
    fn steps_are_counted_in_advance() {
        // The ends, then one of the two between them and perhaps the other, and the last session.
        assert_eq!(BisectRecord::new(asked(1, 4)).steps_in_all(), 4);
        assert_eq!(begun().steps_in_all(), 4);
        assert_eq!(BisectRecord::new(asked(1, 17)).steps_in_all(), 6);
        assert_eq!(BisectRecord::new(asked(1, 2)).steps_in_all(), 1);
        let mut told = begun();
        told.steps.push(step(SessionKind::Search, 0, 1, measured(Finding::Regressed, 0.2)));
        assert_eq!(told.steps_in_all(), 3);
    }

    #[test]
    fn sessions_are_used_again_for_the_same_question_only() {
        let stored = asked(1, 4);
        // Another seed, and another name for a commit, ask the same.
        let mut same = asked(2, 4);
        same.line[0].name = "v1.2".to_owned();
        assert_eq!(same.differs_from(&stored), None);
        assert_eq!(asked(1, 5).differs_from(&stored), Some("other commits"));
        let case = BisectPlan { case: "b".to_owned(), ..asked(1, 4) };
        assert_eq!(case.differs_from(&stored), Some("another case"));
        let mut longer = asked(1, 4);
        longer.plan.budget_ms += 1;
        assert_eq!(longer.differs_from(&stored), Some("other options"));
        let other = BisectPlan { measured_by: "that".to_owned(), ..asked(1, 4) };
        assert!(other.differs_from(&stored).is_some_and(|what| what.starts_with("another build")));
    }

    #[test]
    fn a_record_that_cannot_be_is_refused() {
        let mut record = begun();
        record.steps[0].comparison.head = 4;
        assert_eq!(record.check(), Err("has a step of commits 0 and 4, of 4".to_owned()));
        let newer = BisectRecord { schema_version: 2, ..begun() };
        assert_eq!(newer.check(), Err("has version 2, and 1 is understood".to_owned()));
    }

    #[test]
    fn pairs_that_could_not_decide_are_refused_in_advance() {
        // Twenty pairs can show one in a million, and the forty of a step one in a hundred thousand at best.
        let plan = Plan { pairs: 20, max_pairs: 20, alpha: 0.000_005, ..fake::plan(1) };
        assert!(plan.check().is_ok());
        let error = BisectPlan { plan, ..asked(1, 4) }.check().expect_err("is wrong").to_string();
        assert!(error.starts_with("--alpha: "), "{error}");
    }
}
