//! One upload over HTTP, to its outcome. The only place that speaks hyper's client.

mod answer;
mod connection;
mod endpoint;
mod upload;
mod uploader;

pub use endpoint::{Endpoint, EndpointError, Http};
pub use upload::Upload;
pub use uploader::Uploader;
