//! Takes a reading of memory every now and then, beside the load.

use std::time::{Duration, Instant};

use super::counted::OperationCounts;
use super::memory::MemoryError;
use crate::leak::MemorySample;
use crate::units::Bytes;

/// Time between two readings. More of them would not tell more, and for each one a tree of processes may have to be listed.
const EVERY: Duration = Duration::from_millis(150);
/// Most readings of a run: in one of more than 50 minutes there is more time between them.
const MOST_READINGS: u32 = 20_000;
/// So many readings that fail one after the other end the run: about a second, for which a busy service may well be late.
const PATIENCE: u32 = 6;

/// Reads memory, and remembers what was read.
pub struct Sampler<R> {
    read: R,
    counts: OperationCounts,
    every: Duration,
    /// When the load began, and when the next reading is due.
    started: Instant,
    next: Instant,
    samples: Vec<MemorySample>,
    failures_in_a_row: u32,
    last_failure: Option<MemoryError>,
}

/// All readings, and what ended them before the load did.
pub struct Sampled {
    pub samples: Vec<MemorySample>,
    pub gone: Option<MemoryError>,
}

impl<R: FnMut() -> Result<Bytes, MemoryError>> Sampler<R> {
    /// Reads from `now` on, beside a load that lasts this long and whose operations are counted.
    pub fn new(read: R, counts: OperationCounts, lasting: Duration, now: Instant) -> Self {
        Self {
            read,
            counts,
            every: EVERY.max(lasting / MOST_READINGS),
            started: now,
            next: now,
            samples: Vec::new(),
            failures_in_a_row: 0,
            last_failure: None,
        }
    }

    /// Takes a reading if one is due, and returns it.
    pub fn look(&mut self, now: Instant) -> Option<MemorySample> {
        if now < self.next {
            return None;
        }
        // From now and not from when it was due: readings that were missed are not made up for at once.
        self.next = now + self.every;
        // Counted first: operations that end while memory is read would be too many.
        let operations = self.counts.ended();
        match (self.read)() {
            Ok(bytes) => {
                self.failures_in_a_row = 0;
                let at_ms = now.duration_since(self.started).as_millis() as u64;
                let sample = MemorySample { at_ms, operations, bytes: bytes.0 };
                self.samples.push(sample);
                Some(sample)
            }
            Err(error) => {
                self.failures_in_a_row += 1;
                self.last_failure = Some(error);
                None
            }
        }
    }

    /// Whether memory can still be read.
    pub fn goes_on(&self) -> bool {
        self.failures_in_a_row < PATIENCE
    }

    /// Ends with the load.
    pub fn finish(self) -> Sampled {
        let gone = if self.goes_on() { None } else { self.last_failure };
        Sampled { samples: self.samples, gone }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn failed() -> Result<Bytes, MemoryError> {
        Err(MemoryError::Process { pid: 7, source: io::Error::other("gone") })
    }

    /// Times of the readings of a load that lasts this long, when it is looked at every 10 ms for a second.
    fn times(lasting: Duration) -> Vec<u64> {
        let start = Instant::now();
        let mut sampler = Sampler::new(|| Ok(Bytes(5)), OperationCounts::default(), lasting, start);
        for look in 0..100 {
            sampler.look(start + MS(10 * look));
        }
        sampler.finish().samples.iter().map(|sample| sample.at_ms).collect()
    }

    #[test]
    fn memory_is_read_every_150_ms_and_in_long_runs_less_often() {
        assert_eq!(times(Duration::from_secs(60)), [0, 150, 300, 450, 600, 750, 900]);
        // An hour and 40 minutes are 6,000 s, or 20,000 times 300 ms.
        assert_eq!(times(Duration::from_secs(6000)), [0, 300, 600, 900]);
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let start = Instant::now();
        let mut sampler = Sampler::new(|| Ok(Bytes(5)), OperationCounts::default(), Duration::ZERO, start);
        assert!(sampler.look(start).is_some());
        assert!(sampler.look(start + MS(1000)).is_some());
        assert!(sampler.look(start + MS(1010)).is_none());
        let last = sampler.look(start + MS(1150)).expect("is due");
        assert_eq!(last, MemorySample { at_ms: 1150, operations: 0, bytes: 5 });
    }

    #[test]
    fn six_failures_in_a_row_end_it_and_fewer_do_not() {
        let start = Instant::now();
        let mut readings = 0;
        // The sixth one is well, and all others fail.
        let mut sampler = Sampler::new(
            || {
                readings += 1;
                if readings == 6 { Ok(Bytes(5)) } else { failed() }
            },
            OperationCounts::default(),
            Duration::ZERO,
            start,
        );
        for reading in 0..11 {
            sampler.look(start + MS(150 * reading));
            assert!(sampler.goes_on(), "{reading}");
        }
        sampler.look(start + MS(150 * 11));
        assert!(!sampler.goes_on());
        let sampled = sampler.finish();
        assert_eq!(sampled.samples.len(), 1);
        assert!(sampled.gone.expect("it has gone").to_string().contains("process 7: gone"));
    }
}
