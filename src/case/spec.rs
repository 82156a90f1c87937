//! A case as data: its id, and what it does.

use std::sync::Arc;
use std::time::Duration;

use super::worker::Case;
use super::{jwt, load, upload};
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::load::Closed;
use crate::network::Network;
use crate::payload::Mix;
use crate::units::Bytes;

/// A case that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// First half of the id: which bench binary it belongs to.
    pub group: String,
    /// Second half of the id.
    pub name: String,
    /// What reports and targets call it.
    pub operation: String,
    /// What it does.
    pub kind: Kind,
}

/// What one iteration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One upload, its answer read to the end.
    Upload {
        /// Sizes of files.
        files: Mix,
    },
    /// One RS256 token checked: signature, claims, times.
    Jwt,
    /// One pass: `users` at a time, `requests` uploads in all.
    Load {
        /// Users and uploads in one pass.
        plan: Closed,
        /// Sizes of files.
        files: Mix,
    },
}

/// What Criterion prints beside the time of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throughput {
    /// Bytes of file in one iteration.
    Bytes(u64),
    /// Operations in one iteration.
    Operations(u64),
}

/// Says what every case does.
const SPECS: &str = "src/case/spec.rs";
/// Says which cases there are.
const SUITE: &str = "src/case/suite.rs";
/// Times every case.
const TIMING: &str = "src/case/worker.rs";

impl Spec {
    /// A case of this id (`group/name`), called `operation` in reports and targets.
    pub fn new(group: &str, name: &str, operation: &str, kind: Kind) -> Self {
        Self { group: group.to_owned(), name: name.to_owned(), operation: operation.to_owned(), kind }
    }

    /// `group/name`, as Criterion has it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    /// What one iteration handles.
    pub fn throughput(&self) -> Throughput {
        match &self.kind {
            Kind::Upload { files } => match files.single() {
                Some(size) => Throughput::Bytes(size.0),
                None => Throughput::Operations(1),
            },
            Kind::Jwt => Throughput::Operations(1),
            Kind::Load { plan, .. } => Throughput::Operations(plan.requests),
        }
    }

    /// Operations under way at once.
    pub fn users(&self) -> u32 {
        match &self.kind {
            Kind::Upload { .. } | Kind::Jwt => 1,
            Kind::Load { plan, .. } => plan.users,
        }
    }

    /// Files that one iteration sends, and the mean size of each; none where nothing is sent.
    pub fn sends(&self) -> Option<(u64, Bytes)> {
        let (uploads, files) = match &self.kind {
            Kind::Upload { files } => (1, files),
            Kind::Jwt => return None,
            Kind::Load { plan, files } => (plan.requests, files),
        };
        Some((uploads, Bytes(files.mean().ceil() as u64)))
    }

    /// Time that a simulated network itself takes for one iteration.
    pub fn time_over(&self, network: &Network) -> Duration {
        match self.sends() {
            Some((uploads, size)) => self.in_a_row(uploads, network.exchange(size)),
            None => Duration::ZERO,
        }
    }

    /// The same at most: each upload is of the largest file, on a new connection.
    pub fn allowance_over(&self, network: &Network) -> Duration {
        let files = match &self.kind {
            Kind::Upload { files } | Kind::Load { files, .. } => files,
            Kind::Jwt => return Duration::ZERO,
        };
        let largest = files.sizes().max().unwrap_or_default();
        let (uploads, _) = self.sends().unwrap_or_default();
        self.in_a_row(uploads, network.allowance(largest))
    }

    /// What so many uploads take, of which each takes `one`: users have a line each, and upload side by side.
    fn in_a_row(&self, uploads: u64, one: Duration) -> Duration {
        let of_each_user = uploads.div_ceil(u64::from(self.users()));
        one.saturating_mul(u32::try_from(of_each_user).unwrap_or(u32::MAX))
    }

    /// Where the code is that times the case, seen from the project's root. Not what is timed: that is the ingester.
    pub fn sources(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::Upload { .. } => &[
                TIMING,
                SPECS,
                SUITE,
                "src/case/upload.rs",
                "src/api/",
                "src/client/",
                "src/network/",
                "src/payload/",
                "src/recording/",
            ],
            Kind::Jwt => &[TIMING, SPECS, SUITE, "src/case/jwt.rs", "src/recording/"],
            Kind::Load { .. } => &[
                TIMING,
                SPECS,
                SUITE,
                "src/case/load.rs",
                "src/case/upload.rs",
                "src/api/",
                "src/client/",
                "src/load/",
                "src/network/",
                "src/payload/",
                "src/recording/",
            ],
        }
    }

    /// Starts the case's thread on the client's core.
    pub fn start(&self, ingester: &Arc<Ingester>, settings: &Settings) -> Result<Case, Error> {
        let core = settings.placement.client;
        match &self.kind {
            Kind::Upload { files } => {
                Case::start(&self.id(), core, upload::Work::new(ingester, settings, files)?)
            }
            Kind::Jwt => Case::start(&self.id(), core, jwt::Work::new(settings)?),
            Kind::Load { plan, files } => {
                Case::start(&self.id(), core, load::Work::new(ingester, settings, *plan, files)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Suite;
    use super::*;

    #[test]
    fn the_sources_of_every_case_exist() {
        for source in Suite::default().cases().iter().flat_map(Spec::sources) {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "{source}");
        }
    }

    #[test]
    fn over_a_network_users_upload_side_by_side() {
        let network: Network = "20ms,8mbit,8mbit".parse().expect("is one");
        let suite = Suite::default();
        for (id, micros) in [
            // 10,240 bytes take 10.24 ms, the round trip 20 ms, the answer 1.024 ms.
            ("upload/10KB", 31_264),
            // 102,400 bytes take 102.4 ms; each of ten users uploads ten times.
            ("load/10_users", 10 * 123_424),
            ("jwt/validate", 0),
        ] {
            let spec = suite.case(id).expect(id);
            assert_eq!(spec.time_over(&network), Duration::from_micros(micros), "{id}");
        }
        let allowance = suite.case("load/10_users").expect("is one").allowance_over(&network);
        assert_eq!(allowance, Duration::from_secs(10));
    }
}
