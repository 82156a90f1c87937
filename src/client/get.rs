//! One GET without a token, for what a service says of itself.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, HOST, HeaderValue};
use hyper::{Request, StatusCode};

use super::answer::shortened;
use super::connection::{Connection, no_answer_within};
use super::endpoint::{Endpoint, Http};
use super::upload::Sending;
use crate::recording::{Class, Failure};

/// A service's answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The answer's status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl Said {
    /// The status and the beginning of the body on one line, for people.
    pub fn text(&self) -> String {
        format!("{}: {}", self.status, shortened(&String::from_utf8_lossy(&self.body)))
    }
}

/// Asks for a path below the endpoint's. Fails where no answer came within `limit`.
pub async fn get(endpoint: &Endpoint, path: &str, limit: Duration) -> Result<Said, Failure> {
    let mut request = Request::new(Sending::nothing());
    *request.uri_mut() = endpoint.uri(path).ok_or_else(unfit)?;
    // A service may tell of its readiness as JSON, and of its memory as text only.
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
    // HTTP/2 sends the authority of the URL in place of `Host`.
    if endpoint.http == Http::One {
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| unfit())?;
        request.headers_mut().insert(HOST, host);
    }
    let exchange = async {
        let mut connection = Connection::open(endpoint).await?;
        connection.exchange(request).await
    };
    // Connecting and the answer share one limit.
    let answer = match tokio::time::timeout(limit, exchange).await {
        Ok(answer) => answer?,
        Err(_) => return Err(no_answer_within(limit)),
    };
    Ok(Said { status: answer.status, body: answer.body })
}

fn unfit() -> Failure {
    Failure::new(Class::Other, "the path cannot stand in a request")
}
