//! What is compared: two commits of this project, two executables, or two running ingesters.

use ingester_perf::Error;
use ingester_perf::case::{SUITE, Spec};
use ingester_perf::gate::build::{Build, Commit, Lock, Tree};
use ingester_perf::gate::{Side, own_executable};
use ingester_perf::ingester::base_url;
use url::Url;

use super::GateArgs;

/// What is compared.
pub struct Sides {
    /// What the change is compared with.
    pub base: Side,
    /// The change.
    pub head: Side,
    /// What is known of them, for the reader.
    pub notices: Vec<String>,
    /// Held until all is measured: a second gate would measure the first.
    pub lock: Option<Lock>,
}

impl GateArgs {
    /// The URLs of running ingesters, if they are what is compared.
    pub(super) fn urls(&self) -> Result<Option<[Url; 2]>, Error> {
        let (Some(base), Some(head)) = (&self.base_url, &self.head_url) else { return Ok(None) };
        Ok(Some([base_url("--base-url", base)?, base_url("--head-url", head)?]))
    }

    /// Both sides, built if need be.
    pub(super) fn sides(&self, urls: Option<[Url; 2]>) -> Result<Sides, Error> {
        let of = |base, head| Sides { base, head, notices: Vec::new(), lock: None };
        if let Some([base, head]) = urls {
            let own = own_executable()?;
            return Ok(of(Side::at_url(&base, &own)?, Side::at_url(&head, &own)?));
        }
        if let (Some(base), Some(head)) = (&self.base_exe, &self.head_exe) {
            return Ok(of(Side::executable(base)?, Side::executable(head)?));
        }
        self.built_sides()
    }

    /// Both commits, built.
    fn built_sides(&self) -> Result<Sides, Error> {
        let tree = Tree::find()?;
        let lock = tree.lock()?;
        let head = tree.head(self.head.as_deref())?;
        let base = tree.base(self.base.as_deref(), &head)?;
        let mut notices = [base.notes.clone(), head.notes.clone()].concat();
        notices.extend(changed_cases(&tree.changed(&base, &head)?));
        let side = |commit: &Commit| -> Result<Side, Error> {
            let Build { executable, sha256 } = tree.build(commit, &lock)?;
            Ok(Side { name: commit.name.clone(), executable, sha256, url: None })
        };
        Ok(Sides { base: side(&base)?, head: side(&head)?, notices, lock: Some(lock) })
    }
}

/// Cases whose own source differs are timed in two ways: an effect may be the measurement's.
fn changed_cases(paths: &[String]) -> Option<String> {
    let timed_by =
        |spec: &&Spec| paths.iter().any(|path| spec.sources().iter().any(|source| path.starts_with(source)));
    let cases: Vec<String> = SUITE.iter().filter(timed_by).map(Spec::id).collect();
    (!cases.is_empty()).then(|| {
        format!(
            "the code that times {} differs between the two: an effect may be that code's own",
            cases.join(", ")
        )
    })
}
