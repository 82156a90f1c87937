//! From two git refs to two executables, or two services, that differ by what was committed and by nothing else.
//!
//! Both arms are built in the same folder with the same flags, so the same source gives the same bytes.

mod cache;
mod cargo;
mod checkout;
mod error;
#[cfg(test)]
mod fixture;
mod git;
mod refs;
mod service;
mod standing;
#[cfg(test)]
mod tests;
mod tree;

pub use error::BuildError;
pub use refs::Commit;
pub use service::virtual_environment;
pub use tree::{Build, Tree};

/// This package.
const PACKAGE: &str = env!("CARGO_PKG_NAME");
/// What a build is kept as: a file or a folder of this name.
const BUILT: &str = PACKAGE;
