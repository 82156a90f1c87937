//! From two git refs to two executables, or two services, that differ by what was committed and by nothing else.
//!
//! Both arms are built in the same folder with the same flags, so the same source gives the same bytes.

mod cache;
mod cargo;
mod checkout;
mod commit;
mod error;
#[cfg(test)]
mod fixture;
mod git;
mod line;
mod refs;
mod releases;
mod service;
mod standing;
#[cfg(test)]
mod tests;
mod tree;

pub use commit::Commit;
pub use error::BuildError;
pub(crate) use error::does_not_build;
pub(crate) use line::FirstParents;
pub use service::virtual_environment;
pub use tree::{Build, Tree};

/// Name of this package, which is also that of its program.
const PACKAGE: &str = env!("CARGO_PKG_NAME");
/// Name of its other program, whose allocator counts.
const COUNTING: &str = "ingester-perf-counting";
/// Where that program is, in a commit that has one.
const COUNTING_SOURCE: &str = "src/bin/ingester-perf-counting.rs";
/// Name of the file or folder that a build is kept as, within a folder of its own.
const BUILT: &str = PACKAGE;
