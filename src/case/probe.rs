//! A look before measuring: two uploads that are not counted.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::upload;
use crate::client::{Endpoint, Http, Said, get};
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::recording::{Class, Failure, Outcome};
use crate::units::Bytes;

/// UploadOperation of a look.
pub const PROBES: u64 = 2;
/// How long a service may take to say whether it is ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// What the look before found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How long the first upload took, with the connection; whatever became of it.
    pub first: Duration,
    /// How long the second one took, on a connection that was there.
    pub second: Duration,
    /// What the service says that ails it (`/health/ready`); nothing where it is ready, or has no such route.
    pub ails: Option<String>,
}

impl Look {
    /// What people should know before they believe what is measured; nothing where the service is well.
    pub fn warning(&self) -> Option<String> {
        let ails = self.ails.as_ref()?;
        Some(format!(
            "The service says that it is not well (/health/ready: {ails}); what follows is of a sick one"
        ))
    }
}

/// UploadOperation a file of `size` twice, in the protocol that the run will speak, and asks the service whether it is ready. An
/// error where the ingester cannot be reached, refuses the token, or fails both uploads in the same way: then there is
/// nothing to measure, unless the settings say that failures are what is wanted.
pub fn probe(ingester: &Arc<Ingester>, settings: &Settings, size: Bytes, http: Http) -> Result<Look, Error> {
    let runtime = upload::runtime()?;
    // Whoever is not there is found out before certificates and tokens are asked for.
    runtime.block_on(ingester.reach())?;
    let mut uploader = upload::user_speaking(ingester, settings, http)?;
    let ready = Endpoint::resolve(&ingester.ready_url(), http)?;
    let file = upload::file(size);
    runtime.block_on(async {
        let ails = get(&ready, READY_WITHIN).await.ok().and_then(|said| ailment(&said));
        let first = uploader.upload(&file).await.finished;
        match &first.outcome {
            Err(failure) if failure.class == Class::Connect => {
                return Err(Error::Unreachable { url: ingester.name(), reason: failure.message.clone() });
            }
            Err(failure) if matches!(failure.status, Some(401 | 403)) => {
                return Err(Error::TokenRefused { url: ingester.name(), reason: failure.message.clone() });
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
        Ok(Look { first: first.latency, second: second.latency, ails })
    })
}

/// What an answer to `/health/ready` says against the service: an error of its own, or that its `status` is `degraded`.
fn ailment(said: &Said) -> Option<String> {
    let health: Option<Health> = serde_json::from_slice(&said.body).ok();
    let is_degraded = health.is_some_and(|health| health.status == "degraded");
    (is_degraded || said.status.is_server_error()).then(|| said.text())
}

#[derive(Deserialize)]
struct Health {
    status: String,
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
    use hyper::StatusCode;

    use super::*;

    #[test]
    fn a_service_that_is_not_ready_or_degraded_ails() {
        let ails = |status: u16, body: &'static str| {
            let status = StatusCode::from_u16(status).expect("is a status");
            ailment(&Said { status, body: body.as_bytes().into() })
        };
        assert_eq!(ails(503, "no storage"), Some("503 Service Unavailable: no storage".to_owned()));
        assert_eq!(
            ails(200, r#"{"status":"degraded"}"#),
            Some(r#"200 OK: {"status":"degraded"}"#.to_owned())
        );
        assert_eq!(ails(200, r#"{"status":"ok","degraded":false}"#), None);
        assert_eq!(ails(404, "not found"), None);
    }

    #[test]
    fn two_uploads_fail_alike_or_they_do_not() {
        let of = |status| Err(Failure::status(status, ""));
        assert!(same_failure(&of(404), &of(404)).is_some());
        assert!(same_failure(&of(404), &of(413)).is_none());
        assert!(same_failure(&of(503), &Ok(())).is_none() && same_failure(&Ok(()), &Ok(())).is_none());
    }
}
