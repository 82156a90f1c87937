//! The clock of the load loop. Tests have one of their own, by which an hour of load takes milliseconds.

use std::io;
use std::time::Instant;

/// A clock that can be read and waited for.
pub trait Clock {
    /// The instant that it is now.
    fn now(&self) -> Instant;

    /// Returns at `at`, or after a turn of the event loop if that is past. May be dropped while it waits.
    fn until(&mut self, at: Instant) -> impl Future<Output = io::Result<()>>;
}
