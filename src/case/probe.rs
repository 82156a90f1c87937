//! A look before measuring: two uploads that are not counted.

use std::sync::Arc;
use std::time::Duration;

use super::upload;
use crate::client::Http;
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::recording::{Class, Failure, Outcome};
use crate::units::Bytes;

/// What the look before found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How long the first upload took, with the connection; whatever became of it.
    pub first: Duration,
    /// How long the second one took, on a connection that was there.
    pub second: Duration,
}

/// Uploads a file of `size` twice, in the protocol that the run will speak. An error where the ingester cannot be reached,
/// refuses the token, or fails both uploads in the same way: then there is nothing to measure, unless the settings say that
/// failures are what is wanted.
pub fn probe(ingester: &Arc<Ingester>, settings: &Settings, size: Bytes, http: Http) -> Result<Look, Error> {
    let mut uploader = upload::user_speaking(ingester, settings, http)?;
    let file = upload::file(size);
    upload::runtime()?.block_on(async {
        ingester.reach().await?;
        let first = uploader.upload(&file).await.finished;
        let url = || ingester.name();
        match &first.outcome {
            Err(failure) if failure.class == Class::Connect => {
                return Err(Error::Unreachable { url: url(), reason: failure.message.clone() });
            }
            Err(failure) if matches!(failure.status, Some(401 | 403)) => {
                return Err(Error::TokenRefused { url: url(), reason: failure.message.clone() });
            }
            _ => {}
        }
        let second = uploader.upload(&file).await.finished;
        if let Some(failure) = same_failure(&first.outcome, &second.outcome)
            && !settings.even_if_failing
        {
            let asked = ingester.upload_url().to_string();
            return Err(Error::LookFailed { url: asked, failure: failure.message.clone() });
        }
        Ok(Look { first: first.latency, second: second.latency })
    })
}

/// The failure that both uploads ended with, if they ended alike.
fn same_failure<'a>(first: &'a Outcome, second: &Outcome) -> Option<&'a Failure> {
    match (first, second) {
        (Err(a), Err(b)) if a.class == b.class && a.status == b.status => Some(a),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_uploads_fail_alike_or_they_do_not() {
        let of = |status| Err(Failure::status(status, ""));
        assert!(same_failure(&of(404), &of(404)).is_some());
        assert!(same_failure(&of(404), &of(413)).is_none());
        assert!(same_failure(&of(503), &Ok(())).is_none() && same_failure(&Ok(()), &Ok(())).is_none());
    }
}
