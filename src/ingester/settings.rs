//! The environment variables, read in this one place.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::client_credentials::ClientCredentials;
use super::credentials::Credentials;
use super::subject::{Described, Subject};
use super::token_text::{jwt, setting};
use crate::api::{Api, INGESTER_ROUTE};
use crate::auth::{KeyError, KeyPair, Minter};
use crate::error::Error;
use crate::files::read_limited;
use crate::machine::Placement;
use crate::network::{Network, NotANetwork};
use crate::stub::{FaultSpec, StorageSpec};
use crate::units::Bytes;

/// The service's own limit for one upload unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Shortest time limit that a timer can keep.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
/// Most bytes sent to a real ingester in one run unless told otherwise.
const DEFAULT_MAX_BYTES: Bytes = Bytes::gb(2);
/// Where reports go, seen from the folder that cargo starts benches in.
const DEFAULT_REPORT_DIR: &str = "target/performance_reports";
/// Largest file with a token or a key that is read.
const MAX_FILE: u64 = 1 << 20;
/// Faults of the stub in this process.
const FAULTS: &str = "INGESTER_FAULTS";
/// The simulated network before what is measured.
const NETWORK: &str = "INGESTER_NETWORK";
/// What stands in its place where there is none.
const NO_NETWORK: &str = "none";
/// The limits that come with the project.
const DEFAULT_TARGETS: &str = "baseline/targets.toml";

/// Variables that have a meaning only for a running ingester.
pub const OF_A_REAL_INGESTER: [&str; 7] = [
    "INGESTER_URL",
    "INGESTER_TOKEN",
    "INGESTER_TOKEN_FILE",
    "INGESTER_PRIVATE_KEY",
    "INGESTER_TOKEN_URL",
    "INGESTER_CLIENT_ID",
    "INGESTER_CLIENT_SECRET",
];

/// How a run is set up, apart from what is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is measured.
    pub subject: Subject,
    /// How to speak to it.
    pub api: Arc<Api>,
    /// Time limit of one upload, besides what a simulated network takes for it.
    pub timeout: Duration,
    /// The simulated network between the client and what is measured.
    pub network: Option<Network>,
    /// Most bytes sent to a real ingester in one run.
    pub max_bytes: Bytes,
    /// Which core runs what.
    pub placement: Placement,
    /// Where reports are written.
    pub report_dir: PathBuf,
    /// The file with the limits.
    pub targets: PathBuf,
    /// Whether to measure though the look before failed.
    pub even_if_failing: bool,
    /// What goes wrong on purpose in the stub in this process.
    pub faults: Vec<FaultSpec>,
    /// Where the stub stores files, where it is measured.
    pub storage: Vec<StorageSpec>,
    /// File with the token for storage elements that have an API.
    pub element_token: Option<PathBuf>,
    /// Whether the stub in this process times the phases of uploads.
    pub phases: bool,
    /// The key of the stub's tokens and of the token check; a fresh one where there is none.
    pub key: Option<KeyPair>,
}

/// A flag of a command line, and the variable in whose place it stands.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Like `--url`.
    pub name: &'static str,
    /// Like `INGESTER_URL`.
    pub variable: &'static str,
    /// What was given.
    pub value: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            subject: Subject::Stub,
            api: Arc::default(),
            timeout: DEFAULT_TIMEOUT,
            network: None,
            max_bytes: DEFAULT_MAX_BYTES,
            placement: Placement::split(),
            report_dir: DEFAULT_REPORT_DIR.into(),
            targets: DEFAULT_TARGETS.into(),
            even_if_failing: false,
            faults: Vec::new(),
            storage: Vec::new(),
            element_token: None,
            phases: false,
            key: None,
        }
    }
}

impl Settings {
    /// Reads the variables of this process, for the service that is described.
    pub fn from_env(described: &Described) -> Result<Self, Error> {
        Self::read(described, variable)
    }

    /// Reads these flags, and the variables of flags that were not given. An error names what was given.
    pub fn with_flags(described: &Described, flags: &[Flag]) -> Result<Self, Error> {
        let read = Self::read(described, |name| match given(flags, name) {
            Some(flag) => flag.value.clone().map(Ok),
            None => variable(name),
        });
        read.map_err(|error| match error {
            // What is read goes by the variable's name; the user may have typed a flag.
            Error::Setting { name, problem } => {
                Error::Setting { name: given(flags, name).map_or(name, |flag| flag.name), problem }
            }
            other => other,
        })
    }

