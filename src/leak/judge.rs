//! Whether memory grows with what is done: a pure function of the record.
//!
//! * **Warming up does not count.** The first quarter is left out; and more, up to half, where the halves of the rest do not
//!   grow alike.
//! * **What comes and goes does not count.** Garbage that is collected, buffers and caches make memory rise and fall. So only
//!   the lowest reading of each of eight windows is judged, as what is leaked is never given back. Long windows also hardly
//!   depend on each other, as the test behind the interval wants it (compare batch means, in [`crate::stats`]).
//! * **The growth of one operation is the slope of these lowest readings** over the operations that had ended, with its
//!   interval ([`theil_sen`]).
//!
//! It is a leak where the interval lies above 0 and the slope is at least the threshold; it is none where the interval lies
//! below the threshold; and else nobody knows yet. Eight windows and not more, because a heap that fills up slowly and is
//! emptied once or twice would look like growth to the pairs of many small windows: with eight, all but four of the 28 pairs
//! have to rise.

use super::record::{LeakRecord, MemorySample};
use crate::report::LEAST_SUCCESS_PCT;
use crate::stats::{Point, Slope, lowest_of_windows, median, theil_sen};
use crate::verdict::Verdict;

/// Windows of which the lowest readings are judged.
pub(super) const WINDOWS: usize = 8;
/// The same for each half of them, when the halves are compared. Fewer than six would have an interval that is hardly ever
/// narrow enough to tell them apart.
const WINDOWS_OF_HALF: usize = 6;
/// Where what is judged may begin, in eighths of the samples.
const BEGINNINGS: [usize; 3] = [2, 3, 4];
/// At half of these, each half of the rest has six samples: one for each window.
const FEWEST_SAMPLES: usize = 24;
/// Fewest operations in what is judged: below that, windows without any are likely.
const FEWEST_OPERATIONS: u64 = 100;
/// Confidence of the interval. Of memory that only rises and falls, its lower end is above 0 once in a hundred runs at most.
const CONFIDENCE: f64 = 0.98;
/// Share by which the slopes of two halves may differ and be called alike.
const ALIKE: f64 = 0.1;
/// A longer run is advised by so much more than is computed, as the noise of the next one may be larger.
const RESERVE: f64 = 1.2;
/// A run of more than so many times the length is not advised.
const MOST_TIMES: f64 = 20.0;

/// What the samples say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LeakJudgement {
    /// What was found.
    pub finding: LeakFinding,
    /// Growth for each operation, in bytes; nothing where too little was measured for one.
    pub slope: Option<Slope>,
    /// Index of the first sample that was judged.
    pub from: usize,
}

/// What was judged, as a picture shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    /// The lowest reading of each window: bytes over operations.
    pub lowest: Vec<Point>,
    /// The slope of these.
    pub slope: Slope,
    /// Bytes where its line crosses zero operations.
    pub offset: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LeakFinding {
    /// Memory grows for as long as operations are performed.
    Leak {
        /// Whether it began in the second half only.
        late: bool,
    },
    /// It does not grow, or by less than the threshold.
    NoLeak,
    /// What was measured says neither.
    Undecided(Doubt),
}

/// Why neither is said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Doubt {
    /// Too few readings, or too few operations.
    TooLittle,
    /// Most operations have to succeed: what fails may keep nothing.
    FewSuccesses,
    /// The growth changes: these are the slopes of two stretches one after the other, in bytes an operation.
    NotSettled { before: f64, after: f64 },
    /// The interval holds both growth and no growth. It would tell them apart in a run of so many times the length; nothing
    /// where that would be far too long.
    TooWide { times: Option<f64> },
}

impl LeakJudgement {
    /// The verdict in the terms of every command.
    pub fn verdict(&self) -> Verdict {
        match self.finding {
            LeakFinding::NoLeak => Verdict::Held,
            LeakFinding::Leak { .. } => Verdict::Missed,
            LeakFinding::Undecided(_) => Verdict::Untrusted,
        }
    }

    /// The lowest readings of what was judged, and the line of the slope through them: what a picture of it shows.
    pub fn fitted(&self, samples: &[MemorySample]) -> Option<Fitted> {
        let slope = self.slope?;
        let points: Vec<Point> = samples.get(self.from..)?.iter().map(MemorySample::point).collect();
        let lowest = lowest_of_windows(&points, WINDOWS);
        // As many of the lowest readings lie above the line as below it.
        let offset = median(lowest.iter().map(|point| point.y - slope.estimate * point.x).collect())?;
        Some(Fitted { lowest, slope, offset })
    }

