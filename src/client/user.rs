//! One user: uploads files one after the other over a kept connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use uuid::Uuid;

use super::answer::{self, Received};
use super::connection::{Answer, Connection, Fetched, REFUSED_STREAM, no_answer_within, retry_after};
use super::endpoint::{Endpoint, Http};
use super::left::Left;
use super::upload::{Sending, UploadBody};
use crate::api::{Api, Filled, Place, Secret};
use crate::auth::{Redactor, Token};
use crate::ingester::Leftovers;
use crate::recording::{Class, Failure, Outcome, Performed, Phases};
use crate::units::Bytes;

/// Connect timeout, besides what a simulated network takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Idle time from which on a service may have closed a kept connection; none closes one earlier.
const LONG_IDLE: Duration = Duration::from_millis(100);
/// Time within which writing to a connection fails that the service closed while it was idle.
const SOON: Duration = Duration::from_millis(500);

/// Sends files with one token. Nothing is retried, redirected or sent through a proxy.
pub struct Client {
    endpoint: Endpoint,
    api: Arc<Api>,
    /// Where uploads go; `None` where each has a path of its own.
    uri: Option<Uri>,
    headers: HeaderMap,
    token: Option<Token>,
    /// Keeps what a service repeats of secrets out of messages.
    redactor: Arc<Redactor>,
    timeout: Duration,
    connection: Option<Connection>,
    /// When the last upload on this connection ended; `None` where it was not used yet.
    idle_since: Option<Instant>,
    /// What is to be removed after the run.
    left: Left,
}

/// An upload that has ended, with what the requests that follow it need.
pub(super) struct Uploaded {
    pub performed: Performed,
    /// The UUID in its path, if that has one.
    pub uuid: String,
    /// The answer, if there was one, whatever it says.
    pub answer: Option<Answer>,
}

