//! A stream whose reading outlasts its writing.
//!
//! A service that refuses an upload before it has read all of it answers, closes, and resets the connection for what it
//! did not read. The client then fails to write; but the answer lies in its receive buffer, and is lost if writing is
//! where it stops. So writing that is refused waits here, and reading goes on until the peer's own end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::endpoint::Http;

/// Type of the frame that an HTTP/2 server sends first, SETTINGS, and where a frame says its type (RFC 9113, 3.4 and 4.1).
const SETTINGS: u8 = 4;
const TYPE_AT: usize = 3;

/// Wraps a stream.
pub(super) struct Outlasting<S> {
    stream: S,
    /// Whether the peer takes no more bytes.
    deaf: bool,
    /// Whether the first bytes that come must be HTTP/2's.
    expects_settings: bool,
}

/// The peer of an HTTP/2 connection began otherwise than with HTTP/2.
#[derive(Debug, thiserror::Error)]
#[error("the service does not speak HTTP/2")]
pub(super) struct NotHttp2;

impl<S> Outlasting<S> {
    pub fn new(stream: S, http: Http) -> Self {
        Self { stream, deaf: false, expects_settings: http == Http::Two }
    }

    /// An error where what was read first is not HTTP/2.
    fn check_first(&mut self, read: &[u8]) -> io::Result<()> {
        if !self.expects_settings || (1..=TYPE_AT).contains(&read.len()) {
            return Ok(());
        }
        self.expects_settings = false;
        match read.get(TYPE_AT) {
            Some(&SETTINGS) => Ok(()),
            _ => Err(io::Error::other(NotHttp2)),
        }
    }

    /// What writing came to. A peer that refuses to read on is waited for: the answer, or the end, wakes the reader, and
    /// the rest of the body is not even produced.
    fn written<T>(&mut self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(e)) if is_refusal(&e) => {
                self.deaf = true;
                Poll::Pending
            }
            written => written,
        }
    }
}

/// Whether the peer refuses to read on.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<S: AsyncRead + Unpin> AsyncRead for Outlasting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.check_first(&buffer.filled()[before..])?;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outlasting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Pending;
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
