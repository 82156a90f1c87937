//! The watch over one connection: how long its client may keep it waiting.
//!
//! A connection is in one of four phases. While it is [`Phase::Client`]'s turn, bytes have to move at a least rate, so that
//! a body that is dribbled ends like one that stops; the other phases have a time each.

use std::time::{Duration, Instant};

use super::limits::Limits;
use super::traffic::{Seen, Traffic};

/// How often a connection is looked at. What happens in between is seen late by so much at most.
const LOOK: Duration = Duration::from_millis(500);

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    One,
    Two,
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rest of a request's head, or the connection's first request.
    Head,
    /// Another request.
    Idle,
    /// The server itself.
    Work,
    /// The client: for more of a body, or to read an answer.
    Client,
}

/// Reasons to cut a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// This phase took too long.
    Late(Phase),
    /// The client took too many requests back.
    TakenBack,
}

/// The watch over one connection.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    protocol: Protocol,
    phase: Phase,
    /// Since when the time of this phase runs, from the connection's beginning.
    since: Duration,
    /// Bytes that had moved and requests that had begun by then.
    moved: u64,
    begun: u64,
}

impl Watch {
    pub fn new(limits: Limits, protocol: Protocol) -> Self {
        Self { limits, protocol, phase: Phase::Head, since: Duration::ZERO, moved: 0, begun: 0 }
    }

    /// Judges what is seen `at` this time from the connection's beginning. Returns when the connection is due to be cut if
    /// nothing changes.
    pub fn look(&mut self, at: Duration, seen: &Seen) -> Result<Duration, Cut> {
        // Half of them: whoever has hundreds of answers may leave a hundred.
        if seen.taken_back > self.limits.taken_back && seen.taken_back > seen.begun / 2 {
            return Err(Cut::TakenBack);
        }
        let phase = self.phase_of(seen);
        if phase != self.phase || self.has_gone_on(seen) {
            self.phase = phase;
            self.since = at;
            self.moved = seen.moved;
            self.begun = seen.begun;
        }
        let limit = match phase {
            Phase::Head => self.limits.head,
            Phase::Idle => self.limits.idle,
            Phase::Work => self.limits.work,
            Phase::Client => self.limits.stall,
        };
        let due = self.since + limit;
        if at >= due { Err(Cut::Late(phase)) } else { Ok(due) }
    }

