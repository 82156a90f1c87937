//! The environment variables, read in this one place.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::client_credentials::ClientCredentials;
use super::subject::{Described, Subject};
use crate::api::{Api, INGESTER_ROUTE};
use crate::auth::{KeyError, KeyPair, Minter, Token};
use crate::error::Error;
use crate::files::read_limited;
use crate::machine::Placement;
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
/// What people put around a token.
const QUOTES: [char; 2] = ['"', '\''];
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
    /// Time limit of one upload.
    pub timeout: Duration,
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

/// What proves to a service that uploads are allowed.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing: the service wants no token.
    None,
    /// A bearer token as it is.
    Token(Token),
    /// A private key; tokens are minted with it.
    PrivateKey(Minter),
    /// A client id with its secret; tokens are asked for.
    Client(ClientCredentials),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            subject: Subject::Stub,
            api: Arc::default(),
            timeout: DEFAULT_TIMEOUT,
            max_bytes: DEFAULT_MAX_BYTES,
            placement: Placement::split(),
            report_dir: DEFAULT_REPORT_DIR.into(),
            targets: DEFAULT_TARGETS.into(),
            even_if_failing: false,
            key: None,
        }
    }
}

impl Settings {
    /// As the variables of this process say, for the service that is described.
    pub fn from_env(described: &Described) -> Result<Self, Error> {
        Self::read(described, variable)
    }

