//! One kept connection.
//!
//! The task that awaits an answer also drives the connection: a task of its own would cost two wake-ups a request.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes as Buffer;
use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, HeaderMap, RETRY_AFTER};
use hyper::rt::Executor;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::endpoint::{Endpoint, Http};
use super::outlasting::{Outlasting, WrongHttp};
use super::upload::{Sending, unreadable};
use crate::network::Shaped;
use crate::recording::{Class, Failure};
use crate::units::hex;

/// Statuses of services that refuse an upload by its head: no token, no right, too large, of a kind that is not taken.
const REFUSED_UNREAD: [StatusCode; 6] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::LENGTH_REQUIRED,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::EXPECTATION_FAILED,
];
/// Longest answer that is read. The service's have about 500 bytes.
const MAX_ANSWER: usize = 256 << 10;

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection that can carry one request after another.
pub(super) struct Connection {
    sender: Sender,
    /// `None` once it has ended, as a future must not be polled after its end.
    driver: Option<Driver>,
    /// Whether the head of the last request's answer has come.
    answered: bool,
    /// Tasks that work for this connection in the background.
    tasks: Tasks,
}

/// The tasks that HTTP/2 starts: one that reads and writes, and one for each body. They would outlive the connection, and
/// with them its socket, where the service leaves a body unread and keeps its end open.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn running(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let mut running = self.running();
        // A set keeps what has ended until somebody asks; a kept connection would collect a task for each body.
        while running.try_join_next().is_some() {}
        running.spawn(task);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.running().abort_all();
    }
}

enum Sender {
    One(http1::SendRequest<Sending>),
    Two(http2::SendRequest<Sending>),
}

impl Sender {
    fn is_ready(&self) -> bool {
        match self {
            Self::One(sender) => sender.is_ready(),
            Self::Two(sender) => sender.is_ready(),
        }
    }

    fn send(
        &mut self,
        request: Request<Sending>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        match self {
            Self::One(sender) => sender.send_request(request).left_future(),
            Self::Two(sender) => sender.send_request(request).right_future(),
        }
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Buffer,
    /// Whether all of the body came.
    pub whole: bool,
    /// When its head had come.
    pub head_at: Instant,
}

/// An answer whose content is not kept.
pub(super) enum Fetched {
    /// All of it came: so many bytes, with this SHA-256 in lower-case hex.
    Content { size: u64, sha256: String },
    /// There is more of it than was asked for. The rest was not read.
    TooLong,
    /// An answer with another status, read as any other.
    Other(Answer),
}

/// Something that was read of a connection.
struct Read<T> {
    read: T,
    /// Whether nothing further can be read of it.
    is_last: bool,
}

impl Connection {
    /// Connects, with TLS where the endpoint wants it, over a simulated network where there is one.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, Failure> {
        let stream = TcpStream::connect(&*endpoint.addresses).await.map_err(not_connected)?;
        // Else the last piece of a request would wait until the one before is acknowledged.
        stream.set_nodelay(true).map_err(not_connected)?;
        let Some(simulated) = &endpoint.simulated else { return Self::secured(stream, endpoint).await };
        let number = simulated.next_connection();
        let stream = Shaped::connected(stream, &simulated.network, number).await;
        // TLS goes over the network too, so that its handshake has its round trips. Boxed, so that connections without a
        // network have no room for it in their futures.
        Box::pin(Self::secured(stream, endpoint)).await
    }

    /// The connection over a stream that stands, with TLS where the endpoint wants it.
    async fn secured(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        endpoint: &Endpoint,
    ) -> Result<Self, Failure> {
        match &endpoint.tls {
            None => Self::over(stream, endpoint.http).await,
            Some(tls) => {
                let shaken = tls.connector.connect(tls.name.clone(), stream).await;
                let stream = shaken.map_err(|error| not_secured(error, endpoint.http))?;
                // A service that knows nothing of such offers agrees to none of them, and speaks HTTP/1.1.
                let agreed = stream.get_ref().1.alpn_protocol();
                if endpoint.http == Http::Two && agreed != Some(b"h2") {
                    return Err(Failure::new(Class::Protocol, WrongHttp::NotTwo.to_string()));
                }
                Self::over(stream, endpoint.http).await
            }
        }
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        http: Http,
    ) -> Result<Self, Failure> {
        let io = TokioIo::new(Outlasting::new(stream, http));
        let tasks = Tasks::default();
        let (sender, driver): (_, Driver) = match http {
            Http::One => {
                let (sender, driver) = http1::handshake(io).await.map_err(|e| failure(&e))?;
                (Sender::One(sender), Box::pin(driver))
            }
            Http::Two => {
                let shaken = http2::handshake(tasks.clone(), io).await;
                let (sender, driver) = shaken.map_err(|e| failure(&e))?;
                (Sender::Two(sender), Box::pin(driver))
            }
        };
        Ok(Self { sender, driver: Some(driver), answered: false, tasks })
    }

