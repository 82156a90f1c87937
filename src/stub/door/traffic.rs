//! What is known of a connection while it is served. Its socket and its requests write it down; the watch reads it.
//!
//! Everything is atomic because the streams of an HTTP/2 connection are tasks of their own. There is one thread, so that
//! nobody waits for anybody, and `Relaxed` will do: no value is read for what another one says.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;

/// Bytes of a request that are read in small pieces. See [`Traffic::is_early`].
const EARLY: u64 = 128 << 10;

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Bytes read from the socket, and written to it.
    read: AtomicU64,
    written: AtomicU64,
    /// Whether the last write had to wait for the client to read.
    blocked: AtomicBool,
    /// Whether the client has closed its side.
    ended: AtomicBool,
    /// Requests so far, and those of them that were taken back: their client left before it had the answer.
    begun: AtomicU64,
    taken_back: AtomicU64,
    /// Requests that have no whole answer yet, and how many of those wait for their client.
    under_way: AtomicU64,
    waiting: AtomicU64,
    /// How many bytes had been read before the last request's first one, and when it ended.
    before: AtomicU64,
    after: AtomicU64,
    /// Whether the last request's body was given up before its end.
    given_up: AtomicBool,
    /// The socket, once nobody speaks HTTP on it any longer.
    socket: Mutex<Option<TcpStream>>,
}

/// A connection at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Bytes in both directions.
    pub moved: u64,
    /// Whether bytes have come since the last request ended.
    pub head_begun: bool,
    /// Whether the client has to read before anything more can be sent.
    pub blocked: bool,
    pub begun: u64,
    pub taken_back: u64,
    pub under_way: u64,
    pub waiting: u64,
}

impl Traffic {
    pub fn seen(&self) -> Seen {
        let read = self.read.load(Relaxed);
        Seen {
            moved: read + self.written.load(Relaxed),
            head_begun: read > self.after.load(Relaxed),
            blocked: self.blocked.load(Relaxed),
            begun: self.begun.load(Relaxed),
            taken_back: self.taken_back.load(Relaxed),
            under_way: self.under_way.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
        }
    }

    /// Takes note of bytes that were read, or of the client's end where there were none.
    pub fn note_read(&self, bytes: usize) {
        if bytes == 0 {
            self.ended.store(true, Relaxed);
        }
        // Loaded and stored, as there is one reader: an addition that others could interrupt costs more.
        self.read.store(self.read.load(Relaxed) + bytes as u64, Relaxed);
    }

    /// Takes note of bytes that were written; `None` where the client has to read first.
    pub fn note_written(&self, bytes: Option<usize>) {
        self.blocked.store(bytes.is_none(), Relaxed);
        let written = bytes.unwrap_or_default() as u64;
        self.written.store(self.written.load(Relaxed) + written, Relaxed);
    }

    /// Whether little has been read of the present request, or of the next one if there is none. It may turn out to be
    /// refused, and then what was read was read in vain. So it is read in pieces, however large hyper's buffer has grown.
    pub fn is_early(&self) -> bool {
        self.read.load(Relaxed) - self.after.load(Relaxed) < EARLY
    }

    /// Bytes read in all.
    pub fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Bytes read since the last request's first one.
    pub fn read_of_the_last(&self) -> u64 {
        self.read.load(Relaxed) - self.before.load(Relaxed)
    }

    /// Whether the client has closed its side.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Hands the socket over from whoever spoke HTTP on it.
    pub fn hand_back(&self, socket: Option<TcpStream>) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = socket;
    }

    /// The socket, once it was handed back.
    pub fn socket(&self) -> Option<TcpStream> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whether a request waits for its client.
#[derive(Debug)]
pub(super) struct Wait {
    traffic: Arc<Traffic>,
    waits: bool,
}

impl Wait {
    /// To begin with, the request is worked on and waits for nobody.
    pub fn new(traffic: &Arc<Traffic>) -> Self {
        Self { traffic: Arc::clone(traffic), waits: false }
    }

