//! `jwt/validate`: one RS256 token checked, as `case::jwt` times it.

use std::hint::black_box;
use std::sync::Arc;

use super::work::Work;
use crate::auth::{Policy, PublicKey, Token, Verifier};
use crate::machine::AllocationMeter;

pub(super) struct TokenCheck {
    verifier: Verifier,
    token: Token,
    meter: Arc<AllocationMeter>,
}

impl TokenCheck {
    pub fn new(key: &PublicKey, policy: Policy, token: Token, meter: &Arc<AllocationMeter>) -> Self {
        Self { verifier: Verifier::new(key, policy), token, meter: Arc::clone(meter) }
    }
}

impl Work for TokenCheck {
    fn once(&mut self) -> Result<(), String> {
        self.meter.begin_iteration();
        let claims = self.verifier.verify(black_box(self.token.as_str())).map_err(|why| why.to_string())?;
        // What a check holds at its end are the claims.
        self.meter.look();
        drop(black_box(claims));
        Ok(())
    }
}
