//! The stub ingester: an axum service that checks, parses and hashes as the real one does, and stores nothing. Another
//! router can be served in its place.

mod answer;
mod app;
mod auth;
mod broken;
#[cfg(test)]
mod corpus;
mod drain;
mod fields;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "handicap")]
mod handicap;
mod limits;
mod multipart;
mod part;
mod router;
mod server;
mod state;
mod storage;
mod upload;

pub use axum::Router;
pub use router::RouterOf;
pub use server::{Server, Stub, StubError, StubOptions};
pub use storage::Stored;
