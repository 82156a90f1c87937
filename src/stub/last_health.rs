//! What the last look at the storage found. The route of readiness is open to everybody: however often it is asked, the
//! elements are looked at once a second.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::storage::{ElementHealth, Storage};
use crate::console::note;
use crate::units::printable;

/// For how long a look counts.
const FRESH: Duration = Duration::from_secs(1);

/// The last look, if there was one. Held while one is under way, so that there is one at a time.
#[derive(Debug, Default)]
pub(super) struct LastHealth(Mutex<Option<(Instant, Vec<ElementHealth>)>>);

impl LastHealth {
    /// The state of each element, at most a second old.
    pub async fn of(&self, storage: &Storage) -> Vec<ElementHealth> {
        let mut last = self.0.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < FRESH
        {
            return found.clone();
        }
        let found = storage.check().await;
        // Paths and hosts are for the operator, and not for everybody who asks.
        for element in &found {
            if let Some(problem) = &element.problem {
                note(format_args!("storage element {}: {}", element.name, printable(problem)));
            }
        }
        *last = Some((Instant::now(), found.clone()));
        found
    }
}
