//! A simulated network as a value: its round trip, its rates, and what varies.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::preset::{PRESETS, Preset};
use super::rate::BitRate;
use crate::units::{Bytes, Share, latency};

/// Stands between what is measured and the network before it, in names.
const OVER: &str = " over ";
/// Longest round trip: a satellite's is 0.6 s, and no client waits for that of another planet.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(10);
/// Largest share that may be lost. Beyond it, hardly any real connection survives.
const MOST_LOST: f64 = 0.5;

/// About what an answer has.
const ANSWER: Bytes = Bytes::kb(1);
/// Bytes around a file at most: the head of a request with its token, and a form's fields.
const AROUND: Bytes = Bytes::kb(8);
/// Bytes of a service's certificates, with their chain.
const CERTIFICATES: Bytes = Bytes::kb(8);
/// Round trips before a request can be sent, at most: one for TCP, two for TLS 1.2, one for the settings of HTTP/2.
const HANDSHAKES: u32 = 4;

/// A line between a client and a service, one for each connection. Read from the name of a preset, like `slow-3g`, or from
/// `RTT,UP,DOWN[,JITTER[,LOSS]]`, like `100ms,1mbit,10mbit,5ms,0.5%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// The preset that it is.
    name: Option<&'static str>,
    pub(super) round_trip: Duration,
    pub(super) up: BitRate,
    pub(super) down: BitRate,
    /// By how much the delay of a segment varies, up or down; half of the round trip at most.
    pub(super) jitter: Duration,
    /// Share of segments that are lost.
    pub(super) loss: Share,
}

/// Error for a text that does not describe a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a network: {problem}")]
pub struct NotANetwork {
    text: String,
    problem: String,
}

impl Network {
    /// Half of the round trip: the delay in each direction.
    pub(super) fn one_way(&self) -> Duration {
        self.round_trip / 2
    }

    /// Longest delay in one direction of what is not lost, once it has left.
    pub fn longest_way(&self) -> Duration {
        self.one_way() + self.jitter
    }

    /// Time that the line itself takes, on average, to carry a request of this size and its answer on a connection that
    /// stands.
    pub fn exchange(&self, sent: Bytes) -> Duration {
        // What is lost is carried again, and may be lost again.
        let carried = self.up.time_of(sent.0).mul_f64(1.0 / (1.0 - self.loss.0));
        self.round_trip + carried + self.down.time_of(ANSWER.0)
    }

    /// Time that the line itself takes at most for the same with a file of this size, on a new connection with TLS. In
    /// whole seconds, rounded up: it is added to time limits.
    pub fn allowance(&self, file: Bytes) -> Duration {
        let sent = Bytes(file.0.saturating_add(AROUND.0));
        let took = self.exchange(sent) + self.handshakes();
        Duration::from_secs(took.as_secs() + 1)
    }

    /// Time that the line itself takes at most to carry a file of this size as an answer, likewise.
    pub fn allowance_of_answer(&self, file: Bytes) -> Duration {
        let carried = self.down.time_of(file.0).mul_f64(1.0 / (1.0 - self.loss.0));
        let took = self.exchange(AROUND) + carried + self.handshakes();
        Duration::from_secs(took.as_secs() + 1)
    }

    /// Time until a request can be sent on a new connection with TLS, at most.
    fn handshakes(&self) -> Duration {
        self.round_trip * HANDSHAKES + self.down.time_of(CERTIFICATES.0)
    }
}

impl From<&Preset> for Network {
    fn from(preset: &Preset) -> Self {
        Self {
            name: Some(preset.name),
            round_trip: Duration::from_millis(preset.round_trip_ms),
            up: preset.up,
            down: preset.down,
            jitter: Duration::ZERO,
            loss: Share(preset.loss),
        }
    }
}

/// What is measured, with the network before it if there is one: no figure of the one must pass for one of the other.
pub fn name_over(service: String, network: Option<&Network>) -> String {
    match network {
        Some(network) => format!("{service}{OVER}{network}"),
        None => service,
    }
}

