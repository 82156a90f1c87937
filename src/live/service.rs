//! The thread that tells of a run: it listens to the run, and answers and pushes from an event loop of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Semaphore, watch};

use super::board::{Board, RunAbout};
use super::feed::{LiveFeed, RunEvent};
use super::http::{Answers, CLIENTS, Site, serve};
use super::push::{PushTarget, Pushed, push_until_over};
use crate::console::note;
use crate::document::Document;
use crate::error::Error;

/// How long whoever looks may take to be sent the last state.
const GRACE: Duration = Duration::from_secs(1);

/// Who is told of a run.
#[derive(Debug, Default)]
pub(crate) struct LiveOptions {
    /// Address of the page.
    pub page: Option<SocketAddr>,
    /// Address of the metrics.
    pub metrics: Option<SocketAddr>,
    /// Where the metrics are pushed.
    pub push: Option<PushTarget>,
}

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
enum LiveError {
    /// Whoever reaches the address could read the page.
    #[error(
        "--live: {address} can be reached from other machines, and the page asks for no password; write {local}. To see it \
         on another machine, type `ssh -L {local}:{local} HOST` there, and open http://{local}"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
        /// The same port on loopback.
        local: SocketAddr,
    },
    /// Both cannot have one address.
    #[error("--metrics-addr: {0} is the address of --live; choose another port")]
    SameAddress(SocketAddr),
    /// The address is taken, not this machine's, or not permitted.
    #[error("{flag}: cannot listen on {address}: {source}; choose another address, or port 0 for a free one")]
    Bind {
        /// The flag that named it.
        flag: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl From<LiveError> for Error {
    fn from(error: LiveError) -> Self {
        Self::Unusable(error.into())
    }
}

/// Everything that can go wrong has gone well, and nobody is told yet.
#[derive(Debug)]
pub(crate) struct BoundLive {
    sockets: Vec<Socket>,
    push: Option<PushTarget>,
    runtime: Runtime,
}

/// A socket that is bound, and what is to be seen there.
#[derive(Debug)]
struct Socket {
    site: Site,
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl Socket {
    fn bind(flag: &'static str, site: Site, address: SocketAddr) -> Result<Self, LiveError> {
        Self::bound_to(site, address).map_err(|source| LiveError::Bind { flag, address, source })
    }

    fn bound_to(site: Site, address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        // Tokio takes over the socket as it is, and a blocking one would stop its event loop.
        listener.set_nonblocking(true)?;
        // Where port 0 was asked for, the system has chosen one by now.
        let address = listener.local_addr()?;
        Ok(Self { site, listener, address })
    }
}

impl BoundLive {
    /// Binds the addresses, before anything is measured. `None` where nobody is to be told.
    pub(crate) fn bind(options: LiveOptions) -> Result<Option<Self>, Error> {
        let mut sockets = Vec::new();
        if let Some(address) = options.page {
            if !address.ip().to_canonical().is_loopback() {
                let local = (Ipv4Addr::LOCALHOST, address.port()).into();
                return Err(LiveError::NotLoopback { address, local }.into());
            }
            sockets.push(Socket::bind("--live", Site::Page, address)?);
        }
        if let Some(address) = options.metrics {
            // With port 0 each gets a port of its own.
            if options.page == Some(address) && address.port() != 0 {
                return Err(LiveError::SameAddress(address).into());
            }
            sockets.push(Socket::bind("--metrics-addr", Site::Metrics, address)?);
        }
        if sockets.is_empty() && options.push.is_none() {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Some(Self { sockets, push: options.push, runtime: runtime.map_err(Error::Thread)? }))
    }

    /// Begins to tell, and says where.
    pub(crate) fn start(self, about: RunAbout) -> Result<Live, Error> {
        for Socket { site, address, .. } in &self.sockets {
            match site {
                Site::Page => note(format_args!("Live: http://{address}/")),
                Site::Metrics => note(format_args!("Metrics: http://{address}/metrics")),
            }
        }
        if let Some(target) = &self.push {
            note(format_args!("Pushing metrics to {target} every 5 s, and at the end"));
        }
        let target = self.push.as_ref().map(PushTarget::to_string).unwrap_or_default();
        let (events, told) = mpsc::unbounded_channel();
        let Self { sockets, push, runtime } = self;
        let thread = std::thread::Builder::new().name("live".to_owned()).spawn(move || {
            let pushed = runtime.block_on(tell(sockets, push, Board::new(about), told));
            // Whoever still looks is left.
            runtime.shutdown_background();
            pushed
        });
        Ok(Live { events, thread: Some(thread.map_err(Error::Thread)?), target })
    }
}

/// The thread that tells. Dropping it ends it, too.
#[derive(Debug)]
pub(crate) struct Live {
    events: UnboundedSender<RunEvent>,
    thread: Option<JoinHandle<Pushed>>,
    /// Where the metrics are pushed, for people.
    target: String,
}

impl Live {
    /// Where a run says what is known of it.
    pub(crate) fn feed(&self) -> LiveFeed {
        LiveFeed::new(self.events.clone())
    }

    /// Tells what the runs came to, and waits until everybody knows it: the time of two pushes at most, one of
    /// which may be under way. Says how pushing went.
    pub(crate) fn end(mut self, outcome: Document) {
        self.finish(Some(outcome));
    }

    fn finish(&mut self, outcome: Option<Document>) {
        let Some(thread) = self.thread.take() else { return };
        // An error means that it has ended, which is noticed next.
        let _ = self.events.send(RunEvent::Ends(outcome));
        // A panic there has been printed by its own thread.
        let Ok(pushed) = thread.join() else { return };
        if pushed.failed > 0 {
            let last = if pushed.last_failed {
                "the last one too, so that the totals there are not whole"
            } else {
                "the last one got through, so that the totals there are whole"
            };
            note(format_args!(
                "{} of {} pushes to {} failed; {last}",
                pushed.failed, pushed.all, self.target
            ));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish(None);
    }
}

/// Answers and pushes while the run tells of itself, and until all have been told how it ended.
async fn tell(
    sockets: Vec<Socket>,
    push: Option<PushTarget>,
    board: Board,
    mut told: UnboundedReceiver<RunEvent>,
) -> Pushed {
    let (board, seen) = watch::channel(board);
    let answers = Arc::new(Answers::new(seen.clone()));
    let places = Arc::new(Semaphore::new(CLIENTS));
    for Socket { site, listener, .. } in sockets {
        let listener = TcpListener::from_std(listener).expect("a bound socket fits a running event loop");
        tokio::spawn(serve(listener, site, Arc::clone(&answers), Arc::clone(&places)));
    }
    let pushing = push.map(|target| tokio::spawn(push_until_over(target, seen)));
    let mut has_ended = false;
    while !has_ended {
        // A run that is gone without a word has ended too.
        let event = told.recv().await.unwrap_or(RunEvent::Ends(None));
        board.send_modify(|board| note_down(board, event));
        has_ended = board.borrow().has_ended;
    }
    // The metrics can be fetched until the last push is through.
    let pushed = match pushing {
        Some(pushing) => pushing.await.unwrap_or_default(),
        None => Pushed::default(),
    };
    // Every place is free again when the last one who looks has been sent the last state.
    let _ = tokio::time::timeout(GRACE, places.acquire_many(CLIENTS as u32)).await;
    pushed
}

fn note_down(board: &mut Board, event: RunEvent) {
    match event {
        RunEvent::Begins(plan) => board.begin(plan),
        RunEvent::Seconds(seconds) => board.add(&seconds),
        RunEvent::Used(sample) => board.add_used(*sample),
        RunEvent::Over { rest, unfinished } => board.over(&rest, unfinished),
        RunEvent::Ends(outcome) => board.end(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: LiveOptions) -> String {
        BoundLive::bind(options).expect_err("is refused").to_string()
    }

    #[test]
    fn a_page_for_other_machines_is_refused_with_a_way_out() {
        let page = Some("0.0.0.0:8099".parse().expect("is an address"));
        let says = refused(LiveOptions { page, ..LiveOptions::default() });
        assert!(says.starts_with("--live: 0.0.0.0:8099 can be reached"), "{says}");
        assert!(says.contains("`ssh -L 127.0.0.1:8099:127.0.0.1:8099 HOST`"), "{says}");
    }

    #[test]
    fn an_address_that_is_taken_names_its_flag() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = taken.local_addr().expect("is bound");
        let says = refused(LiveOptions { metrics: Some(address), ..LiveOptions::default() });
        assert!(says.starts_with(&format!("--metrics-addr: cannot listen on {address}")), "{says}");
    }

    #[test]
    fn one_address_is_not_for_both() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = free.local_addr().expect("is bound");
        drop(free);
        let both = LiveOptions { page: Some(address), metrics: Some(address), push: None };
        assert!(refused(both).starts_with("--metrics-addr: "));
    }

    #[test]
    fn nothing_is_started_where_nobody_asked() {
        assert!(BoundLive::bind(LiveOptions::default()).expect("binds nothing").is_none());
    }
}
