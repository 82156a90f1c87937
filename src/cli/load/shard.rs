//! `load --shard`: performs one part of a schedule, and writes its run file. Targets are judged after the merge.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::api::Flow;
use crate::case::Suite;
use crate::client::Http;
use crate::console::note;
use crate::ingester::{Settings, Subject};
use crate::interrupt::Interrupt;
use crate::load::{
    LoadRecord, Plan, RecordedRun, RunIdentity, Shard, ShardClock, ShardRecord, problems_of_shard, run_hash,
};
use crate::process_group::end_with_parent;
use crate::report::shard_document;
use crate::units::Bytes;
use crate::{Error, Exit};

use super::super::repeat;
use super::args::LoadArgs;
use super::generator::Generator;
use super::place::{Place, run_file_name};
use super::schedule::Preset;
use super::watched;

impl LoadArgs {
    /// Performs one shard.
    pub(super) fn run_shard(
        &self,
        shard: Shard,
        mut settings: Settings,
        suite: &Suite,
        flow: Option<Arc<Flow>>,
    ) -> Result<Exit, Error> {
        let now = SystemTime::now();
        self.check_parent()?;
        self.check_one_run()?;
        if !matches!(settings.subject, Subject::Running { .. }) {
            let problem = "each shard would start a service of its own; start one (`ingester-perf serve` is the stub), and name \
                           it with --url";
            return Err(Error::Setting { name: "--shard", problem: problem.to_owned() });
        }
        let agreed = self.sharding.start(now)?;
        let place = match &self.sharding.out {
            Some(text) => Place::parse("--out", text)?,
            None => Place::Folder(settings.report_dir.clone()),
        };
        let whole = self.schedule.plan()?;
        Self::check_dealt(&whole, shard.of())?;
        watched::check(self.ingester.pid, &settings)?;
        let baseline = self.live.baseline(self.operation(), suite, &settings.report_dir)?;
        let bound = self.live.bind()?;
        // After all that may be wrong with arguments, as it leaves a folder.
        place.prepare()?;
        self.tell_what_waits_for_the_merge();
        let interrupt = Interrupt::watch()?;
        // What may be sent is shared, too.
        settings.max_bytes = Bytes(settings.max_bytes.0 / u64::from(shard.of()));
        let network = settings.network.as_ref().map(ToString::to_string);
        let secrets = settings.api.secrets.clone();
        let reports = settings.report_dir.clone();

        let mut generator = Generator::new(&self.generator_options(), settings, interrupt)?;
        if self.sharding.parent.is_some() && self.ingester.threads.is_none() {
            generator.keep_cores_of(shard);
        }
        note(format_args!("Loading {} with files of {}", generator.ingester(), generator.files()));
        if let Some(flow) = flow {
            generator.follow_uploads(flow);
        }
        let steps = generator.steps();
        let mut record = generator.record(self.operation());
        let protocol = match self.ingester.http() {
            Http::One => "HTTP/1.1",
            Http::Two => "HTTP/2",
        };
        let identity = RunIdentity {
            operation: &record.operation,
            sent: &record.sent,
            steps: &steps,
            network: network.as_deref(),
            protocol,
            source: &record.environment.source,
            shards: shard.of(),
        };
        let plan_hash = run_hash(&whole, identity);
        let live = self.start_live(bound, baseline, Some(shard), &mut generator)?;
        let PerformedShard { run, clock } = match self.perform(shard, whole, agreed, &mut generator) {
            Ok(performed) => performed,
            Err(error) => {
                // The look before has left something already.
                clean_up(&generator);
                return Err(error);
            }
        };
        let signal = generator.signal();
        if signal.is_some() {
            record.stopped = Some("interrupted".to_owned());
        } else if run.run.partial {
            let sent_all = "its share of the bytes that INGESTER_MAX_BYTES allows was sent";
            record.ended_early = Some(generator.unreadable().unwrap_or(sent_all).to_owned());
        }
        record.environment = generator.environment();
        // What another process has started is repeated by that one's command.
        if self.sharding.parent.is_none() {
            record.command = Some(repeat::command(&secrets));
        }
        record.runs.push(run);
        let name = run_file_name(&Self::file_name(self.operation(), suite), shard, &plan_hash);
        record.shard = Some(ShardRecord { shard, plan_hash, clock });
        let concluded = conclude(&record, &place, &name, &reports, signal);
        // After that, as many removals take their time, and an engine that ends its tasks does not wait for long.
        clean_up(&generator);
        // Last, as it waits for others.
        if let Some(live) = live {
            live.end(shard_document(&record));
        }
        concluded
    }

