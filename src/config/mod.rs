//! `ingester-perf.toml`: how to build, start and speak to a service, which cases are measured, and against which limits.
//!
//! [`Config`] is what the file says, checked. Variables of the environment stand above it, key by key.

mod accepted;
mod api;
mod cases;
mod file;
mod flow;
mod overrides;
mod service;
mod template;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use accepted::{ACCEPTED_FILE, AcceptedFile};
pub use overrides::{NONE, SERVICE};
pub use service::{Build, BuildError, COMMIT_VARIABLE, Restart};
pub use template::TEMPLATE;

use crate::api::Flow;
use crate::case::Suite;
use crate::error::Error;
use crate::files::read_limited;
use crate::ingester::{Described, Flag, Settings, Subject};
use crate::interrupt::Interrupt;
use crate::targets::Targets;
use file::Located;

/// What the file is called.
pub const FILE_NAME: &str = "ingester-perf.toml";
/// Names another one.
pub const VARIABLE: &str = "INGESTER_CONFIG";
/// The command that builds the service; empty where it was built already.
pub const BUILD_VARIABLE: &str = "INGESTER_SERVICE_BUILD";
/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// What is configured. The default, for a folder without a file, is the stub and the usual suite.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file; `None` where there is none.
    pub path: Option<PathBuf>,
    /// How the service is built and how often it is started, if a command starts it.
    pub build: Option<Build>,
    described: Described,
    suite: Option<Suite>,
    targets: Option<Targets>,
    /// What may follow an upload.
    flow: Option<Arc<Flow>>,
}

impl Config {
    /// The file that `--config` or `INGESTER_CONFIG` names, else that of this folder or the nearest one above it, up to the
    /// top of the repository; else none.
    pub fn find(given: Option<&Path>) -> Result<Self, Error> {
        let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        if let Some(path) = given.map(Path::to_owned).or(named) {
            return Self::read(&path);
        }
        let here = std::env::current_dir().map_err(|e| Error::file(Path::new("."), "find", e))?;
        match nearest(&here) {
            Some(path) => Self::read(&path),
            None => Self::parse(Path::new(FILE_NAME), "").map(|config| Self { path: None, ..config }),
        }
    }

