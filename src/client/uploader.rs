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
use crate::recording::{Class, Failure, Finished};

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

    /// Connects if there is no open connection, so that the next upload need not.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        if !self.connection.as_mut().is_some_and(Connection::is_open) {
            self.connection = None;
            self.connection = Some(Connection::open(&self.endpoint).await?);
        }
        Ok(())
    }

    /// One upload, on the kept connection or on a new one where the service has closed it.
    /// Its latency ends when the answer was read to its end; checking it comes after.
    pub async fn upload(&mut self) -> Finished {
        let request = self.request();
        let started = Instant::now();
        let answer = tokio::time::timeout(self.timeout, async {
            self.connect().await?;
            self.connection.as_mut().expect("was just opened").exchange(request).await
        })
        .await;
        let latency = started.elapsed();

        let outcome = match answer {
            Ok(Ok((status, body))) => answer::judge(status, &body, &self.expected),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::new(Class::Timeout, format!("no answer within {:?}", self.timeout))),
        };
        Finished { latency, outcome: outcome.map_err(|failure| self.after(failure)) }
    }

    fn request(&self) -> Request<Full<Buffer>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Drops a connection whose state is unknown, and whatever a service echoed of the token.
    fn after(&mut self, mut failure: Failure) -> Failure {
        if failure.status.is_none() && failure.class != Class::Corrupt {
            self.connection = None;
        }
        failure.message = failure.message.replace(self.token.as_str(), "[redacted]");
        failure
    }
}

fn bearer(token: &Token) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.as_str()))
        .map_err(|_| Failure::new(Class::Other, "the token has characters that no header may hold"))?;
    value.set_sensitive(true);
    Ok(value)
}
