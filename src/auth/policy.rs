//! What a token has to be beyond its signature, and who may write.

use std::time::Duration;

use super::claims::Claims;
use super::object::Object;
use super::rejection::Rejection;

/// The most that clocks may differ. Beyond a few minutes a leeway is a longer lifetime by another name.
pub const MAX_LEEWAY: Duration = Duration::from_secs(300);
/// The longest that a token may be valid, unless told otherwise. The service's own live for half an hour.
const LONGEST_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Types of token that are for access.
const ACCESS_TYPES: [&str; 3] = ["service_account", "admin_user", "access"];
/// Roles that may write; `readonly`, and any that is not known, may not.
const WRITING_ROLES: [&str; 3] = ["admin", "operator", "user"];

/// What the claims of a token have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who has to have issued it (`iss`); not looked at if nobody is named.
    pub issuer: Option<String>,
    /// Whom it has to be for (`aud`); not looked at if nobody is named.
    pub audience: Option<String>,
    /// By how much the issuer's clock may differ from this one. At most [`MAX_LEEWAY`].
    pub leeway: Duration,
    /// The longest from `iat` to `exp`.
    pub longest_lifetime: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { issuer: None, audience: None, leeway: Duration::ZERO, longest_lifetime: LONGEST_LIFETIME }
    }
}

impl Policy {
    /// The leeway in whole seconds.
    pub(super) fn leeway_s(&self) -> u64 {
        self.leeway.min(MAX_LEEWAY).as_secs()
    }

    /// Whether an issuer or an audience is configured.
    pub(super) fn names_parties(&self) -> bool {
        self.issuer.is_some() || self.audience.is_some()
    }

    /// Checks issuer and audience, where they are configured: of the right value, and of the right type.
    pub(super) fn check_parties(&self, claims: &Object) -> Result<(), Rejection> {
        if let Some(issuer) = &self.issuer {
            // The library would take a list that has it.
            if claims.text("iss") != Ok(Some(issuer)) {
                return Err(Rejection::Claims);
            }
        }
        if let Some(audience) = &self.audience {
            // One name, or a list of names (RFC 7519, section 4.1.3); nothing else may be in the list.
            let names = match claims.0.get("aud") {
                Some(serde_json::Value::String(name)) => vec![name.as_str()],
                Some(serde_json::Value::Array(names)) => {
                    names.iter().map(|name| name.as_str()).collect::<Option<_>>().ok_or(Rejection::Claims)?
                }
                _ => return Err(Rejection::Claims),
            };
            if !names.contains(&audience.as_str()) {
                return Err(Rejection::Claims);
            }
        }
        Ok(())
    }

    /// Checks the times at `now` seconds since 1970.
    pub(super) fn check_times(&self, claims: &Claims, now: u64) -> Result<(), Rejection> {
        let Claims { iat, nbf, exp, .. } = *claims;
        let latest = now.saturating_add(self.leeway_s());
        // The first second at which it is no longer valid (RFC 7519, section 4.1.4): reached means expired. The library
        // takes that second too.
        if exp.saturating_add(self.leeway_s()) <= now {
            return Err(Rejection::Expired);
        }
        if nbf > latest || iat > latest {
            return Err(Rejection::NotYetValid);
        }
        let lifetime = exp.checked_sub(iat).ok_or(Rejection::Lifetime)?;
        if lifetime > self.longest_lifetime.as_secs() {
            return Err(Rejection::Lifetime);
        }
        Ok(())
    }

    /// Whether the token is one for access. A refresh token is for getting others with, and opens no route.
    pub fn is_for_access(&self, claims: &Claims) -> bool {
        ACCESS_TYPES.contains(&claims.kind.as_str())
    }

    /// Whether the holder may store files.
    pub fn may_write(&self, claims: &Claims) -> bool {
        self.is_for_access(claims) && WRITING_ROLES.contains(&claims.role.as_str())
    }
}
