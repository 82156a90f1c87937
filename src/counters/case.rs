//! The counted cases, as a list. Those that are timed too have the same ids.

use std::sync::Arc;
use std::time::Duration;

use super::check::TokenCheck;
use super::count::WarmCase;
use super::form::FormReading;
use super::upload::Upload;
use super::work::Work;
use crate::auth::{Policy, PublicKey, Token};
use crate::error::Error;
use crate::machine::AllocationMeter;
use crate::units::Bytes;

// Made by ci/counted-token.sh. The same in every build, so that two builds do the same work: how many instructions a
// check takes depends a little on the key, and making one takes longer than all that is counted.
const KEY: &str = include_str!("key.pem");
const TOKEN: &str = include_str!("token");

/// A case that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountedCase {
    /// Its id.
    pub id: &'static str,
    /// Iterations under Valgrind, which is some fifty times slower: about a second. None where one takes too long.
    pub traced_iterations: Option<u64>,
    kind: Kind,
}

/// What an iteration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One RS256 token checked.
    Token,
    /// One form with a file of this size read, and nothing done with it.
    Form(Bytes),
    /// One upload of this size through the stub's router, its answer read to the end.
    Upload(Bytes),
}

/// All of them.
pub(crate) const COUNTED_CASES: [CountedCase; 5] = [
    CountedCase { id: "jwt/validate", traced_iterations: Some(50), kind: Kind::Token },
    CountedCase { id: "multipart/1MB", traced_iterations: Some(20), kind: Kind::Form(Bytes::mb(1)) },
    CountedCase { id: "upload/10KB", traced_iterations: Some(20), kind: Kind::Upload(Bytes::kb(10)) },
    CountedCase { id: "upload/1MB", traced_iterations: Some(4), kind: Kind::Upload(Bytes::mb(1)) },
    // As many instructions as ten times the last, and more of them hashing.
    CountedCase { id: "upload/10MB", traced_iterations: None, kind: Kind::Upload(Bytes::mb(10)) },
];

/// The case with this id.
pub(crate) fn counted_case(id: &str) -> Option<CountedCase> {
    COUNTED_CASES.into_iter().find(|case| case.id == id)
}

impl CountedCase {
    /// Makes the case ready, and does it a few times, so that what is made once and kept is there.
    pub fn warm_up(self) -> Result<WarmCase, Error> {
        let meter = Arc::new(AllocationMeter::default());
        let key = PublicKey::from_pem(KEY)?;
        let token = Token::new(TOKEN.trim());
        let work: Box<dyn Work> = match self.kind {
            Kind::Token => Box::new(TokenCheck::new(&key, policy(), token, &meter)),
            Kind::Form(size) => Box::new(FormReading::new(&key, policy(), size, &meter)?),
            Kind::Upload(size) => Box::new(Upload::new(&key, policy(), &token, size, &meter)?),
        };
        WarmCase::begin(self.id, work, meter)
    }
}

/// The usual policy, but for the lifetime of a token that stays the same for decades.
fn policy() -> Policy {
    Policy { longest_lifetime: Duration::MAX, ..Policy::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Suite;

    #[test]
    fn what_is_timed_too_has_the_same_id() {
        for case in COUNTED_CASES.into_iter().filter(|case| !matches!(case.kind, Kind::Form(_))) {
            assert!(Suite::default().case(case.id).is_some(), "{}", case.id);
        }
        assert_eq!(counted_case("upload/1MB").map(|case| case.kind), Some(Kind::Upload(Bytes::mb(1))));
        assert_eq!(counted_case("upload/1TB"), None);
    }

    #[test]
    fn every_case_comes_out_right() {
        for case in COUNTED_CASES {
            let counted = case.warm_up().and_then(|mut warm| warm.count(1));
            let counted = counted.unwrap_or_else(|e| panic!("{e}"));
            // The allocator of the tests does not count.
            assert_eq!((counted.case.as_str(), counted.iterations, counted.allocations), (case.id, 1, None));
        }
    }
}