    /// As these flags say, and else as the variables do that they stand for. An error names what was given.
    pub fn with_flags(described: &Described, flags: &[Flag]) -> Result<Self, Error> {
        let given = |name: &str| flags.iter().find(|flag| flag.variable == name && flag.value.is_some());
        let read = Self::read(described, |name| match given(name) {
            Some(flag) => flag.value.clone().map(Ok),
            None => variable(name),
        });
        read.map_err(|error| match error {
            Error::Setting { name, problem } => {
                Error::Setting { name: given(name).map_or(name, |flag| flag.name), problem }
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

    /// Which core runs what of a run with these settings: a running ingester was started by somebody else.
    pub fn placed(&self) -> Placement {
        match self.subject {
            Subject::Running { .. } => self.placement.of_client(),
            _ => self.placement,
        }
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
        Ok(Self {
            subject: variables.subject(described)?,
            api: Arc::clone(&described.api),
            timeout: match variables.get("INGESTER_TIMEOUT")? {
                Some(text) => timeout(&text)?,
                None => default.timeout,
            },
            max_bytes: variables.parsed("INGESTER_MAX_BYTES")?.unwrap_or(default.max_bytes),
            placement: variables.parsed("INGESTER_PLACEMENT")?.unwrap_or(default.placement),
            report_dir: variables.get("INGESTER_REPORT_DIR")?.map_or(default.report_dir, PathBuf::from),
            targets: variables.get("INGESTER_TARGETS")?.map_or(default.targets, PathBuf::from),
            even_if_failing: match variables.get("INGESTER_EVEN_IF_FAILING")?.as_deref() {
                None | Some("0") => false,
                Some("1") => true,
                Some(_) => return Err(setting("INGESTER_EVEN_IF_FAILING", "write 1 or 0")),
            },
            key: None,
        })
    }
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
        let parse = |text: String| text.parse().map_err(|e: T::Err| setting(name, e));
        self.get(name)?.map(parse).transpose()
    }

    /// A URL from the environment, before what is described.
    fn subject(&self, described: &Described) -> Result<Subject, Error> {
        let url = self.get("INGESTER_URL")?.map(|text| base_url("INGESTER_URL", &text)).transpose()?;
        let wants_token = described.api.token.is_some();
        let found = self.credentials()?;
        if let [(first, _), (second, _), ..] = found.as_slice() {
            return Err(setting(first, format!("is set together with {second}; keep one of them")));
        }
        let given = found.first();
        if let Some((name, _)) = given.filter(|_| !wants_token) {
            return Err(setting(
                name,
                "is set, and api.token is \"none\": unset this, or name a header there",
            ));
        }
        let credentials = match given {
            Some((name, text)) => Some(self.read_credentials(name, text)?),
            None if !wants_token => Some(Credentials::None),
            None => None,
        };
        match (url.or_else(|| described.url.clone()), &described.command) {
            (Some(url), _) => {
                let credentials = credentials.ok_or_else(|| {
                    setting(
                        "INGESTER_URL",
                        "is set without a token; set INGESTER_TOKEN_FILE, INGESTER_TOKEN, INGESTER_PRIVATE_KEY or INGESTER_TOKEN_URL",
                    )
                })?;
                Ok(Subject::Running { url, credentials })
            }
            // Without credentials of its own, it is given tokens of this run's key.
            (None, Some(command)) => Ok(Subject::Command { command: Arc::clone(command), credentials }),
            (None, None) => match given {
                None => Ok(described.router.clone().map_or(Subject::Stub, Subject::Router)),
                Some((name, _)) => Err(setting(
                    name,
                    "is set without INGESTER_URL (--url); set that too, or unset this to measure the stub",
                )),
            },
        }
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

    fn read_credentials(&self, name: &'static str, text: &str) -> Result<Credentials, Error> {
        // The value is not quoted: it may be the secret itself, put where its file's name belongs.
        let read = |path: &str| {
            let text = read_limited(Path::new(path), MAX_FILE);
            text.map_err(|e| setting(name, format!("the file that it names cannot be read: {}", reason(&e))))
        };
        match name {
            "INGESTER_TOKEN" => Ok(Credentials::Token(jwt(name, text)?)),
            "INGESTER_TOKEN_FILE" => Ok(Credentials::Token(jwt(name, &read(text)?)?)),
            "INGESTER_TOKEN_URL" => {
                let missing = |name| setting(name, "is missing; INGESTER_TOKEN_URL needs it");
                let needed = |name| self.get(name)?.ok_or_else(|| missing(name));
                Ok(Credentials::Client(ClientCredentials {
                    url: base_url(name, text)?,
                    id: needed("INGESTER_CLIENT_ID")?,
                    secret: needed("INGESTER_CLIENT_SECRET")?,
                }))
            }
            _ => {
                let pem = if text.contains("-----BEGIN") { text.to_owned() } else { read(text)? };
                let key = KeyPair::from_pem(&pem).map_err(|e| setting(name, e))?;
                Ok(Credentials::PrivateKey(Minter::new(key)))
            }
        }
    }
}

/// Why a file cannot be read, without its name: that may be the secret itself, put where its file's name belongs.
fn reason(error: &Error) -> String {
    match error {
        Error::File { source, .. } => source.to_string(),
        Error::Malformed { problem, .. } => format!("it {problem}"),
        other => other.to_string(),
    }
}

/// A token on one line. What stands there is never quoted.
pub(super) fn token(name: &'static str, text: &str) -> Result<Token, Error> {
    // What people copy along with a token: a byte order mark, the header it stands in, quotes.
    let mut text = text.trim_start_matches('\u{feff}').trim().trim_matches(QUOTES).trim();
    for copied_along in ["Authorization:", "Bearer "] {
        let start = text.get(..copied_along.len()).unwrap_or_default();
        if start.eq_ignore_ascii_case(copied_along) {
            text = text[start.len()..].trim();
        }
    }
    let text = text.trim_matches(QUOTES);
    if text.lines().count() > 1 {
        return Err(setting(name, "holds several lines; it must be one token"));
    }
    if text.is_empty() || text.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(setting(name, "does not hold one token (printable characters, no spaces)"));
    }
    Ok(Token::new(text))
}

/// A token that somebody copied to where it stands: much else can be copied.
fn jwt(name: &'static str, text: &str) -> Result<Token, Error> {
    let token = token(name, text)?;
    let parts: Vec<&str> = token.as_str().split('.').collect();
    if parts.len() != 3 || !parts.into_iter().all(is_base64url) {
        let problem = "does not hold a JWT (three parts of letters, digits, - and _, with dots between)";
        return Err(setting(name, problem));
    }
    Ok(token)
}

fn is_base64url(part: &str) -> bool {
    let unpadded = part.trim_end_matches('=');
    !unpadded.is_empty() && unpadded.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// An ingester's base URL, given as the flag or variable `name`.
pub fn base_url(name: &'static str, text: &str) -> Result<Url, Error> {
    let wrong = |problem| setting(name, problem);
    let url =
        Url::parse(text.trim()).map_err(|e| wrong(format!("is not a URL ({e}), like http://host:8020")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("must begin with http:// or https:// and name a host".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user or password; uploads carry a bearer token".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must be a base URL, without ? or #".to_owned()));
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

fn setting(name: &'static str, problem: impl ToString) -> Error {
    Error::Setting { name, problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let lookup =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| Ok((*value).to_owned()));
        Settings::read(&Described::default(), lookup).map_err(|e| e.to_string())
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
        ] {
            let error = read(&[(name, value)]).expect_err(value);
            assert!(error.starts_with(name) && error.contains(says), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = read(&[URL, ("INGESTER_TOKEN", "two words")]).expect_err("is no token");
        assert!(error.contains("INGESTER_TOKEN") && !error.contains("words"), "{error}");
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
        let base = |text| base_url("--url", text).expect(text).to_string();
        assert_eq!(base("http://h:1/api/v1/files/upload"), "http://h:1/");
        assert_eq!(base("http://h:1/in/api/v1/files/upload"), "http://h:1/in/");
        assert_eq!(base("http://h:1/api/v1/files/upload/"), "http://h:1/");
        assert_eq!(base("http://h:1/in"), "http://h:1/in");
        assert_eq!(base("http://h:1/myapi/v1/files/upload"), "http://h:1/myapi/v1/files/upload");
    }

    #[test]
    fn client_credentials_come_as_three() {
        let asks = ("INGESTER_TOKEN_URL", "http://127.0.0.1:1/api/v1/auth/token");
        let (id, secret) = (("INGESTER_CLIENT_ID", "me"), ("INGESTER_CLIENT_SECRET", "hush"));
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
    fn a_missing_token_file_is_named() {
        let error = read(&[URL, ("INGESTER_TOKEN_FILE", "no/such/file")]).expect_err("is missing");
        assert!(error.starts_with("INGESTER_TOKEN_FILE: the file that it names cannot be read"), "{error}");
        assert!(!error.contains("no/such/file"), "it could have been the token: {error}");
    }
}
