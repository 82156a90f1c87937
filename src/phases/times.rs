//! The times as sums, so that those of several slices, runs or services can be added without loss.

use serde::{Deserialize, Serialize};

/// Where the time of a service's operations went, by the size of what they handled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePhases {
    /// One entry for each class of sizes (see [`size_class`]) that there were operations of, the smallest first.
    pub sizes: Vec<SizePhases>,
}

/// The operations of one class of sizes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizePhases {
    /// The smallest size.
    pub smallest_bytes: u64,
    /// The largest one; the same where there was only one size.
    pub largest_bytes: u64,
    /// How many operations.
    pub operations: u64,
    /// What they handled together.
    pub bytes: u64,
    /// The time of all of them, measured apart from the phases: that is what the phases have to add up to.
    pub whole_ns: u64,
    /// The time of all of them in each phase, in the order in which the phases follow each other.
    pub phases: Vec<PhaseTime>,
}

/// The time of many operations in one phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Name of the phase.
    pub phase: String,
    /// All of it.
    pub ns: u64,
}

/// The time of one operation in one phase: a mean, or a difference of two means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseMean {
    /// Name of the phase.
    pub phase: String,
    /// The time.
    pub ns: f64,
}

/// The class of a size: its number of binary digits. Classes are few, whatever sizes are sent, and files of the sizes that
/// people test with (10 KB, 1 MB, 10 MB) are never in one class.
pub fn size_class(bytes: u64) -> usize {
    (u64::BITS - bytes.leading_zeros()) as usize
}

impl ServicePhases {
    /// Adds the times of other operations.
    pub fn merge(&mut self, other: &Self) {
        for added in &other.sizes {
            let known = self.sizes.iter_mut().find(|known| known.class() == added.class());
            match known {
                Some(known) => known.merge(added),
                None => self.sizes.push(added.clone()),
            }
        }
        self.sizes.sort_by_key(SizePhases::class);
    }

    /// All sizes as one; `None` where there were no operations.
    pub fn total(&self) -> Option<SizePhases> {
        let mut sizes = self.sizes.iter();
        let mut total = sizes.next()?.clone();
        for size in sizes {
            total.merge(size);
        }
        Some(total)
    }
}

impl SizePhases {
    fn class(&self) -> usize {
        size_class(self.largest_bytes)
    }

    /// Adds the times of other operations, of whatever size.
    pub fn merge(&mut self, other: &Self) {
        self.smallest_bytes = self.smallest_bytes.min(other.smallest_bytes);
        self.largest_bytes = self.largest_bytes.max(other.largest_bytes);
        // Sums that were read from a file may be anything; the next ones must not overflow for it.
        self.operations = self.operations.saturating_add(other.operations);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.whole_ns = self.whole_ns.saturating_add(other.whole_ns);
        for added in &other.phases {
            let known = self.phases.iter_mut().find(|known| known.phase == added.phase);
            match known {
                Some(known) => known.ns = known.ns.saturating_add(added.ns),
                None => self.phases.push(added.clone()),
            }
        }
    }

    /// Time of all operations in this phase, ns; 0 where there is no such phase.
    pub fn ns_in(&self, phase: &str) -> u64 {
        let found = self.phases.iter().find(|time| time.phase == phase);
        found.map_or(0, |time| time.ns)
    }

    /// Mean time of an operation, ns.
    pub fn mean_ns(&self) -> f64 {
        self.per_operation(self.whole_ns)
    }

    /// Mean time of an operation in each phase.
    pub fn means(&self) -> Vec<PhaseMean> {
        let mut means = Vec::new();
        for time in &self.phases {
            means.push(PhaseMean { phase: time.phase.clone(), ns: self.per_operation(time.ns) });
        }
        means
    }

