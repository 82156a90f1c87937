//! Answers whoever looks at a run: a browser, or Prometheus. Every connection has one request; who stays has the events.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderValue,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::watch::Receiver;

use super::board::Board;
use super::exposition::{TextFormat, exposition};
use super::families::families;
use super::page::{event, page};
use super::view::document;

/// Most connections at once, of all who look: each takes a descriptor that the run may need.
pub(super) const CLIENTS: usize = 100;
/// Longest time for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// Pause after a failed `accept`, so that a failure that stays does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// What the page may do: show what stands in it, run its own script, and ask this server.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What is to be seen at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// The page.
    Page,
    /// The metrics.
    Metrics,
}

/// What answers are made of.
pub(super) struct Answers {
    board: Receiver<Board>,
    /// The last event that was made, for all who are sent the same.
    event: Mutex<MadeEvent>,
}

/// An event, and the state of the run that it shows.
#[derive(Default)]
struct MadeEvent {
    edition: Option<u64>,
    text: Bytes,
}

impl Answers {
    pub fn new(board: Receiver<Board>) -> Self {
        Self { board, event: Mutex::default() }
    }

    /// The event that shows this state.
    fn event(&self, board: &Board) -> Bytes {
        let mut made = self.event.lock().unwrap_or_else(PoisonError::into_inner);
        if made.edition != Some(board.edition()) {
            made.edition = Some(board.edition());
            made.text = event(&document(board), board.has_ended).into();
        }
        made.text.clone()
    }

    /// Answers a request for the page.
    fn of_page(self: &Arc<Self>, path: &str) -> Response<Body> {
        match path {
            "/" => {
                let text = page(&document(&self.board.borrow()));
                let mut answer = text_answer(StatusCode::OK, "text/html; charset=utf-8", text);
                let policy = HeaderValue::from_static(PAGE_POLICY);
                answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
                answer
            }
            "/events" => {
                let watcher = Watcher { answers: Arc::clone(self), board: self.board.clone(), sent: None };
                let events = StreamBody::new(stream::unfold(watcher, Watcher::next));
                headed(StatusCode::OK, "text/event-stream", events.boxed_unsync())
            }
            _ => refusal(StatusCode::NOT_FOUND, "There is the page at /, and nothing else."),
        }
    }

    /// Answers a request for the metrics.
    fn of_metrics(&self, path: &str, headers: &HeaderMap) -> Response<Body> {
        if path != "/metrics" {
            return refusal(StatusCode::NOT_FOUND, "There are the metrics at /metrics, and nothing else.");
        }
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let format = TextFormat::wanted(accept);
        let known = families(&self.board.borrow());
        text_answer(StatusCode::OK, format.content_type(), exposition(known, format))
    }

    fn answer<B>(self: &Arc<Self>, site: Site, request: &Request<B>) -> Response<Body> {
        if request.method() != Method::GET {
            let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered.");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return answer;
        }
        let path = request.uri().path();
        match site {
            Site::Page if !is_for_this_machine(request.headers()) => {
                refusal(StatusCode::FORBIDDEN, "The page is for http://localhost and http://127.0.0.1 only.")
            }
            Site::Page => self.of_page(path),
            Site::Metrics => self.of_metrics(path, request.headers()),
        }
    }
}

/// Whoever is sent the events.
struct Watcher {
    answers: Arc<Answers>,
    board: Receiver<Board>,
    /// The state that was sent last.
    sent: Option<Sent>,
}

/// A state that was sent.
struct Sent {
    edition: u64,
    was_last: bool,
}

impl Watcher {
    /// The next event, as soon as there is something new. A browser that reads slowly misses states, and none waits for it.
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        if self.sent.as_ref().is_some_and(|sent| sent.was_last) {
            return None;
        }
        loop {
            let edition = self.board.borrow_and_update().edition();
            if self.sent.as_ref().is_none_or(|sent| sent.edition != edition) {
                break;
            }
            // Nobody can change it any more.
            if self.board.changed().await.is_err() {
                return None;
            }
        }
        let text = self.look();
        Some((Ok(Frame::data(text)), self))
    }

    /// The event of the state that it is now.
    fn look(&mut self) -> Bytes {
        let board = self.board.borrow();
        self.sent = Some(Sent { edition: board.edition(), was_last: board.has_ended });
        self.answers.event(&board)
    }
}

