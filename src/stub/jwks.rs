//! Keys from a URL: a JSON Web Key Set that is read at the start, again from time to time, and when a token names a key
//! that is not known.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use url::Url;

use crate::auth::KeySet;

/// Largest key set that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Time limit of reading it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How old a key set may become before it is read again. Keys that were taken out of it are refused from then on; while it
/// cannot be read, the old ones stay in use.
const EVERY: Duration = Duration::from_secs(300);
/// Shortest time between two readings. Tokens with made-up key names must not become requests to the issuer.
const AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// Where keys come from.
#[derive(Debug)]
pub(super) struct RemoteKeys {
    url: Url,
    client: reqwest::Client,
    /// When somebody last began to read it again.
    claimed: Mutex<Option<Instant>>,
    /// When it was last read.
    read: Mutex<Option<Instant>>,
}

impl RemoteKeys {
    /// Keys at this URL. An error where the system refuses a client.
    pub fn at(url: Url) -> Result<Self, String> {
        // It would be printed with every problem.
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds a user or a password; leave them out".to_owned());
        }
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // Keys come from where they were said to be, and from nowhere that it points to.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|e| format!("{url}: {e}"))?;
        Ok(Self { url, client, claimed: Mutex::new(None), read: Mutex::new(None) })
    }

    /// Reads the key set; an error says what is wrong and where.
    pub async fn read(&self) -> Result<KeySet, String> {
        let keys = self.fetch().await.map_err(|problem| format!("{}: {problem}", self.url))?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(keys)
    }

    /// Whether it was read so long ago that it has to be read again.
    pub fn are_old(&self) -> bool {
        let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.is_none_or(|read| read.elapsed() >= EVERY)
    }

    /// Whether it may be read again. Whoever is told so has to read it: nobody else is for a while.
    pub fn claim(&self) -> bool {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let may = claimed.is_none_or(|claimed| claimed.elapsed() >= AT_MOST_EVERY);
        if may {
            *claimed = Some(Instant::now());
        }
        may
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let mut answer = self.client.get(self.url.clone()).send().await.map_err(|e| e.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()));
        }
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|e| e.to_string())? {
            if text.len() + piece.len() > MAX_BYTES {
                return Err(format!("is larger than {MAX_BYTES} bytes"));
            }
            text.extend_from_slice(&piece);
        }
        let text = String::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
        KeySet::from_jwks(&text).map_err(|e| e.to_string())
    }
}
