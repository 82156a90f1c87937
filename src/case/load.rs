//! `load/...`: many users at once, one pass an iteration. Users keep their connections from pass to pass.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Runtime;

use super::{upload, worker};
use crate::client::{Client, Http};
use crate::error::Error;
use crate::ingester::{Ingester, Settings};
use crate::load::{Closed, Operation, Pacer, run_pass};
use crate::payload::Mix;
use crate::recording::{Performed, Recorder};

pub(super) struct Work {
    runtime: Runtime,
    ingester: Arc<Ingester>,
    pacer: Pacer,
    users: Vec<Option<Client>>,
    shared: Shared,
    scenario: Closed,
}

/// Everybody uploads files of the same mix.
struct Shared {
    user: Client,
    files: upload::Files,
}

impl Operation for Shared {
    type User = Client;

    fn user(&self) -> Client {
        self.user.another()
    }

    async fn perform(&self, user: &mut Client, index: u64) -> Performed {
        user.upload(self.files.pick(index)).await
    }
}

impl Work {
    pub fn new(
        ingester: &Arc<Ingester>,
        settings: &Settings,
        scenario: Closed,
        mix: &Mix,
    ) -> Result<Self, Error> {
        let runtime = upload::runtime()?;
        // The pacer's timer registers with the event loop that it is made in.
        let pacer = {
            let _context = runtime.enter();
            Pacer::new().map_err(Error::Thread)?
        };
        let user = upload::user(ingester, settings, Http::One)?;
        let shared = Shared { user, files: upload::Files::of(mix, ingester.api()) };
        let users = (0..scenario.users).map(|_| Some(shared.user())).collect();
        Ok(Self { runtime, ingester: Arc::clone(ingester), pacer, users, shared, scenario })
    }
}

impl worker::Work for Work {
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
        let patience = self.patience();
        let Self { runtime, ingester, pacer, users, shared, scenario } = self;
        // Tokens and connections first: neither is part of a pass.
        upload::renew(ingester, users.iter_mut().flatten())?;
        runtime.block_on(async {
            join_all(users.iter_mut().flatten().map(Client::prepare)).await;
            let mut elapsed = Duration::ZERO;
            for _ in 0..iters {
                let pass = run_pass(shared, users, *scenario, patience, (pacer, recorder));
                elapsed += pass.await.map_err(Error::Thread)?;
                if recorder.failures_in_a_row() >= patience {
                    break;
                }
            }
            Ok(elapsed)
        })
    }

    /// A burst of failures of everybody at once does not end it; two in a row for each do.
    fn patience(&self) -> u64 {
        worker::PATIENCE.max(2 * u64::from(self.scenario.users))
    }
}
