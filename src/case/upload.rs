//! `upload/...`: one user uploads the same file again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::worker;
use crate::client::{Client, Endpoint, Http, UploadBody};
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::payload::{Form, generate_test_file};
use crate::recording::Recorder;
use crate::units::Bytes;

/// What the loop needs; all of it exists before the clock starts.
pub(super) struct Work {
    runtime: Runtime,
    ingester: Arc<Ingester>,
    uploader: Client,
    file: UploadBody,
}

impl Work {
    pub fn new(ingester: &Arc<Ingester>, settings: &Settings, size: Bytes) -> Result<Self, Error> {
        let uploader = user(ingester, settings)?;
        Ok(Self { runtime: runtime()?, ingester: Arc::clone(ingester), uploader, file: file(size) })
    }
}

impl worker::Work for Work {
    /// The iterations' own latencies, summed: checking the answer and counting are not part of an upload.
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
        renew(&self.ingester, std::iter::once(&mut self.uploader))?;
        self.runtime.block_on(async {
            self.uploader.prepare().await;
            let mut elapsed = Duration::ZERO;
            for _ in 0..iters {
                let finished = self.uploader.upload(&self.file).await.finished;
                elapsed += finished.latency;
                recorder.record(finished);
                if recorder.failures_in_a_row() >= worker::PATIENCE {
                    break;
                }
            }
            recorder.pass(elapsed);
            Ok(elapsed)
        })
    }
}

/// A file of this size, ready to be sent.
pub(super) fn file(size: Bytes) -> UploadBody {
    let file = generate_test_file(size);
    UploadBody::whole(&file, &Form::temporary().encode(&file))
}

/// Somebody who uploads to the ingester.
pub(super) fn user(ingester: &Ingester, settings: &Settings) -> Result<Client, Error> {
    user_speaking(ingester, settings, Http::One)
}

/// Somebody who uploads to the ingester in this protocol.
pub(super) fn user_speaking(ingester: &Ingester, settings: &Settings, http: Http) -> Result<Client, Error> {
    let endpoint = Endpoint::resolve(&ingester.upload_url(), http)?;
    Client::new(endpoint, ingester.token()?, settings.timeout)
        .map_err(|failure| Error::Token(failure.message))
}

/// Gives every uploader a token that outlives the next slice.
pub(super) fn renew<'a>(
    ingester: &Ingester,
    mut uploaders: impl Iterator<Item = &'a mut Client>,
) -> Result<(), Error> {
    let token = ingester.token()?;
    let renewed = uploaders.try_for_each(|uploader| uploader.renew(&token));
    renewed.map_err(|failure| Error::Token(failure.message))
}

/// An event loop for one client thread.
pub(super) fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)
}
