//! Performance tests for file-upload services.

pub mod auth;
pub mod baseline;
pub mod case;
pub mod client;
pub mod environment;
mod error;
pub mod ingester;
pub mod load;
pub mod payload;
pub mod recording;
pub mod report;
pub mod stats;
pub mod stub;
pub mod targets;
pub mod units;

pub use error::Error;
