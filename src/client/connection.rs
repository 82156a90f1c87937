//! One kept connection.
//!
//! The task that awaits an answer also drives the connection: a task of its own would cost two wake-ups a request.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes as Buffer;
use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, CONTENT_ENCODING, HeaderName, LOCATION, RETRY_AFTER};
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::endpoint::{Endpoint, Http};
use super::outlasting::{NotHttp2, Outlasting};
use super::upload::{Sending, unreadable};
use crate::recording::{Class, Failure};

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
    /// Gone once it has ended: it must not be polled again.
    driver: Option<Driver>,
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
    pub retry_after: Option<Duration>,
    pub location: Option<String>,
    pub encoding: Option<String>,
    pub body: Buffer,
    /// When its head had come.
    pub head_at: Instant,
}

impl Connection {
    /// Connects, with TLS where the endpoint wants it.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, Failure> {
        let stream = TcpStream::connect(&*endpoint.addresses).await.map_err(not_connected)?;
        stream.set_nodelay(true).map_err(not_connected)?;
        match &endpoint.tls {
            None => Self::over(stream, endpoint.http).await,
            Some(tls) => {
                let stream = tls.connector.connect(tls.name.clone(), stream).await.map_err(not_connected)?;
                let agreed = stream.get_ref().1.alpn_protocol();
                if endpoint.http == Http::Two && agreed != Some(b"h2") {
                    return Err(Failure::new(Class::Protocol, NotHttp2.to_string()));
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
        let (sender, driver): (_, Driver) = match http {
            Http::One => {
                let (sender, driver) = http1::handshake(io).await.map_err(|e| failure(&e))?;
                (Sender::One(sender), Box::pin(driver))
            }
            Http::Two => {
                let shaken = http2::handshake(TokioExecutor::new(), io).await;
                let (sender, driver) = shaken.map_err(|e| failure(&e))?;
                (Sender::Two(sender), Box::pin(driver))
            }
        };
        Ok(Self { sender, driver: Some(driver) })
    }

    /// Itself, if another request can be sent: the peer may have closed meanwhile. What arrived since the event loop
    /// last looked is not seen.
    pub fn if_open(mut self) -> Option<Self> {
        let ended = self.driver.as_mut().is_none_or(|driver| driver.now_or_never().is_some());
        (!ended && self.sender.is_ready()).then_some(self)
    }

    /// Sends a request and reads its answer to the end.
    pub fn exchange(
        &mut self,
        request: Request<Sending>,
    ) -> impl Future<Output = Result<Answer, Failure>> + use<'_> {
        // Handed over at once: no future has to hold it.
        let response = self.sender.send(request);
        async {
            let answer = pin!(async {
                let response = response.await.map_err(|e| failure(&e))?;
                let head_at = Instant::now();
                let status = response.status();
                let last = is_last(&response);
                let retry_after = retry_after(&response);
                let location = text_of(&response, &LOCATION);
                let encoding = text_of(&response, &CONTENT_ENCODING);
                let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
                let body = body.map_err(|e| body_failure(&*e))?.to_bytes();
                Ok((Answer { status, retry_after, location, encoding, body, head_at }, last))
            });
            let (answer, last) = drive(&mut self.driver, answer).await?;
            if last {
                self.driver = None;
            }
            Ok(answer)
        }
    }
}

/// Whether the fault is the service's or this machine's.
fn not_connected(error: io::Error) -> Failure {
    // As Linux and macOS number them.
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
fn retry_after<T>(response: &Response<T>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// A header's text, if the answer has it.
fn text_of<T>(response: &Response<T>, name: &HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Whether the service closes the connection after this answer. The end itself may not have arrived yet. Who refuses an
/// upload need not have read it, and closes for what it has not read, announced or not.
fn is_last<T>(response: &Response<T>) -> bool {
    if REFUSED_UNREAD.contains(&response.status()) && response.version() < Version::HTTP_2 {
        return true;
    }
    let options = response.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut options = options.flat_map(|value| value.split(','));
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
    if error.is_user() {
        // The body could not be read: the file has become shorter, or is gone.
        return match cause(error) {
            Some(why) => unreadable(why),
            None => unreadable(error),
        };
    }
    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        return Failure::new(Class::Protocol, format!("the answer is not HTTP: {error}"));
    }
    match cause(error) {
        // The HTTP/2 library keeps of an error no more than its text.
        Some(e) if e.to_string() == NotHttp2.to_string() => {
            Failure::new(Class::Protocol, NotHttp2.to_string())
        }
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
