//! How connections end.
//!
//! A socket that is closed with unread bytes in it resets the connection, and the last answer may be lost on its way. So
//! that a refused upload sees its 401, others read the body to its end; nginx does for up to 30 s, and this stub did for
//! 64 MB. Here the writing side is closed after the answer, so that its end is seen, and the socket is kept for
//! [`Limits::linger`](super::Limits::linger). Of what the client still sends, no more than [`MOST_READ`] is read, head and
//! all: enough for small bodies to end in peace. With more, the kernel's buffer fills and the client has to wait. Whoever
//! reads while it sends, as curl, hyper and browsers do, has the answer by then and leaves. Whoever does not is reset in
//! the end, and still finds the answer in its own buffer where the system keeps one (Linux does, Windows does not).
//!
//! The end of a client that has left cannot be seen while its own unsent bytes stand before it. Therefore such sockets have
//! places of their own, and a socket for which none is free is closed at once.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

/// Most bytes of a request that are read, before its answer and after.
pub(super) const MOST_READ: u64 = 256 << 10;
/// Most bytes that are read of a client for whom there is no place: the head of a request.
const MOST_OF_REFUSED: u64 = 16 << 10;
/// Size of the buffer for what is read and dropped.
const PIECE: usize = 16 << 10;

/// The answer to a client for whom there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Retry-After: 1\r\n\
    Connection: close\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 33\r\n\
    \r\n\
    {\"detail\":\"Too many connections\"}";

/// Closes a connection for whose last answer the client may need a moment. Reads at most `may_read` bytes; returns how many
/// it did.
pub(super) async fn linger(mut stream: TcpStream, may_read: u64, limit: Duration) -> u64 {
    // hyper may have done that. Once more does nothing.
    let _ = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
    let mut left = may_read;
    // However it ends, closing is all that remains to be done.
    let _ = tokio::time::timeout(limit, client_left(&stream, &mut left)).await;
    may_read - left
}

/// Waits until the client has closed its side, or reset the connection. Reads no more than `left` bytes.
async fn client_left(stream: &TcpStream, left: &mut u64) -> io::Result<()> {
    let mut dropped = vec![0; PIECE];
    while *left > 0 {
        stream.readable().await?;
        let most = PIECE.min(usize::try_from(*left).unwrap_or(PIECE));
        match stream.try_read(&mut dropped[..most]) {
            Ok(0) => return Ok(()),
            Ok(read) => *left -= read as u64,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        if ready.is_read_closed() {
            return Ok(());
        }
        // More bytes have come, which stay where they are. The event loop forgets them, so that it waits for another sign.
        let _ = stream.try_io(Interest::READABLE, || Err::<(), _>(ErrorKind::WouldBlock.into()));
    }
}

/// Closes the connection of a client that does not read, and throws away what was to be sent: the kernel would go on trying
/// for minutes.
pub(super) fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

/// Tells a client that there is no place for it. Returns how many bytes were read of it.
pub(super) async fn refuse(stream: TcpStream, limit: Duration) -> u64 {
    // A new socket has room for these few bytes as soon as the event loop has seen it.
    if stream.writable().await.is_ok() {
        let _ = stream.try_write(FULL);
    }
    linger(stream, MOST_OF_REFUSED, limit).await
}

/// Tells a client that there is no place for it, not even to wait until it has read that.
pub(super) fn refuse_at_once(stream: TcpStream) {
    // Without the event loop, which does not know of the socket yet and would take it for one that cannot be written to.
    let Ok(mut stream) = stream.into_std() else { return };
    let _ = stream.write(FULL);
    let _ = stream.shutdown(Shutdown::Write);
    // A request that is here already would reset the connection if it stayed unread. There is no waiting for one.
    let _ = stream.read(&mut [0; 4096]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_has_the_length_that_it_announces() {
        let text = std::str::from_utf8(FULL).expect("is text");
        let (head, body) = text.split_once("\r\n\r\n").expect("has a head");
        assert_eq!(body, "{\"detail\":\"Too many connections\"}");
        assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
        // Lines that were folded in the source have nothing before their names.
        assert!(head.lines().all(|line| !line.starts_with(' ')), "{head}");
    }
}
