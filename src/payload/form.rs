//! Multipart bodies, built once and shared: cloning one copies no bytes (RFC 7578).

use bytes::{BufMut, Bytes as Buffer, BytesMut};

use super::file::TestFile;

/// Fields that accompany a file, in the order they are sent.
#[derive(Debug, Clone, Default)]
pub struct Form {
    fields: Vec<(&'static str, String)>,
}

impl Form {
    /// Adds a text field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The body: the text fields, then the file as `file`.
    ///
    /// The boundary comes from the file's checksum, which the file cannot contain by accident.
    pub fn encode(&self, file: &TestFile) -> MultipartBody {
        let boundary = format!("ingester-perf-{}", &file.sha256[..32]);
        let mut out = BytesMut::with_capacity(file.bytes.len() + 1024);
        for (name, value) in &self.fields {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            out.put_slice(head.as_bytes());
            out.put_slice(value.as_bytes());
            out.put_slice(b"\r\n");
        }
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: {}\r\n\r\n",
            quoted(&file.name),
            file.kind.content_type()
        );
        out.put_slice(head.as_bytes());
        out.put_slice(&file.bytes);
        out.put_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        MultipartBody {
            content_type: format!("multipart/form-data; boundary={boundary}"),
            bytes: out.freeze(),
        }
    }
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
    use super::super::file::{Content, generate_test_file};
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
