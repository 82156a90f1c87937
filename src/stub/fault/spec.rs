//! Faults as texts, like `delay=50ms,share=10%`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::api::INGESTER_ROUTE;
use crate::units::{Bytes, Share};

/// Shortest time that a timer with steps of 1 ms can keep.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longest time: no client waits for that long.
pub const LONGEST: Duration = Duration::from_secs(3600);
/// Smallest share: printed with four decimals, a smaller one would read as 0%.
const SMALLEST_SHARE: f64 = 1e-6;
/// Most that is kept of one request: a service that keeps more has no memory left before anybody has looked.
const MOST_KEPT: Bytes = Bytes::mb(1);
/// Every kind of fault, for messages.
const KINDS: &str = "there are delay=50ms, delay=uniform:10ms..50ms, delay=exp:20ms, leak=1KB, stall=30s, status=503, \
                     reset, truncate, flip, full and down, each of them with ,share=5% or ,route=/health/* or both";

/// A fault, the share of requests that it hits, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSpec {
    pub(super) kind: FaultKind,
    /// Above 0 and up to 1.
    pub(super) share: f64,
    pub(super) route: FaultRoute,
}

/// What is done to a request that is hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum FaultKind {
    /// Waits before anything of the request is looked at.
    Delay(DelayTime),
    /// Keeps so much memory for ever.
    Leak(Bytes),
    /// Sends half of the answer, waits, and sends the rest.
    Stall(Duration),
    /// Answers with this status, from 400 to 599, in the handler's place.
    Status(u16),
    /// Reads a part of the body, and resets the connection.
    Reset,
    /// Announces the whole answer, sends half of it, and closes.
    Truncate,
    /// Sends the whole answer, with one wrong bit.
    Flip,
    /// Has the storage fail.
    Storage(StorageFault),
}

/// How a storage fails that was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageFault {
    /// It has no room left: 507.
    Full,
    /// It does not answer: 502.
    Down,
}

/// How long a delay takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DelayTime {
    Fixed(Duration),
    /// Anything from the first to the second, each as likely as the others.
    Uniform(Duration, Duration),
    /// From the exponential distribution with this mean.
    Exponential(Duration),
}

/// The paths on which a fault acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FaultRoute {
    Path(String),
    /// All paths that begin with this.
    Prefix(String),
    /// All paths with one segment between these.
    Between {
        /// What comes before it, with the slash.
        before: String,
        /// What comes after it, with the slash.
        after: String,
    },
}

/// Error for a text that does not describe a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a fault: {problem}")]
pub struct NotAFault {
    text: String,
    problem: String,
}

impl DelayTime {
    /// The length of one delay, by a random number from 0 up to 1.
    pub fn at(self, random: f64) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::Uniform(from, to) => from + (to - from).mul_f64(random),
            // By inversion. The number never reaches 1, so the logarithm is finite.
            Self::Exponential(mean) => mean.mul_f64((1.0 / (1.0 - random)).ln()),
        }
    }
}

impl FaultRoute {
    /// Uploads, where faults act unless they say otherwise.
    fn uploads() -> Self {
        Self::Path(format!("/{INGESTER_ROUTE}"))
    }

    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Path(own) => own == path,
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Between { before, after } => {
                let rest = path.strip_prefix(before.as_str());
                let segment = rest.and_then(|rest| rest.strip_suffix(after.as_str()));
                segment.is_some_and(|segment| !segment.is_empty() && !segment.contains('/'))
            }
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let route = if let Some((before, after)) = text.split_once("/*/") {
            Self::Between { before: format!("{before}/"), after: format!("/{after}") }
        } else if let Some(prefix) = text.strip_suffix('*') {
            Self::Prefix(prefix.to_owned())
        } else {
            Self::Path(text.to_owned())
        };
        let is_sound = match &route {
            Self::Path(path) | Self::Prefix(path) => is_plain_path(path),
            Self::Between { before, after } => is_plain_path(before) && is_plain_path(after),
        };
        if !is_sound {
            return Err(format!(
                "\"{text}\" is not a route; write a path like /{INGESTER_ROUTE}, a prefix of it like /api/*, or one with any \
                 segment like /api/*/status"
            ));
        }
        Ok(route)
    }
}

