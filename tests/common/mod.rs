//! What the whole-program tests share: the real programs, and a small HTTP server that is not the stub.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub mod bench;
pub mod docs;
#[cfg(unix)]
pub mod form;
#[cfg(unix)]
pub mod gate;
pub mod http2;
pub mod load;
pub mod serve;
pub mod server;
pub mod tls;