    /// Itself, if another request can be sent: the peer may have closed meanwhile. What arrived since the event loop
    /// last looked is not seen.
    pub fn if_open(mut self) -> Option<Self> {
        // hyper notices that a connection was closed only while it is driven: once is enough for what has arrived.
        let ended = self.driver.as_mut().is_none_or(|driver| driver.now_or_never().is_some());
        if !ended && self.sender.is_ready() { Some(self) } else { None }
    }

    /// Whether the head of the last request's answer has come.
    pub fn was_answered(&self) -> bool {
        self.answered
    }

    /// Sends a request and reads its answer to the end.
    pub fn exchange(
        &mut self,
        request: Request<Sending>,
    ) -> impl Future<Output = Result<Answer, Failure>> + use<'_> {
        let trouble = request.body().trouble();
        // Handed over at once: no future has to hold it.
        let response = self.sender.send(request);
        let driver = &mut self.driver;
        let answered = &mut self.answered;
        *answered = false;
        async move {
            let answer = pin!(async {
                let response = response.await.map_err(|e| failure(&e))?;
                *answered = true;
                read_whole(response).await
            });
            let Read { read, is_last } = drive(driver, answer).await.map_err(|failure| {
                // A file that could not be read is this machine's fault, though it shows as a request that ended.
                let why = trouble.as_ref().and_then(|trouble| trouble.get());
                why.map_or(failure, unreadable)
            })?;
            // Without a driver the connection counts as ended, and the next upload opens another one.
            if is_last {
                *driver = None;
            }
            Ok(read)
        }
    }

    /// Sends a request whose body is in memory, and hashes what comes as its answer, up to `most` bytes, if that has one of
    /// these statuses. The content of a large file is not kept for that.
    pub async fn exchange_hashing(
        &mut self,
        request: Request<Sending>,
        success: &[StatusCode],
        most: u64,
    ) -> Result<Fetched, Failure> {
        let response = self.sender.send(request);
        let driver = &mut self.driver;
        let answered = &mut self.answered;
        *answered = false;
        let answer = pin!(async {
            let response = response.await.map_err(|e| failure(&e))?;
            *answered = true;
            if success.contains(&response.status()) {
                return hash_content(response, most).await;
            }
            let Read { read, is_last } = read_whole(response).await?;
            Ok(Read { read: Fetched::Other(read), is_last })
        });
        let Read { read, is_last } = drive(driver, answer).await?;
        if is_last {
            *driver = None;
        }
        Ok(read)
    }
}

/// Reads the rest of an answer whose head has just come.
async fn read_whole(response: Response<Incoming>) -> Result<Read<Answer>, Failure> {
    let head_at = Instant::now();
    let last = is_last(&response);
    // The body belongs to the measured time, and is limited: a service could send without end.
    let (head, body) = response.into_parts();
    let status = head.status;
    let refused = status.is_client_error() || status.is_server_error();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let (body, whole) = match body.map_err(|e| body_failure(&*e)) {
        Ok(body) => (body.to_bytes(), true),
        // Who refuses an upload and closes at once may cut off his own words. The status says enough.
        Err(Failure { class: Class::Reset, .. }) if refused => (Buffer::new(), false),
        Err(failure) => return Err(failure),
    };
    let read = Answer { status, headers: head.headers, body, whole, head_at };
    Ok(Read { read, is_last: last || !whole })
}

