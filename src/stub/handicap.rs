//! A stub that really is slower, for `ci/gate-proof.sh`: it spins and stalls as a note at the end of its own executable
//! says. So two files with the same code can differ in nothing but how slow they are.
//!
//! The note is the last line of the file: `handicap`, then words. `10240=3600` spins for 3,600 ns after each file of 10,240
//! bytes, and in between for sizes in between; `stall=50:5000000` makes one upload in fifty wait for 5 ms.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What an executable's note begins with, after the end of the line before.
const MARK: &[u8] = b"\nhandicap ";
/// Longest note in bytes.
const LONGEST: usize = 1024;

/// How much slower uploads are.
#[derive(Debug, Default)]
pub(super) struct Handicap {
    /// Bytes of a file, ascending, and for how long it is spun.
    spins: Vec<(u64, f64)>,
    /// One upload in so many waits, and for how long.
    stall: Option<(u64, Duration)>,
    uploads: AtomicU64,
}

impl Handicap {
    /// The handicap of this executable; none without a note.
    pub fn of_this_executable() -> Self {
        // By the time that the stub starts, the gate has removed the file, and it can be read by this name only.
        let bytes = std::fs::read("/proc/self/exe").expect("Linux lets an executable read itself");
        // `MARK` also stands among the constants of the code, so only the last match near the end can be the note.
        let tail = &bytes[bytes.len().saturating_sub(LONGEST)..];
        let found = tail.windows(MARK.len()).rposition(|window| window == MARK);
        let note = found.map(|at| String::from_utf8_lossy(&tail[at + MARK.len()..]).into_owned());
        Self::parse(&note.unwrap_or_default())
    }

    fn parse(note: &str) -> Self {
        let mut handicap = Self::default();
        for word in note.split_whitespace() {
            let (name, value) = word.split_once('=').expect("a word of the note is NAME=VALUE");
            if name == "stall" {
                let (one_in, ns) = value.split_once(':').expect("a stall is N:NANOSECONDS");
                let ns = Duration::from_nanos(ns.parse().expect("nanoseconds are a number"));
                handicap.stall = Some((one_in.parse().expect("one in so many is a number"), ns));
            } else {
                let size = name.parse().expect("a size is a number of bytes");
                handicap.spins.push((size, value.parse().expect("nanoseconds are a number")));
            }
        }
        handicap
    }

    /// Makes an upload of so many bytes slower.
    pub async fn suffer(&self, size: u64) {
        // Spinning and not sleeping: the timer's steps of 1 ms are far longer than what a note asks for.
        let started = Instant::now();
        let spin = Duration::from_nanos(self.spin_ns(size) as u64);
        while started.elapsed() < spin {
            std::hint::spin_loop();
        }
        // A stall leaves the core to other uploads, as waiting for a disk or a lock would.
        let upload = self.uploads.fetch_add(1, Ordering::Relaxed);
        if let Some((one_in, ns)) = self.stall
            && upload % one_in == one_in - 1
        {
            tokio::time::sleep(ns).await;
        }
    }

    fn spin_ns(&self, size: u64) -> f64 {
        let above = self.spins.partition_point(|(listed, _)| *listed < size);
        // Between two listed sizes the time is interpolated; beyond them, that of the nearest one counts.
        match (above.checked_sub(1).map(|below| self.spins[below]), self.spins.get(above)) {
            (Some((smaller, less)), Some((larger, more))) => {
                let between = (size - smaller) as f64 / (larger - smaller) as f64;
                less + (more - less) * between
            }
            (Some((_, ns)), None) => ns,
            (None, Some((_, ns))) => *ns,
            (None, None) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_how_long_it_spins_for_each_size() {
        let handicap = Handicap::parse("1000=100 3000=500 stall=50:5000000\n");
        // 2000 lies halfway between 1000 (100 ns) and 3000 (500 ns): 300 ns.
        assert_eq!(
            [10, 1000, 2000, 3000, 9000].map(|size| handicap.spin_ns(size)),
            [100.0, 100.0, 300.0, 500.0, 500.0]
        );
        assert_eq!(handicap.stall, Some((50, Duration::from_millis(5))));
        assert_eq!(Handicap::parse("").spin_ns(5), 0.0);
    }
}
