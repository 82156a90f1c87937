//! Measuring two arms: who they are, which cases both have, and the session.

use std::ops::ControlFlow;
use std::time::Duration;

use time::OffsetDateTime;

use super::arm::{Arm, ArmError, Side};
use super::plan::{CasePlan, Plan};
use super::protocol::{Begin, Hello};
use super::record::{Measured, Record, SCHEMA_VERSION};
use super::schedule::Role;
use super::session::{LEAST_SLICES, Progress, Session};
use crate::auth::KeyPair;
use crate::case::{SUITE, Spec};
use crate::environment::{Environment, Placement};
use crate::error::Error;
use crate::ingester::Settings;
use crate::targets::Targets;
use crate::units::{Bytes, Share, rfc3339};

/// A worker answers within this and the time limit of an upload.
const PATIENCE: Duration = Duration::from_secs(5);

const UNPINNED: &str = "client and stub could not be given a core of their own (one core, pinning refused, \
    or INGESTER_PLACEMENT=none): expect effects to vary by 1 to 9 % from pair to pair instead of 1 %, and cases to come out as underpowered";

const TWO_INSTANCES: &str = "each side is one running instance: what sets two instances of one build apart (memory, \
    what is stored already: a few percent) counts as an effect, and no control sees it; two on this machine have to be \
    started on one core (taskset -c 1), or where the scheduler puts them counts as an effect of up to a factor of two";

/// What is to be compared.
pub struct Gate<'a> {
    /// What the change is compared with.
    pub base: &'a Side,
    /// The change.
    pub head: &'a Side,
    /// How.
    pub plan: &'a Plan,
    /// Ids of the cases; all that both have if there are none.
    pub only: &'a [String],
    /// Time limit, placement, bytes.
    pub settings: &'a Settings,
    /// What fails a case, where it has a threshold of its own.
    pub targets: &'a Targets,
    /// What is known already of the two, for the reader.
    pub notices: Vec<String>,
}

/// The two greetings, and what they have in common.
struct Met {
    base: Hello,
    head: Hello,
    common: Vec<String>,
}

