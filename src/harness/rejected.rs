//! A command line that cannot be used.

/// The reason why.
pub enum Rejected {
    /// As clap found it, or a request for help.
    Clap(clap::Error),
    /// A value that Criterion would panic on.
    Value(String),
}
