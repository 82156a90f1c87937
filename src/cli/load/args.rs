//! The arguments of `load`.

use std::path::PathBuf;

use crate::Error;
use crate::case::{FLOW_OPERATION, Suite};
use crate::client::Http;
use crate::config::Config;
use crate::ingester::{Flag, Settings};
use crate::load::AbortRule;
use crate::payload::Mix;
use crate::targets::Limit;
use crate::units::Bytes;

use super::super::export::ExportArgs;
use super::flow::keeping_files;
use super::generator::GeneratorOptions;
use super::live::LiveArgs;
use super::schedule::{Preset, ScheduleArgs};
use super::search::{OPERATION, SearchArgs, target};
use super::sharding::ShardArgs;

const EXAMPLES: &str = "\
Examples:
  ingester-perf load --preset normal                            10 users, 100 uploads, against the stub
  ingester-perf load --users 50 --duration 30s --file-size 50KB
  ingester-perf load --rate 200 --arrivals poisson --duration 30s --mix 10KB=70,1MB=25,10MB=5
  ingester-perf load --stage 0..50:30s --stage 50:2m --stage 50..200:1m          users; with --arrivals, requests a second
  ingester-perf load --preset stress                            1, 2, 5 ... 1000 users, until a target breaks
  ingester-perf load --find p99_ms=500 --find success_rate_pct=99.9         the highest rate that holds (docs/capacity.md)
  ingester-perf load --find p99_ms=500 --url http://old:8020 --compare-url http://new:8020 --token-file token
  ingester-perf load --rate 50 --duration 1h --abort-on p99_ms=2000,after=30s --abort-on success_rate_pct=99
  ingester-perf load --url http://127.0.0.1:8020 --token-file token --rate 50 --duration 1m --target p99_ms=500
  ingester-perf load --url http://127.0.0.1:8020 --token-file token --rate 50 --duration 1m --pid $(pgrep -f my-service)
  ingester-perf load --users 10 --requests 100 --file-size 1MB --network 4g      as users on phones (docs/network.md)
  INGESTER_FAULTS=status=503,share=5% ingester-perf load --users 10 --requests 1000        the stub, failing (docs/faults.md)
  ingester-perf load --users 10 --duration 10s --mix 10KB=9,10MB=1 --phases      what the token check, the hash ... take
  ingester-perf load --users 10 --duration 30s --profile        where the CPU time goes: a flame graph beside the report
  ingester-perf load --flow --users 10 --duration 30s           upload, finalize, wait, read back: each step timed (docs/flow.md)
  ingester-perf load --rate 50 --duration 10m --live 127.0.0.1:8099              a page that shows it (docs/live.md)
  ingester-perf load --rate 50 --duration 10m --metrics-addr 127.0.0.1:9464 --baseline reports/load.json
  ingester-perf load --rate 50 --duration 1m --push-url http://127.0.0.1:9090/api/v1/write    into Prometheus
  ingester-perf load --replay target/performance_reports/load.run.json --target p99_ms=400 --export markdown=load.md
  ingester-perf load --preset normal --export junit=load.xml    targets as tests of a CI (docs/pages.md)
  ingester-perf load --rate 8000 --duration 1m --shards 4       four processes on this machine, and one report
  srun -n 16 ingester-perf load --url URL --rate 80000 --duration 1m --shard env --start-at \"$START\" --out shards
  ingester-perf load merge shards --target p95_ms=100           one report of what sixteen machines measured (docs/scale.md)

Exit codes: 0 measured and every target held, 1 a target was missed, or the service at --compare-url holds less, 2 could
not measure, 3 the generator did not keep up, a shard is missing, or a search has no answer: not to be trusted, 130 and
143 interrupted, with a partial report.
How latencies are measured, and what proves them: docs/load.md.";

