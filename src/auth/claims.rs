//! What a token says about its holder.

use serde::{Deserialize, Serialize};

/// The claims of the service's access tokens. A token that lacks one of the plain fields is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who the token was issued to: an opaque id.
    pub sub: String,
    /// `service_account`, `admin_user`, `access` or `refresh`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the holder may do.
    pub role: String,
    /// The holder's name, for people.
    pub name: String,
    /// The token's own id.
    pub jti: String,
    /// When it was issued, in seconds since 1970.
    pub iat: u64,
    /// The first second at which it is no longer valid, in seconds since 1970.
    pub exp: u64,
    /// The first second at which it is valid, in seconds since 1970.
    pub nbf: u64,
    /// Space-separated rights; the Go service wants `files:write` here where the role is not `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client the token was issued through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Requests a minute that the holder is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u64>,
}
