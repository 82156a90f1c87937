//! Promise: whoever keeps the stub waiting loses the connection in time, whoever may not upload is told so before the body is
//! read, and nobody else suffers for either.
//!
//! `INGESTER_PERF_PROOF=1 cargo test --release --test hostile -- --test-threads 1 --nocapture` does the same at length: with
//! the time limits of `serve`, 500 hostile connections at once, a hundred refusals and 64 uploads of 64 MiB. Takes about
//! ten minutes.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use common::http2::{self, END_HEADERS, END_STREAM, frame, read_frame};
use common::load::{choose, figure, strict};
#[cfg(target_os = "linux")]
use common::serve::Serve;
use ingester_perf::api::Api;
use ingester_perf::auth::{KeyPair, Minter, Token};
use ingester_perf::client::{Client, Endpoint, Http, UploadBody};
use ingester_perf::payload::generate_test_file;
use ingester_perf::stub::{Limits, Stub, StubOptions};
use ingester_perf::units::Bytes;

/// A request that any client may make.
const GET: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: stub\r\n\r\n";
/// What stands before and behind the file of an upload.
const BEFORE_FILE: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
const BEHIND_FILE: &[u8] = b"\r\n--b--\r\n";
/// Pause between the pieces of those who send a little now and then.
const PAUSE: Duration = Duration::from_millis(100);
/// How often hostile connections are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The error code of a connection that asked for too much, ENHANCE_YOUR_CALM (RFC 9113, section 7).
const TOO_MUCH: u32 = 11;

/// One key for all stubs of this file: making one takes longer than most of the tests.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("makes a key"));

/// A stub, and the credentials that it takes.
struct Service {
    stub: Stub,
    bearer: String,
}

impl Service {
    fn start(limits: Limits) -> Self {
        let stub = Stub::start(StubOptions { limits, ..StubOptions::new(KEY.public()) });
        let token = Minter::new(KEY.clone()).mint(Duration::from_secs(3600)).expect("mints");
        Self { stub: stub.expect("starts"), bearer: format!("Bearer {}", token.as_str()) }
    }

    fn connect(&self) -> TcpStream {
        connect_to(self.stub.address())
    }

    /// The bytes of an upload, up to so many bytes into its file.
    fn upload(&self, size: usize, sent: usize) -> Vec<u8> {
        let head = upload_head(&self.bearer, (BEFORE_FILE.len() + size + BEHIND_FILE.len()) as u64);
        let mut request = [head.as_bytes(), BEFORE_FILE, &vec![b'x'; sent]].concat();
        if sent == size {
            request.extend(BEHIND_FILE);
        }
        request
    }

    /// Waits until every connection has ended.
    fn is_left_alone(&self) {
        let began = Instant::now();
        while self.stub.connections().open > 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", self.stub.connections());
            std::thread::sleep(LOOK);
        }
    }
}

fn connect_to(address: impl ToSocketAddrs) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("can be set");
    stream
}

/// The head of an upload with a body of this length.
fn upload_head(authorization: &str, length: u64) -> String {
    format!(
        "POST /api/v1/files/upload HTTP/1.1\r\nHost: stub\r\nAuthorization: {authorization}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// The limits of `serve` in a proof, and short ones that differ from each other in a test.
fn limits() -> Limits {
    let short = Limits {
        head: Duration::from_millis(1000),
        idle: Duration::from_millis(2000),
        stall: Duration::from_millis(1500),
        linger: Duration::from_millis(300),
        ..Limits::default()
    };
    choose(Limits::default(), short)
}

/// How much later than its limit a connection may be closed. Beside other tests, threads wait for a core.
fn slack() -> Duration {
    choose(Duration::from_secs(1), Duration::from_secs(5))
}

/// An answer, its head in lower case.
struct Answer {
    status: u16,
    head: String,
}

/// Reads one answer, to its end.
fn answer(mut stream: &TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).expect("answers");
        assert_ne!(read, 0, "the connection ended within an answer: {}", String::from_utf8_lossy(&bytes));
        bytes.extend(&piece[..read]);
        if let Some(answer) = whole(&bytes) {
            return answer;
        }
    }
}

