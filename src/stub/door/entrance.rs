//! Letting clients in, as many as there are places for, and turning others away at once.

use std::fs::File;
use std::sync::Arc;

use axum::Router;
use futures_util::FutureExt;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::super::hangup::Hangups;
use super::closing;
use super::connection::{Farewell, Terms, converse};
use super::limits::Limits;
use super::tally::Tally;
use crate::machine::possible_connections;

/// Sockets that wait for their clients to see the last answer; beyond, sockets are closed at once. Of each, the kernel keeps
/// what the client has sent and nobody reads: some 100 KB, and so some 13 MB in all.
const EXITS: usize = 128;
/// Places that there are however few descriptors the system allows.
const FEWEST: u64 = 8;

/// The door of one server.
pub(in crate::stub) struct Door {
    app: Router,
    limits: Limits,
    hangups: Hangups,
    tally: Arc<Tally>,
    places: Arc<Semaphore>,
    exits: Arc<Semaphore>,
    connections: GracefulShutdown,
    closing: watch::Sender<()>,
    /// A descriptor that is given up to turn a client away when no other is left. `None` where it could not be had.
    spare: Option<File>,
}

impl Door {
    pub fn new(app: Router, limits: Limits, hangups: Hangups, tally: Arc<Tally>) -> Self {
        // A connection may need a second descriptor: for the file that it stores, or for its other end if the client lives
        // in this process. Some are kept back for everything else.
        let wanted = limits.connections as u64;
        let places = places(wanted, possible_connections(2 * wanted));
        Self {
            app,
            limits,
            hangups,
            tally,
            places: Arc::new(Semaphore::new(places)),
            exits: Arc::new(Semaphore::new(EXITS)),
            connections: GracefulShutdown::new(),
            closing: watch::Sender::new(()),
            spare: spare(),
        }
    }

    /// Serves a client, or tells it that there is no place.
    pub fn admit(&self, stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.turn_away(stream);
            return;
        };
        let terms = Terms {
            app: self.app.clone(),
            limits: self.limits,
            hangup: self.hangups.for_connection(),
            tally: Arc::clone(&self.tally),
            watcher: self.connections.watcher(),
            closed: self.closing.subscribe(),
        };
        let present = self.tally.enter();
        let exits = Arc::clone(&self.exits);
        let tally = Arc::clone(&self.tally);
        let linger = self.limits.linger;
        let mut closed = self.closing.subscribe();
        tokio::spawn(async move {
            let _present = present;
            let farewell = converse(stream, terms).await;
            // Whoever is on the way out takes no place away from others.
            drop(place);
            let Some(Farewell { stream, may_read }) = farewell else { return };
            let Ok(_exit) = exits.try_acquire_owned() else { return };
            tokio::select! {
                read = closing::linger(stream, may_read, linger) => tally.read(read),
                // The answer is on its way, and nobody waits for its arrival when the server stops.
                _ = closed.changed() => {}
            }
        });
    }

    fn turn_away(&self, stream: TcpStream) {
        self.tally.refused();
        let Ok(exit) = Arc::clone(&self.exits).try_acquire_owned() else {
            closing::refuse_at_once(stream);
            return;
        };
        let present = self.tally.enter();
        let tally = Arc::clone(&self.tally);
        let linger = self.limits.linger;
        tokio::spawn(async move {
            tally.read(closing::refuse(stream, linger).await);
            drop((exit, present));
        });
    }

    /// Turns the client away that has waited longest, though no descriptor is left to accept it with. False where that was
    /// not possible: somebody else has taken the spare one.
    pub fn turn_one_away(&mut self, listener: &TcpListener) -> bool {
        self.spare = None;
        // Not waited for: a client that has left meanwhile is no longer in the queue.
        let accepted = listener.accept().now_or_never();
        let turned_away = if let Some(Ok((stream, _))) = accepted {
            self.tally.refused();
            closing::refuse_at_once(stream);
            true
        } else {
            false
        };
        self.spare = spare();
        turned_away
    }

    /// Ends when every connection has ended. Those without a request under way do so now.
    pub async fn close(self) {
        drop(self.closing);
        self.connections.shutdown().await;
    }
}

/// How many places there are, where so many are wanted and the system allows so many descriptors for them.
fn places(wanted: u64, descriptors: u64) -> usize {
    let places = (descriptors / 2).min(wanted).max(FEWEST);
    usize::try_from(places).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS)
}

/// A descriptor of no further use.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_descriptors_for_each_place() {
        assert_eq!(places(10_000, 20_000), 10_000);
        assert_eq!(places(10_000, 960), 480);
        assert_eq!(places(100, 1_000_000), 100);
        // With too few, some are let in all the same, and the spare descriptor serves the rest.
        assert_eq!(places(10_000, 0), 8);
    }
}