    /// Nothing can be said, as no slope could be computed.
    fn without_slope(doubt: Doubt) -> Self {
        Self { finding: LeakFinding::Undecided(doubt), slope: None, from: 0 }
    }
}

/// Judges a record.
pub(crate) fn judge(record: &LeakRecord) -> LeakJudgement {
    let threshold = record.threshold_bytes as f64;
    if record.ended > 0 && record.success_rate_pct() < LEAST_SUCCESS_PCT {
        return LeakJudgement::without_slope(Doubt::FewSuccesses);
    }
    judge_samples(&record.samples, threshold)
}

/// Judges samples in order of time, by a threshold in bytes an operation.
fn judge_samples(samples: &[MemorySample], threshold: f64) -> LeakJudgement {
    if samples.len() < FEWEST_SAMPLES {
        return LeakJudgement::without_slope(Doubt::TooLittle);
    }
    let points: Vec<Point> = samples.iter().map(MemorySample::point).collect();
    let mut undecided = None;
    let mut not_alike = None;
    for eighths in BEGINNINGS {
        let from = samples.len() * eighths / 8;
        if operations_from(samples, from) < FEWEST_OPERATIONS {
            continue;
        }
        let Some(halves) = Halves::of(&points, from) else { continue };
        let lowest = lowest_of_windows(&points[from..], WINDOWS);
        let Some(slope) = theil_sen(&lowest, CONFIDENCE) else { continue };
        if !halves.are_alike(threshold) {
            not_alike = Some(halves);
            continue;
        }
        let finding = found(&slope, threshold);
        let decides = match finding {
            LeakFinding::NoLeak => true,
            // By the first beginning only: each further look would be another chance of a false alarm.
            LeakFinding::Leak { .. } => undecided.is_none(),
            LeakFinding::Undecided(_) => false,
        };
        let judged = LeakJudgement { finding, slope: Some(slope), from };
        if decides {
            return judged;
        }
        if undecided.is_none() {
            undecided = Some(judged);
        }
    }
    if let Some(judged) = undecided {
        return judged;
    }
    match not_alike {
        Some(halves) => halves.judged(threshold),
        None => LeakJudgement::without_slope(Doubt::TooLittle),
    }
}

/// Operations that ended from this sample on.
fn operations_from(samples: &[MemorySample], from: usize) -> u64 {
    let last = samples.last().map_or(0, |last| last.operations);
    let before = samples.get(from).map_or(last, |first| first.operations);
    last - before
}

/// What an interval says.
fn found(slope: &Slope, threshold: f64) -> LeakFinding {
    if slope.lower > 0.0 && slope.estimate >= threshold {
        return LeakFinding::Leak { late: false };
    }
    if slope.upper < threshold {
        return LeakFinding::NoLeak;
    }
    LeakFinding::Undecided(Doubt::TooWide { times: times_needed(slope, threshold) })
}

/// How many times the length would decide, if the slope is what it seems to be: the same noise over a longer run makes the
/// interval as much narrower.
fn times_needed(slope: &Slope, threshold: f64) -> Option<f64> {
    let times = if slope.estimate >= threshold {
        // The lower end has to come above 0.
        (slope.estimate - slope.lower) / slope.estimate
    } else {
        // The upper end has to come below the threshold.
        (slope.upper - slope.estimate) / (threshold - slope.estimate)
    };
    Some(RESERVE * times).filter(|times| *times <= MOST_TIMES)
}

/// The slopes of the two halves of what is judged.
#[derive(Debug, Clone, Copy)]
struct Halves {
    first: Slope,
    second: Slope,
    /// Index of the second half's first sample.
    middle: usize,
}

impl Halves {
    /// The halves of all points from this one on.
    fn of(points: &[Point], from: usize) -> Option<Self> {
        let middle = from + (points.len() - from) / 2;
        let first = theil_sen(&lowest_of_windows(&points[from..middle], WINDOWS_OF_HALF), CONFIDENCE)?;
        let second = theil_sen(&lowest_of_windows(&points[middle..], WINDOWS_OF_HALF), CONFIDENCE)?;
        Some(Self { first, second, middle })
    }

