//! `upload/...`: one user uploads files one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::worker;
use crate::api::Api;
use crate::client::{Client, Endpoint, Http, UploadBody};
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::payload::{DEFAULT_SEED, Mix, generate_test_file};
use crate::recording::Recorder;
use crate::units::Bytes;

/// What the loop needs; all of it exists before the clock starts.
pub(super) struct Work {
    runtime: Runtime,
    ingester: Arc<Ingester>,
    uploader: Client,
    files: Files,
    /// Uploads so far: which file is next.
    uploads: u64,
}

impl Work {
    pub fn new(ingester: &Arc<Ingester>, settings: &Settings, mix: &Mix) -> Result<Self, Error> {
        let uploader = user(ingester, settings, Http::One)?;
        let files = Files::of(mix, ingester.api());
        Ok(Self { runtime: runtime()?, ingester: Arc::clone(ingester), uploader, files, uploads: 0 })
    }
}

impl worker::Work for Work {
    /// The iterations' own latencies, summed: checking the answer and counting are not part of an upload.
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
        renew(&self.ingester, std::iter::once(&mut self.uploader))?;
        self.runtime.block_on(async {
            // The connection stands before the clock starts.
            self.uploader.prepare().await;
            let mut elapsed = Duration::ZERO;
            for _ in 0..iters {
                let file = self.files.pick(self.uploads);
                self.uploads += 1;
                let finished = self.uploader.upload(file).await.finished;
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

/// The files of a case, ready to be sent.
pub(super) struct Files {
    mix: Mix,
    bodies: Vec<UploadBody>,
}

impl Files {
    pub fn of(mix: &Mix, api: &Api) -> Self {
        Self { mix: mix.clone(), bodies: mix.sizes().map(|size| file(size, api)).collect() }
    }

    /// The file of the upload with this number.
    pub fn pick(&self, number: u64) -> &UploadBody {
        &self.bodies[self.mix.pick(DEFAULT_SEED, number)]
    }
}

/// A file of this size, ready to be sent.
pub(super) fn file(size: Bytes, api: &Api) -> UploadBody {
    UploadBody::whole(&generate_test_file(size), api)
}

/// Somebody who uploads to the ingester in this protocol, over a simulated network if there is one.
pub fn user(ingester: &Ingester, settings: &Settings, http: Http) -> Result<Client, Error> {
    let endpoint = Endpoint::resolve(ingester.base(), http)?;
    user_at(endpoint.over(settings.network), ingester, settings)
}

/// The same over no network, for what is not measured.
pub(super) fn user_nearby(ingester: &Ingester, settings: &Settings, http: Http) -> Result<Client, Error> {
    user_at(Endpoint::resolve(ingester.base(), http)?, ingester, settings)
}

fn user_at(endpoint: Endpoint, ingester: &Ingester, settings: &Settings) -> Result<Client, Error> {
    let client = Client::new(endpoint, ingester.api(), ingester.token()?, settings.timeout);
    let client = client.map_err(|failure| Error::Token(failure.message))?;
    Ok(client.leaving(ingester.leftovers()))
}

/// Gives every uploader a token that outlives the next slice.
pub(super) fn renew<'a>(
    ingester: &Ingester,
    mut uploaders: impl Iterator<Item = &'a mut Client>,
) -> Result<(), Error> {
    let token = ingester.token()?;
    let renewed = uploaders.try_for_each(|uploader| uploader.renew(token.as_ref()));
    renewed.map_err(|failure| Error::Token(failure.message))
}

/// An event loop for one client thread.
pub(super) fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)
}
