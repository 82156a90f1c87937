//! What the stub's handlers share.

use std::sync::Arc;

use super::answer::{Dialect, Refusal};
use super::fault::Faults;
use super::jwks::RemoteKeys;
use super::metrics::Metrics;
use super::storage::{Storage, StorageError};
use super::transactions::Transactions;
use crate::auth::Verifier;
use crate::console::note;
use crate::units::printable;

/// State that the handlers share.
#[derive(Debug)]
pub(super) struct State {
    pub verifier: Verifier,
    /// Where its keys come from, if it is a URL.
    pub remote_keys: Option<RemoteKeys>,
    pub storage: Arc<Storage>,
    pub metrics: Metrics,
    pub dialect: Dialect,
    pub transactions: Transactions,
    /// What goes wrong on purpose, if anything does.
    pub faults: Option<Arc<Faults>>,
    #[cfg(feature = "handicap")]
    pub handicap: super::handicap::Handicap,
}

impl State {
    /// Tells the operator what failed behind an upload, which its answer does not.
    pub fn tell(&self, refusal: &Refusal) {
        if let Refusal::Storage(StorageError::Failed(problem)) = refusal {
            note(format_args!("an upload failed: {}", printable(problem)));
        }
    }

    /// Reads the keys again, if they come from a URL and were not read just now. Whether there are new ones.
    pub async fn read_keys_again(&self) -> bool {
        let Some(remote) = &self.remote_keys else { return false };
        match remote.read_again().await {
            Some(Ok(keys)) => {
                self.verifier.replace_keys(keys);
                true
            }
            // The keys of before stay in use: an issuer that is away for a while must not lock everybody out.
            Some(Err(problem)) => {
                note(format_args!("the keys could not be read again: {problem}"));
                false
            }
            None => false,
        }
    }
}