/// Accepts connections for as long as it is asked to. Each holds a place while it lasts.
pub(super) async fn serve(listener: TcpListener, site: Site, answers: Arc<Answers>, places: Arc<Semaphore>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Beyond the last place a connection is closed without a word.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            converse(stream, site, answers).await;
            drop(place);
        });
    }
}

/// Answers the request of one connection. How it ends is not reported: the client has seen that itself.
async fn converse(stream: TcpStream, site: Site, answers: Arc<Answers>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answers.answer(site, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

/// Whether a browser asked for this machine by a name that means it everywhere. Another site whose name was made to lead here
/// (DNS rebinding) has its own name in the request, and could otherwise read the page.
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    // More than one is a request that two readers may read in two ways.
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let name = without_port(host);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A host without the port after it; one in brackets has colons of its own.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// An answer that says why there is no other.
fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    text_answer(status, "text/plain; charset=utf-8", format!("{why}\n"))
}

fn text_answer(status: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
    headed(status, content_type, Full::new(Bytes::from(text)).boxed_unsync())
}

fn headed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    // Each answer is of its moment.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::super::fixture::{about, closed, seconds};
    use super::*;

    fn request(method: &str, path: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(path);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).expect("is a request")
    }

    /// The status of the answer to this request.
    fn status(site: Site, request: &Request<()>) -> u16 {
        let (_sender, board) = watch::channel(Board::new(about()));
        Arc::new(Answers::new(board)).answer(site, request).status().as_u16()
    }

    #[test]
    fn the_page_is_for_names_that_mean_this_machine() {
        for host in ["localhost", "LocalHost:80", "127.0.0.1:8099", "[::1]:8099", "[::1]", "127.0.0.2"] {
            assert_eq!(status(Site::Page, &request("GET", "/", &[host])), 200, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8099", "10.0.0.1", "", "::1:x"]
        {
            assert_eq!(status(Site::Page, &request("GET", "/", &[host])), 403, "{host}");
        }
        assert_eq!(status(Site::Page, &request("GET", "/events", &["evil.example"])), 403);
        assert_eq!(status(Site::Page, &request("GET", "/", &[])), 403);
        assert_eq!(status(Site::Page, &request("GET", "/", &["localhost", "evil.example"])), 403);
        // Prometheus asks by whatever name it was given.
        assert_eq!(status(Site::Metrics, &request("GET", "/metrics", &["loader.example"])), 200);
    }

    #[test]
    fn each_address_has_what_it_was_asked_to_have() {
        let local = ["localhost"];
        for (site, method, path, answer) in [
            (Site::Page, "GET", "/metrics", 404),
            (Site::Metrics, "GET", "/", 404),
            (Site::Metrics, "GET", "/events", 404),
            (Site::Page, "POST", "/", 405),
            (Site::Metrics, "DELETE", "/metrics", 405),
        ] {
            assert_eq!(status(site, &request(method, path, &local)), answer, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn events_follow_each_other_until_the_run_has_ended() {
        let (sender, board) = watch::channel(Board::new(about()));
        let answers = Arc::new(Answers::new(board.clone()));
        let watcher = Watcher { answers, board, sent: None };
        let (first, watcher) = watcher.next().await.expect("the state that it is");
        assert!(text(first).contains("It has not begun yet."));
        sender.send_modify(|board| {
            board.begin(closed(1, None));
            board.add(&seconds(&[(0, 1)]));
        });
        let (second, watcher) = watcher.next().await.expect("a new state");
        assert!(text(second).contains("1 s are measured"));
        sender.send_modify(|board| board.end(None));
        let (last, watcher) = watcher.next().await.expect("the last state");
        assert!(text(last).starts_with("event: ended\n"));
        assert!(watcher.next().await.is_none());
    }

    fn text(frame: Result<Frame<Bytes>, Infallible>) -> String {
        let Ok(frame) = frame;
        let data = frame.into_data().expect("is data");
        String::from_utf8(data.to_vec()).expect("is text")
    }
}
