//! How a bench ends: its exit code, and the one line that says why.

use std::io;

use crate::console::note;
use crate::verdict::Verdict;
use crate::{Error, Exit};

/// Why a bench stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// It could not measure.
    #[error(transparent)]
    Error(#[from] Error),
    /// The command line is wrong; one line.
    #[error("{0}")]
    Usage(String),
    /// The tables could not be printed.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
    /// A signal came; what was measured until then has been reported.
    #[error("interrupted")]
    Signal(u8),
    /// Another case had to stop, and says why.
    #[error("stopped with another case")]
    Halted,
    /// What a case did failed, all of it or too often: measured, and missed.
    #[error("{0}")]
    Barren(Error),
}

impl Stop {
    /// The one that decides how the run ends.
    pub fn worst(stops: impl Iterator<Item = Self>) -> Option<Self> {
        stops.max_by_key(|stop| match stop {
            // It only says that another one stopped, which is among these too.
            Self::Halted => 0,
            Self::Barren(_) => 1,
            Self::Signal(_) => 2,
            Self::Error(_) | Self::Usage(_) | Self::Output(_) => 3,
        })
    }
}

/// How it ends; what stopped it is printed.
pub fn exit(result: Result<Verdict, Stop>) -> Exit {
    let exit = match &result {
        Ok(verdict) => Exit::from(*verdict),
        Err(Stop::Barren(_)) => Exit::Missed,
        Err(Stop::Signal(signal)) => Exit::Interrupted(*signal),
        Err(Stop::Error(error)) => Exit::from(error),
        Err(Stop::Usage(_) | Stop::Output(_) | Stop::Halted) => Exit::CouldNotMeasure,
    };
    if let Err(stop) = result {
        note(format_args!("error: {stop}"));
    }
    exit
}
