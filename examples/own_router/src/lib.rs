//! A service of fifty lines: takes a file by PUT, with an RS256 token, hashes it and forgets it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::put;
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Largest file that is taken.
const MOST: usize = 64 << 20;

/// What the answer says of a file.
#[derive(Serialize)]
struct Stored {
    size: usize,
    sha256: String,
}

#[derive(Deserialize)]
struct Claims {}

struct Keys {
    key: DecodingKey,
    validation: Validation,
}

/// The service, which takes tokens of this key (PEM).
pub fn app(public_key: &str) -> Router {
    let key = DecodingKey::from_rsa_pem(public_key.as_bytes()).expect("the key is RSA in PEM form");
    let keys = Arc::new(Keys { key, validation: Validation::new(Algorithm::RS256) });
    Router::new().route("/files/{name}", put(store)).layer(DefaultBodyLimit::max(MOST)).with_state(keys)
}

async fn store(
    State(keys): State<Arc<Keys>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Stored>), StatusCode> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    decode::<Claims>(token, &keys.key, &keys.validation).map_err(|_| StatusCode::UNAUTHORIZED)?;
    let stored = Stored { size: body.len(), sha256: hash(&body) };
    Ok((StatusCode::CREATED, Json(stored)))
}

fn hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}
