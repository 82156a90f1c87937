//! What every run of one command shares: the ingester, the files, the token, the cores.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use url::Url;

use crate::Error;
use crate::api::{Api, Flow, StepEnd};
use crate::case::{Look, PROBES, Shared, UploadOperation, clean_up_and_tell, probe, step_operations, user};
use crate::client::{Client, Http, UploadBody};
use crate::console::note;
use crate::ingester::{Ingester, Renewal, Settings};
use crate::interrupt::Interrupt;
use crate::live::LiveFeed;
use crate::load::{
    self, LoadRecord, LookBefore, Model, Plan, Profile, ResourceSample, Run, Second, Shard, Watch,
    WatchedService,
};
use crate::machine::{Environment, possible_connections, reserve_descriptors};
use crate::network::Network;
use crate::payload::{Content, LargeFile, Mix, TestFile};
use crate::phases::ServicePhases;
use crate::recording::Failure;
use crate::units::{self, Bytes};

use super::bar::Bar;
use super::watched;

/// Larger files are made or read while they are sent.
const MOST_IN_MEMORY: Bytes = Bytes::mb(64);
/// Size of the uploads of the look before, at most: they are made in memory.
const PROBE: Bytes = Bytes::mb(1);
/// Uploads of a look between two runs. Of three, one that met something else does not count.
const LOOKS_AGAIN: u64 = 3;
/// How long those under way may take to end once no further one begins, if there is as much time.
const LOOK_GRACE: Duration = Duration::from_secs(10);

/// What is sent, and by what means.
pub struct GeneratorOptions {
    /// A file to send in place of seeded ones.
    pub file: Option<PathBuf>,
    /// Sizes of the seeded files.
    pub mix: Mix,
    /// Seed of their content.
    pub seed: u64,
    /// The protocol that is spoken.
    pub http: Http,
    /// Threads, where another number was asked for than there are cores for.
    pub threads: Option<u16>,
    /// Process of a service that runs already.
    pub pid: Option<u32>,
}

impl GeneratorOptions {
    /// Time that a simulated network takes at most for the look before.
    pub fn longest_look(&self, network: Option<&Network>) -> Duration {
        let Some(network) = network else { return Duration::ZERO };
        let smallest = match &self.file {
            // How large the file is does not matter: the look sends no more than this.
            Some(_) => PROBE,
            None => self.mix.sizes().min().unwrap_or_default().min(PROBE),
        };
        network.allowance(smallest).saturating_mul(PROBES as u32)
    }
}

/// Everything that a plan needs to run.
pub struct Generator {
    settings: Settings,
    ingester: Arc<Ingester>,
    user: Client,
    /// The protocol that is spoken.
    http: Http,
    files: Arc<[UploadBody]>,
    mix: Mix,
    renewal: Renewal,
    cores: Vec<Option<usize>>,
    interrupt: Interrupt,
    /// What was sent in all, the look before and warm-ups included.
    shared: Arc<Shared>,
    look: Look,
    /// Where the service runs.
    service: WatchedService,
    /// What follows each upload, if anything does.
    flow: Option<Arc<Flow>>,
    /// Where runs tell of themselves while they go on, if somebody wants to know.
    feed: Option<LiveFeed>,
}

/// Whoever watches a run: the bar, whoever else wants to know, and what ends it before its plan does.
struct LoadWatch<'a, F> {
    bar: Bar,
    feed: Option<&'a mut LiveFeed>,
    interrupt: &'a Interrupt,
    /// Whether it goes on after these seconds.
    goes_on: F,
}

impl<F: FnMut(&[Second]) -> bool> Watch for LoadWatch<'_, F> {
    fn seconds(&mut self, seconds: &[Second]) -> bool {
        self.bar.show(seconds);
        if let Some(feed) = &mut self.feed {
            feed.seconds(seconds);
        }
        // Always asked, as it counts all seconds that are over.
        let goes_on = (self.goes_on)(seconds);
        goes_on && self.interrupt.signal().is_none()
    }

    fn used(&mut self, sample: &ResourceSample) {
        if let Some(feed) = &mut self.feed {
            feed.used(sample);
        }
    }
}