    /// Whether both grow alike, as far as can be told, or by so little that the difference does not matter.
    fn are_alike(&self, threshold: f64) -> bool {
        let overlap = self.first.lower <= self.second.upper && self.second.lower <= self.first.upper;
        let larger = self.first.estimate.abs().max(self.second.estimate.abs());
        let difference = (self.first.estimate - self.second.estimate).abs();
        overlap || difference <= threshold.max(ALIKE * larger)
    }

    /// The judgement where they do not grow alike.
    fn judged(&self, threshold: f64) -> LeakJudgement {
        let grows_more = self.second.estimate > self.first.estimate;
        let is_leak = matches!(found(&self.second, threshold), LeakFinding::Leak { .. });
        // Growth that slows down may end. Growth that sets in is not excused by what was before it.
        let finding = if grows_more && is_leak {
            LeakFinding::Leak { late: true }
        } else {
            LeakFinding::Undecided(Doubt::NotSettled {
                before: self.first.estimate,
                after: self.second.estimate,
            })
        };
        LeakJudgement { finding, slope: Some(self.second), from: self.middle }
    }
}

impl MemorySample {
    /// The sample as a point: bytes over operations.
    fn point(&self) -> Point {
        Point { x: self.operations as f64, y: self.bytes as f64 }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    use super::super::fixture::{record, samples};
    use super::*;

    /// Simulated runs of each kind.
    const RUNS: u64 = 200;
    /// Readings of a run: a minute at five a second.
    const READINGS: u64 = 300;
    /// Operations between two readings.
    const OPERATIONS: u64 = 100;
    const THRESHOLD: f64 = 100.0;
    const KB: f64 = 1024.0;
    const MB: f64 = 1024.0 * KB;

    /// How memory behaves. Everything is in bytes, and shares are of the run.
    #[derive(Clone, Copy)]
    struct Behaviour {
        /// Kept for each operation.
        leak: f64,
        /// Share after which that begins.
        leaks_from: f64,
        /// Largest deviation of a reading upwards, each by itself.
        noise: f64,
        /// Standard deviation of noise that lasts, and the share of it that is left after each reading.
        lasting: f64,
        left: f64,
        /// Taken once, after a twentieth of the run.
        step: f64,
        /// Garbage until it is collected, and the share of the run between two collections.
        garbage: f64,
        period: f64,
        /// What a cache takes that grows like a logarithm, and the share after which it is full.
        cache: f64,
        full_at: f64,
    }

    const QUIET: Behaviour = Behaviour {
        leak: 0.0,
        leaks_from: 0.0,
        noise: 20.0 * KB,
        lasting: 0.0,
        left: 0.0,
        step: 0.0,
        garbage: 0.0,
        period: 1.0,
        cache: 0.0,
        full_at: 1.0,
    };

    /// The readings of a run of such memory.
    fn simulated(behaviour: Behaviour, seed: u64) -> Vec<MemorySample> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut samples = Vec::new();
        let mut lasting = 0.0;
        // A collector may be anywhere between two collections when the run begins, and its steps differ.
        let mut phase = rng.random::<f64>();
        for reading in 1..=READINGS {
            let share = reading as f64 / READINGS as f64;
            let operations = reading * OPERATIONS;
            let leaking = (share - behaviour.leaks_from).max(0.0) * (READINGS * OPERATIONS) as f64;
            // Numbers spread evenly from -1 to 1 have a variance of 1 / 3; with this scale the sum keeps one of 1.
            let fresh: f64 = rng.random_range(-1.0..1.0);
            let scale = (3.0 * (1.0 - behaviour.left.powi(2))).sqrt();
            lasting = behaviour.left * lasting + scale * fresh;
            let pace: f64 = rng.random_range(0.75..1.25);
            phase += pace / (READINGS as f64 * behaviour.period);
            let full = 1.0 + 50.0 * behaviour.full_at;
            let cached = (1.0 + 50.0 * share.min(behaviour.full_at)).ln() / full.ln();
            let step = if share > 0.05 { behaviour.step } else { 0.0 };
            let bytes = 50.0 * MB
                + behaviour.leak * leaking
                + behaviour.noise * rng.random::<f64>()
                + behaviour.lasting * lasting
                + behaviour.garbage * phase.fract()
                + behaviour.cache * cached
                + step;
            samples.push(MemorySample { at_ms: 200 * reading, operations, bytes: bytes as u64 });
        }
        samples
    }