/// Hashes the content of an answer as it comes, up to `most` bytes.
async fn hash_content(response: Response<Incoming>, most: u64) -> Result<Read<Fetched>, Failure> {
    let last = is_last(&response);
    let mut body = response.into_body();
    let mut hash = Context::new(&SHA256);
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| body_failure(&e))?;
        // Trailers are no content.
        let Ok(piece) = frame.into_data() else { continue };
        size += piece.len() as u64;
        if size > most {
            return Ok(Read { read: Fetched::TooLong, is_last: true });
        }
        hash.update(&piece);
    }
    let sha256 = hex(hash.finish().as_ref());
    Ok(Read { read: Fetched::Content { size, sha256 }, is_last: last })
}

/// The failure of a TLS handshake.
fn not_secured(error: io::Error, http: Http) -> Failure {
    if !is_no_protocol(&error) {
        return not_connected(error);
    }
    let wrong = match http {
        Http::One => WrongHttp::OnlyTwo,
        Http::Two => WrongHttp::NotTwo,
    };
    Failure::new(Class::Protocol, wrong.to_string())
}

/// The failure of an exchange that took too long.
pub(super) fn no_answer_within(limit: Duration) -> Failure {
    Failure::new(Class::Timeout, format!("no answer within {limit:?}"))
}

/// The failure of connecting: the service's fault, or this machine's.
fn not_connected(error: io::Error) -> Failure {
    // ENFILE and EMFILE, as Linux and macOS number them.
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    if error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code)) {
        let message =
            format!("no descriptor is left ({error}); raise the limit (ulimit -n), or ask for fewer users");
        return Failure::new(Class::Local, message);
    }
    // What a lack of free ports looks like: each closed connection keeps its port for a minute.
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        let message = format!(
            "no port is left ({error}); the service closes connections that could be kept, or widen \
             net.ipv4.ip_local_port_range"
        );
        return Failure::new(Class::Local, message);
    }
    Failure::new(Class::Connect, format!("cannot connect: {error}{}", advice(&error)))
}

/// Whether a TLS handshake failed because the service speaks none of the protocols that it was offered.
fn is_no_protocol(error: &io::Error) -> bool {
    use tokio_rustls::rustls::{AlertDescription, Error as TlsError};
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(tls, Some(TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)))
}

/// What to do about a TLS handshake that failed.
fn advice(error: &io::Error) -> &'static str {
    use tokio_rustls::rustls::{CertificateError, Error as TlsError};
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    match tls {
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; its certificate is signed by none that this machine trusts: SSL_CERT_FILE names a file with more (PEM)"
        }
        Some(TlsError::InvalidCertificate(CertificateError::Other(other)))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "; its certificate is that of an authority, as self-made ones often are: make one with CA:FALSE, signed by it"
        }
        _ => "",
    }
}

/// `Retry-After`: in seconds, or a date, from which the time until then follows.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // A date that has passed means now.
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Whether the service closes the connection after this answer. The end itself may not have arrived yet. Who refuses an
/// upload need not have read it, and closes for what it has not read, announced or not; with HTTP/2, what it has not read
/// also takes up the connection's window.
fn is_last<T>(response: &Response<T>) -> bool {
    if REFUSED_UNREAD.contains(&response.status()) {
        return true;
    }
    let options = response.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut options = options.flat_map(|value| value.split(','));
    // HTTP/1.0 closes unless both sides agree otherwise, which this one never asks for.
    options.any(|option| option.trim().eq_ignore_ascii_case("close"))
        || response.version() == Version::HTTP_10
}

/// Awaits `answer` while keeping the connection going.
async fn drive<T>(
    driver: &mut Option<Driver>,
    mut answer: Pin<&mut impl Future<Output = Result<T, Failure>>>,
) -> Result<T, Failure> {
    let mut broke = None;
    let done = poll_fn(|cx| {
        // Hand over what there is to send, move bytes, then look whether an answer came of it.
        if let Poll::Ready(done) = answer.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if let Some(Poll::Ready(ended)) = driver.as_mut().map(|driver| driver.as_mut().poll(cx)) {
            *driver = None;
            broke = ended.err();
        }
        // A connection that has ended may have left an answer behind; if not, the answer fails by itself.
        answer.as_mut().poll(cx)
    })
    .await;
    match (done, broke) {
        // The request was cut off: the connection knows why, the request only that.
        (Err(Failure { class: Class::Reset, .. }), Some(why)) => Err(failure(&why)),
        (done, _) => done,
    }
}