impl Generator {
    /// Starts or looks at the ingester. Sends two of the smallest files, which do not count.
    pub fn new(options: &GeneratorOptions, settings: Settings, interrupt: Interrupt) -> Result<Self, Error> {
        let (files, mix) = files(options, &settings.api)?;
        let ingester = Arc::new(Ingester::start(&settings, &interrupt)?);
        let smallest = files.iter().map(UploadBody::size).min().unwrap_or_default().min(PROBE);
        let http = options.http;
        if let Some(network) = &settings.network {
            let looks = network.exchange(smallest) * PROBES as u32;
            note(format_args!(
                "Over a simulated network: {network}, which alone takes about {} for the look before",
                latency(looks)
            ));
        }
        let look = probe(&ingester, &settings, smallest, http)?;
        note(format_args!(
            "The look before: two uploads of {smallest} took {} and {}",
            latency(look.first),
            latency(look.second)
        ));
        if let Some(warning) = look.warning() {
            note(warning);
        }
        // Another thread asks for new tokens: on a generator's own it would delay what is due.
        let renewal = Renewal::start(Arc::clone(&ingester))?;
        let user = user(&ingester, &settings, http)?;
        let cores = cores(options, &settings, &ingester);
        let shared = Arc::new(Shared::default());
        // The look counts in what was sent in all, though in no figure.
        shared.sent.add(PROBES, PROBES * smallest.0);
        let service = watched::service(options.pid, &settings, &ingester);
        Ok(Self {
            settings,
            ingester,
            user,
            http,
            files,
            mix,
            renewal,
            cores,
            interrupt,
            shared,
            look,
            service,
            flow: None,
            feed: None,
        })
    }

    /// Has these steps follow each upload from now on.
    pub fn follow_uploads(&mut self, flow: Arc<Flow>) {
        let names = flow.names().collect::<Vec<&str>>().join(", ");
        note(format_args!("Each of them goes through these steps: {names}"));
        self.flow = Some(flow);
    }

    /// What reports call the steps of each operation; none where it is an upload alone.
    pub fn steps(&self) -> Vec<String> {
        self.flow.as_deref().map(step_operations).unwrap_or_default()
    }

    /// Runs tell of themselves here while they go on.
    pub fn tell(&mut self, feed: LiveFeed) {
        self.feed = Some(feed);
    }

    /// Leaves the other cores to the other shards on this machine. Where there are more shards than cores, they share them in
    /// turn.
    pub fn keep_cores_of(&mut self, shard: Shard) {
        let all = std::mem::take(&mut self.cores);
        let first = shard.index() as usize;
        self.cores = all.iter().copied().skip(first).step_by(shard.of() as usize).collect();
        if self.cores.is_empty() {
            self.cores.push(all[first % all.len()]);
        }
    }

    /// Has the same steps follow each upload as those of the other generator, and tells the same listeners.
    pub fn do_as(&mut self, other: &Self) {
        self.flow.clone_from(&other.flow);
        self.feed.clone_from(&other.feed);
    }

    /// Runs a plan once, for as long as `goes_on` returns true. That is told of the seconds that are over. Shows how it is
    /// going.
    pub fn run(&mut self, plan: &Plan, goes_on: impl FnMut(&[Second]) -> bool) -> Result<Run, Error> {
        self.perform(plan, None, goes_on)
    }

    /// Runs a plan once, from an agreed time on.
    pub fn run_at(&mut self, plan: &Plan, agreed: Option<SystemTime>) -> Result<Run, Error> {
        self.perform(plan, agreed, |_| true)
    }

    fn perform(
        &mut self,
        plan: &Plan,
        agreed: Option<SystemTime>,
        goes_on: impl FnMut(&[Second]) -> bool,
    ) -> Result<Run, Error> {
        let workers = self.workers(plan)?;
        if let Some(feed) = &mut self.feed {
            feed.begins(plan);
        }
        let mut watch =
            LoadWatch { bar: Bar::new(plan), feed: self.feed.as_mut(), interrupt: &self.interrupt, goes_on };
        let run = load::run_at(plan, workers, &self.service, agreed, &mut watch);
        watch.bar.end();
        if let (Some(feed), Ok(run)) = (watch.feed, &run) {
            feed.over(run);
        }
        run
    }

    /// Sends a few of the same, one after the other, which are not counted, and returns the median of their latencies. `None`
    /// where one of them failed, or they took longer than this in all.
    pub fn look_again(&self, within: Duration) -> Result<Option<Duration>, Error> {
        // Each has a time limit of its own, and those of all of them add up. So all have to begin before this, and what is under
        // way then has the rest of the time to end. A signal is waited for no longer than in any run.
        let grace = LOOK_GRACE.min(within / 2);
        let users = Profile::constant(1.0, within.saturating_sub(grace));
        let requests = LOOKS_AGAIN;
        let model = Model::Closed { users, requests: Some(requests), think: Duration::ZERO };
        let plan = Plan { grace, ..Plan::new(model) };
        let run = load::run(&plan, self.workers(&plan)?, |_| self.interrupt.signal().is_none())?;
        let ok = &run.load.responses.ok;
        if ok.count() < requests {
            return Ok(None);
        }
        Ok(ok.at_rank(requests.div_ceil(2)))
    }

