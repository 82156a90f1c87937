//! Simulated networks: a stream that carries bytes as a slow line would, with its round trip, its rate in each direction,
//! jitter and loss. It is a part of the client, so it needs no rights on the machine and works with any service.
//!
//! * What is asked for: [`Network`] in `spec`, with the table of `preset` and the rates of `rate`.
//! * When bytes arrive: `line`, a pure function of sizes, times and a seed; `way` keeps the bytes until then.
//! * Doing it: `shaped`, around the real stream; `arrival` notes when something came in, even while nobody reads.
//!
//! Without a network nothing of this stands in a connection's way.

mod arrival;
mod line;
mod preset;
mod rate;
mod shaped;
mod spec;
mod way;

pub(crate) use shaped::Shaped;
pub use spec::{Network, NotANetwork, name_over, network_of, service_of};
