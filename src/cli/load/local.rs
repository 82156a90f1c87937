//! `load --shards N`: N processes on this machine perform a schedule, and what they measured is merged. For more than one
//! process can send, and to see what several machines would do.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use signal_hook::consts::SIGTERM;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::auth::KeyPair;
use crate::case::Suite;
use crate::config::Config;
use crate::console::note;
use crate::files::check_folder;
use crate::gate::own_executable;
use crate::ingester::{Ingester, Settings, Subject};
use crate::interrupt::Interrupt;
use crate::load::{LoadRecord, Plan, SETTLING, Shard};
use crate::network::Network;
use crate::process_group;
use crate::targets::Targets;
use crate::units::rfc3339;
use crate::{Error, Exit};

use super::super::repeat;
use super::args::LoadArgs;
use super::merge::merge;
use super::place::{LocalFile, Place, run_file_prefix};
use super::{links, watched};

/// Time that all processes have to start and to look at the service, besides what a simulated network takes for that.
const LEAD: Duration = Duration::from_secs(3);
/// Time between two looks at the processes.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes at the end of a process's output that are shown where it fails.
const TAIL: u64 = 4 << 10;
/// Variables of the stub in this process. Its shards are given its URL, and would refuse them.
const OF_THE_STUB: [&str; 3] = ["INGESTER_FAULTS", "INGESTER_STORAGE", "INGESTER_ELEMENT_TOKEN_FILE"];

impl LoadArgs {
    /// Runs all shards, merges them, and reports.
    pub(super) fn run_shards(
        &self,
        number: u32,
        config: &Config,
        mut settings: Settings,
        suite: &Suite,
        targets: &Targets,
    ) -> Result<Exit, Error> {
        check_folder(&settings.report_dir)?;
        self.outcome.export.check()?;
        self.check_one_run()?;
        self.live.check_not_of_all_shards()?;
        let plan = self.schedule.plan()?;
        Self::check_dealt(&plan, number)?;
        watched::check(self.ingester.pid, &settings)?;
        // Told before anything starts, as all other wrong arguments.
        self.sharding.start(SystemTime::now())?;
        let name = Self::file_name(self.operation(), suite);
        let path = settings.report_dir.join(format!("{name}.json"));
        let place = match &self.sharding.out {
            Some(text) => Place::parse("--out", text)?,
            None => Place::Folder(settings.report_dir.join(format!("{name}.shards"))),
        };
        place.check()?;
        let interrupt = Interrupt::watch()?;
        config.build_for(&settings, &interrupt)?;
        let scratch = tempfile::tempdir().map_err(|e| Error::file(&std::env::temp_dir(), "write to", e))?;
        let service = SharedService::start(&mut settings, scratch.path(), &interrupt)?;

        let start = self.agreed_start(&plan, settings.network.as_ref())?;
        note(format_args!("{number} processes begin at {start}"));
        let mut running = Vec::new();
        for index in 0..number {
            let shard = Shard::new(index, number).map_err(|e| wrong(e.to_string()))?;
            running.push(RunningShard::start(shard, &start, &place, &service, scratch.path())?);
        }
        wait_for(&mut running, &interrupt)?;

        show_failed(&running);
        let copies = scratch.path().join("copies");
        std::fs::create_dir(&copies).map_err(|e| Error::file(&copies, "make", e))?;
        let files = run_files(&running, &name, &place, &copies)?;
        let Some(mut record) = merge(&of_this_run(files, &start))? else {
            interrupt.check()?;
            let failed = running.iter().find(|shard| !shard.has_written());
            return Ok(failed.map_or(Exit::CouldNotMeasure, RunningShard::exit));
        };
        if let Some(ingester) = &service.ingester {
            // The shards know its URL only.
            record.environment.ingester = ingester.name();
        }
        record.command = Some(repeat::command(&settings.api.secrets));
        let links = links(&path, false);
        let exit = Self::conclude(&self.outcome.export, &record, targets, Some(&path), links)?;
        Ok(interrupt.signal().map_or(exit, Exit::Interrupted))
    }

