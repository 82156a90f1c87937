//! Sampled stacks, as far as the gate deals with them: a worker takes them and writes a file, the gate reads it.
//!
//! A file and not a line of the protocol: stacks have megabytes, where all other messages have kilobytes. It has a line for
//! each stack: frames with semicolons between them, from the thread's role over the outermost call to the innermost one, a
//! space, and nanoseconds of CPU time.

use std::path::Path;
use std::time::Duration;

use crate::error::Error;
use crate::files::{read_limited, write_text};
use crate::lockstep::{LARGEST_VALUE, PartTime};
use crate::profile::{CpuSampler, DEFAULT_FREQUENCY_HZ, Stacks, pause, resume};
use crate::units::printable;

/// Largest file that is read, in bytes. A process that is sampled for a quarter of a second writes one or two MB.
const MAX_BYTES: u64 = 64 << 20;

/// The sampler of a worker, or the reason why there is none.
pub(super) struct StackSampler(Result<CpuSampler, String>);

impl StackSampler {
    /// Starts it, before the threads that it is to see. It is paused until it is resumed.
    pub fn start() -> Self {
        // A system without a sampler still has phases to tell of.
        Self(CpuSampler::start(DEFAULT_FREQUENCY_HZ).map_err(|error| error.to_string()))
    }

    /// What is sampled from now on counts.
    pub fn resume(&self) {
        if self.0.is_ok() {
            resume();
        }
    }

    /// Writes what was sampled since the last call to a file. Returns the reason where there is nothing to write.
    pub fn write(&self, path: &Path) -> Result<Option<String>, Error> {
        match &self.0 {
            Ok(sampler) => {
                // Looking up the names of functions is no part of what they are looked up for.
                pause();
                write_text(path, &sampler.take().folded())?;
                Ok(None)
            }
            Err(reason) => Ok(Some(reason.clone())),
        }
    }
}

/// The stacks of one worker, or of several.
#[derive(Debug, Clone, Default)]
pub(super) struct SampledStacks(Stacks);

impl SampledStacks {
    /// Reads what a worker has written. Nothing where it has written nothing.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut stacks = Stacks::default();
        if !path.exists() {
            return Ok(Self(stacks));
        }
        for line in read_limited(path, MAX_BYTES)?.lines() {
            let Some(ns) = nanoseconds(line) else {
                let problem = "the worker's stacks have a line that does not end in nanoseconds of CPU time";
                return Err(Error::malformed(path, problem));
            };
            let stack = line.rsplit_once(' ').map_or(line, |(stack, _)| stack);
            // Whatever a worker calls its functions is shown on terminals and in pictures.
            let frames: Vec<String> = stack.split(';').map(printable).collect();
            stacks.add(&frames, 1, Duration::from_nanos(ns));
        }
        Ok(Self(stacks))
    }

    /// Adds all of the other's.
    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// The CPU time that is each function's own, by the role of its thread.
    pub fn own_times(&self) -> Vec<PartTime> {
        let mut times = Vec::new();
        for frame in self.0.frames() {
            if !frame.own.is_zero() {
                let name = format!("{}: {}", frame.role, frame.frame);
                times.push(PartTime { name, ns: frame.own.as_nanos() as u64 });
            }
        }
        times
    }

    /// A line for each stack, as in the file.
    pub fn folded(&self) -> String {
        self.0.folded()
    }
}

/// The time of a line, if it has one that a process can have had.
fn nanoseconds(line: &str) -> Option<u64> {
    let (_, ns) = line.rsplit_once(' ')?;
    // With the limit no sum overflows.
    ns.parse().ok().filter(|ns| *ns <= LARGEST_VALUE)
}

// The sampler is tried by whole processes (tests/explain.rs): all unit tests are one process, which has one sampler.
#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a file with this text.
    fn read(text: &str) -> Result<SampledStacks, Error> {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("00000001");
        std::fs::write(&path, text).expect("writes");
        SampledStacks::read(&path)
    }

    #[test]
    fn a_function_has_the_time_of_the_stacks_that_end_in_it() {
        let mut stacks = read("stub;serve;hash 30\nstub;serve 5\nclient;send 7\n").expect("is one");
        stacks.merge(&read("stub;other;hash 3\n").expect("is one"));
        let mut times: Vec<(String, u64)> =
            stacks.own_times().into_iter().map(|time| (time.name, time.ns)).collect();
        times.sort();
        let expected = [("client: send", 7), ("stub: hash", 33), ("stub: serve", 5)];
        assert_eq!(times, expected.map(|(name, ns)| (name.to_owned(), ns)));
        assert!(stacks.folded().contains("stub;other;hash 3\n"), "{}", stacks.folded());
    }

    #[test]
    fn what_was_not_written_is_nothing() {
        let dir = tempfile::tempdir().expect("makes one");
        let stacks = SampledStacks::read(&dir.path().join("nobody")).expect("is fine");
        assert!(stacks.own_times().is_empty() && stacks.folded().is_empty());
    }

    #[test]
    fn what_is_no_stack_is_refused_and_names_cannot_rule_a_terminal() {
        for text in ["stub;hash", "stub;hash many", "stub;hash -1", "stub;hash 9000000000000000000", "\n"] {
            let error = read(text).expect_err("is refused").to_string();
            assert!(error.contains("does not end in nanoseconds"), "{text}: {error}");
        }
        let stacks = read("stub;a\u{1b}[2J 5\n").expect("is one");
        assert_eq!(stacks.own_times()[0].name, r"stub: a\u{1b}[2J");
    }
}
