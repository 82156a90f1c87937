//! The model of one direction of a line: when what is sent arrives. A pure function of sizes, times and a seed.
//!
//! Bytes leave one after the other, at the line's rate, and arrive half a round trip later. Jitter varies that delay from
//! segment to segment; a segment that is lost is carried once more, and arrives a round trip later. TCP hands on nothing
//! before what was sent earlier, so no segment overtakes another.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::rate::BitRate;
use super::spec::Network;

/// Bytes of a segment: Ethernet's 1500 without the heads of IPv4 and TCP, the latter with timestamps (RFC 7323).
pub(super) const SEGMENT: usize = 1448;

/// One of the two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the client to the service.
    Up = 0,
    /// From the service to the client.
    Down = 1,
}

/// One direction of a connection's line. Times are counted from when the client had connected.
#[derive(Debug)]
pub(super) struct Line {
    rate: BitRate,
    round_trip: Duration,
    jitter: Duration,
    loss: f64,
    /// When all that was sent so far has left.
    free_at: Duration,
    /// When the last of it arrives.
    last_arrival: Duration,
    random: Xoshiro256PlusPlus,
}

impl Line {
    /// This direction of the line of the connection with this number, which decides what is lost and delayed.
    pub fn new(network: &Network, direction: Direction, number: u64) -> Self {
        let rate = match direction {
            Direction::Up => network.up,
            Direction::Down => network.down,
        };
        // A service knows of a connection, and can send, once the client's last word of the handshake has reached it.
        let free_at = match direction {
            Direction::Up => Duration::ZERO,
            Direction::Down => network.one_way(),
        };
        // SplitMix64 turns neighbouring seeds into states that have nothing in common.
        let seed = number.wrapping_mul(2).wrapping_add(direction as u64);
        Self {
            rate,
            round_trip: network.round_trip,
            jitter: network.jitter,
            loss: network.loss.0,
            free_at,
            last_arrival: Duration::ZERO,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    /// When a segment of so many bytes arrives that is sent at this time. One without bytes is the end of what is sent.
    pub fn send(&mut self, bytes: usize, at: Duration) -> Duration {
        let takes = self.rate.time_of(bytes as u64);
        // Reckoned from when the line is free, and not from now: delays of whoever sends do not add up.
        self.free_at = self.free_at.max(at) + takes;
        let mut arrival = self.free_at + self.round_trip / 2;
        if !self.jitter.is_zero() {
            // Up to the jitter later or earlier. The jitter is no more than the delay, so this stays behind `at`.
            arrival += (self.jitter * 2).mul_f64(self.random.random::<f64>());
            arrival -= self.jitter;
        }
        // An end without bytes has no segment of its own that could be lost.
        let lost = if bytes > 0 && self.loss > 0.0 { self.times_lost() } else { 0 };
        self.free_at += takes * lost;
        arrival += self.round_trip * lost;
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }

    /// How often one segment is lost, by chance.
    fn times_lost(&mut self) -> u32 {
        let mut times = 0;
        loop {
            let draw: f64 = self.random.random();
            if draw >= self.loss {
                return times;
            }
            times += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, direction: Direction, number: u64) -> Line {
        let network: Network = text.parse().expect(text);
        Line::new(&network, direction, number)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    /// When each of 10,000 segments of 1000 bytes arrives after it was sent, in the order of sending; one every second.
    fn delays(mut line: Line) -> Vec<Duration> {
        let sent: Vec<Duration> = (0..10_000).map(Duration::from_secs).collect();
        sent.into_iter().map(|at| line.send(1000, at) - at).collect()
    }

    #[test]
    fn bytes_leave_in_turn_and_arrive_half_a_round_trip_later() {
        // 1000 bytes at 8 Mbit/s take 1 ms.
        let mut up = line("100ms,8mbit,1mbit", Direction::Up, 0);
        assert_eq!(up.send(1000, ms(0)), ms(51));
        assert_eq!(up.send(1000, ms(0)), ms(52));
        // The line has been free since 2 ms.
        assert_eq!(up.send(500, ms(10)), us(60_500));
        assert_eq!(up.send(0, ms(11)), ms(61));
    }

    #[test]
    fn a_service_sends_once_it_knows_of_the_connection() {
        let mut down = line("100ms,1mbit,8mbit", Direction::Down, 0);
        // The handshake's last word arrives at 50 ms; 1 ms to send, 50 ms to arrive.
        assert_eq!(down.send(1000, ms(0)), ms(101));
        assert_eq!(down.send(1000, ms(200)), ms(251));
    }

    #[test]
    fn a_slow_3g_line_takes_50_kb_in_a_second() {
        let mut up = line("slow-3g", Direction::Up, 0);
        let mut last = Duration::ZERO;
        // 34 segments of 1448 bytes, and 768 bytes.
        for _ in 0..34 {
            last = up.send(SEGMENT, ms(0));
        }
        assert_eq!(last, us(34 * 28_960 + 200_000));
        assert_eq!(up.send(768, ms(0)), ms(1200));
    }

    #[test]
    fn jitter_varies_delays_within_its_bounds() {
        let delays = delays(line("100ms,8mbit,8mbit,10ms", Direction::Up, 0));
        // 51 ms without it.
        assert!(delays.iter().all(|delay| (ms(41)..=ms(61)).contains(delay)));
        // Evenly: a quarter within the lowest 5 ms of 20, give or take four standard deviations of 43.
        let low = delays.iter().filter(|delay| **delay < ms(46)).count();
        assert!((2327..=2673).contains(&low), "{low}");
    }

    #[test]
    fn jitter_reorders_nothing() {
        let mut up = line("100ms,8mbit,8mbit,50ms", Direction::Up, 0);
        let arrivals: Vec<Duration> = (0..10_000).map(|_| up.send(1000, ms(0))).collect();
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn what_is_lost_arrives_a_round_trip_later() {
        let delays = delays(line("100ms,8mbit,8mbit,0ms,10%", Direction::Up, 0));
        // 51 ms, and 100 ms more for every time that it is lost.
        assert!(delays.iter().all(|delay| delay.as_millis() % 100 == 51));
        // A tenth, give or take four standard deviations of 30; a hundredth is lost twice, of 10.
        let once = delays.iter().filter(|delay| **delay > ms(51)).count();
        let twice = delays.iter().filter(|delay| **delay > ms(151)).count();
        assert!((880..=1120).contains(&once), "{once}");
        assert!((60..=140).contains(&twice), "{twice}");
    }

    #[test]
    fn what_is_lost_takes_its_time_on_the_line_again() {
        let mut up = line("100ms,8mbit,8mbit,0ms,10%", Direction::Up, 0);
        for _ in 0..10_000 {
            up.send(1000, ms(0));
        }
        // Each is carried 1 / (1 - 0.1) = 1.111 times on average, for 1 ms; four standard deviations are 140 ms.
        let carried = up.free_at.as_millis();
        assert!((10_971..=11_251).contains(&carried), "{carried}");
    }

    #[test]
    fn a_connection_of_the_same_number_meets_the_same() {
        let vary = "100ms,8mbit,8mbit,10ms,10%";
        let first = delays(line(vary, Direction::Up, 7));
        assert_eq!(delays(line(vary, Direction::Up, 7)), first);
        assert_ne!(delays(line(vary, Direction::Up, 8)), first);
        assert_ne!(delays(line(vary, Direction::Down, 7)), first);
    }
}
