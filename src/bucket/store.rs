//! The stores themselves. Credentials and endpoint come from the environment, as each provider's own tools have them.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

/// How often a request is repeated. A store closes idle connections, and says "slow down"; more than that is a failure.
const RETRIES: usize = 2;
/// For how long.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);

/// A place in an object store. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// What the names of all objects of the place begin with.
    pub prefix: Path,
}

impl Bucket {
    /// The place at this URL.
    pub fn open(url: &Url) -> Result<Self, String> {
        let (scheme, prefix) = ObjectStoreScheme::parse(url).map_err(|e| e.to_string())?;
        let store = connect(&scheme, url).map_err(|e| told(&e))?;
        Ok(Self { store, prefix })
    }
}

fn connect(scheme: &ObjectStoreScheme, url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => Arc::new(amazon(url).with_retry(retry).build()?),
        ObjectStoreScheme::GoogleCloudStorage => {
            Arc::new(GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            Arc::new(MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry).build()?)
        }
        ObjectStoreScheme::Local => Arc::new(LocalFileSystem::new()),
        ObjectStoreScheme::Memory => Arc::new(InMemory::new()),
        _ => {
            let source = "not a store that files can be put into".into();
            return Err(Error::NotSupported { source });
        }
    };
    Ok(store)
}

fn amazon(url: &Url) -> AmazonS3Builder {
    // Single deletions: many stores that speak S3 lack the request for many.
    let builder = AmazonS3Builder::from_env().with_url(url.as_str()).with_disable_bulk_delete(true);
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    // Who names an endpoint without TLS wants it; the AWS tools do not ask a second time either (AWS_ALLOW_HTTP).
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder.with_allow_http(true)
    } else {
        builder
    }
}

/// The innermost reason. Of an answer no more than status and code: S3 repeats signed requests in it.
pub fn told(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    // The type of this error cannot be named; its text is `Server returned non-2xx status code: 404 Not Found: <body>`.
    let Some((_, answer)) = text.split_once("status code: ") else { return text };
    let status = answer.split(": ").next().unwrap_or_default();
    match code_of(answer) {
        Some(code) => format!("it answered {status} ({code})"),
        None => format!("it answered {status}"),
    }
}

/// `NoSuchBucket` in `<Error><Code>NoSuchBucket</Code>...`.
fn code_of(body: &str) -> Option<&str> {
    let (_, after) = body.split_once("<Code>")?;
    let (code, _) = after.split_once("</Code>")?;
    let is_word = code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { Some(code) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_by_status_and_code() {
        // As `object_store` makes an error of an answer: status, and the body behind it.
        let answer = "404 Not Found: <Error><Code>NoSuchBucket</Code><Key>hush</Key>";
        let missing = Error::Generic {
            store: "S3",
            source: format!("Server returned non-2xx status code: {answer}").into(),
        };
        assert_eq!(told(&missing), "it answered 404 Not Found (NoSuchBucket)");
    }
}
