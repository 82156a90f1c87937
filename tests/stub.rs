//! Promise: the stub answers as the service's contract says, column "stub".

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingester_perf::auth::{Claims, KeyPair, Minter};
use ingester_perf::stub::{Stub, StubOptions};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

const BOUNDARY: &str = "xyz";

/// A stub, and what makes the tokens that it takes.
struct Service {
    stub: Stub,
    minter: Minter,
}

/// One stub for all tests of this file that count nothing.
static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);

struct Answer {
    status: u16,
    head: String,
    json: Value,
}

impl Service {
    fn start() -> Self {
        let key = KeyPair::generate().expect("makes a key");
        let stub = Stub::start(StubOptions::new(key.public())).expect("starts");
        Self { stub, minter: Minter::new(key) }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.minter.mint(Duration::from_secs(600)).expect("mints").as_str())
    }
}

/// Sends bytes as they are to the shared stub.
fn exchange(request: &[u8]) -> Answer {
    exchange_with(&SERVICE.stub, request)
}

/// Sends bytes as they are, ends the sending side, and reads one answer.
fn exchange_with(stub: &Stub, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(stub.address()).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("can be set");
    // The stub sees the end of what is sent, also of a body that is shorter than was announced. Where it refuses a body it
    // ends the connection while that is being sent; its answer can be read all the same.
    if stream.write_all(request).is_ok() {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    // To the end of the connection, which every request asks to be closed.
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answers");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("has a status");
    Answer { status, head: head.to_ascii_lowercase(), json: serde_json::from_str(body).unwrap_or_default() }
}

/// An upload as bytes; its length is that of the body.
fn request(authorization: Option<&str>, content_type: &str, body: &[u8]) -> Vec<u8> {
    let authorization = authorization.map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
    let head = format!(
        "POST /api/v1/files/upload HTTP/1.1\r\nHost: stub\r\nConnection: close\r\n{authorization}\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn bearer() -> String {
    SERVICE.bearer()
}

/// A form with these fields, and the file, by its name and content, behind them.
fn form(fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .bytes(),
        );
    }
    if let Some((name, bytes)) = file {
        body.extend(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: text/plain\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

fn multipart() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// Uploads a form with a valid token.
fn post(body: &[u8]) -> Answer {
    post_as(Some(&bearer()), body)
}

/// Uploads a form with this header `Authorization`, or without one.
fn post_as(authorization: Option<&str>, body: &[u8]) -> Answer {
    exchange(&request(authorization, &multipart(), body))
}

#[test]
fn a_stored_file_has_the_twelve_fields() {
    let answer = post(&form(&[("ttl_days", "7")], Some(("../../etc/passwd", b"abc"))));
    assert_eq!(answer.status, 201);
    let mut keys: Vec<_> =
        answer.json.as_object().expect("is an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "checksum",
        "compressed",
        "compression_ratio",
        "file_id",
        "file_size",
        "original_filename",
        "retention_policy",
        "storage_element_id",
        "storage_element_url",
        "storage_filename",
        "ttl_expires_at",
        "uploaded_at",
    ];
    assert_eq!(keys, expected);
    // The file's name is told as it was sent, and never used as a path.
    let json = &answer.json;
    assert_eq!((&json["file_size"], &json["original_filename"]), (&3.into(), &"../../etc/passwd".into()));
    // SHA-256 of "abc", from its standard (FIPS 180-2, appendix B.1).
    assert_eq!(json["checksum"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(json["retention_policy"], "temporary");
    assert_ne!(day(json, "ttl_expires_at"), day(json, "uploaded_at"));
    assert!(json["uploaded_at"].as_str().expect("is a date").ends_with("+00:00"), "{json}");
    assert!(
        json["storage_element_url"].as_str().expect("is a URL").starts_with("http://127.0.0.1:"),
        "{json}"
    );
}

/// The date of a moment, without its time: the first ten characters.
fn day<'a>(json: &'a Value, key: &str) -> &'a str {
    &json[key].as_str().expect("is a date")[..10]
}

#[test]
fn a_permanent_file_never_expires() {
    let answer = post(&form(&[("retention_policy", "permanent")], Some(("a", b"abc"))));
    assert_eq!((answer.status, &answer.json["ttl_expires_at"]), (201, &Value::Null));
}

#[test]
fn without_a_valid_token_every_answer_is_the_same() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after 1970").as_secs();
    // Good in all but its end, a second ago: there is no leeway.
    let expired = Claims {
        sub: "s".to_owned(),
        kind: "service_account".to_owned(),
        role: "admin".to_owned(),
        name: "n".to_owned(),
        jti: "j".to_owned(),
        iat: now - 60,
        exp: now - 1,
        nbf: now - 60,
        scope: None,
        client_id: None,
        rate_limit: None,
    };
    let readonly = signed(&Claims { exp: now + 60, role: "readonly".to_owned(), ..expired.clone() });
    let other = Minter::new(KeyPair::generate().expect("makes a key"));
    let foreign = other.mint(Duration::from_secs(60)).expect("mints");

    let body = form(&[], Some(("a", b"abc")));
    let bad: Vec<Answer> = [&signed(&expired), foreign.as_str(), "garbage", "a.b.c"]
        .into_iter()
        .map(|token| post_as(Some(&format!("Bearer {token}")), &body))
        .collect();
    // The same body for every cause: it does not help to find out what is wrong with a forged token.
    for answer in &bad {
        assert_eq!((answer.status, &answer.json), (401, &bad[0].json));
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    for authorization in [None, Some("Basic dTpw"), Some("Bearer")] {
        let answer = post_as(authorization, &body);
        assert_eq!(answer.status, 401, "{authorization:?}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    // A valid token without the right to write is another matter.
    assert_eq!(post_as(Some(&format!("Bearer {readonly}")), &body).status, 403);
}

/// A token with these claims, signed with the key that the stub knows.
fn signed(claims: &Claims) -> String {
    SERVICE.minter.sign(claims).expect("signs").as_str().to_owned()
}

#[test]
fn wrong_forms_are_refused_by_field() {
    let file = Some(("a", b"abc".as_slice()));
    // One more than the 1000 characters of a description, and more than the 64 KB of any field (`stub/fields.rs`,
    // `stub/limits.rs`).
    for (body, says) in [
        (form(&[], None), "file"),
        (form(&[], Some(("a", b""))), "file"),
        (form(&[("ttl_days", "0")], file), "ttl_days"),
        (form(&[("retention_policy", "never")], file), "retention_policy"),
        (form(&[("metadata", "[]")], file), "metadata"),
        (form(&[("description", &"x".repeat(1001))], file), "description"),
        (form(&[("description", &"x".repeat(70_000))], file), "description"),
    ] {
        let answer = post(&body);
        assert_eq!(answer.status, 422, "{says}");
        assert!(
            answer.json["detail"].as_str().is_some_and(|text| text.contains(says)),
            "{says}: {}",
            answer.json
        );
    }
    let answer = exchange(&request(Some(&bearer()), "application/json", b"{}"));
    assert_eq!(answer.status, 422);
}

#[test]
fn broken_and_truncated_forms_are_never_a_success() {
    // A stub of its own: other tests' uploads are not to be counted here.
    let service = Service::start();
    let stub = &service.stub;
    let bearer = service.bearer();
    let whole = form(&[], Some(("a", &[b'x'; 5000])));
    let complete = request(Some(&bearer), &multipart(), &whole);
    assert_eq!(exchange_with(stub, &complete).status, 201, "the whole form is good");
    let stored = stub.stored();
    assert_eq!((stored.files, stored.bytes), (1, 5000));
    // The last four bytes are `--` and a line break: without them the last boundary is one between two parts.
    for end in [0, 1, 10, 60, 100, 200, 3000, whole.len() - 30, whole.len() - 5, whole.len() - 4] {
        let cut = exchange_with(stub, &request(Some(&bearer), &multipart(), &whole[..end]));
        assert_eq!(cut.status, 400, "cut at {end} of {}", whole.len());
        // The same, but with the whole length announced: the connection breaks off.
        let mut broken = complete.clone();
        broken.truncate(broken.len() - (whole.len() - end));
        assert_eq!(exchange_with(stub, &broken).status, 400, "breaks off at {end}");
    }
    assert_eq!(stub.stored(), stored, "a part of a file was counted");
}

#[test]
fn endless_preambles_and_headers_and_too_many_parts_are_cut_off() {
    // 8 MB, where 16 KB are read, and 33 parts with the file, where 32 are (`stub/limits.rs`).
    let endless = vec![b'x'; 8 << 20];
    let header = [format!("--{BOUNDARY}\r\nX: ").as_bytes(), &endless].concat();
    let parts = form(&[("a", "b"); 32], Some(("a", b"abc")));
    for (body, says) in [
        (endless, "more than 16384 bytes before its first boundary"),
        (header, "the headers of a part have more than 16384 bytes"),
        (parts, "more than 32 parts"),
    ] {
        let answer = post(&body);
        assert_eq!(answer.status, 400, "{says}");
        let detail = answer.json["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(says), "{detail}");
    }
    assert_eq!(post(&form(&[("a", "b"); 31], Some(("a", b"abc")))).status, 201);
}

/// A name of up to twenty characters: mostly printable ones, then those of paths and quotes, other scripts, control
/// characters, and those that turn the direction of writing.
fn generated_name(rng: &mut Xoshiro256PlusPlus) -> String {
    let mut name = String::new();
    for _ in 0..rng.random_range(1..=20) {
        let number = match rng.random_range(0..200) {
            0 => rng.random_range(0..0x20),
            1 => rng.random_range(0x7f..0xa0),
            2 => rng.random_range(0x2028..=0x202e),
            3 => rng.random_range(0x2066..=0x2069),
            4..100 => rng.random_range(0x20..0x7f),
            100..150 => u32::from(b"./\\\":;%~"[rng.random_range(0..8)]),
            _ => rng.random_range(0x3b1..0x530),
        };
        name.push(char::from_u32(number).expect("none of them is a surrogate"));
    }
    name
}

/// What no header can hold breaks the form; what would be shown as something else is a field that is wrong.
fn expected_status(name: &str) -> u16 {
    let mut status = 201;
    for character in name.chars() {
        match character {
            '\t' | '\u{80}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                if status == 201 =>
            {
                status = 422
            }
            '\t' => {}
            _ if character.is_ascii_control() => status = 400,
            _ => {}
        }
    }
    status
}

#[test]
fn a_thousand_file_names_are_echoed_as_sent_or_refused() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(14);
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..1000 {
        let name = generated_name(&mut rng);
        let expected = expected_status(&name);
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let answer = post(&form(&[], Some((&quoted, b"abc"))));
        assert_eq!(answer.status, expected, "{name:?}: {}", answer.json);
        if expected == 201 {
            assert_eq!(answer.json["original_filename"], name);
        }
        *statuses.entry(expected).or_insert(0) += 1;
    }
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&201, &400, &422], "{statuses:?}");
}

#[test]
fn a_file_that_is_announced_too_large_is_refused_at_once() {
    // One MB above what a request may have: the largest file, 1 GB, and 1 MB around it. Nothing of it is sent.
    let head = format!(
        "POST /api/v1/files/upload HTTP/1.1\r\nHost: stub\r\nConnection: close\r\nAuthorization: {}\r\n\
         Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
        bearer(),
        multipart(),
        (1_u64 << 30) + (2 << 20)
    );
    assert_eq!(exchange(head.as_bytes()).status, 413);
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    // 20 MB do not fit into the buffers between: the client is still sending when the answer comes, and the stub reads no
    // more than a small part. Several times, as a lost answer is a matter of luck.
    let body = form(&[], Some(("a", &vec![b'x'; 20 << 20])));
    for _ in 0..3 {
        assert_eq!(exchange(&request(None, &multipart(), &body)).status, 401);
    }
}

#[test]
fn health_and_unknown_routes() {
    assert_eq!((get("/health/live").status, &get("/health/ready").json["status"]), (200, &"ok".into()));
    assert_eq!(get("/nothing").status, 404);
    assert_eq!(get("/api/v1/files/upload").status, 405);
}

fn get(path: &str) -> Answer {
    exchange(format!("GET {path} HTTP/1.1\r\nHost: stub\r\nConnection: close\r\n\r\n").as_bytes())
}

#[test]
fn a_dropped_stub_stops_listening() {
    let key = KeyPair::generate().expect("makes a key");
    let stub = Stub::start(StubOptions::new(key.public())).expect("starts");
    let address = stub.address();
    // A client that keeps its connection must not keep the stub.
    let idle = TcpStream::connect(address).expect("connects");
    drop(stub);
    assert!(TcpStream::connect(address).is_err());
    drop(idle);
}