    /// Reads one file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(|e| Error::file(path, "find", e))?;
        let text = read_limited(&path, MAX_BYTES)?;
        Self::parse(&path, &text)
    }

    /// Reads a text that stands in this file. An error names the line, or the variable that overrides it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let located = Located::parse(text).map_err(|e| Error::malformed(path, e))?;
        let file = located.file().map_err(|e| Error::malformed(path, e))?;
        let suite = match &file.case {
            Some(tables) => {
                let cases = cases::specs(tables);
                Some(Suite::of_cases(cases.map_err(|e| Error::malformed(path, located.at(&e)))?))
            }
            None => None,
        };
        // The file has to be right by itself: else an error in it would be taken for one of a variable.
        let (checked, _) =
            service_and_api(path, &file).map_err(|e| Error::malformed(path, located.at(&e)))?;
        let flow = flow_of(&file, &checked).map_err(|e| Error::malformed(path, located.at(&e)))?;
        // The limits come last, as they are named after the cases and the steps of a flow.
        let known = with_steps_of(flow.as_deref(), suite.clone().unwrap_or_default());
        let targets = located.targets(&known).map_err(|e| Error::malformed(path, e))?;
        let file = overrides::apply(text)?;
        let (described, build) = service_and_api(path, &file).map_err(|e| overrides::blame(path, &e))?;
        let flow = flow_of(&file, &described).map_err(|e| overrides::blame(path, &e))?;
        Ok(Self { path: Some(path.to_owned()), build, described, suite, targets, flow })
    }

    /// The same, for a service that this command starts.
    pub fn serving(&self, serve: &str) -> Result<Self, Error> {
        let (path, text) = match &self.path {
            Some(path) => (path.clone(), read_limited(path, MAX_BYTES)?),
            None => (PathBuf::from(FILE_NAME), String::new()),
        };
        let mut file = overrides::apply(&text)?;
        let service = file.service.get_or_insert_default();
        // A URL and a command exclude each other.
        service.serve = Some(serve.to_owned());
        service.url = None;
        // The file was checked when it was read: what is wrong now comes from the command that was given.
        let (described, build) = service_and_api(&path, &file)
            .map_err(|problem| Error::Setting { name: "--base-serve", problem: problem.what })?;
        Ok(Self { described, build, ..self.clone() })
    }

    /// The cases of the file, or `usual` where it has none. Of those, a service that the file describes has the uploads.
    pub fn suite(&self, usual: &Suite) -> Suite {
        let has_service = self.described.command.is_some() || self.described.url.is_some();
        let suite = match &self.suite {
            Some(configured) => usual.clone().with_cases(configured.cases().to_vec()),
            None if has_service => usual.clone().of_uploads(),
            None => usual.clone(),
        };
        with_steps_of(self.flow.as_deref(), suite)
    }

    /// What follows an upload, if something does: what the file says, or what the ingester has.
    pub fn flow(&self) -> Option<&Arc<Flow>> {
        self.flow.as_ref()
    }

    /// The settings of this process for the cases of a suite.
    pub fn settings(&self, suite: &Suite) -> Result<Settings, Error> {
        Settings::from_env(&self.describe(suite))
    }

    /// The same, with flags before variables.
    pub fn settings_with(&self, suite: &Suite, flags: &[Flag]) -> Result<Settings, Error> {
        Settings::with_flags(&self.describe(suite), flags)
    }

    /// Builds the service, if these settings start it and there is something to build.
    pub fn build_for(&self, settings: &Settings, interrupt: &Interrupt) -> Result<(), Error> {
        match (&settings.subject, &self.build) {
            (Subject::Command { .. }, Some(build)) => build.run(interrupt),
            _ => Ok(()),
        }
    }

    /// What is known of the service: what the file says, and the router of a suite that has one.
    pub fn describe(&self, suite: &Suite) -> Described {
        Described { router: suite.router().cloned(), ..self.described.clone() }
    }

    /// The limits: those of the file, if it has any and no other file was asked for.
    pub fn targets(&self, suite: &Suite, settings: &Settings) -> Result<Targets, Error> {
        match &self.targets {
            Some(targets) if settings.targets == Settings::default().targets => Ok(targets.clone()),
            _ => suite.targets_in(&settings.targets),
        }
    }

    /// Whether the file has limits of its own.
    pub fn has_targets(&self) -> bool {
        self.targets.is_some()
    }

    /// The limits in another version of the file, as a commit has it; none where it has none. All else in it may be of
    /// another time, and is not looked at.
    pub fn targets_in(path: &Path, text: &str, suite: &Suite) -> Result<Option<Targets>, Error> {
        let located = Located::parse(text).map_err(|e| Error::malformed(path, e))?;
        located.targets(suite).map_err(|e| Error::malformed(path, e))
    }
}

/// What may follow an upload to this service, as these tables say.
fn flow_of(file: &file::Tables, service: &Described) -> Result<Option<Arc<Flow>>, file::Problem> {
    let flow = flow::flow(file.flow.as_ref(), file.api.is_some(), &service.api)?;
    Ok(flow.map(Arc::new))
}

/// The suite with limits for the steps of this flow, if there is one.
fn with_steps_of(flow: Option<&Flow>, suite: Suite) -> Suite {
    match flow {
        Some(flow) => suite.with_steps_of(flow),
        None => suite,
    }
}

/// What is to be measured, as these tables say.
fn service_and_api(path: &Path, file: &file::Tables) -> Result<(Described, Option<Build>), file::Problem> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let service = file.service.as_ref();
    let mut api = api::api(file.api.as_ref(), file.cleanup.as_ref())?;
    let mut described = Described::default();
    let mut build = None;
    if let Some(table) = service {
        described.url = service::url(table)?;
        if let Some((mut command, how)) = service::command(table, folder)? {
            command.secrets.clone_from(&api.secrets);
            described.command = Some(Arc::new(command));
            build = Some(how);
        }
        // Where the service says that it is ready, it is asked again before a run.
        api.ready = service::ready_path(table).or(api.ready);
    }
    described.api = Arc::new(api);
    Ok((described, build))
}

