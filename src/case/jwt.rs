//! `jwt/validate`: the stub's own token check, without the stub: `jsonwebtoken::decode` with a key that is read once, as an
//! axum service calls it, and the policy around it. Measures this machine, whatever the ingester.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::worker;
use crate::auth::{Minter, Policy, Token, Verifier};
use crate::error::Error;
use crate::ingester::Settings;
use crate::recording::{Class, Failure, Finished, Recorder};

/// Longer than any run.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Work {
    verifier: Verifier,
    token: Token,
}

impl Work {
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let key = settings.key()?;
        let verifier = Verifier::new(key.public(), Policy::default());
        Ok(Self { verifier, token: Minter::new(key).mint(LIFETIME)? })
    }
}

impl worker::Work for Work {
    /// One look at the clock an iteration: the end of a check is the beginning of the next.
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
        let started = Instant::now();
        let mut last = started;
        for _ in 0..iters {
            // Opaque, so that the compiler can neither check once for all iterations nor leave out a check whose result nobody
            // uses.
            let checked = self.verifier.verify(black_box(self.token.as_str())).map(black_box);
            let now = Instant::now();
            let outcome = checked.map(drop).map_err(|why| Failure::new(Class::Other, why.to_string()));
            recorder.record(Finished { latency: now - last, outcome });
            last = now;
        }
        recorder.pass(last - started);
        Ok(last - started)
    }
}
