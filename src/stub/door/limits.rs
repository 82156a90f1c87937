//! How much time, and how many connections, clients may take.

use std::time::Duration;

/// Limits that connections are held to. The default is what `serve` uses; tests choose shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most connections at once. Fewer where the system has not twice as many descriptors.
    pub connections: usize,
    /// Longest time for the head of a request from its first byte on; for a connection's first request, from the
    /// connection's beginning.
    pub head: Duration,
    /// Longest time between two requests.
    pub idle: Duration,
    /// While a request waits for its client, [`Self::least`] bytes have to move in each such span, in either direction.
    pub stall: Duration,
    /// Bytes that have to move in each [`Self::stall`].
    pub least: u64,
    /// Longest time that a request may be worked on without a need for its client.
    pub work: Duration,
    /// How long a client may take to read the last answer before its connection is reset.
    pub linger: Duration,
    /// Most requests that an HTTP/2 client may take back on one connection, if they are more than half of all.
    pub taken_back: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // hyper begins with a buffer of 8 KB a connection, so ten thousand idle ones take some 100 MB.
            connections: 10_000,
            // hyper's own default. The largest head, 64 KB, takes 1.3 s on slow 3G (400 kbit/s) and a round trip 2 s.
            head: Duration::from_secs(30),
            // What load balancers wait for by default, so that both sides of one agree.
            idle: Duration::from_secs(60),
            // 1.1 KB/s, 2 % of slow 3G. A minute outlasts the retransmissions of a link that was gone for half of it, and
            // Linux's largest send buffer (4 MB): it has room again when a third of it was read, on slow 3G every 27 s.
            stall: Duration::from_secs(60),
            least: 64 << 10,
            // No disk takes so long for a buffer. Whoever stalls on purpose must not keep a descriptor for ever.
            work: Duration::from_secs(300),
            // One round trip on slow 3G.
            linger: Duration::from_secs(2),
            // Far more than a page that is left takes back at once.
            taken_back: 100,
        }
    }
}