/// The name of what is measured, without the network before it.
pub fn service_of(subject: &str) -> &str {
    subject.rsplit_once(OVER).map_or(subject, |(service, _)| service)
}

/// The network that a name says lies before what is measured.
pub fn network_of(subject: &str) -> Option<&str> {
    subject.rsplit_once(OVER).map(|(_, network)| network)
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        parse(text.trim()).map_err(|problem| NotANetwork { text: text.to_owned(), problem })
    }
}

fn parse(text: &str) -> Result<Network, String> {
    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == text) {
        return Ok(preset.into());
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    match parts.as_slice() {
        [round_trip, up, down, varies @ ..] if varies.len() <= 2 => {
            let round_trip = parse_round_trip(round_trip)?;
            Ok(Network {
                name: None,
                round_trip,
                up: up.parse::<BitRate>().map_err(|e| e.to_string())?,
                down: down.parse::<BitRate>().map_err(|e| e.to_string())?,
                jitter: match varies.first() {
                    Some(text) => parse_jitter(text, round_trip / 2)?,
                    None => Duration::ZERO,
                },
                loss: match varies.get(1) {
                    Some(text) => parse_loss(text)?,
                    None => Share(0.0),
                },
            })
        }
        _ => {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            Err(format!(
                "there are {}, and RTT,UP,DOWN[,JITTER[,LOSS]] like 100ms,1mbit,10mbit",
                names.join(", ")
            ))
        }
    }
}

fn parse_round_trip(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| *time <= LONGEST_ROUND_TRIP);
    time.ok_or_else(|| format!("\"{text}\" is not a round trip of at most 10s; write 100ms"))
}

fn parse_jitter(text: &str, one_way: Duration) -> Result<Duration, String> {
    // With more than the delay itself, something would arrive before it was sent.
    let time = humantime::parse_duration(text).ok().filter(|time| *time <= one_way);
    time.ok_or_else(|| {
        let most = humantime::format_duration(one_way);
        format!(
            "\"{text}\" is not a jitter of at most half of the round trip ({most}); write a time like 5ms"
        )
    })
}

fn parse_loss(text: &str) -> Result<Share, String> {
    let share = text.parse::<Share>().map_err(|e| e.to_string())?;
    if share.0 > MOST_LOST {
        return Err(format!("a loss of {share} is more than 50 %; write a share like 1%"));
    }
    Ok(share)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.unwrap_or("a line");
        write!(f, "{name} ({}, {} up, {} down", time(self.round_trip), self.up, self.down)?;
        if !self.jitter.is_zero() {
            write!(f, ", ±{}", time(self.jitter))?;
        }
        if self.loss.0 > 0.0 {
            write!(f, ", {} lost", self.loss)?;
        }
        f.write_str(")")
    }
}