    /// What came of many runs.
    #[derive(Debug, Default)]
    struct Counts {
        leaks: u64,
        none: u64,
        undecided: u64,
        /// Smallest and largest slope.
        least: f64,
        most: f64,
    }

    fn judged(behaviour: Behaviour) -> Counts {
        let mut counts = Counts { least: f64::INFINITY, most: f64::NEG_INFINITY, ..Counts::default() };
        for seed in 0..RUNS {
            let judged = judge_samples(&simulated(behaviour, seed), THRESHOLD);
            match judged.finding {
                LeakFinding::Leak { .. } => counts.leaks += 1,
                LeakFinding::NoLeak => counts.none += 1,
                LeakFinding::Undecided(_) => counts.undecided += 1,
            }
            let slope = judged.slope.expect("has enough samples").estimate;
            counts.least = counts.least.min(slope);
            counts.most = counts.most.max(slope);
        }
        counts
    }

    /// Every run of such memory is called sound.
    #[track_caller]
    fn is_sound(behaviour: Behaviour) {
        let counts = judged(behaviour);
        assert_eq!(counts.none, RUNS, "{counts:?}");
    }

    /// Every run of such memory is called leaking, by 1 KB to a tenth.
    #[track_caller]
    fn leaks_a_kilobyte(behaviour: Behaviour) {
        let counts = judged(behaviour);
        assert_eq!(counts.leaks, RUNS, "{counts:?}");
        assert!(counts.least > 0.9 * KB && counts.most < 1.1 * KB, "{counts:?}");
    }

    #[test]
    fn memory_that_only_varies_is_sound() {
        is_sound(QUIET);
        is_sound(Behaviour { noise: 2.0 * MB, ..QUIET });
        // Each reading has nine tenths of the deviation of the one before.
        is_sound(Behaviour { lasting: 100.0 * KB, left: 0.9, ..QUIET });
    }

    #[test]
    fn memory_that_is_taken_once_is_sound() {
        is_sound(Behaviour { step: 50.0 * MB, ..QUIET });
    }

    #[test]
    fn garbage_that_is_collected_is_sound() {
        // Every nine readings, and every eighteen.
        is_sound(Behaviour { garbage: 4.0 * MB, period: 0.03, ..QUIET });
        is_sound(Behaviour { garbage: 8.0 * MB, period: 0.06, ..QUIET });
    }

    #[test]
    fn a_cache_that_is_full_before_the_middle_is_sound() {
        is_sound(Behaviour { cache: 20.0 * MB, full_at: 0.2, ..QUIET });
        is_sound(Behaviour { cache: 20.0 * MB, full_at: 0.4, ..QUIET });
    }

    #[test]
    fn a_cache_that_fills_for_longer_is_never_a_leak() {
        let counts = judged(Behaviour { cache: 20.0 * MB, full_at: 0.6, ..QUIET });
        assert_eq!(counts.leaks, 0, "{counts:?}");
    }

    #[test]
    fn a_kilobyte_each_is_found_under_garbage_too() {
        leaks_a_kilobyte(Behaviour { leak: KB, ..QUIET });
        leaks_a_kilobyte(Behaviour { leak: KB, noise: MB, ..QUIET });
        leaks_a_kilobyte(Behaviour { leak: KB, garbage: 8.0 * MB, period: 0.03, ..QUIET });
        leaks_a_kilobyte(Behaviour { leak: KB, garbage: 8.0 * MB, period: 0.06, ..QUIET });
    }

    #[test]
    fn a_leak_that_begins_late_is_found() {
        for leaks_from in [0.5, 0.6, 0.7] {
            leaks_a_kilobyte(Behaviour { leak: KB, leaks_from, ..QUIET });
        }
    }

    #[test]
    fn a_leak_behind_a_cache_and_a_step_is_found() {
        let busy = Behaviour { step: 50.0 * MB, cache: 20.0 * MB, full_at: 0.2, ..QUIET };
        leaks_a_kilobyte(Behaviour { leak: KB, ..busy });
    }

    #[test]
    fn growth_below_the_threshold_is_sound() {
        is_sound(Behaviour { leak: 60.0, ..QUIET });
        let above = judged(Behaviour { leak: 120.0, ..QUIET });
        assert_eq!(above.leaks, RUNS, "{above:?}");
    }

