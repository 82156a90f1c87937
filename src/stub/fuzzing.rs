//! Whole forms read from bytes: for tests and, behind the feature `fuzzing`, for the fuzz target. The reader is private.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes as Buffer;
use futures_util::{FutureExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::broken::Broken;
use super::multipart::Multipart;

/// A part as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPart {
    /// The name in its `Content-Disposition`.
    pub name: String,
    /// The file name there.
    pub file_name: Option<String>,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Reads a form that arrives in pieces of this size. The error is the stub's reason for refusing it.
pub fn read_form(boundary: &str, bytes: &[u8], size: usize) -> Result<Vec<ReadPart>, String> {
    read_in_pieces(boundary, bytes, size).map_err(|e| e.to_string())
}

/// The same, with the error as the reader has it.
pub(super) fn read_in_pieces(boundary: &str, bytes: &[u8], size: usize) -> Result<Vec<ReadPart>, Broken> {
    let mut body = body(bytes, size);
    read(&mut Multipart::new(&mut body, boundary))
}

/// A body that arrives in pieces of this size, without an announced length.
pub(super) fn body(bytes: &[u8], size: usize) -> Body {
    let pieces: Vec<Buffer> = bytes.chunks(size).map(Buffer::copy_from_slice).collect();
    let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    Body::new(StreamBody::new(stream::iter(frames)))
}

/// All parts of a body that is there already.
pub(super) fn read(multipart: &mut Multipart<'_>) -> Result<Vec<ReadPart>, Broken> {
    let reading = async {
        let mut parts = Vec::new();
        while let Some(part) = multipart.next().await? {
            let mut content = Vec::new();
            while let Some(chunk) = multipart.chunk().await? {
                content.extend_from_slice(&chunk);
            }
            parts.push(ReadPart { name: part.name, file_name: part.file_name, content });
        }
        Ok::<_, Broken>(parts)
    };
    reading.now_or_never().expect("every piece of the body is there already")
}
