//! Before and after measuring: two uploads that are not counted, and the removal of what was left.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::upload;
use crate::client::{Endpoint, Http, Removed, Said, get, remove};
use crate::console::note;
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::recording::{Class, Failure, Outcome};
use crate::units::Bytes;

/// Uploads of a look.
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
    /// What the service says is wrong with it, behind the route that was asked; nothing where it is ready, or has no such
    /// route.
    pub ails: Option<String>,
}

impl Look {
    /// What people should know before they believe what is measured; nothing where the service is well.
    pub fn warning(&self) -> Option<String> {
        let ails = self.ails.as_ref()?;
        Some(format!("The service says that it is not well ({ails}): its figures may be worse than usual"))
    }
}

/// Uploads a file of `size` twice, in the protocol that the run will speak, and asks the service whether it is ready. An
/// error where the ingester cannot be reached, refuses the token, or fails both uploads in the same way: then there is
/// nothing to measure, unless the settings say that failures are what is wanted.
pub fn probe(ingester: &Arc<Ingester>, settings: &Settings, size: Bytes, http: Http) -> Result<Look, Error> {
    let runtime = upload::runtime()?;
    // Whoever is not there is found out before certificates and tokens are asked for.
    runtime.block_on(ingester.reach())?;
    let mut uploader = upload::user(ingester, settings, http)?;
    // Over no network: what the service says of itself is not timed, and has a short limit.
    let endpoint = Endpoint::resolve(ingester.base(), http)?;
    let file = upload::file(size, ingester.api());
    runtime.block_on(async {
        let mut ails = None;
        if let Some(path) = &ingester.api().ready {
            let said = get(&endpoint, path, READY_WITHIN).await;
            let said = said.ok().and_then(|said| ailment(&said));
            ails = said.map(|said| format!("/{path}: {said}"));
        }
        // A failed connection and a refused token are told as what they are: a second upload would say nothing more.
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
        // One failure may be chance. After two that are alike the run would measure failures.
        let second = uploader.upload(&file).await.finished;
        if let Some(failure) = same_failure(&first.outcome, &second.outcome)
            && !settings.even_if_failing
        {
            return Err(Error::LookFailed { url: ingester.upload_url(), failure: failure.message.clone() });
        }
        Ok(Look { first: first.latency, second: second.latency, ails })
    })
}

/// Removes what was left with the ingester until now, as its API says, outside measured time. `None` where the API does not
/// say how.
pub fn clean_up(ingester: &Ingester, settings: &Settings, http: Http) -> Result<Option<Removed>, Error> {
    let Some(cleanup) = &ingester.api().cleanup else { return Ok(None) };
    let left = ingester.leftovers().take();
    if left.0.is_empty() && left.1 == 0 {
        return Ok(None);
    }
    // The many requests of a removal would each wait for the network's round trips, and nobody times them.
    let user = upload::user_nearby(ingester, settings, http)?;
    let removed = upload::runtime()?.block_on(remove(&user, cleanup, left));
    Ok(Some(removed))
}

/// The same, told on standard error. A failure does not undo what was measured.
pub fn clean_up_and_tell(ingester: &Ingester, settings: &Settings, http: Http) {
    match clean_up(ingester, settings, http) {
        Ok(None) => {}
        Ok(Some(removed)) => note(removed),
        Err(error) => note(format_args!("Nothing that this run left behind could be removed: {error}")),
    }
}

/// What an answer to the route of readiness says against the service: an error of its own, or that its `status` is `degraded`.
fn ailment(said: &Said) -> Option<String> {
    // Many services have no such route, or answer in another form. Only what says clearly that something is wrong counts.
    let health: Option<Health> = serde_json::from_slice(&said.body).ok();
    let is_degraded = health.is_some_and(|health| health.status == "degraded");
    if is_degraded || said.status.is_server_error() { Some(said.text()) } else { None }
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

    fn ails(status: u16, body: &'static str) -> Option<String> {
        let status = StatusCode::from_u16(status).expect("is a status");
        ailment(&Said { status, body: body.as_bytes().into() })
    }

    fn failed(status: u16) -> Outcome {
        Err(Failure::status(status, ""))
    }

    #[test]
    fn a_service_that_is_not_ready_or_degraded_ails() {
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
        assert!(same_failure(&failed(404), &failed(404)).is_some());
        assert!(same_failure(&failed(404), &failed(413)).is_none());
        assert!(same_failure(&failed(503), &Ok(())).is_none() && same_failure(&Ok(()), &Ok(())).is_none());
    }
}
