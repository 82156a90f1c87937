//! The stub ingester: an axum service that checks, parses and hashes as the real one does, and stores what it is sent, or
//! nothing. Another router can be served in its place.

mod answer;
mod app;
mod auth;
mod drain;
mod fields;
#[cfg(feature = "handicap")]
mod handicap;
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
pub use storage::{NotAStorage, NotUsable, StorageSpec, Stored};
