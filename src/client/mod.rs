//! One upload over HTTP, to its outcome, and the requests that may follow it. The only place that speaks hyper's client.

mod answer;
mod connection;
mod endpoint;
mod flow;
mod get;
mod left;
mod outlasting;
mod removal;
mod sent;
mod upload;
mod user;

pub use endpoint::{Endpoint, EndpointError, Http};
pub use get::{Said, get};
pub use removal::{Removed, remove};
pub use sent::Sent;
pub use upload::{UploadBody, is_unreadable};
pub use user::Client;
