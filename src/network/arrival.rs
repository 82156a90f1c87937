//! Notes when something arrived on the real stream, even while nobody is waiting for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// A waker that remembers when it was called, and passes the call on.
///
/// What a service sends has to be reckoned from when it came in, and not from when somebody looks: a user who thinks for ten
/// seconds does not read, and a service that closed the connection meanwhile has closed it long ago.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    at: Mutex<Option<Instant>>,
    task: AtomicWaker,
}

impl Arrival {
    /// Wakes this task from now on.
    pub fn wakes(&self, task: &Waker) {
        self.task.register(task);
    }

    /// When something came in, since the last call.
    pub fn take(&self) -> Option<Instant> {
        self.noted().take()
    }

    fn noted(&self) -> MutexGuard<'_, Option<Instant>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The first time counts: what came later has waited for nobody either.
        self.noted().get_or_insert_with(Instant::now);
        self.task.wake();
    }
}
