//! A look before measuring: one upload that is not counted, and one that tells how long they take.

use std::sync::Arc;
use std::time::Duration;

use super::upload;
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::recording::Class;
use crate::units::Bytes;

/// Uploads a file of `size` twice and returns how long the second one took, whatever became of it.
/// An error where the ingester cannot be reached or refuses the token.
pub fn probe(ingester: &Arc<Ingester>, settings: &Settings, size: Bytes) -> Result<Duration, Error> {
    let (mut uploader, file) = (upload::user(ingester, settings)?, upload::file(size));
    upload::runtime()?.block_on(async {
        ingester.reach().await?;
        let first = uploader.upload(&file).await.finished;
        let url = || ingester.name();
        match first.outcome {
            Err(failure) if failure.class == Class::Connect => {
                Err(Error::Unreachable { url: url(), reason: failure.message })
            }
            Err(failure) if matches!(failure.status, Some(401 | 403)) => {
                Err(Error::TokenRefused { url: url(), reason: failure.message })
            }
            _ => Ok(uploader.upload(&file).await.finished.latency),
        }
    })
}
