//! Measuring two arms: who they are, which cases both have, and the session.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::arm::{Arm, Side};
use super::copies::Copies;
use super::plan::{CasePlan, Plan};
use super::protocol::{Begin, Hello};
use super::record::{Measured, Record, SCHEMA_VERSION};
use super::running::Running;
use super::schedule::Role;
use super::session::{Host, LEAST_SLICES, Progress, Session, Timed, TimedSlice};
use crate::auth::KeyPair;
use crate::case::{Spec, Suite};
use crate::console::note;
use crate::error::Error;
use crate::ingester::Settings;
use crate::interrupt::Interrupt;
use crate::machine::{Conditions, ConditionsMeter, Environment, Placement};
use crate::recording::Sent;
use crate::targets::Targets;
use crate::units::{Bytes, Share, printable, rfc3339};

/// A worker answers within this and the time limit of an upload.
const PATIENCE: Duration = Duration::from_secs(5);

const UNPINNED: &str = "client and stub could not be given a core of their own (one core, pinning refused, \
    or INGESTER_PLACEMENT=none): expect effects to vary by 1 to 9 % from pair to pair instead of 1 %, and cases to come out undecided";

const TWO_INSTANCES: &str = "each side is one running instance: what sets two instances of one build apart (memory, \
    what is stored already: a few percent) counts as an effect, and no control sees it; two on this machine have to be \
    started on one core (taskset -c 1), or where the scheduler puts them counts as an effect of up to a factor of two";

const STARTED_ONCE: &str = "each service was started once (restart = \"session\"): the answer is of one process each, and \
    what sets two processes of one build apart (a few percent) counts as an effect";

/// A service that starts faster than this needs no word about it.
const SLOW_START: Duration = Duration::from_millis(250);

/// What is to be compared.
pub struct Gate<'a> {
    /// What the change is compared with.
    pub base: &'a Side,
    /// The change.
    pub head: &'a Side,
    /// How.
    pub plan: &'a Plan,
    /// What this build knows of the cases.
    pub suite: &'a Suite,
    /// Ids of the cases; all that both have if there are none.
    pub only: &'a [String],
    /// Time limit, placement, bytes.
    pub settings: &'a Settings,
    /// What fails a case, where it has a threshold of its own.
    pub targets: &'a Targets,
    /// What is known already of the two, for the reader.
    pub notices: Vec<String>,
    /// Ids of cases that head may lack.
    pub allow_missing: &'a [String],
    /// Folder for copies of the executables, on a file system from which programs can be started.
    pub copies: &'a Path,
    /// Ends the session in order.
    pub interrupt: &'a Interrupt,
}

/// The two greetings, and what they have in common.
struct Met {
    base: Hello,
    head: Hello,
    common: Vec<String>,
}

