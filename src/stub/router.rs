//! A service of the caller's own, to be served in this process.

use std::fmt;
use std::sync::Arc;

use axum::Router;

use crate::auth::PublicKey;

/// Makes a service, given the key whose tokens it should take. Cloning shares it.
#[derive(Clone)]
pub struct RouterOf(Arc<dyn Fn(&PublicKey) -> Router + Send + Sync>);

impl RouterOf {
    /// The service that this function makes.
    pub fn new(make: impl Fn(&PublicKey) -> Router + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// Makes it.
    pub fn make(&self, key: &PublicKey) -> Router {
        (self.0)(key)
    }
}

impl fmt::Debug for RouterOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouterOf(..)")
    }
}

/// Two are equal if one is a clone of the other.
impl PartialEq for RouterOf {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for RouterOf {}
