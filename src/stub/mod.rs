//! The stub ingester: an axum service that checks, parses and hashes as the real one does, and stores nothing.

mod answer;
mod app;
mod auth;
mod drain;
mod fields;
#[cfg(feature = "handicap")]
mod handicap;
mod multipart;
mod part;
mod server;
mod storage;
mod upload;

pub use server::{Stub, StubError, StubOptions};
pub use storage::Stored;