/// The answer that these bytes are, once they are all of it.
fn whole(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).expect("announces a length");
    let length: usize = length.lines().next().and_then(|length| length.parse().ok()).expect("is a number");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("has a status");
    if body.len() < length { None } else { Some(Answer { status, head }) }
}

/// Sends a request and reads its answer. The connection may have been refused before, with an answer all the same.
fn exchange(mut stream: &TcpStream, request: &[u8]) -> Answer {
    let _ = stream.write_all(request);
    answer(stream)
}

/// A connection that should be closed after its limit.
struct Hostile {
    what: &'static str,
    stream: TcpStream,
    since: Instant,
    limit: Duration,
    /// What is sent again and again; may be nothing.
    piece: Vec<u8>,
    sent: Instant,
}

impl Hostile {
    /// Sends these bytes at the beginning.
    fn begin(service: &Service, what: &'static str, limit: Duration, bytes: &[u8]) -> Self {
        // Before everything else, so that the limit cannot seem to have passed too early.
        let since = Instant::now();
        let mut stream = service.connect();
        stream.write_all(bytes).expect("sends");
        stream.set_nonblocking(true).expect("can be set");
        Self { what, stream, since, limit, piece: Vec::new(), sent: since }
    }

    /// A connection that has had one answer already.
    fn after_an_answer(service: &Service, limit: Duration) -> Self {
        let stream = service.connect();
        let since = Instant::now();
        assert_eq!(exchange(&stream, GET).status, 200);
        stream.set_nonblocking(true).expect("can be set");
        Self { what: "an idle connection", stream, since, limit, piece: Vec::new(), sent: since }
    }

    /// Goes on sending this.
    fn going_on_with(self, piece: impl Into<Vec<u8>>) -> Self {
        Self { piece: piece.into(), ..self }
    }

    /// Whether it was closed. Fails where that was too early, or is too late.
    fn has_ended(&mut self) -> bool {
        if !self.piece.is_empty() && self.sent.elapsed() >= PAUSE {
            // Where it has been closed, reading tells.
            let _ = self.stream.write(&self.piece);
            self.sent = Instant::now();
        }
        let ended = loop {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break false,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => break true,
                Err(e) => panic!("{}: {e}", self.what),
            }
        };
        let took = self.since.elapsed();
        let Self { what, limit, .. } = self;
        assert!(took <= *limit + slack(), "{what} is there after {took:?}, {limit:?} are allowed");
        assert!(!ended || took >= *limit, "{what} was closed after {took:?}, before {limit:?}");
        ended
    }
}

/// Waits until all were closed, each in its time. Returns the longest time by which one was late.
fn all_end(mut hostile: Vec<Hostile>) -> Duration {
    let mut latest = Duration::ZERO;
    while !hostile.is_empty() {
        hostile.retain_mut(|one| {
            let ended = one.has_ended();
            if ended {
                latest = latest.max(one.since.elapsed().saturating_sub(one.limit));
            }
            !ended
        });
        std::thread::sleep(LOOK);
    }
    latest
}

/// Clients who never get to a whole request.
fn without_a_request(service: &Service) -> Vec<Hostile> {
    let head = limits().head;
    let settings = http2::beginning(&[]);
    let ping = frame(http2::PING, 0, 0, &[0; 8]);
    vec![
        Hostile::begin(service, "silence", head, b""),
        Hostile::begin(service, "half a head", head, b"GET / HT"),
        Hostile::begin(service, "a dribbled head", head, b"GET / HTTP/1.1\r\nX: ").going_on_with(b"x"),
        Hostile::begin(service, "an HTTP/2 preface", head, http2::PREFACE),
        Hostile::begin(service, "HTTP/2 settings", head, &settings),
        Hostile::begin(service, "HTTP/2 pings", head, &settings).going_on_with(ping),
    ]
}

