//! The arguments of `leak`.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::Error;
use crate::ingester::{Subject, base_url};
use crate::load::{Model, Plan, Profile};
use crate::payload::Mix;
use crate::units::Bytes;

use super::super::export::ExportArgs;
use super::super::load::{GeneratorOptions, IngesterArgs};
use super::memory::{MemoryError, MemoryReader};

/// Seed of the files.
const SEED: u64 = 42;
/// Shortest run. At a reading every 150 ms it has 40, and 24 are needed.
const SHORTEST: Duration = Duration::from_secs(6);
/// Longest run.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

const EXAMPLES: &str = "\
Examples:
  ingester-perf leak                                            the stub, for 2 minutes: does it keep memory for uploads?
  INGESTER_FAULTS=leak=1KB ingester-perf leak --duration 1m     the stub with a leak of 1 KB an upload
  ingester-perf leak --duration 10m                             where ingester-perf.toml starts a service: its resident memory
  ingester-perf leak --url http://127.0.0.1:8020 --token-file token --pid $(pidof service)
  ingester-perf leak --url http://host:8020 --token-file token --gauge go_memstats_heap_alloc_bytes
  ingester-perf leak --url http://host:8020 --token-file token --gauge jvm_memory_used_bytes --metrics-url http://host:9090/metrics
  ingester-perf leak --replay target/performance_reports/leak.json --threshold 10KB

Exit codes: 0 no leak, 1 a leak, 2 could not measure, 3 undecided: a longer run is needed, and how long, 130 and 143
interrupted, with a partial report.
How it is judged, and how often it is wrong: docs/leak.md.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct LeakArgs {
    #[command(flatten)]
    pub ingester: IngesterArgs,
    #[command(flatten)]
    pub steady: SteadyArgs,
    #[command(flatten)]
    pub memory: MemoryArgs,
    #[command(flatten)]
    pub outcome: LeakOutcomeArgs,
}

/// The load, which stays the same.
#[derive(clap::Args)]
#[command(next_help_heading = "Load")]
pub struct SteadyArgs {
    /// How long to load, from 6s on
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub duration: Duration,
    /// So many users, each of whom waits for an answer before sending again
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub users: u32,
    /// Size of each file
    #[arg(long, value_name = "SIZE", default_value = "10KB")]
    pub file_size: Bytes,
}

/// Whose memory is read, and how.
#[derive(clap::Args)]
#[command(next_help_heading = "Memory")]
pub struct MemoryArgs {
    /// A figure in bytes that the service tells in the text format of Prometheus [default: resident memory of --pid, or of
    /// the service where this command starts it]
    #[arg(long, value_name = "NAME", conflicts_with = "pid")]
    gauge: Option<String>,
    /// Where it tells that [default: /metrics below the ingester's URL]
    #[arg(long, value_name = "URL", requires = "gauge")]
    metrics_url: Option<String>,
}

/// What becomes of it.
#[derive(clap::Args)]
#[command(next_help_heading = "Outcome")]
pub struct LeakOutcomeArgs {
    /// Growth for each upload from which it is called a leak [default: 100B for the stub, 1KB for other memory]
    #[arg(long, value_name = "SIZE")]
    pub threshold: Option<Bytes>,
    /// Folder for reports [default: INGESTER_REPORT_DIR, or target/performance_reports]
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<String>,
    /// Judge the samples of this report (leak.json) again; measures nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "token_file", "private_key", "token_url", "timeout",
          "max_bytes", "placement", "pid", "network", "even_if_failing", "http2", "threads", "duration", "users", "file_size",
          "gauge", "metrics_url"])]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub export: ExportArgs,
}

impl LeakArgs {
    /// What is sent, and by what means.
    pub fn generator_options(&self) -> GeneratorOptions {
        GeneratorOptions {
            file: None,
            mix: Mix::only(self.steady.file_size),
            seed: SEED,
            http: self.ingester.http(),
            threads: self.ingester.threads,
            pid: self.ingester.pid,
        }
    }
}

impl SteadyArgs {
    /// The same number of users from the beginning to the end. Warming up is left to the judgement, which sees it.
    pub fn plan(&self) -> Plan {
        let users = Profile::constant(f64::from(self.users), self.duration);
        let model = Model::Closed { users, requests: None, think: Duration::ZERO };
        Plan { seed: SEED, ..Plan::new(model) }
    }
}

/// Whose memory is read.
pub enum MemorySource {
    /// That of the stub, which this command starts.
    Stub,
    /// That of the service, which this command starts.
    Started,
    /// That of something else, which can be read already.
    Known(MemoryReader),
    /// What the service tells at its own URL under this name.
    Gauge(String),
}

impl MemoryArgs {
    /// Whose memory is to be read where this is measured. An error, before anything is started, where nothing says so, or
    /// where it cannot be read.
    pub fn source(&self, subject: &Subject, pid: Option<u32>) -> Result<MemorySource, Error> {
        let metrics_url =
            self.metrics_url.as_deref().map(|text| base_url("--metrics-url", text)).transpose()?;
        match (subject, pid, &self.gauge) {
            (Subject::Stub, Some(_), _) => Err(of_a_service("--pid")),
            (Subject::Stub, None, Some(_)) => Err(of_a_service("--gauge")),
            (Subject::Stub, None, None) => Ok(MemorySource::Stub),
            (_, Some(pid), _) => known(MemoryReader::of_process(pid)),
            (_, None, Some(name)) => match metrics_url {
                Some(url) => known(MemoryReader::of_gauge(name, &url)?),
                None => Ok(MemorySource::Gauge(name.clone())),
            },
            (Subject::Command { .. }, None, None) => Ok(MemorySource::Started),
            (_, None, None) => Err(Error::Setting {
                name: "leak",
                problem: "whose memory is to be read? Add --pid PID for a service on this machine, or --gauge NAME for one \
                          that tells its memory at /metrics; see ingester-perf leak --help"
                    .to_owned(),
            }),
        }
    }
}

/// A reader that has read once.
fn known(reader: MemoryReader) -> Result<MemorySource, Error> {
    reader.read().map_err(MemoryError::into_error)?;
    Ok(MemorySource::Known(reader))
}

fn of_a_service(name: &'static str) -> Error {
    let problem = "is for a service of yours; without --url, or ingester-perf.toml, the stub is measured, whose live bytes are read";
    Error::Setting { name, problem: problem.to_owned() }
}

fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| (SHORTEST..=LONGEST).contains(time));
    time.ok_or_else(|| "write a time from 6s to 7d with its unit, like 30s or 2m".to_owned())
}

/// Where a service tells its figures unless told otherwise.
pub fn default_metrics_url(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/metrics", base.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_room_for_enough_readings() {
        assert_eq!(duration("6s"), Ok(Duration::from_secs(6)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for text in ["5s", "8d", "soon", "10"] {
            assert!(duration(text).expect_err(text).contains("from 6s to 7d"));
        }
    }

    #[test]
    fn metrics_lie_below_the_base() {
        for (base, metrics) in [("http://h:1", "http://h:1/metrics"), ("http://h/in/", "http://h/in/metrics")]
        {
            assert_eq!(default_metrics_url(&base.parse().expect(base)).as_str(), metrics);
        }
    }
}
