//! Quantities as people write them: byte counts (1 KB is 1024 B, 1 MB is 1024 KB), shares, times, checksums, instants,
//! days.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// A number of bytes, read from `512`, `10KB`, `1MB` or `2GB` and printed the same way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

// Largest first, for printing; and B last, as the others end with it too.
const UNITS: [(&str, u64); 4] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];

impl Bytes {
    /// `n` KB of 1024 bytes each.
    pub const fn kb(n: u64) -> Self {
        Self(n << 10)
    }

    /// `n` MB of 1024 KB each.
    pub const fn mb(n: u64) -> Self {
        Self(n << 20)
    }

    /// `n` GB of 1024 MB each.
    pub const fn gb(n: u64) -> Self {
        Self(n << 30)
    }
}

/// Error for a text that is not a byte count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a size; write a whole number with B, KB, MB or GB, like 10KB")]
pub struct NotASize(String);

impl FromStr for Bytes {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let upper = text.trim().to_ascii_uppercase();
        // A number alone is one of bytes.
        let (number, scale) = UNITS
            .iter()
            .find_map(|&(suffix, scale)| Some((upper.strip_suffix(suffix)?, scale)))
            .unwrap_or((&upper, 1));
        number
            .trim_end()
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(scale))
            .map(Self)
            .ok_or_else(|| NotASize(text.to_owned()))
    }
}

impl fmt::Display for Bytes {
    /// The largest unit that leaves a whole number, else two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 0 reaches no unit, and is printed in bytes.
        let (suffix, scale) = UNITS.into_iter().find(|&(_, scale)| self.0 >= scale).unwrap_or(("B", 1));
        if self.0.is_multiple_of(scale) {
            write!(f, "{} {suffix}", self.0 / scale)
        } else {
            write!(f, "{:.2} {suffix}", self.0 as f64 / scale as f64)
        }
    }
}

/// A share of a whole, read from `2%` or `2 %` (0.02) and printed the same way.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(pub f64);

/// Error for a text that is not a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a share; write a number from 0 to 100 with %, like 2%")]
pub struct NotAShare(String);

impl FromStr for Share {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        let number = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
        // NaN lies in no range.
        let share = number.filter(|number| (0.0..=100.0).contains(number)).map(|number| Self(number / 100.0));
        share.ok_or_else(|| NotAShare(text.to_owned()))
    }
}