    #[test]
    fn garbage_that_is_collected_once_or_twice_is_no_alarm() {
        // From two and a half collections in what is judged down to one and a quarter.
        for period in [0.3, 0.4, 0.5, 0.6] {
            let counts = judged(Behaviour { garbage: 8.0 * MB, period, ..QUIET });
            println!("garbage every {period} of a run: {} of {RUNS} called leaking", counts.leaks);
            // The aim is one run in a hundred: 2 of 200; 8 are four standard deviations more.
            assert!(counts.leaks <= 8, "{period}: {counts:?}");
        }
    }

    #[test]
    fn noise_that_outlasts_a_window_alarms_in_few_runs() {
        // Half of a deviation is left after 34 readings, and a window has 28: the test behind the interval is not exact.
        let counts = judged(Behaviour { lasting: MB, left: 0.98, ..QUIET });
        println!("noise that outlasts a window: {} of {RUNS} called leaking", counts.leaks);
        assert!(counts.leaks <= 20, "{counts:?}");
        // Of a tenth of that size it does not matter.
        is_sound(Behaviour { lasting: 100.0 * KB, left: 0.98, ..QUIET });
    }

    #[test]
    fn a_slope_by_hand() {
        // 32 samples of 100 operations each, 64 bytes more at each: 0.64 an operation. A quarter is left out.
        let judged = judge_samples(&samples((0..32).map(|n| 1000 + 64 * n)), 0.5);
        assert_eq!((judged.finding, judged.from), (LeakFinding::Leak { late: false }, 8));
        let slope = judged.slope.expect("has one");
        assert!([slope.estimate, slope.lower, slope.upper].iter().all(|slope| (slope - 0.64).abs() < 1e-12));
    }

    #[test]
    fn the_line_goes_through_the_lowest_readings() {
        // 64 bytes more at each hundred operations, and every second reading has a kilobyte of garbage on top.
        let readings = samples((0..32).map(|n| 1000 + 64 * n + 1024 * (n % 2)));
        let fitted = judge_samples(&readings, 0.5).fitted(&readings).expect("has a slope");
        assert_eq!(fitted.lowest.len(), WINDOWS);
        // The first reading is at 100 operations, and 1000 less 64 are left for none.
        assert!(
            (fitted.slope.estimate - 0.64).abs() < 1e-9 && (fitted.offset - 936.0).abs() < 1e-6,
            "{fitted:?}"
        );
        assert_eq!(LeakJudgement::without_slope(Doubt::TooLittle).fitted(&readings), None);
    }

    #[test]
    fn what_is_too_little_has_no_verdict() {
        let few = judge_samples(&samples((0..23).map(|n| 1000 * n)), 0.5);
        assert_eq!(few, LeakJudgement::without_slope(Doubt::TooLittle));
        // Enough readings, of a service that has done nothing.
        let mut idle = samples((0..32).map(|n| 1000 * n));
        for sample in &mut idle {
            sample.operations = 7;
        }
        assert_eq!(judge_samples(&idle, 0.5), LeakJudgement::without_slope(Doubt::TooLittle));
    }

    #[test]
    fn where_most_fails_nothing_is_judged() {
        let mut failing = record(samples((0..32).map(|_| 1000)));
        assert_eq!(judge(&failing).finding, LeakFinding::NoLeak);
        failing.succeeded = failing.ended * 94 / 100;
        assert_eq!(judge(&failing).finding, LeakFinding::Undecided(Doubt::FewSuccesses));
        assert_eq!(judge(&failing).verdict(), Verdict::Untrusted);
    }

    #[test]
    fn a_longer_run_is_advised_by_what_is_missing() {
        let slope = Slope { estimate: 60.0, lower: -100.0, upper: 180.0, confidence: 0.98 };
        // The upper end is 120 above 60, and the threshold 40: three times, and a fifth more.
        let times = times_needed(&slope, 100.0).expect("can be said");
        assert!((times - 3.6).abs() < 1e-12, "{times}");
        // Above the threshold, the lower end has to come above 0: 160 over 60.
        let times = times_needed(&slope, 50.0).expect("can be said");
        assert!((times - 3.2).abs() < 1e-12, "{times}");
        // Right at the threshold no length would do.
        assert_eq!(times_needed(&slope, 60.5), None);
    }
}
