//! Uploads as bytes over a socket: whole, in chunks, or cut off; and what a folder of stored files holds.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use serde_json::Value;

use super::serve::Serve;

/// An answer.
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub json: Value,
}

/// A file to upload, and the fields in front of it.
pub struct Upload<'a> {
    pub name: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    pub content: &'a [u8],
}

impl<'a> Upload<'a> {
    /// A file without fields.
    pub fn of(content: &'a [u8]) -> Self {
        Self { name: "a.txt", fields: &[], content }
    }

    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        let mut body = String::new();
        for (name, value) in self.fields {
            body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        // In quotes, only these two have to be escaped (`parse_value` in `stub/part.rs`).
        let name = self.name.replace('\\', "\\\\").replace('"', "\\\"");
        body += &format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        [body.as_bytes(), self.content, b"\r\n--b--\r\n"].concat()
    }

    /// Sends it with its length. `None` where the connection breaks before an answer.
    pub fn try_send(&self, address: &str, token: &str) -> Option<Answer> {
        let body = self.body();
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(head(token, &format!("Content-Length: {}", body.len())).as_bytes()).ok()?;
        // A refusal may come while it is still sending, and ends that; the answer is there all the same.
        let _ = stream.write_all(&body);
        answer(stream)
    }

    /// Sends it with its length.
    pub fn send(&self, serve: &Serve) -> Answer {
        self.try_send(&serve.address, &serve.token).expect("answers")
    }

    /// Sends it without saying how long it is.
    pub fn send_in_chunks(&self, serve: &Serve) -> Answer {
        let mut stream = TcpStream::connect(&serve.address).expect("connects");
        stream.write_all(head(&serve.token, "Transfer-Encoding: chunked").as_bytes()).expect("sends");
        for chunk in self.body().chunks(16 << 10) {
            let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
            if stream.write_all(&chunk).is_err() {
                break;
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        answer(stream).expect("answers")
    }

    /// Announces all of it and sends this many bytes of the body. Where it waits for an answer, it ends its direction; else
    /// it closes the connection.
    pub fn send_cut(&self, serve: &Serve, bytes: usize, waits: bool) -> Option<Answer> {
        let body = self.body();
        let mut stream = TcpStream::connect(&serve.address).expect("connects");
        let head = head(&serve.token, &format!("Content-Length: {}", body.len()));
        stream.write_all(head.as_bytes()).expect("sends");
        stream.write_all(&body[..bytes]).expect("sends");
        if !waits {
            return None;
        }
        stream.shutdown(Shutdown::Write).expect("can be shut");
        answer(stream)
    }
}

fn head(token: &str, length: &str) -> String {
    format!(
        "POST /api/v1/files/upload HTTP/1.1\r\nHost: stub\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n{length}\r\n\r\n"
    )
}

/// Reads an answer to the end of the connection.
fn answer(mut stream: TcpStream) -> Option<Answer> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("can be set");
    let mut bytes = Vec::new();
    // A reset behind the answer is no loss: what had arrived has been read.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let json = serde_json::from_str(body).unwrap_or_default();
    Some(Answer { status, head: head.to_ascii_lowercase(), json })
}

pub fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names in a folder, sorted: visible files, and what is hidden.
pub fn names(dir: &Path) -> (Vec<String>, Vec<String>) {
    let entries = std::fs::read_dir(dir).expect("can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("can be read").file_name().into_string().expect("is UTF-8"))
        .collect();
    names.sort_unstable();
    names.into_iter().partition(|name| !name.starts_with('.'))
}

/// The record of a stored file. Asserts that content and record are there, and that they belong together.
#[track_caller]
pub fn stored(dir: &Path, id: &str) -> Value {
    let folder = dir.join(id);
    let content = std::fs::read(folder.join("content")).unwrap_or_else(|e| panic!("content of {id}: {e}"));
    let record = std::fs::read(folder.join("record.json")).unwrap_or_else(|e| panic!("record of {id}: {e}"));
    let record: Value = serde_json::from_slice(&record).unwrap_or_else(|e| panic!("record of {id}: {e}"));
    assert_eq!(record["id"], id);
    assert_eq!(record["size"], content.len());
    assert_eq!(record["sha256"], sha256(&content).as_str());
    record
}

/// Waits until something holds, for as long as what was cut off may leave traces.
#[track_caller]
pub fn within_five_seconds(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(5), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
