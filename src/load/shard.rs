//! Shards: generators on several machines that perform one schedule between them. Which of them performs a request follows
//! from the request's index, so they need not talk to each other.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::schedule::{Arrivals, Stream, random};

/// Most shards of a run: beyond it, each would spend its time on finding its own requests.
const MOST: u32 = 100_000;

/// One part of a schedule that is cut into several: its index, from 0, and how many there are. As text, `3/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    index: u32,
    of: u32,
}

/// Error for what is not a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAShard {
    /// Not two numbers.
    #[error("\"{0}\" is not a valid shard; write its index and how many there are, like 0/4")]
    Text(String),
    /// No run has so many.
    #[error("{0} is not a valid number of shards; there can be 1 to {most}", most = MOST)]
    Number(u32),
    /// No run has one of this index.
    #[error("there is no shard {index}/{of}; they are counted from 0, so the last one is {last}/{of}", last = of - 1)]
    Index {
        /// The index.
        index: u32,
        /// How many there are.
        of: u32,
    },
}

impl Shard {
    /// All of a schedule.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The shard of this index, of so many.
    pub fn new(index: u32, of: u32) -> Result<Self, NotAShard> {
        if !(1..=MOST).contains(&of) {
            return Err(NotAShard::Number(of));
        }
        if index >= of {
            return Err(NotAShard::Index { index, of });
        }
        Ok(Self { index, of })
    }

    /// Its index, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many shards there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether there is no other.
    pub fn is_whole(&self) -> bool {
        self.of == 1
    }

    /// How many of so many things are its own, where they are dealt out in turn.
    pub fn part_of(self, n: u64) -> u64 {
        n.saturating_sub(u64::from(self.index)).div_ceil(u64::from(self.of))
    }