impl Gate<'_> {
    /// Runs the session; `watch` is told how far it is. An interrupted one has a record that says so, once it has begun.
    pub fn measure(mut self, watch: impl FnMut(Progress)) -> Result<Record, Error> {
        self.plan.check()?;
        let Placement { client, stub } = self.settings.placement;
        if client.is_none() || stub.is_none() {
            self.notices.push(UNPINNED.to_owned());
        }
        if self.head.url.is_some() {
            self.notices.push(TWO_INSTANCES.to_owned());
        }
        let begin = Begin { key: KeyPair::generate_pem()?, client, stub };
        let mut copies = Copies::in_folder(self.copies.to_owned())?;
        let running = Running::start(self.base, self.head, &mut copies, &begin, self.interrupt)?;
        if running.is_some() {
            self.notices.push(STARTED_ONCE.to_owned());
        }
        let met = self.meet(&mut copies)?;
        self.notices.extend(unlike(&met));
        let cases = self.cases(&met.common)?;
        self.check_injection(&cases)?;

        let conditions = ConditionsMeter::start();
        let sent = Arc::new(Sent::default());
        let told = false;
        let sent_by_workers = Arc::clone(&sent);
        let mut workers =
            Workers { gate: &self, begin, copies, running, conditions, watch, sent: sent_by_workers, told };
        let measured = Session::new(self.plan, &cases).run(&mut workers)?;
        drop(workers);
        if self.head.url.is_some() {
            self.notices.push(format!("sent to the two ingesters in all, warming up included: {sent}"));
        }

        let subject = match (&self.head.url, &self.head.service) {
            (Some(url), _) => url,
            (None, Some(_)) => "the configured service",
            (None, None) => "stub",
        };
        let environment = Environment::read(&self.settings.placed(), subject);
        let lacked = self.wanted(lacking(&met.base, &met.head));
        let (allowed_missing, missing) = lacked.into_iter().partition(|id| self.allow_missing.contains(id));
        Ok(Record {
            schema_version: SCHEMA_VERSION,
            checksum: String::new(),
            partial: measured.partial,
            made_at: rfc3339(OffsetDateTime::now_utc()),
            plan: self.plan.clone(),
            unit: met.base.unit.clone(),
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
        })
    }

    /// Starts a worker of each once, to hear who they are.
    fn meet(&self, copies: &mut Copies) -> Result<Met, Error> {
        let (_, base) = self.worker(Role::Base, self.base, copies)?;
        let (_, head) = self.worker(Role::Head, self.head, copies)?;
        if base.unit != head.unit {
            return Err(Error::Worker(format!(
                "of base counts {}, that of head {}: they cannot be compared",
                printable(&base.unit),
                printable(&head.unit)
            )));
        }
        // What sends nothing measures this machine, whatever the service.
        let mut common = Vec::new();
        for id in head.cases.iter().filter(|id| base.cases.contains(id)) {
            let sends = self.suite.case(id).is_some_and(|spec| spec.uploads().is_some());
            if sends || !self.head.is_a_service() {
                common.push(id.clone());
            }
        }
        // A case that head lacks may be asked for: it comes out as missing.
        let is_missing = |id: &String| base.cases.contains(id) && !head.cases.contains(id);
        if let Some(id) = self.only.iter().find(|id| !common.contains(id) && !is_missing(id)) {
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
        Arm::start(role, side, copies, self.settings.timeout + PATIENCE, self.interrupt)
    }

    fn cases(&self, common: &[String]) -> Result<Vec<CasePlan>, Error> {
        let ids = self.wanted(common.to_vec());
        let mut cases = Vec::new();
        for id in &ids {
            let spec = self.suite.case(id);
            let max_iters = self.max_iters(spec, ids.len())?;
            let own = spec.and_then(|spec| self.targets.gate_threshold(&spec.operation));
            let threshold = own.unwrap_or(self.plan.threshold);
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

    /// What may be sent to real ingesters, shared among cases and pairs.
    fn max_iters(&self, spec: Option<&Spec>, cases: usize) -> Result<u64, Error> {
        let Some((uploads, size)) = spec.and_then(Spec::uploads).filter(|_| self.head.url.is_some()) else {
            return Ok(u64::MAX);
        };
        // Pairs that were added or repeated send too.
        let slots = (cases * (self.plan.max_pairs + self.plan.pairs)) as u64;
        let iteration = uploads * size.0;
        let iters = self.settings.max_bytes.0 / slots / iteration;
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

    /// A slowdown of nothing would look like a gate that misses it.
    fn check_injection(&self, cases: &[CasePlan]) -> Result<(), Error> {
        let unknown = self.plan.injected.as_ref().filter(|i| cases.iter().all(|case| case.id != i.case));
        unknown.map_or(Ok(()), |injection| {
            let problem = format!("{} is not among the cases that are compared", injection.case);
            Err(Error::Setting { name: "--inject", problem })
        })
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
    /// Whether it was said how long starting takes.
    told: bool,
}

impl<W> Workers<'_, W> {
    /// Says in advance how long starting a slow service takes beside the measuring, from its first start.
    fn tell_start(&mut self, side: &Side, took: Duration) {
        let starts_anew = side.service.is_some() && self.running.is_none();
        // Only of the first: later is not in advance.
        if std::mem::replace(&mut self.told, true) || !starts_anew || took < SLOW_START {
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

/// An arm whose uploads are counted.
struct Counted<'a> {
    arm: Arm,
    suite: &'a Suite,
    /// Uploads of an iteration of the case under way, and the size of each.
    iteration: (u64, Bytes),
    sent: Arc<Sent>,
}

impl Timed for Counted<'_> {
    fn prepare(&mut self, case: &str) -> Result<(), Error> {
        self.iteration = self.suite.case(case).and_then(Spec::uploads).unwrap_or_default();
        self.arm.prepare(case)
    }

    fn slice(&mut self, iters: u64, spin: f64) -> Result<TimedSlice, Error> {
        let (uploads, size) = self.iteration;
        let uploads = iters.saturating_mul(uploads);
        self.sent.add(uploads, uploads.saturating_mul(size.0));
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
        let (mut arm, _) = self.gate.worker(role, &side, &mut self.copies)?;
        let asked = Instant::now();
        arm.begin(&side, &self.begin)?;
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

/// What a reader should know of two builds that were not made alike, or of a case that is left out.
fn unlike(met: &Met) -> Vec<String> {
    let (base, head) = (&met.base.build, &met.head.build);
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
    let left_out = |id: &&String| met.base.cases.contains(id) && !met.common.contains(id);
    notices
        .extend(met.head.cases.iter().filter(left_out).map(|id| format!("{id} sends nothing: not compared")));
    notices
}

fn described(side: &Side, hello: Hello) -> Measured {
    Measured { name: side.name.clone(), build: hello.build, url: side.url.clone() }
}

fn lacking(of: &Hello, other: &Hello) -> Vec<String> {
    of.cases.iter().filter(|id| !other.cases.contains(id)).cloned().collect()
}