impl Gate<'_> {
    /// Runs the session. `watch` may break it off; the record says so.
    pub fn measure(mut self, watch: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Record, Error> {
        self.plan.check()?;
        let Placement { client, stub } = self.settings.placement;
        if client.is_none() || stub.is_none() {
            self.notices.push(UNPINNED.to_owned());
        }
        if self.head.url.is_some() {
            self.notices.push(TWO_INSTANCES.to_owned());
        }
        let begin = Begin { key: KeyPair::generate_pem()?, client, stub };
        let met = self.meet()?;
        self.notices.extend(unlike(&met));
        let cases = self.cases(&met.common)?;
        self.check_injection(&cases)?;
        let session = Session::new(self.plan, &cases);
        let (cases, whole) = session.run(|role| self.start(role, &begin), watch)?;
        let measures = self.head.url.as_deref().unwrap_or("stub");
        Ok(Record {
            schema_version: SCHEMA_VERSION,
            partial: !whole,
            made_at: rfc3339(OffsetDateTime::now_utc()),
            plan: self.plan.clone(),
            environment: serde_json::to_value(Environment::read(&self.settings.placement, measures))
                .expect("an environment has only texts and numbers"),
            only_in_base: lacking(&met.base, &met.head),
            only_in_head: lacking(&met.head, &met.base),
            base: measured(self.base, met.base),
            head: measured(self.head, met.head),
            notices: self.notices,
            cases,
        })
    }

    /// Starts a worker of each once, to hear who they are.
    fn meet(&self) -> Result<Met, Error> {
        let greet =
            |role, side| -> Result<Hello, ArmError> { Arm::start(role, side, self.patience())?.hello(side) };
        let (base, head) = (greet(Role::Base, self.base)?, greet(Role::Head, self.head)?);
        // What sends nothing measures this machine, whatever the URL.
        let sends = |id: &&String| {
            self.head.url.is_none() || SUITE.iter().any(|spec| spec.id() == **id && spec.uploads().is_some())
        };
        let shared = head.cases.iter().filter(|id| base.cases.contains(id)).filter(sends);
        let common: Vec<String> = shared.cloned().collect();
        let unknown = self.only.iter().find(|id| !common.contains(id));
        match unknown {
            Some(id) => Err(Error::Setting {
                name: "--case",
                problem: format!("there is no {id} in both; there are {}", common.join(", ")),
            }),
            None if common.is_empty() => Err(Error::NothingInCommon),
            None => Ok(Met { base, head, common }),
        }
    }

    fn cases(&self, common: &[String]) -> Result<Vec<CasePlan>, Error> {
        let wanted = |id: &&String| self.only.is_empty() || self.only.contains(id);
        let ids: Vec<&String> = common.iter().filter(wanted).collect();
        let plan = |id: &&String| {
            let spec = SUITE.iter().find(|spec| spec.id() == **id);
            let own = spec.and_then(|spec| self.targets.fail_over(spec.operation));
            let max_iters = self.max_iters(spec, ids.len())?;
            let fail_over = own.unwrap_or(self.plan.fail_over);
            if fail_over < self.plan.margin {
                let (margin, own) = (Share(self.plan.margin), Share(fail_over));
                let problem = format!(
                    "{margin} is above gate_fail_over_pct of {id} ({own}); lower one or raise the other"
                );
                return Err(Error::Setting { name: "--margin", problem });
            }
            Ok(CasePlan { id: (*id).clone(), fail_over, max_iters })
        };
        ids.iter().map(plan).collect()
    }

    /// What may be sent to real ingesters, shared among cases and pairs.
    fn max_iters(&self, spec: Option<&Spec>, cases: usize) -> Result<u64, Error> {
        let Some((uploads, size)) = spec.and_then(Spec::uploads).filter(|_| self.head.url.is_some()) else {
            return Ok(u64::MAX);
        };
        let (slots, iteration) = ((cases * self.plan.pairs) as u64, uploads * size.0);
        let iters = self.settings.max_bytes.0 / slots / iteration;
        if iters >= LEAST_SLICES {
            return Ok(iters);
        }
        Err(Error::TooMuch(format!(
            "{} pairs of {cases} cases send at least {} to the two ingesters: more than INGESTER_MAX_BYTES ({}); raise \
             that, or select cases with --case",
            self.plan.pairs,
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

    fn start(&self, role: Role, begin: &Begin) -> Result<Arm, Error> {
        let side = if role == Role::Head { self.head } else { self.base };
        let mut arm = Arm::start(role, side, self.patience())?;
        arm.hello(side)?;
        arm.begin(side, begin)?;
        Ok(arm)
    }

    fn patience(&self) -> Duration {
        self.settings.timeout + PATIENCE
    }
}

/// What a reader should know of two builds that were not made alike, or of a case that is left out.
fn unlike(met: &Met) -> Vec<String> {
    let (base, head) = (&met.base.build, &met.head.build);
    let mut notices = Vec::new();
    for (what, base, head) in
        [("profile", &base.profile, &head.profile), ("compiler", &base.rustc, &head.rustc)]
    {
        if base != head {
            notices.push(format!("the {what} of base is {base}, of head {head}: an effect may be its doing"));
        }
    }
    let left_out = |id: &&String| met.base.cases.contains(id) && !met.common.contains(id);
    notices
        .extend(met.head.cases.iter().filter(left_out).map(|id| format!("{id} sends nothing: not compared")));
    notices
}

fn measured(side: &Side, hello: Hello) -> Measured {
    Measured { name: side.name.clone(), build: hello.build, url: side.url.clone() }
}

fn lacking(of: &Hello, other: &Hello) -> Vec<String> {
    of.cases.iter().filter(|id| !other.cases.contains(id)).cloned().collect()
}
