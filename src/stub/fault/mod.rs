//! Faults on demand, to see what a client makes of them: delays, refusals, connections that break, answers that are cut
//! off, a storage that fails.
//!
//! * What is asked for: `spec`. Whom it hits: `draw`, a pure function of seed, fault and number of the request. What is
//!   on, and the numbers: `set`.
//! * Doing it: `middleware`, in front of all routes, with `halved` for answers that stop in their middle, and `flipped` for
//!   those with a wrong bit.
//! * Switching it while the stub runs: `api`.
//!
//! Without faults nothing of this stands in a request's way.

mod api;
mod draw;
mod flipped;
mod halved;
mod middleware;
mod set;
mod spec;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;

pub(super) use set::Faults;
pub use spec::{FaultSpec, NotAFault};
pub(super) use spec::{LONGEST as LONGEST_FAULT, StorageFault};

/// Seed of the faults unless told otherwise.
pub const DEFAULT_FAULT_SEED: u64 = 42;
/// Where faults are switched.
pub const FAULT_ROUTE: &str = "/test/faults";

/// The faults that a stub begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultOptions {
    /// What is on.
    pub specs: Vec<FaultSpec>,
    /// Decides which requests are hit.
    pub seed: u64,
    /// Whether [`FAULT_ROUTE`] is there, by which anybody can switch them.
    pub api: bool,
}

impl Default for FaultOptions {
    /// No faults, and no way to switch some on.
    fn default() -> Self {
        Self { specs: Vec::new(), seed: DEFAULT_FAULT_SEED, api: false }
    }
}

impl FaultOptions {
    /// The faults; nothing where none are on and none can be switched on.
    pub(super) fn faults(&self) -> Option<Arc<Faults>> {
        if self.specs.is_empty() && !self.api {
            return None;
        }
        Some(Arc::new(Faults::new(self.specs.clone(), self.seed)))
    }

    /// The router with these faults in front of it.
    pub(super) fn in_front_of(&self, router: Router, faults: &Arc<Faults>) -> Router {
        let router = router.layer(from_fn_with_state(Arc::clone(faults), middleware::suffer));
        // Beside the layer and not behind it: no fault hits the route by which it is switched off.
        if self.api { router.merge(api::routes(faults)) } else { router }
    }
}
