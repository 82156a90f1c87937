//! What an upload sends, encoded before the clock starts and shared by everybody who sends it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes as Buffer;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::HeaderValue;

use super::answer::Expected;
use crate::api::{Algorithm, Api};
use crate::payload::{LargeFile, Pieces, TestFile};
use crate::recording::{Class, Failure};
use crate::units::Bytes;

/// A file ready to be sent, and what a correct service answers. Cloning copies no bytes of it.
#[derive(Debug, Clone)]
pub struct UploadBody {
    pub(super) content_type: HeaderValue,
    pub(super) expected: Expected,
    /// The file's name.
    pub(super) name: String,
    /// The file's SHA-256, whatever the service tells: what is read back is compared with it.
    pub(super) sha256: String,
    size: Bytes,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Whole(Buffer),
    Streamed { head: Buffer, file: LargeFile, tail: Buffer },
}

impl UploadBody {
    /// A file in memory, for a service with this API.
    pub fn whole(file: &TestFile, api: &Api) -> Self {
        let body = api.body.encode(file);
        let size = Bytes(file.bytes.len() as u64);
        let digest = match &api.says.checksum {
            // The checksum of a file in memory is SHA-256 already, and of any other algorithm is made of its bytes.
            Some(checksum) if checksum.algorithm != Algorithm::Sha256 => {
                let pieces: [Result<&Buffer, Infallible>; 1] = [Ok(&file.bytes)];
                checksum.algorithm.of(pieces).expect("nothing is read")
            }
            _ => file.sha256.clone(),
        };
        Self {
            content_type: header(&body.content_type),
            expected: Expected { size: size.0, digest },
            name: file.name.clone(),
            sha256: file.sha256.clone(),
            size,
            content: Content::Whole(body.bytes),
        }
    }

    /// A file that is read while it is sent. Where the service tells another checksum than SHA-256, it is read once now.
    pub fn streamed(file: LargeFile, api: &Api) -> Result<Self, Failure> {
        let frame = api.body.frame(&file.name, file.kind, &file.sha256);
        let digest = match &api.says.checksum {
            Some(checksum) if checksum.algorithm != Algorithm::Sha256 => {
                let pieces = file.pieces().map_err(unreadable)?;
                checksum.algorithm.of(pieces).map_err(unreadable)?
            }
            _ => file.sha256.clone(),
        };
        Ok(Self {
            content_type: header(&frame.content_type),
            expected: Expected { size: file.size.0, digest },
            name: file.name.clone(),
            sha256: file.sha256.clone(),
            size: file.size,
            content: Content::Streamed { head: frame.head.into(), file, tail: frame.tail.into() },
        })
    }

    /// A file on disk: in memory up to `most` bytes, else read while it is sent.
    pub fn of(file: LargeFile, api: &Api, most: Bytes) -> Result<Self, Failure> {
        let streamed = Self::streamed(file, api)?;
        if streamed.size > most {
            return Ok(streamed);
        }
        // Read now, so that no upload waits for the disk.
        let mut whole = Vec::new();
        let mut body = streamed.body()?;
        while let Some(piece) = body.next() {
            whole.extend_from_slice(&piece.map_err(unreadable)?);
        }
        Ok(Self { content: Content::Whole(whole.into()), ..streamed })
    }

    /// Size of the file.
    pub fn size(&self) -> Bytes {
        self.size
    }

    pub(super) fn body(&self) -> Result<Sending, Failure> {
        Ok(match &self.content {
            Content::Whole(body) => Sending::whole(body.clone()),
            Content::Streamed { head, file, tail } => {
                let left = (head.len() + tail.len()) as u64 + file.size.0;
                let file = Some(file.pieces().map_err(unreadable)?);
                let parts = [Some(head.clone()), Some(tail.clone())];
                Sending { left, parts, file, trouble: Some(Trouble::default()) }
            }
        })
    }
}

/// Beginning of the message about a file that could not be read; [`is_unreadable`] knows such a failure by it.
const UNREADABLE: &str = "cannot read the file";

