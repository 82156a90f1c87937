//! Serving a router, the stub's or another: a thread of its own, a runtime of its own, a port on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::app;
use super::state::State;
use super::storage::{NotUsable, Storage, StorageSpec, Stored};
use crate::auth::{PublicKey, Verifier};
use crate::error::Error;
use crate::machine::pin;

/// How every HTTP/2 connection begins, and no HTTP/1.1 one (RFC 9113, 3.4).
const HTTP2: &[u8; 3] = b"PRI";
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long uploads under way may take to end once the stub stops.
const GRACE: Duration = Duration::from_secs(2);
/// Pause after a failed `accept`, so that running out of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Where the stub listens, which tokens it takes and where it stores files.
#[derive(Debug, Clone)]
pub struct StubOptions {
    /// Address to bind; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Tokens signed by its private half are valid.
    pub key: PublicKey,
    /// Core of the stub's thread.
    pub core: Option<usize>,
    /// Its storage elements, in the order that they are tried in; one that keeps nothing where there is none.
    pub storage: Vec<StorageSpec>,
    /// File with the token for storage elements that have an API.
    pub element_token: Option<PathBuf>,
}

impl StubOptions {
    /// A free port on loopback, and a storage that keeps nothing.
    pub fn new(key: PublicKey) -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Self { listen, key, core: None, storage: Vec::new(), element_token: None }
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
}

impl Stub {
    /// Binds, starts the thread and returns once connections are accepted.
    pub fn start(options: StubOptions) -> Result<Self, StubError> {
        let listening = Listening::at(options.listen)?;
        let token = options.element_token.as_deref();
        let storage = Arc::new(Storage::open(&options.storage, listening.address, token)?);
        let state = State {
            verifier: Verifier::new(options.key),
            storage: Arc::clone(&storage),
            #[cfg(feature = "handicap")]
            handicap: super::handicap::Handicap::of_this_executable(),
        };
        let server = listening.serve(app::app(state), options.core)?;
        Ok(Self { server, storage })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What it has taken in so far.
    pub fn stored(&self) -> Stored {
        self.storage.stored()
    }
}

/// A router that is served. Dropping it stops accepting, lets requests end, and joins the thread.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `router` on a free port of loopback by a thread on `core`, and returns once connections are accepted.
    pub fn start(router: Router, core: Option<usize>) -> Result<Self, StubError> {
        Listening::at((Ipv4Addr::LOCALHOST, 0).into())?.serve(router, core)
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

    fn serve(self, router: Router, core: Option<usize>) -> Result<Server, StubError> {
        // Made on this thread and not on the new one, so that a failure can be returned.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StubError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("stub".to_owned())
            .spawn(move || {
                pin(core);
                runtime.block_on(serve(self.socket, router, stopped));
            })
            .map_err(StubError::Thread)?;
        Ok(Server { address: self.address, stop: Some(stop), thread: Some(thread) })
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

async fn serve(listener: std::net::TcpListener, app: Router, mut stopped: oneshot::Receiver<()>) {
    let listener = TcpListener::from_std(listener).expect("a bound socket fits a running event loop");
    let connections = GracefulShutdown::new();
    let (closing, closed) = watch::channel(());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => { tokio::time::sleep(ACCEPT_PAUSE).await; continue }
            },
            _ = &mut stopped => break,
        };
        tokio::spawn(converse(stream, app.clone(), connections.watcher(), closed.clone()));
    }
    // From here on nobody can connect, and connections that have sent nothing yet end, as `closing` is gone.
    drop((listener, closing, closed));
    // Requests that have begun may end, but not hold up whoever drops the server.
    let _ = tokio::time::timeout(GRACE, connections.shutdown()).await;
}

/// Serves one connection in the protocol that its first bytes belong to. How it ends is not reported: the client has
/// seen that itself.
async fn converse(stream: TcpStream, app: Router, watcher: Watcher, mut closed: watch::Receiver<()>) {
    // Answers are small: without this, each would wait for the delayed acknowledgement of the last.
    let _ = stream.set_nodelay(true);
    // Looked at and not read: the bytes belong to the first request.
    let mut first = [0; HTTP2.len()];
    let peeked = tokio::select! {
        peeked = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut first)) => peeked,
        _ = closed.changed() => return,
    };
    let io = TokioIo::new(stream);
    let service = TowerToHyperService::new(app);
    match peeked {
        Ok(Ok(_)) if first == *HTTP2 => {
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
            let _ = watcher.watch(connection).await;
        }
        Ok(Ok(_)) => {
            // `axum::serve` would set no timer, and a slow head would never time out.
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                // Who has sent everything may close that direction and still wait for the answer.
                .half_close(true)
                .serve_connection(io, service);
            let _ = watcher.watch(connection).await;
        }
        // Nothing came in time, or the client has gone.
        _ => {}
    }
}
