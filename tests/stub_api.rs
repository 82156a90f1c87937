//! Promise: beside uploads, the stub has the other routes of the service: download, finalize, health, metrics; and it
//! answers as either generation of the service does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ingester_perf::auth::{Claims, KeyPair, Minter};
use ingester_perf::stub::{Dialect, Keys, Stub, StubOptions};
use serde_json::Value;
use tempfile::TempDir;

/// A stub, and a key whose tokens it takes.
struct Service {
    stub: Stub,
    key: KeyPair,
}

/// An answer, read to the end of its connection.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("is JSON")
    }
}

impl Service {
    fn start(options: impl FnOnce(StubOptions) -> StubOptions) -> Self {
        let key = KeyPair::generate().expect("makes a key");
        let stub = Stub::start(options(StubOptions::new(key.public()))).expect("starts");
        Self { stub, key }
    }

    /// A stub that keeps temporary files in one folder and permanent ones in another.
    fn with_folders(dir: &TempDir) -> Self {
        let spec = |name: &str| format!("dir:{},mode={name}", dir.path().join(name).display());
        let storage = [spec("edit"), spec("rw")].map(|spec| spec.parse().expect("is a spec"));
        Self::start(|options| StubOptions { storage: storage.into(), ..options })
    }

    fn token(&self) -> String {
        let minter = Minter::new(self.key.clone());
        minter.mint(Duration::from_secs(600)).expect("mints").as_str().to_owned()
    }

    /// A token of this type and role.
    fn signed(&self, kind: &str, role: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after 1970").as_secs();
        let claims = Claims {
            sub: "s".to_owned(),
            kind: kind.to_owned(),
            role: role.to_owned(),
            name: "n".to_owned(),
            jti: "j".to_owned(),
            iat: now - 10,
            exp: now + 60,
            nbf: now - 10,
            scope: None,
            client_id: None,
            rate_limit: None,
        };
        Minter::new(self.key.clone()).sign(&claims).expect("signs").as_str().to_owned()
    }

    fn get(&self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {}\r\n", self.token());
        exchange(self.stub.address(), &head, b"")
    }

    fn post(&self, path: &str) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nAuthorization: Bearer {}\r\n", self.token());
        exchange(self.stub.address(), &head, b"")
    }

    fn upload(&self, fields: &[(&str, &str)], name: &str, content: &[u8]) -> Answer {
        upload(self.stub.address(), &[&format!("Bearer {}", self.token())], fields, name, content)
    }
}

/// Uploads a file with these `Authorization` headers.
fn upload(
    address: SocketAddr,
    authorizations: &[&str],
    fields: &[(&str, &str)],
    name: &str,
    content: &[u8],
) -> Answer {
    let mut body = Vec::new();
    for (field, value) in fields {
        let part = format!("--b\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
        body.extend(part.bytes());
    }
    let part = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n"
    );
    body.extend(part.bytes());
    body.extend(content);
    body.extend(b"\r\n--b--\r\n");
    let mut head = "POST /api/v1/files/upload HTTP/1.1\r\n".to_owned();
    for authorization in authorizations {
        head += &format!("Authorization: {authorization}\r\n");
    }
    head += "Content-Type: multipart/form-data; boundary=b\r\n";
    exchange(address, &head, &body)
}

/// Sends a request and reads its answer.
fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("can be set");
    let rest = format!("Host: stub\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(rest.as_bytes())).expect("sends");
    stream.write_all(body).expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("has a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("has a status");
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

#[test]
fn a_stored_file_is_downloaded_as_it_was_sent() {
    let dir = TempDir::new().expect("makes a folder");
    let service = Service::with_folders(&dir);
    let stored = service.upload(&[], "résumé final.txt", b"content").json();
    let answer =
        service.get(&format!("/api/v1/files/{}/download", stored["file_id"].as_str().expect("has one")));
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"content".as_slice()));
    assert!(answer.head.contains("content-type: text/plain\r\n"), "{}", answer.head);
    assert!(answer.head.contains("content-length: 7\r\n"), "{}", answer.head);
    assert!(answer.head.contains("filename*=utf-8''r%c3%a9sum%c3%a9"), "{}", answer.head);
    for path in [
        "/api/v1/files/7d444840-9dc0-11d1-b245-5ffdce74fad2/download",
        "/api/v1/files/..%2F..%2Fetc%2Fpasswd/download",
    ] {
        assert_eq!(service.get(path).status, 404, "{path}");
    }
    // Not with a token that is for getting others with, and not without one.
    let request =
        format!("GET /api/v1/files/{}/download HTTP/1.1\r\n", stored["file_id"].as_str().expect("has one"));
    let refresh = format!("{request}Authorization: Bearer {}\r\n", service.signed("refresh", "admin"));
    assert_eq!(exchange(service.stub.address(), &refresh, b"").status, 403);
    assert_eq!(exchange(service.stub.address(), &request, b"").status, 401);
}

