//! What a slowdown consists of: a pure function of the times that were stored.
//!
//! Each pair of processes gives one value a part: by how much longer an operation of head is in it than one of base, as a
//! share of base's whole operation in that pair. So a machine that is slower in one pair than in another changes nothing.
//! What is told is the mean over pairs, with an interval from resampling pairs. Means and not medians, as the verdict has
//! them: only means of parts add up to that of the whole.

use serde::Serialize;

use super::compared::Effect;
use super::parts::{ArmTime, CaseTimes, PairTime, PartTimes};
use super::plan::MIN_PAIRS;
use crate::stats::{MeanInterval, Resamples};

/// The part of an operation that no phase covers.
const OUTSIDE: &str = "outside the phases";
/// Functions that are told of a case.
const TOP_FRAMES: usize = 10;
/// Functions that a sentence names, where there are no phases.
const NAMED_FRAMES: usize = 3;
/// A change that is printed as 0.0 % explains nothing, however sure it is.
const LEAST_NAMED: f64 = 0.0005;
/// Effects that are no farther apart than this agree: a tenth of a percent is the last digit that is printed.
const ROUNDING: f64 = 0.001;
/// Most that timing phases and sampling stacks may add to an operation, as a share of it. Of 10 KB it is some 10 %.
const WATCHING: f64 = 0.2;

/// A case that got slower, and what its slowdown consists of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Its id.
    pub case: String,
    /// Pairs of processes that were measured for it.
    pub pairs: usize,
    /// The effect that the verdict rests on; none where only the tail got slower, of which there is no such share.
    pub judged: Option<Effect>,
    /// The whole operation, in the pairs that explain it.
    pub whole: PartChange,
    /// Whether that may be the effect that was judged: both intervals have something in common.
    pub agrees: bool,
    /// The service's phases and what is outside of them, which add up to the whole. None where nobody times phases.
    pub phases: Vec<PartChange>,
    /// The functions whose CPU time changed most. They do not add up to the whole: waiting takes no CPU time, and client and
    /// service each have a core.
    pub frames: Vec<PartChange>,
}

/// How much longer operations of head are in one part. Shares are of base's whole operation: 0.02 is 2 %.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartChange {
    /// Name of the part.
    pub name: String,
    /// Time of an operation of base in it.
    pub base_ns: f64,
    /// Time of an operation of head in it.
    pub head_ns: f64,
    /// The difference as a share of base's whole operation.
    pub share: f64,
    /// Lower end of its 95 % interval.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

impl Explanation {
    /// Explains a case by these times. `seed` is that of the resamples. Nothing where there are too few pairs for intervals.
    pub fn of(times: &CaseTimes, judged: Option<Effect>, seed: u64) -> Option<Self> {
        let pairs = times.pairs.len();
        if pairs < MIN_PAIRS {
            return None;
        }
        // Drawn once for all parts: their intervals are of the same resampled sessions.
        let resamples = Resamples::new(pairs, seed)?;
        let latency = Row::latency(&times.pairs);
        let whole = latency.change(&latency, &resamples);
        let mut phases = Vec::new();
        if both_tell(&times.phases) {
            let rows = rows_of(&times.phases, &times.pairs);
            for row in &rows {
                phases.push(row.change(&latency, &resamples));
            }
            phases.push(latency.without(&rows).change(&latency, &resamples));
        }
        let mut frames = Vec::new();
        if both_tell(&times.frames) {
            let mut rows = rows_of(&times.frames, &times.pairs);
            rows.sort_by(|a, b| b.mean_change().abs().total_cmp(&a.mean_change().abs()));
            for row in rows.iter().take(TOP_FRAMES) {
                frames.push(row.change(&latency, &resamples));
            }
        }
        let agrees = agree(&whole, judged);
        Some(Self { case: times.id.clone(), pairs, judged, whole, agrees, phases, frames })
    }