    /// Says whether it waits from now on.
    pub fn wait_for_client(&mut self, waits: bool) {
        if waits == self.waits {
            return;
        }
        self.waits = waits;
        if waits {
            self.traffic.waiting.fetch_add(1, Relaxed);
        } else {
            self.traffic.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Says that the request's body was let go, and whether that was before its end.
    pub fn note_body_let_go(&self, given_up: bool) {
        self.traffic.given_up.store(given_up, Relaxed);
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.wait_for_client(false);
    }
}

/// A request that has no whole answer yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    wait: Wait,
    answered: bool,
}

impl UnderWay {
    /// Counts a request whose head has come.
    pub fn begin(traffic: &Arc<Traffic>) -> Self {
        traffic.begun.fetch_add(1, Relaxed);
        traffic.under_way.fetch_add(1, Relaxed);
        // Where the request before ended, this one began.
        traffic.before.store(traffic.after.load(Relaxed), Relaxed);
        traffic.given_up.store(false, Relaxed);
        Self { wait: Wait::new(traffic), answered: false }
    }

    /// Says whether its answer waits for the client from now on.
    pub fn wait_for_client(&mut self, waits: bool) {
        self.wait.wait_for_client(waits);
    }

    /// Says that the whole answer was handed over.
    pub fn note_answered(&mut self) {
        self.answered = true;
    }

    /// Whether the request's body was given up before its end. For HTTP/1, where there is one request at a time.
    pub fn gave_body_up(&self) -> bool {
        self.wait.traffic.given_up.load(Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let traffic = &self.wait.traffic;
        traffic.under_way.fetch_sub(1, Relaxed);
        traffic.after.store(traffic.read.load(Relaxed), Relaxed);
        if !self.answered {
            traffic.taken_back.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_belong_to_the_request_that_they_came_with() {
        let traffic = Arc::new(Traffic::default());
        traffic.note_read(100);
        assert!(traffic.seen().head_begun);
        let first = UnderWay::begin(&traffic);
        traffic.note_read(50);
        drop(first);
        assert_eq!(traffic.read_of_the_last(), 150);
        assert!(!traffic.seen().head_begun);

        traffic.note_read(7);
        assert!(traffic.seen().head_begun);
        let second = UnderWay::begin(&traffic);
        assert_eq!(traffic.read_of_the_last(), 7);
        drop(second);
        // Both were dropped without an answer.
        assert_eq!((traffic.read(), traffic.seen().taken_back), (157, 2));
    }

    #[test]
    fn the_first_bytes_of_each_request_are_early() {
        let traffic = Arc::new(Traffic::default());
        let mut first = UnderWay::begin(&traffic);
        traffic.note_read((128 << 10) - 1);
        assert!(traffic.is_early());
        traffic.note_read(1);
        assert!(!traffic.is_early());
        first.note_answered();
        drop(first);
        assert!(traffic.is_early());
        assert_eq!(traffic.seen().taken_back, 0);
    }

    #[test]
    fn waiting_is_counted_once_and_ends_with_the_request() {
        let traffic = Arc::new(Traffic::default());
        let mut body = Wait::new(&traffic);
        body.wait_for_client(true);
        body.wait_for_client(true);
        assert_eq!(traffic.seen().waiting, 1);
        let mut answer = UnderWay::begin(&traffic);
        answer.wait_for_client(true);
        assert_eq!((traffic.seen().waiting, traffic.seen().under_way), (2, 1));
        drop(body);
        drop(answer);
        assert_eq!((traffic.seen().waiting, traffic.seen().under_way), (0, 0));
    }

    #[test]
    fn a_write_that_waits_blocks_until_one_goes_through() {
        let traffic = Traffic::default();
        traffic.note_written(Some(10));
        traffic.note_written(None);
        assert_eq!((traffic.seen().blocked, traffic.seen().moved), (true, 10));
        traffic.note_written(Some(5));
        assert_eq!((traffic.seen().blocked, traffic.seen().moved), (false, 15));
    }
}