/// A file that could not be read while it was sent.
pub(super) fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::new(Class::Local, format!("{UNREADABLE}: {error}"))
}

/// Whether an upload failed because its file could not be read.
pub fn is_unreadable(failure: &Failure) -> bool {
    failure.class == Class::Local && failure.message.starts_with(UNREADABLE)
}

fn header(content_type: &str) -> HeaderValue {
    HeaderValue::from_str(content_type).expect("a boundary has only letters, digits and dashes")
}

/// A body that is being sent: what stands before a file, the pieces of the file, what stands behind it.
#[derive(Debug)]
pub(super) struct Sending {
    left: u64,
    parts: [Option<Buffer>; 2],
    file: Option<Pieces>,
    trouble: Option<Trouble>,
}

/// Why the file of a body could not be read, once it could not. The HTTP library tells no more than that a request ended.
pub(super) type Trouble = Arc<OnceLock<String>>;

impl Sending {
    /// An empty body.
    pub fn nothing() -> Self {
        Self { left: 0, parts: [None, None], file: None, trouble: None }
    }

    /// A body in memory.
    pub fn whole(body: Buffer) -> Self {
        Self { left: body.len() as u64, parts: [Some(body), None], file: None, trouble: None }
    }

    /// Shared slot that receives the reason if the file cannot be read. `None` for a body in memory.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.clone()
    }

    fn next(&mut self) -> Option<std::io::Result<Buffer>> {
        // The first part, the file to its end, the last part: each is taken once.
        let first = self.parts[0].take().map(Ok);
        let next = first.or_else(|| self.file.as_mut()?.next()).or_else(|| self.parts[1].take().map(Ok));
        match (&next, &self.trouble) {
            (Some(Ok(piece)), _) => self.left -= piece.len() as u64,
            (Some(Err(error)), Some(trouble)) => {
                let _ = trouble.set(error.to_string());
            }
            _ => {}
        }
        next
    }
}

impl Body for Sending {
    type Data = Buffer;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Buffer>, std::io::Error>>> {
        // Never pending: a piece is in memory, or is read from disk now, and that blocks.
        Poll::Ready(self.next().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Checksum, Pointer, Says};
    use crate::payload::generate_test_file;

    fn sent(upload: &UploadBody) -> Vec<u8> {
        let mut body = upload.body().expect("can be read");
        assert_eq!(body.size_hint().exact(), Some(body.left));
        let pieces: Vec<Buffer> =
            std::iter::from_fn(|| body.next()).map(|piece| piece.expect("reads")).collect();
        assert!(body.is_end_stream());
        pieces.concat()
    }

    #[test]
    fn a_file_is_sent_alike_from_memory_and_from_disk() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("a.bin");
        std::fs::write(&path, &generate_test_file(Bytes::mb(1)).bytes).expect("writes");
        let file = LargeFile::open(&path).expect("opens");
        let api = Api::default();
        let streamed = UploadBody::of(file.clone(), &api, Bytes(1)).expect("opens");
        let whole = UploadBody::of(file, &api, Bytes::mb(1)).expect("fits");
        assert!(matches!(streamed.content, Content::Streamed { .. }));
        assert!(matches!(whole.content, Content::Whole(_)));
        assert_eq!(sent(&streamed), sent(&whole));
        assert_eq!((whole.size(), &whole.content_type), (Bytes::mb(1), &streamed.content_type));
    }

    #[test]
    fn the_digest_is_of_the_algorithm_that_the_service_tells() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "abc").expect("writes");
        let checksum =
            Checksum { algorithm: Algorithm::Md5, ..Checksum::sha256_at(Pointer::of_member("etag")) };
        let api = Api { says: Says { checksum: Some(checksum), ..Says::default() }, ..Api::default() };
        let file = LargeFile::open(&path).expect("opens");
        let streamed = UploadBody::streamed(file, &api).expect("reads");
        // MD5 of "abc", from RFC 1321, A.5.
        assert_eq!(streamed.expected.digest, "900150983cd24fb0d6963f7d28e17f72");
    }
}
