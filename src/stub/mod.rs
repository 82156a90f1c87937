//! The stub ingester: an axum service that checks, parses, hashes and stores as the real one does. Another router can be
//! served in its place.

mod answer;
mod app;
mod auth;
mod broken;
#[cfg(test)]
mod corpus;
mod door;
mod download;
mod fault;
mod fields;
mod finalize;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "handicap")]
mod handicap;
mod hangup;
mod health;
mod in_memory;
mod jwks;
mod last_health;
mod limits;
mod metrics;
mod multipart;
mod part;
mod phase;
mod router;
mod server;
mod state;
mod storage;
mod transactions;
mod upload;

pub use answer::Dialect;
pub use axum::Router;
pub use door::{Connections, Limits};
pub use fault::{DEFAULT_FAULT_SEED, FAULT_ROUTE, FaultOptions, FaultSpec, NotAFault};
pub(crate) use in_memory::{InMemory, PreparedUpload};
pub use phase::TOKEN_PHASE;
pub use router::RouterOf;
pub use server::{Keys, SERVER_THREAD, Server, Stub, StubError, StubOptions};
pub use storage::{NotAStorage, NotUsable, StorageSpec, Stored};