    /// As the variables say, but measuring this URL, or what is described, whatever `INGESTER_URL` says. The credentials of
    /// a real ingester are read for a URL only.
    pub fn measuring(described: &Described, url: Option<&Url>) -> Result<Self, Error> {
        Self::read(described, |name| match url {
            Some(url) if name == "INGESTER_URL" => Some(Ok(url.to_string())),
            None if OF_A_REAL_INGESTER.contains(&name) => None,
            _ => variable(name),
        })
    }

    /// Where limits and reports lie, as the variables say: for what reads files and speaks to no service.
    pub fn of_files() -> Result<Self, Error> {
        Self::read(&Described::default(), |name| match name {
            "INGESTER_TARGETS" | "INGESTER_REPORT_DIR" => variable(name),
            _ => None,
        })
    }

    /// Which core runs what of a run with these settings: a running ingester was started by somebody else.
    pub fn placed(&self) -> Placement {
        match self.subject {
            Subject::Running { .. } => self.placement.of_client(),
            _ => self.placement,
        }
    }

    /// What is measured, for people, where that is the stub with faults.
    pub fn faulty_stub(&self) -> Option<String> {
        if self.faults.is_empty() {
            return None;
        }
        Some(format!("the stub in this process, with faults: {}", self.faults_as_text()))
    }

    /// The same, with the phases of uploads timed, as `name` asks for. An error where something else than the stub is
    /// measured: nobody but the stub can tell them.
    pub fn timing_phases(self, name: &'static str) -> Result<Self, Error> {
        if !matches!(self.subject, Subject::Stub) {
            return Err(setting(
                name,
                "is for the stub in this process, and something else is measured; leave out --url, INGESTER_URL and the \
                 service in ingester-perf.toml (`ingester-perf serve --phases` times the uploads to a stub of its own)",
            ));
        }
        Ok(Self { phases: true, ..self })
    }

    /// The faults as they are read.
    pub(super) fn faults_as_text(&self) -> String {
        let texts: Vec<String> = self.faults.iter().map(FaultSpec::to_string).collect();
        texts.join(" ")
    }

    /// Whether what is measured keeps nothing of what it is sent, and so may be sent any amount.
    pub fn keeps_nothing(&self) -> bool {
        self.subject.is_in_process() && self.storage.iter().all(StorageSpec::is_discard)
    }

    /// The key of what is signed and checked in this process.
    pub fn key(&self) -> Result<KeyPair, KeyError> {
        self.key.clone().map_or_else(KeyPair::generate, Ok)
    }

    fn read(
        described: &Described,
        lookup: impl Fn(&'static str) -> Option<Result<String, ()>>,
    ) -> Result<Self, Error> {
        let variables = Variables { lookup };
        let default = Self::default();
        let subject = variables.subject(described)?;
        Ok(Self {
            faults: variables.faults(&subject)?,
            storage: variables.storage(&subject)?,
            element_token: variables.get("INGESTER_ELEMENT_TOKEN_FILE")?.map(PathBuf::from),
            subject,
            api: Arc::clone(&described.api),
            timeout: match variables.get("INGESTER_TIMEOUT")? {
                Some(text) => timeout(&text)?,
                None => default.timeout,
            },
            network: variables.network()?,
            max_bytes: variables.parsed("INGESTER_MAX_BYTES")?.unwrap_or(default.max_bytes),
            placement: variables.parsed("INGESTER_PLACEMENT")?.unwrap_or(default.placement),
            report_dir: variables.get("INGESTER_REPORT_DIR")?.map_or(default.report_dir, PathBuf::from),
            targets: variables.get("INGESTER_TARGETS")?.map_or(default.targets, PathBuf::from),
            even_if_failing: match variables.get("INGESTER_EVEN_IF_FAILING")?.as_deref() {
                None | Some("0") => false,
                Some("1") => true,
                Some(_) => return Err(setting("INGESTER_EVEN_IF_FAILING", "write 1 or 0")),
            },
            phases: false,
            key: None,
        })
    }
}

/// The flag that was given in place of this variable.
fn given<'a>(flags: &'a [Flag], name: &str) -> Option<&'a Flag> {
    flags.iter().find(|flag| flag.variable == name && flag.value.is_some())
}

