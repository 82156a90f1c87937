//! From two git refs to two executables that differ by what was committed and by nothing else.
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
mod standing;
#[cfg(test)]
mod tests;
mod tree;

pub use error::BuildError;
pub use refs::Commit;
pub use tree::{Build, Tree};

/// What is built: a package, and its executable of the same name.
const PACKAGE: &str = env!("CARGO_PKG_NAME");
/// The file that a build is kept in.
const EXECUTABLE: &str = PACKAGE;