const MERGE_EXAMPLES: &str = "\
Examples:
  ingester-perf load merge target/performance_reports
  ingester-perf load merge shards/*.run.json --target p95_ms=100 --export html=load.html --export junit=load.xml
  ingester-perf load merge s3://bucket/run-7                    with credentials from the environment, as AWS's tools have them

Counts and histograms are added exactly, and targets are judged afterwards. A shard that is missing, doubled, of another
run, interrupted, or not to be trusted by itself is named, and the exit code is 3. Each shard's own figures:
ingester-perf load --replay FILE.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct LoadArgs {
    #[command(subcommand)]
    pub command: Option<LoadCommand>,
    #[command(flatten)]
    pub ingester: IngesterArgs,
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    #[command(flatten)]
    pub search: SearchArgs,
    #[command(flatten)]
    pub sharding: ShardArgs,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub live: LiveArgs,
    #[command(flatten)]
    pub outcome: OutcomeArgs,
}

/// What there is to do besides loading.
#[derive(clap::Subcommand)]
pub enum LoadCommand {
    /// Put the run files of all shards of a run together, and report the run
    Merge(MergeArgs),
}

/// The arguments of `load merge`.
#[derive(clap::Args)]
#[command(after_help = MERGE_EXAMPLES)]
pub struct MergeArgs {
    /// Run files of shards, folders of them, or places in object stores, like s3://bucket/prefix
    #[arg(required = true, value_name = "PATH|URL")]
    pub paths: Vec<String>,
    /// File that has the targets [default: INGESTER_CONFIG, or ingester-perf.toml here or above]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A limit in place of one in the targets' file, like p95_ms=100; can be given several times
    #[arg(long = "target", value_name = "METRIC=LIMIT", value_parser = target)]
    pub targets: Vec<Limit>,
    /// Folder for reports [default: INGESTER_REPORT_DIR, or target/performance_reports]
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
    #[command(flatten)]
    pub export: ExportArgs,
}

/// What is loaded, and by what means.
#[derive(clap::Args)]
#[command(next_help_heading = "Ingester")]
pub struct IngesterArgs {
    /// File that says what is loaded, and how to speak to it [default: INGESTER_CONFIG, or ingester-perf.toml here or above]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Base URL of a running ingester [default: INGESTER_URL, or what the file says, or the stub in this process]
    #[arg(long)]
    url: Option<String>,
    /// File with a bearer token [default: INGESTER_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// RSA key to mint tokens with [default: INGESTER_PRIVATE_KEY]
    #[arg(long, value_name = "FILE")]
    private_key: Option<String>,
    /// Route that gives tokens for INGESTER_CLIENT_ID and INGESTER_CLIENT_SECRET [default: INGESTER_TOKEN_URL]
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// Time limit of one upload, besides what --network takes for it [default: INGESTER_TIMEOUT, or 30s]
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Most bytes sent to a real ingester [default: INGESTER_MAX_BYTES, or 2GB]
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<String>,
    /// Which threads run where: split or none [default: INGESTER_PLACEMENT, or split]
    #[arg(long)]
    placement: Option<String>,
    /// Process of the ingester, if it runs on this machine already: what it and its children use is told (CPU, memory,
    /// descriptors, disks). Of the stub and of a service that is started for the run it is told anyway. Linux only
    // The largest id that Linux gives (PID_MAX_LIMIT) is 2^22.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pub pid: Option<u32>,
    /// Simulated network between each user and the ingester: slow-3g, lossy, 3g, dsl, 4g, lte, or
    /// RTT,UP,DOWN[,JITTER[,LOSS]] like 100ms,1mbit,10mbit [default: INGESTER_NETWORK, or none]
    #[arg(long)]
    network: Option<String>,
    /// Load though both uploads of the look before failed alike
    #[arg(long)]
    even_if_failing: bool,
    /// Speak HTTP/2
    #[arg(long)]
    http2: bool,
    /// Threads of the generator [default: one a core, but for one where the ingester runs here too]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// What is sent.
#[derive(clap::Args)]
#[command(next_help_heading = "Files")]
pub struct FileArgs {
    /// Size of each file [default: 100KB]
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["mix", "file"])]
    file_size: Option<Bytes>,
    /// Sizes with weights, like 10KB=70,1MB=25,10MB=5
    #[arg(long, conflicts_with = "file")]
    mix: Option<Mix>,
    /// Send this file
    #[arg(long)]
    file: Option<PathBuf>,
    /// Go on after each upload, as [flow] in ingester-perf.toml says: finalize, wait until it is ready, read back and compare.
    /// Each step is timed, and its figures stand beside those of the whole
    #[arg(long)]
    pub flow: bool,
}

/// What becomes of it.
#[derive(clap::Args)]
#[command(next_help_heading = "Outcome")]
pub struct OutcomeArgs {
    /// Name of the operation in reports, and of their files [default: that of the preset, or load; with --flow, flow; of a
    /// search, capacity]
    #[arg(long)]
    pub name: Option<String>,
    /// A limit in place of one in the targets' file, like p95_ms=100; can be given several times
    #[arg(long = "target", value_name = "METRIC=LIMIT", value_parser = target)]
    pub targets: Vec<Limit>,
    /// End the run once this limit is lost: when every second of the last 10 s has missed it, or of another time, as in
    /// p99_ms=500,after=30s; a success rate also when it cannot be reached any more. Uploads under way are waited for; can be
    /// given several times
    #[arg(long, value_name = "METRIC=LIMIT", conflicts_with = "finds")]
    pub abort_on: Vec<AbortRule>,
    /// Time the phases of each upload in the stub (token check, hash, storage and so on), and report their shares by file
    /// size; for the stub in this process
    #[arg(long)]
    pub phases: bool,
    /// Sample where the CPU time of generator and stub goes, warming up left out, and draw it beside the report; Linux only
    #[arg(long)]
    pub profile: bool,
    /// Folder for reports [default: INGESTER_REPORT_DIR, or target/performance_reports]
    #[arg(long, value_name = "DIR")]
    report_dir: Option<String>,
    /// Report this record (NAME.run.json) again, held against the targets of now; measures nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "token_file", "private_key", "token_url", "timeout",
          "max_bytes", "placement", "pid", "network", "even_if_failing", "http2", "threads", "preset", "from", "to", "step", "users",
          "requests", "rate", "arrivals", "stages", "duration", "think", "warm_up", "grace", "at_once", "seed", "repeat",
          "cleanup", "file_size", "mix", "file", "flow", "name", "phases", "profile", "live", "metrics_addr", "push_url",
          "baseline", "shard", "shards", "start_at", "out", "finds", "compare_url", "find_steps", "abort_on"])]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub export: ExportArgs,
}

impl IngesterArgs {
    /// Flags before environment variables, and these before the file. `report_dir` is what was given as such.
    pub fn settings(
        &self,
        report_dir: &Option<String>,
        config: &Config,
        suite: &Suite,
    ) -> Result<Settings, Error> {
        self.settings_at(flag("--url", "INGESTER_URL", &self.url), report_dir, config, suite)
    }

    /// The same for the service of this flag.
    fn settings_at(
        &self,
        url: Flag,
        report_dir: &Option<String>,
        config: &Config,
        suite: &Suite,
    ) -> Result<Settings, Error> {
        let even_if_failing = if self.even_if_failing { Some("1".to_owned()) } else { None };
        let flags = [
            url,
            flag("--token-file", "INGESTER_TOKEN_FILE", &self.token_file),
            flag("--private-key", "INGESTER_PRIVATE_KEY", &self.private_key),
            flag("--token-url", "INGESTER_TOKEN_URL", &self.token_url),
            flag("--timeout", "INGESTER_TIMEOUT", &self.timeout),
            flag("--max-bytes", "INGESTER_MAX_BYTES", &self.max_bytes),
            flag("--placement", "INGESTER_PLACEMENT", &self.placement),
            flag("--network", "INGESTER_NETWORK", &self.network),
            flag("--even-if-failing", "INGESTER_EVEN_IF_FAILING", &even_if_failing),
            flag("--report-dir", "INGESTER_REPORT_DIR", report_dir),
        ];
        config.settings_with(suite, &flags)
    }

    /// The protocol that is spoken.
    pub fn http(&self) -> Http {
        if self.http2 { Http::Two } else { Http::One }
    }
}

impl LoadArgs {
    /// The same, with the folder for reports.
    pub fn settings(&self, config: &Config, suite: &Suite) -> Result<Settings, Error> {
        let settings = self.ingester.settings(&self.outcome.report_dir, config, suite)?;
        let settings = if self.files.flow { keeping_files(settings)? } else { settings };
        if self.outcome.phases { settings.timing_phases("--phases") } else { Ok(settings) }
    }

    /// The same for the service that the first one is compared with, if one is.
    pub fn compared_settings(&self, config: &Config, suite: &Suite) -> Result<Option<Settings>, Error> {
        if self.search.compare_url.is_none() {
            return Ok(None);
        }
        let url = flag("--compare-url", "INGESTER_URL", &self.search.compare_url);
        self.ingester.settings_at(url, &self.outcome.report_dir, config, suite).map(Some)
    }

    /// What is sent, and by what means.
    pub fn generator_options(&self) -> GeneratorOptions {
        GeneratorOptions {
            file: self.files.file.clone(),
            mix: self.mix(),
            seed: self.schedule.seed,
            http: self.ingester.http(),
            threads: self.ingester.threads,
            pid: self.ingester.pid,
        }
    }

    /// What reports and targets call it.
    pub fn operation(&self) -> &str {
        let of_uploads = self.schedule.preset.map_or("load", Preset::operation);
        let default = if self.is_search() {
            OPERATION
        } else if self.files.flow {
            FLOW_OPERATION
        } else {
            of_uploads
        };
        self.outcome.name.as_deref().unwrap_or(default)
    }

    /// The operation whose limits in the targets' file hold. A search has those of [capacity], whatever reports call it: with a
    /// name that has none, it would pass over them.
    pub fn limited_operation(&self) -> &str {
        if self.is_search() { OPERATION } else { self.operation() }
    }

    /// Sizes of files.
    fn mix(&self) -> Mix {
        if let Some(mix) = &self.files.mix {
            return mix.clone();
        }
        // A preset has a size of its own, which an argument may change.
        let preset = self.schedule.preset.and_then(Preset::scenario).map(|(_, size)| size);
        Mix::only(self.files.file_size.or(preset).unwrap_or(Bytes::kb(100)))
    }
}

fn flag(name: &'static str, variable: &'static str, value: &Option<String>) -> Flag {
    Flag { name, variable, value: value.clone() }
}