/// The nearest file at or above a folder. The top of a repository is as far as it goes: what lies above belongs to others.
fn nearest(here: &Path) -> Option<PathBuf> {
    for folder in here.ancestors() {
        let path = folder.join(FILE_NAME);
        if path.is_file() {
            return Some(path);
        }
        if folder.join(".git").exists() {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn parse(text: &str) -> Result<Config, String> {
        // The service's folder has to be there.
        Config::parse(&std::env::temp_dir().join(FILE_NAME), text).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = parse("").expect("is fine");
        assert!(config.build.is_none() && config.described.command.is_none() && config.suite.is_none());
        assert_eq!(*config.described.api, crate::api::Api::default());
    }

    #[test]
    fn what_init_writes_is_understood() {
        let config = parse(TEMPLATE).expect("is fine");
        let command = config.described.command.expect("has one");
        assert!(command.serve.contains("{port}"), "{}", command.serve);
    }

    #[test]
    fn a_configured_service_has_the_uploads_of_the_usual_cases() {
        let config = parse("[service]\nserve = \"x\"\n").expect("is fine");
        let ids: Vec<String> = config.suite(&Suite::default()).ids().collect();
        assert_eq!(ids, ["upload/10KB", "upload/1MB", "upload/10MB", "load/10_users", "load/50_users"]);
    }

    #[test]
    fn the_nearest_file_is_found_up_to_the_top_of_the_repository() {
        let home = tempfile::tempdir().expect("makes one");
        let deep = home.path().join("repository/services/upload");
        std::fs::create_dir_all(&deep).expect("makes it");
        std::fs::write(home.path().join(FILE_NAME), "").expect("writes");
        assert_eq!(nearest(&deep), Some(home.path().join(FILE_NAME)));
        std::fs::create_dir(home.path().join("repository/.git")).expect("makes it");
        assert_eq!(nearest(&deep), None);
        let own = home.path().join("repository/services").join(FILE_NAME);
        std::fs::write(&own, "").expect("writes");
        assert_eq!(nearest(&deep), Some(own));
    }

    #[test]
    fn a_flow_and_the_limits_of_its_steps_stand_in_one_file() {
        let text = "[api]\npath = \"/files\"\nid = \"/id\"\n\n[[flow.step]]\nname = \"upload\"\n\n\
                    [[flow.step]]\nname = \"thumbnail\"\npath = \"/files/{id}/thumbnail\"\n\n\
                    [targets.\"flow/thumbnail\"]\np95_ms = 50\n";
        let config = parse(text).expect("is fine");
        let flow = config.flow().expect("has one");
        assert_eq!(flow.names().collect::<Vec<_>>(), ["upload", "thumbnail"]);
        assert!(config.has_targets());
        let wrong = parse(&text.replace("flow/thumb", "flow/ump")).expect_err("is no step");
        assert!(wrong.contains("line 12: targets.flow/umpnail: no such operation"), "{wrong}");
    }

    #[test]
    fn a_service_that_is_described_has_no_flow_of_its_own() {
        let text = "[api]\npath = \"/files\"\n";
        assert!(parse(text).expect("is fine").flow().is_none());
        assert!(parse("").expect("is fine").flow().is_some());
    }

    #[test]
    fn a_mistake_in_a_step_is_told_with_its_line() {
        let upload = "[[flow.step]]\nname = \"upload\"\n";
        let wrong: [(&str, &str); 6] = [
            ("[flow]\n", "line 1: flow.step: is missing"),
            ("\n[flow]\nsteps = 1\n", "line 3: flow.steps: unknown field `steps`, expected `step`"),
            ("[[flow.step]]\nname = \"send\"\n", "line 2: flow.step.name: \"send\" must be"),
            (
                &format!("{upload}[[flow.step]]\nname = \"a\"\npath = \"/a\"\n\nevery = \"1s\"\n"),
                "line 7: flow.step.every: is set without until",
            ),
            (&format!("{upload}[[flow.step]]\nname = \"a\"\n"), "line 4: flow.step.path: is missing"),
            (
                &format!("{upload}[[flow.step]]\nname = \"a\"\nuntil = {{ equal = 1 }}\n"),
                "line 5: flow.step.until.equal: unknown field `equal`",
            ),
        ];
        for (text, says) in wrong {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn cases_and_their_limits_stand_in_one_file() {
        let text = "[[case]]\ngroup = \"upload\"\nname = \"100KB\"\nfile_size = \"100KB\"\n\n\
                    [targets.upload_100KB]\np95_ms = 50\n";
        let config = parse(text).expect("is fine");
        let suite = config.suite(&Suite::default());
        assert_eq!(suite.ids().collect::<Vec<_>>(), ["upload/100KB"]);
        assert_eq!(suite.cases()[0].sends(), Some((1, Bytes::kb(100))));
        assert!(config.has_targets());
    }
}