/// Whether this can be a part of a route. Requests are matched by their path alone, so a route with a query would never be met.
fn is_plain_path(text: &str) -> bool {
    let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_path && !text.contains(['*', '?', '#'])
}

impl FromStr for FaultSpec {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        parse(text).map_err(|problem| NotAFault { text: text.to_owned(), problem })
    }
}

fn parse(text: &str) -> Result<FaultSpec, String> {
    let mut parts = text.split(',').map(str::trim);
    let kind = parse_kind(parts.next().unwrap_or_default())?;
    let mut share = None;
    let mut route = None;
    for part in parts {
        let twice = match part.split_once('=') {
            Some(("share", value)) => share.replace(parse_share(value)?).is_some(),
            Some(("route", value)) => route.replace(FaultRoute::parse(value)?).is_some(),
            _ => return Err(format!("\"{part}\" says nothing about it; write share=5% or route=/health/*")),
        };
        if twice {
            return Err(format!("\"{part}\" is the second of its kind; write one"));
        }
    }
    // A storage is asked by uploads, and does not know by which route they came.
    if matches!(kind, FaultKind::Storage(_)) && route.is_some() {
        return Err("it acts in the storage, where there are no routes; leave the route out".to_owned());
    }
    Ok(FaultSpec { kind, share: share.unwrap_or(1.0), route: route.unwrap_or_else(FaultRoute::uploads) })
}

fn parse_kind(text: &str) -> Result<FaultKind, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    match (name, value) {
        ("delay", Some(value)) => Ok(FaultKind::Delay(parse_delay(value)?)),
        ("leak", Some(value)) => Ok(FaultKind::Leak(parse_kept(value)?)),
        ("stall", Some(value)) => Ok(FaultKind::Stall(parse_time(value, SHORTEST)?)),
        ("status", Some(value)) => match value.parse() {
            Ok(status @ 400..=599) => Ok(FaultKind::Status(status)),
            _ => Err(format!("\"{value}\" is not an error's status; write one from 400 to 599, like 503")),
        },
        ("reset", None) => Ok(FaultKind::Reset),
        ("truncate", None) => Ok(FaultKind::Truncate),
        ("flip", None) => Ok(FaultKind::Flip),
        ("full", None) => Ok(FaultKind::Storage(StorageFault::Full)),
        ("down", None) => Ok(FaultKind::Storage(StorageFault::Down)),
        _ => Err(KINDS.to_owned()),
    }
}

fn parse_delay(text: &str) -> Result<DelayTime, String> {
    match text.split_once(':') {
        None => Ok(DelayTime::Fixed(parse_time(text, SHORTEST)?)),
        Some(("exp", mean)) => Ok(DelayTime::Exponential(parse_time(mean, SHORTEST)?)),
        Some(("uniform", range)) => {
            let (from, to) = range
                .split_once("..")
                .ok_or_else(|| format!("\"{range}\" is not a range of times; write 10ms..50ms"))?;
            let from = parse_time(from, Duration::ZERO)?;
            let to = parse_time(to, SHORTEST)?;
            if from >= to {
                return Err(format!("\"{range}\" does not go upwards; write 10ms..50ms"));
            }
            Ok(DelayTime::Uniform(from, to))
        }
        Some((other, _)) => {
            Err(format!("\"{other}\" is not a distribution; write uniform:10ms..50ms or exp:20ms"))
        }
    }
}

fn parse_time(text: &str, shortest: Duration) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| (shortest..=LONGEST).contains(time));
    time.ok_or_else(|| format!("\"{text}\" is not a time from 1ms to 1h; write 50ms, 2s or 1m"))
}

fn parse_kept(text: &str) -> Result<Bytes, String> {
    let kept = text.parse::<Bytes>().ok().filter(|kept| (Bytes(1)..=MOST_KEPT).contains(kept));
    kept.ok_or_else(|| format!("\"{text}\" is not a size from 1B to 1MB; write 1KB"))
}

