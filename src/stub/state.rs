//! What the stub's handlers share.

use std::sync::Arc;

use super::storage::Discard;
use crate::auth::Verifier;

/// State that the handlers share.
#[derive(Debug)]
pub(super) struct State {
    pub verifier: Verifier,
    pub storage: Arc<Discard>,
    #[cfg(feature = "handicap")]
    pub handicap: super::handicap::Handicap,
}
