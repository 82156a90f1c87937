//! One direction of a connection: the bytes that are under way, and those that have arrived.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::line::{Direction, Line, SEGMENT};
use super::spec::Network;

/// What a socket holds besides what is under way: the size that Linux begins a receive buffer's window with.
const SOCKET: u64 = 64 << 10;
/// What the line carries in this time finds room too. Timers have steps of 1 ms, and within one a fast line must not run
/// dry.
const STEPS: Duration = Duration::from_millis(10);

/// One direction. Times are counted from when the client had connected.
#[derive(Debug)]
pub(super) struct Way {
    line: Line,
    /// In the order in which they were sent; those that have arrived are in front.
    bytes: BytesMut,
    /// How many have arrived and were not taken yet.
    arrived: usize,
    /// The others.
    segments: VecDeque<Segment>,
    /// Most bytes at once. A real sender is stopped likewise: it keeps what the other side has not acknowledged, and its
    /// socket has an end.
    capacity: usize,
}

/// Bytes that arrive together.
#[derive(Debug)]
struct Segment {
    /// How many; none for the end of all.
    bytes: usize,
    due: Duration,
}

impl Way {
    /// This direction of the connection with this number.
    pub fn new(network: &Network, direction: Direction, number: u64) -> Self {
        let rate = match direction {
            Direction::Up => network.up,
            Direction::Down => network.down,
        };
        // The bandwidth-delay product: what is sent before the first acknowledgement can be back.
        let capacity = rate.bytes_in(network.round_trip + STEPS) + SOCKET;
        Self {
            line: Line::new(network, direction, number),
            bytes: BytesMut::new(),
            arrived: 0,
            segments: VecDeque::new(),
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
        }
    }

    /// Bytes that may be sent.
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    /// Sends these bytes at this time.
    pub fn send(&mut self, bytes: &[u8], at: Duration) {
        self.bytes.extend_from_slice(bytes);
        for segment in bytes.chunks(SEGMENT) {
            let due = self.line.send(segment.len(), at);
            self.segments.push_back(Segment { bytes: segment.len(), due });
        }
    }

    /// Sends the end, which arrives behind all that was sent.
    pub fn send_end(&mut self, at: Duration) {
        let due = self.line.send(0, at);
        self.segments.push_back(Segment { bytes: 0, due });
    }

    /// Lets arrive what is due by now. Returns whether anything was.
    pub fn arrive(&mut self, now: Duration) -> bool {
        let before = self.segments.len();
        while let Some(segment) = self.segments.front().filter(|segment| segment.due <= now) {
            self.arrived += segment.bytes;
            self.segments.pop_front();
        }
        self.segments.len() < before
    }

    /// What has arrived.
    pub fn arrived(&self) -> &[u8] {
        &self.bytes[..self.arrived]
    }

    /// Takes so many bytes of what has arrived.
    pub fn take(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
        self.arrived -= bytes;
    }

    /// When the next of what is under way arrives.
    pub fn next_due(&self) -> Option<Duration> {
        self.segments.front().map(|segment| segment.due)
    }

    /// Whether nothing is under way, and nothing has arrived that was not taken.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.segments.is_empty()
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
        self.arrived = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(text: &str) -> Way {
        let network: Network = text.parse().expect(text);
        Way::new(&network, Direction::Up, 0)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn bytes_arrive_by_segments_in_their_order() {
        let mut way = up("100ms,8mbit,8mbit");
        let sent: Vec<u8> = (0..3000).map(|n| (n % 251) as u8).collect();
        way.send(&sent, ms(0));
        // 1448 bytes leave by 1.448 ms, as many more by 2.896 ms, and the last 104 by 3 ms.
        assert!(!way.arrive(ms(51)) && way.arrived().is_empty());
        assert!(way.arrive(ms(52)));
        assert_eq!(way.arrived(), &sent[..1448]);
        assert_eq!(way.next_due(), Some(Duration::from_micros(52_896)));
        way.take(1000);
        assert!(way.arrive(ms(53)));
        assert_eq!(way.arrived(), &sent[1000..]);
        way.take(2000);
        assert!(way.is_empty() && way.next_due().is_none());
    }

    #[test]
    fn room_is_what_a_real_sender_has() {
        // In 410 ms 400 kbit/s carry 20,500 bytes; with 64 KB they are 86,036.
        let mut way = up("slow-3g");
        assert_eq!(way.room(), 86_036);
        way.send(&[0; 86_000], ms(0));
        assert_eq!(way.room(), 36);
        // What has arrived counts until somebody takes it.
        way.arrive(ms(300));
        assert_eq!((way.room(), way.arrived().len()), (36, 3 * 1448));
        way.take(1448);
        assert_eq!(way.room(), 36 + 1448);
    }

    #[test]
    fn the_end_arrives_behind_all_else() {
        let mut way = up("100ms,8mbit,8mbit");
        way.send(&[0; 1000], ms(0));
        way.send_end(ms(0));
        assert!(way.arrive(ms(51)));
        way.take(1000);
        assert!(way.is_empty());
        way.send_end(ms(60));
        assert!(!way.is_empty() && way.next_due() == Some(ms(110)));
        way.clear();
        assert!(way.is_empty());
    }
}
