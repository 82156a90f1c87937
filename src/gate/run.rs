//! A run of the gate: what both sides are, which cases they have in common, and the session.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::arm::{Arm, Side};
use super::copies::Copies;
use super::protocol::{Begin, Hello};
use super::running::Running;
use crate::auth::KeyPair;
use crate::case::{Spec, Suite};
use crate::client::Sent;
use crate::config::AcceptedFile;
use crate::console::note;
use crate::error::Error;
use crate::ingester::Settings;
use crate::interrupt::Interrupt;
use crate::lockstep::{
    Accepted, CasePlan, Host, LEAST_SLICES, Measured, Plan, Progress, Record, Role, SCHEMA_VERSION, Session,
    Timed, TimedSlice,
};
use crate::machine::{Conditions, ConditionsMeter, Environment, Placement};
use crate::network::{name_over, network_of};
use crate::targets::Targets;
use crate::units::{Bytes, Day, Share, printable, rfc3339};

/// Time that a worker has for an answer beyond the time limit of an upload, and beyond what a simulated network takes.
const PATIENCE: Duration = Duration::from_secs(5);

// Standard deviations between pairs of processes of one build, by case: 0.3 to 8.6 % with everything on one core, 0.6
// to 1.0 % with client and stub pinned apart.
const UNPINNED: &str = "client and stub could not be given a core of their own (one core, pinning refused, \
    or INGESTER_PLACEMENT=none): expect effects to vary by 1 to 9 % from pair to pair instead of 1 %, and cases to come out undecided";

// The factor of two was seen between two stubs of one build, where the scheduler put one beside the client.
const TWO_INSTANCES: &str = "each side is one running instance: what sets two instances of one build apart (memory, \
    what is stored already: a few percent) counts as an effect, and no control sees it; two on this machine have to be \
    started on one core (taskset -c 1), or where the scheduler puts them counts as an effect of up to a factor of two";

const STARTED_ONCE: &str = "each service was started once (restart = \"session\"): the answer is of one process each, and \
    what sets two processes of one build apart (a few percent) counts as an effect";

/// Below this, the time that a service takes to start is not worth a note.
// With 20 pairs it starts 60 times, which is 15 s in all.
const SLOW_START: Duration = Duration::from_millis(250);

/// What is to be compared.
pub struct Gate<'a> {
    /// What the change is compared with.
    pub base: &'a Side,
    /// The change.
    pub head: &'a Side,
    /// How the session runs and is judged.
    pub plan: &'a Plan,
    /// The cases that this build knows.
    pub suite: &'a Suite,
    /// Ids of the cases to compare. If there are none, all that both sides have.
    pub only: &'a [String],
    /// Time limit, placement, and how much may be sent.
    pub settings: &'a Settings,
    /// Thresholds of cases that have one of their own.
    pub targets: &'a Targets,
    /// Slowdowns that were accepted beforehand.
    pub accepted: &'a AcceptedFile,
    /// Notices for the reader that are known before measuring.
    pub notices: Vec<String>,
    /// Ids of cases that head may lack.
    pub allow_missing: &'a [String],
    /// Folder for copies of the executables, on a file system from which programs can be started.
    pub copies: &'a Path,
    /// Ends the session in order when a signal comes.
    pub interrupt: &'a Interrupt,
}

/// The greetings of both sides, and the cases that they have in common.
struct Met {
    base: Hello,
    head: Hello,
    common: Vec<String>,
}