    /// How much longer an operation takes here than in `base`, phase by phase; negative where it takes less.
    pub fn minus(&self, base: &Self) -> Vec<PhaseMean> {
        let mut changes = self.means();
        for mean in base.means() {
            let known = changes.iter_mut().find(|change| change.phase == mean.phase);
            match known {
                Some(change) => change.ns -= mean.ns,
                // A phase that only the base has is gone.
                None => changes.push(PhaseMean { ns: -mean.ns, ..mean }),
            }
        }
        changes
    }

    fn per_operation(&self, ns: u64) -> f64 {
        ns as f64 / self.operations.max(1) as f64
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Operations of one size, with their times in ns.
    pub fn size(bytes: u64, operations: u64, whole_ns: u64, phases: &[(&str, u64)]) -> SizePhases {
        let phases =
            phases.iter().map(|&(phase, ns)| PhaseTime { phase: phase.to_owned(), ns }).collect::<Vec<_>>();
        SizePhases {
            smallest_bytes: bytes,
            largest_bytes: bytes,
            operations,
            bytes: bytes * operations,
            whole_ns,
            phases,
        }
    }

    fn of(sizes: Vec<SizePhases>) -> ServicePhases {
        ServicePhases { sizes }
    }

    #[test]
    fn sizes_are_classed_by_their_binary_digits() {
        assert_eq!([0, 1, 2, 3, 4, 1023, 1024].map(size_class), [0, 1, 2, 2, 3, 10, 11]);
        // What the suite sends: none shares a class with another.
        assert_eq!([10 << 10, 50 << 10, 100 << 10, 1 << 20, 10 << 20].map(size_class), [14, 16, 17, 21, 24]);
    }

    #[test]
    fn sums_add_up_by_size_and_by_name() {
        let mut sum = of(vec![size(1000, 2, 100, &[("a", 60), ("b", 40)])]);
        // 700 has ten digits as 1000 has; 5 has three, and comes first.
        sum.merge(&of(vec![size(700, 1, 30, &[("a", 10), ("c", 20)]), size(5, 1, 7, &[("a", 7)])]));
        let mut both = size(1000, 3, 130, &[("a", 70), ("b", 40), ("c", 20)]);
        both.smallest_bytes = 700;
        both.bytes = 2700;
        assert_eq!(sum, of(vec![size(5, 1, 7, &[("a", 7)]), both]));
        let total = sum.total().expect("has operations");
        assert_eq!((total.operations, total.whole_ns, total.ns_in("a"), total.ns_in("x")), (4, 137, 77, 0));
        assert_eq!((total.smallest_bytes, total.largest_bytes, total.bytes), (5, 1000, 2705));
        assert_eq!(ServicePhases::default().total(), None);
    }

    #[test]
    fn a_difference_is_of_means_and_has_a_sign() {
        // 50 and 30 ns an operation against 40 and 35; one phase is new and one is gone.
        let head = size(1, 2, 200, &[("hash", 100), ("store", 60), ("new", 40)]);
        let base = size(1, 10, 850, &[("hash", 400), ("store", 350), ("old", 100)]);
        let changes: Vec<(String, f64)> =
            head.minus(&base).into_iter().map(|change| (change.phase, change.ns)).collect();
        let expected = [("hash", 10.0), ("store", -5.0), ("new", 20.0), ("old", -10.0)];
        assert_eq!(changes, expected.map(|(phase, ns)| (phase.to_owned(), ns)));
        // All that changed: 100 ns an operation against 85.
        assert_eq!(head.mean_ns() - base.mean_ns(), changes.iter().map(|(_, ns)| ns).sum::<f64>());
    }

    #[test]
    fn what_was_stored_is_read_again() {
        let phases = of(vec![size(1000, 2, 100, &[("a", 60)])]);
        let text = serde_json::to_string(&phases).expect("serialises");
        let expected = r#"{"sizes":[{"smallest_bytes":1000,"largest_bytes":1000,"operations":2,"bytes":2000,"whole_ns":100,"phases":[{"phase":"a","ns":60}]}]}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<ServicePhases>(&text).expect("is one"), phases);
    }
}
