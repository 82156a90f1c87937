//! When requests begin, as arguments say.

use std::time::Duration;

use crate::Error;
use crate::load::{Arrivals, Closed, ENDLESS, Model, Plan, Profile, Stage};
use crate::units::Bytes;
use clap::ValueEnum;

/// When requests begin.
#[derive(clap::Args)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArgs {
    /// normal: 10 users, 100 uploads of 100 KB; high: 50, 500 of 50 KB; stress: 1, 2, 5, 10 and so on to 1000 users;
    /// capacity: the highest rate that holds the limits of capacity in the targets' file, or those of --find
    #[arg(long, conflicts_with_all = ["users", "rate", "stages", "requests"])]
    pub preset: Option<Preset>,
    /// Users of the first step of a stress run [default: 1]; of a search, uploads a second [default: half of what one user
    /// would send]
    #[arg(long, value_name = "N", conflicts_with_all = ["users", "rate", "stages"],
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub from: Option<u32>,
    /// Users that a stress run goes up to [default: 1000]; of a search, the highest rate that is tried [default: none]
    #[arg(long, value_name = "N", conflicts_with_all = ["users", "rate", "stages"],
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub to: Option<u32>,
    /// Users that each step of a stress run adds [default: 1, 2, 5, 10 and so on]
    #[arg(long, value_name = "N", conflicts_with_all = ["users", "rate", "stages"],
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub step: Option<u32>,
    /// So many users, each of whom waits for an answer before sending again
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "stages"],
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: Option<u32>,
    /// End after so many uploads
    #[arg(long, value_name = "N", requires = "users", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// So many uploads a second, whether answered or not
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "stages", requires = "duration",
          value_parser = rate, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// How arrivals are spread [default: constant; of a search, poisson]
    #[arg(long, conflicts_with = "users")]
    arrivals: Option<ArrivalsArg>,
    /// A level, or a ramp, and its time, like 50:2m or 0..50:30s; can be given several times. Users, or, with --arrivals,
    /// uploads a second
    #[arg(long = "stage", value_name = "LEVEL:TIME")]
    stages: Vec<Stage>,
    /// End after this time; of a stress run or a search, the time of a step
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "stages")]
    pub duration: Option<Duration>,
    /// Pause of a user between an answer and the next upload
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time, conflicts_with_all = ["rate", "arrivals"])]
    pub think: Duration,
    /// Load for this long before anything is recorded
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    pub warm_up: Duration,
    /// How long uploads under way may take to end once the last one has begun, besides what --network takes for one
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    grace: Duration,
    /// Most uploads under way at once with --rate; what is due beyond that is late [default: 10000, or as many as there
    /// are descriptors for]
    #[arg(long, value_name = "N", conflicts_with = "users", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub at_once: Option<u32>,
    /// Seed of arrivals, of the mix, and of files
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// Run so many times, and report the run with the median p95
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// Shell command to run between repeats, outside measured time
    #[arg(long, value_name = "COMMAND")]
    pub cleanup: Option<String>,
}

/// What the earlier suite ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    Normal,
    High,
    Stress,
    Capacity,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ArrivalsArg {
    Constant,
    Poisson,
}

impl From<ArrivalsArg> for Arrivals {
    fn from(arrivals: ArrivalsArg) -> Self {
        match arrivals {
            ArrivalsArg::Constant => Self::Constant,
            ArrivalsArg::Poisson => Self::Poisson,
        }
    }
}

impl Preset {
    /// Users and uploads, where both are fixed, with the size of each file.
    pub fn scenario(self) -> Option<(Closed, Bytes)> {
        match self {
            Self::Normal => Some((Closed { users: 10, requests: 100 }, Bytes::kb(100))),
            Self::High => Some((Closed { users: 50, requests: 500 }, Bytes::kb(50))),
            Self::Stress | Self::Capacity => None,
        }
    }

    /// What reports and targets call it.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Normal => "concurrent_upload_10",
            Self::High => "concurrent_upload_50",
            Self::Stress => "stress",
            Self::Capacity => super::search::OPERATION,
        }
    }
}

impl ScheduleArgs {
    /// What the arguments ask for.
    pub fn plan(&self) -> Result<Plan, Error> {
        Ok(self.with(self.model()?))
    }

    /// So many users for so long, and all else as asked for.
    pub fn of_users(&self, users: u32, lasting: Duration) -> Plan {
        self.with(self.closed(Profile::constant(f64::from(users), lasting), None))
    }

    /// So many requests a second for so long, as independent users would send them unless told otherwise: arrivals in equal
    /// steps never queue below saturation, which no service meets. Every step has random numbers of its own.
    pub fn of_rate(&self, rate: f64, lasting: Duration, step: u64) -> Plan {
        let arrivals = self.arrivals.map_or(Arrivals::Poisson, Arrivals::from);
        let plan = self.with(Model::Open { rate: Profile::constant(rate, lasting), arrivals });
        Plan { seed: self.seed.wrapping_add(step), ..plan }
    }

    fn with(&self, model: Model) -> Plan {
        let plan = Plan::new(model);
        let at_once = self.at_once.map_or(plan.at_once, |n| n as usize);
        Plan { seed: self.seed, warm_up: self.warm_up, grace: self.grace, at_once, ..plan }
    }

    fn closed(&self, users: Profile, requests: Option<u64>) -> Model {
        Model::Closed { users, requests, think: self.think }
    }

    fn open(&self, rate: Profile) -> Model {
        Model::Open { rate, arrivals: self.arrivals.map_or(Arrivals::Constant, Arrivals::from) }
    }

    fn model(&self) -> Result<Model, Error> {
        let lasting = self.duration.unwrap_or(ENDLESS);
        if let Some((Closed { users, requests }, _)) = self.preset.and_then(Preset::scenario) {
            return Ok(self.closed(Profile::constant(f64::from(users), lasting), Some(requests)));
        }
        // clap refuses two of them together, so the order of these does not matter.
        match (self.users, self.rate, self.stages.as_slice()) {
            (Some(_), _, _) if self.requests.is_none() && self.duration.is_none() => {
                Err(wrong("--users", "when do they end? Add --requests N or --duration TIME"))
            }
            (Some(users), _, _) => {
                Ok(self.closed(Profile::constant(f64::from(users), lasting), self.requests))
            }
            (None, Some(rate), _) => Ok(self.open(Profile::constant(rate, lasting))),
            (None, None, []) => Err(wrong(
                "load",
                "how much? Give --users, --rate, --stage or --preset; see ingester-perf load --help",
            )),
            (None, None, stages) => {
                let profile = Profile::new(stages.to_vec());
                if profile.most() <= 0.0 {
                    return Err(wrong("--stage", "nothing ever happens at level 0"));
                }
                // A stage's level may be users or requests a second; arrivals are what only the latter have.
                Ok(if self.arrivals.is_some() { self.open(profile) } else { self.closed(profile, None) })
            }
        }
    }
}

fn wrong(name: &'static str, problem: &str) -> Error {
    Error::Setting { name, problem: problem.to_owned() }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| *time <= ENDLESS);
    time.ok_or_else(|| "write a time with its unit, like 30s, 500ms or 2m".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 1e6);
    rate.ok_or_else(|| "write a number above 0, up to 1000000".to_owned())
}
