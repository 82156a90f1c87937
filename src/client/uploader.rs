//! One user: uploads the same file again and again over a kept connection.

use std::time::{Duration, Instant};

use bytes::Bytes as Buffer;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};

use super::answer::{self, Expected};
use super::connection::Connection;
use super::endpoint::Endpoint;
use crate::auth::Token;
use crate::payload::{MultipartBody, TestFile};
use crate::recording::{Class, Failure, Finished, Outcome};

/// Longest wait for a connection: who has not answered by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends one body with one token. Nothing is retried, redirected or sent through a proxy.
pub struct Uploader {
    endpoint: Endpoint,
    uri: Uri,
    headers: HeaderMap,
    body: Buffer,
    expected: Expected,
    token: Token,
    timeout: Duration,
    connection: Option<Connection>,
}

impl Uploader {
    /// An uploader of `file`, already encoded as `body`. Each upload has `timeout` to end.
    /// Fails where the token cannot stand in a header.
    pub fn new(
        endpoint: Endpoint,
        file: &TestFile,
        body: &MultipartBody,
        token: Token,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let unfit = |what: &str| Failure::new(Class::Other, format!("the {what} cannot stand in a request"));
        let uri = endpoint.path.parse().map_err(|_| unfit("path"))?;
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| unfit("host"))?;
        let content_type = HeaderValue::from_str(&body.content_type).map_err(|_| unfit("content type"))?;
        let headers = HeaderMap::from_iter([
            (HOST, host),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("ingester-perf/", env!("CARGO_PKG_VERSION")))),
            (AUTHORIZATION, bearer(&token)?),
            (CONTENT_TYPE, content_type),
        ]);
        let (body, expected) = (body.bytes.clone(), Expected::of(file));
        Ok(Self { endpoint, uri, headers, body, expected, token, timeout, connection: None })
    }

    /// Uses `token` from the next upload on.
    pub fn renew(&mut self, token: &Token) -> Result<(), Failure> {
        if self.token != *token {
            self.headers.insert(AUTHORIZATION, bearer(token)?);
            self.token = token.clone();
        }
        Ok(())
    }

    /// Connects if there is no open connection, after a look at what arrived meanwhile: a service may close idle ones.
    /// For the time before the clock starts; the upload that follows says what failed.
    pub async fn prepare(&mut self) {
        tokio::task::yield_now().await;
        let _ = self.connected().await;
    }

    async fn connected(&mut self) -> Result<&mut Connection, Failure> {
        let open = match self.connection.take().and_then(Connection::if_open) {
            Some(kept) => kept,
            None => {
                let limit = self.timeout.min(CONNECT_TIMEOUT);
                let opened = tokio::time::timeout(limit, Connection::open(&self.endpoint)).await;
                let late = |_| Failure::new(Class::Connect, format!("no connection within {limit:?}"));
                opened.map_err(late)??
            }
        };
        Ok(self.connection.insert(open))
    }

    /// One upload, on the kept connection or on a new one where the service has closed it.
    /// Its latency ends when the answer was read to its end; checking it comes after.
    pub async fn upload(&mut self) -> Finished {
        let request = self.request();
        let started = Instant::now();
        let answer =
            tokio::time::timeout(self.timeout, async { self.connected().await?.exchange(request).await })
                .await;
        let latency = started.elapsed();

        let outcome = match answer {
            Ok(Ok((status, body))) => answer::judge(status, &body, &self.expected, &self.token),
            Ok(Err(failure)) => self.give_up(failure),
            Err(_) => {
                self.give_up(Failure::new(Class::Timeout, format!("no answer within {:?}", self.timeout)))
            }
        };
        Finished { latency, outcome }
    }

    /// A connection whose state is unknown is not used again.
    fn give_up(&mut self, failure: Failure) -> Outcome {
        self.connection = None;
        Err(failure)
    }

    fn request(&self) -> Request<Full<Buffer>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

fn bearer(token: &Token) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.as_str()))
        .map_err(|_| Failure::new(Class::Other, "the token has characters that no header may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}