fn variable(name: &'static str) -> Option<Result<String, ()>> {
    std::env::var_os(name).map(|value| value.into_string().map_err(|_| ()))
}

struct Variables<F> {
    lookup: F,
}

impl<F: Fn(&'static str) -> Option<Result<String, ()>>> Variables<F> {
    /// The variable's text; an empty one counts as absent.
    fn get(&self, name: &'static str) -> Result<Option<String>, Error> {
        match (self.lookup)(name) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
            Some(Err(())) => Err(setting(name, "is not UTF-8")),
        }
    }

    fn parsed<T: FromStr<Err: ToString>>(&self, name: &'static str) -> Result<Option<T>, Error> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        match text.parse::<T>() {
            Ok(value) => Ok(Some(value)),
            Err(e) => Err(setting(name, e)),
        }
    }

    /// The faults of the stub, separated by spaces.
    fn faults(&self, subject: &Subject) -> Result<Vec<FaultSpec>, Error> {
        let Some(text) = self.get(FAULTS)? else { return Ok(Vec::new()) };
        // Nothing would come of them, and a healthy service would pass for one with faults.
        if !matches!(subject, Subject::Stub) {
            return Err(setting(
                FAULTS,
                "is for the stub in this process, and something else is measured; unset it (`ingester-perf serve \
                 --fault` starts a stub with faults of its own)",
            ));
        }
        let mut faults = Vec::new();
        for word in text.split_whitespace() {
            faults.push(word.parse::<FaultSpec>().map_err(|e| setting(FAULTS, e))?);
        }
        Ok(faults)
    }

    /// The simulated network, if one is asked for.
    fn network(&self) -> Result<Option<Network>, Error> {
        let text = self.get(NETWORK)?;
        match text.as_deref().map(str::trim) {
            // To measure without what the environment says.
            None | Some(NO_NETWORK) => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|e: NotANetwork| setting(NETWORK, e)),
        }
    }

    /// A URL from the environment, before what is described.
    fn subject(&self, described: &Described) -> Result<Subject, Error> {
        let url = self.get("INGESTER_URL")?.map(|text| base_url("INGESTER_URL", &text)).transpose()?;
        let wants_token = described.api.token.is_some();
        let found = self.credentials()?;
        // Which of two was meant is for the user to say.
        if let [(first, _), (second, _), ..] = found.as_slice() {
            return Err(setting(first, format!("is set together with {second}; keep one of them")));
        }
        let given = found.first();
        // A token that is never sent would not be missed: every upload would be measured without it.
        if let Some((name, _)) = given
            && !wants_token
        {
            return Err(setting(
                name,
                "is set, and api.token is \"none\": unset this, or name a header there",
            ));
        }
        // Read now, so that a wrong file is told before anything is built or started.
        let credentials = match given {
            Some((name, text)) => Some(self.read_credentials(name, text)?),
            None if !wants_token => Some(Credentials::None),
            None => None,
        };
        let named_by = if url.is_some() { "INGESTER_URL" } else { "service.url" };
        match (url.or_else(|| described.url.clone()), &described.command) {
            (Some(url), _) => {
                let credentials = credentials.ok_or_else(|| {
                    setting(
                        named_by,
                        "is set without a token; set INGESTER_TOKEN_FILE, INGESTER_TOKEN, INGESTER_PRIVATE_KEY or INGESTER_TOKEN_URL",
                    )
                })?;
                Ok(Subject::Running { url, credentials })
            }
            // Without credentials of its own, it is given tokens of this run's key.
            (None, Some(command)) => Ok(Subject::Command { command: Arc::clone(command), credentials }),
            (None, None) => match given {
                // Credentials alone are for a URL that was forgotten: the stub must not be measured in its place.
                None => Ok(described.router.clone().map_or(Subject::Stub, Subject::Router)),
                Some((name, _)) => Err(setting(
                    name,
                    "is set without INGESTER_URL (--url); set that too, or unset this to measure the stub",
                )),
            },
        }
    }

    /// Where the stub stores files. An error where another service is measured: it stores where it likes.
    fn storage(&self, subject: &Subject) -> Result<Vec<StorageSpec>, Error> {
        const NAME: &str = "INGESTER_STORAGE";
        let Some(text) = self.get(NAME)? else { return Ok(Vec::new()) };
        if !matches!(subject, Subject::Stub) {
            return Err(setting(NAME, "is for the stub, and another service is measured; unset it"));
        }
        let mut storage = Vec::new();
        for word in text.split_whitespace() {
            storage.push(word.parse::<StorageSpec>().map_err(|e| setting(NAME, e))?);
        }
        Ok(storage)
    }

    fn credentials(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let mut found = Vec::new();
        for name in ["INGESTER_TOKEN_FILE", "INGESTER_TOKEN", "INGESTER_PRIVATE_KEY", "INGESTER_TOKEN_URL"] {
            found.extend(self.get(name)?.map(|text| (name, text)));
        }
        let asks = found.iter().any(|(name, _)| *name == "INGESTER_TOKEN_URL");
        for name in ["INGESTER_CLIENT_ID", "INGESTER_CLIENT_SECRET"] {
            if self.get(name)?.is_some() && !asks {
                return Err(setting(
                    name,
                    "is set without INGESTER_TOKEN_URL, where a token would be asked for",
                ));
            }
        }
        Ok(found)
    }

    /// A variable without which INGESTER_TOKEN_URL means nothing.
    fn needed(&self, name: &'static str) -> Result<String, Error> {
        self.get(name)?.ok_or_else(|| setting(name, "is missing; INGESTER_TOKEN_URL needs it"))
    }

    fn read_credentials(&self, name: &'static str, text: &str) -> Result<Credentials, Error> {
        match name {
            "INGESTER_TOKEN" => Ok(Credentials::Token(jwt(name, text)?)),
            "INGESTER_TOKEN_FILE" => Ok(Credentials::Token(jwt(name, &read_file(name, text)?)?)),
            "INGESTER_TOKEN_URL" => Ok(Credentials::Client(ClientCredentials {
                url: base_url(name, text)?,
                id: self.needed("INGESTER_CLIENT_ID")?,
                secret: self.needed("INGESTER_CLIENT_SECRET")?,
            })),
            _ => {
                // A key may be given itself or by its file's name.
                let pem = if text.contains("-----BEGIN") { text.to_owned() } else { read_file(name, text)? };
                let key = KeyPair::from_pem(&pem).map_err(|e| setting(name, e))?;
                Ok(Credentials::PrivateKey(Minter::new(key)))
            }
        }
    }
}