    /// Runs the shard's part of the plan.
    fn perform(
        &self,
        shard: Shard,
        whole: Plan,
        agreed: Option<SystemTime>,
        generator: &mut Generator,
    ) -> Result<PerformedShard, Error> {
        let mut plan = Plan { shard, ..whole };
        // Of what may be under way at once, each has its share.
        let at_once = self.schedule.at_once.map(|at_once| (at_once / shard.of()).max(1));
        if let Some(at_once) = at_once {
            plan.at_once = at_once as usize;
        }
        let plan = generator.fit(plan, at_once)?;
        if let Some(at) = agreed {
            let left = at.duration_since(SystemTime::now()).unwrap_or_default();
            note(format_args!("Shard {shard} begins in {left:.1?}"));
        }
        let run = generator.run_at(&plan, agreed)?;
        let clock = ShardClock {
            agreed,
            started: run.started_at,
            ended: SystemTime::now(),
            lasted: run.start.map_or(Duration::ZERO, |start| start.elapsed()),
        };
        Ok(PerformedShard { run: RecordedRun { step: None, plan, run, phases: None }, clock })
    }

    /// An error where the process that started this one is gone; from now on, this one ends with it.
    fn check_parent(&self) -> Result<(), Error> {
        match self.sharding.parent {
            Some(parent) if !end_with_parent(parent) => {
                let problem = format!("process {parent}, which started this one, has ended");
                Err(Error::Setting { name: "--parent", problem })
            }
            _ => Ok(()),
        }
    }

    /// An error for what depends on the figures of all shards while they run: steps that follow from a verdict on the whole, and
    /// limits that end the run.
    pub(super) fn check_one_run(&self) -> Result<(), Error> {
        let is_stress = self.schedule.preset == Some(Preset::Stress);
        self.check_steps_only(is_stress, self.is_search())?;
        if is_stress {
            let problem = "stress cannot be cut into shards: whether it goes on depends on what all of them measured; run it step by \
                           step, with --users N --duration TIME";
            return Err(Error::Setting { name: "--preset", problem: problem.to_owned() });
        }
        if self.is_search() {
            let name = if self.search.finds.is_empty() { "--preset" } else { "--find" };
            let problem = "a search cannot be cut into shards: which rate is next depends on what all of them measured; search with one \
                           generator, or try rate by rate, with --rate N --duration TIME";
            return Err(Error::Setting { name, problem: problem.to_owned() });
        }
        if !self.outcome.abort_on.is_empty() {
            let problem = "is for a single generator: a shard knows its own part of the run only, and the others would go on; leave it \
                           out";
            return Err(Error::Setting { name: "--abort-on", problem: problem.to_owned() });
        }
        Ok(())
    }

    /// Says what a shard does not do, if it is asked for. The process that starts shards here does it itself.
    fn tell_what_waits_for_the_merge(&self) {
        let is_asked_for = !self.outcome.targets.is_empty() || !self.outcome.export.is_empty();
        if is_asked_for && self.sharding.parent.is_none() {
            note("--target and --export are for the whole run: give them to `ingester-perf load merge`");
        }
    }
}

/// Removes what was sent, if the API says how, and tells how much it was.
fn clean_up(generator: &Generator) {
    generator.clean_up();
    if let Some(total) = generator.total() {
        note(total);
    }
}

/// A run, and what the clock showed.
struct PerformedShard {
    run: RecordedRun,
    clock: ShardClock,
}

/// Writes the run file, says what was done, and how to exit. Where the file cannot be written to its place, it goes to the
/// folder for `reports`.
fn conclude(
    record: &LoadRecord,
    place: &Place,
    name: &str,
    reports: &Path,
    signal: Option<u8>,
) -> Result<Exit, Error> {
    // The file first: lines that nobody reads must not cost it.
    let saved = place.save(name, record);
    if saved.is_err() {
        let kept = reports.join(name);
        // Where that fails, too, the error of the place says enough.
        if record.save(&kept).is_ok() {
            note(format_args!(
                "Kept what was measured in {}; name that file to `load merge`",
                kept.display()
            ));
        }
    }
    let printed = write!(io::stdout().lock(), "{}", shard_document(record)).map_err(Error::Output);
    note(format_args!("Run file: {}", saved?));
    printed?;
    // A signal before all else, as what was measured is a part only.
    match signal {
        Some(signal) => Ok(Exit::Interrupted(signal)),
        None if problems_of_shard(record).is_empty() => Ok(Exit::Held),
        None => Ok(Exit::Untrusted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Environment, Placement};

    #[test]
    fn what_cannot_be_written_to_its_place_is_kept() {
        let dir = tempfile::tempdir().expect("makes one");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("writes");
        let environment = Environment::read(&Placement::none(), "stub");
        let record = LoadRecord::new("load", "100 KB".to_owned(), environment);
        let name = "load.shard-0-of-2.a.run.json";
        // A folder when the run began, and a file when it had ended.
        let error = conclude(&record, &Place::Folder(file), name, dir.path(), None).expect_err("is a file");
        assert!(error.to_string().contains("cannot write"), "{error}");
        let kept = std::fs::read_to_string(dir.path().join(name)).expect("was kept");
        assert_eq!(kept, record.to_text().expect("serialises"));
    }
}
