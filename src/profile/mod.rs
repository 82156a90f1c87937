//! Where CPU time goes: the stacks of this process's threads, sampled, as a flame graph.
//!
//! * Taking samples: `sampler`, by a thread that does nothing else; `symbols` and `frame` give their addresses names.
//! * What is kept of them: `stacks`, as data. What is made of that: `draw` a picture, `flame_graph` files and a table.

mod draw;
mod flame_graph;
#[cfg(sampler)]
mod frame;
mod sampler;
mod stacks;
#[cfg(sampler)]
mod symbols;

use crate::console::note;
use crate::error::Error;

pub use flame_graph::{FlameFiles, FlameGraph};
pub use sampler::{CpuSampler, SampledBy};
pub(crate) use sampler::{pause, resume, sample_this_thread};
pub use stacks::{FrameTime, RoleTime, Stacks};

/// Samples in a second of CPU time, unless told otherwise. Not a round number: what runs a thousand times a second would be
/// met at the same place each time.
pub const DEFAULT_FREQUENCY_HZ: u32 = 999;

/// What people should know of a profile where the service is not a part of this process.
pub const CLIENT_ONLY: &str =
    "The service runs in another process, which is not sampled: only the client's half is drawn";

/// Starts a sampler. On standard error it says what stacks will lack in this build, if anything.
pub fn start(frequency_hz: u32) -> Result<CpuSampler, Error> {
    let sampler = CpuSampler::start(frequency_hz)?;
    // Told by the build script: the compiler does not say which flags it was given.
    if env!("INGESTER_PERF_FRAME_POINTERS") == "no" {
        note(
            "This build has no frame pointers, so stacks are cut: build it in its own folder without RUSTFLAGS, or with \
             RUSTFLAGS=\"-C force-frame-pointers=yes\" and CFLAGS=-fno-omit-frame-pointer",
        );
    }
    Ok(sampler)
}