    /// Whether the arrival of this index is its own.
    ///
    /// Each arrival of a Poisson process is dealt out by a random number of its own: so every part is a Poisson process again,
    /// and parts do not depend on each other (Kingman, Poisson Processes, 1993, section 5.1). Dealt out in turn, they would
    /// have Erlang-distributed gaps. Even arrivals are dealt out in turn, which leaves the parts even.
    pub(super) fn has_arrival(self, arrivals: Arrivals, seed: u64, index: u64) -> bool {
        if self.is_whole() {
            return true;
        }
        let drawn = match arrivals {
            Arrivals::Constant => index,
            Arrivals::Poisson => random(seed, Stream::Shard, index).random::<u64>(),
        };
        drawn % u64::from(self.of) == u64::from(self.index)
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = NotAShard;

    fn from_str(text: &str) -> Result<Self, NotAShard> {
        let Some((index, of)) = text.split_once('/') else { return Err(NotAShard::Text(text.to_owned())) };
        let (Ok(index), Ok(of)) = (index.trim().parse(), of.trim().parse()) else {
            return Err(NotAShard::Text(text.to_owned()));
        };
        Self::new(index, of)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = NotAShard;

    fn try_from(text: String) -> Result<Self, NotAShard> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::job::Share;
    use super::super::plan::{Model, Plan};
    use super::super::profile::{Profile, Stage};
    use super::super::schedule::Schedule;
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    /// A request: its index, and when it is due.
    type Due = (u64, Duration);

    /// Everything that the workers of one shard perform, each request in 10 ms.
    fn performed(plan: &Plan, workers: usize) -> Vec<Due> {
        let mut all = Vec::new();
        for worker in 0..workers {
            let mut queue = plan.queue(Share { shard: plan.shard, worker, workers });
            while let Some(due) = queue.next_due() {
                let job = queue.take(due).expect("is due");
                all.push((job.index, job.due));
                queue.ended(job, due + Duration::from_millis(10), Duration::ZERO);
            }
        }
        all
    }

    /// A plan drawn by this number: of both models, with one to three stages, and users that end by time or by requests.
    fn drawn(number: u64) -> Plan {
        let mut rng = random(number, Stream::Mix, 0);
        let mut stages = Vec::new();
        for _ in 0..rng.random_range(1..=3_u32) {
            let from = f64::from(rng.random_range(0..40_u32));
            let to = f64::from(rng.random_range(1..40_u32));
            stages.push(Stage { from, to, lasting: Duration::from_millis(rng.random_range(200..3_000)) });
        }
        let level = Profile::new(stages);
        let model = match number % 4 {
            0 => Model::Open { rate: level, arrivals: Arrivals::Constant },
            1 => Model::Open { rate: level, arrivals: Arrivals::Poisson },
            2 => Model::Closed { users: level, requests: None, think: Duration::from_millis(30) },
            _ => Model::Closed {
                users: level,
                requests: Some(rng.random_range(1..500)),
                think: Duration::ZERO,
            },
        };
        Plan { seed: rng.random(), ..Plan::new(model) }
    }

    #[test]
    fn shards_joined_are_the_one_schedule_each_request_once() {
        for number in 0..12 {
            let plan = drawn(number);
            let mut whole = performed(&plan, 1);
            whole.sort_unstable();
            for of in 1..=16 {
                let mut joined = Vec::new();
                for index in 0..of {
                    let shard = Shard::new(index, of).expect("is one");
                    // Workers and shards are both dealt to, and must not get into each other's way.
                    joined.extend(performed(&Plan { shard, ..plan.clone() }, 1 + (index as usize + 1) % 3));
                }
                joined.sort_unstable();
                assert_eq!(joined, whole, "{number}, {of} shards: {plan:?}");
            }
        }
    }

    #[test]
    fn a_shards_requests_are_known_in_advance_where_they_are_fixed() {
        let users = Profile::constant(5.0, S(1_000));
        let plan = Plan::new(Model::Closed { users, requests: Some(17), think: Duration::ZERO });
        let mut counts = Vec::new();
        for index in 0..2 {
            let shard = Shard::new(index, 2).expect("is one");
            let plan = Plan { shard, ..plan.clone() };
            assert_eq!(plan.requests(), Some(performed(&plan, 2).len() as u64));
            counts.push((plan.requests(), plan.connections()));
        }
        // Of the requests 0 to 16, users 0 and 1 have four each, and users 2, 3 and 4 three.
        assert_eq!(counts, [(Some(10), 3), (Some(7), 2)]);
    }

    /// The largest distance between the gaps of these arrivals and the exponential distribution with this rate a second, times
    /// the root of their number (Kolmogorov and Smirnov).
    fn distance_from_exponential(at: &[f64], rate: f64) -> f64 {
        let mut gaps: Vec<f64> = at.windows(2).map(|pair| rate * (pair[1] - pair[0])).collect();
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        let mut most: f64 = 0.0;
        for (gap, rank) in gaps.iter().zip(1..) {
            most = most.max((1.0 - (-gap).exp() - f64::from(rank) / n).abs());
        }
        most * n.sqrt()
    }

    /// The arrivals of a shard: 2,000 on average.
    fn arrivals(shard: Shard, arrivals: Arrivals, seed: u64) -> Vec<f64> {
        let rate = Profile::constant(1_000.0, S(2 * u64::from(shard.of())));
        let schedule = Schedule::new(rate, arrivals, seed);
        let own = schedule.filter(|(index, _)| shard.has_arrival(arrivals, seed, *index));
        own.map(|(_, at)| at.as_secs_f64()).collect()
    }

    #[test]
    fn each_part_of_a_poisson_schedule_is_one_again() {
        // Exceeded once in a million samples that are exponential: the root of ln(2e6) / 2.
        let limit = 2.69;
        for of in [2, 5, 16] {
            let rate = 1_000.0 / f64::from(of);
            for index in 0..of {
                let shard = Shard::new(index, of).expect("is one");
                let at = arrivals(shard, Arrivals::Poisson, 7);
                // 2,000 with a standard deviation of their root, 45.
                assert!((at.len() as f64 - 2_000.0).abs() < 225.0, "{shard}: {}", at.len());
                let distance = distance_from_exponential(&at, rate);
                assert!(distance < limit, "{shard}: {distance}");
            }
            // The test can tell: the same process dealt out in turn is not Poisson. Of two parts, its distance is 0.139 times the
            // root of 2,000, 6.2 (Erlang distribution of two stages); of more it is larger.
            let schedule =
                Schedule::new(Profile::constant(1_000.0, S(2 * u64::from(of))), Arrivals::Poisson, 7);
            let in_turn: Vec<f64> = schedule.step_by(of as usize).map(|(_, at)| at.as_secs_f64()).collect();
            let distance = distance_from_exponential(&in_turn, rate);
            assert!(distance > 1.5 * limit, "{of} in turn: {distance}");
        }
    }

    #[test]
    fn even_arrivals_stay_even_in_every_part() {
        let shard = Shard::new(2, 4).expect("is one");
        let at = arrivals(shard, Arrivals::Constant, 7);
        assert_eq!(at.len(), 2_000);
        for (at, turn) in at.iter().zip(0..) {
            // Every fourth of 1,000 a second, from the third one on: 2 ms, 6 ms, 10 ms and so on.
            let expected = 0.002 + 0.004 * f64::from(turn);
            assert!((at - expected).abs() < 2e-9, "{turn}: {at}");
        }
    }

    #[test]
    fn a_shard_is_written_as_it_is_read() {
        for text in ["0/1", "0/4", "3/4", "99999/100000"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()), Ok(text.to_owned()));
        }
        for (text, says) in [
            ("", "write its index and how many there are"),
            ("3", "like 0/4"),
            ("-1/4", "is not a valid shard"),
            ("4/4", "counted from 0, so the last one is 3/4"),
            ("0/0", "0 is not a valid number of shards"),
            ("0/100001", "there can be 1 to 100000"),
        ] {
            let error = text.parse::<Shard>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let shard: Shard = serde_json::from_str("\"3/16\"").expect("is one");
        assert_eq!(serde_json::to_string(&shard).expect("serialises"), "\"3/16\"");
        assert!(serde_json::from_str::<Shard>("\"16/16\"").is_err());
    }
}