/// Clients who leave a request of theirs waiting.
fn within_a_request(service: &Service) -> Vec<Hostile> {
    let stall = limits().stall;
    let stopped = service.upload(1_000_000, 1000);
    let fields = http2::upload(&service.bearer);
    let upload = [http2::beginning(&[]), frame(http2::HEADERS, END_HEADERS, 1, &fields)].concat();
    let data = frame(http2::DATA, 0, 1, b"x");
    // Nothing of any answer's body may be sent.
    let closed = http2::beginning(&[(http2::INITIAL_WINDOW_SIZE, 0)]);
    let get = frame(http2::HEADERS, END_HEADERS | END_STREAM, 1, &http2::get("/health/live"));
    vec![
        Hostile::begin(service, "a body that stops", stall, &stopped),
        Hostile::begin(service, "a dribbled body", stall, &stopped).going_on_with(b"x"),
        Hostile::begin(service, "an HTTP/2 body that never comes", stall, &upload),
        Hostile::begin(service, "a dribbled HTTP/2 body", stall, &upload).going_on_with(data),
        Hostile::begin(service, "an HTTP/2 answer without a window", stall, &[closed, get].concat()),
    ]
}

#[test]
fn clients_without_a_request_are_closed_in_time() {
    let service = Service::start(limits());
    all_end(without_a_request(&service));
    service.is_left_alone();
    assert_eq!(service.stub.connections().cut, 6);
}

#[test]
fn requests_that_wait_for_their_client_are_closed_in_time() {
    let service = Service::start(limits());
    all_end(within_a_request(&service));
    service.is_left_alone();
    assert_eq!(service.stub.connections().cut, 5);
    assert_eq!(service.stub.stored().files, 0, "a part of a file was counted");
}

#[test]
fn idle_connections_are_closed_in_time() {
    let service = Service::start(limits());
    let idle = limits().idle;
    let get = frame(http2::HEADERS, END_HEADERS | END_STREAM, 1, &http2::get("/health/live"));
    let answered = [http2::beginning(&[]), get].concat();
    let ping = frame(http2::PING, 0, 0, &[0; 8]);
    all_end(vec![
        Hostile::after_an_answer(&service, idle),
        Hostile::begin(&service, "an idle HTTP/2 connection", idle, &answered),
        Hostile::begin(&service, "HTTP/2 pings after an answer", idle, &answered).going_on_with(ping),
    ]);
}

#[test]
fn a_window_of_zero_holds_back_the_body_only() {
    // Else the test above could be about a request that was never understood.
    let service = Service::start(limits());
    let mut stream = service.connect();
    let get = frame(http2::HEADERS, END_HEADERS | END_STREAM, 1, &http2::get("/health/live"));
    let closed = http2::beginning(&[(http2::INITIAL_WINDOW_SIZE, 0)]);
    stream.write_all(&[closed, get].concat()).expect("sends");
    let mut kinds = Vec::new();
    while let Ok(frame) = read_frame(&mut stream) {
        kinds.push(frame.kind);
    }
    assert!(kinds.contains(&http2::HEADERS) && !kinds.contains(&http2::DATA), "{kinds:?}");
}

#[test]
fn answers_that_nobody_reads_end_their_connection() {
    let service = Service::start(limits());
    let stall = limits().stall;
    let began = Instant::now();
    let mut stream = service.connect();
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("can be set");
    // Requests without end, until nobody takes more of them: neither the stub nor the buffers between.
    let requests = GET.repeat(100);
    let mut next = 0;
    let full = loop {
        let now = Instant::now();
        match stream.write(&requests[next..]) {
            Ok(sent) => next = (next + sent) % requests.len(),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break now,
            Err(e) => panic!("closed too early: {e}"),
        }
    };
    // Reading would make room: the socket itself tells that it was reset.
    while stream.take_error().expect("can be asked").is_none() {
        let took = full.elapsed();
        assert!(took <= stall + slack(), "is there after {took:?}, {stall:?} are allowed");
        std::thread::sleep(LOOK);
    }
    assert!(began.elapsed() >= stall);
    service.is_left_alone();
    assert_eq!(service.stub.connections().cut, 1);
}

#[test]
fn half_closed_connections_end_with_their_answer() {
    // With these limits, no connection ends of itself within the time of this test.
    let service = Service::start(Limits::default());
    let half_a_body = service.upload(1_000_000, 1000);
    for (request, status) in [(GET, Some(200)), (&half_a_body[..], Some(400)), (&GET[..8], None)] {
        let mut stream = service.connect();
        stream.write_all(request).expect("sends");
        stream.shutdown(Shutdown::Write).expect("can be shut");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("ends");
        let got = whole(text.as_bytes()).map(|answer| answer.status);
        assert_eq!(got, status, "{text}");
    }
    assert_eq!(service.stub.connections().cut, 0);
}

