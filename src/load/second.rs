//! The run second by second. A worker keeps a histogram of the second under way only; those that are over are packed.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::recording::{
    Class, MOST, Samples, add_packed, count_packed, from_text, pack, to_text, unpack, unpack_sum,
};

/// One second of a run, with what began and ended in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Counted from the start of the run, from 0.
    pub index: u64,
    /// Requests that were due and began.
    pub begun: u64,
    /// Successes.
    pub ok: u64,
    /// Failures.
    pub failed: u64,
    /// The same by class. Empty in records of earlier versions, which have their sum only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<Class, u64>,
    /// Requests under way at its end.
    pub in_flight: u64,
    /// Longest send delay of the requests that ended in it, in ns. 0 in records of earlier versions.
    #[serde(default)]
    pub send_delay_max_ns: u64,
    /// Response times of the successes, summed, in ns.
    pub ok_ns: u128,
    /// Response times of the successes, in ns: an HDR histogram (V2), in files as base64. Empty where there were none.
    #[serde(rename = "histogram", serialize_with = "write_packed", deserialize_with = "read_packed")]
    packed: Vec<u8>,
}

impl Second {
    /// Response times of the successes, in ns.
    pub fn histogram(&self) -> Histogram<u64> {
        if self.packed.is_empty() {
            return Samples::default().histogram().clone();
        }
        unpack_sum(&self.packed).expect("it was packed by this program, or looked at when it was read")
    }

    /// A second in which nothing happened.
    pub(super) fn empty(index: u64) -> Self {
        Self {
            index,
            begun: 0,
            ok: 0,
            failed: 0,
            failures: BTreeMap::new(),
            in_flight: 0,
            send_delay_max_ns: 0,
            ok_ns: 0,
            packed: Vec::new(),
        }
    }

    /// Whether its counts are possible, as those of a file need not be.
    pub(super) fn is_sound(&self) -> bool {
        let others = [self.begun, self.failed, self.in_flight];
        // Those of a file may be any numbers, of which the sum may be too large.
        let by_class = self.failures.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        self.ok == count_packed(&self.packed)
            && others.iter().all(|count| *count <= MOST)
            && (self.failures.is_empty() || by_class == self.failed)
    }

    /// Adds the same second of another worker, or of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.begun += other.begun;
        self.ok += other.ok;
        self.failed += other.failed;
        for (class, count) in &other.failures {
            *self.failures.entry(*class).or_default() += count;
        }
        self.in_flight += other.in_flight;
        self.send_delay_max_ns = self.send_delay_max_ns.max(other.send_delay_max_ns);
        // A file may hold any number.
        self.ok_ns = self.ok_ns.saturating_add(other.ok_ns);
        if self.packed.is_empty() {
            self.packed.clone_from(&other.packed);
        } else if !other.packed.is_empty() {
            self.packed = add_packed(&self.packed, &other.packed);
        }
    }
}

/// The second under way.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    index: u64,
    begun: u64,
    failed: u64,
    failures: BTreeMap<Class, u64>,
    send_delay_max: Duration,
    ok: Samples,
}

impl Seconds {
    /// Counts a request that begins.
    pub fn begun(&mut self) {
        self.begun += 1;
    }

    /// Counts a request that has ended, well or with a failure of this class.
    pub fn ended(&mut self, response: Duration, send_delay: Duration, failure: Option<Class>) {
        self.send_delay_max = self.send_delay_max.max(send_delay);
        match failure {
            None => self.ok.record(response),
            Some(class) => {
                self.failed += 1;
                *self.failures.entry(class).or_default() += 1;
            }
        }
    }

    /// The second under way if it is before `now`; call it until there is none.
    pub fn over(&mut self, now: u64, in_flight: u64) -> Option<Second> {
        if self.index >= now {
            return None;
        }
        Some(self.take(in_flight))
    }

    /// The last second, if something happened in it.
    pub fn finish(mut self, in_flight: u64) -> Option<Second> {
        // The last second may have only just begun, with nothing in it.
        if self.begun + self.failed + self.ok.count() + in_flight == 0 {
            return None;
        }
        Some(self.take(in_flight))
    }

