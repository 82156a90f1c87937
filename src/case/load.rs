//! `load/...`: many users at once, one pass an iteration. Users keep their connections from pass to pass.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Runtime;

use super::{upload, worker};
use crate::client::Uploader;
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::load::{Closed, Pass, run_pass};
use crate::recording::Recorder;
use crate::units::Bytes;

pub(super) struct Work {
    runtime: Runtime,
    ingester: Arc<Ingester>,
    users: Vec<Uploader>,
    requests: u64,
}

impl Work {
    pub fn new(
        ingester: &Arc<Ingester>,
        settings: &Settings,
        Closed { users, requests }: Closed,
        size: Bytes,
    ) -> Result<Self, Error> {
        let factory = upload::Users::new(ingester, settings, size)?;
        let users = (0..users).map(|_| factory.next()).collect::<Result<_, _>>()?;
        Ok(Self { runtime: upload::runtime()?, ingester: Arc::clone(ingester), users, requests })
    }
}

impl worker::Work for Work {
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
        upload::renew(&self.ingester, &mut self.users)?;
        let pass = Pass { requests: self.requests, patience: self.patience() };
        self.runtime.block_on(async {
            join_all(self.users.iter_mut().map(Uploader::prepare)).await;
            let mut elapsed = Duration::ZERO;
            for _ in 0..iters {
                let upload = async |user: &mut Uploader, _| user.upload().await;
                elapsed += run_pass(&mut self.users, pass, recorder, upload).await;
                if recorder.failures_in_a_row() >= pass.patience {
                    break;
                }
            }
            Ok(elapsed)
        })
    }

    /// A burst of failures of everybody at once does not end it; two in a row for each do.
    fn patience(&self) -> u64 {
        worker::PATIENCE.max(2 * self.users.len() as u64)
    }
}
