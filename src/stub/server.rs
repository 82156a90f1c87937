//! Serving a router, the stub's or another: a thread of its own, a runtime of its own, a port on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;

use super::answer::Dialect;
use super::app;
use super::door::{Connections, Door, Limits, Tally};
use super::fault::{FAULT_ROUTE, FaultOptions, LONGEST_FAULT};
use super::hangup::Hangups;
use super::jwks::RemoteKeys;
use super::metrics::Metrics;
use super::phase::{self, PhaseLog};
use super::state::State;
use super::storage::{NotUsable, Storage, StorageSpec, Stored};
use crate::auth::{KeySet, Policy, PublicKey, Verifier};
use crate::error::Error;
use crate::machine::pin;
use crate::phases::ServicePhases;
use crate::profile::sample_this_thread;

/// How long uploads under way may take to end once the stub stops.
const GRACE: Duration = Duration::from_secs(2);
/// Name of the threads that serve, by which their use of the machine is told from that of the rest of the process.
pub const SERVER_THREAD: &str = "stub";
/// Pause after a failed `accept`, so that a failure that stays does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Where the stub listens, which tokens it takes and where it stores files.
#[derive(Debug, Clone)]
pub struct StubOptions {
    /// Address to bind; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Tokens that are signed with the private half of one of these are valid.
    pub keys: Keys,
    /// What a token has to be beyond its signature.
    pub policy: Policy,
    /// Which generation of the service the answers are those of.
    pub dialect: Dialect,
    /// Core of the stub's thread.
    pub core: Option<usize>,
    /// Its storage elements, in the order that they are tried in; one that keeps nothing where there is none.
    pub storage: Vec<StorageSpec>,
    /// File with the token for storage elements that have an API.
    pub element_token: Option<PathBuf>,
    /// How much its clients may take.
    pub limits: Limits,
    /// What goes wrong on purpose.
    pub faults: FaultOptions,
    /// Whether to time the phases of uploads.
    pub phases: bool,
}

/// Where the keys come from that tokens are checked with.
#[derive(Debug, Clone)]
pub enum Keys {
    /// They are these.
    Fixed(KeySet),
    /// A JSON Web Key Set at this URL, which is read again from time to time.
    Url(Url),
}

impl Keys {
    /// The keys, and where they are read again, if that is a URL.
    fn read(self) -> Result<(KeySet, Option<RemoteKeys>), StubError> {
        let url = match self {
            Self::Fixed(keys) => return Ok((keys, None)),
            Self::Url(url) => url,
        };
        let remote = RemoteKeys::at(url).map_err(StubError::Keys)?;
        // The stub's own event loop does not run yet.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StubError::Thread)?;
        let keys = runtime.block_on(remote.read()).map_err(StubError::Keys)?;
        Ok((keys, Some(remote)))
    }
}

impl StubOptions {
    /// A free port on loopback, for the tokens of this key, a storage that keeps nothing, no faults, and nothing timed.
    pub fn new(key: &PublicKey) -> Self {
        Self::with(Keys::Fixed(KeySet::from(key)))
    }

    /// The same, with keys from somewhere.
    pub fn with(keys: Keys) -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            keys,
            policy: Policy::default(),
            dialect: Dialect::default(),
            core: None,
            storage: Vec::new(),
            element_token: None,
            limits: Limits::default(),
            faults: FaultOptions::default(),
            phases: false,
        }
    }
}

/// Error for a stub that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StubError {
    /// The address is taken, not this machine's, or not permitted.
    #[error("cannot listen on {address}: {source}; choose another --listen address")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The keys could not be read.
    #[error("cannot read the keys for tokens: {0}")]
    Keys(String),
    /// Whoever reaches the address could switch faults.
    #[error(
        "{route} needs no token, and whoever reaches {0} could switch faults: leave --fault-api out, or --listen on \
         127.0.0.1",
        route = FAULT_ROUTE
    )]
    FaultsForAll(SocketAddr),
    /// The system refused a thread or an event loop.
    #[error("cannot start the stub's thread: {0}")]
    Thread(io::Error),
    /// A storage element cannot be opened.
    #[error(transparent)]
    Storage(#[from] NotUsable),
}

impl From<StubError> for Error {
    fn from(error: StubError) -> Self {
        Self::Unusable(error.into())
    }
}

/// A running stub. Dropping it stops accepting and lets uploads end.
#[derive(Debug)]
pub struct Stub {
    server: Server,
    storage: Arc<Storage>,
    phases: Option<Arc<PhaseLog>>,
}