/// The text of the file that a variable names.
fn read_file(name: &'static str, path: &str) -> Result<String, Error> {
    let text = read_limited(Path::new(path), MAX_FILE);
    // The value is not quoted: it may be the secret itself, put where its file's name belongs.
    text.map_err(|e| setting(name, format!("the file that it names cannot be read: {}", reason(&e))))
}

/// Why a file cannot be read, without its name: that may be the secret itself, put where its file's name belongs.
fn reason(error: &Error) -> String {
    match error {
        Error::File { source, .. } => source.to_string(),
        Error::Malformed { problem, .. } => format!("it {problem}"),
        other => other.to_string(),
    }
}

/// An ingester's base URL, given as the flag or variable `name`.
pub fn base_url(name: &'static str, text: &str) -> Result<Url, Error> {
    let url = Url::parse(text.trim())
        .map_err(|e| setting(name, format!("is not a URL ({e}), like http://host:8020")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(setting(name, "must begin with http:// or https:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(setting(name, "must not hold a user or password; uploads carry a bearer token"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(setting(name, "must be a base URL, without ? or #"));
    }
    // Copied from a log or a manual, it may be that of uploads.
    let mut url = url;
    let path = url.path().trim_end_matches('/').to_owned();
    if let Some(base) = path.strip_suffix(INGESTER_ROUTE).filter(|base| base.ends_with('/')) {
        url.set_path(base);
    }
    Ok(url)
}

fn timeout(text: &str) -> Result<Duration, Error> {
    let Ok(duration) = humantime::parse_duration(text) else {
        return Err(setting(
            "INGESTER_TIMEOUT",
            format!("\"{text}\" is not a time limit; write 30s or 500ms"),
        ));
    };
    if duration < SHORTEST_TIMEOUT {
        let problem = format!("{text} is too short: timers have steps of 1 ms; write 30s or 500ms");
        return Err(setting("INGESTER_TIMEOUT", problem));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let settings = Settings::read(&Described::default(), |name| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(Ok((*value).to_owned()))
        });
        settings.map_err(|e| e.to_string())
    }

    fn base(url: &str) -> String {
        base_url("--url", url).expect(url).to_string()
    }

    const URL: (&str, &str) = ("INGESTER_URL", "http://127.0.0.1:8020");

    #[test]
    fn without_variables_the_stub_is_measured() {
        let settings = read(&[]).expect("needs none");
        assert!(matches!(settings.subject, Subject::Stub));
        assert_eq!((settings.timeout, settings.max_bytes), (Duration::from_secs(30), Bytes::gb(2)));
        let empty = read(&[("INGESTER_URL", " ")]).expect("empty is absent");
        assert!(matches!(empty.subject, Subject::Stub));
    }

    #[test]
    fn a_url_wants_exactly_one_token_source() {
        assert!(read(&[URL]).expect_err("lacks a token").contains("without a token"));
        let both = read(&[URL, ("INGESTER_TOKEN", "a"), ("INGESTER_TOKEN_FILE", "b")]).expect_err("has two");
        assert!(both.contains("INGESTER_TOKEN_FILE: is set together with INGESTER_TOKEN"), "{both}");
        let one = read(&[URL, ("INGESTER_TOKEN", "a.b.c")]).expect("has one");
        assert!(matches!(one.subject, Subject::Running { .. }));
        let alone = read(&[("INGESTER_TOKEN", "a.b.c")]).expect_err("lacks a URL");
        assert!(alone.contains("INGESTER_TOKEN: is set without INGESTER_URL"), "{alone}");
    }

    #[test]
    fn wrong_values_name_their_variable_and_keep_secrets() {
        for (name, value, says) in [
            ("INGESTER_URL", "host:8020", "http://"),
            ("INGESTER_URL", "ftp://host", "http://"),
            ("INGESTER_URL", "http://u:secret@host", "user or password"),
            ("INGESTER_URL", "http://host/?a=secret", "without ?"),
            ("INGESTER_TIMEOUT", "soon", "30s"),
            ("INGESTER_TIMEOUT", "0s", "30s"),
            ("INGESTER_TIMEOUT", "1ns", "too short"),
            ("INGESTER_EVEN_IF_FAILING", "yes", "1 or 0"),
            ("INGESTER_MAX_BYTES", "much", "10KB"),
            ("INGESTER_PLACEMENT", "left", "split"),
            ("INGESTER_NETWORK", "5g", "\"5g\" is not a network: there are slow-3g"),
            ("INGESTER_NETWORK", "100ms,1mbit,fast", "\"fast\" is not a rate"),
            ("INGESTER_FAULTS", "reset slow", "\"slow\" is not a fault: there are delay=50ms"),
            ("INGESTER_STORAGE", "discard tape:", "dir:PATH"),
            ("INGESTER_STORAGE", "element:http://u:secret@host", "password"),
        ] {
            let error = read(&[(name, value)]).expect_err(value);
            assert!(error.starts_with(name) && error.contains(says), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = read(&[URL, ("INGESTER_TOKEN", "two words")]).expect_err("is not a token");
        assert!(error.contains("INGESTER_TOKEN") && !error.contains("words"), "{error}");
    }

    #[test]
    fn a_storage_is_for_the_stub_only() {
        let settings = read(&[("INGESTER_STORAGE", "dir:/a,mode=edit  discard")]).expect("is valid");
        let texts: Vec<String> = settings.storage.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["dir:/a,mode=edit", "discard"]);
        assert!(!settings.keeps_nothing() && Settings::default().keeps_nothing());
        let token = ("INGESTER_TOKEN", "a.b.c");
        let error = read(&[URL, token, ("INGESTER_STORAGE", "discard")]).expect_err("is not the stub");
        assert!(error.starts_with("INGESTER_STORAGE: is for the stub"), "{error}");
    }

    #[test]
    fn what_is_copied_along_with_a_token_is_taken_off_and_what_is_none_is_refused() {
        for text in [
            "a.b.c",
            " a.b.c\r\n",
            "\u{feff}a.b.c",
            "Bearer a.b.c",
            "Authorization: Bearer a.b.c\n",
            "authorization:bearer a.b.c",
            "\"Bearer a.b.c\"",
            "Bearer 'a.b.c'",
            "\"a.b.c\"",
            "'a.b.c'",
        ] {
            assert_eq!(jwt("INGESTER_TOKEN", text).expect(text).as_str(), "a.b.c");
        }
        for (text, says) in [
            ("a.b.c\na.b.c", "several lines"),
            ("{\"access_token\":\"a.b.c\"}", "a JWT"),
            ("TOKEN=a.b.c", "a JWT"),
            ("a.b", "a JWT"),
            ("a..c", "a JWT"),
            ("", "one token"),
        ] {
            let error = jwt("INGESTER_TOKEN", text).expect_err(text).to_string();
            assert!(error.contains(says) && (text.is_empty() || !error.contains(text)), "{error}");
        }
    }

    #[test]
    fn the_route_of_uploads_is_recognised() {
        assert_eq!(base("http://h:1/api/v1/files/upload"), "http://h:1/");
        assert_eq!(base("http://h:1/in/api/v1/files/upload"), "http://h:1/in/");
        assert_eq!(base("http://h:1/api/v1/files/upload/"), "http://h:1/");
        assert_eq!(base("http://h:1/in"), "http://h:1/in");
        // Another route that ends alike is part of the base.
        assert_eq!(base("http://h:1/myapi/v1/files/upload"), "http://h:1/myapi/v1/files/upload");
    }

    #[test]
    fn client_credentials_come_as_three() {
        let asks = ("INGESTER_TOKEN_URL", "http://127.0.0.1:1/api/v1/auth/token");
        let id = ("INGESTER_CLIENT_ID", "me");
        let secret = ("INGESTER_CLIENT_SECRET", "hush");
        let settings = read(&[URL, asks, id, secret]).expect("has all three");
        let Subject::Running { credentials, .. } = settings.subject else { panic!("has a URL") };
        assert!(matches!(&credentials, Credentials::Client(client) if client.id == "me"));
        assert!(!format!("{credentials:?}").contains("hush"));
        assert!(
            read(&[URL, asks, id]).expect_err("lacks it").starts_with("INGESTER_CLIENT_SECRET: is missing")
        );
        let alone = read(&[URL, ("INGESTER_TOKEN", "a.b.c"), secret]).expect_err("lacks a URL");
        assert!(alone.starts_with("INGESTER_CLIENT_SECRET: is set without INGESTER_TOKEN_URL"), "{alone}");
    }

    #[test]
    fn faults_are_for_the_stub_alone() {
        let faults = ("INGESTER_FAULTS", " delay=50ms,share=10%  reset,share=1% ");
        let settings = read(&[faults]).expect("are two faults");
        assert_eq!(
            settings.faulty_stub().as_deref(),
            Some("the stub in this process, with faults: delay=50ms,share=10% reset,share=1%")
        );
        assert_eq!(read(&[]).expect("needs none").faulty_stub(), None);
        let elsewhere = read(&[URL, ("INGESTER_TOKEN", "a.b.c"), faults]).expect_err("is not the stub");
        assert!(elsewhere.starts_with("INGESTER_FAULTS: is for the stub in this process"), "{elsewhere}");
    }

    #[test]
    fn a_network_is_simulated_where_one_is_asked_for() {
        let slow: Network = "slow-3g".parse().expect("is one");
        for (text, network) in [(" slow-3g ", Some(slow)), ("none", None), ("", None)] {
            assert_eq!(read(&[("INGESTER_NETWORK", text)]).expect("is valid").network, network, "{text}");
        }
        assert_eq!(read(&[]).expect("needs none").network, None);
    }

    #[test]
    fn a_missing_token_file_is_named() {
        let error = read(&[URL, ("INGESTER_TOKEN_FILE", "no/such/file")]).expect_err("is missing");
        assert!(error.starts_with("INGESTER_TOKEN_FILE: the file that it names cannot be read"), "{error}");
        assert!(!error.contains("no/such/file"), "it could have been the token: {error}");
    }
}
