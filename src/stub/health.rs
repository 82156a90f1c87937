//! `GET /health/live` and `/health/ready`: whether the service runs, and whether it can store.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::state::State;
use super::storage::ElementHealth;

/// Runs, whatever the storage does.
pub(super) async fn live() -> Response {
    body("ok", &[]).into_response()
}

/// 200 with `ok` where every storage element works and `degraded` where some do; 503 with `fail` where none does.
pub(super) async fn ready(Shared(state): Shared<Arc<State>>) -> Response {
    let elements = state.health.of(&state.storage).await;
    let working = elements.iter().filter(|element| element.problem.is_none()).count();
    let (status, word) = match working {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "fail"),
        some if some < elements.len() => (StatusCode::OK, "degraded"),
        _ => (StatusCode::OK, "ok"),
    };
    (status, body(word, &elements)).into_response()
}

fn body(status: &str, elements: &[ElementHealth]) -> Json<serde_json::Value> {
    let mut checks = Vec::new();
    for element in elements {
        let status = if element.problem.is_none() { "ok" } else { "fail" };
        checks.push(json!({"storage_element": element.name, "status": status}));
    }
    Json(json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "service": "ingester-perf stub",
        "checks": checks
    }))
}