fn closed() -> Failure {
    Failure::new(Class::Reset, "the connection was closed before the answer was complete")
}

/// Sorts what hyper reports: an unreadable answer, or a connection that broke.
fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        return Failure::new(Class::Protocol, format!("the answer is not HTTP: {error}"));
    }
    // The HTTP/2 library keeps of an error no more than its text.
    let said = cause(error).map(ToString::to_string);
    for wrong in [WrongHttp::NotTwo, WrongHttp::OnlyTwo].map(|wrong| wrong.to_string()) {
        if said.as_ref() == Some(&wrong) {
            return Failure::new(Class::Protocol, wrong);
        }
    }
    match cause(error) {
        Some(e) => Failure::new(Class::Reset, format!("the connection broke: {e}")),
        None if is_refused_stream(error) => Failure::new(Class::Reset, REFUSED_STREAM),
        None => closed(),
    }
}

fn body_failure(error: &(dyn std::error::Error + 'static)) -> Failure {
    if error.is::<LengthLimitError>() {
        return Failure::new(Class::Protocol, format!("the answer is longer than {MAX_ANSWER} bytes"));
    }
    match error.downcast_ref::<hyper::Error>() {
        // Garbage for a chunk size is reported as invalid input; extensions and trailers without end as invalid data.
        Some(e) if cause(e).is_some_and(|io| is_malformed(io.kind())) => {
            Failure::new(Class::Protocol, "the answer's chunks are malformed")
        }
        Some(e) => failure(e),
        None => closed(),
    }
}

/// The message of a stream that was refused.
pub(super) const REFUSED_STREAM: &str = "the service refused the stream (HTTP/2, REFUSED_STREAM)";

/// hyper does not say which code ended a stream; the error below it does, in words.
fn is_refused_stream(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("refused stream"))
}

fn is_malformed(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

fn cause(error: &hyper::Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use hyper::server::conn::{http1 as server_one, http2 as server_two};
    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::Instant as Paused;

    use super::super::upload::UploadBody;
    use super::*;
    use crate::api::Api;
    use crate::network::Network;
    use crate::payload::generate_test_file;
    use crate::units::Bytes;

    /// Reads a request to its end before it answers.
    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Buffer>>, hyper::Error> {
        request.into_body().collect().await?;
        Ok(Response::new(Full::new(Buffer::from_static(b"{}"))))
    }

    async fn serve(stream: DuplexStream, http: Http) {
        let io = TokioIo::new(stream);
        let service = service_fn(answer);
        let served = match http {
            Http::One => server_one::Builder::new().serve_connection(io, service).await,
            Http::Two => {
                let builder = server_two::Builder::new(TokioExecutor::new());
                builder.serve_connection(io, service).await
            }
        };
        // The client goes without a farewell, which may be an error.
        drop(served);
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_takes_what_a_network_takes() {
        let network: Network = "100ms,8mbit,8mbit".parse().expect("is one");
        let upload = UploadBody::whole(&generate_test_file(Bytes(100_000)), &Api::default());
        for http in [Http::One, Http::Two] {
            let (client, service) = duplex(1 << 20);
            tokio::spawn(serve(service, http));
            let stream = Shaped::connected(client, &network, 0).await;
            let mut connection = Connection::over(stream, http).await.expect("speaks HTTP");
            let mut took = Duration::ZERO;
            // The second one counts: with HTTP/2, the first has to wait for the service's word that it may send all of it.
            for _ in 0..2 {
                let began = Paused::now();
                let body = upload.body().expect("is in memory");
                let request = Request::post("http://h/").body(body).expect("is a request");
                let answer = connection.exchange(request).await.expect("is answered");
                assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"{}"[..]));
                took = began.elapsed();
            }
            // 100,000 bytes at 8 Mbit/s take 100 ms, and so does the round trip. All that stands around the file, and the
            // answer, has less than 2 KB, which take 2 ms; the timer adds up to 1 ms in each direction.
            assert!((200..=205).contains(&took.as_millis()), "{http:?}: {took:?}");
        }
    }
}