    /// The parts that surely changed, most first: phases, or functions where there are no phases.
    pub fn named(&self) -> Vec<&PartChange> {
        let has_phases = !self.phases.is_empty();
        let parts = if has_phases { &self.phases } else { &self.frames };
        let mut named: Vec<&PartChange> = parts.iter().filter(|part| part.is_sure()).collect();
        named.sort_by(|a, b| b.share.abs().total_cmp(&a.share.abs()));
        if !has_phases {
            named.truncate(NAMED_FRAMES);
        }
        named
    }
}

impl PartChange {
    /// Whether it changed by more than chance, and by enough to be printed.
    fn is_sure(&self) -> bool {
        let has_no_zero = self.lower > 0.0 || self.upper < 0.0;
        has_no_zero && self.share.abs() >= LEAST_NAMED
    }
}

/// The time of an operation in one part, in ns: a value of each pair.
struct Row {
    name: String,
    base: Vec<f64>,
    head: Vec<f64>,
}

impl Row {
    /// The whole operation, as the client sees it.
    fn latency(pairs: &[PairTime]) -> Self {
        let mut row = Self { name: "all".to_owned(), base: Vec::new(), head: Vec::new() };
        for pair in pairs {
            row.base.push(per_operation(pair.base.latency_ns, pair.base));
            row.head.push(per_operation(pair.head.latency_ns, pair.head));
        }
        row
    }

    fn of(part: &PartTimes, pairs: &[PairTime]) -> Self {
        let mut row = Self { name: part.name.clone(), base: Vec::new(), head: Vec::new() };
        for (pair, ns) in pairs.iter().zip(&part.base_ns) {
            row.base.push(per_operation(*ns, pair.base));
        }
        for (pair, ns) in pairs.iter().zip(&part.head_ns) {
            row.head.push(per_operation(*ns, pair.head));
        }
        row
    }

    /// What is left of this without these parts of it.
    fn without(&self, parts: &[Self]) -> Self {
        let mut rest = Self { name: OUTSIDE.to_owned(), base: self.base.clone(), head: self.head.clone() };
        for part in parts {
            for (left, ns) in rest.base.iter_mut().zip(&part.base) {
                *left -= ns;
            }
            for (left, ns) in rest.head.iter_mut().zip(&part.head) {
                *left -= ns;
            }
        }
        rest
    }

    /// The change of this part of an operation that takes so long as a whole.
    fn change(&self, latency: &Self, resamples: &Resamples) -> PartChange {
        let mut shares = Vec::new();
        for (pair, whole) in latency.base.iter().enumerate() {
            shares.push((self.head[pair] - self.base[pair]) / whole);
        }
        let MeanInterval { mean: share, lower, upper } = resamples.interval(&shares);
        PartChange {
            name: self.name.clone(),
            base_ns: mean(&self.base),
            head_ns: mean(&self.head),
            share,
            lower,
            upper,
        }
    }

    fn mean_change(&self) -> f64 {
        mean(&self.head) - mean(&self.base)
    }
}

fn rows_of(parts: &[PartTimes], pairs: &[PairTime]) -> Vec<Row> {
    parts.iter().map(|part| Row::of(part, pairs)).collect()
}

/// Whether both sides tell of such parts. Where one does not, all of the other's would pass for a change.
fn both_tell(parts: &[PartTimes]) -> bool {
    let base = parts.iter().flat_map(|part| &part.base_ns).any(|ns| *ns > 0);
    let head = parts.iter().flat_map(|part| &part.head_ns).any(|ns| *ns > 0);
    base && head
}

/// Whether the effect that was seen here may be the one that was judged.
fn agree(seen: &PartChange, judged: Option<Effect>) -> bool {
    let Some(judged) = judged else { return true };
    // An end that is not known excludes nothing.
    let lower = judged.lower.unwrap_or(f64::NEG_INFINITY) - ROUNDING;
    let upper = judged.upper.unwrap_or(f64::INFINITY) + ROUNDING;
    // Watching takes time in both arms, so what one of them does more is a smaller share here than it was without.
    let seen_lower = seen.lower.min(seen.lower * (1.0 + WATCHING));
    let seen_upper = seen.upper.max(seen.upper * (1.0 + WATCHING));
    seen_lower <= upper && lower <= seen_upper
}

