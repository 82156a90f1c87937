//! The real storage element, by its HTTP API: a multipart upload with a service account's token, streamed as it
//! arrives.
//!
//! An element gives files ids of its own. Which of its files is which of ours is kept in memory only, for the latest
//! `MAX_KNOWN` files: after a restart nothing is found there any more.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;
use uuid::Uuid;

use super::error::Refused;
use super::record::{NewFile, Policy, Record};
use crate::auth::Token;
use crate::error::Error;
use crate::files::read_limited;

/// Connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an element may take nothing of a body, or send nothing of a file.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to answer, once it has everything.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// For how long a connection is kept for the next upload: less than services keep theirs.
const IDLE: Duration = Duration::from_secs(10);
/// Pieces that wait for the connection. They are as large as they were read, some 10 to 400 KB.
const PIECES: usize = 4;
/// Largest answer that is read.
const MAX_ANSWER: usize = 64 << 10;
/// Largest file with a token that is read.
const MAX_TOKEN: u64 = 64 << 10;
/// Longest id that an element may give.
const MAX_ID: usize = 128;
/// Files that are remembered. With names of usual length, some 10 MB.
const MAX_KNOWN: usize = 20_000;
/// Where the token comes from, for messages.
const VARIABLE: &str = "INGESTER_ELEMENT_TOKEN_FILE";

/// A storage element elsewhere. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Remote(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Url,
    client: Client,
    token_file: PathBuf,
    token: Mutex<Token>,
    known: Mutex<Known>,
}

/// Records of files, and the element's ids of them. The oldest make room.
#[derive(Debug, Default)]
struct Known {
    files: HashMap<Uuid, (Record, String)>,
    order: VecDeque<Uuid>,
}

impl Known {
    fn remember(&mut self, record: Record, its_id: String) {
        let id = record.id;
        if self.files.insert(id, (record, its_id)).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.files.remove(&oldest);
        }
    }

    fn forget(&mut self, id: Uuid) {
        self.files.remove(&id);
        self.order.retain(|known| *known != id);
    }
}

/// What an element says of a file that it has stored.
#[derive(Deserialize)]
struct StoredThere {
    file_id: String,
    checksum: String,
}

impl Remote {
    /// The element at this URL, with the token in this file. It is not asked for anything yet.
    pub fn open(base: &Url, token_file: Option<&Path>) -> Result<Self, String> {
        let token_file = token_file
            .ok_or_else(|| format!("needs a service account's token; set {VARIABLE} to a file with one"))?;
        let token = read_token(token_file)?;
        let inner = Inner {
            base: base.clone(),
            client: client_for(base)?,
            token_file: token_file.to_owned(),
            token: Mutex::new(token),
            known: Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    fn token(&self) -> MutexGuard<'_, Token> {
        self.0.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.0.base.clone();
        url.path_segments_mut().expect("a URL of http has a path").pop_if_empty().extend(segments);
        url
    }

    /// Begins a file: the request is under way from now on.
    pub async fn begin(&self, id: Uuid, file: &NewFile) -> Result<ElementSink, Refused> {
        let boundary = format!("ingester-perf-{}", id.simple());
        let token = self.token().clone();
        let (pieces, arriving) = mpsc::channel(PIECES);
        let request = self
            .0
            .client
            .post(self.url(&["api", "v1", "files", "upload"]))
            .bearer_auth(token.as_str())
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .body(body(arriving));
        let answer = Answering { request: tokio::spawn(answer_to(request)), ended: None };
        let head = head(&boundary, file);
        let mut sink = ElementSink { remote: self.clone(), token, boundary, pieces, answer };
        sink.send(Piece::Content(head.into())).await?;
        Ok(sink)
    }

    /// The record of a file that was stored there, and the element's id of it.
    pub fn find(&self, id: Uuid) -> Option<(Record, String)> {
        self.known().files.get(&id).cloned()
    }

    /// Forgets a file. The element's API has no request to remove one: a temporary file expires there by itself.
    pub fn forget(&self, id: Uuid) {
        self.known().forget(id);
    }

    /// The content of a file, by the element's id.
    pub async fn stream(&self, its_id: &str) -> Result<BoxStream<'static, io::Result<Bytes>>, Refused> {
        let url = self.url(&["api", "v1", "files", its_id, "download"]);
        let token = self.token().clone();
        let mut response = self.get(&url, &token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            match self.refused_token(&token).await {
                Refused::NewToken => {}
                refused => return Err(refused),
            }
            let token = self.token().clone();
            response = self.get(&url, &token).await?;
        }
        if response.status() != StatusCode::OK {
            return Err(Refused::failed(format_args!("answered {} to a download", response.status())));
        }
        Ok(stream::try_unfold(response, next_piece).boxed())
    }

