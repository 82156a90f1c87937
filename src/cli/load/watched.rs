//! Where the service runs, whose use of CPU, memory and the rest is told beside the generator's.

use std::io::ErrorKind;

use crate::Error;
use crate::ingester::{Ingester, Settings};
use crate::load::WatchedService;
use crate::machine::ProcessTree;
use crate::stub::SERVER_THREAD;

/// An error where `--pid` names what cannot be watched: told before anything is started.
pub fn check(pid: Option<u32>, settings: &Settings) -> Result<(), Error> {
    let Some(id) = pid else { return Ok(()) };
    if settings.subject.is_in_process() {
        let problem = "is for a service that runs already (--url); the stub, which runs in this process, is watched anyway";
        return Err(wrong(problem.to_owned()));
    }
    let Err(error) = ProcessTree::of(id).check() else { return Ok(()) };
    Err(wrong(match error.kind() {
        ErrorKind::NotFound => {
            format!(
                "there is no process {id} on this machine, or not in this container; `pgrep -f NAME` finds one by name"
            )
        }
        ErrorKind::PermissionDenied => {
            format!(
                "what process {id} uses may be read by its own user only: run this as that user, or as root"
            )
        }
        ErrorKind::Unsupported => {
            "what another process uses can be read on Linux only; leave it out".to_owned()
        }
        _ => format!("cannot read what process {id} uses: {error}"),
    }))
}

fn wrong(problem: String) -> Error {
    Error::Setting { name: "--pid", problem }
}

/// Where the service runs: as `--pid` says, or as it was started here.
pub fn service(pid: Option<u32>, settings: &Settings, ingester: &Ingester) -> WatchedService {
    if let Some(id) = pid.or_else(|| ingester.process()) {
        let cores = ProcessTree::of(id).cores().unwrap_or_else(all_cores);
        return WatchedService::Process { id, cores };
    }
    if settings.subject.is_in_process() {
        // Without a core of its own, the threads that write to disks for it may run beside the one that serves.
        let cores = if settings.placement.stub.is_some() { 1 } else { all_cores() };
        return WatchedService::Threads { name: SERVER_THREAD.to_owned(), cores };
    }
    WatchedService::Unknown
}

/// Cores that this process may use.
fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