fn per_operation(ns: u64, arm: ArmTime) -> f64 {
    ns as f64 / arm.operations as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
pub(super) mod tests {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    use super::super::parts::tests::told;
    use super::super::parts::{PairTold, PartTime, Told};
    use super::*;

    /// So many pairs that are all alike.
    fn alike(pairs: usize, base: &Told, head: &Told) -> CaseTimes {
        let mut times = CaseTimes::of("a");
        for _ in 0..pairs {
            times.add(&PairTold { base: base.clone(), head: head.clone() });
        }
        times
    }

    /// An operation of 100 µs becomes one of 103: 2.6 µs of that are in the hash, and 0.4 µs outside of the phases.
    pub fn slower_hash() -> CaseTimes {
        let base = told(10, 100_000, &[("token", 20_000), ("hash", 30_000)]);
        alike(10, &base, &told(20, 103_000, &[("token", 20_000), ("hash", 32_600)]))
    }

    fn effect(lower: f64, upper: f64) -> Option<Effect> {
        let share = f64::midpoint(lower, upper);
        Some(Effect { share, lower: Some(lower), upper: Some(upper), coverage: Some(0.95) })
    }

    fn explained(times: &CaseTimes) -> Explanation {
        Explanation::of(times, effect(0.02, 0.04), 1).expect("has ten pairs")
    }

    #[track_caller]
    fn assert_near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} in place of {expected}");
    }

    #[test]
    fn a_slowdown_by_hand() {
        let explained = explained(&slower_hash());
        let names: Vec<&str> = explained.phases.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["token", "hash", OUTSIDE]);
        for (part, share) in explained.phases.iter().zip([0.0, 0.026, 0.004]) {
            assert_near(part.share, share);
            // All pairs are alike, so the intervals have no length.
            assert_near(part.lower, share);
            assert_near(part.upper, share);
        }
        let hash = &explained.phases[1];
        assert_near(hash.base_ns, 30_000.0);
        assert_near(hash.head_ns, 32_600.0);
        let outside = &explained.phases[2];
        assert_near(outside.base_ns, 50_000.0);
        assert_near(outside.head_ns, 50_400.0);
        assert_near(explained.whole.share, 0.03);
        assert_near(explained.whole.head_ns, 103_000.0);
        let named: Vec<&str> = explained.named().iter().map(|part| part.name.as_str()).collect();
        assert_eq!(named, ["hash", OUTSIDE]);
        assert_eq!((explained.pairs, explained.agrees), (10, true));
    }

    #[test]
    fn with_the_arms_exchanged_every_sign_is_the_opposite() {
        let times = slower_hash();
        let mut exchanged = CaseTimes::of("a");
        let base = told(20, 103_000, &[("token", 20_000), ("hash", 32_600)]);
        for _ in 0..times.pairs.len() {
            let head = told(10, 100_000, &[("token", 20_000), ("hash", 30_000)]);
            exchanged.add(&PairTold { base: base.clone(), head });
        }
        let there = explained(&times);
        let back = explained(&exchanged);
        for (there, back) in there.phases.iter().zip(&back.phases) {
            // Shares are of base's operation, which is another one now.
            assert_near(there.share * 100_000.0, -back.share * 103_000.0);
            assert_near(there.base_ns, back.head_ns);
        }
        assert!(there.agrees && !back.agrees);
    }

    #[test]
    fn a_machine_that_changes_its_speed_changes_no_share() {
        let mut times = CaseTimes::of("a");
        for pair in 0..10 {
            // Up to twice as slow.
            let speed = 10 + pair;
            let base = told(7, 10_000 * speed, &[("hash", 3_000 * speed)]);
            times.add(&PairTold { base, head: told(7, 10_300 * speed, &[("hash", 3_260 * speed)]) });
        }
        let explained = explained(&times);
        let hash = &explained.phases[0];
        for value in [hash.share, hash.lower, hash.upper] {
            assert_near(value, 0.026);
        }
    }

    #[test]
    fn phases_that_one_side_does_not_tell_explain_nothing() {
        let with = told(10, 100_000, &[("hash", 30_000)]);
        let without = told(10, 103_000, &[]);
        let explained = explained(&alike(10, &with, &without));
        assert!(explained.phases.is_empty() && explained.named().is_empty());
        assert_near(explained.whole.share, 0.03);
        assert_eq!(Explanation::of(&alike(9, &with, &with), None, 1), None);
    }

    #[test]
    fn an_effect_that_is_not_the_judged_one_does_not_agree() {
        let times = slower_hash();
        for (judged, agrees) in [
            (effect(0.02, 0.0291), true),
            (effect(0.02, 0.0289), false),
            (effect(0.05, 0.06), false),
            // Watching may have added a fifth to what 3 % are a share of, so 3.6 % without it are possible.
            (effect(0.0359, 0.04), true),
            (effect(0.0371, 0.04), false),
            (None, true),
        ] {
            let explained = Explanation::of(&times, judged, 1).expect("has ten pairs");
            assert_eq!(explained.agrees, agrees, "{judged:?}");
        }
    }

    #[test]
    fn without_phases_the_functions_that_changed_most_are_named() {
        let mut base = told(10, 100_000, &[]);
        let mut head = told(10, 106_000, &[]);
        // Twelve functions: the first takes 1 µs more, the second 2 µs less, and so on by turns.
        for function in 1..=12_u64 {
            let name = format!("client: f{function}");
            base.frames.push(PartTime { name: name.clone(), ns: 10 * 50_000 });
            let ns = if function % 2 == 1 { 50_000 + 1000 * function } else { 50_000 - 1000 * function };
            head.frames.push(PartTime { name, ns: 10 * ns });
        }
        let explained = explained(&alike(10, &base, &head));
        assert_eq!(explained.frames.len(), TOP_FRAMES);
        assert_near(explained.frames[0].share, -0.12);
        let named: Vec<&str> = explained.named().iter().map(|part| part.name.as_str()).collect();
        assert_eq!(named, ["client: f12", "client: f11", "client: f10"]);
    }

    /// Nearly normal, with a standard deviation of 1: twelve uniform numbers.
    fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// What a process tells of a thousand operations of 100 µs, on a machine of this speed: the token check and the hash vary
    /// by 0.3 % from process to process, and the other half of the operation by 0.6 %.
    fn noisy(rng: &mut Xoshiro256PlusPlus, speed: f64, hash_ns: f64) -> Told {
        let token = 20_000.0 * (1.0 + 0.003 * normal(rng)) * speed;
        let hash = hash_ns * (1.0 + 0.003 * normal(rng)) * speed;
        let rest = 50_000.0 * (1.0 + 0.006 * normal(rng)) * speed;
        let latency = (token + hash + rest) as u64;
        told(1000, latency, &[("token", token as u64), ("hash", hash as u64)])
    }

    #[test]
    fn under_noise_the_hash_that_got_slower_is_given_the_effect() {
        let mut covering = 0;
        for seed in 0..40 {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut times = CaseTimes::of("a");
            for _ in 0..12 {
                // The machine is up to 30 % slower in some pairs than in others.
                let speed = 1.0 + 0.3 * rng.random::<f64>();
                let base = noisy(&mut rng, speed, 30_000.0);
                times.add(&PairTold { base, head: noisy(&mut rng, speed, 32_600.0) });
            }
            let explained = Explanation::of(&times, effect(0.016, 0.036), seed).expect("has twelve pairs");
            let hash = &explained.phases[1];
            // 2.6 of the 2.6 % that there are. The whole is known to 0.13 %.
            let given = hash.share / explained.whole.share;
            assert!(given >= 0.8 && explained.named()[0].name == "hash", "seed {seed}: {explained:?}");
            assert!(explained.agrees, "seed {seed}: {explained:?}");
            covering += u32::from(hash.lower <= 0.026 && 0.026 <= hash.upper);
        }
        // 38 of 40 expected, standard deviation 1.4.
        assert!(covering >= 33, "{covering}");
    }
}