    /// How long the second of the two uploads before measuring took.
    pub fn usual_latency(&self) -> Duration {
        self.look.second
    }

    /// The uploads of each thread, and the core that it runs on. An error where the plan would send more than is left.
    pub fn workers(&self, plan: &Plan) -> Result<Vec<(UploadOperation, Option<usize>)>, Error> {
        self.check_bytes(plan)?;
        // Uploads sent before the run, such as the two of the look, do not count towards it.
        self.take_phases();
        let threads = self.cores.len().min(plan.connections()).max(1);
        // Each thread has a share of its own: one counter for all would be written by all of them, at every upload.
        let share = self.allowance() / threads as u64;
        let mut workers = Vec::new();
        for core in &self.cores[..threads] {
            let files = (Arc::clone(&self.files), self.mix.clone(), plan.seed);
            let shared = Arc::clone(&self.shared);
            let mut operation =
                UploadOperation::new(self.user.another(), files, self.renewal.token(), share, shared);
            if let Some(flow) = &self.flow {
                operation = operation.followed_by(flow);
            }
            workers.push((operation, *core));
        }
        Ok(workers)
    }

    /// Where the time of uploads went in the stub since the last call, if it was asked to tell.
    pub fn take_phases(&self) -> Option<ServicePhases> {
        self.ingester.take_phases()
    }

    /// Bytes that may still be sent.
    fn allowance(&self) -> u64 {
        if self.settings.keeps_nothing() {
            return u64::MAX;
        }
        self.settings.max_bytes.0.saturating_sub(self.shared.sent.bytes())
    }

    /// Why a file could not be read, if that ended a run.
    pub fn unreadable(&self) -> Option<&str> {
        self.shared.unreadable.get().map(String::as_str)
    }

    /// Why a run ended before its plan did, where no signal and no limit ended it.
    pub fn why_partial(&self) -> String {
        let sent_all = "all bytes that INGESTER_MAX_BYTES allows were sent";
        self.unreadable().unwrap_or(sent_all).to_owned()
    }

    /// Makes sure of a descriptor for every connection that users need; of arrivals, that wait for nobody, so many are
    /// let at once as there can be, unless a number was asked for.
    pub fn fit(&self, plan: Plan, asked: Option<u32>) -> Result<Plan, Error> {
        let plan = self.with_time_for_the_network(plan);
        // The stub's ends are this process's too.
        let ends = if self.settings.subject.is_in_process() { 2 } else { 1 };
        let connections = plan.connections() as u64;
        if plan.is_open() && asked.is_none() {
            let at_once = (possible_connections(ends * connections) / ends) as usize;
            return Ok(Plan { at_once, ..plan });
        }
        reserve_descriptors(ends * connections)?;
        Ok(plan)
    }

    /// The plan with a grace that a simulated network does not use up: uploads under way at the end of the schedule would
    /// all count as unfinished where the network needs longer for one.
    fn with_time_for_the_network(&self, plan: Plan) -> Plan {
        let Some(network) = &self.settings.network else { return plan };
        let largest = self.files.iter().map(UploadBody::size).max().unwrap_or_default();
        let mut allowance = network.allowance(largest);
        for step in self.flow.iter().flat_map(|flow| &flow.steps) {
            let of_step = match step.ends {
                StepEnd::Answer | StepEnd::Until(_) => network.allowance(Bytes(0)),
                StepEnd::SameContent => network.allowance_of_answer(largest),
            };
            allowance = allowance.saturating_add(of_step);
        }
        Plan { grace: plan.grace.saturating_add(allowance), ..plan }
    }

    fn check_bytes(&self, plan: &Plan) -> Result<(), Error> {
        // Only where the number of uploads is known. Other runs are held within the allowance while they run.
        let bytes = plan.requests().map_or(0.0, |requests| requests as f64 * self.mix.mean());
        if bytes > self.allowance() as f64 {
            return Err(Error::TooMuch(format!(
                "this run would send about {}: more than is left ({}) of INGESTER_MAX_BYTES ({}); raise that (--max-bytes), or \
                 ask for less",
                Bytes(bytes as u64),
                Bytes(self.allowance()),
                self.settings.max_bytes
            )));
        }
        Ok(())
    }

