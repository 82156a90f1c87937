//! What is measured: the stub or a router in this process, a service that a command starts, or a running one by URL; with
//! its source of tokens.

mod client_credentials;
mod credentials;
mod http;
mod leftovers;
mod renewal;
mod service;
mod settings;
mod subject;
mod token_text;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use url::Url;

pub use client_credentials::ClientCredentials;
pub use credentials::Credentials;
pub use leftovers::Leftovers;
pub use renewal::Renewal;
pub use service::{Ready, Service, ServiceCommand, ServiceError};
pub(crate) use settings::OF_A_REAL_INGESTER;
pub use settings::{Flag, Settings, base_url};
pub use subject::{Described, Subject};

use crate::api::Api;
use crate::auth::{Minter, Token};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::network::{Network, name_over};
use crate::phases::ServicePhases;
use crate::stub::{FaultOptions, Server, StorageSpec, Stub, StubOptions};
use tokens::Tokens;

/// Connect timeout when the service is looked for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What reports call a service that a command started: its port changes, and its command line may hold a password.
const CONFIGURED: &str = "the configured service";

/// A service that uploads can be sent to. Dropping it stops what was started for it.
#[derive(Debug)]
pub struct Ingester {
    base: Url,
    api: Arc<Api>,
    tokens: Tokens,
    leftovers: Arc<Leftovers>,
    running: Running,
    /// The simulated network before it.
    network: Option<Network>,
}

/// What was started for an ingester, and ends with it.
#[derive(Debug)]
enum Running {
    Stub(RunningStub),
    Router(#[expect(dead_code, reason = "kept for its end")] Server),
    Service(Box<Service>),
    Elsewhere,
}

/// A stub, and where it stores files. The fields are dropped in this order: folders go after the stub that writes to them.
#[derive(Debug)]
struct RunningStub {
    stub: Stub,
    /// `stub`, and what sets it apart from one that keeps nothing and never fails, so that no report of the one passes for
    /// one of the other.
    name: String,
    #[expect(dead_code, reason = "kept for its end")]
    folders: Vec<TempDir>,
}

/// What reports call the stub of these settings.
fn name_of_stub(settings: &Settings) -> String {
    let mut name = "stub".to_owned();
    if !settings.keeps_nothing() {
        name += &format!(" with {}", joined(&settings.storage));
    }
    if !settings.faults.is_empty() {
        name += &format!(" (faults: {})", settings.faults_as_text());
    }
    if settings.phases {
        name += " (phases timed)";
    }
    name
}

impl Ingester {
    /// The service that the settings name, on the placement's core if it is started here. An interrupt ends the wait for
    /// one that is slow to start.
    pub fn start(settings: &Settings, interrupt: &Interrupt) -> Result<Self, Error> {
        let core = settings.placement.stub;
        match &settings.subject {
            Subject::Running { url, credentials } => {
                Ok(Self::new(url.clone(), settings, credentials.clone(), Running::Elsewhere))
            }
            Subject::Stub => {
                let key = settings.key()?;
                let (storage, folders) = scratch(&settings.storage)?;
                let faults = FaultOptions { specs: settings.faults.clone(), ..FaultOptions::default() };
                let options = StubOptions {
                    core,
                    storage,
                    element_token: settings.element_token.clone(),
                    faults,
                    phases: settings.phases,
                    ..StubOptions::new(key.public())
                };
                let stub = Stub::start(options)?;
                let minted = Credentials::PrivateKey(Minter::new(key));
                let address = at(stub.address());
                let running = RunningStub { stub, name: name_of_stub(settings), folders };
                Ok(Self::new(address, settings, minted, Running::Stub(running)))
            }
            Subject::Router(router) => {
                let key = settings.key()?;
                let server = Server::start(router.make(key.public()), core)?;
                let minted = Credentials::PrivateKey(Minter::new(key));
                Ok(Self::new(at(server.address()), settings, minted, Running::Router(server)))
            }
            Subject::Command { command, credentials } => {
                let key = settings.key()?;
                let service = Service::start(command, key.public(), core, interrupt)?;
                let minted = Credentials::PrivateKey(Minter::new(key));
                // The service was given the public half, and takes this run's tokens unless it has a source of its own.
                let credentials = credentials.clone().unwrap_or(minted);
                Ok(Self::new(
                    service.base().clone(),
                    settings,
                    credentials,
                    Running::Service(Box::new(service)),
                ))
            }
        }
    }

    fn new(base: Url, settings: &Settings, credentials: Credentials, running: Running) -> Self {
        Self {
            base,
            api: Arc::clone(&settings.api),
            tokens: Tokens::new(credentials),
            leftovers: Arc::default(),
            running,
            network: settings.network,
        }
    }

    /// What reports call it: `stub`, with its storage if it has one, or the URL; and the simulated network before it. They
    /// hold no credentials.
    pub fn name(&self) -> String {
        name_over(self.service_name(), self.network.as_ref())
    }

    fn service_name(&self) -> String {
        match &self.running {
            Running::Stub(stub) => stub.name.clone(),
            Running::Router(_) => "router".to_owned(),
            Running::Service(_) => CONFIGURED.to_owned(),
            Running::Elsewhere => self.base.as_str().trim_end_matches('/').to_owned(),
        }
    }