    fn phase_of(&self, seen: &Seen) -> Phase {
        // With HTTP/2, a connection waits for its client when every one of its requests does.
        if seen.blocked || (seen.under_way > 0 && seen.waiting >= seen.under_way) {
            Phase::Client
        } else if seen.under_way > 0 {
            Phase::Work
        } else if seen.begun == 0 || (seen.head_begun && self.protocol == Protocol::One) {
            // HTTP/2 has frames between requests as well: after the first one, bytes alone mean nothing there.
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    /// Whether the same phase begins anew.
    fn has_gone_on(&self, seen: &Seen) -> bool {
        let another_request = seen.begun != self.begun;
        if self.phase != Phase::Client {
            return another_request;
        }
        // Over HTTP/2 one more request does nothing for those that stand still.
        let next_in_line = another_request && self.protocol == Protocol::One;
        next_in_line || seen.moved - self.moved >= self.limits.least
    }
}

/// Watches over a connection that began then. Returns once it is to be cut, and why.
pub(super) async fn until_cut(traffic: &Traffic, mut watch: Watch, began: Instant) -> Cut {
    loop {
        let at = began.elapsed();
        match watch.look(at, &traffic.seen()) {
            Ok(due) => tokio::time::sleep(LOOK.min(due - at)).await,
            Err(cut) => return cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(60);
    const WORK: Duration = Duration::from_secs(300);
    const STALL: Duration = Duration::from_secs(20);

    fn watch(protocol: Protocol) -> Watch {
        let limits = Limits {
            head: HEAD,
            idle: IDLE,
            work: WORK,
            stall: STALL,
            least: 1000,
            taken_back: 100,
            ..Limits::default()
        };
        Watch::new(limits, protocol)
    }

    /// So many whole seconds.
    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A connection with one request whose body is being awaited.
    fn receiving(moved: u64) -> Seen {
        Seen { moved, begun: 1, under_way: 1, waiting: 1, ..Seen::default() }
    }

    #[test]
    fn silence_and_slow_heads_end_after_the_time_of_a_head() {
        for protocol in [Protocol::One, Protocol::Two] {
            let mut watch = watch(protocol);
            assert_eq!(watch.look(s(0), &Seen::default()), Ok(s(30)));
            // Bytes do not help as long as they are not a request.
            let some = Seen { moved: 100_000, head_begun: true, ..Seen::default() };
            assert_eq!(watch.look(s(29), &some), Ok(s(30)));
            assert_eq!(watch.look(s(30), &some), Err(Cut::Late(Phase::Head)));
        }
    }

    #[test]
    fn idle_time_counts_from_the_last_request() {
        let mut watch = watch(Protocol::One);
        let idle = Seen { moved: 500, begun: 1, ..Seen::default() };
        assert_eq!(watch.look(s(10), &idle), Ok(s(70)));
        // A second one came and went between two looks.
        let again = Seen { moved: 1000, begun: 2, ..Seen::default() };
        assert_eq!(watch.look(s(40), &again), Ok(s(100)));
        assert_eq!(watch.look(s(100), &again), Err(Cut::Late(Phase::Idle)));
    }

    #[test]
    fn the_head_of_a_second_request_has_its_own_time() {
        let mut one = watch(Protocol::One);
        let idle = Seen { moved: 500, begun: 1, ..Seen::default() };
        let head = Seen { moved: 510, head_begun: true, ..idle };
        assert_eq!(one.look(s(10), &idle), Ok(s(70)));
        assert_eq!(one.look(s(50), &head), Ok(s(80)));
        assert_eq!(one.look(s(80), &head), Err(Cut::Late(Phase::Head)));
        // HTTP/2 acknowledges and updates windows without a request.
        let mut two = watch(Protocol::Two);
        assert_eq!(two.look(s(10), &idle), Ok(s(70)));
        assert_eq!(two.look(s(50), &head), Ok(s(70)));
    }

    #[test]
    fn a_dribbled_body_ends_like_one_that_stops() {
        // 49 bytes a second are 980 in 20 s, and 50 are the least of 1000.
        let mut slow = watch(Protocol::One);
        let mut fair = watch(Protocol::One);
        for second in 0..20 {
            assert_eq!(slow.look(s(second), &receiving(49 * second)), Ok(s(20)));
            assert_eq!(fair.look(s(second), &receiving(50 * second)), Ok(s(20)));
        }
        assert_eq!(slow.look(s(20), &receiving(980)), Err(Cut::Late(Phase::Client)));
        assert_eq!(fair.look(s(20), &receiving(1000)), Ok(s(40)));
        // Then it stops.
        assert_eq!(fair.look(s(39), &receiving(1000)), Ok(s(40)));
        assert_eq!(fair.look(s(40), &receiving(1000)), Err(Cut::Late(Phase::Client)));
    }

    #[test]
    fn an_answer_that_is_not_read_ends_though_its_request_has() {
        let mut watch = watch(Protocol::One);
        let blocked = Seen { moved: 9000, begun: 40, blocked: true, ..Seen::default() };
        assert_eq!(watch.look(s(5), &blocked), Ok(s(25)));
        assert_eq!(watch.look(s(25), &blocked), Err(Cut::Late(Phase::Client)));
    }

    #[test]
    fn work_is_not_the_clients_time() {
        let mut watch = watch(Protocol::Two);
        // Two requests, of which one waits for its client.
        let working = Seen { moved: 10, begun: 2, under_way: 2, waiting: 1, ..Seen::default() };
        assert_eq!(watch.look(s(0), &working), Ok(s(300)));
        assert_eq!(watch.look(s(299), &working), Ok(s(300)));
        // The client's time begins when the other one waits for it, too.
        let stuck = Seen { waiting: 2, ..working };
        assert_eq!(watch.look(s(299), &stuck), Ok(s(319)));
        assert_eq!(watch.look(s(319), &stuck), Err(Cut::Late(Phase::Client)));
    }

    #[test]
    fn new_requests_help_stalled_ones_over_http1_only() {
        let next = Seen { begun: 2, ..receiving(100) };
        let mut one = watch(Protocol::One);
        assert_eq!(one.look(s(0), &receiving(0)), Ok(s(20)));
        assert_eq!(one.look(s(15), &next), Ok(s(35)));
        let mut two = watch(Protocol::Two);
        assert_eq!(two.look(s(0), &receiving(0)), Ok(s(20)));
        assert_eq!(two.look(s(15), &next), Ok(s(20)));
    }

    #[test]
    fn who_takes_most_requests_back_is_cut() {
        let mut watch = watch(Protocol::Two);
        let few = Seen { taken_back: 100, begun: 100, ..Seen::default() };
        let half = Seen { taken_back: 101, begun: 202, ..Seen::default() };
        let most = Seen { taken_back: 101, begun: 201, ..Seen::default() };
        assert!(watch.look(s(0), &few).is_ok());
        assert!(watch.look(s(0), &half).is_ok());
        assert_eq!(watch.look(s(0), &most), Err(Cut::TakenBack));
    }
}
