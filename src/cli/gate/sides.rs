//! What is compared: two commits, two executables, two commands that start a service, or two running ingesters.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::case::Suite;
use crate::config::{self, ACCEPTED_FILE, AcceptedFile, Build, Config, Restart};
use crate::gate::build::{Build as Built, Commit, Tree, virtual_environment};
use crate::gate::{CountedSides, CountingPrograms, Side, StartedService, own_executable};
use crate::ingester::{Described, Settings, base_url};
use crate::interrupt::Interrupt;
use crate::lockstep::Lock;
use crate::targets::Targets;
use crate::units::Share;
use url::Url;

use super::GateArgs;

/// Where a commit of this project keeps its limits.
const TARGETS: &str = "baseline/targets.toml";
/// The command that starts the service, in place of the file's.
const SERVE_VARIABLE: &str = "INGESTER_SERVICE_SERVE";
/// Where it is running already, likewise.
const URL_VARIABLE: &str = "INGESTER_SERVICE_URL";

/// What is compared.
pub struct Sides {
    /// What the change is compared with.
    pub base: Side,
    /// The change.
    pub head: Side,
    /// What fails a case, where it has a threshold of its own.
    pub targets: Targets,
    /// Slowdowns that were accepted beforehand, less what base accepts already.
    pub accepted: AcceptedFile,
    /// What is known of them, for the reader.
    pub notices: Vec<String>,
    /// The programs of both, where exact counts can be made of them.
    pub counted: Option<CountedSides>,
    /// Held until all is measured: a second gate would measure the first.
    pub lock: Option<Lock>,
}

/// A commit, built.
pub(super) struct BuiltSide {
    pub(super) side: Side,
    /// What is known of it, for the reader.
    pub(super) notices: Vec<String>,
    /// The programs that counts are made of, where there are any.
    counted: Option<CountingPrograms>,
}