    async fn get(&self, url: &Url, token: &Token) -> Result<Response, Refused> {
        let asked = self.0.client.get(url.clone()).bearer_auth(token.as_str()).send();
        match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(e)) => Err(Refused::Failed(root_cause(&e))),
            Err(_) => Err(no_answer()),
        }
    }

    /// Whether the element says that it lives; the problem if not.
    pub async fn check(&self) -> Result<(), Refused> {
        let token = self.token().clone();
        let response = self.get(&self.url(&["health", "live"]), &token).await?;
        match response.status() {
            StatusCode::OK => Ok(()),
            status => Err(Refused::failed(format_args!("/health/live answered {status}"))),
        }
    }

    /// What an answer other than 201 means.
    async fn refusal(&self, status: StatusCode, token: &Token) -> Refused {
        match status {
            StatusCode::INSUFFICIENT_STORAGE => Refused::Full,
            StatusCode::UNAUTHORIZED => self.refused_token(token).await,
            // Its text is not told: it may repeat the token.
            status => Refused::failed(format_args!("answered {status}")),
        }
    }

    /// Reads the token's file again, now that the element has turned this token away.
    async fn refused_token(&self, refused: &Token) -> Refused {
        let file = self.0.token_file.clone();
        match tokio::task::spawn_blocking(move || read_token(&file)).await {
            Ok(Ok(token)) if token != *refused => {
                *self.token() = token;
                Refused::NewToken
            }
            Ok(Ok(_)) => Refused::failed(format_args!("answered 401 to the token in {VARIABLE}")),
            Ok(Err(problem)) => Refused::Failed(problem),
            Err(e) => Refused::failed(e),
        }
    }
}

/// A client that sends what it is told to, and nothing else: no proxy, no redirect, no second try.
fn client_for(url: &Url) -> Result<Client, String> {
    // No time limit for all of a request: a large file takes as long as the client that sends it.
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if url.scheme() == "http" {
        // Else it would look for the system's certificates, and fail where there are none.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|e| root_cause(&e))
}

fn read_token(path: &Path) -> Result<Token, String> {
    // The path is not quoted: it may be the token itself, put where its file's name belongs.
    let text = read_limited(path, MAX_TOKEN).map_err(|error| {
        let reason = match error {
            Error::File { source, .. } => source.to_string(),
            Error::Malformed { problem, .. } => format!("it {problem}"),
            other => other.to_string(),
        };
        format!("the file that {VARIABLE} names cannot be read: {reason}")
    })?;
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("the file that {VARIABLE} names does not hold one token"));
    }
    Ok(Token::new(text))
}

/// The innermost reason; the outer ones repeat the URL.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn no_answer() -> Refused {
    Refused::failed(format_args!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))
}