#[test]
fn a_finalized_file_moves_to_the_element_for_permanent_ones() {
    let dir = TempDir::new().expect("makes a folder");
    let service = Service::with_folders(&dir);
    let stored = service.upload(&[("retention_policy", "temporary")], "a", b"content").json();
    let id = stored["file_id"].as_str().expect("has one");
    assert!(dir.path().join("edit").join(id).exists());
    let begun = service.post(&format!("/api/v1/finalize/{id}"));
    assert_eq!(begun.status, 202);
    let transaction = begun.json()["transaction_id"].as_str().expect("has one").to_owned();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let status = service.get(&format!("/api/v1/finalize/{transaction}/status")).json();
        if status["status"] == "completed" {
            break;
        }
        assert!(status["status"] == "copying" && Instant::now() < deadline, "{status}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(dir.path().join("rw").join(id).exists() && !dir.path().join("edit").join(id).exists());
    let answer = service.get(&format!("/api/v1/files/{id}/download"));
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"content".as_slice()));
    assert_eq!(service.post("/api/v1/finalize/7d444840-9dc0-11d1-b245-5ffdce74fad2").status, 404);
    assert_eq!(service.get("/api/v1/finalize/nothing/status").status, 404);
}

#[test]
fn health_says_which_element_does_not_work() {
    let dir = TempDir::new().expect("makes a folder");
    let service = Service::with_folders(&dir);
    for (removed, status, says) in
        [(None, 200, "ok"), (Some("rw"), 200, "degraded"), (Some("edit"), 503, "fail")]
    {
        if let Some(element) = removed {
            std::fs::remove_dir_all(dir.path().join(element)).expect("removes");
        }
        // Elements are looked at once a second, however often one asks.
        let began = Instant::now();
        while service.get("/health/ready").json()["status"] != says {
            assert!(began.elapsed() < Duration::from_secs(20), "is not {says} after {removed:?} was removed");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(service.get("/health/ready").status, status);
    }
    assert_eq!(service.get("/health/live").status, 200);
}

#[test]
fn metrics_count_what_was_uploaded_and_what_was_refused() {
    let service = Service::start(|options| options);
    assert_eq!(service.upload(&[], "a", b"content").status, 201);
    assert_eq!(service.upload(&[("ttl_days", "0")], "a", b"content").status, 422);
    assert_eq!(upload(service.stub.address(), &[], &[], "a", b"content").status, 401);
    let answer = service.get("/metrics");
    assert!(answer.head.contains("content-type: application/openmetrics-text"), "{}", answer.head);
    let text = String::from_utf8(answer.body).expect("is text");
    for line in [
        "ingester_uploads_total{policy=\"temporary\",status=\"201\"} 1",
        "ingester_uploads_total{policy=\"temporary\",status=\"422\"} 1",
        "ingester_upload_failures_total{cause=\"invalid_field\"} 1",
        "ingester_upload_failures_total{cause=\"no_token\"} 1",
        "ingester_upload_size_bytes_sum 7.0",
        "ingester_active_uploads 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn the_go_dialect_has_its_own_fields_and_errors() {
    let service = Service::start(|options| StubOptions { dialect: Dialect::Go, ..options });
    let fields = [("description", "about it"), ("tags", "[\"a\",\"b\"]"), ("ttl_days", "3")];
    let answer = service.upload(&fields, "a.txt", b"content");
    assert_eq!(answer.status, 201);
    let json = answer.json();
    let mut keys: Vec<_> = json.as_object().expect("is an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "checksum",
        "content_type",
        "description",
        "expires_at",
        "file_id",
        "original_filename",
        "retention_policy",
        "size",
        "status",
        "tags",
        "ttl_days",
        "uploaded_at",
        "uploaded_by",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&json["size"], &json["content_type"]), (&7.into(), &"text/plain".into()));
    assert_eq!((&json["description"], &json["tags"][1]), (&"about it".into(), &"b".into()));
    assert_eq!((&json["ttl_days"], &json["uploaded_by"]), (&3.into(), &"ingester-perf".into()));
    assert!(json["uploaded_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{json}");
    let refused = service.upload(&[("ttl_days", "0")], "a", b"content").json();
    assert_eq!(refused["error"]["code"], "invalid_field");
    assert!(refused["error"]["message"].as_str().is_some_and(|text| text.contains("ttl_days")), "{refused}");
}

#[test]
fn two_tokens_are_none_and_a_refresh_token_may_not_write() {
    let service = Service::start(|options| options);
    let bearer = format!("Bearer {}", service.token());
    let address = service.stub.address();
    assert_eq!(upload(address, &[&bearer], &[], "a", b"x").status, 201);
    assert_eq!(upload(address, &[&bearer, &bearer], &[], "a", b"x").status, 401);
    for (kind, role, status) in [
        ("access", "user", 201),
        ("refresh", "admin", 403),
        ("access", "readonly", 403),
        ("access", "guest", 403),
    ] {
        let bearer = format!("Bearer {}", service.signed(kind, role));
        let answer = upload(address, &[&bearer], &[], "a", b"x");
        assert_eq!(answer.status, status, "{kind} {role}");
    }
}

/// Serves one key set after the other, the last one again and again, on a port of its own.
fn key_sets(sets: Vec<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("is bound");
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let set = &sets[number.min(sets.len() - 1)];
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", set.len());
            let _ = stream.write_all((head + set).as_bytes());
        }
    });
    address
}

