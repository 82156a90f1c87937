//! One user: uploads files one after the other over a kept connection.

use std::time::{Duration, Instant};

use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};

use std::sync::Arc;

use super::answer::{self, Received};
use super::connection::{Answer, Connection, REFUSED_STREAM};
use super::endpoint::{Endpoint, Http};
use super::upload::{Sending, UploadBody};
use crate::auth::{Redactor, Token};
use crate::recording::{Class, Failure, Finished, Outcome, Performed, Phases};

/// Connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// No service closes connections that were idle for less; ...
const LONG_IDLE: Duration = Duration::from_millis(100);
/// ... and where it has closed one, writing to it fails within this.
const SOON: Duration = Duration::from_millis(500);

/// Sends files with one token. Nothing is retried, redirected or sent through a proxy.
pub struct Client {
    endpoint: Endpoint,
    uri: Uri,
    headers: HeaderMap,
    token: Token,
    /// Keeps what a service repeats of the token out of messages.
    redactor: Arc<Redactor>,
    timeout: Duration,
    connection: Option<Connection>,
    /// When the last upload on this connection ended; nothing where it was not used yet.
    idle_since: Option<Instant>,
}

impl Client {
    /// An uploader whose every upload has `timeout` to end. Fails where the token cannot stand in a header.
    pub fn new(endpoint: Endpoint, token: Token, timeout: Duration) -> Result<Self, Failure> {
        let unfit = |what: &str| Failure::new(Class::Other, format!("the {what} cannot stand in a request"));
        let uri = endpoint.uri().ok_or_else(|| unfit("path"))?;
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| unfit("host"))?;
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("ingester-perf/", env!("CARGO_PKG_VERSION")))),
            (AUTHORIZATION, bearer(&token)?),
        ]);
        if endpoint.http == Http::One {
            headers.insert(HOST, host);
        }
        let redactor = Arc::new(Redactor::of(token.as_str()));
        Ok(Self { endpoint, uri, headers, token, redactor, timeout, connection: None, idle_since: None })
    }

    /// One like this, with a connection of its own.
    pub fn another(&self) -> Self {
        Self {
            endpoint: self.endpoint.clone(),
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            token: self.token.clone(),
            redactor: Arc::clone(&self.redactor),
            timeout: self.timeout,
            connection: None,
            idle_since: None,
        }
    }

    /// Uses `token` from the next upload on.
    pub fn renew(&mut self, token: &Token) -> Result<(), Failure> {
        if self.token != *token {
            self.headers.insert(AUTHORIZATION, bearer(token)?);
            self.token = token.clone();
            self.redactor = Arc::new(Redactor::of(token.as_str()));
        }
        Ok(())
    }

    /// Connects if there is no open connection, after a look at what arrived meanwhile: a service may close idle ones.
    /// For the time before the clock starts; the upload that follows says what failed.
    pub async fn prepare(&mut self) {
        tokio::task::yield_now().await;
        let _ = self.connected().await;
    }

    /// The connection, and how long it took to open if it is a new one.
    async fn connected(&mut self) -> Result<(&mut Connection, Option<Duration>), Failure> {
        if let Some(kept) = self.connection.take().and_then(Connection::if_open) {
            return Ok((self.connection.insert(kept), None));
        }
        self.idle_since = None;
        let began = Instant::now();
        let limit = self.timeout.min(CONNECT_TIMEOUT);
        // Boxed: its 8 KB, handshake and all, would be part of every upload's future.
        let opening = Box::pin(Connection::open(&self.endpoint));
        let opened = tokio::time::timeout(limit, opening).await;
        let opened =
            opened.map_err(|_| Failure::new(Class::Connect, format!("no connection within {limit:?}")))?;
        Ok((self.connection.insert(opened?), Some(began.elapsed())))
    }

    /// One upload, on the kept connection or on a new one where the service has closed it.
    /// Its latency ends when the answer was read to its end; checking it comes after.
    pub async fn upload(&mut self, upload: &UploadBody) -> Performed {
        let request = self.request(upload);
        let limit = self.timeout;
        let began = Instant::now();
        let exchange = async {
            let (connection, connect) = self.connected().await?;
            Ok((connection.exchange(request?).await?, connect))
        };
        let answer = tokio::time::timeout(limit, exchange).await;
        let latency = began.elapsed();
        let idle = self.idle_since.replace(began + latency).map(|since| began - since);

        let late = |_| Err(Failure::new(Class::Timeout, format!("no answer within {limit:?}")));
        let (phases, outcome) = match answer.unwrap_or_else(late) {
            Ok((answer, connect)) => {
                let head = answer.head_at - began;
                let phases = Phases {
                    connect,
                    first_byte: Some(head.saturating_sub(connect.unwrap_or_default())),
                    last_byte: Some(latency.saturating_sub(head)),
                };
                (phases, self.judge(&answer, upload))
            }
            Err(failure) => {
                let answered = self.connection.as_ref().is_some_and(Connection::was_answered);
                let failure = if answered { failure } else { on_kept_connection(failure, idle, latency) };
                (Phases::default(), self.give_up(failure))
            }
        };
        Performed { began, phases, finished: Finished { latency, outcome } }
    }

    fn judge(&self, answer: &Answer, upload: &UploadBody) -> Outcome {
        let received = Received {
            status: answer.status,
            location: answer.location.as_deref(),
            encoding: answer.encoding.as_deref(),
            body: &answer.body,
            whole: answer.whole,
        };
        let judged = answer::judge(&received, &upload.expected, &self.redactor);
        judged.map_err(|failure| Failure { retry_after: answer.retry_after, ..failure })
    }

    /// A connection whose state is unknown is not used again.
    fn give_up(&mut self, failure: Failure) -> Outcome {
        self.connection = None;
        Err(failure)
    }

    fn request(&self, upload: &UploadBody) -> Result<Request<Sending>, Failure> {
        let mut request = Request::new(upload.body()?);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, upload.content_type.clone());
        Ok(request)
    }
}

/// Says of a connection that ended before any of an answer came that it was a kept one, and for how long it had been idle:
/// a service that closes those without a word looks like one that breaks down. `after` is how long the upload had gone on.
fn on_kept_connection(failure: Failure, idle: Option<Duration>, after: Duration) -> Failure {
    let is_end = failure.class == Class::Reset && failure.message != REFUSED_STREAM;
    let Some(idle) = idle.filter(|_| is_end) else { return failure };
    let mut message = format!(
        "the service closed a kept connection without an answer ({}); before this upload it had been idle for {} ms",
        failure.message,
        idle.as_millis()
    );
    if idle >= LONG_IDLE && after < SOON {
        message += ": it may close idle ones after that";
    }
    Failure { message, ..failure }
}

fn bearer(token: &Token) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.as_str()))
        .map_err(|_| Failure::new(Class::Other, "the token has characters that no header may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}