/// A time in the unit that reads best.
fn time(time: Duration) -> String {
    // From whole microseconds: 0.07 s times 1000 need not be 70.
    latency(Some(time.as_micros() as f64 / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    #[test]
    fn a_network_is_named_with_its_figures() {
        for (text, printed) in [
            ("slow-3g", "slow-3g (400 ms, 400 kbit/s up, 400 kbit/s down)"),
            ("3g", "3g (300 ms, 768 kbit/s up, 1.6 Mbit/s down)"),
            ("4g", "4g (170 ms, 9 Mbit/s up, 9 Mbit/s down)"),
            (" lte ", "lte (70 ms, 12 Mbit/s up, 12 Mbit/s down)"),
            ("dsl", "dsl (50 ms, 384 kbit/s up, 1.5 Mbit/s down)"),
            ("lossy", "lossy (200 ms, 330 kbit/s up, 780 kbit/s down, 1 % lost)"),
            ("20ms,8mbit,8mbit", "a line (20 ms, 8 Mbit/s up, 8 Mbit/s down)"),
            ("0ms, 1gbit/s, 1gbit", "a line (0 ms, 1 Gbit/s up, 1 Gbit/s down)"),
            ("1s,1kbit,2kbit,500ms", "a line (1 s, 1 kbit/s up, 2 kbit/s down, ±500 ms)"),
            ("10ms,1mbit,1mbit,0ms,50%", "a line (10 ms, 1 Mbit/s up, 1 Mbit/s down, 50 % lost)"),
        ] {
            assert_eq!(network(text).to_string(), printed);
        }
    }

    #[test]
    fn what_is_wrong_with_a_network_is_said() {
        for (text, says) in [
            ("", "there are slow-3g, lossy, 3g, dsl, 4g, lte, and RTT,UP,DOWN[,JITTER[,LOSS]] like 100ms"),
            ("5g", "there are slow-3g, "),
            ("Slow-3G", "there are slow-3g, "),
            ("100ms,1mbit", "there are slow-3g, "),
            ("100ms,1mbit,1mbit,1ms,1%,1", "there are slow-3g, "),
            ("100,1mbit,1mbit", "\"100\" is not a round trip of at most 10s; write 100ms"),
            ("11s,1mbit,1mbit", "\"11s\" is not a round trip"),
            ("100ms,fast,1mbit", "\"fast\" is not a rate from 1kbit to 1gbit"),
            ("100ms,1mbit,2gbit", "\"2gbit\" is not a rate"),
            ("100ms,1mbit,1mbit,51ms", "\"51ms\" is not a jitter of at most half of the round trip (50ms)"),
            ("100ms,1mbit,1mbit,some", "\"some\" is not a jitter"),
            ("100ms,1mbit,1mbit,1ms,1", "\"1\" is not a share"),
            ("100ms,1mbit,1mbit,1ms,51%", "a loss of 51 % is more than 50 %"),
        ] {
            let error = text.parse::<Network>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("\"{text}\" is not a network: ")), "{error}");
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_exchange_takes_its_bytes_and_a_round_trip() {
        // 1 MB are 8,388,608 bits: 20.97152 s at 400 kbit/s. The answer's 8192 bits take 20.48 ms.
        let took = network("slow-3g").exchange(Bytes::mb(1));
        assert_eq!(took, Duration::from_micros(20_971_520 + 400_000 + 20_480));
        // Half is lost, so every byte is carried twice on average: 2 * 1 s and 8192 bits at 8 Mbit/s.
        let took = network("0ms,8mbit,8mbit,0ms,50%").exchange(Bytes(1_000_000));
        assert_eq!(took, Duration::from_micros(2_000_000 + 1024));
    }

    #[test]
    fn an_allowance_is_in_whole_seconds_and_covers_handshakes() {
        // 28 KB take 29 ms, the answer and the certificates 9 ms, five round trips 100 ms.
        assert_eq!(network("20ms,8mbit,8mbit").allowance(Bytes::kb(20)), Duration::from_secs(1));
        // 8 KB around 10 MB are 10,493,952 bytes: 209.88 s; the answer and the certificates 0.18 s; five round trips 2 s.
        assert_eq!(network("slow-3g").allowance(Bytes::mb(10)), Duration::from_secs(213));
        // 2 MB at 8 Mbit/s take 2.1 s downwards, round trips and certificates 0.5 s; upwards, 2 MB take 0.2 s.
        let uneven = network("100ms,100mbit,8mbit");
        assert_eq!(uneven.allowance_of_answer(Bytes::mb(2)), Duration::from_secs(3));
        assert_eq!(uneven.allowance(Bytes::mb(2)), Duration::from_secs(1));
    }

    #[test]
    fn a_name_tells_the_service_from_the_network_before_it() {
        let slow = network("slow-3g");
        let subject = name_over("http://h:8020".to_owned(), Some(&slow));
        assert_eq!(subject, "http://h:8020 over slow-3g (400 ms, 400 kbit/s up, 400 kbit/s down)");
        assert_eq!((service_of(&subject), network_of(&subject)), ("http://h:8020", Some(&*slow.to_string())));
        assert_eq!(name_over("stub".to_owned(), None), "stub");
        assert_eq!((service_of("stub"), network_of("stub")), ("stub", None));
    }
}
