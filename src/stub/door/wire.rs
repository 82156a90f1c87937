//! The socket as hyper sees it: what moves is counted, and at the end the socket is handed back.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::super::hangup::Hangup;
use super::traffic::Traffic;

/// Most bytes that are read at once while little has come of a request. hyper's buffer grows up to 400 KB with what came
/// before on the connection.
const EARLY_PIECE: usize = 64 << 10;

/// A socket that takes note of what it carries.
pub(super) struct Wire {
    /// `None` only while it is dropped.
    stream: Option<TcpStream>,
    traffic: Arc<Traffic>,
    /// By which a handler has the connection reset, where one may.
    hangup: Option<Hangup>,
}

impl Wire {
    pub fn new(stream: TcpStream, traffic: &Arc<Traffic>, hangup: Option<Hangup>) -> Self {
        Self { stream: Some(stream), traffic: Arc::clone(traffic), hangup }
    }

    /// An error if the connection is to be reset: it ends with that, before another byte goes out.
    fn check(&self) -> io::Result<()> {
        match &self.hangup {
            Some(hangup) if hangup.is_given() => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(()),
        }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("a wire has its socket until it is dropped"))
    }

    fn read_a_piece(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let mut piece = self.stream().take(EARLY_PIECE as u64);
        ready!(Pin::new(&mut piece).poll_read(cx, buffer))?;
        self.traffic.note_read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }

    /// Takes note of what came of writing.
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.traffic.note_written(Some(*bytes)),
            Poll::Pending => self.traffic.note_written(None),
            // The connection is about to end.
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.traffic.hand_back(self.stream.take());
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        if buffer.remaining() > EARLY_PIECE && self.traffic.is_early() {
            return self.read_a_piece(cx, buffer);
        }
        let before = buffer.filled().len();
        ready!(self.stream().poll_read(cx, buffer))?;
        self.traffic.note_read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = self.stream().poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = self.stream().poll_write_vectored(cx, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(TcpStream::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An orderly end would go out before the reset.
        self.check()?;
        self.stream().poll_shutdown(cx)
    }
}