/// What the gate was told of the service and its cases.
pub struct Configured<'a> {
    pub config: &'a Config,
    pub suite: &'a Suite,
    pub settings: &'a Settings,
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
        configured: &Configured<'_>,
        interrupt: &Interrupt,
    ) -> Result<Sides, Error> {
        let (base, head) = if let Some([base, head]) = urls {
            if base == head {
                let problem = format!("is the same as --base-url, {base}: there is nothing to compare");
                return Err(Error::Setting { name: "--head-url", problem });
            }
            // This program speaks to both: only the services differ.
            let own = own_executable()?;
            (Side::at_url(&base, &own)?, Side::at_url(&head, &own)?)
        } else if let (Some(base), Some(head)) = (&self.base_exe, &self.head_exe) {
            (Side::executable(base)?, Side::executable(head)?)
        } else if let (Some(base), Some(head)) = (&self.base_serve, &self.head_serve) {
            // Named by the flags: a command line may hold a password, and a verdict is published.
            (served("--base-serve", base, configured)?, served("--head-serve", head, configured)?)
        } else {
            return self.sides_of_commits(configured, interrupt);
        };
        let (targets, notices) = limits(configured)?;
        // What has no commit has no file of its own either: that of this tree is meant for it, all of it.
        let accepted = AcceptedFile::read_in(&folder_of_config(configured.config))?;
        Ok(Sides { base, head, targets, accepted, notices, counted: None, lock: None })
    }

    /// The repository whose commits are compared: that of a crate with a bench, of a service, or of this project.
    pub(super) fn tree(&self, configured: &Configured<'_>, interrupt: &Interrupt) -> Result<Tree, Error> {
        if let Some(bench) = &self.bench {
            Tree::of_bench(bench, interrupt)
        } else if configured.config.build.is_some() {
            Tree::of_any(interrupt)
        } else {
            Tree::find(interrupt)
        }
    }

    /// How the service is built whose commits are compared, if it is one.
    fn service_of<'a>(&self, configured: &Configured<'a>) -> Option<&'a Build> {
        if self.bench.is_some() { None } else { configured.config.build.as_ref() }
    }

    /// Whether commits of this project are compared. A crate of the user's has neither its sources nor its file of limits.
    fn is_own(&self, configured: &Configured<'_>) -> bool {
        self.bench.is_none() && configured.config.build.is_none()
    }

    /// Whether exact counts are made: a crate of the user's has no program of its own that counts.
    fn counts(&self, configured: &Configured<'_>) -> bool {
        self.is_own(configured) && self.counters.are_wanted()
    }

    /// Both commits, built.
    fn sides_of_commits(&self, configured: &Configured<'_>, interrupt: &Interrupt) -> Result<Sides, Error> {
        let tree = self.tree(configured, interrupt)?;
        let tree = if self.counts(configured) { tree.counting() } else { tree };
        let lock = tree.lock()?;
        let (base, head, mut notices) = self.commits(&tree)?;
        let (targets, said) = self.limits_of_commits(&tree, &base, &head, configured)?;
        notices.extend(said);
        let Allowed { accepted, notice } = self.accepted(&tree, &base, &head, configured)?;
        notices.extend(notice);
        let base = self.built(&tree, &base, configured, &lock)?;
        let head = self.built(&tree, &head, configured, &lock)?;
        notices.extend([base.notices, head.notices].concat());
        let counted = match (base.counted, head.counted) {
            (Some(base), Some(head)) => Some(CountedSides { base, head }),
            _ => None,
        };
        Ok(Sides { base: base.side, head: head.side, targets, accepted, notices, counted, lock: Some(lock) })
    }

    /// Both commits, with what is to be known of them.
    fn commits(&self, tree: &Tree) -> Result<(Commit, Commit, Vec<String>), Error> {
        let head = tree.head(self.head.as_deref())?;
        let base = if self.base_release {
            tree.release_before(&head, "--base")?
        } else {
            tree.base(self.base.as_deref(), &head)?
        };
        let notices = [base.notes.clone(), head.notes.clone()].concat();
        Ok((base, head, notices))
    }

    /// What fails a case of two commits, and what is to be known of that. A change must not loosen the limits that it is
    /// held against, so those of base count.
    pub(super) fn limits_of_commits(
        &self,
        tree: &Tree,
        base: &Commit,
        head: &Commit,
        configured: &Configured<'_>,
    ) -> Result<(Targets, Vec<String>), Error> {
        if self.service_of(configured).is_some() {
            return limits_of_service(tree, base, configured);
        }
        if !self.is_own(configured) {
            return limits(configured);
        }
        let mut notices = Vec::new();
        notices.extend(changed_cases(&tree.changed(base, head)?, configured.suite));
        if configured.settings.targets != Settings::default().targets {
            let (targets, said) = limits(configured)?;
            notices.extend(said);
            return Ok((targets, notices));
        }
        let own = targets_of(tree, base)?;
        // Head's are read to say where they are looser.
        match targets_of(tree, head) {
            Ok(heads) => notices.extend(looser_thresholds(&own, &heads, self.threshold.0)),
            // The gate of base need not know what head's file may hold.
            Err(e) => notices.push(format!("{e}; base's was used")),
        }
        Ok((own, notices))
    }

    /// The slowdowns that head accepts, less what base accepts already.
    fn accepted(
        &self,
        tree: &Tree,
        base: &Commit,
        head: &Commit,
        configured: &Configured<'_>,
    ) -> Result<Allowed, Error> {
        // This project keeps the file at the top of the repository, a service beside its configuration, and a crate of the
        // user's beside its manifest.
        let folder = if self.is_own(configured) {
            PathBuf::new()
        } else if self.service_of(configured).is_some() {
            tree.below(&folder_of_config(configured.config))?
        } else {
            tree.below(Path::new("."))?
        };
        allowed(tree, &folder, base, head)
    }

    /// A commit, built. How a service is started and spoken to is what the file in this tree says, for every commit.
    pub(super) fn built(
        &self,
        tree: &Tree,
        commit: &Commit,
        configured: &Configured<'_>,
        lock: &Lock,
    ) -> Result<BuiltSide, Error> {
        if let Some(build) = self.service_of(configured) {
            return built_service(tree, commit, build, configured, lock);
        }
        let built = tree.build(commit, lock)?;
        let side = of_commit(commit, Side::executable(&built.executable)?);
        let counted = if self.counts(configured) { Some(programs(built)) } else { None };
        Ok(BuiltSide { side, notices: Vec::new(), counted })
    }
}

/// The service of a commit, built.
fn built_service(
    tree: &Tree,
    commit: &Commit,
    build: &Build,
    configured: &Configured<'_>,
    lock: &Lock,
) -> Result<BuiltSide, Error> {
    let folder = tree.below(&build.dir)?;
    let built = tree.build_service(commit, build, &folder, lock)?;
    let mut notices = Vec::new();
    // Should the service not start, this says why.
    if let Some(environment) = virtual_environment(&built) {
        let name = environment.file_name().unwrap_or_default().to_string_lossy().into_owned();
        notices.push(format!(
            "{} has a virtual environment ({name}), whose programs name the folder that it was built in and will not \
             start from a copy: install with pip --target instead",
            commit.name
        ));
    }
    let mut service = started(configured, None)?;
    service.built = Some(built);
    // For a service whose build leaves its product elsewhere, as an image is.
    service.env.push((config::COMMIT_VARIABLE, commit.id.clone()));
    let side = of_commit(commit, Side::service(&commit.name, service, &own_executable()?)?);
    Ok(BuiltSide { side, notices, counted: None })
}