impl Stub {
    /// Binds, starts the thread and returns once connections are accepted.
    pub fn start(options: StubOptions) -> Result<Self, StubError> {
        if options.faults.api && !options.listen.ip().to_canonical().is_loopback() {
            return Err(StubError::FaultsForAll(options.listen));
        }
        let listening = Listening::at(options.listen)?;
        let token = options.element_token.as_deref();
        let storage = Arc::new(Storage::open(&options.storage, listening.address, token)?);
        let (keys, remote_keys) = options.keys.read()?;
        let faults = options.faults.faults();
        let phases: Option<Arc<PhaseLog>> = if options.phases { Some(Arc::default()) } else { None };
        let state = State {
            remote_keys: remote_keys.map(Arc::new),
            metrics: phases.as_ref().map_or_else(Metrics::default, Metrics::with_phases),
            dialect: options.dialect,
            faults: faults.clone(),
            phases: phases.clone(),
            ..State::new(Verifier::new(keys, options.policy), Arc::clone(&storage))
        };
        let mut app = app::app(Arc::new(state));
        let mut hangups = Hangups::None;
        let mut limits = options.limits;
        if let Some(faults) = faults {
            app = options.faults.in_front_of(app, &faults);
            hangups = Hangups::OnRequest;
            // A request that a fault holds back is at work for as long as that.
            limits.work = limits.work.max(2 * LONGEST_FAULT);
        }
        if let Some(log) = &phases {
            // In front of the faults as well: a delay of theirs is a part of the upload.
            app = phase::in_front_of(app, log);
        }
        let server = listening.serve(app, options.core, limits, hangups)?;
        Ok(Self { server, storage, phases })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What it has taken in so far.
    pub fn stored(&self) -> Stored {
        self.storage.stored()
    }

    /// Where the time of the uploads went that were stored since the start, or since the last call. `None` where phases are
    /// not timed.
    pub fn take_phases(&self) -> Option<ServicePhases> {
        self.phases.as_ref().map(|log| log.take())
    }

    /// What its clients have done so far.
    pub fn connections(&self) -> Connections {
        self.server.tally.connections()
    }
}

/// A router that is served. Dropping it stops accepting, lets requests end, and joins the thread.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tally: Arc<Tally>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `router` on a free port of loopback by a thread on `core`, and returns once connections are accepted.
    pub fn start(router: Router, core: Option<usize>) -> Result<Self, StubError> {
        Listening::at((Ipv4Addr::LOCALHOST, 0).into())?.serve(router, core, Limits::default(), Hangups::None)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A bound socket. The stub's answers name the address before anything is served there.
struct Listening {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Listening {
    fn at(address: SocketAddr) -> Result<Self, StubError> {
        Self::bound_to(address).map_err(|source| StubError::Bind { address, source })
    }

    fn bound_to(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(address)?;
        // Tokio takes over the socket as it is, and a blocking one would stop its event loop.
        socket.set_nonblocking(true)?;
        // Where port 0 was asked for, the system has chosen one by now.
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    fn serve(
        self,
        router: Router,
        core: Option<usize>,
        limits: Limits,
        hangups: Hangups,
    ) -> Result<Server, StubError> {
        // Made on this thread and not on the new one, so that a failure can be returned. Its threads for files have the name of
        // the stub's thread: what they use is the stub's.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(SERVER_THREAD)
            .on_thread_start(sample_this_thread)
            .build()
            .map_err(StubError::Thread)?;
        let tally = Arc::new(Tally::default());
        let door = Door::new(router, limits, hangups, Arc::clone(&tally));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(SERVER_THREAD.to_owned())
            .spawn(move || {
                pin(core);
                sample_this_thread();
                runtime.block_on(serve(self.socket, door, stopped));
                // A disk that hangs must not keep the process: what waits for it is left behind.
                runtime.shutdown_timeout(GRACE);
            })
            .map_err(StubError::Thread)?;
        Ok(Server { address: self.address, tally, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The loop of `serve` ends when the sender of its receiver is gone.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed by its own thread; there is nothing to add while dropping.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, mut door: Door, mut stopped: oneshot::Receiver<()>) {
    let listener = TcpListener::from_std(listener).expect("a bound socket fits a running event loop");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, _)) => door.admit(stream),
            Err(error) if is_out_of_descriptors(&error) => {
                // The client that was to be accepted is still in the queue.
                let turned_away = door.turn_one_away(&listener);
                if !turned_away {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    // From here on nobody can connect.
    drop(listener);
    // Requests that have begun may end, but not hold up whoever drops the server.
    let _ = tokio::time::timeout(GRACE, door.close()).await;
}

/// Whether a call failed because the process, or the system, has as many descriptors open as it may.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    // ENFILE and EMFILE, as Linux and macOS number them.
    matches!(error.raw_os_error(), Some(23 | 24))
}
