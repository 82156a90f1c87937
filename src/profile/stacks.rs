//! Sampled stacks as data: how much CPU time was spent in which calls.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Separates the frames of a folded stack, the form that tools for flame graphs read.
const SEPARATOR: &str = ";";

/// The CPU time of threads by stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stacks {
    /// How many samples were taken.
    samples: u64,
    /// Nanoseconds of CPU time by folded stack: from the thread's role over the outermost call to the innermost one.
    time_ns: BTreeMap<String, u64>,
}

/// The CPU time of one frame in the threads of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameTime {
    /// The role of the threads.
    pub role: String,
    /// The frame's name.
    pub frame: String,
    /// Time in the frame itself.
    pub own: Duration,
    /// The same with the time of what it called.
    pub total: Duration,
}

/// The CPU time of the threads of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleTime {
    /// The role.
    pub role: String,
    /// The time.
    pub time: Duration,
}

impl Stacks {
    /// Adds samples of one stack: its role first, and its innermost call last. Names hold no semicolon.
    pub fn add(&mut self, frames: &[String], samples: u64, time: Duration) {
        let stack = frames.join(SEPARATOR);
        *self.time_ns.entry(stack).or_default() += time.as_nanos() as u64;
        self.samples += samples;
    }

    /// Adds all of the other's.
    pub fn merge(&mut self, other: &Self) {
        for (stack, time_ns) in &other.time_ns {
            *self.time_ns.entry(stack.clone()).or_default() += time_ns;
        }
        self.samples += other.samples;
    }

    /// How many samples there are.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.time_ns.values().all(|time_ns| *time_ns == 0)
    }

    /// The CPU time of all stacks.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.time_ns.values().sum())
    }

    /// A line for each stack, in order: its frames, a space, and its nanoseconds.
    pub fn folded(&self) -> String {
        let mut lines = String::new();
        for (stack, time_ns) in &self.time_ns {
            lines += &format!("{stack} {time_ns}\n");
        }
        lines
    }

    /// The CPU time of the threads of each role, most first.
    pub fn roles(&self) -> Vec<RoleTime> {
        let mut by_role: BTreeMap<&str, u64> = BTreeMap::new();
        for (stack, time_ns) in &self.time_ns {
            let role = stack.split(SEPARATOR).next().unwrap_or_default();
            *by_role.entry(role).or_default() += time_ns;
        }
        let mut roles = Vec::new();
        for (role, time_ns) in by_role {
            roles.push(RoleTime { role: role.to_owned(), time: Duration::from_nanos(time_ns) });
        }
        // The sort is stable: roles of equal times stay in the order of their names.
        roles.sort_by_key(|role| Reverse(role.time));
        roles
    }

    /// The CPU time of each frame in each role, those with the most of their own first.
    pub fn frames(&self) -> Vec<FrameTime> {
        let mut times: BTreeMap<(&str, &str), FrameTime> = BTreeMap::new();
        for (stack, time_ns) in &self.time_ns {
            let time = Duration::from_nanos(*time_ns);
            let mut frames = stack.split(SEPARATOR);
            let role = frames.next().unwrap_or_default();
            let frames: Vec<&str> = frames.collect();
            // Each frame once: a function that calls itself is not twice as expensive.
            let distinct: BTreeSet<&str> = frames.iter().copied().collect();
            for frame in distinct {
                let entry = times.entry((role, frame));
                entry.or_insert_with(|| FrameTime::none(role, frame)).total += time;
            }
            if let Some(&frame) = frames.last() {
                let entry = times.entry((role, frame));
                entry.or_insert_with(|| FrameTime::none(role, frame)).own += time;
            }
        }
        let mut times: Vec<FrameTime> = times.into_values().collect();
        // Stable as well.
        times.sort_by_key(|time| Reverse(time.own));
        times
    }
}

impl FrameTime {
    /// A frame that has not been seen yet.
    fn none(role: &str, frame: &str) -> Self {
        Self { role: role.to_owned(), frame: frame.to_owned(), own: Duration::ZERO, total: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn frames(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// 6 ms of the stub, in which `parse` calls itself, and 4 ms of the client.
    fn example() -> Stacks {
        let mut stacks = Stacks::default();
        stacks.add(&frames(&["stub", "serve", "hash"]), 3, MS(3));
        stacks.add(&frames(&["stub", "serve", "parse", "parse"]), 2, MS(2));
        stacks.add(&frames(&["stub", "serve"]), 1, MS(1));
        stacks.add(&frames(&["client", "send"]), 2, MS(4));
        stacks
    }

    fn of_frame(role: &str, frame: &str, own: Duration, total: Duration) -> FrameTime {
        FrameTime { own, total, ..FrameTime::none(role, frame) }
    }

    fn of_role(role: &str, time: Duration) -> RoleTime {
        RoleTime { role: role.to_owned(), time }
    }

    #[test]
    fn a_stack_is_a_line_with_its_nanoseconds() {
        let expected = "client;send 4000000\nstub;serve 1000000\nstub;serve;hash 3000000\n\
                        stub;serve;parse;parse 2000000\n";
        assert_eq!(example().folded(), expected);
        assert_eq!((example().samples(), example().time()), (8, MS(10)));
    }

    #[test]
    fn equal_stacks_are_added_up() {
        let mut stacks = Stacks::default();
        stacks.add(&frames(&["stub", "hash"]), 1, MS(1));
        stacks.add(&frames(&["stub", "hash"]), 2, MS(5));
        assert_eq!((stacks.folded().as_str(), stacks.samples()), ("stub;hash 6000000\n", 3));

        let mut both = example();
        both.merge(&stacks);
        both.merge(&Stacks::default());
        assert_eq!((both.samples(), both.time()), (11, MS(16)));
        assert!(both.folded().contains("stub;hash 6000000\n"));
    }

    #[test]
    fn a_frame_has_time_of_its_own_and_with_callees() {
        let expected = [
            of_frame("client", "send", MS(4), MS(4)),
            of_frame("stub", "hash", MS(3), MS(3)),
            // Once in the total, though it stands twice on the stack.
            of_frame("stub", "parse", MS(2), MS(2)),
            of_frame("stub", "serve", MS(1), MS(6)),
        ];
        assert_eq!(example().frames(), expected);
    }

    #[test]
    fn roles_share_the_whole() {
        assert_eq!(example().roles(), [of_role("stub", MS(6)), of_role("client", MS(4))]);
        assert!(Stacks::default().is_empty() && !example().is_empty());
        assert!(Stacks::default().roles().is_empty() && Stacks::default().frames().is_empty());
    }

    #[test]
    fn what_was_stored_is_what_is_read() {
        let text = serde_json::to_string(&example()).expect("serialises");
        assert_eq!(serde_json::from_str::<Stacks>(&text).expect("is JSON"), example());
    }
}
