//! `upload/...`: one user uploads the same file again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::worker;
use crate::client::{Endpoint, Uploader};
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::payload::{Form, MultipartBody, TestFile, generate_test_file};
use crate::recording::Recorder;
use crate::units::Bytes;

/// What the loop needs; all of it exists before the clock starts.
pub(super) struct Work {
    runtime: Runtime,
    ingester: Arc<Ingester>,
    uploader: Uploader,
}

impl Work {
    pub fn new(ingester: &Arc<Ingester>, settings: &Settings, size: Bytes) -> Result<Self, Error> {
        let uploader = Users::new(ingester, settings, size)?.next()?;
        Ok(Self { runtime: runtime()?, ingester: Arc::clone(ingester), uploader })
    }
}

impl worker::Work for Work {
    /// The iterations' own latencies, summed: checking the answer and counting are not part of an upload.
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
        renew(&self.ingester, std::slice::from_mut(&mut self.uploader))?;
        self.runtime.block_on(async {
            self.uploader.prepare().await;
            let mut elapsed = Duration::ZERO;
            for _ in 0..iters {
                let finished = self.uploader.upload().await;
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

/// Makes uploaders that share one body and one resolved address.
pub(super) struct Users {
    ingester: Arc<Ingester>,
    endpoint: Endpoint,
    file: TestFile,
    body: MultipartBody,
    timeout: Duration,
}

impl Users {
    pub fn new(ingester: &Arc<Ingester>, settings: &Settings, size: Bytes) -> Result<Self, Error> {
        let file = generate_test_file(size);
        // What a performance test leaves behind should go away by itself, and soon.
        let body = Form::default().with("retention_policy", "temporary").with("ttl_days", "1").encode(&file);
        let endpoint = Endpoint::resolve(&ingester.upload_url())?;
        Ok(Self { ingester: Arc::clone(ingester), endpoint, file, body, timeout: settings.timeout })
    }

    pub fn next(&self) -> Result<Uploader, Error> {
        let token = self.ingester.token()?;
        Uploader::new(self.endpoint.clone(), &self.file, &self.body, token, self.timeout)
            .map_err(|failure| Error::Token(failure.message))
    }
}

/// Gives every uploader a token that outlives the next slice.
pub(super) fn renew(ingester: &Ingester, uploaders: &mut [Uploader]) -> Result<(), Error> {
    let token = ingester.token()?;
    let renewed = uploaders.iter_mut().try_for_each(|uploader| uploader.renew(&token));
    renewed.map_err(|failure| Error::Token(failure.message))
}

/// An event loop for one client thread.
pub(super) fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)
}
