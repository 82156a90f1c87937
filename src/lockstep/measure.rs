//! What a slice's value measures.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::{latency, printable};

/// The name of wall time in messages and records.
const WALL_TIME: &str = "wall_time";

/// What is compared. In messages and records it is its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Measure {
    /// Wall time in nanoseconds. The gate has a clock of its own to hold against it.
    #[default]
    WallTime,
    /// A count of something that grows with the work, by the worker's own word for it: `instructions`, `allocations`.
    Count(String),
}

impl From<String> for Measure {
    fn from(name: String) -> Self {
        match name.as_str() {
            // Workers of earlier builds tell the unit in place of a name.
            WALL_TIME | "ns" => Self::WallTime,
            _ => Self::Count(name),
        }
    }
}

impl From<Measure> for String {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::WallTime => WALL_TIME.to_owned(),
            Measure::Count(name) => name,
        }
    }
}

impl fmt::Display for Measure {
    /// What is counted, for people. Safe to print, wherever the name came from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WallTime => f.write_str("wall time"),
            Self::Count(name) => f.write_str(&printable(name)),
        }
    }
}

impl Measure {
    /// A value of it with its unit, for people.
    pub fn quantity(&self, value: f64) -> String {
        match self {
            // `latency` takes milliseconds.
            Self::WallTime => latency(Some(value / 1e6)),
            Self::Count(name) => format!("{value:.0} {}", printable(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_name_in_messages() {
        for (text, measure) in [
            (r#""wall_time""#, Measure::WallTime),
            (r#""instructions""#, Measure::Count("instructions".to_owned())),
        ] {
            assert_eq!(serde_json::from_str::<Measure>(text).expect("is one"), measure);
            assert_eq!(serde_json::to_string(&measure).expect("serialises"), text);
        }
        assert_eq!(serde_json::from_str::<Measure>(r#""ns""#).expect("is one"), Measure::WallTime);
    }

    #[test]
    fn a_value_has_its_unit() {
        assert_eq!(Measure::WallTime.quantity(105_000.0), "105 µs");
        assert_eq!(Measure::Count("allocations\u{1b}".to_owned()).quantity(12.4), r"12 allocations\u{1b}");
    }
}