impl Gate<'_> {
    /// Runs the session; `watch` receives its progress. The record of a session that was interrupted after its start
    /// says so.
    pub fn measure(mut self, watch: impl FnMut(Progress)) -> Result<Record, Error> {
        self.plan.check()?;
        let Placement { client, stub } = self.settings.placement;
        if client.is_none() || stub.is_none() {
            self.notices.push(UNPINNED.to_owned());
        }
        if self.head.url.is_some() {
            self.notices.push(TWO_INSTANCES.to_owned());
        }
        if let Some(network) = &self.settings.network {
            self.notices.push(format!("measured over a simulated network: {network}"));
        }

        // One key for all workers, so that both sides check and show the same tokens.
        let begin = Begin { key: KeyPair::generate_pem()?, client, stub, explain: false };
        let mut copies = Copies::in_folder(self.copies.to_owned())?;
        let running = Running::start(self.base, self.head, &mut copies, &begin, self.interrupt)?;
        if running.is_some() {
            self.notices.push(STARTED_ONCE.to_owned());
        }

        // What can be refused is refused here, before anything is measured.
        let met = self.meet(&mut copies)?;
        self.check_accepted(&met)?;
        self.notices.extend(unlike(&met));
        let cases = self.cases(&met.common)?;
        self.check_injection(&cases)?;

        let sent = Arc::new(Sent::default());
        let mut workers = Workers {
            gate: &self,
            begin,
            copies,
            running,
            conditions: ConditionsMeter::start(),
            watch,
            sent: Arc::clone(&sent),
            told: false,
            subject: None,
        };
        let measured = Session::new(self.plan, &cases).run(&mut workers)?;
        let made_at = OffsetDateTime::now_utc();
        let subject = workers.subject.take();
        // Ends services that ran for the whole session, and removes the copies.
        drop(workers);
        if self.head.url.is_some() {
            self.notices.push(format!("sent to the two ingesters in all, warming up included: {sent}"));
        }

        let subject = match &self.head.url {
            Some(url) => name_over(url.clone(), self.settings.network.as_ref()),
            None => subject.unwrap_or_else(|| "stub".to_owned()),
        };
        let environment = Environment::read(&self.settings.placed(), subject);
        let lacked = self.wanted(lacking(&met.base, &met.head));
        let (allowed_missing, missing) = lacked.into_iter().partition(|id| self.allow_missing.contains(id));
        Ok(Record {
            schema_version: SCHEMA_VERSION,
            checksum: String::new(),
            partial: measured.partial,
            made_at: rfc3339(made_at),
            plan: self.plan.clone(),
            measure: met.base.measure.clone(),
            environment: serde_json::to_value(environment)
                .expect("an environment has only texts and numbers"),
            missing,
            allowed_missing,
            only_in_head: self.wanted(lacking(&met.head, &met.base)),
            base: described(self.base, met.base),
            head: described(self.head, met.head),
            notices: self.notices,
            numbers: measured.numbers,
            storms: measured.storms,
            cases: measured.cases,
            // Counted apart from the session, as nothing may run beside it.
            counters: None,
            accepted: accepted_on(Day::of(made_at), self.accepted),
        })
    }

    /// An error where a slowdown is accepted of a case that there is not: a typing error would let nothing pass, and be
    /// noticed only when the run has failed.
    fn check_accepted(&self, met: &Met) -> Result<(), Error> {
        let mut known: Vec<String> = self.suite.ids().collect();
        for id in met.base.cases.iter().chain(&met.head.cases) {
            if !known.contains(id) {
                known.push(id.clone());
            }
        }
        self.accepted.check_cases(&known)
    }

    /// Starts a worker of each side once, for its greeting.
    fn meet(&self, copies: &mut Copies) -> Result<Met, Error> {
        let (_, base) = self.worker(Role::Base, self.base, copies)?;
        let (_, head) = self.worker(Role::Head, self.head, copies)?;
        // Values of different things have no meaningful ratio.
        if base.measure != head.measure {
            return Err(Error::Worker(format!(
                "of base measures {}, that of head {}: they cannot be compared",
                base.measure, head.measure
            )));
        }
        // With a service on both sides a case that sends nothing (a token check, say) measures only this machine.
        let mut common = Vec::new();
        for id in head.cases.iter().filter(|id| base.cases.contains(id)) {
            let sends = self.suite.case(id).is_some_and(|spec| spec.sends().is_some());
            if sends || !self.head.is_a_service() {
                common.push(id.clone());
            }
        }
        // A case that head lacks may be asked for: it comes out as missing.
        let missing = lacking(&base, &head);
        if let Some(id) = self.only.iter().find(|id| !common.contains(id) && !missing.contains(id)) {
            let problem = format!("{id} cannot be compared; there are {}", printable(&common.join(", ")));
            return Err(Error::Setting { name: "--case", problem });
        }
        if self.wanted(common.clone()).is_empty() {
            return Err(Error::NothingInCommon);
        }
        Ok(Met { base, head, common })
    }

    /// Those of these cases that were asked for.
    fn wanted(&self, ids: Vec<String>) -> Vec<String> {
        ids.into_iter().filter(|id| self.only.is_empty() || self.only.contains(id)).collect()
    }

    fn worker(&self, role: Role, side: &Side, copies: &mut Copies) -> Result<(Arm, Hello), Error> {
        let patience = patience(self.settings, self.suite);
        Arm::start(role, side, copies, patience, self.interrupt)
    }

    /// An error where a worker measures over no simulated network though one is asked for: an older build knows of none,
    /// and would be compared with one that does.
    fn check_network(&self, role: Role, subject: &str) -> Result<(), Error> {
        let Some(network) = &self.settings.network else { return Ok(()) };
        let network = network.to_string();
        if network_of(subject) == Some(network.as_str()) {
            return Ok(());
        }
        Err(Error::Worker(format!(
            "of {} measures {}, and not over the network of INGESTER_NETWORK, {network}: a build that is older than that \
             variable, or another program, knows nothing of it; unset it, or compare newer builds",
            role.name(),
            printable(subject)
        )))
    }

    /// Plans the cases that are compared: their thresholds, and how much of each may be sent.
    fn cases(&self, common: &[String]) -> Result<Vec<CasePlan>, Error> {
        let ids = self.wanted(common.to_vec());
        let mut cases = Vec::new();
        for id in &ids {
            let spec = self.suite.case(id);
            let max_iters = self.max_iters(spec, ids.len())?;
            let own = spec.and_then(|spec| self.targets.gate_threshold(&spec.operation));
            let threshold = own.unwrap_or(self.plan.threshold);
            // A slowdown between the two would be large enough to fail the case, and yet never be proved.
            if threshold < self.plan.margin {
                let margin = Share(self.plan.margin);
                let own = Share(threshold);
                let problem = format!(
                    "{margin} is above gate_threshold_pct of {id} ({own}); lower one or raise the other"
                );
                return Err(Error::Setting { name: "--margin", problem });
            }
            cases.push(CasePlan { id: id.clone(), threshold, max_iters });
        }
        Ok(cases)
    }

    /// Most iterations of a case in one pair. To running ingesters no more than the allowed bytes may be sent in all.
    fn max_iters(&self, spec: Option<&Spec>, cases: usize) -> Result<u64, Error> {
        // A service that is started for each pair keeps what a pair sends, and is then gone with it.
        let stays = self.head.url.is_some() || self.head.service.as_ref().is_some_and(|service| service.once);
        let Some((files, size)) = spec.and_then(Spec::sends).filter(|_| stays) else {
            return Ok(u64::MAX);
        };
        // Pairs that were added or repeated send too. At most one planned pair in five is repeated, so this is more
        // than there can be.
        let slots = (cases * (self.plan.max_pairs + self.plan.pairs)) as u64;
        let iteration = files * size.0;
        let iters = self.settings.max_bytes.0 / slots / iteration;
        // With fewer than these a pair could not even run one block, after calibration and warm-up.
        if iters >= LEAST_SLICES {
            return Ok(iters);
        }
        Err(Error::TooMuch(format!(
            "up to {} pairs of {cases} cases (some repeated) send at least {} to the two ingesters: more than INGESTER_MAX_BYTES ({}); raise \
             that, or select cases with --case",
            self.plan.max_pairs,
            Bytes(LEAST_SLICES.saturating_mul(slots).saturating_mul(iteration)),
            self.settings.max_bytes
        )))
    }

    /// An error where `--inject` names a case that is not compared: the gate would seem to miss a slowdown that was
    /// never there.
    fn check_injection(&self, cases: &[CasePlan]) -> Result<(), Error> {
        let Some(injection) = &self.plan.injected else { return Ok(()) };
        if cases.iter().any(|case| case.id == injection.case) {
            return Ok(());
        }
        let problem = format!("{} is not among the cases that are compared", injection.case);
        Err(Error::Setting { name: "--inject", problem })
    }
}