fn parse_share(text: &str) -> Result<f64, String> {
    let Share(share) = text.parse::<Share>().map_err(|e| e.to_string())?;
    if share < SMALLEST_SHARE {
        return Err(format!(
            "a share of {text} hits nothing; write at least 0.0001%, or leave the fault out"
        ));
    }
    Ok(share)
}

impl fmt::Display for FaultSpec {
    /// As it is read, without a space: variables separate faults by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.share < 1.0 {
            let percent = format!("{:.4}", 100.0 * self.share);
            write!(f, ",share={}%", percent.trim_end_matches('0').trim_end_matches('.'))?;
        }
        if self.route == FaultRoute::uploads() {
            return Ok(());
        }
        match &self.route {
            FaultRoute::Path(path) => write!(f, ",route={path}"),
            FaultRoute::Prefix(prefix) => write!(f, ",route={prefix}*"),
            FaultRoute::Between { before, after } => write!(f, ",route={before}*{after}"),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(DelayTime::Fixed(time)) => write!(f, "delay={}", short(*time)),
            Self::Delay(DelayTime::Uniform(from, to)) => {
                write!(f, "delay=uniform:{}..{}", short(*from), short(*to))
            }
            Self::Delay(DelayTime::Exponential(mean)) => write!(f, "delay=exp:{}", short(*mean)),
            Self::Leak(kept) => write!(f, "leak={}", exact(*kept)),
            Self::Stall(time) => write!(f, "stall={}", short(*time)),
            Self::Status(status) => write!(f, "status={status}"),
            Self::Reset => f.write_str("reset"),
            Self::Truncate => f.write_str("truncate"),
            Self::Flip => f.write_str("flip"),
            Self::Storage(StorageFault::Full) => f.write_str("full"),
            Self::Storage(StorageFault::Down) => f.write_str("down"),
        }
    }
}

/// A time without the spaces between its units.
fn short(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}

