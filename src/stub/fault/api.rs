//! `/test/faults`: faults are looked at, switched and switched off while the stub runs.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::super::answer;
use super::set::Faults;
use super::spec::{FaultSpec, NotAFault};
use super::{DEFAULT_FAULT_SEED, FAULT_ROUTE};

/// What is on.
#[derive(Debug, Serialize)]
struct Told {
    faults: Vec<String>,
    seed: u64,
}

/// What is to be on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    faults: Vec<String>,
    #[serde(default = "default_seed")]
    seed: u64,
}

fn default_seed() -> u64 {
    DEFAULT_FAULT_SEED
}

/// Error for a body of `PUT`.
#[derive(Debug, thiserror::Error)]
enum WrongFaults {
    #[error("the body has to be like {{\"faults\":[\"delay=50ms,share=10%\"],\"seed\":7}}: {0}")]
    Json(#[from] serde_json::Error),
    #[error("faults[{index}]: {problem}")]
    Fault { index: usize, problem: NotAFault },
}

/// The routes. Each answers with what is on then.
pub(super) fn routes(faults: &Arc<Faults>) -> Router {
    Router::new()
        .route(FAULT_ROUTE, get(tell).put(switch).delete(end))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::clone(faults))
}

async fn tell(Shared(faults): Shared<Arc<Faults>>) -> Json<Told> {
    told(&faults)
}

/// Puts the faults of the body in the place of those that are on.
async fn switch(Shared(faults): Shared<Arc<Faults>>, body: Bytes) -> Response {
    match wanted(&body) {
        Ok((specs, seed)) => {
            faults.switch(specs, seed);
            told(&faults).into_response()
        }
        Err(problem) => answer::detail_of(StatusCode::UNPROCESSABLE_ENTITY, &problem.to_string()),
    }
}

async fn end(Shared(faults): Shared<Arc<Faults>>) -> Json<Told> {
    let seed = faults.on().seed;
    faults.switch(Vec::new(), seed);
    told(&faults)
}

fn told(faults: &Faults) -> Json<Told> {
    let on = faults.on();
    Json(Told { faults: on.texts(), seed: on.seed })
}

/// The faults and the seed that a body asks for. One wrong fault makes all of it wrong.
fn wanted(body: &[u8]) -> Result<(Vec<FaultSpec>, u64), WrongFaults> {
    let wanted: Wanted = serde_json::from_slice(body)?;
    let mut specs = Vec::new();
    for (index, text) in wanted.faults.iter().enumerate() {
        let spec = text.parse::<FaultSpec>();
        specs.push(spec.map_err(|problem| WrongFaults::Fault { index, problem })?);
    }
    Ok((specs, wanted.seed))
}

async fn method_not_allowed() -> Response {
    answer::detail_of(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> (Vec<String>, u64) {
        let (specs, seed) = wanted(body.as_bytes()).expect(body);
        (specs.iter().map(FaultSpec::to_string).collect(), seed)
    }

    #[test]
    fn faults_and_seed_are_read() {
        let both = texts(r#"{"faults":["delay=50ms,share=10%","reset"],"seed":7}"#);
        assert_eq!(both, (vec!["delay=50ms,share=10%".to_owned(), "reset".to_owned()], 7));
        assert_eq!(texts(r#"{"faults":[]}"#), (Vec::new(), 42));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place() {
        for (body, says) in [
            (r#"{"faults":["reset","slow"]}"#, "faults[1]: \"slow\" is not a fault: there are delay=50ms"),
            (
                "reset",
                "the body has to be like {\"faults\":[\"delay=50ms,share=10%\"],\"seed\":7}: expected value",
            ),
            (r#"{"seed":7}"#, "missing field `faults`"),
            (r#"{"faults":[],"sede":7}"#, "unknown field `sede`"),
            (r#"{"faults":[],"seed":-1}"#, "invalid value: integer `-1`"),
        ] {
            let problem = wanted(body.as_bytes()).expect_err(body).to_string();
            assert!(problem.contains(says), "{problem}");
        }
    }
}