/// Real workers on this machine.
struct Workers<'a, W> {
    gate: &'a Gate<'a>,
    begin: Begin,
    copies: Copies,
    /// Services that are started once for all pairs.
    running: Option<Running>,
    conditions: ConditionsMeter,
    watch: W,
    sent: Arc<Sent>,
    /// Whether the first start is over, and the time that starting takes has been noted where it is long.
    told: bool,
    /// What the first worker said that it measures.
    subject: Option<String>,
}

impl<W> Workers<'_, W> {
    /// Prints in advance how long the starts of a slow service take beside the measuring, estimated from its first
    /// one.
    fn tell_start(&mut self, side: &Side, took: Duration) {
        // Only after the first start: later would not be in advance.
        let was_told = std::mem::replace(&mut self.told, true);
        let starts_anew = side.service.is_some() && self.running.is_none();
        if was_told || !starts_anew || took < SLOW_START {
            return;
        }
        let pairs = self.gate.plan.pairs;
        let all = took.as_secs_f64() * (3 * pairs) as f64;
        note(format_args!(
            "Starting the service takes {:.1} s: three starts in each of {pairs} pairs take about {all:.0} s, beside the {} s of \
             measuring (restart = \"session\" starts each once)",
            took.as_secs_f64(),
            self.gate.plan.budget_ms / 1000
        ));
    }
}