/// A size to the byte, without a space.
fn exact(size: Bytes) -> String {
    let text = size.to_string().replace(' ', "");
    // With decimals it is rounded, and could not be read.
    if text.contains('.') { format!("{}B", size.0) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> FaultSpec {
        text.parse().expect(text)
    }

    /// Why this is not a fault.
    fn problem(text: &str) -> String {
        text.parse::<FaultSpec>().expect_err(text).to_string()
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn every_kind_is_printed_as_it_is_read() {
        for text in [
            "delay=50ms",
            "delay=1m30s",
            "delay=1ms500us",
            "delay=uniform:10ms..50ms",
            "delay=uniform:0s..1s",
            "delay=exp:20ms",
            "leak=1KB",
            "leak=1536B",
            "leak=1MB,share=50%,route=/health/*",
            "stall=30s",
            "status=503",
            "reset",
            "truncate",
            "full",
            "down",
            "reset,share=7%",
            "full,share=0.0001%",
            "down,share=12.5%",
            "delay=50ms,share=0.1%,route=/health/*",
            "truncate,route=/",
            "flip,route=/files/*/download",
            "status=400,route=/*",
        ] {
            assert_eq!(spec(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_usual_is_not_printed() {
        let spec = spec("delay=0.05s , route=/api/v1/files/upload , share=100 %");
        assert_eq!(spec.to_string(), "delay=50ms");
        assert_eq!("delay=50ms".parse(), Ok(spec));
    }

    #[test]
    fn a_printed_fault_is_the_same_fault() {
        for text in ["reset,share=7%", "down,share=33.3333%", "full,share=0.29%", "delay=uniform:1us..1h"] {
            let spec = spec(text);
            assert_eq!(spec.to_string().parse(), Ok(spec), "{text}");
        }
    }

    #[test]
    fn an_unknown_fault_is_told_what_there_is() {
        for text in
            ["", "slow", "delay", "leak", "stall", "status", "reset=1", "truncate=50%", "full=", "Delay=1s"]
        {
            let problem = problem(text);
            let start = format!("\"{text}\" is not a fault: there are delay=50ms, ");
            assert!(problem.starts_with(&start), "{problem}");
            assert!(
                problem.contains("stall=30s, status=503, reset, truncate, flip, full and down"),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (text, says) in [
            ("delay=soon", "\"soon\" is not a time from 1ms to 1h; write 50ms"),
            ("delay=999us", "\"999us\" is not a time"),
            ("stall=61m", "\"61m\" is not a time"),
            ("delay=exp:0s", "\"0s\" is not a time"),
            ("delay=normal:5ms", "\"normal\" is not a distribution; write uniform:10ms..50ms or exp:20ms"),
            ("delay=uniform:5ms", "\"5ms\" is not a range of times; write 10ms..50ms"),
            ("delay=uniform:5ms..5ms", "does not go upwards"),
            ("leak=0B", "\"0B\" is not a size from 1B to 1MB; write 1KB"),
            ("leak=1025KB", "\"1025KB\" is not a size"),
            ("leak=some", "\"some\" is not a size"),
            ("status=200", "\"200\" is not an error's status; write one from 400 to 599"),
            ("status=600", "\"600\" is not an error's status"),
            ("reset,share=5", "\"5\" is not a share"),
            ("reset,share=101%", "\"101%\" is not a share"),
            ("reset,share=0%", "a share of 0% hits nothing"),
            ("reset,share=0.00009%", "a share of 0.00009% hits nothing"),
            ("reset,route=health", "\"health\" is not a route; write a path like /api/v1/files/upload"),
            ("reset,route=*", "\"*\" is not a route"),
            ("reset,route=/a*b", "\"/a*b\" is not a route"),
            ("reset,route=/a/*/b/*", "\"/a/*/b/*\" is not a route"),
            ("reset,route=/a?b=c", "\"/a?b=c\" is not a route"),
            ("reset,route=/a b", "\"/a b\" is not a route"),
            ("reset,5%", "\"5%\" says nothing about it; write share=5% or route="),
            ("reset,", "\"\" says nothing about it"),
            ("reset,share=5%,share=5%", "\"share=5%\" is the second of its kind"),
            ("full,route=/health/*", "acts in the storage"),
        ] {
            let problem = problem(text);
            assert!(problem.starts_with(&format!("\"{text}\" is not a fault: ")), "{problem}");
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn a_route_is_a_path_or_a_prefix_or_has_any_segment() {
        let uploads = spec("reset").route;
        assert!(uploads.matches("/api/v1/files/upload"));
        assert!(!uploads.matches("/api/v1/files/upload/x") && !uploads.matches("/api/v1/files/"));
        let health = spec("reset,route=/health/*").route;
        assert!(health.matches("/health/live") && health.matches("/health/"));
        assert!(!health.matches("/health") && !health.matches("/api/v1/files/upload"));
        assert!(spec("reset,route=/*").route.matches("/anything"));
        let downloads = spec("flip,route=/files/*/download").route;
        assert!(downloads.matches("/files/7/download"));
        for other in ["/files/download", "/files//download", "/files/7/8/download", "/files/7"] {
            assert!(!downloads.matches(other), "{other}");
        }
    }

    #[test]
    fn a_delay_follows_its_distribution() {
        let fixed = DelayTime::Fixed(ms(50));
        assert_eq!([0.0, 0.9].map(|random| fixed.at(random)), [ms(50), ms(50)]);
        let uniform = DelayTime::Uniform(ms(10), ms(50));
        // A quarter of the way from 10 to 50 ms.
        assert_eq!([0.0, 0.25, 0.5].map(|random| uniform.at(random)), [ms(10), ms(20), ms(30)]);
        // The quantile of 1 - exp(-x / 20 ms) at 1/2 is 20 ms * ln 2 = 13.8629 ms; at 0 it is 0.
        let exponential = DelayTime::Exponential(ms(20));
        assert_eq!(exponential.at(0.0), Duration::ZERO);
        assert!((exponential.at(0.5).as_secs_f64() - 0.013_862_9).abs() < 1e-7);
        // The largest random number below 1: 53 ln 2 = 36.7 times the mean.
        let largest = 1.0 - 0.5_f64.powi(53);
        assert!((exponential.at(largest).as_secs_f64() - 0.734_736).abs() < 1e-5);
    }
}
