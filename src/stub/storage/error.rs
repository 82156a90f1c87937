//! What goes wrong with storage: while it is opened, in one element, and for the upload as a whole.

use std::io;

/// Error for a file that could not be stored, found or moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StorageError {
    /// No element takes files of this retention policy.
    #[error("no storage element takes this file")]
    NoElement,
    /// All elements that were tried are full, or too much had arrived to try another one.
    #[error("storage is full")]
    Full,
    /// An element failed; the text begins with its name.
    #[error("{0}")]
    Failed(String),
}

/// Reasons for which one element does not take a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// It has no room.
    Full,
    /// It turned the token away, and the token's file has another one by now.
    NewToken,
    /// Anything else. The text is for people, and holds no secret.
    Failed(String),
}

impl Refused {
    pub fn failed(problem: impl ToString) -> Self {
        Self::Failed(problem.to_string())
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // ENOSPC and EDQUOT: to somebody who uploads, a quota is the size of the disk.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::failed(error),
        }
    }
}

/// Error for a storage element that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("storage {spec}: {problem}")]
pub struct NotUsable {
    pub(super) spec: String,
    pub(super) problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_space_and_no_quota_are_full() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert_eq!(Refused::from(io::Error::from(kind)), Refused::Full);
        }
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(Refused::from(denied), Refused::Failed("permission denied".to_owned()));
    }
}
