//! Conditions of the machine during a measurement: time that was stolen, work that had to wait, and how fast a fixed loop
//! ran.

use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// Bytes hashed by the calibration loop. That takes some 40 µs, which is short against the 12 ms of a block.
const HASHED: usize = 64 << 10;
/// `/proc/stat` counts in hundredths of a second on every Linux (`USER_HZ`, see proc(5)).
pub(super) const TICK_MS: u64 = 10;

/// The state of the machine since the reading before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Time in which the host ran something else than this virtual machine, in ms over all cores.
    pub stolen_ms: u64,
    /// Time in which something that could run had to wait for a core, in µs (pressure stall information, "some").
    pub pressure_us: u64,
    /// Duration of the calibration loop in ns.
    pub loop_ns: u64,
}

/// Reads the conditions again and again. Where the system tells nothing (not Linux, or an old kernel), the two counters
/// stay 0.
#[derive(Debug)]
pub struct ConditionsMeter {
    stolen_ms: u64,
    pressure_us: u64,
    buffer: Vec<u8>,
    cores: usize,
}

impl ConditionsMeter {
    /// Counts from now on.
    pub fn start() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            stolen_ms: stolen_ms(),
            pressure_us: pressure_us(),
            buffer: vec![0; HASHED],
            // 0 where the system tells nothing, and shares are computed by it.
            cores: cores(&stat).max(1),
        }
    }

    /// Number of cores of the machine, over which stolen time is added up.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// The conditions since the last call, or since the start.
    pub fn read(&mut self) -> Conditions {
        let started = Instant::now();
        // Nobody uses the digest, and what nobody uses the compiler may leave out.
        std::hint::black_box(digest(&SHA256, &self.buffer));
        let loop_ns = started.elapsed().as_nanos() as u64;
        let stolen = stolen_ms();
        let pressure = pressure_us();
        let conditions = Conditions {
            stolen_ms: stolen.saturating_sub(self.stolen_ms),
            pressure_us: pressure.saturating_sub(self.pressure_us),
            loop_ns,
        };
        self.stolen_ms = stolen;
        self.pressure_us = pressure;
        conditions
    }
}

/// Stolen time since the machine started; 0 where the system does not tell.
fn stolen_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    stolen_ticks(&stat).unwrap_or(0) * TICK_MS
}

/// Number of cores: their lines follow the one over all of them.
pub(super) fn cores(stat: &str) -> usize {
    stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count()
}

/// Stolen time over all cores: the eighth number of the first line ("steal", see proc(5)).
pub(super) fn stolen_ticks(stat: &str) -> Option<u64> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
    numbers.split_whitespace().nth(7)?.parse().ok()
}

/// Time in which a task had to wait since the machine started; 0 where the system does not tell.
fn pressure_us() -> u64 {
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    waiting_us(&pressure).unwrap_or(0)
}

/// The total of the line "some", which is the time in which at least one task waited.
pub(super) fn waiting_us(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    some.split_once("total=")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_as_the_kernel_prints_them() {
        let stat = "cpu  46701 0 6123 691811 307 0 65 432 0 0\ncpu0 23137 0 2720 346634 73 0 19 183 0 0\n";
        assert_eq!((stolen_ticks(stat), cores(stat)), (Some(432), 1));
        let pressure = "some avg10=0.00 avg60=0.00 avg300=0.52 total=16773772\nfull avg10=0.00 total=0\n";
        assert_eq!(waiting_us(pressure), Some(16_773_772));
        assert_eq!((stolen_ticks("garbage"), waiting_us("")), (None, None));
    }

    #[test]
    fn a_reading_times_its_loop() {
        assert!(ConditionsMeter::start().read().loop_ns > 0);
    }
}
