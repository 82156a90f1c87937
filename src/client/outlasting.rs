//! A stream whose reading outlasts its writing.
//!
//! A service that refuses an upload before it has read all of it answers, closes, and resets the connection for what it
//! did not read. The client then fails to write; but the answer lies in its receive buffer, and is lost if writing is
//! where it stops. So writing that is refused ends nothing here, and reading goes on until the peer's own end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::endpoint::Http;

/// Type of the frame that an HTTP/2 server sends first, SETTINGS, and where a frame says its type (RFC 9113, 3.4 and 4.1).
/// No answer of HTTP/1.1 has this byte there: it begins with `HTTP`.
const SETTINGS: u8 = 4;
const TYPE_AT: usize = 3;

/// A stream that is read on after the peer has stopped reading.
pub(super) struct Outlasting<S> {
    stream: S,
    /// Whether the peer takes no more bytes.
    deaf: bool,
    /// What is spoken.
    http: Http,
    /// How many bytes came before the one that tells what the peer speaks; nothing once that one was seen.
    first_bytes: Option<usize>,
}

/// The peer speaks another HTTP than it was spoken to.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongHttp {
    /// It began otherwise than with HTTP/2.
    #[error("the service does not speak HTTP/2")]
    NotTwo,
    /// It answered HTTP/1.1 with HTTP/2.
    #[error("the service speaks HTTP/2 only, which --http2 asks for")]
    OnlyTwo,
}

impl<S> Outlasting<S> {
    pub fn new(stream: S, http: Http) -> Self {
        Self { stream, deaf: false, http, first_bytes: Some(0) }
    }

    /// An error where the first bytes are those of another HTTP. They may come one by one, or not at all.
    fn check_first(&mut self, read: &[u8]) -> Result<(), WrongHttp> {
        let Some(seen) = self.first_bytes else { return Ok(()) };
        // The byte that decides may come later.
        let Some(kind) = read.get(TYPE_AT - seen) else {
            self.first_bytes = Some(seen + read.len());
            return Ok(());
        };
        self.first_bytes = None;
        match (self.http, *kind == SETTINGS) {
            (Http::Two, false) => Err(WrongHttp::NotTwo),
            (Http::One, true) => Err(WrongHttp::OnlyTwo),
            (Http::One, false) | (Http::Two, true) => Ok(()),
        }
    }

    /// What comes of writing `bytes` that the peer does not take. Over HTTP/1.1 writing waits: the answer, or the end, wakes
    /// the reader, and the rest of the body is not even produced. Over HTTP/2 it seems to succeed: that library reads
    /// nothing while it cannot write, and flow control keeps small what goes nowhere.
    fn unheard(&self, bytes: usize) -> Poll<io::Result<usize>> {
        match self.http {
            Http::One => Poll::Pending,
            Http::Two => Poll::Ready(Ok(bytes)),
        }
    }

    /// What trying to write `bytes` came to.
    fn written(&mut self, bytes: usize, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(e)) if is_refusal(&e) => {
                self.deaf = true;
                self.unheard(bytes)
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
        // The buffer may hold what was read earlier; only what this call adds is new.
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.check_first(&buffer.filled()[before..]).map_err(io::Error::other)?;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outlasting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return self.unheard(bytes.len());
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if self.deaf {
            return self.unheard(bytes);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(bytes, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return self.unheard(0).map_ok(|_| ());
        }
        // Flushing counts as writing nothing, so that a refusal is treated as one of writing is.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0);
        self.written(0, flushed).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error that these pieces of the first bytes lead to.
    fn first(http: Http, pieces: &[&[u8]]) -> Option<String> {
        let mut stream = Outlasting::new((), http);
        pieces.iter().find_map(|piece| stream.check_first(piece).err()).map(|wrong| wrong.to_string())
    }

    #[test]
    fn the_first_bytes_tell_what_the_peer_speaks() {
        // The head of a frame (RFC 9113, 4.1): length in 3 bytes, type 4, flags, stream in 4 bytes.
        let settings: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0];
        let answer: &[u8] = b"HTTP/1.1 400 Bad Request\r\n";
        assert_eq!(first(Http::One, &[answer]), None);
        assert_eq!(first(Http::Two, &[settings, answer]), None);
        let not_two = Some("the service does not speak HTTP/2".to_owned());
        assert_eq!(first(Http::Two, &[answer]), not_two);
        assert_eq!(first(Http::Two, &[b"H", b"TT", b"P"]), not_two);
        let only_two = Some("the service speaks HTTP/2 only, which --http2 asks for".to_owned());
        assert_eq!(first(Http::One, &[&settings[..2], &settings[2..]]), only_two);
        // A connection that closes before the deciding byte tells nothing about the protocol.
        assert_eq!((first(Http::One, &[b""]), first(Http::Two, &[b"", b"\0"])), (None, None));
    }
}
