//! Where a limit stops to hold: the level at which what counts against it reaches what is allowed, by all steps together.
//!
//! The ratio of slow requests can only rise with the rate, so it is fitted by isotonic regression over the levels (see
//! `stats`); that is how the threshold of an up-and-down experiment is estimated (Stylianou and Flournoy, Biometrics 58,
//! 2002). Between the last level that holds and the first that misses, the logarithm of the ratio is taken for a straight
//! line: the tail of a queue falls exponentially, by a rate that is proportional to the room that is left (Kingman, Journal of
//! the Royal Statistical Society B 24, 1962).
//!
//! The interval is one of resampled steps (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13). A step is
//! drawn whole: what happens in it depends on what happened before, and steps do not depend on each other.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::evidence::{StepEvidence, StepOutcome};
use super::limit::{CapacityLimit, Ratio};
use crate::stats::{RatioAt, pool_violators};

/// Samples that are drawn, of which 12 lie beyond each end.
const DRAWS: usize = 500;
/// Share of the samples beyond each end of the interval.
const TAIL: f64 = 0.025;
/// Requests that a level without a slow one is taken to have had: none is seen of up to one, and a ratio of 0 has no
/// logarithm.
const UNSEEN: f64 = 0.5;

/// The level at which the first of the limits stops to hold, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CapacityEdge {
    /// The level.
    pub level: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// Place of the limit that stops to hold first.
    pub first: usize,
}

/// Where a limit stops to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Crossing {
    level: f64,
    /// The last level at which it holds; nothing where it misses at the lowest one that was tried.
    held: Option<f64>,
    /// The first level at which it misses.
    missed: f64,
}

/// The limit that stops to hold first, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
struct FirstCrossing {
    limit: usize,
    crossing: Crossing,
}

/// The steps of a search, by place of their level.
struct Steps<'a> {
    limits: &'a [CapacityLimit],
    levels: Vec<i32>,
    steps: Vec<Placed>,
}

/// A step in the place of its level, with what counts against each limit.
struct Placed {
    place: usize,
    sums: Vec<Ratio>,
}

/// The edge of these limits, by the steps that are evidence. `None` where no limit missed, or one missed at every level.
pub fn edge(limits: &[CapacityLimit], steps: &[StepEvidence], seed: u64) -> Option<CapacityEdge> {
    let steps = Steps::of(limits, steps);
    let all: Vec<usize> = (0..steps.steps.len()).collect();
    let FirstCrossing { limit: first, crossing } = steps.first_crossing(&all)?;
    let held = crossing.held?;
    let highest = steps.levels.last().map_or(0.0, |level| f64::from(*level));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut drawn = all;
    let mut edges = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        for step in &mut drawn {
            *step = rng.random_range(0..steps.steps.len());
        }
        // A sample without a step that missed says that the edge is not below any of its levels.
        edges.push(steps.first_crossing(&drawn).map_or(highest, |first| first.crossing.level));
    }
    edges.sort_by(f64::total_cmp);
    let beyond = (TAIL * DRAWS as f64) as usize;
    Some(CapacityEdge {
        level: crossing.level,
        // No finer than the levels between which it lies: nothing was tried there, so that all samples agree where the ratio
        // jumps from nothing to all. And one level lower: slow requests come in clusters, so the few steps of a level often
        // have none although it misses, and then no sample has one. In simulated searches, one interval in four began above
        // the true rate without this, and one in a hundred with it.
        lower: edges[beyond].min(held - 1.0),
        upper: edges[DRAWS - 1 - beyond].max(crossing.missed),
        first,
    })
}

/// Whether one of these limits misses at some level, by all steps together that are evidence.
pub fn misses_somewhere(limits: &[CapacityLimit], steps: &[StepEvidence]) -> bool {
    let steps = Steps::of(limits, steps);
    let all: Vec<usize> = (0..steps.steps.len()).collect();
    steps.first_crossing(&all).is_some()
}

impl<'a> Steps<'a> {
    fn of(limits: &'a [CapacityLimit], steps: &[StepEvidence]) -> Self {
        let mut valid = Vec::new();
        for step in steps {
            if step.outcome != StepOutcome::Invalid {
                valid.push(step);
            }
        }
        let mut levels: Vec<i32> = valid.iter().map(|step| step.level).collect();
        levels.sort_unstable();
        levels.dedup();
        let mut placed = Vec::with_capacity(valid.len());
        for step in valid {
            let place = levels.binary_search(&step.level).expect("every step's level is among the levels");
            let sums = (0..limits.len()).map(|limit| step.sum(limit)).collect();
            placed.push(Placed { place, sums });
        }
        Self { limits, levels, steps: placed }
    }

    /// The limit that stops to hold first, by these of the steps, and where it does.
    fn first_crossing(&self, drawn: &[usize]) -> Option<FirstCrossing> {
        let mut first: Option<FirstCrossing> = None;
        for (place, limit) in self.limits.iter().enumerate() {
            let Some(crossing) = crossing(&self.points(place, drawn), limit.allowed()) else { continue };
            if first.is_none_or(|before| crossing.level < before.crossing.level) {
                first = Some(FirstCrossing { limit: place, crossing });
            }
        }
        first
    }

    /// The ratio of a limit at each level, by these of the steps.
    fn points(&self, limit: usize, drawn: &[usize]) -> Vec<RatioAt> {
        let mut sums = vec![Ratio::default(); self.levels.len()];
        for &step in drawn {
            let step = &self.steps[step];
            sums[step.place].add(step.sums[limit]);
        }
        let mut points = Vec::with_capacity(sums.len());
        for (level, sum) in self.levels.iter().zip(sums) {
            // A level whose steps were not drawn has no ratio.
            if sum.below > 0.0 {
                points.push(RatioAt { x: f64::from(*level), above: sum.above, below: sum.below });
            }
        }
        points
    }
}

