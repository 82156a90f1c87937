//! One connection, from its first bytes to its end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::{GracefulConnection, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch::Receiver;

use super::super::hangup::Hangup;
use super::bodies::{Arriving, Leaving};
use super::closing::{self, MOST_READ};
use super::limits::Limits;
use super::tally::Tally;
use super::traffic::{Traffic, UnderWay};
use super::watch::{Cut, Phase, Protocol, Watch, until_cut};
use super::wire::Wire;

/// How every HTTP/2 connection begins, and no HTTP/1.1 one (RFC 9113, 3.4).
const HTTP2: &[u8; 3] = b"PRI";
/// Largest head of a request; beyond, the answer is 431. Common servers take 8 to 32 KB.
const MAX_HEAD: u32 = 64 << 10;

/// Requests at once on an HTTP/2 connection. RFC 9113, 5.1.2, recommends no fewer.
const MAX_STREAMS: u32 = 100;
/// Bytes of a body that HTTP/2 clients may send before somebody has read them. A body that is refused comes this far, so it
/// is half of what may be read of one.
const STREAM_WINDOW: u32 = 128 << 10;
/// Streams that were reset before they were looked at, after which an HTTP/2 connection is closed: rapid reset
/// (CVE-2023-44487). The library's own default.
const MAX_UNSEEN_RESETS: usize = 20;
/// Streams that had to be reset for breaking the protocol, after which an HTTP/2 connection is closed. Those that abide by
/// it cause none; the library takes 1024.
const MAX_FAULTY: usize = 32;

/// What a connection is served with.
pub(super) struct Terms {
    pub app: Router,
    pub limits: Limits,
    /// By which a handler has the connection reset, where one may.
    pub hangup: Option<Hangup>,
    pub tally: Arc<Tally>,
    /// Says that requests under way should be the last.
    pub watcher: Watcher,
    /// Ends when the server stops.
    pub closed: Receiver<()>,
}

/// A socket that is to be kept until its client has read the last answer.
pub(super) struct Farewell {
    pub stream: TcpStream,
    /// Bytes that may be read of it.
    pub may_read: u64,
}

/// Serves one connection in the protocol that its first bytes belong to. How it ends is not reported: the client has seen
/// that itself. Returns the socket if it should not be closed at once.
pub(super) async fn converse(stream: TcpStream, terms: Terms) -> Option<Farewell> {
    let Terms { app, limits, hangup, tally, watcher, mut closed } = terms;
    let began = Instant::now();
    // Answers are small: without this, each would wait for the delayed acknowledgement of the last.
    let _ = stream.set_nodelay(true);
    let first = tokio::select! {
        first = tokio::time::timeout(limits.head, first_bytes(&stream)) => first,
        _ = closed.changed() => return None,
    };
    let Ok(protocol) = first else {
        tally.cut();
        return None;
    };
    // The client may have gone without a word.
    let protocol = protocol?;

    let traffic = Arc::new(Traffic::default());
    let watch = until_cut(&traffic, Watch::new(limits, protocol), began);
    let wire = Wire::new(stream, &traffic, hangup.clone());
    let is_hung_up = hangup.clone();
    let app = Served { app: TowerToHyperService::new(app), traffic: Arc::clone(&traffic), hangup };
    let cut = serve(wire, protocol, app, watcher, watch).await;
    tally.read(traffic.read());
    // Serving is over, and whoever spoke HTTP has handed the socket back.
    let stream = traffic.socket()?;
    if is_hung_up.is_some_and(|hangup| hangup.is_given()) {
        closing::reset(stream);
        return None;
    }
    match cut {
        None if traffic.has_ended() => None,
        // hyper has ended it: after a body that was refused, for instance, or after bytes that are not HTTP.
        None => {
            let may_read = MOST_READ.saturating_sub(traffic.read_of_the_last());
            Some(Farewell { stream, may_read })
        }
        Some(cut) => {
            tally.cut();
            // Whoever is merely idle gets a regular end.
            if cut != Cut::Late(Phase::Idle) {
                closing::reset(stream);
            }
            None
        }
    }
}

/// The protocol of the first bytes; `None` where the client has gone instead.
async fn first_bytes(stream: &TcpStream) -> Option<Protocol> {
    // Looked at and not read: the bytes belong to the first request.
    let mut first = [0; HTTP2.len()];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => None,
        Ok(_) if first == *HTTP2 => Some(Protocol::Two),
        Ok(_) => Some(Protocol::One),
    }
}

/// Serves requests until the connection ends, or until it is to be cut.
async fn serve(
    wire: Wire,
    protocol: Protocol,
    served: Served,
    watcher: Watcher,
    watch: impl Future<Output = Cut>,
) -> Option<Cut> {
    let io = TokioIo::new(wire);
    let service = service_fn(move |request| served.answer(request));
    match protocol {
        Protocol::One => {
            let connection = http1::Builder::new()
                // The watch has a time for the head, and costs no timer for each request.
                .header_read_timeout(None::<Duration>)
                .max_header_size(MAX_HEAD as usize)
                // Who has sent everything may close that direction and still wait for the answer.
                .half_close(true)
                .serve_connection(io, service);
            until_over(connection, watcher, watch).await
        }
        Protocol::Two => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(MAX_HEAD)
                .initial_stream_window_size(STREAM_WINDOW)
                .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
                .max_local_error_reset_streams(MAX_FAULTY)
                .serve_connection(io, service);
            until_over(connection, watcher, watch).await
        }
    }
}

/// Drives a connection to its end, unless it is to be cut before.
async fn until_over<C: GracefulConnection>(
    connection: C,
    watcher: Watcher,
    watch: impl Future<Output = Cut>,
) -> Option<Cut> {
    tokio::select! {
        // The bytes that have come are looked at before it is judged that they are missing.
        biased;
        _ = watcher.watch(connection) => None,
        cut = watch => Some(cut),
    }
}

/// The service as one connection sees it.
struct Served {
    app: TowerToHyperService<Router>,
    traffic: Arc<Traffic>,
    hangup: Option<Hangup>,
}

impl Served {
    /// Answers one request.
    fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Leaving>, Infallible>> + Send + use<> {
        let under_way = UnderWay::begin(&self.traffic);
        if let Some(hangup) = &self.hangup {
            request.extensions_mut().insert(hangup.clone());
        }
        // HTTP/2 ends a stream where HTTP/1 has to end the connection.
        let is_sequential = request.version() < Version::HTTP_2;
        let traffic = &self.traffic;
        let response = self.app.call(request.map(|body| Arriving::new(body, traffic)));
        async move {
            let mut response = response.await?;
            // hyper closes a connection of which a body was left unread, and does not announce it.
            if is_sequential && under_way.gave_body_up() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Leaving::new(body, under_way)))
        }
    }
}