    /// Takes the second under way, and begins the next.
    fn take(&mut self, in_flight: u64) -> Second {
        let packed = if self.ok.count() > 0 { pack(self.ok.histogram()) } else { Vec::new() };
        let second = Second {
            index: self.index,
            begun: self.begun,
            ok: self.ok.count(),
            failed: self.failed,
            failures: std::mem::take(&mut self.failures),
            in_flight,
            send_delay_max_ns: u64::try_from(self.send_delay_max.as_nanos()).unwrap_or(u64::MAX),
            ok_ns: self.ok.sum_ns(),
            packed,
        };
        // Cleared and not replaced: the histogram's memory is used again.
        self.ok.clear();
        self.index += 1;
        self.begun = 0;
        self.failed = 0;
        self.send_delay_max = Duration::ZERO;
        second
    }
}

fn write_packed<S: Serializer>(packed: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(packed))
}

fn read_packed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let packed = from_text(&String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    // Looked at once, here, so that what is read later cannot fail.
    if !packed.is_empty() {
        unpack(&packed).map_err(D::Error::custom)?;
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// A second in which these requests ended, each begun a tenth of its time late; the one of 13 ms was reset.
    fn second(latencies: &[u64]) -> Second {
        let mut seconds = Seconds::default();
        for &ms in latencies {
            let failure = if ms == 13 { Some(Class::Reset) } else { None };
            seconds.ended(MS(ms), MS(ms) / 10, failure);
        }
        seconds.over(1, 2).expect("is over")
    }

    #[test]
    fn a_second_without_anything_is_there_too() {
        let mut seconds = Seconds::default();
        seconds.begun();
        seconds.ended(MS(5), MS(0), None);
        assert_eq!(seconds.over(0, 0), None);
        let over: Vec<_> = std::iter::from_fn(|| seconds.over(3, 1)).collect();
        let summary: Vec<_> = over.iter().map(|s| (s.index, s.begun, s.ok, s.in_flight)).collect();
        assert_eq!(summary, [(0, 1, 1, 1), (1, 0, 0, 1), (2, 0, 0, 1)]);
        assert_eq!((over[0].histogram().len(), over[1].histogram().len()), (1, 0));
        assert_eq!(seconds.finish(0), None);
    }

    #[test]
    fn seconds_of_two_workers_add_up() {
        let mut merged = second(&[1, 2, 13]);
        merged.merge(&second(&[]));
        merged.merge(&second(&[2, 3]));
        assert_eq!(merged.histogram(), second(&[1, 2, 2, 3]).histogram());
        // Two under way in each of three workers, and 1 + 2 + 2 + 3 = 8 ms in all.
        assert_eq!((merged.ok, merged.failed, merged.in_flight, merged.ok_ns), (4, 1, 6, 8_000_000));
        // 1.3 ms of the one that failed.
        assert_eq!(
            (merged.failures.clone(), merged.send_delay_max_ns),
            (BTreeMap::from([(Class::Reset, 1)]), 1_300_000)
        );
        let mut empty = second(&[]);
        empty.merge(&second(&[7]));
        assert_eq!(empty.histogram(), second(&[7]).histogram());
    }

    #[test]
    fn the_next_second_begins_without_the_failures_of_this_one() {
        let mut seconds = Seconds::default();
        seconds.ended(MS(13), MS(2), Some(Class::Timeout));
        let first = seconds.over(2, 0).expect("is over");
        let next = seconds.over(2, 0).expect("is over");
        assert_eq!((first.failed, first.failures), (1, BTreeMap::from([(Class::Timeout, 1)])));
        assert_eq!((next.failed, next.failures.len(), next.send_delay_max_ns), (0, 0, 0));
    }

    #[test]
    fn classes_of_a_file_have_to_come_to_its_failures() {
        let mut read = second(&[1, 13]);
        assert!(read.is_sound());
        read.failures.insert(Class::Timeout, u64::MAX);
        assert!(!read.is_sound());
        // As an earlier version wrote it.
        read.failures.clear();
        assert!(read.is_sound());
    }
}