/// Where the ratio of these points, in ascending order, exceeds what is allowed; `None` where it never does.
fn crossing(points: &[RatioAt], allowed: f64) -> Option<Crossing> {
    let fitted = pool_violators(points);
    let place = fitted.iter().position(|point| point.ratio() > allowed)?;
    let above = fitted[place];
    let Some(below) = place.checked_sub(1).map(|place| fitted[place]) else {
        return Some(Crossing { level: above.x, held: None, missed: above.x });
    };
    let level = below.x + share_of_the_way(below, above, allowed) * (above.x - below.x);
    Some(Crossing { level, held: Some(below.x), missed: above.x })
}

/// How far from one point to the other the ratio reaches what is allowed, between 0 and 1.
fn share_of_the_way(below: RatioAt, above: RatioAt, allowed: f64) -> f64 {
    // Where nothing is allowed, it is reached somewhere between nothing and something.
    if allowed <= 0.0 {
        return 0.5;
    }
    let least = below.ratio().max(UNSEEN / below.below).min(allowed);
    ((allowed / least).ln() / (above.ratio() / least).ln()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Metric;

    fn limits() -> Vec<CapacityLimit> {
        let mut limits = Vec::new();
        for limit in [(Metric::P99Ms, 100.0), (Metric::SuccessRatePct, 90.0)] {
            limits.push(CapacityLimit::new(limit).expect("can be looked for"));
        }
        limits
    }

    /// So many of 10,000 requests.
    fn of_all(above: f64) -> Vec<Ratio> {
        vec![Ratio { above, below: 10_000.0 }]
    }

    /// A step of 10,000 requests with so many slow ones, and so many failures.
    fn step(level: i32, slow: f64, failed: f64) -> StepEvidence {
        StepEvidence::new(&limits(), level, vec![of_all(slow), of_all(failed)], true, false)
    }

    fn found(steps: &[StepEvidence]) -> Option<CapacityEdge> {
        edge(&limits(), steps, 1)
    }

    #[test]
    fn it_lies_where_the_logarithm_of_the_ratio_crosses_the_limit() {
        // 0.1 % at level 40 and 10 % at 42: 1 % lies half way between, as 1 is ten times 0.1, and 10 ten times 1.
        let edge =
            found(&[step(32, 0.0, 0.0), step(40, 10.0, 0.0), step(42, 1000.0, 0.0)]).expect("is found");
        assert!((edge.level - 41.0).abs() < 1e-9, "{edge:?}");
        assert_eq!(edge.first, 0);
        // Never narrower than from the last level that holds to the first that misses.
        assert!(edge.lower <= 40.0 && edge.upper >= 42.0, "{edge:?}");
    }

    #[test]
    fn the_limit_that_breaks_first_decides() {
        // Failures pass their 10 % between 36 and 38, slow requests their 1 % only above 40.
        let edge = found(&[
            step(36, 0.0, 100.0),
            step(38, 0.0, 5000.0),
            step(40, 0.0, 5000.0),
            step(42, 900.0, 9000.0),
        ])
        .expect("is found");
        assert_eq!(edge.first, 1);
        assert!((36.0..38.0).contains(&edge.level), "{edge:?}");
    }

    #[test]
    fn steps_of_one_level_are_taken_together() {
        // One of four steps has all of the slow requests: 1 % in the mean, and so the level just holds.
        let mut steps =
            vec![step(40, 400.0, 0.0), step(40, 0.0, 0.0), step(40, 0.0, 0.0), step(40, 0.0, 0.0)];
        steps.push(step(41, 2000.0, 0.0));
        let edge = found(&steps).expect("is found");
        assert!((edge.level - 40.0).abs() < 1e-9, "{edge:?}");
    }

    #[test]
    fn without_a_level_on_each_side_there_is_no_edge() {
        assert_eq!(found(&[step(0, 0.0, 0.0), step(16, 50.0, 0.0)]), None);
        assert_eq!(found(&[step(0, 500.0, 0.0)]), None);
        assert_eq!(found(&[]), None);
        // Why there is none: nothing misses, or everything does.
        assert!(!misses_somewhere(&limits(), &[step(0, 0.0, 0.0), step(16, 50.0, 0.0)]));
        assert!(misses_somewhere(&limits(), &[step(0, 500.0, 0.0)]));
    }

    #[test]
    fn where_nothing_is_allowed_it_lies_in_the_middle() {
        let none = [CapacityLimit::new((Metric::SuccessRatePct, 100.0)).expect("can be looked for")];
        let mut steps = Vec::new();
        for (level, failed) in [(10, 0.0), (12, 1.0)] {
            let ratio = Ratio { above: failed, below: 1000.0 };
            steps.push(StepEvidence::new(&none, level, vec![vec![ratio]], true, false));
        }
        assert_eq!(edge(&none, &steps, 1).expect("is found").level, 11.0);
    }

    #[test]
    fn the_seed_decides_the_interval() {
        let mut steps = Vec::new();
        for (level, slow) in
            [(38, 0.0), (39, 150.0), (39, 10.0), (40, 0.0), (40, 200.0), (41, 500.0), (41, 90.0)]
        {
            steps.push(step(level, slow, 0.0));
        }
        assert_eq!(found(&steps), found(&steps));
        let edge = found(&steps).expect("is found");
        assert!(edge.lower < edge.level && edge.level < edge.upper, "{edge:?}");
    }
}