/// A token that names its key.
fn named(key: &KeyPair, kid: &str) -> String {
    let minter = Minter::new(key.clone()).named(kid);
    minter.mint(Duration::from_secs(60)).expect("signs").as_str().to_owned()
}

#[test]
fn keys_come_from_a_url_and_must_be_there_at_the_start() {
    let key = KeyPair::generate().expect("makes a key");
    let jwk = key.public().to_jwk("first").expect("is a key");
    let address = key_sets(vec![serde_json::json!({ "keys": [jwk] }).to_string()]);
    let url = format!("http://{address}/keys").parse().expect("is a URL");
    let stub =
        Stub::start(StubOptions { keys: Keys::Url(url), ..StubOptions::new(key.public()) }).expect("starts");
    let token = Minter::new(key.clone()).mint(Duration::from_secs(60)).expect("mints");
    let bearer = format!("Bearer {}", token.as_str());
    assert_eq!(upload(stub.address(), &[&bearer], &[], "a", b"x").status, 201);

    // The issuer signs with a second key from now on, whose name the stub has never heard; and then there is a third one,
    // which is not looked for within ten seconds.
    let [second, third] = [0, 1].map(|_| KeyPair::generate().expect("makes a key"));
    let sets = [("first", &key), ("second", &second)].map(|(kid, key)| {
        let jwk = key.public().to_jwk(kid).expect("is a key");
        serde_json::json!({ "keys": [jwk] }).to_string()
    });
    let url = format!("http://{}/keys", key_sets(sets.into())).parse().expect("is a URL");
    let stub = Stub::start(StubOptions::with(Keys::Url(url))).expect("starts");
    let bearer = |key: &KeyPair, kid: &str| format!("Bearer {}", named(key, kid));
    assert_eq!(upload(stub.address(), &[&bearer(&key, "first")], &[], "a", b"x").status, 201);
    assert_eq!(upload(stub.address(), &[&bearer(&second, "second")], &[], "a", b"x").status, 201);
    // The first key was taken out of the set.
    assert_eq!(upload(stub.address(), &[&bearer(&key, "first")], &[], "a", b"x").status, 401);
    assert_eq!(upload(stub.address(), &[&bearer(&third, "third")], &[], "a", b"x").status, 401);

    let nobody = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("is bound");
    for (url, says) in [
        (format!("http://{nobody}/keys"), "/keys"),
        (format!("http://{}/keys", key_sets(vec!["{\"keys\":[]}".to_owned()])), "no RSA key"),
    ] {
        let keys = Keys::Url(url.parse().expect("is a URL"));
        let error =
            Stub::start(StubOptions { keys, ..StubOptions::new(key.public()) }).expect_err("has no keys");
        assert!(error.to_string().contains(says), "{error}");
    }
}
