//! Untimed requests: to see whether a service is ready, and to get tokens.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, StatusCode};
use url::Url;

/// A client that sends what it is told to, and nothing else: no proxy, no redirect, no second try.
pub(super) fn client_for(url: &Url, timeout: Duration) -> Result<Client, String> {
    // Unless told otherwise, reqwest repeats requests, follows redirects and goes through proxies.
    let mut builder = ClientBuilder::new()
        .timeout(timeout)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if url.scheme() == "http" {
        // Else it would look for the system's certificates, and fail where there are none.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|e| root_cause(&e))
}

/// The status of the answer to a GET. Blocks until it is there.
pub(super) fn get_status(url: &Url, timeout: Duration) -> Result<StatusCode, String> {
    let client = client_for(url, timeout)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(async {
        let answer = client.get(url.clone()).send().await;
        answer.map(|answer| answer.status()).map_err(|e| root_cause(&e))
    })
}

/// The innermost reason; the outer ones repeat the URL.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
