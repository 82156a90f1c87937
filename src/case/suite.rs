//! The cases that are measured, as a value: whoever measures others passes others.

use std::path::Path;

use toml::de::DeTable;

use super::spec::{Kind, Spec};
use crate::api::Flow;
use crate::auth::PublicKey;
use crate::error::Error;
use crate::files::read_limited;
use crate::ingester::Settings;
use crate::load::Closed;
use crate::payload::Mix;
use crate::stub::{Router, RouterOf};
use crate::targets::{TargetError, Targets};
use crate::units::Bytes;

/// What load runs are called unless they are given a name.
pub const LOAD_OPERATIONS: [&str; 4] = ["load", "stress", "capacity", FLOW_OPERATION];
/// What the operations of a flow are called unless they are given a name.
pub const FLOW_OPERATION: &str = "flow";

/// Largest file of limits that is read: a thousand times the project's own.
const MAX_TARGETS: u64 = 1 << 20;

/// The project's own limits, as they were when this was built.
const BUILT_IN_TARGETS: &str = include_str!("../../baseline/targets.toml");

/// Cases with distinct ids, in the order in which they are measured, and what they are measured against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    cases: Vec<Spec>,
    /// The steps of a flow, as limits name them.
    steps: Vec<String>,
    router: Option<RouterOf>,
}

impl Default for Suite {
    /// The cases of the earlier suite: three sizes of uploads, the token check, 10 and 50 users.
    fn default() -> Self {
        Self {
            cases: vec![
                upload("10KB", "upload_small_file", Bytes::kb(10)),
                upload("1MB", "upload_medium_file", Bytes::mb(1)),
                upload("10MB", "upload_large_file", Bytes::mb(10)),
                Spec::new("jwt", "validate", "jwt_validation", Kind::Jwt),
                load("10_users", "concurrent_upload_10", Closed { users: 10, requests: 100 }, Bytes::kb(100)),
                load("50_users", "concurrent_upload_50", Closed { users: 50, requests: 500 }, Bytes::kb(50)),
            ],
            steps: step_operations(&Flow::default()),
            router: None,
        }
    }
}

/// What reports and limits call the steps of a flow: `flow/upload`, and so on.
pub(crate) fn step_operations(flow: &Flow) -> Vec<String> {
    flow.names().map(|step| format!("{FLOW_OPERATION}/{step}")).collect()
}

fn upload(name: &str, operation: &str, size: Bytes) -> Spec {
    Spec::new("upload", name, operation, Kind::Upload { files: Mix::only(size) })
}

fn load(name: &str, operation: &str, plan: Closed, size: Bytes) -> Spec {
    Spec::new("load", name, operation, Kind::Load { plan, files: Mix::only(size) })
}

impl Suite {
    /// These cases, against the stub.
    pub fn of_cases(cases: Vec<Spec>) -> Self {
        Self { cases, ..Self::default() }
    }

    /// The usual uploads and users, against a service of your own, which is served in the process that measures it. `make`
    /// is given the key whose tokens it should take: [`PublicKey::to_pem`] is what libraries read.
    ///
    /// What its API looks like is said by `ingester-perf.toml`, if it is not the ingester's.
    pub fn of_router(make: impl Fn(&PublicKey) -> Router + Send + Sync + 'static) -> Self {
        Self { router: Some(RouterOf::new(make)), ..Self::default().of_uploads() }
    }

    /// Without the token check, which is that of the stub: for a service of somebody else's.
    pub fn of_uploads(mut self) -> Self {
        self.cases.retain(|spec| spec.kind != Kind::Jwt);
        self
    }

    /// The same, with these cases.
    pub fn with_cases(self, cases: Vec<Spec>) -> Self {
        Self { cases, ..self }
    }

    /// The same, with limits for the steps of this flow.
    pub fn with_steps_of(self, flow: &Flow) -> Self {
        Self { steps: step_operations(flow), ..self }
    }

    /// The service of the caller's own, if there is one.
    pub fn router(&self) -> Option<&RouterOf> {
        self.router.as_ref()
    }

    /// Every case.
    pub fn cases(&self) -> &[Spec] {
        &self.cases
    }

    /// The ids of all cases.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.cases.iter().map(Spec::id)
    }

    /// The case of this id.
    pub fn case(&self, id: &str) -> Option<&Spec> {
        self.cases.iter().find(|spec| spec.id() == id)
    }

    /// The case that reports call this.
    pub fn of_operation(&self, operation: &str) -> Option<&Spec> {
        self.cases.iter().find(|spec| spec.operation == operation)
    }

    /// The limits in this file. Where it is the usual one and not there, as in another folder, those that are built in.
    pub fn targets_in(&self, path: &Path) -> Result<Targets, Error> {
        // Only where nobody named the file: one that was named and is missing is an error.
        if path == Settings::default().targets && !path.exists() {
            let built_in = Self::default().parse_targets(BUILT_IN_TARGETS);
            let built_in = built_in.map_err(|e| Error::malformed(path, e))?;
            // They are of all cases of the project's, and this suite may have fewer.
            return Ok(built_in.only(&self.operations()));
        }
        let text = read_limited(path, MAX_TARGETS)?;
        self.parse_targets(&text).map_err(|e| Error::malformed(path, e))
    }

    /// The limits in this text.
    pub fn parse_targets(&self, text: &str) -> Result<Targets, TargetError> {
        Targets::parse(text, &self.operations())
    }

    /// The limits in a table that is a part of this text.
    pub fn read_targets(&self, text: &str, table: DeTable<'_>) -> Result<Targets, TargetError> {
        Targets::read(text, table, &self.operations())
    }

    /// What a limit can be of.
    fn operations(&self) -> Vec<&str> {
        let mut known: Vec<&str> = self.cases.iter().map(|spec| spec.operation.as_str()).collect();
        known.extend(LOAD_OPERATIONS);
        known.extend(self.steps.iter().map(String::as_str));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_another_folder_the_built_in_limits_hold() {
        let suite = Suite::default();
        assert!(suite.parse_targets(BUILT_IN_TARGETS).is_ok());
        let elsewhere = tempfile::tempdir().expect("makes one").path().join("targets.toml");
        let error = suite.targets_in(&elsewhere).expect_err("was named and is missing").to_string();
        assert!(error.contains("targets.toml: cannot read"), "{error}");
    }

    #[test]
    fn the_steps_of_a_flow_have_limits_of_their_own() {
        let suite = Suite::default();
        assert!(suite.parse_targets("[flow]\np95_ms = 9\n[\"flow/download\"]\np95_ms = 5\n").is_ok());
        let error = suite.parse_targets("[\"flow/thumbnail\"]\np95_ms = 5\n").expect_err("is none of them");
        assert!(error.problem.contains("flow/finalize, flow/ready, flow/download"), "{error}");
        let alone = suite.with_steps_of(&Flow { steps: Vec::new(), ..Flow::default() });
        assert!(alone.parse_targets("[\"flow/download\"]\np95_ms = 5\n").is_err());
    }

    #[test]
    fn a_case_is_found_by_its_id_and_by_its_operation() {
        let suite = Suite::default();
        assert_eq!(suite.case("upload/1MB"), suite.of_operation("upload_medium_file"));
        assert_eq!(suite.case("upload/1MB").map(Spec::sends), Some(Some((1, Bytes::mb(1)))));
        assert_eq!((suite.case("upload/1TB"), suite.of_operation("download")), (None, None));
    }
}