/// An arm that counts what it sends.
struct Counted<'a> {
    arm: Arm,
    suite: &'a Suite,
    /// What an iteration of the case under way sends: how many files, and the size of each.
    iteration: (u64, Bytes),
    sent: Arc<Sent>,
}

impl Timed for Counted<'_> {
    fn prepare(&mut self, case: &str) -> Result<(), Error> {
        self.iteration = self.suite.case(case).and_then(Spec::sends).unwrap_or_default();
        self.arm.prepare(case)
    }

    fn slice(&mut self, iters: u64, spin: f64) -> Result<TimedSlice, Error> {
        let (files, size) = self.iteration;
        let files = iters.saturating_mul(files);
        // Counted before it is sent: a slice that fails has sent some of it as well.
        self.sent.add(files, files.saturating_mul(size.0));
        self.arm.slice(iters, spin)
    }

    fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        self.arm.latencies()
    }
}

impl<'a, W: FnMut(Progress)> Host for Workers<'a, W> {
    type Arm = Counted<'a>;

    fn start(&mut self, role: Role) -> Result<Counted<'a>, Error> {
        let configured = if role == Role::Head { self.gate.head } else { self.gate.base };
        let side = self.running.as_ref().map_or(configured, |running| running.side(role)).clone();
        // What was built is copied before the worker starts, and the service when it is told to begin: both are part of a
        // start.
        let asked = Instant::now();
        let (mut arm, _) = self.gate.worker(role, &side, &mut self.copies)?;
        let subject = arm.begin(&side, &self.begin)?;
        self.gate.check_network(role, &subject)?;
        self.subject.get_or_insert(subject);
        self.tell_start(&side, asked.elapsed());
        let suite = self.gate.suite;
        Ok(Counted { arm, suite, iteration: Default::default(), sent: Arc::clone(&self.sent) })
    }

    fn conditions(&mut self) -> Conditions {
        self.conditions.read()
    }

    fn cores(&self) -> usize {
        self.conditions.cores()
    }

    fn watch(&mut self, progress: Progress) -> Result<(), Error> {
        (self.watch)(progress);
        self.gate.interrupt.check()
    }
}

/// Time within which a worker has to answer.
pub(super) fn patience(settings: &Settings, suite: &Suite) -> Duration {
    (settings.timeout + PATIENCE).saturating_add(time_of_the_network(settings, suite))
}

/// What a simulated network takes for one iteration at most.
fn time_of_the_network(settings: &Settings, suite: &Suite) -> Duration {
    let Some(network) = &settings.network else { return Duration::ZERO };
    let times = suite.cases().iter().map(|spec| spec.allowance_over(network));
    times.max().unwrap_or_default()
}

/// Notices for the reader: builds that were not made alike, and cases that are left out.
fn unlike(met: &Met) -> Vec<String> {
    let base = &met.base.build;
    let head = &met.head.build;
    let mut notices = Vec::new();
    for (what, base, head) in
        [("profile", &base.profile, &head.profile), ("compiler", &base.compiler, &head.compiler)]
    {
        if base != head {
            let base = printable(base);
            let head = printable(head);
            notices.push(format!("the {what} of base is {base}, of head {head}: an effect may be its doing"));
        }
    }
    // Of the cases that both have, `meet` leaves out those that send nothing.
    for id in &met.head.cases {
        if met.base.cases.contains(id) && !met.common.contains(id) {
            notices.push(format!("{id} sends nothing: not compared"));
        }
    }
    notices
}

fn described(side: &Side, hello: Hello) -> Measured {
    Measured {
        name: side.name.clone(),
        build: hello.build,
        url: side.url.clone(),
        commit: side.commit.clone(),
    }
}

/// What the record keeps of accepted slowdowns; nothing where there are none.
fn accepted_on(on: Day, file: &AcceptedFile) -> Option<Accepted> {
    let slowdowns = file.slowdowns();
    if slowdowns.is_empty() {
        return None;
    }
    Some(Accepted { on, slowdowns })
}

/// Ids of the cases of one greeting that the other lacks.
fn lacking(of: &Hello, other: &Hello) -> Vec<String> {
    of.cases.iter().filter(|id| !other.cases.contains(id)).cloned().collect()
}