impl Client {
    /// A user with `timeout` as the limit of each upload, besides what a simulated network takes for it. Fails where token
    /// or path cannot stand in a request.
    pub fn new(
        endpoint: Endpoint,
        api: &Arc<Api>,
        token: Option<Token>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let uri = if api.path.is_fixed() { Some(uri(&endpoint, &api.path.to_string())?) } else { None };
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| unfit("host"))?;
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("ingester-perf/", env!("CARGO_PKG_VERSION")))),
        ]);
        // HTTP/2 sends the authority of the URL in place of `Host`.
        if endpoint.http == Http::One {
            headers.insert(HOST, host);
        }
        // Put in place of those above: two of a kind, as of `Host`, make a request invalid.
        for (name, value) in &api.headers {
            headers.insert(name, value.clone());
        }
        let mut client = Self {
            endpoint,
            api: Arc::clone(api),
            uri,
            headers,
            token: None,
            redactor: Arc::new(redactor(api, None)),
            timeout,
            connection: None,
            idle_since: None,
            left: Left::nowhere(),
        };
        client.renew(token.as_ref())?;
        Ok(client)
    }

    /// Tells `leftovers` what it leaves with the service, if the API says how that is removed.
    pub fn leaving(mut self, leftovers: &Arc<Leftovers>) -> Self {
        if self.api.cleanup.is_some() {
            self.left = Left::told_to(leftovers);
        }
        self
    }

    /// One like this, with a connection of its own.
    pub fn another(&self) -> Self {
        Self {
            endpoint: self.endpoint.clone(),
            api: Arc::clone(&self.api),
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            token: self.token.clone(),
            redactor: Arc::clone(&self.redactor),
            timeout: self.timeout,
            connection: None,
            idle_since: None,
            left: self.left.another(),
        }
    }

    /// Uses `token` from the next upload on.
    pub fn renew(&mut self, token: Option<&Token>) -> Result<(), Failure> {
        if self.token.as_ref() == token {
            return Ok(());
        }
        // Without a new token the last one stays in use.
        let Some(token) = token else { return Ok(()) };
        if self.api.token.is_some() {
            let header = self.api.token_header(token);
            let (name, value) = header.ok_or_else(|| {
                Failure::new(Class::Other, "the token has characters that no header may hold")
            })?;
            self.headers.insert(name, value);
        }
        self.token = Some(token.clone());
        self.redactor = Arc::new(redactor(&self.api, Some(token)));
        Ok(())
    }

    /// Opens a connection if none is open. What arrived meanwhile is read first, as a service may have closed an idle one.
    /// For the time before the clock starts; the upload that follows says what failed.
    pub async fn prepare(&mut self) {
        tokio::task::yield_now().await;
        let under_way = self.still_under_way();
        if !under_way.is_zero() {
            tokio::time::sleep(under_way).await;
        }
        let _ = self.connected().await;
    }

    /// How long to wait until what the service sent while the event loop stood still has come over a simulated network. To
    /// the network it was sent just now. It came long ago, like the end of an idle connection, and so is waited for where
    /// nothing is timed.
    fn still_under_way(&self) -> Duration {
        let was_idle = self.idle_since.is_some_and(|since| since.elapsed() >= LONG_IDLE);
        match &self.endpoint.simulated {
            Some(simulated) if was_idle && self.connection.is_some() => simulated.network.longest_way(),
            _ => Duration::ZERO,
        }
    }

    /// This limit, and what a simulated network takes for a file of this size: the limit is the service's, and a line that
    /// needs minutes for the file must not use it up.
    fn besides_the_network(&self, limit: Duration, file: Bytes) -> Duration {
        match &self.endpoint.simulated {
            Some(simulated) => limit.saturating_add(simulated.network.allowance(file)),
            None => limit,
        }
    }

    /// The connection, and how long it took to open if it is a new one.
    async fn connected(&mut self) -> Result<(&mut Connection, Option<Duration>), Failure> {
        if let Some(kept) = self.connection.take().and_then(Connection::if_open) {
            return Ok((self.connection.insert(kept), None));
        }
        self.idle_since = None;
        let began = Instant::now();
        let limit = self.besides_the_network(self.timeout.min(CONNECT_TIMEOUT), Bytes(0));
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
        self.upload_with_answer(upload).await.performed
    }

    /// The same, with its answer.
    pub(super) async fn upload_with_answer(&mut self, upload: &UploadBody) -> Uploaded {
        // All that can be made beforehand is made before the clock starts. A request that cannot be made is told as a
        // failure of the exchange.
        let uuid = self.fresh_uuid();
        let request = self.request(upload, &uuid);
        self.begin_leaving(upload, &uuid);
        let limit = self.besides_the_network(self.timeout, upload.size());
        let began = Instant::now();
        let exchange = async {
            let (connection, connect) = self.connected().await?;
            Ok((connection.exchange(request?).await?, connect))
        };
        let answer = tokio::time::timeout(limit, exchange).await;
        let latency = began.elapsed();
        let idle = self.idle_since.replace(began + latency).map(|since| began - since);

        let answer = answer.unwrap_or_else(|_| Err(no_answer_within(limit)));
        let mut kept = None;
        let (phases, outcome) = match answer {
            Ok((answer, connect)) => {
                // The head's time includes that of connecting, which is a phase of its own.
                let head = answer.head_at - began;
                let phases = Phases {
                    connect,
                    first_byte: Some(head.saturating_sub(connect.unwrap_or_default())),
                    last_byte: Some(latency.saturating_sub(head)),
                };
                let outcome = self.judge(&answer, upload, &uuid);
                kept = Some(answer);
                (phases, outcome)
            }
            Err(failure) => {
                // A service that had begun to answer did not close an idle connection.
                let answered = self.connection.as_ref().is_some_and(Connection::was_answered);
                let failure = if answered { failure } else { on_kept_connection(failure, idle, latency) };
                (Phases::default(), self.give_up(failure))
            }
        };
        let performed = Performed { phases, ..Performed::new(began, latency, outcome) };
        Uploaded { performed, uuid, answer: kept }
    }

    fn judge(&mut self, answer: &Answer, upload: &UploadBody, uuid: &str) -> Outcome {
        let received = received(answer);
        if let Some(cleanup) = self.api.cleanup.as_ref().filter(|cleanup| cleanup.path.has(Place::Id)) {
            // Whatever is wrong with the answer: what the service stored has to be removed.
            let status = answer.status;
            if status.is_success() || self.api.success.contains(&status) {
                let id = answer::id(&received, &self.api.says);
                let path = id.map(|id| cleanup.path.fill(Filled { name: &upload.name, uuid, id: &id }));
                self.left.stored(path);
            } else if status.is_server_error() {
                // It may have failed after it had stored the file, as a gateway that gave up waiting does.
                self.left.stored(None);
            } else {
                self.left.refused();
            }
        }
        let judged = answer::judge(&received, &upload.expected, &self.api, &self.redactor);
        judged.map_err(|failure| Failure { retry_after: retry_after(&answer.headers), ..failure })
    }

    /// Notes that an upload may be stored from now on. Where its path is known beforehand, that is enough to remove it;
    /// else the answer has to say what the service calls it.
    fn begin_leaving(&mut self, upload: &UploadBody, uuid: &str) {
        let Some(cleanup) = &self.api.cleanup else { return };
        if cleanup.path.has(Place::Id) {
            self.left.begins();
        } else {
            let path = cleanup.path.fill(Filled { name: &upload.name, uuid, id: "" });
            self.left.stored(Some(path));
        }
    }

    /// A new UUID, if a path has a place for one.
    fn fresh_uuid(&self) -> String {
        if self.api.path.has(Place::Uuid) { Uuid::new_v4().to_string() } else { String::new() }
    }

    /// A connection whose state is unknown is not used again.
    fn give_up(&mut self, failure: Failure) -> Outcome {
        self.connection = None;
        Err(failure)
    }

    fn request(&self, upload: &UploadBody, uuid: &str) -> Result<Request<Sending>, Failure> {
        let mut request = Request::new(upload.body()?);
        *request.method_mut() = self.api.method.clone();
        *request.uri_mut() = match &self.uri {
            Some(uri) => uri.clone(),
            None => {
                let path = self.api.path.fill(Filled { name: &upload.name, uuid, id: "" });
                uri(&self.endpoint, &path)?
            }
        };
        *request.headers_mut() = self.headers.clone();
        // A type that the API prescribes wins.
        let headers = request.headers_mut();
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, upload.content_type.clone());
        }
        Ok(request)
    }

    /// The service's own time limit of a request.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Keeps what a service repeats of secrets out of messages.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// A request without a body, as for a removal.
    pub(super) fn bare_request(&self, method: &Method, path: &str) -> Result<Request<Sending>, Failure> {
        let mut request = Request::new(Sending::nothing());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri(&self.endpoint, path)?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// Sends a request that is not an upload, and returns the status of its answer.
    pub(super) async fn send(&mut self, request: Request<Sending>) -> Result<StatusCode, Failure> {
        let answer = self.ask(request, self.timeout).await?;
        Ok(answer.status)
    }

    /// Sends a request that is not an upload, and reads its answer to the end. The limit is the service's: what a simulated
    /// network takes comes on top of it.
    pub(super) async fn ask(
        &mut self,
        request: Request<Sending>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let limit = self.besides_the_network(limit, Bytes(0));
        let exchange = async {
            let (connection, _) = self.connected().await?;
            connection.exchange(request).await
        };
        let answer = tokio::time::timeout(limit, exchange).await;
        let answer = answer.unwrap_or_else(|_| Err(no_answer_within(limit)));
        self.leave_connection(answer.is_ok());
        answer
    }

    /// Sends a request for a file of this size, and hashes the content that comes with one of these statuses.
    pub(super) async fn fetch(
        &mut self,
        request: Request<Sending>,
        success: &[StatusCode],
        size: Bytes,
    ) -> Result<Fetched, Failure> {
        let limit = match &self.endpoint.simulated {
            Some(simulated) => self.timeout.saturating_add(simulated.network.allowance_of_answer(size)),
            None => self.timeout,
        };
        let exchange = async {
            let (connection, _) = self.connected().await?;
            connection.exchange_hashing(request, success, size.0).await
        };
        let answer = tokio::time::timeout(limit, exchange).await;
        let answer = answer.unwrap_or_else(|_| Err(no_answer_within(limit)));
        self.leave_connection(answer.is_ok());
        answer
    }

    /// Keeps the connection after an answer that was read, and gives it up after a failure: an answer to that request could
    /// arrive later, and be taken for that to the next one.
    fn leave_connection(&mut self, was_answered: bool) {
        if was_answered {
            self.idle_since = Some(Instant::now());
        } else {
            self.connection = None;
        }
    }
}