    /// The start that all shards are told.
    fn agreed_start(&self, plan: &Plan, network: Option<&Network>) -> Result<String, Error> {
        let now = SystemTime::now();
        let warm_up = if plan.warm_up.is_zero() { Duration::ZERO } else { plan.warm_up + SETTLING };
        let lead = LEAD + self.generator_options().longest_look(network);
        let start = self.sharding.start(now)?.unwrap_or(now + lead + warm_up);
        Ok(rfc3339(OffsetDateTime::from(start)))
    }
}

fn wrong(problem: String) -> Error {
    Error::Setting { name: "--shards", problem }
}

/// The files of the shards that have written one.
fn run_files(
    shards: &[RunningShard],
    name: &str,
    place: &Place,
    copies: &Path,
) -> Result<Vec<LocalFile>, Error> {
    let mut prefixes = Vec::new();
    for shard in shards.iter().filter(|shard| shard.has_written()) {
        prefixes.push(run_file_prefix(name, shard.shard));
    }
    let files = place.files(copies, |name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    match files {
        // The folder is made by the first shard.
        Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        files => files,
    }
}

/// The files of shards that agreed on this start: an earlier run may have left some that are called alike.
fn of_this_run(files: Vec<LocalFile>, start: &str) -> Vec<LocalFile> {
    let start = OffsetDateTime::parse(start, &Rfc3339).expect("it was written in this form");
    let start = SystemTime::from(start);
    let mut own = Vec::new();
    for file in files {
        match LoadRecord::shard_in(&file.path) {
            Ok(shard) if shard.clock.agreed == Some(start) => own.push(file),
            Ok(_) => {}
            // A file of another version, or of somebody else, must not cost what was measured now. Were it one of this run's,
            // the merge would name its shard as missing.
            Err(error) => note(format_args!("Not counted: {error}")),
        }
    }
    own
}

/// The service that all shards load.
struct SharedService {
    /// What was started for them; nothing where it runs already.
    ingester: Option<Ingester>,
    /// Variables that tell them where it is, and what to show to it.
    variables: Vec<(&'static str, String)>,
}

impl SharedService {
    /// Starts what the settings name, once for all shards. A key for their tokens is written to the folder `scratch`, which is
    /// this user's alone.
    fn start(settings: &mut Settings, scratch: &Path, interrupt: &Interrupt) -> Result<Self, Error> {
        let mut variables = Vec::new();
        let is_minted = match &settings.subject {
            Subject::Running { .. } => return Ok(Self { ingester: None, variables }),
            Subject::Stub | Subject::Router(_) => settings.api.token.is_some(),
            // With credentials of its own, the shards find those as this process did.
            Subject::Command { credentials, .. } => credentials.is_none(),
        };
        if is_minted {
            let pem = KeyPair::generate_pem()?;
            settings.key = Some(KeyPair::from_pem(&pem)?);
            let path = scratch.join("key.pem");
            std::fs::write(&path, pem).map_err(|e| Error::file(&path, "write", e))?;
            variables.push(("INGESTER_PRIVATE_KEY", path.display().to_string()));
        }
        let ingester = Ingester::start(settings, interrupt)?;
        variables.push(("INGESTER_URL", ingester.base().to_string()));
        if settings.keeps_nothing() {
            // To the shards it is a real service; here it is known to keep nothing.
            variables.push(("INGESTER_MAX_BYTES", u64::MAX.to_string()));
        }
        Ok(Self { ingester: Some(ingester), variables })
    }
}

/// A shard in a process of its own. Dropping it ends that.
struct RunningShard {
    shard: Shard,
    process: Child,
    /// Its output.
    log: PathBuf,
    /// How it ended, once it has.
    ended: Option<ExitStatus>,
}

impl RunningShard {
    /// Starts this program again with the same arguments, and those of a shard behind them.
    fn start(
        shard: Shard,
        start: &str,
        place: &Place,
        service: &SharedService,
        scratch: &Path,
    ) -> Result<Self, Error> {
        let log = scratch.join(format!("{}.log", shard.index()));
        let output = File::create(&log).map_err(|e| Error::file(&log, "write", e))?;
        let errors = output.try_clone().map_err(|e| Error::file(&log, "write", e))?;
        let mut command = Command::new(own_executable()?);
        command.args(std::env::args_os().skip(1));
        command.arg("--shard").arg(shard.to_string());
        command.arg("--start-at").arg(start);
        command.arg("--out").arg(place.argument());
        command.arg("--parent").arg(std::process::id().to_string());
        if service.ingester.is_some() {
            for name in OF_THE_STUB {
                command.env_remove(name);
            }
        }
        for (name, value) in &service.variables {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        // Ctrl-C at a terminal then reaches this process alone, which hands it on, once.
        process_group::of_its_own(&mut command);
        let process = command.spawn().map_err(Error::Thread)?;
        Ok(Self { shard, process, log, ended: None })
    }

    /// Looks whether it has ended.
    fn look(&mut self) -> Result<(), Error> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().map_err(Error::Thread)?;
        }
        Ok(())
    }

    /// How it ended, by the table of exit codes. One that a signal killed has none.
    fn exit(&self) -> Exit {
        let code = self.ended.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
        code.map_or(Exit::CouldNotMeasure, Exit::of_code)
    }

    /// Whether it ended in a way in which it writes its run file.
    fn has_written(&self) -> bool {
        self.ended.is_some() && matches!(self.exit(), Exit::Held | Exit::Untrusted | Exit::Interrupted(_))
    }

    /// The end of its output.
    fn tail(&self) -> io::Result<String> {
        let mut file = File::open(&self.log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }
}

impl Drop for RunningShard {
    fn drop(&mut self) {
        // One that was waited for has given its number back, and another process may have it.
        if self.ended.is_none() {
            process_group::end(&mut self.process, Duration::ZERO);
        }
    }
}

/// Waits until all have ended. A signal is handed on to them; one that fails ends the others, as the run is none without it.
fn wait_for(shards: &mut [RunningShard], interrupt: &Interrupt) -> Result<(), Error> {
    let mut told = false;
    loop {
        let mut running = 0;
        let mut has_failed = false;
        for shard in shards.iter_mut() {
            shard.look()?;
            match shard.ended {
                None => running += 1,
                Some(_) => has_failed |= !shard.has_written(),
            }
        }
        if running == 0 {
            return Ok(());
        }
        let signal = if has_failed { Some(SIGTERM as u8) } else { interrupt.signal() };
        if let Some(signal) = signal.filter(|_| !told) {
            told = true;
            for shard in shards.iter().filter(|shard| shard.ended.is_none()) {
                process_group::pass_on(signal, shard.process.id());
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Shows the output of the first one that failed, and names the others.
fn show_failed(shards: &[RunningShard]) {
    let mut failed = shards.iter().filter(|shard| !shard.has_written());
    let Some(first) = failed.next() else { return };
    let said = first.tail().unwrap_or_else(|e| format!("(its output cannot be read: {e})"));
    note(format_args!("Shard {} failed. Its output:\n{said}", first.shard));
    for other in failed {
        note(format_args!("Shard {} failed, too", other.shard));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{ShardClock, ShardRecord};
    use crate::machine::{Environment, Placement};

    /// A run file of a shard that agreed on this start.
    fn run_file(path: PathBuf, agreed: SystemTime) -> LocalFile {
        let clock =
            ShardClock { agreed: Some(agreed), started: agreed, ended: agreed, lasted: Duration::ZERO };
        let shard = Shard::new(0, 2).expect("is one");
        let environment = Environment::read(&Placement::none(), "stub");
        let mut record = LoadRecord::new("load", "100 KB".to_owned(), environment);
        record.shard = Some(ShardRecord { shard, plan_hash: String::new(), clock });
        record.save(&path).expect("writes");
        LocalFile::at(path)
    }

    #[test]
    fn what_earlier_runs_have_left_is_not_counted() {
        let dir = tempfile::tempdir().expect("makes one");
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let own = run_file(dir.path().join("own.run.json"), start);
        let earlier = run_file(dir.path().join("earlier.run.json"), start - Duration::from_secs(60));
        let unreadable = dir.path().join("unreadable.run.json");
        std::fs::write(&unreadable, "{\"shard\": {").expect("writes");
        let files = vec![LocalFile::at(unreadable), earlier, own];
        let counted = of_this_run(files, &rfc3339(OffsetDateTime::from(start)));
        let names: Vec<_> = counted.iter().filter_map(|file| file.path.file_name()).collect();
        assert_eq!(names, ["own.run.json"]);
    }
}