impl fmt::Display for Share {
    /// To two decimals at most.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", 100.0 * self.0);
        write!(f, "{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A day of the calendar, in UTC, read from `2026-12-24` and printed the same way.
// Kept as its text: days written so are in the order of their texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(String);

/// Length of a day's text. Years of more than four digits would not be in the order of their texts.
const DAY_LENGTH: usize = 10;

/// Error for a text that is not a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a date; write year, month and day, like 2026-12-24")]
pub struct NotADay(String);

impl Day {
    /// The day of an instant.
    pub fn of(instant: OffsetDateTime) -> Self {
        let format = format_description!("[year]-[month]-[day]");
        let text = instant.date().format(format).expect("the format has only parts of a date");
        Self(text)
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let format = format_description!("[year]-[month]-[day]");
        // The calendar decides: 2026-02-30 has the form of a date, and is none.
        if text.len() == DAY_LENGTH && Date::parse(text, format).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotADay(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Day {
    type Error = NotADay;

    fn try_from(text: String) -> Result<Self, NotADay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a text from outside safe to print: control characters, marks that turn the direction of writing, and characters
/// that take no room become their escapes, so that it cannot rule a terminal or hide what it says.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

fn is_printable(character: char) -> bool {
    let invisible = matches!(character,
        // Zero-width characters and marks of direction; line and paragraph separators; the byte order mark.
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator, interlinear annotation, tags.
        | '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
    !character.is_control() && !invisible
}

/// A share of 1 as a change, with its sign: `+2.9 %`.
pub fn change(share: f64) -> String {
    if share.is_finite() { format!("{:+.1} %", 100.0 * share) } else { "not known".to_owned() }
}

/// Milliseconds in the unit that reads best.
pub fn latency(ms: Option<f64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms >= 1000.0 => format!("{} s", significant(ms / 1000.0)),
        Some(ms) if ms >= 1.0 || ms == 0.0 => format!("{} ms", significant(ms)),
        Some(ms) if ms >= 1e-3 => format!("{} µs", significant(ms * 1e3)),
        Some(ms) => format!("{} ns", significant(ms * 1e6)),
    }
}

/// Three significant digits at least, without an exponent.
pub fn significant(value: f64) -> String {
    let whole = value.fract() == 0.0;
    match value.abs() {
        // A limit of 50 ms is printed as it was written, and not as 50.0 ms.
        v if whole || v >= 100.0 => grouped(value.round() as u64),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number with a comma every three digits.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Cut off, not rounded: one failure in a million must not read as 100 %.
pub fn percent(value: f64) -> String {
    let text = format!("{:.4}", (value * 1e4).floor() / 1e4);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An instant as RFC 3339 has it, to the microsecond, in the service's own form: `+00:00` instead of `Z`.
pub fn rfc3339(instant: OffsetDateTime) -> String {
    let micros = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]\
         [offset_hour sign:mandatory]:[offset_minute]"
    );
    instant.format(micros).expect("the format has only parts of a date and time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kilobyte_has_1024_bytes() {
        assert_eq!("10KB".parse(), Ok(Bytes(10_240)));
        assert_eq!("1mb".parse(), Ok(Bytes(1_048_576)));
        assert_eq!("2 GB".parse(), Ok(Bytes::gb(2)));
        assert_eq!("512".parse(), Ok(Bytes(512)));
        assert_eq!("7B".parse(), Ok(Bytes(7)));
    }

    #[test]
    fn what_is_not_a_size_is_refused_by_name() {
        for text in ["", "KB", "-1", "1.5MB", "1TB", "99999999999GB"] {
            assert_eq!(text.parse::<Bytes>(), Err(NotASize(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_share_is_written_in_percent() {
        assert_eq!("2%".parse(), Ok(Share(0.02)));
        assert_eq!("0.5 %".parse(), Ok(Share(0.005)));
        for text in ["2", "%", "-1%", "101%", "nan%", "1e9%", ""] {
            assert_eq!(text.parse::<Share>(), Err(NotAShare(text.to_owned())), "{text}");
        }
        assert_eq!([0.02, 0.005, 0.1, 1.0].map(|s| Share(s).to_string()), ["2 %", "0.5 %", "10 %", "100 %"]);
    }

    #[test]
    fn a_change_has_its_sign() {
        assert_eq!([0.029, -0.001, f64::INFINITY].map(change), ["+2.9 %", "-0.1 %", "not known"]);
    }

    #[test]
    fn a_day_is_one_of_the_calendar_and_has_an_order() {
        let day: Day = "2026-12-24".parse().expect("is a day");
        assert_eq!(day.to_string(), "2026-12-24");
        let earlier: Day = "2026-09-30".parse().expect("is a day");
        assert!(earlier < day);
        assert_eq!(Day::of(OffsetDateTime::UNIX_EPOCH).to_string(), "1970-01-01");
        for text in ["", "2026-02-30", "2026-13-01", "24.12.2026", "2026-1-05", "+2026-01-5", "2026-12-24T"] {
            assert_eq!(text.parse::<Day>(), Err(NotADay(text.to_owned())), "{text}");
        }
        assert_eq!(serde_json::to_string(&day).expect("serialises"), "\"2026-12-24\"");
        assert!(serde_json::from_str::<Day>("\"2026-02-30\"").is_err());
    }

    #[test]
    fn what_rules_a_terminal_is_shown_as_its_escape() {
        assert_eq!(printable("head (v1.2) µs é 日本"), "head (v1.2) µs é 日本");
        assert_eq!(printable("a\u{1b}[31mb\r\n"), r"a\u{1b}[31mb\u{d}\u{a}");
        assert_eq!(printable("x\u{202e}y\u{2028}\u{200b}\u{feff}"), r"x\u{202e}y\u{2028}\u{200b}\u{feff}");
    }

    #[test]
    fn whole_units_print_without_decimals() {
        assert_eq!(Bytes::mb(10).to_string(), "10 MB");
        assert_eq!(Bytes(1536).to_string(), "1.50 KB");
        assert_eq!(Bytes(0).to_string(), "0 B");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            (latency(Some(0.0183)), latency(Some(1500.0))),
            ("18.3 µs".to_owned(), "1.50 s".to_owned())
        );
        assert_eq!(
            (latency(Some(0.000_033_4)), latency(Some(0.0))),
            ("33.4 ns".to_owned(), "0 ms".to_owned())
        );
        // 99.97 stays below 100, so it keeps its one digit.
        assert_eq!((latency(Some(0.13456)), significant(99.97)), ("135 µs".to_owned(), "100.0".to_owned()));
        assert_eq!((percent(99.999_98), percent(100.0)), ("99.9999 %".to_owned(), "100 %".to_owned()));
        assert_eq!((percent(91.25), percent(0.0)), ("91.25 %".to_owned(), "0 %".to_owned()));
    }
}
