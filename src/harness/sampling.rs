//! How many samples, and how long: chosen here, unless the command line says otherwise.

use std::time::Duration;

use super::args::{Args, Mode};

/// The machine's speed stays the same for seconds and then changes; samples have to be spread over many such spells.
const LOCAL: Sampling = Sampling {
    samples: 100,
    warm_up: Duration::from_secs(1),
    measurement: Duration::from_secs(16),
    pause: Duration::ZERO,
};
/// Time over which the samples of one bench are spread at least, pauses included.
const SPREAD: Duration = Duration::from_secs(36);
/// A real ingester takes tens of milliseconds an upload: fewer samples, and what is stored there costs.
const REMOTE: Sampling = Sampling {
    samples: 20,
    warm_up: Duration::from_secs(1),
    measurement: Duration::from_secs(10),
    pause: Duration::ZERO,
};
/// The fewest that Criterion takes.
const FEWEST_SAMPLES: usize = 10;
/// Above this, an iteration is slow and gets the fewest samples.
const SLOW: Duration = Duration::from_secs(1);

/// Changes below this share count as noise. From `docs/noise.md`: measured, not chosen.
pub const NOISE_THRESHOLD: f64 = 0.15;

/// Criterion's three settings of that name, and a pause of ours before each sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    pub samples: usize,
    pub warm_up: Duration,
    pub measurement: Duration,
    pub pause: Duration,
}

impl Sampling {
    /// For the stub, where so many cases take turns.
    pub fn local(args: &Args, cases: u32) -> Self {
        // The cases take turns, so each has the time of all of them. A bench with few cases is over within a spell or two
        // of the machine; pauses make up for that (docs/noise.md).
        let busy = LOCAL.measurement * cases;
        let pause = SPREAD.saturating_sub(busy) / (LOCAL.samples as u32 * cases);
        // Who says how long to measure means the whole of it.
        let pause = if args.measurement.is_some() || args.is_quick() { Duration::ZERO } else { pause };
        Self { pause, ..LOCAL }.overridden(args)
    }

    /// For a real ingester whose iterations take about `iteration`; within `allowed` iterations if possible.
    pub fn remote(args: &Args, iteration: Duration, allowed: u64) -> Self {
        let samples = if iteration > SLOW { FEWEST_SAMPLES } else { REMOTE.samples };
        // Half of what is allowed: the estimate is one upload's, and Criterion rounds up.
        let affordable = iteration.saturating_mul(u32::try_from(allowed / 2).unwrap_or(u32::MAX));
        let measurement = REMOTE.measurement.min(affordable).max(Duration::from_millis(1));
        let warm_up = REMOTE.warm_up.min(measurement / 4);
        Self { samples, warm_up, measurement, ..REMOTE }.overridden(args)
    }

    /// The fewest iterations that will run: one to warm up and one a sample, or a single one as a test.
    pub fn fewest(args: &Args) -> u64 {
        match args.mode {
            Mode::Measure => 1 + args.samples.unwrap_or(FEWEST_SAMPLES) as u64,
            _ => 1,
        }
    }

    /// About how many iterations Criterion will run: its warm-up doubles until its time is over, then every sample
    /// has the same number, at least one.
    pub fn iterations(&self, iteration: Duration) -> u64 {
        // 1 + 2 + 4 + ... iterations: the last of these may begin just before the time is over, so twice as many run as fit.
        let warm_up = (2.0 * fitting(self.warm_up, iteration)).ceil().max(1.0);
        let sample = (fitting(self.measurement, iteration) / self.samples as f64).ceil().max(1.0);
        (warm_up + sample * self.samples as f64) as u64
    }

    /// What the command line says in place of what was chosen.
    fn overridden(self, args: &Args) -> Self {
        Self {
            samples: args.samples.unwrap_or(self.samples),
            warm_up: args.warm_up.unwrap_or(self.warm_up),
            measurement: args.measurement.unwrap_or(self.measurement),
            pause: self.pause,
        }
    }
}

/// How many iterations fit into a time.
fn fitting(time: Duration, iteration: Duration) -> f64 {
    // An iteration that no clock could measure must not divide by zero.
    time.as_secs_f64() / iteration.as_secs_f64().max(1e-9)
}
