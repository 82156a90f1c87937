//! Rates in bits a second.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A rate, read from `400kbit`, `1.6mbit` or `1gbit`, with or without `/s` behind it. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitRate(u64);

/// A unit of rates.
struct Unit {
    /// As it is read.
    suffix: &'static str,
    /// As it is printed.
    name: &'static str,
    /// In bits a second; thousands, as every provider counts them.
    bits: u64,
}

/// Largest first, for printing.
const UNITS: [Unit; 3] = [
    Unit { suffix: "gbit", name: "Gbit/s", bits: 1_000_000_000 },
    Unit { suffix: "mbit", name: "Mbit/s", bits: 1_000_000 },
    Unit { suffix: "kbit", name: "kbit/s", bits: 1000 },
];
/// Slowest rate: on a slower line, a request's head alone takes longer than services wait for it.
const SLOWEST: u64 = 1000;
/// Fastest rate. Loopback itself is not much faster, so a line beyond it would be no simulation.
const FASTEST: u64 = 1_000_000_000;

/// Error for a text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a rate from 1kbit to 1gbit (a second); write 400kbit or 1.6mbit")]
pub(super) struct NotABitRate(String);

impl BitRate {
    /// So many times 1000 bits a second.
    pub const fn kbit(thousands: u64) -> Self {
        assert!(thousands > 0, "a line that carries nothing is none");
        Self(thousands * 1000)
    }

    /// Time that so many bytes take.
    pub fn time_of(self, bytes: u64) -> Duration {
        // In 128 bits: from 2.3 GB on, the product exceeds 64.
        let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Bytes that pass in this time.
    pub fn bytes_in(self, time: Duration) -> u64 {
        let bytes = time.as_nanos() * u128::from(self.0) / 8_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl FromStr for BitRate {
    type Err = NotABitRate;

    fn from_str(text: &str) -> Result<Self, NotABitRate> {
        let lower = text.trim().to_ascii_lowercase();
        let short = lower.strip_suffix("/s").unwrap_or(&lower);
        for unit in UNITS {
            let Some(number) = short.strip_suffix(unit.suffix) else { continue };
            let number: Result<f64, _> = number.trim_end().parse();
            let bits = number.map_or(f64::NAN, |number| (number * unit.bits as f64).round());
            // NaN, which Rust reads as a number as well, lies in no range.
            if (SLOWEST as f64..=FASTEST as f64).contains(&bits) {
                return Ok(Self(bits as u64));
            }
        }
        Err(NotABitRate(text.to_owned()))
    }
}

impl fmt::Display for BitRate {
    /// In the largest unit of which there is a whole one, with three decimals at most.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., smallest] = &UNITS;
        let unit = UNITS.iter().find(|unit| self.0 >= unit.bits).unwrap_or(smallest);
        let text = format!("{:.3}", self.0 as f64 / unit.bits as f64);
        write!(f, "{} {}", text.trim_end_matches('0').trim_end_matches('.'), unit.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> BitRate {
        text.parse().expect(text)
    }

    #[test]
    fn a_rate_is_printed_in_the_unit_that_reads_best() {
        for (text, printed) in [
            ("400kbit", "400 kbit/s"),
            ("1.6mbit", "1.6 Mbit/s"),
            ("1600 kbit/s", "1.6 Mbit/s"),
            ("12Mbit", "12 Mbit/s"),
            ("0.384mbit", "384 kbit/s"),
            ("1gbit/s", "1 Gbit/s"),
            ("1kbit", "1 kbit/s"),
        ] {
            assert_eq!(rate(text).to_string(), printed);
        }
    }

    #[test]
    fn what_is_not_a_rate_is_refused_by_name() {
        for text in
            ["", "400", "400kb", "kbit", "-1mbit", "0mbit", "0.9kbit", "1.1gbit", "nanmbit", "infmbit"]
        {
            assert_eq!(text.parse::<BitRate>(), Err(NotABitRate(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn bytes_take_eight_bits_each() {
        // 50,000 bytes are 400,000 bits.
        assert_eq!(rate("400kbit").time_of(50_000), Duration::from_secs(1));
        assert_eq!(BitRate::kbit(8000).time_of(1448), Duration::from_micros(1448));
        assert_eq!(rate("400kbit").bytes_in(Duration::from_millis(400)), 20_000);
        // 4 GB at 1 kbit/s: 2^35 bits, a little more than a year.
        assert_eq!(rate("1kbit").time_of(1 << 32), Duration::from_micros(34_359_738_368_000));
    }
}