    /// Removes what was sent, if the API says how. A failure of that is told, and does not undo what was measured.
    pub fn clean_up(&self) {
        clean_up_and_tell(&self.ingester, &self.settings, self.http);
    }

    /// What was sent to a real ingester in all, for people: it may have kept it.
    pub fn total(&self) -> Option<String> {
        if self.settings.keeps_nothing() {
            return None;
        }
        let name = self.ingester.name();
        Some(format!("Sent to {name} in all, the look before and warming up included: {}", self.shared.sent))
    }

    /// What it sends, for people.
    pub fn files(&self) -> String {
        self.mix.to_string()
    }

    /// What it loads, for people.
    pub fn ingester(&self) -> String {
        self.ingester.name()
    }

    /// Where it is.
    pub fn base(&self) -> &Url {
        self.ingester.base()
    }

    /// The process that it was started as, if it was.
    pub fn process(&self) -> Option<u32> {
        self.ingester.process()
    }

    /// A record of what it is about to run.
    pub fn record(&self, operation: &str) -> LoadRecord {
        let look = LookBefore {
            first_ms: 1e3 * self.look.first.as_secs_f64(),
            second_ms: 1e3 * self.look.second.as_secs_f64(),
            ails: self.look.ails.clone(),
        };
        // What is read back and compared is verified, whatever the answers to uploads say.
        let compares = self.flow.as_ref().is_some_and(|flow| flow.compares());
        let unverified = if compares { None } else { self.ingester.api().unverified() };
        LoadRecord {
            unverified: unverified.map(str::to_owned),
            look: Some(look),
            ..LoadRecord::new(operation, self.files(), self.environment())
        }
    }

    /// Where it runs.
    pub fn environment(&self) -> Environment {
        let mut environment = Environment::read(&self.settings.placed(), self.ingester.name());
        let pinned: Vec<String> = self.cores.iter().flatten().map(usize::to_string).collect();
        if !pinned.is_empty() {
            environment.placement = format!("generator on cores {}", pinned.join(", "));
            if let Some(core) = self.settings.placed().stub {
                environment.placement += &format!("; stub on core {core}");
            }
        }
        environment
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<u8> {
        self.interrupt.signal()
    }
}

/// A time in the unit that reads best.
fn latency(time: Duration) -> String {
    units::latency(Some(1e3 * time.as_secs_f64()))
}

/// Every file, encoded or hashed now.
fn files(options: &GeneratorOptions, api: &Api) -> Result<(Arc<[UploadBody]>, Mix), Error> {
    if let Some(path) = &options.file {
        let file = LargeFile::open(path)?;
        let mix = Mix::only(file.size);
        let upload = UploadBody::of(file, api, MOST_IN_MEMORY);
        return Ok((Arc::new([upload.map_err(unreadable)?]), mix));
    }
    // Small files lie in memory, so that making or reading them does not take part in the run.
    let mix = options.mix.clone();
    let seed = options.seed;
    let mut files = Vec::new();
    for size in mix.sizes() {
        files.push(if size > MOST_IN_MEMORY {
            UploadBody::streamed(LargeFile::seeded(size, seed), api).map_err(unreadable)?
        } else {
            UploadBody::whole(&TestFile::seeded(size, Content::usual_for(size), seed), api)
        });
    }
    Ok((files.into(), mix))
}

fn unreadable(failure: Failure) -> Error {
    Error::Setting { name: "--file", problem: failure.message }
}

/// A core for each thread; nothing in place of a core where threads are not bound to one.
fn cores(options: &GeneratorOptions, settings: &Settings, ingester: &Ingester) -> Vec<Option<usize>> {
    let cores = settings.placement.generator(ingester.is_here());
    match options.threads {
        // With more threads than cores they share them, in turn.
        Some(threads) => cores.iter().copied().cycle().take(threads.into()).collect(),
        None => cores,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_over_a_network_is_of_the_smallest_file() {
        let network: Network = "100ms,1mbit,1mbit".parse().expect("is one");
        let options = GeneratorOptions {
            file: None,
            mix: "10MB=1,10KB=9".parse().expect("is one"),
            seed: 42,
            http: Http::One,
            threads: None,
            pid: None,
        };
        assert_eq!(options.longest_look(None), Duration::ZERO);
        assert_eq!(options.longest_look(Some(&network)), 2 * network.allowance(Bytes::kb(10)));
        let of_a_file = GeneratorOptions { file: Some(PathBuf::from("any")), ..options };
        assert_eq!(of_a_file.longest_look(Some(&network)), 2 * network.allowance(Bytes::mb(1)));
    }
}
