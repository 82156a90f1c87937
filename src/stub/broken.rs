//! Reasons for which a body cannot be read as a form.

use super::limits::{MAX_ASIDE, MAX_BODY, MAX_HEAD, MAX_HEADERS, MAX_PARTS};

/// Error for a body that is not valid multipart/form-data, that ends before its last boundary, or that exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The connection broke off, or the length that was announced held less than a form.
    #[error("it ends before its last boundary")]
    CutOff,
    /// Larger than any upload may be: 413, where all others are 400 or 422.
    #[error("it is larger than {max}", max = MAX_BODY)]
    TooLarge,
    #[error("it has more than {max} bytes before its first boundary", max = MAX_ASIDE)]
    Preamble,
    #[error("it has more than {max} bytes after its last boundary", max = MAX_ASIDE)]
    Epilogue,
    #[error("it has more than {max} parts", max = MAX_PARTS)]
    Parts,
    #[error("the headers of a part have more than {max} bytes", max = MAX_HEAD)]
    Head,
    #[error("a part has more than {max} headers", max = MAX_HEADERS)]
    Headers,
    #[error("a boundary is followed by something else than a line break or the two hyphens of the last one")]
    Boundary,
    /// Readers differ in whether such a line ends there.
    #[error("a line in a part's headers ends without a carriage return")]
    LineBreak,
    #[error("a part has a header that is not NAME: VALUE, without control characters")]
    Header,
    #[error("a part needs one header Content-Disposition, and has {0}")]
    Dispositions(usize),
    #[error("a Content-Disposition is not UTF-8 (RFC 7578, section 5.1)")]
    NotUtf8,
    #[error("a Content-Disposition is not form-data; name=\"...\"; filename=\"...\", each at most once")]
    Disposition,
    /// The body can be read, but something in it has such a name: 422.
    #[error("{what} has the character U+{character:04X}, which is not shown as itself; leave it out")]
    Name {
        /// What has the name, for people.
        what: &'static str,
        /// The character's number.
        character: u32,
    },
}
