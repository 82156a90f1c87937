//! What the stub's handlers share.

use std::sync::Arc;

use super::storage::Storage;
use crate::auth::Verifier;

/// State that the handlers share.
#[derive(Debug)]
pub(super) struct State {
    pub verifier: Verifier,
    pub storage: Arc<Storage>,
    #[cfg(feature = "handicap")]
    pub handicap: super::handicap::Handicap,
}
