//! Ending a connection with a TCP reset because a handler wants it so.
//!
//! A handler never sees its connection. So the connection loop serves the connection through a [`Resettable`], and puts
//! its [`Hangup`] into the extensions of every request; whoever has that can have the connection reset.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The order to reset one connection. Clones are for the same connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Hangup(Arc<AtomicBool>);

impl Hangup {
    /// Gives the order. It is obeyed when the connection is used next, so the handler has to answer now; not a byte of
    /// that answer is sent.
    pub fn hang_up(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// An error if the order was given. The connection ends with it, and its socket sends a reset when it is closed.
    pub fn check(&self, stream: &TcpStream) -> io::Result<()> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A socket that may not linger drops what it has not sent yet, and resets the connection (socket(7),
        // SO_LINGER).
        stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// A connection that can be reset.
#[derive(Debug)]
pub(super) struct Resettable {
    stream: TcpStream,
    /// Nothing where nobody ever resets a connection.
    hangup: Option<Hangup>,
}

impl Resettable {
    pub fn new(stream: TcpStream, hangup: Option<Hangup>) -> Self {
        Self { stream, hangup }
    }

    /// The stream, unless it is to be reset.
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        let this = self.get_mut();
        if let Some(hangup) = &this.hangup {
            hangup.check(&this.stream)?;
        }
        Ok(Pin::new(&mut this.stream))
    }
}

impl AsyncRead for Resettable {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    /// An orderly end is refused as well: it would send the end of the stream before the reset.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpStream as Client};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Connects to a server that sends `hello`, does this with its end of the connection, and closes that. Returns what
    /// the client reads.
    fn read_after(serve: impl AsyncFnOnce(&mut Resettable, Hangup)) -> io::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let mut client = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
            let client = Client::connect(listener.local_addr().expect("is bound")).expect("connects");
            let (stream, _) = listener.accept().await.expect("accepts");
            let hangup = Hangup::default();
            let mut connection = Resettable::new(stream, Some(hangup.clone()));
            connection.write_all(b"hello").await.expect("sends");
            serve(&mut connection, hangup).await;
            client
        });
        let mut text = String::new();
        client.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_connection_that_nobody_hangs_up_ends_in_order() {
        let read = read_after(async |connection, _| connection.shutdown().await.expect("is open"));
        assert_eq!(read.expect("is not reset"), "hello");
    }

    #[test]
    fn a_connection_that_is_hung_up_is_reset() {
        let read = read_after(async |connection, hangup| {
            // A clone is as good.
            hangup.clone().hang_up();
            let refused = io::ErrorKind::ConnectionReset;
            assert_eq!(connection.write_all(b"more").await.expect_err("is reset").kind(), refused);
            assert_eq!(connection.read_u8().await.expect_err("is reset").kind(), refused);
            assert_eq!(connection.shutdown().await.expect_err("is reset").kind(), refused);
        });
        assert_eq!(read.expect_err("is reset").kind(), io::ErrorKind::ConnectionReset);
    }
}
