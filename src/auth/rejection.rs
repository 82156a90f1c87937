//! Reasons for which a token is not accepted.

/// Error for a token that is not accepted. The stub answers all of them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not three base64url parts of JSON objects, too long, or it asks for what is not done here.
    #[error("malformed token")]
    Malformed,
    /// Signed by another method than RS256.
    #[error("algorithm is not RS256")]
    Algorithm,
    /// It names a key that is not known.
    #[error("unknown key")]
    UnknownKey,
    /// The signature is not this key's.
    #[error("wrong signature")]
    Signature,
    /// A required claim is missing, or of the wrong type or value.
    #[error("missing or wrong claim")]
    Claims,
    /// `exp` is now or earlier (RFC 7519, section 4.1.4).
    #[error("expired")]
    Expired,
    /// `nbf` or `iat` is later than now.
    #[error("not valid yet")]
    NotYetValid,
    /// It ends before it was issued, or is valid for longer than is allowed.
    #[error("wrong lifetime")]
    Lifetime,
}
