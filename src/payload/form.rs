//! Multipart bodies, built once and shared: cloning one copies no bytes (RFC 7578).

use bytes::Bytes as Buffer;

use super::file::{Content, TestFile};

/// Fields that accompany a file, in the order they are sent.
#[derive(Debug, Clone, Default)]
pub struct Form {
    fields: Vec<(&'static str, String)>,
}

impl Form {
    /// The fields of a file that a performance test leaves behind: it should go away by itself, and soon.
    pub fn temporary() -> Self {
        Self::default().with("retention_policy", "temporary").with("ttl_days", "1")
    }

    /// Adds a text field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The body: the text fields, then the file as `file`.
    pub fn encode(&self, file: &TestFile) -> MultipartBody {
        let Frame { content_type, head, tail } = self.frame(&file.name, file.kind, &file.sha256);
        let bytes = [head.as_bytes(), &file.bytes, tail.as_bytes()].concat().into();
        MultipartBody { content_type, bytes }
    }

    /// What stands before and after a file's bytes.
    ///
    /// The boundary comes from the file's checksum, which the file cannot contain by accident.
    pub fn frame(&self, name: &str, kind: Content, sha256: &str) -> Frame {
        let boundary = format!("ingester-perf-{}", &sha256[..32]);
        let mut head = String::new();
        for (name, value) in &self.fields {
            head += &format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        head += &format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            quoted(name),
            kind.content_type()
        );
        let content_type = format!("multipart/form-data; boundary={boundary}");
        Frame { content_type, head, tail: format!("\r\n--{boundary}--\r\n") }
    }
}

/// What a multipart body has around the bytes of its file.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Value of the request's `Content-Type`.
    pub content_type: String,
    /// Before the file's bytes.
    pub head: String,
    /// After them.
    pub tail: String,
}

/// A body with the `Content-Type` that names its boundary.
#[derive(Debug, Clone)]
pub struct MultipartBody {
    /// Value of the request's `Content-Type`.
    pub content_type: String,
    /// The whole body.
    pub bytes: Buffer,
}

/// A file name inside quotes, as browsers write it (WHATWG, multipart form data).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::super::file::generate_test_file;
    use super::*;
    use crate::units::Bytes;

    #[test]
    fn the_body_is_what_rfc_7578_describes() {
        let mut file = TestFile::seeded(Bytes(3), Content::Text, 1);
        file.name = "a\"b.txt".to_owned();
        let body = Form::default().with("ttl_days", "1").encode(&file);
        let b = body.content_type.strip_prefix("multipart/form-data; boundary=").expect("names its boundary");
        let text = std::str::from_utf8(&file.bytes).expect("is text");
        let expected = format!(
            "--{b}\r\nContent-Disposition: form-data; name=\"ttl_days\"\r\n\r\n1\r\n\
             --{b}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22b.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n{text}\r\n--{b}--\r\n"
        );
        assert_eq!(std::str::from_utf8(&body.bytes).expect("is text"), expected);
    }

    #[test]
    fn cloning_shares_the_bytes() {
        let body = Form::default().encode(&generate_test_file(Bytes::kb(1)));
        assert_eq!(body.bytes.as_ptr(), body.clone().bytes.as_ptr());
    }
}
