//! One upload over HTTP, to its outcome. The only place that speaks hyper's client.

mod answer;
mod connection;
mod endpoint;
mod uploader;

pub use endpoint::{Endpoint, EndpointError};
pub use uploader::Uploader;