async fn next_piece(mut response: Response) -> io::Result<Option<(Bytes, Response)>> {
    match tokio::time::timeout(STALL_TIMEOUT, response.chunk()).await {
        Ok(Ok(Some(piece))) => Ok(Some((piece, response))),
        Ok(Ok(None)) => Ok(None),
        Ok(Err(e)) => Err(io::Error::other(root_cause(&e))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// A part of a request's body.
#[derive(Debug)]
enum Piece {
    Content(Bytes),
    /// The end of the body is behind it.
    Last(Bytes),
}

/// A body of pieces as they arrive. It ends behind the last one; one whose sender has gone before that is an error, and
/// never a shorter body.
fn body(mut pieces: mpsc::Receiver<Piece>) -> Body {
    let mut ended = false;
    let frames = stream::poll_fn(move |context| {
        if ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(pieces.poll_recv(context)) {
            Some(Piece::Content(bytes)) => Ok(Frame::data(bytes)),
            Some(Piece::Last(bytes)) => {
                ended = true;
                Ok(Frame::data(bytes))
            }
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        };
        Poll::Ready(Some(frame))
    });
    Body::wrap(StreamBody::new(frames))
}

/// What stands before the content.
fn head(boundary: &str, file: &NewFile) -> String {
    let is_one_line = !file.content_type.contains(char::is_control);
    let content_type = if is_one_line { &*file.content_type } else { "application/octet-stream" };
    format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
         Content-Type: {content_type}\r\n\r\n",
        escaped(&file.name)
    )
}

/// A file name that cannot end the quotes or the line that it stands in, escaped as browsers do.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_control() || "\"\\".contains(character) {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                write!(escaped, "%{byte:02X}").expect("a string takes everything");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// What stands behind the content: only then is it known what the form around it says.
fn tail(boundary: &str, record: &Record) -> String {
    let mut fields = vec![
        ("retention_policy", record.retention_policy.as_str().to_owned()),
        ("uploaded_by_username", "ingester-perf".to_owned()),
        ("uploaded_by_id", "ingester-perf".to_owned()),
        ("metadata", format!("{{\"file_id\": \"{}\"}}", record.id)),
    ];
    if let (Policy::Temporary, Some(expires)) = (record.retention_policy, record.expires_at) {
        let days = (expires - record.uploaded_at).whole_days().clamp(1, 365);
        fields.push(("ttl_days", days.to_string()));
    }
    let mut tail = String::new();
    for (name, value) in fields {
        let part =
            format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
        tail.push_str(&part);
    }
    tail.push_str(&format!("\r\n--{boundary}--\r\n"));
    tail
}

/// An answer that was read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

/// Sends a request and reads the answer.
async fn answer_to(request: RequestBuilder) -> Result<Answer, String> {
    let mut response = request.send().await.map_err(|e| root_cause(&e))?;
    let mut answer = Answer { status: response.status(), body: Vec::new() };
    while let Some(piece) = response.chunk().await.map_err(|e| root_cause(&e))? {
        answer.body.extend_from_slice(&piece);
        if answer.body.len() > MAX_ANSWER {
            return Err("its answer is too long".to_owned());
        }
    }
    Ok(answer)
}

/// A request that is under way. Dropping it ends its connection.
#[derive(Debug)]
struct Answering {
    request: JoinHandle<Result<Answer, String>>,
    /// How it ended.
    ended: Option<Result<Answer, Refused>>,
}

impl Answering {
    /// Waits until the request has ended. It may be given up and called again.
    async fn end(&mut self) {
        if self.ended.is_none() {
            let ended = (&mut self.request).await;
            self.ended = Some(match ended {
                Ok(answer) => answer.map_err(Refused::Failed),
                Err(e) => Err(Refused::failed(e)),
            });
        }
    }

    /// The answer; to be taken once.
    async fn take(&mut self) -> Result<Answer, Refused> {
        // Where it does not come in time, nothing has ended.
        let _ = tokio::time::timeout(ANSWER_TIMEOUT, self.end()).await;
        self.ended.take().unwrap_or_else(|| Err(no_answer()))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.request.abort();
    }
}

/// A file on its way to an element. Dropping it ends the request: the element sees a body that breaks off.
#[derive(Debug)]
pub(super) struct ElementSink {
    remote: Remote,
    /// What was sent, to be known again if it is refused.
    token: Token,
    boundary: String,
    pieces: mpsc::Sender<Piece>,
    answer: Answering,
}

impl ElementSink {
    /// Takes bytes.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Refused> {
        self.send(Piece::Content(bytes)).await
    }

    async fn send(&mut self, piece: Piece) -> Result<(), Refused> {
        let sent = tokio::select! {
            biased;
            // An element that answers now refuses, and may read no more.
            () = self.answer.end() => false,
            sent = self.pieces.send(piece) => sent.is_ok(),
            () = tokio::time::sleep(STALL_TIMEOUT) => {
                let problem = format!("took nothing for {} s", STALL_TIMEOUT.as_secs());
                return Err(Refused::Failed(problem));
            }
        };
        if sent { Ok(()) } else { Err(self.refusal().await) }
    }

    /// Why the request ended before its body.
    async fn refusal(&mut self) -> Refused {
        match self.answer.take().await {
            Ok(answer) if answer.status.is_success() => {
                Refused::failed(format_args!("answered {} before it had the whole file", answer.status))
            }
            Ok(answer) => self.remote.refusal(answer.status, &self.token).await,
            Err(refused) => refused,
        }
    }

    /// Ends the request, and sees that what is stored there is what was sent.
    pub async fn finish(mut self, record: &Record) -> Result<(), Refused> {
        let tail = tail(&self.boundary, record);
        self.send(Piece::Last(tail.into())).await?;
        let answer = self.answer.take().await?;
        if answer.status != StatusCode::CREATED {
            return Err(self.remote.refusal(answer.status, &self.token).await);
        }
        let stored: StoredThere = serde_json::from_slice(&answer.body)
            .map_err(|_| Refused::failed("answered 201 without file_id and checksum"))?;
        if !stored.checksum.eq_ignore_ascii_case(&record.sha256) {
            return Err(Refused::failed("answered 201 with the checksum of something else"));
        }
        // It becomes a part of a path.
        let is_plain =
            stored.file_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_plain || stored.file_id.is_empty() || stored.file_id.len() > MAX_ID {
            return Err(Refused::failed("answered 201 with a file_id that is not one"));
        }
        self.remote.known().remember(record.clone(), stored.file_id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::{Path as InPath, Request, State};
    use axum::http::HeaderMap;
    use axum::response::{IntoResponse, Response as Answered};
    use axum::routing::{get, post};
    use futures_util::TryStreamExt;
    use http_body_util::BodyExt;
    use tempfile::TempDir;

    use super::super::record::tests::record;
    use super::*;
    use crate::stub::Server;

    /// An element that answers as it is told to.
    #[derive(Debug, Default)]
    struct Script {
        /// Statuses of the answers in turn; 201 behind the last.
        statuses: Vec<u16>,
        /// Requests so far.
        requests: AtomicUsize,
        tokens: Mutex<Vec<String>>,
        /// Bodies that came whole.
        bodies: Mutex<Vec<String>>,
        /// Uploads that have ended in any way.
        ended: AtomicUsize,
        /// The checksum in its answers.
        checksum: String,
    }

    /// An upload; dropped when it ends.
    struct Arriving(Arc<Script>);

    impl Drop for Arriving {
        fn drop(&mut self) {
            self.0.ended.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Fake {
        script: Arc<Script>,
        remote: Remote,
        dir: TempDir,
        _server: Server,
    }

    impl Script {
        /// The status of this answer.
        fn next(&self, headers: &HeaderMap) -> StatusCode {
            let authorization = headers["authorization"].to_str().expect("is text").to_owned();
            self.tokens.lock().expect("is whole").push(authorization);
            let request = self.requests.fetch_add(1, Ordering::SeqCst);
            StatusCode::from_u16(self.statuses.get(request).copied().unwrap_or(201)).expect("is a status")
        }
    }

    async fn upload(State(script): State<Arc<Script>>, request: Request) -> Answered {
        let _arriving = Arriving(Arc::clone(&script));
        let status = script.next(request.headers());
        let Ok(body) = request.into_body().collect().await else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        if status != StatusCode::CREATED {
            return status.into_response();
        }
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        script.bodies.lock().expect("is whole").push(text);
        let answer = format!("{{\"file_id\": \"its-own\", \"checksum\": \"{}\"}}", script.checksum);
        (status, answer).into_response()
    }

    async fn download(
        State(script): State<Arc<Script>>,
        InPath(id): InPath<String>,
        headers: HeaderMap,
    ) -> Answered {
        match script.next(&headers) {
            StatusCode::CREATED => format!("content of {id}").into_response(),
            status => status.into_response(),
        }
    }

    /// An element that answers with these statuses first, and is right about checksums.
    fn fake(statuses: &[u16]) -> Fake {
        let checksum = record(Uuid::nil()).sha256;
        scripted(Script { statuses: statuses.to_vec(), checksum, ..Script::default() })
    }

    fn scripted(script: Script) -> Fake {
        let script = Arc::new(script);
        let router = Router::new()
            .route("/base/api/v1/files/upload", post(upload))
            .route("/base/api/v1/files/{id}/download", get(download))
            .route("/base/health/live", get(|| async { "ok" }))
            .with_state(Arc::clone(&script));
        let server = Server::start(router, None).expect("starts");
        let dir = TempDir::new().expect("makes one");
        std::fs::write(dir.path().join("token"), "first\n").expect("writes");
        let base = format!("http://{}/base/", server.address()).parse().expect("is a URL");
        let remote = Remote::open(&base, Some(&dir.path().join("token"))).expect("opens");
        Fake { script, remote, dir, _server: server }
    }

    fn file() -> NewFile {
        NewFile {
            name: "a\"b.txt".to_owned(),
            content_type: "text/plain".into(),
            policy: Policy::Temporary,
            announced: None,
        }
    }

    /// Uploads "abc".
    async fn upload_to(fake: &Fake) -> Result<Record, Refused> {
        let record = record(Uuid::new_v4());
        let mut sink = fake.remote.begin(record.id, &file()).await?;
        for piece in ["a", "bc"] {
            sink.write(Bytes::from(piece)).await?;
        }
        sink.finish(&record).await?;
        Ok(record)
    }

    #[tokio::test]
    async fn a_file_arrives_with_its_fields_and_can_be_read() {
        let fake = fake(&[]);
        let record = upload_to(&fake).await.expect("is stored");
        let body = fake.script.bodies.lock().expect("is whole").concat();
        let boundary = body.lines().next().expect("has a first line").to_owned();
        // What ends the content is the first thing behind it.
        assert!(body.contains(&format!("\r\n\r\nabc\r\n{boundary}\r\n")), "{body}");
        assert!(
            body.contains("name=\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: text/plain\r\n"),
            "{body}"
        );
        assert!(body.contains("name=\"retention_policy\"\r\n\r\ntemporary\r\n"), "{body}");
        assert!(body.contains("name=\"ttl_days\"\r\n\r\n30\r\n"), "{body}");
        assert!(body.ends_with(&format!("\r\n{boundary}--\r\n")), "{body}");

        let (found, its_id) = fake.remote.find(record.id).expect("is known");
        assert_eq!((found, its_id.as_str()), (record, "its-own"));
        let pieces: Vec<Bytes> =
            fake.remote.stream(&its_id).await.expect("is there").try_collect().await.expect("can be read");
        assert_eq!(pieces.concat(), b"content of its-own");
        assert_eq!(fake.remote.check().await, Ok(()));
    }

    #[tokio::test]
    async fn its_refusals_are_told_apart() {
        for (status, refused) in [
            (507, Refused::Full),
            (500, Refused::failed("answered 500 Internal Server Error")),
            (401, Refused::failed("answered 401 to the token in INGESTER_ELEMENT_TOKEN_FILE")),
        ] {
            assert_eq!(upload_to(&fake(&[status])).await, Err(refused));
        }
    }

    #[tokio::test]
    async fn a_checksum_of_something_else_is_a_failure() {
        let fake = scripted(Script { checksum: "0".repeat(64), ..Script::default() });
        let refused = Refused::failed("answered 201 with the checksum of something else");
        assert_eq!(upload_to(&fake).await, Err(refused));
    }

    #[tokio::test]
    async fn a_new_token_is_read_once_the_old_one_is_refused() {
        let fake = fake(&[401]);
        std::fs::write(fake.dir.path().join("token"), "second").expect("writes");
        assert_eq!(upload_to(&fake).await, Err(Refused::NewToken));
        upload_to(&fake).await.expect("is stored");
        let tokens = fake.script.tokens.lock().expect("is whole").clone();
        assert_eq!(tokens, ["Bearer first", "Bearer second"]);
    }

    #[tokio::test]
    async fn a_download_asks_again_with_a_new_token() {
        let fake = fake(&[201, 401]);
        upload_to(&fake).await.expect("is stored");
        std::fs::write(fake.dir.path().join("token"), "second").expect("writes");
        fake.remote.stream("its-own").await.map(drop).expect("is there");
        let tokens = fake.script.tokens.lock().expect("is whole").clone();
        assert_eq!(tokens, ["Bearer first", "Bearer first", "Bearer second"]);
    }

    #[tokio::test]
    async fn an_upload_that_is_dropped_breaks_off() {
        let fake = fake(&[]);
        let mut sink = fake.remote.begin(Uuid::new_v4(), &file()).await.expect("begins");
        sink.write(Bytes::from("abc")).await.expect("is taken");
        // Once it has arrived there: nothing ends that has not begun.
        while fake.script.requests.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(sink);
        while fake.script.ended.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(fake.script.bodies.lock().expect("is whole").is_empty(), "it looked like a whole upload");
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure() {
        let dir = TempDir::new().expect("makes one");
        let token = dir.path().join("token");
        std::fs::write(&token, "t").expect("writes");
        // Nobody listens at port 9 (discard).
        let base = "http://127.0.0.1:9".parse().expect("is a URL");
        let remote = Remote::open(&base, Some(&token)).expect("opens");
        let Err(Refused::Failed(problem)) = remote.check().await else { panic!("nobody answers") };
        assert!(problem.contains("Connection refused"), "{problem}");
    }

    #[test]
    fn a_token_is_needed_and_its_place_is_not_quoted() {
        let base = "http://h".parse().expect("is a URL");
        let missing = Remote::open(&base, None).map(drop).expect_err("needs one");
        assert!(missing.contains("set INGESTER_ELEMENT_TOKEN_FILE"), "{missing}");
        let hush = Remote::open(&base, Some(Path::new("hush.hush.hush"))).map(drop).expect_err("is no file");
        assert!(hush.contains("cannot be read") && !hush.contains("hush"), "{hush}");
    }

    #[test]
    fn the_oldest_file_makes_room() {
        let mut known = Known::default();
        let first = record(Uuid::new_v4());
        known.remember(first.clone(), "a".to_owned());
        for _ in 0..MAX_KNOWN {
            known.remember(record(Uuid::new_v4()), "b".to_owned());
        }
        assert_eq!((known.files.len(), known.order.len()), (MAX_KNOWN, MAX_KNOWN));
        assert!(!known.files.contains_key(&first.id));
    }

    #[test]
    fn a_name_cannot_leave_its_line() {
        assert_eq!(escaped("a\"b\\c\r\nX: y\0é"), "a%22b%5Cc%0D%0AX: y%00é");
    }
}
