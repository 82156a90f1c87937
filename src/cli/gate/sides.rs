//! What is compared: two commits of this project, two executables, or two running ingesters.

use std::path::Path;

use ingester_perf::Error;
use ingester_perf::case::{Spec, Suite};
use ingester_perf::gate::build::{Build, Commit, Tree};
use ingester_perf::gate::{Lock, Side, own_executable};
use ingester_perf::ingester::{Settings, base_url};
use ingester_perf::interrupt::Interrupt;
use ingester_perf::targets::Targets;
use ingester_perf::units::Share;
use url::Url;

use super::GateArgs;

/// Where a commit keeps its limits.
const TARGETS: &str = "baseline/targets.toml";

/// What is compared.
pub struct Sides {
    /// What the change is compared with.
    pub base: Side,
    /// The change.
    pub head: Side,
    /// What fails a case, where it has a threshold of its own.
    pub targets: Targets,
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
    pub(super) fn sides(
        &self,
        urls: Option<[Url; 2]>,
        settings: &Settings,
        interrupt: &Interrupt,
    ) -> Result<Sides, Error> {
        let (base, head) = if let Some([base, head]) = urls {
            if base == head {
                let problem = format!("is the same as --base-url, {base}: there is nothing to compare");
                return Err(Error::Setting { name: "--head-url", problem });
            }
            let own = own_executable()?;
            (Side::at_url(&base, &own)?, Side::at_url(&head, &own)?)
        } else if let (Some(base), Some(head)) = (&self.base_exe, &self.head_exe) {
            (Side::executable(base)?, Side::executable(head)?)
        } else {
            return self.built_sides(settings, interrupt);
        };
        let mut notices = Vec::new();
        let suite = Suite::default();
        let targets = suite.targets_in(&settings.targets)?;
        if suite.cases().iter().any(|spec| targets.gate_threshold(&spec.operation).is_some()) {
            notices.push(format!("thresholds are those of {}", settings.targets.display()));
        }
        Ok(Sides { base, head, targets, notices, lock: None })
    }

    /// Both commits, built.
    fn built_sides(&self, settings: &Settings, interrupt: &Interrupt) -> Result<Sides, Error> {
        let tree = Tree::find(interrupt)?;
        let lock = tree.lock()?;
        let head = tree.head(self.head.as_deref())?;
        let base = tree.base(self.base.as_deref(), &head)?;
        let mut notices = [base.notes.clone(), head.notes.clone()].concat();
        notices.extend(changed_cases(&tree.changed(&base, &head)?));
        // A change must not loosen the limits that it is held against.
        let targets = if settings.targets == Settings::default().targets {
            let own = targets_of(&tree, &base)?;
            match targets_of(&tree, &head) {
                Ok(heads) => notices.extend(looser_thresholds(&own, &heads, self.threshold.0)),
                // The gate of base need not know what head's file may hold.
                Err(e) => notices.push(format!("{e}; base's was used")),
            }
            own
        } else {
            notices.push(format!("thresholds are those of {}", settings.targets.display()));
            Suite::default().targets_in(&settings.targets)?
        };
        let side = |commit: &Commit| -> Result<Side, Error> {
            let Build { executable, sha256 } = tree.build(commit, &lock)?;
            Ok(Side { name: commit.name.clone(), executable, sha256, url: None })
        };
        Ok(Sides { base: side(&base)?, head: side(&head)?, targets, notices, lock: Some(lock) })
    }
}

/// The limits of a commit.
fn targets_of(tree: &Tree, commit: &Commit) -> Result<Targets, Error> {
    let text = tree.file(commit, TARGETS)?.unwrap_or_default();
    let targets = Suite::default().parse_targets(&text);
    targets.map_err(|e| Error::malformed(Path::new(&format!("{TARGETS} of {}", commit.name)), e))
}

/// Where head would fail a case later than base does.
fn looser_thresholds(base: &Targets, head: &Targets, usual: f64) -> Vec<String> {
    let mut notices = Vec::new();
    for spec in Suite::default().cases() {
        let of_base = base.gate_threshold(&spec.operation).unwrap_or(usual);
        let of_head = head.gate_threshold(&spec.operation).unwrap_or(usual);
        if of_head > of_base {
            notices.push(format!(
                "head's own {TARGETS} fails {} from {} on only; base's {} was used",
                spec.id(),
                Share(of_head),
                Share(of_base)
            ));
        }
    }
    notices
}

/// Cases whose own source differs are timed in two ways: an effect may be the measurement's.
fn changed_cases(paths: &[String]) -> Option<String> {
    let timed_by =
        |spec: &&Spec| paths.iter().any(|path| spec.sources().iter().any(|source| path.starts_with(source)));
    let cases: Vec<String> = Suite::default().cases().iter().filter(timed_by).map(Spec::id).collect();
    (!cases.is_empty()).then(|| {
        format!(
            "the code that times {} differs between the two: an effect may be that code's own",
            cases.join(", ")
        )
    })
}