/// The error code of the GOAWAY that a connection ends with; `None` where it ends without.
fn going_away(mut stream: TcpStream) -> Option<u32> {
    while let Ok(frame) = read_frame(&mut stream) {
        if frame.kind == http2::GOAWAY {
            // Behind the last stream that was looked at, of four bytes.
            let code: [u8; 4] = frame.payload[4..8].try_into().expect("has four bytes");
            return Some(u32::from_be_bytes(code));
        }
    }
    None
}

#[test]
fn a_flood_of_resets_costs_the_connection() {
    let service = Service::start(Limits::default());
    let mut stream = service.connect();
    let mut flood = http2::beginning(&[]);
    for id in (1..2000).step_by(2) {
        flood.extend(frame(http2::HEADERS, END_HEADERS | END_STREAM, id, &http2::get("/health/live")));
        // 8 is CANCEL.
        flood.extend(frame(http2::RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    // The connection may end before all of it was sent.
    let _ = stream.write_all(&flood);
    assert_eq!(going_away(stream), Some(TOO_MUCH));
}

#[test]
fn requests_taken_back_one_by_one_cost_the_connection() {
    // Idle and stalled connections have a minute here: only a count can end this one earlier.
    let service = Service::start(Limits::default());
    let mut stream = service.connect();
    stream.write_all(&http2::beginning(&[])).expect("sends");
    let fields = http2::upload(&service.bearer);
    for number in 0..150 {
        let id = 2 * number + 1;
        if stream.write_all(&frame(http2::HEADERS, END_HEADERS, id, &fields)).is_err() {
            break;
        }
        // Until the request has begun: those that were reset before are counted by the library.
        std::thread::sleep(Duration::from_millis(5));
        let _ = stream.write_all(&frame(http2::RST_STREAM, 0, id, &8_u32.to_be_bytes()));
        std::thread::sleep(Duration::from_millis(1));
    }
    let since = Instant::now();
    service.is_left_alone();
    assert!(since.elapsed() <= slack(), "{:?}", since.elapsed());
    assert_eq!(service.stub.connections().cut, 1);
}

#[test]
fn a_flood_of_continuations_costs_the_connection() {
    let service = Service::start(Limits::default());
    let mut stream = service.connect();
    let mut flood = http2::beginning(&[]);
    flood.extend(frame(http2::HEADERS, END_STREAM, 1, &http2::get("/health/live")));
    // A hundred times `content-type: a`, as bytes, in each.
    let fields = [15, 16, 1, b'a'].repeat(100);
    for _ in 0..1000 {
        flood.extend(frame(http2::CONTINUATION, 0, 1, &fields));
    }
    let _ = stream.write_all(&flood);
    assert_eq!(going_away(stream), Some(TOO_MUCH));
}

#[test]
fn without_a_place_one_is_refused_at_once_and_with_one_served() {
    let service = Service::start(Limits { connections: 8, ..Limits::default() });
    let mut held = Vec::new();
    for _ in 0..8 {
        let stream = service.connect();
        assert_eq!(exchange(&stream, GET).status, 200);
        held.push(stream);
    }
    let since = Instant::now();
    // It has not even asked.
    let refused = answer(&service.connect());
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("\r\nretry-after: 1\r\n"), "{}", refused.head);
    assert!(refused.head.contains("\r\nconnection: close\r\n"), "{}", refused.head);
    assert_eq!(service.stub.connections().refused, 1);

    drop(held.pop());
    served_within(Duration::from_secs(5), || service.connect());
}

/// Waits until a new client is served.
fn served_within(limit: Duration, connect: impl Fn() -> TcpStream) {
    let since = Instant::now();
    while exchange(&connect(), GET).status != 200 {
        assert!(since.elapsed() < limit, "nobody is served after {limit:?}");
        std::thread::sleep(LOOK);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn with_all_descriptors_used_up_one_is_refused_at_once() {
    // A dozen are the process's own, and eight clients are served however few there are (`FEWEST` in `door/entrance.rs`).
    let serve = Serve::with_descriptors(64);
    let crowd: Vec<TcpStream> = (0..100).map(|_| connect_to(&serve.address)).collect();
    for _ in 0..20 {
        let since = Instant::now();
        assert_eq!(exchange(&connect_to(&serve.address), GET).status, 503);
        assert!(since.elapsed() < slack(), "{:?}", since.elapsed());
    }
    drop(crowd);
    served_within(Duration::from_secs(10), || connect_to(&serve.address));
}

/// Uploads 10 KB again and again on one connection, until told to stop. Returns the 99 % quantile of their latencies.
fn p99_until(service: &Service, stop: impl Fn() -> bool) -> Duration {
    let stream = service.connect();
    stream.set_nodelay(true).expect("can be set");
    let upload = service.upload(10_000, 10_000);
    let mut latencies = Vec::new();
    while !stop() {
        let since = Instant::now();
        assert_eq!(exchange(&stream, &upload).status, 201);
        latencies.push(since.elapsed());
    }
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100]
}

#[test]
fn a_healthy_client_beside_hostile_ones_is_served() {
    let service = Service::start(limits());
    let began = Instant::now();
    let calm = choose(Duration::from_secs(30), Duration::from_secs(1));
    let before = p99_until(&service, || began.elapsed() > calm);

    // Twelve kinds, as often as they fit.
    let count = choose(500, 100);
    let mut crowd = Vec::new();
    while crowd.len() < count {
        crowd.extend(without_a_request(&service));
        crowd.extend(within_a_request(&service));
        crowd.push(Hostile::after_an_answer(&service, limits().idle));
    }
    crowd.truncate(count);
    let hostile = std::thread::spawn(move || all_end(crowd));
    let beside = p99_until(&service, || hostile.is_finished());
    let latest = hostile.join().expect("all end in time");

    figure(&format!("{count} hostile connections: closed"), &format!("at most {latest:?} late"), "1 s");
    figure("p99 of a healthy client beside them", &format!("{beside:?}, alone {before:?}"), "doubled");
    // A test shares its cores with other tests, which may take one away for some time.
    let allowed = choose(2 * before, 20 * before + Duration::from_millis(100));
    assert!(beside <= allowed, "p99 is {beside:?}, and {before:?} alone");
}

/// Sends 1 GiB with a bad token, after a good upload on the same connection if there is to be one. Asserts how little the
/// stub reads of it.
fn a_gigabyte_is_refused(before: Option<usize>) {
    let service = Service::start(limits());
    let mut stream = service.connect();
    let mut good = Vec::new();
    if let Some(size) = before {
        good = service.upload(size, size);
        assert_eq!(exchange(&stream, &good).status, 201);
    }
    let head = upload_head("Bearer a.b.c", 1 << 30);
    stream.write_all(head.as_bytes()).expect("sends");
    let mut sending = stream.try_clone().expect("there are descriptors");
    let sender = std::thread::spawn(move || {
        // Until the stub ends the connection.
        while sending.write_all(&[b'x'; 64 << 10]).is_ok() {}
    });
    let refused = answer(&stream);
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("\r\nconnection: close"), "{}", refused.head);
    sender.join().expect("ends");
    service.is_left_alone();
    let read = service.stub.connections().read - good.len() as u64;
    figure("read of 1 GiB with a bad token", &format!("{} KiB", read >> 10), "256 KiB");
    assert!((head.len() as u64..=256 << 10).contains(&read), "{read} bytes were read");
}

#[test]
fn a_bad_token_is_refused_before_the_body_is_read() {
    a_gigabyte_is_refused(None);
    // A large body before has made hyper's buffer large.
    a_gigabyte_is_refused(Some(8 << 20));
}

#[test]
fn who_waits_to_be_asked_for_a_body_is_not_asked() {
    let service = Service::start(Limits::default());
    let head = upload_head("Bearer a.b.c", 1 << 20);
    let request = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let stream = service.connect();
    assert_eq!(exchange(&stream, request.as_bytes()).status, 401);
}

#[test]
#[cfg(target_os = "linux")]
fn tokens_of_a_megabyte_cost_no_signature_and_no_memory() {
    let serve = Serve::start();
    assert_eq!(serve.upload(1000), "201");
    let before = serve.peak_kb();
    // One that is too long for a head, and one that is too long for a token: 64 KB and 8 KB.
    let tries = choose(1000, 20);
    for (length, status) in [(1 << 20, 431), (32 << 10, 401)] {
        let head = upload_head(&format!("Bearer {}", "a".repeat(length)), 10);
        for _ in 0..tries {
            assert_eq!(exchange(&connect_to(&serve.address), head.as_bytes()).status, status);
        }
    }
    let grown = (serve.peak_kb() - before) >> 10;
    figure(&format!("{tries} tokens of 1 MiB: memory"), &format!("{grown} MiB more"), "8 MiB");
    assert!(grown <= 8, "they raised the resident memory by {grown} MiB");
    // One signature was looked at, that of the good upload.
    let mut metrics = connect_to(&serve.address);
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", serve.address);
    metrics.write_all(request.as_bytes()).expect("sends");
    let mut text = String::new();
    metrics.read_to_string(&mut text).expect("answers");
    assert!(text.contains("\ningester_token_signatures_checked 1\n"), "{text}");
}

/// How many refusals are tried, and how many of them have to be seen.
fn tries() -> (usize, usize) {
    choose((100, 99), (10, 9))
}

/// Size of the bodies that are refused.
const REFUSED: Bytes = Bytes::mb(8);

#[test]
fn this_projects_client_sees_the_refusal() {
    let service = Service::start(Limits::default());
    let url = format!("http://{}", service.stub.address()).parse().expect("is a URL");
    let api = Arc::new(Api::default());
    let upload = UploadBody::whole(&generate_test_file(REFUSED), &api);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let (tries, least) = tries();
    for http in [Http::One, Http::Two] {
        let mut seen = 0;
        for _ in 0..tries {
            let endpoint = Endpoint::resolve(&url, http).expect("resolves");
            let token = Some(Token::new("a.b.c"));
            let client = Client::new(endpoint, &api, token, Duration::from_secs(20));
            let mut client = client.expect("is a token");
            let outcome = runtime.block_on(client.upload(&upload)).finished.outcome;
            if outcome.is_err_and(|failure| failure.status == Some(401)) {
                seen += 1;
            }
        }
        figure(&format!("401 seen by this client, {http:?}"), &format!("{seen} of {tries}"), "99 of 100");
        assert!(seen >= least, "{seen} of {tries} over {http:?}");
    }
}

#[test]
fn curl_sees_the_refusal() {
    let service = Service::start(Limits::default());
    let url = format!("http://{}/api/v1/files/upload", service.stub.address());
    let dir = tempfile::tempdir().expect("makes a folder");
    let path = dir.path().join("a.bin");
    std::fs::write(&path, &generate_test_file(REFUSED).bytes).expect("can be written");
    let form = format!("file=@{}", path.display());
    let (tries, least) = tries();
    // By itself, curl asks whether it may send such a body. With `Expect:` it begins at once.
    for header in ["X: y", "Expect:"] {
        let mut seen = 0;
        for _ in 0..tries {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--max-time", "20", "--output", "/dev/null"]);
            curl.args(["--write-out", "%{http_code}", "--header", "Authorization: Bearer a.b.c"]);
            curl.args(["--header", header, "--form", &form, &url]);
            let Ok(output) = curl.output() else {
                // A proof needs it.
                assert!(!strict(), "there is no curl");
                return;
            };
            if output.stdout == b"401" {
                seen += 1;
            }
        }
        figure(&format!("401 seen by curl, `{header}`"), &format!("{seen} of {tries}"), "99 of 100");
        assert!(seen >= least, "{seen} of {tries} with `{header}`");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn many_large_uploads_at_once_take_little_memory() {
    let serve = Serve::start();
    // A small one first, so that what the first upload allocates once does not count.
    assert_eq!(serve.upload(1000), "201");
    let before = serve.peak_kb();
    let (count, size) = choose((64, 64 << 20), (16, 8 << 20));
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| assert_eq!(serve.upload(size), "201"));
        }
    });
    let grown = (serve.peak_kb() - before) >> 10;
    let allowed = choose(96, 48);
    figure(
        &format!("{count} uploads of {} MiB: memory", size >> 20),
        &format!("{grown} MiB more"),
        &format!("{allowed} MiB"),
    );
    assert!(grown <= allowed, "{count} uploads raised the resident memory by {grown} MiB");
}
