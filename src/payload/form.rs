//! Request bodies, built once and shared: cloning one copies no bytes. Multipart bodies are those of RFC 7578.

use bytes::Bytes as Buffer;

use super::file::{Content, TestFile};

/// How a file is put into the body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyFormat {
    /// As a part of a form.
    Multipart(Form),
    /// The file's bytes and nothing else.
    Raw,
}

impl BodyFormat {
    /// The whole body.
    pub fn encode(&self, file: &TestFile) -> EncodedBody {
        let Frame { content_type, head, tail } = self.frame(&file.name, file.kind, &file.sha256);
        let bytes = match self {
            Self::Multipart(_) => [head.as_bytes(), &file.bytes, tail.as_bytes()].concat().into(),
            Self::Raw => file.bytes.clone(),
        };
        EncodedBody { content_type, bytes }
    }

    /// What stands before and after a file's bytes.
    pub fn frame(&self, name: &str, kind: Content, sha256: &str) -> Frame {
        match self {
            Self::Multipart(form) => form.frame(name, kind, sha256),
            Self::Raw => Frame {
                content_type: kind.content_type().to_owned(),
                head: String::new(),
                tail: String::new(),
            },
        }
    }
}

/// A form with text fields, in the order they are sent, and the file behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    file_field: String,
    fields: Vec<(String, String)>,
}

impl Default for Form {
    /// The file alone, as `file`.
    fn default() -> Self {
        Self::with_file_as("file")
    }
}

impl Form {
    /// The file alone, in the field of this name.
    pub fn with_file_as(field: &str) -> Self {
        Self { file_field: field.to_owned(), fields: Vec::new() }
    }

    /// The fields of a file that a performance test leaves behind: it should go away by itself, and soon.
    pub fn temporary() -> Self {
        Self::default().with("retention_policy", "temporary").with("ttl_days", "1")
    }

    /// Adds a text field.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The boundary comes from the file's checksum, which the file cannot contain by accident.
    fn frame(&self, name: &str, kind: Content, sha256: &str) -> Frame {
        // 46 characters, of the 70 that RFC 2046 allows.
        let boundary = format!("ingester-perf-{}", &sha256[..32]);
        let mut head = String::new();
        for (field, value) in &self.fields {
            let field = quoted(field);
            head += &format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            );
        }
        head += &format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            quoted(&self.file_field),
            quoted(name),
            kind.content_type()
        );
        let content_type = format!("multipart/form-data; boundary={boundary}");
        Frame { content_type, head, tail: format!("\r\n--{boundary}--\r\n") }
    }
}

/// What a body has around the bytes of its file.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Value of the request's `Content-Type`.
    pub content_type: String,
    /// Before the file's bytes.
    pub head: String,
    /// After them.
    pub tail: String,
}

/// A body with the `Content-Type` that it is sent with.
#[derive(Debug, Clone)]
pub struct EncodedBody {
    /// Value of the request's `Content-Type`.
    pub content_type: String,
    /// The whole body.
    pub bytes: Buffer,
}

/// A name inside quotes, as browsers write it (WHATWG, multipart form data).
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
        // A quote in the name is written as browsers write it.
        let mut file = TestFile::seeded(Bytes(3), Content::Text, 1);
        file.name = "a\"b.txt".to_owned();
        let body = BodyFormat::Multipart(Form::default().with("ttl_days", "1")).encode(&file);
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
        let body = BodyFormat::Multipart(Form::default()).encode(&generate_test_file(Bytes::kb(1)));
        assert_eq!(body.bytes.as_ptr(), body.clone().bytes.as_ptr());
    }

    #[test]
    fn a_raw_body_is_the_file_itself() {
        let file = generate_test_file(Bytes::kb(1));
        let body = BodyFormat::Raw.encode(&file);
        assert_eq!(body.bytes.as_ptr(), file.bytes.as_ptr());
        assert_eq!(body.content_type, "text/plain");
    }

    #[test]
    fn the_file_has_the_field_that_was_asked_for() {
        let frame = Form::with_file_as("upload").frame("a.txt", Content::Text, &"0".repeat(64));
        assert!(frame.head.contains("name=\"upload\"; filename=\"a.txt\""), "{}", frame.head);
    }
}
