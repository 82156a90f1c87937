//! The door of a server: who is let in, for how long, and how they are shown out.
//!
//! hyper has a time limit for the head of an HTTP/1 request and none for bodies, for answers that nobody reads, for idle
//! connections, or for HTTP/2. So the socket is wrapped ([`wire`]) and counts the bytes that move, the requests and their
//! bodies ([`bodies`]) say whose turn it is, and both write it down in [`traffic`]. A [`watch`] for each connection looks at
//! that twice a second and cuts the connection of a client who keeps it waiting: one mechanism for a slow head, a dribbled
//! body, an answer that is not read, a window of zero and silence, over either protocol.
//!
//! The number of connections has a limit ([`entrance`]), and how they end without losing their last answer is the business
//! of [`closing`].

mod bodies;
mod closing;
mod connection;
mod entrance;
mod limits;
mod tally;
mod traffic;
mod watch;
mod wire;

pub(super) use entrance::Door;
pub use limits::Limits;
pub use tally::Connections;
pub(super) use tally::Tally;
