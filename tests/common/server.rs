//! A small ingester written by hand on blocking sockets: no code of the stub's, either dialect, and every bad manner.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;

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
    /// Bytes that are no HTTP.
    Garbage,
    /// A success that is no JSON.
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
}

impl Seen {
    /// Takes note of an upload; its number, from 1.
    fn upload(&self, request: &Request) -> u64 {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&request.authorization);
        self.uploads.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&shared);
                std::thread::spawn(move || converse(stream, manner, &seen));
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

struct Request {
    path: String,
    boundary: String,
    length: usize,
    authorization: String,
}

fn converse(stream: TcpStream, manner: Manner, seen: &Seen) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(&stream);
    while let Some(request) = read_head(&mut reader) {
        if !request.path.ends_with("/files/upload") {
            if respond(&stream, "200 OK", "{\"status\":\"ok\"}").is_err() {
                return;
            }
            continue;
        }
        let number = seen.upload(&request);
        if !upload(&mut reader, &stream, &request, manner, number) {
            return;
        }
    }
}

/// Answers one upload; whether the connection is kept.
fn upload(
    reader: &mut BufReader<&TcpStream>,
    stream: &TcpStream,
    request: &Request,
    manner: Manner,
    number: u64,
) -> bool {
    if manner == Manner::Reset {
        return false;
    }
    let mut body = vec![0; request.length];
    if reader.read_exact(&mut body).is_err() {
        return false;
    }
    let file = file_of(&body, &request.boundary);
    let sum: String =
        digest::digest(&digest::SHA256, file).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let python = |size: usize, sum: &str| {
        format!("{{\"file_id\":\"x\",\"file_size\":{size},\"compressed\":false,\"checksum\":\"{sum}\"}}")
    };
    let created = |body: String| respond(stream, "201 Created", &body).is_ok();
    match manner {
        Manner::Python => created(python(file.len(), &sum)),
        Manner::CloseEach => {
            let _ = respond(stream, "201 Created\r\nConnection: close", &python(file.len(), &sum));
            false
        }
        Manner::Go => created(format!(
            "{{\"file_id\":\"x\",\"size\":{},\"checksum\":\"{sum}\",\"status\":\"active\",\"tags\":[]}}",
            file.len()
        )),
        Manner::Wears(limit) if number <= limit => created(python(file.len(), &sum)),
        Manner::EverySecond if number % 2 == 1 => created(python(file.len(), &sum)),
        Manner::EverySecond => respond(stream, "500 Every Second", "every second").is_ok(),
        Manner::Wears(_) => respond(stream, "500 Worn Out", "worn out").is_ok(),
        Manner::Status(status) => {
            respond(stream, &format!("{status} Refused"), "{\"detail\":\"not today\"}").is_ok()
        }
        Manner::WrongChecksum => created(python(file.len(), &"0".repeat(64))),
        Manner::WrongSize => created(python(file.len() + 1, &sum)),
        Manner::NoJson => created("stored".to_owned()),
        Manner::Echo => respond(stream, "500 Oops", &request.authorization).is_ok(),
        Manner::EchoCreated => created(format!("{{\"file_size\":\"{}\"}}", request.authorization)),
        Manner::Redirect => {
            send(stream, b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
                .is_ok()
        }
        Manner::CutShort => {
            let _ = send(stream, b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"file_size\": 1");
            false
        }
        Manner::Garbage => {
            let _ = send(stream, b"\x00\x01garbage\r\n\r\nmore\r\n\r\n");
            false
        }
        Manner::Hang => {
            std::thread::sleep(Duration::from_secs(3600));
            false
        }
        Manner::Silent | Manner::Reset => false,
    }
}

fn read_head(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut request = Request { path, boundary: String::new(), length: 0, authorization: String::new() };
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
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
