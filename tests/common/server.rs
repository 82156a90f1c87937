//! A small ingester written by hand on blocking sockets: no code of the stub's, either dialect, and every bad manner.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;

/// The status of a success, in both dialects.
const CREATED: &str = "201 Created";

/// How uploads are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Python,
    Go,
    /// A refusal with this status, in the Python dialect.
    Status(u16),
    /// A success with the checksum of another file.
    WrongChecksum,
    /// A success that says one byte more was stored.
    WrongSize,
    /// Announces a body and closes after half of it.
    CutShort,
    /// Closes with unread bytes, so that the connection is reset.
    Reset,
    /// Reads everything and closes without a word.
    Silent,
    /// Bytes that are not HTTP.
    Garbage,
    /// A success that is not JSON.
    NoJson,
    /// Never answers.
    Hang,
    /// Repeats the token in its refusal.
    Echo,
    /// Repeats the token in its success, where a number belongs.
    EchoCreated,
    /// A redirect to itself.
    Redirect,
    /// Good for this many uploads, failing with 500 from then on.
    Wears(u64),
    /// Every second upload fails with 500.
    EverySecond,
    /// Closes the connection after each good answer, announced.
    CloseEach,
}

/// The server, on a free port of loopback. Its threads end with the process.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

/// What has arrived.
#[derive(Default)]
struct Seen {
    uploads: AtomicU64,
    authorization: Mutex<String>,
    unready: AtomicBool,
}

