//! What the stub's handlers share.

use std::sync::Arc;

use axum::extract::Request;
use tokio::task::JoinHandle;

use super::answer::{Dialect, Refusal};
use super::fault::Faults;
use super::jwks::RemoteKeys;
use super::last_health::LastHealth;
use super::metrics::Metrics;
use super::phase::{PhaseLog, Stopwatch};
use super::storage::{Storage, StorageError};
use super::transactions::Transactions;
use crate::auth::Verifier;
use crate::console::note;
use crate::units::printable;

/// State that the handlers share.
#[derive(Debug)]
pub(super) struct State {
    pub verifier: Arc<Verifier>,
    /// Where its keys come from, if it is a URL.
    pub remote_keys: Option<Arc<RemoteKeys>>,
    pub storage: Arc<Storage>,
    pub metrics: Metrics,
    pub dialect: Dialect,
    pub transactions: Transactions,
    /// What the last look at the storage found.
    pub health: LastHealth,
    /// What goes wrong on purpose, if anything does.
    pub faults: Option<Arc<Faults>>,
    /// What uploads cost by phase, if that is asked for.
    pub phases: Option<Arc<PhaseLog>>,
    #[cfg(feature = "handicap")]
    pub handicap: super::handicap::Handicap,
}

impl State {
    /// The state of a stub whose keys stay as they are, which answers as the Python service does and has no faults.
    pub fn new(verifier: Verifier, storage: Arc<Storage>) -> Self {
        Self {
            verifier: Arc::new(verifier),
            remote_keys: None,
            storage,
            metrics: Metrics::default(),
            dialect: Dialect::default(),
            transactions: Transactions::default(),
            health: LastHealth::default(),
            faults: None,
            phases: None,
            #[cfg(feature = "handicap")]
            handicap: super::handicap::Handicap::of_this_executable(),
        }
    }

    /// Tells the operator what failed behind a request, which its answer does not.
    pub fn tell(&self, what: &str, refusal: &Refusal) {
        if let Refusal::Storage(StorageError::Failed(problem)) = refusal {
            note(format_args!("{what} failed: {}", printable(problem)));
        }
    }

    /// The stopwatch of a request; one that is off where phases are not timed.
    pub fn stopwatch(&self, request: &mut Request) -> Stopwatch {
        match self.phases {
            Some(_) => Stopwatch::take_from(request),
            None => Stopwatch::default(),
        }
    }

    /// Begins to read the keys again, if they come from a URL and were not read just now. The reading goes on whatever becomes
    /// of the request that asked for it; it tells whether there are new keys.
    pub fn read_keys_again(&self) -> Option<JoinHandle<bool>> {
        let remote = self.remote_keys.as_ref().filter(|remote| remote.claim())?;
        let remote = Arc::clone(remote);
        let verifier = Arc::clone(&self.verifier);
        Some(tokio::spawn(async move {
            match remote.read().await {
                Ok(keys) => {
                    verifier.replace_keys(keys);
                    true
                }
                // The keys of before stay in use: an issuer that is away for a while must not lock everybody out.
                Err(problem) => {
                    note(format_args!("the keys could not be read again: {}", printable(&problem)));
                    false
                }
            }
        }))
    }
}