/// The limits of two commits of a service: those of base's file, if it has some.
fn limits_of_service(
    tree: &Tree,
    base: &Commit,
    configured: &Configured<'_>,
) -> Result<(Targets, Vec<String>), Error> {
    let (mut targets, mut notices) = limits(configured)?;
    let usual = configured.settings.targets == Settings::default().targets;
    let Some(path) = configured.config.path.as_ref().filter(|_| usual) else {
        return Ok((targets, notices));
    };
    let folder = tree.below(path.parent().unwrap_or_else(|| Path::new(".")))?;
    let file = folder.join(path.file_name().unwrap_or_default());
    let Some(text) = tree.file(base, &file.to_string_lossy())? else { return Ok((targets, notices)) };
    // Where base has no limits of its own, the usual ones held for it.
    let of_base = match Config::targets_in(path, &text, configured.suite) {
        Ok(Some(of_base)) => Ok(of_base),
        Ok(None) => configured.suite.targets_in(&configured.settings.targets),
        Err(e) => Err(e),
    };
    match of_base {
        Ok(of_base) if of_base == targets => {}
        Ok(of_base) => {
            notices.push(format!("limits are those of base's {}", file.display()));
            targets = of_base;
        }
        Err(e) => {
            notices.push(format!("base's own limits cannot be read ({e}); those of this tree were used"));
        }
    }
    Ok((targets, notices))
}

/// The side that was built from this commit.
fn of_commit(commit: &Commit, side: Side) -> Side {
    Side { name: commit.name.clone(), commit: Some(commit.id.clone()), ..side }
}

/// The folder in which `baseline/` is looked for: that of `ingester-perf.toml`, or this one.
fn folder_of_config(config: &Config) -> PathBuf {
    let folder = config.path.as_ref().and_then(|path| path.parent());
    folder.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// What a change may slow down.
struct Allowed {
    accepted: AcceptedFile,
    /// What the reader has to know of it.
    notice: Option<String>,
}

/// The slowdowns that head accepts, less what base accepts already. The file lies below this folder of the repository.
fn allowed(tree: &Tree, folder: &Path, base: &Commit, head: &Commit) -> Result<Allowed, Error> {
    let file = folder.join(ACCEPTED_FILE);
    let name = file.to_string_lossy().into_owned();
    let Some(text) = tree.file(head, &name)? else {
        return Ok(Allowed { accepted: AcceptedFile::default(), notice: None });
    };
    let of_head = AcceptedFile::parse(&file, &text)?;
    let Some(text) = tree.file(base, &name)? else {
        return Ok(Allowed { accepted: of_head, notice: None });
    };
    match AcceptedFile::parse(&file, &text) {
        Ok(of_base) => Ok(Allowed { accepted: of_head.beyond(&of_base), notice: None }),
        // What cannot be read may accept as much, and a slowdown must not be accepted twice.
        Err(e) => {
            let notice = format!("base's own file cannot be read ({e}): nothing is accepted beyond it");
            Ok(Allowed { accepted: of_head.without_any_left(), notice: Some(notice) })
        }
    }
}

/// The programs of a build that counts are made of.
fn programs(built: Built) -> CountingPrograms {
    CountingPrograms { usual: built.executable, counting: built.counting }
}

/// The service that this command starts, in place of the file's.
fn served(name: &str, command: &str, configured: &Configured<'_>) -> Result<Side, Error> {
    let service = started(configured, Some(command))?;
    Side::service(name, service, &own_executable()?)
}

/// A service that is started as the file says, but for this command.
fn started(configured: &Configured<'_>, serve: Option<&str>) -> Result<StartedService, Error> {
    let config = match serve {
        Some(serve) => configured.config.serving(serve)?,
        None => configured.config.clone(),
    };
    // Workers read the configuration again, from the same file and with the same command. The service has been built by
    // now, so they must not build it.
    let Described { command, api, .. } = config.describe(configured.suite);
    let command = command.expect("it was told, or the file says it");
    let mut env = vec![(config::BUILD_VARIABLE, String::new())];
    if let Some(serve) = serve {
        env.push((SERVE_VARIABLE, serve.to_owned()));
        // A URL of the file would exclude it.
        env.push((URL_VARIABLE, String::new()));
    }
    let once = config.build.is_some_and(|build| build.restart == Restart::Session);
    let command = (*command).clone();
    Ok(StartedService { command, env, built: None, once, wants_token: api.token.is_some() })
}

/// The limits for what has no commit, and whose they are.
fn limits(configured: &Configured<'_>) -> Result<(Targets, Vec<String>), Error> {
    let Configured { config, suite, settings } = configured;
    let targets = config.targets(suite, settings)?;
    let mut notices = Vec::new();
    if suite.cases().iter().any(|spec| targets.gate_threshold(&spec.operation).is_some()) {
        let file = match &config.path {
            Some(path) if config.has_targets() => path,
            _ => &settings.targets,
        };
        notices.push(format!("thresholds are those of {}", file.display()));
    }
    Ok((targets, notices))
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
fn changed_cases(paths: &[String], suite: &Suite) -> Option<String> {
    let mut cases = Vec::new();
    for spec in suite.cases() {
        // A source is a file, or a folder with a slash at its end: a prefix of the path either way.
        let sources = spec.sources();
        if paths.iter().any(|path| sources.iter().any(|source| path.starts_with(source))) {
            cases.push(spec.id());
        }
    }
    if cases.is_empty() {
        return None;
    }
    Some(format!(
        "the code that times {} differs between the two: an effect may be that code's own",
        cases.join(", ")
    ))
}