impl Seen {
    /// Takes note of an upload. Returns its number, from 1.
    fn upload(&self, request: &Request) -> u64 {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&request.authorization);
        self.uploads.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        Self::scripted(move |exchange| upload(exchange, manner))
    }

    /// A server that does with every upload what the script says. The script returns whether the connection is kept.
    pub fn scripted(script: impl Fn(&mut Exchange<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::accepting(|| (), script)
    }

    /// As `scripted`, and `/health/ready` says that it is not ready.
    pub fn unready(script: impl Fn(&mut Exchange<'_>) -> bool + Send + Sync + 'static) -> Self {
        let server = Self::scripted(script);
        server.seen.unready.store(true, Ordering::SeqCst);
        server
    }

    /// As `scripted`, with something to do before each connection is accepted.
    pub fn accepting(
        before: impl Fn() + Send + 'static,
        script: impl Fn(&mut Exchange<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let script = Arc::new(script);
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            loop {
                before();
                let Ok((stream, _)) = listener.accept() else { continue };
                let seen = Arc::clone(&shared);
                let script = Arc::clone(&script);
                // A thread a connection: one that hangs keeps nobody else waiting.
                std::thread::spawn(move || converse(&stream, &seen, &*script));
            }
        });
        Self { address, seen }
    }

    /// A server that answers correctly while `alive` is true. While it is false, its connections are dropped and new ones
    /// refused.
    pub fn mortal(alive: Arc<AtomicBool>) -> Self {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = first.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut listener = Some(first);
            loop {
                // While it is dead the port is bound and given up again in every round; in between the system refuses
                // connections.
                let here = listener.take().or_else(|| TcpListener::bind(address).ok());
                let Some(here) = here.filter(|_| alive.load(Ordering::SeqCst)) else {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                live(&here, &alive, &shared);
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Uploads whose head has arrived.
    pub fn uploads(&self) -> u64 {
        self.seen.uploads.load(Ordering::SeqCst)
    }

    /// The `Authorization` header of the last upload.
    pub fn authorization(&self) -> String {
        self.seen.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves until it is no longer alive, and then closes everything.
fn live(listener: &TcpListener, alive: &AtomicBool, seen: &Arc<Seen>) {
    // A call that waits for the next connection would not notice the end.
    listener.set_nonblocking(true).expect("can be set");
    let mut streams = Vec::new();
    while alive.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                // On macOS a connection inherits that from its listener, on Linux it does not.
                stream.set_nonblocking(false).expect("can be set");
                streams.push(stream.try_clone().expect("can be cloned"));
                let seen = Arc::clone(seen);
                std::thread::spawn(move || {
                    converse(&stream, &seen, &|exchange: &mut Exchange<'_>| exchange.created())
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    // The threads of these connections are waiting for a request: this wakes and ends them.
    for stream in streams {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

pub struct Request {
    pub path: String,
    boundary: String,
    length: usize,
    pub authorization: String,
}

/// An upload whose head has arrived.
pub struct Exchange<'a> {
    pub request: Request,
    /// In order of arrival, from 1.
    pub number: u64,
    pub stream: &'a TcpStream,
    reader: BufReader<&'a TcpStream>,
}

impl Exchange<'_> {
    /// Reads the body. Returns the JSON of a correct answer, in the Python dialect.
    pub fn answer(&mut self) -> Option<String> {
        let (size, sum) = self.read()?;
        Some(python(size, &sum))
    }

    /// Size and checksum of the file.
    fn read(&mut self) -> Option<(usize, String)> {
        let mut body = vec![0; self.request.length];
        self.reader.read_exact(&mut body).ok()?;
        let file = file_of(&body, &self.request.boundary);
        let sum: String =
            digest::digest(&digest::SHA256, file).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Some((file.len(), sum))
    }

    /// Answers correctly.
    pub fn created(&mut self) -> bool {
        self.answer().is_some_and(|answer| self.respond(CREATED, &answer))
    }

    /// Sends an answer. Returns whether that was possible.
    pub fn respond(&self, status: &str, body: &str) -> bool {
        respond(self.stream, status, body).is_ok()
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8]) -> bool {
        send(self.stream, bytes).is_ok()
    }
}

/// The fields of an answer that the client looks at, as the Python service names them.
fn python(size: usize, sum: &str) -> String {
    format!("{{\"file_id\":\"x\",\"file_size\":{size},\"compressed\":false,\"checksum\":\"{sum}\"}}")
}

/// The same in the Go service's words.
fn go(size: usize, sum: &str) -> String {
    format!("{{\"file_id\":\"x\",\"size\":{size},\"checksum\":\"{sum}\",\"status\":\"active\",\"tags\":[]}}")
}

/// Answers the requests of one connection until one of both sides ends it.
fn converse(stream: &TcpStream, seen: &Seen, script: &(impl Fn(&mut Exchange<'_>) -> bool + ?Sized)) {
    // Else an answer that is sent in two parts would wait for the client to acknowledge the first: some 40 ms.
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_head(&mut reader) {
        // The look at the service's health before a run is not an upload: it is neither counted nor scripted.
        if !request.path.ends_with("/files/upload") {
            let unready = seen.unready.load(Ordering::SeqCst) && request.path.ends_with("/health/ready");
            let answered = if unready {
                respond(stream, "503 Service Unavailable", "no storage element")
            } else {
                respond(stream, "200 OK", "{\"status\":\"ok\"}")
            };
            if answered.is_err() {
                return;
            }
            continue;
        }
        let number = seen.upload(&request);
        // The reader goes along and comes back, as it may hold bytes of the body and of the next request.
        let mut exchange = Exchange { request, number, stream, reader };
        if !script(&mut exchange) {
            return;
        }
        reader = exchange.reader;
    }
}

/// Answers one upload. Returns whether the connection is kept.
fn upload(exchange: &mut Exchange<'_>, manner: Manner) -> bool {
    // Closed with the body still unread, and so the system sends a reset (RFC 1122, 4.2.2.13).
    if manner == Manner::Reset {
        return false;
    }
    let Some((size, sum)) = exchange.read() else { return false };
    let number = exchange.number;
    match manner {
        Manner::Python => exchange.respond(CREATED, &python(size, &sum)),
        Manner::CloseEach => {
            exchange.respond("201 Created\r\nConnection: close", &python(size, &sum));
            false
        }
        Manner::Go => exchange.respond(CREATED, &go(size, &sum)),
        Manner::Wears(limit) if number <= limit => exchange.respond(CREATED, &python(size, &sum)),
        Manner::EverySecond if number % 2 == 1 => exchange.respond(CREATED, &python(size, &sum)),
        Manner::EverySecond => exchange.respond("500 Every Second", "every second"),
        Manner::Wears(_) => exchange.respond("500 Worn Out", "worn out"),
        Manner::Status(status) => {
            exchange.respond(&format!("{status} Refused"), "{\"detail\":\"not today\"}")
        }
        // 64 zeros have the form of a SHA-256, so that only a comparison finds it.
        Manner::WrongChecksum => exchange.respond(CREATED, &python(size, &"0".repeat(64))),
        Manner::WrongSize => exchange.respond(CREATED, &python(size + 1, &sum)),
        Manner::NoJson => exchange.respond(CREATED, "stored"),
        Manner::Echo => exchange.respond("500 Oops", &exchange.request.authorization),
        Manner::EchoCreated => {
            exchange.respond(CREATED, &format!("{{\"file_size\":\"{}\"}}", exchange.request.authorization))
        }
        Manner::Redirect => {
            exchange.send(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
        }
        Manner::CutShort => {
            exchange.send(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"file_size\": 1");
            false
        }
        Manner::Garbage => {
            exchange.send(b"\x00\x01garbage\r\n\r\nmore\r\n\r\n");
            false
        }
        // An hour is longer than any time limit; the thread ends with the process.
        Manner::Hang => {
            std::thread::sleep(Duration::from_secs(3600));
            false
        }
        Manner::Silent | Manner::Reset => false,
    }
}

/// The next request up to its body; `None` once the client has closed the connection.
fn read_head(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    // A line of no bytes is the end of the stream: an empty line has its line break.
    reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut request = Request { path, boundary: String::new(), length: 0, authorization: String::new() };
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
        // The empty line, which has no colon, ends the head.
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Some(request) };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => request.length = value.parse().ok()?,
            "content-type" => {
                request.boundary = value.split("boundary=").nth(1).unwrap_or_default().to_owned()
            }
            "authorization" => request.authorization = value.to_owned(),
            _ => {}
        }
    }
}

/// The content of the last part, which is the file.
fn file_of<'a>(body: &'a [u8], boundary: &str) -> &'a [u8] {
    // Where the file ends is known by the length of what follows it: its content may be any bytes.
    let tail = format!("\r\n--{boundary}--\r\n");
    let end = body.len().saturating_sub(tail.len());
    assert_eq!(&body[end..], tail.as_bytes(), "the body ends with its boundary");
    let name = b"name=\"file\"";
    let head = body.windows(name.len()).position(|at| at == name).expect("there is a file part");
    let start = head + body[head..].windows(4).position(|at| at == b"\r\n\r\n").expect("headers end") + 4;
    &body[start..end]
}

fn respond(stream: &TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    send(stream, format!("{head}{body}").as_bytes())
}

fn send(mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)
}
