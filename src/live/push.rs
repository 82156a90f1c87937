//! Sends the metrics to a server, by Prometheus' remote write: for runs that end before anybody fetches their last figures.

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, ClientBuilder, StatusCode};
use sysinfo::System;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;
use url::Url;

use super::board::Board;
use super::families::{Family, Label, families};
use super::remote_write::write_request;
use crate::console::note;

/// Time between two pushes.
const EVERY: Duration = Duration::from_secs(5);
/// Longest time for one of them; shorter than the time between two, so that none waits for the one before.
const LONGEST: Duration = Duration::from_secs(4);

/// Where to push.
#[derive(Clone)]
pub(crate) struct PushTarget {
    url: Url,
    client: Client,
}

impl PushTarget {
    /// Reads a URL. An error does not quote it: there may be a password in it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim())
            .map_err(|e| format!("is not a URL ({e}), like http://127.0.0.1:9090/api/v1/write"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must begin with http:// or https:// and name a host".to_owned());
        }
        // Unless told otherwise, the client repeats requests, follows redirects and goes through proxies.
        let mut builder = ClientBuilder::new()
            .timeout(LONGEST)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if url.scheme() == "http" {
            // Else it would look for the system's certificates, and fail where there are none.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|e| format!("cannot be used: {}", reason(e)))?;
        Ok(Self { url, client })
    }
}

impl fmt::Display for PushTarget {
    /// Without user, password and query, which may hold what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        // A URL with a host takes both.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.set_fragment(None);
        write!(f, "{shown}")
    }
}

impl fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushTarget({self})")
    }
}

/// How pushing went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// How many pushes there were.
    pub all: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Whether the last one did: then the totals are missing.
    pub last_failed: bool,
}

/// Pushes every five seconds and once more when the last run is over. A failure disturbs nothing: it is told once, and counted.
pub(super) async fn push_until_over(target: PushTarget, mut board: Receiver<Board>) -> Pushed {
    let mut pusher = Pusher::new(target);
    let mut next = Instant::now() + EVERY;
    loop {
        let is_over = is_over_by(&mut board, next).await;
        // In a statement of its own: nothing may change the board while it is looked at.
        let known = families(&board.borrow());
        pusher.push(&known).await;
        if is_over {
            return pusher.pushed;
        }
        next = Instant::now().max(next + EVERY);
    }
}

/// Waits until then, or until no further run comes. Whether that is so.
async fn is_over_by(board: &mut Receiver<Board>, until: Instant) -> bool {
    loop {
        if board.borrow_and_update().has_ended {
            return true;
        }
        match tokio::time::timeout_at(until, board.changed()).await {
            Ok(Ok(())) => {}
            // Nobody can change it any more.
            Ok(Err(_)) => return true,
            Err(_) => return false,
        }
    }
}

struct Pusher {
    target: PushTarget,
    /// What tells this machine's metrics from those of others.
    labels: [Label; 2],
    /// Time of the last push, in ms since 1970.
    last_ms: i64,
    pushed: Pushed,
}

impl Pusher {
    fn new(target: PushTarget) -> Self {
        let machine = System::host_name().unwrap_or_else(|| "unknown".to_owned());
        // Whatever Prometheus fetches has both.
        let labels = [Label::new("job", "ingester-perf"), Label::new("instance", machine)];
        Self { target, labels, last_ms: 0, pushed: Pushed::default() }
    }

    async fn push(&mut self, known: &[Family]) {
        // Two values of one time would be refused.
        let at_ms = now_ms().max(self.last_ms + 1);
        self.last_ms = at_ms;
        let body = write_request(known, &self.labels, at_ms);
        let failure = self.send(body).await.err();
        self.pushed.all += 1;
        self.pushed.last_failed = failure.is_some();
        let Some(failure) = failure else { return };
        self.pushed.failed += 1;
        if self.pushed.failed == 1 {
            note(format_args!(
                "--push-url: {} did not take the metrics: {failure}; the run goes on",
                self.target
            ));
        }
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), String> {
        let PushTarget { url, client } = &self.target;
        let request = client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .body(body);
        let status = request.send().await.map_err(reason)?.status();
        if status.is_success() { Ok(()) } else { Err(refusal(status)) }
    }
}

/// What a status means. The answer's text is not quoted: it may repeat what was sent to it.
fn refusal(status: StatusCode) -> String {
    let likely = match status {
        StatusCode::NOT_FOUND => {
            "; Prometheus takes them at /api/v1/write if it was started with --web.enable-remote-write-receiver"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; user and password belong into the URL",
        _ => "",
    };
    format!("it answered {status}{likely}")
}

/// The innermost reason. The outer ones, and an error without one, repeat the URL unless told not to.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut inner = error.source();
    while let Some(source) = inner {
        reason = source.to_string();
        inner = source.source();
    }
    reason
}

fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_never_shown() {
        let target =
            PushTarget::parse("http://me:pa55word@host:9090/api/v1/write?key=5ecret").expect("is a URL");
        assert_eq!(target.to_string(), "http://host:9090/api/v1/write");
        assert_eq!(format!("{target:?}"), "PushTarget(http://host:9090/api/v1/write)");
        for text in ["me:pa55word@host/write", "ftp://me:pa55word@host/write", "http://me:pa55word@:9090/"] {
            let refused = PushTarget::parse(text).expect_err(text);
            assert!(!refused.contains("pa55word"), "{refused}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = refusal(StatusCode::NOT_FOUND);
        assert!(refusal.starts_with("it answered 404 Not Found; Prometheus takes them at"), "{refusal}");
    }
}
