//! What is measured, as it is described before anything runs.

use std::sync::Arc;

use url::Url;

use super::credentials::Credentials;
use super::service::ServiceCommand;
use crate::api::Api;
use crate::stub::RouterOf;

/// What is measured.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The stub, in this process.
    Stub,
    /// A service of the caller's own, in this process.
    Router(RouterOf),
    /// A service that is running already.
    Running {
        /// Its base URL.
        url: Url,
        /// What is shown to it.
        credentials: Credentials,
    },
    /// A service that is started for the run.
    Command {
        /// How.
        command: Arc<ServiceCommand>,
        /// What is shown to it; tokens of this run's key where there is nothing else.
        credentials: Option<Credentials>,
    },
}

impl Subject {
    /// Whether it is part of this process, and so keeps nothing and costs nobody anything.
    pub fn is_in_process(&self) -> bool {
        matches!(self, Self::Stub | Self::Router(_))
    }
}

/// What is known of the service before the environment is looked at. The default is the stub.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// How to speak to it.
    pub api: Arc<Api>,
    /// Where it is running.
    pub url: Option<Url>,
    /// How to start it.
    pub command: Option<Arc<ServiceCommand>>,
    /// How to make it in this process.
    pub router: Option<RouterOf>,
}
