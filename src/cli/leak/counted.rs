//! How many operations have ended, told while they go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::load::Operation;
use crate::recording::Performed;

/// Counts of the operations of several workers.
#[derive(Debug, Default)]
pub struct OperationCounts(Vec<Arc<AtomicU64>>);

/// An operation that counts how often it has ended.
pub struct CountedOperation<O> {
    operation: O,
    ended: Arc<AtomicU64>,
}

impl OperationCounts {
    /// The same operation, counted. Each has a counter of its own, so that workers do not write to one another's.
    pub fn count<O>(&mut self, operation: O) -> CountedOperation<O> {
        let ended = Arc::new(AtomicU64::new(0));
        self.0.push(Arc::clone(&ended));
        CountedOperation { operation, ended }
    }

    /// Operations that have ended, however they did.
    pub fn ended(&self) -> u64 {
        // `Relaxed`: nothing else is read in the order of these counters.
        self.0.iter().map(|ended| ended.load(Ordering::Relaxed)).sum()
    }
}

impl<O: Operation> Operation for CountedOperation<O> {
    type User = O::User;

    fn user(&self) -> O::User {
        self.operation.user()
    }

    async fn perform(&self, user: &mut O::User, index: u64) -> Performed {
        let performed = self.operation.perform(user, index).await;
        self.ended.fetch_add(1, Ordering::Relaxed);
        performed
    }

    fn steps(&self) -> &[String] {
        self.operation.steps()
    }

    fn allows(&self, index: u64) -> bool {
        self.operation.allows(index)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Does nothing, up to the request with this index.
    struct Nothing {
        until: u64,
    }

    impl Operation for Nothing {
        type User = ();

        fn user(&self) {}

        async fn perform(&self, _user: &mut (), _index: u64) -> Performed {
            Performed::new(Instant::now(), Duration::ZERO, Ok(()))
        }

        fn allows(&self, index: u64) -> bool {
            index < self.until
        }
    }

    #[test]
    fn the_operations_of_all_workers_are_counted() {
        let mut counts = OperationCounts::default();
        let first = counts.count(Nothing { until: 7 });
        let second = counts.count(Nothing { until: 9 });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
        for operation in [&first, &second, &first] {
            runtime.block_on(operation.perform(&mut operation.user(), 0));
        }
        assert_eq!(counts.ended(), 3);
        assert_eq!([first.allows(6), first.allows(7), second.allows(7)], [true, false, true]);
    }
}