/// An answer as it is judged.
pub(super) fn received(answer: &Answer) -> Received<'_> {
    Received { status: answer.status, headers: &answer.headers, body: &answer.body, whole: answer.whole }
}

/// What a request for a path below the endpoint's is addressed to.
fn uri(endpoint: &Endpoint, path: &str) -> Result<Uri, Failure> {
    endpoint.uri(path).ok_or_else(|| unfit("path"))
}

fn unfit(what: &str) -> Failure {
    Failure::new(Class::Other, format!("the {what} cannot stand in a request"))
}

/// A redactor that recognises the token and the secrets in headers.
fn redactor(api: &Api, token: Option<&Token>) -> Redactor {
    Redactor::of_all(api.secrets.iter().map(Secret::as_str).chain(token.map(Token::as_str)))
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::payload::generate_test_file;

    #[test]
    fn a_latency_ends_with_the_last_byte_of_the_answer() {
        let file = generate_test_file(Bytes(10));
        let body = format!("{{\"file_size\":10,\"checksum\":\"{}\"}}", file.sha256);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("has one")).parse().expect("is a URL");
        let pause = Duration::from_millis(40);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accepts");
            let mut request = [0; 64 << 10];
            // The file is in the first piece or two; the answer may come before all of it was read.
            let _ = stream.read(&mut request).expect("reads");
            let head = format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).expect("writes");
            std::thread::sleep(pause);
            stream.write_all(body.as_bytes()).expect("writes");
            // Until the client goes.
            let _ = stream.read(&mut request);
        });
        let api = Arc::new(Api::default());
        let endpoint = Endpoint::resolve(&url, Http::One).expect("resolves");
        let token = Some(Token::new("a.b.c"));
        let mut client = Client::new(endpoint, &api, token, Duration::from_secs(10)).expect("is a token");
        let upload = UploadBody::whole(&file, &api);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let performed = runtime.block_on(client.upload(&upload));
        drop(client);
        server.join().expect("does not panic");
        assert_eq!(performed.finished.outcome, Ok(()));
        assert!(performed.finished.latency >= pause, "{performed:?}");
        // On a busy machine the head is read late, and then its body comes sooner.
        assert!(performed.phases.last_byte >= Some(pause / 2), "{performed:?}");
    }
}
