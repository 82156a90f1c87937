//! The suite as data: every case by id, with what it does.

use std::path::Path;
use std::sync::Arc;

use super::worker::Case;
use super::{jwt, load, upload};
use crate::error::Error;
use crate::files::read_limited;
use crate::ingester::{Ingester, Settings};
use crate::load::Closed;
use crate::targets::{TargetError, Targets};
use crate::units::Bytes;

/// A case that can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// First half of the id: which bench binary it belongs to.
    pub group: &'static str,
    /// Second half of the id.
    pub name: &'static str,
    /// What reports and targets call it.
    pub operation: &'static str,
    /// What it does.
    pub kind: Kind,
}

/// What one iteration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One signed multipart upload, its answer read to the end.
    Upload {
        /// Size of the file.
        size: Bytes,
    },
    /// One RS256 token checked: signature, claims, times.
    Jwt,
    /// One pass: `users` at a time, `requests` uploads in all.
    Load {
        /// Users and uploads in one pass.
        plan: Closed,
        /// Size of each file.
        size: Bytes,
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
/// Times every case.
const TIMING: &str = "src/case/worker.rs";

/// Every case, in the order in which they are measured.
pub const SUITE: [Spec; 6] = [
    Spec {
        group: "upload",
        name: "10KB",
        operation: "upload_small_file",
        kind: Kind::Upload { size: Bytes::kb(10) },
    },
    Spec {
        group: "upload",
        name: "1MB",
        operation: "upload_medium_file",
        kind: Kind::Upload { size: Bytes::mb(1) },
    },
    Spec {
        group: "upload",
        name: "10MB",
        operation: "upload_large_file",
        kind: Kind::Upload { size: Bytes::mb(10) },
    },
    Spec { group: "jwt", name: "validate", operation: "jwt_validation", kind: Kind::Jwt },
    Spec {
        group: "load",
        name: "10_users",
        operation: "concurrent_upload_10",
        kind: Kind::Load { plan: Closed { users: 10, requests: 100 }, size: Bytes::kb(100) },
    },
    Spec {
        group: "load",
        name: "50_users",
        operation: "concurrent_upload_50",
        kind: Kind::Load { plan: Closed { users: 50, requests: 500 }, size: Bytes::kb(50) },
    },
];

/// What load runs are called unless they are given a name.
pub const LOAD_OPERATIONS: [&str; 2] = ["load", "stress"];

/// Largest file of limits that is read: a thousand times the project's own.
const MAX_TARGETS: u64 = 1 << 20;

/// The project's own limits, as they were when this was built.
const BUILT_IN_TARGETS: &str = include_str!("../../baseline/targets.toml");

/// The limits in this file. Where it is the usual one and not there, as in another folder, those that are built in.
pub fn targets_in(path: &Path) -> Result<Targets, Error> {
    if path == Settings::default().targets && !path.exists() {
        return parse_targets(BUILT_IN_TARGETS).map_err(|e| Error::malformed(path, e));
    }
    read_targets(path)
}

fn read_targets(path: &Path) -> Result<Targets, Error> {
    let text = read_limited(path, MAX_TARGETS)?;
    parse_targets(&text).map_err(|e| Error::malformed(path, e))
}

/// The limits in this text.
pub fn parse_targets(text: &str) -> Result<Targets, TargetError> {
    let known = [&SUITE.map(|spec| spec.operation)[..], &LOAD_OPERATIONS].concat();
    Targets::parse(text, &known)
}

impl Spec {
    /// `group/name`, as Criterion has it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    /// What one iteration handles.
    pub fn throughput(&self) -> Throughput {
        match self.kind {
            Kind::Upload { size } => Throughput::Bytes(size.0),
            Kind::Jwt => Throughput::Operations(1),
            Kind::Load { plan, .. } => Throughput::Operations(plan.requests),
        }
    }

    /// Operations under way at once.
    pub fn users(&self) -> u32 {
        match self.kind {
            Kind::Upload { .. } | Kind::Jwt => 1,
            Kind::Load { plan, .. } => plan.users,
        }
    }

    /// Files that one iteration sends, and the size of each; none where nothing is sent.
    pub fn uploads(&self) -> Option<(u64, Bytes)> {
        match self.kind {
            Kind::Upload { size } => Some((1, size)),
            Kind::Jwt => None,
            Kind::Load { plan, size } => Some((plan.requests, size)),
        }
    }

    /// Where the code is that times the case, seen from the project's root. Not what is timed: that is the ingester.
    pub fn sources(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Upload { .. } => {
                &[TIMING, SPECS, "src/case/upload.rs", "src/client/", "src/payload/", "src/recording/"]
            }
            Kind::Jwt => &[TIMING, SPECS, "src/case/jwt.rs", "src/recording/"],
            Kind::Load { .. } => &[
                TIMING,
                SPECS,
                "src/case/load.rs",
                "src/case/upload.rs",
                "src/client/",
                "src/load/",
                "src/payload/",
                "src/recording/",
            ],
        }
    }

    /// Starts the case's thread on the client's core.
    pub fn start(&self, ingester: &Arc<Ingester>, settings: &Settings) -> Result<Case, Error> {
        let core = settings.placement.client;
        match self.kind {
            Kind::Upload { size } => {
                Case::start(&self.id(), core, upload::Work::new(ingester, settings, size)?)
            }
            Kind::Jwt => Case::start(&self.id(), core, jwt::Work::new(settings)?),
            Kind::Load { plan, size } => {
                Case::start(&self.id(), core, load::Work::new(ingester, settings, plan, size)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_another_folder_the_built_in_limits_hold() {
        assert!(parse_targets(BUILT_IN_TARGETS).is_ok());
        let elsewhere = tempfile::tempdir().expect("makes one").path().join("targets.toml");
        let error = targets_in(&elsewhere).expect_err("was named and is missing").to_string();
        assert!(error.contains("targets.toml: cannot read"), "{error}");
    }

    #[test]
    fn the_sources_of_every_case_exist() {
        for source in SUITE.iter().flat_map(Spec::sources) {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "{source}");
        }
    }
}