    /// The process that it was started as, which may have started others; `None` where it runs in this process or was not
    /// started here.
    pub fn process(&self) -> Option<u32> {
        match &self.running {
            Running::Service(service) => Some(service.process()),
            Running::Stub(_) | Running::Router(_) | Running::Elsewhere => None,
        }
    }

    /// Where the time of its uploads went since the start, or since the last call: only of the stub in this process, and only
    /// if the settings ask for it.
    pub fn take_phases(&self) -> Option<ServicePhases> {
        match &self.running {
            Running::Stub(running) => running.stub.take_phases(),
            Running::Router(_) | Running::Service(_) | Running::Elsewhere => None,
        }
    }

    /// Whether it shares this machine with whoever loads it.
    pub fn is_here(&self) -> bool {
        let loopback = match self.base.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        // What was started for it runs here, whatever its URL says.
        !matches!(self.running, Running::Elsewhere) || loopback
    }

    /// Where it is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// How to speak to it.
    pub fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// Where files are uploaded, for people: places of the path stand as they were written.
    pub fn upload_url(&self) -> String {
        format!("{}/{}", self.base.as_str().trim_end_matches('/'), self.api.path)
    }

    /// What was left with it until now.
    pub fn leftovers(&self) -> &Arc<Leftovers> {
        &self.leftovers
    }

    /// A token that is valid now and for a while; none where the service wants none. May have to ask for one: not for
    /// measured intervals.
    pub fn token(&self) -> Result<Option<Token>, Error> {
        self.tokens.current()
    }

    /// Whether something listens where the service should be. No more than a connection: an upload tells the rest, and
    /// it needs no certificates to find out that nobody is there.
    pub async fn reach(&self) -> Result<(), Error> {
        let addresses = self.base.socket_addrs(|| None).map_err(|e| self.unreachable(e.to_string()))?;
        let connecting = TcpStream::connect(addresses.as_slice());
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(self.unreachable(e.to_string())),
            Err(_) => Err(self.unreachable(format!("no connection within {CONNECT_TIMEOUT:?}"))),
        }
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { url: self.service_name(), reason }
    }
}

/// The same storage, with a new folder in place of each folder: what a run stores there is removed after it.
fn scratch(storage: &[StorageSpec]) -> Result<(Vec<StorageSpec>, Vec<TempDir>), Error> {
    let mut specs = Vec::new();
    let mut folders = Vec::new();
    for spec in storage {
        let Some(path) = spec.folder() else {
            specs.push(spec.clone());
            continue;
        };
        std::fs::create_dir_all(path).map_err(|e| Error::file(path, "make the folder", e))?;
        let folder = tempfile::Builder::new().prefix("ingester-perf-").tempdir_in(path);
        let folder = folder.map_err(|e| Error::file(path, "write to", e))?;
        specs.push(spec.clone().in_folder(folder.path()));
        folders.push(folder);
    }
    Ok((specs, folders))
}

/// Storage elements as `INGESTER_STORAGE` has them.
fn joined(storage: &[StorageSpec]) -> String {
    let texts: Vec<String> = storage.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

/// The base URL of what listens there.
fn at(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}")).expect("an address makes a URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(url: &str) -> Ingester {
        let url = url.parse().expect("is a URL");
        Ingester::new(url, &Settings::default(), Credentials::None, Running::Elsewhere)
    }

    #[test]
    fn a_run_stores_in_folders_of_its_own() {
        let dir = TempDir::new().expect("makes one");
        let storage = [format!("dir:{},mode=edit,name=a", dir.path().display()), "discard".to_owned()];
        let storage = storage.map(|text| text.parse::<StorageSpec>().expect("is valid"));
        let (specs, folders) = scratch(&storage).expect("can be made");
        let folder = specs[0].folder().expect("is one");
        assert!(folder.parent() == Some(dir.path()) && folder.is_dir());
        assert!(specs[0].to_string().ends_with(",mode=edit,name=a") && specs[1].is_discard());
        assert_eq!(joined(&storage), format!("dir:{},mode=edit,name=a discard", dir.path().display()));
        drop(folders);
        assert_eq!(std::fs::read_dir(dir.path()).expect("can be listed").count(), 0);
    }

    #[test]
    fn a_base_url_may_have_a_path() {
        assert_eq!(elsewhere("http://h:8020").upload_url(), "http://h:8020/api/v1/files/upload");
        assert_eq!(elsewhere("http://h/in/").upload_url(), "http://h/in/api/v1/files/upload");
        assert_eq!(elsewhere("http://h/").name(), "http://h");
    }

    #[test]
    fn a_simulated_network_is_part_of_the_name() {
        let settings = Settings { network: "lte".parse().ok(), ..Settings::default() };
        let url = "http://h/".parse().expect("is a URL");
        let ingester = Ingester::new(url, &settings, Credentials::None, Running::Elsewhere);
        assert_eq!(ingester.name(), "http://h over lte (70 ms, 12 Mbit/s up, 12 Mbit/s down)");
        // What is not there is not there over any network.
        assert!(ingester.unreachable("gone".to_owned()).to_string().contains("at http://h: gone"));
    }
}
