//! What a process and all that it started use of the machine. Read from Linux's `/proc`; elsewhere every reading is an error
//! that says so.

use std::io;
use std::time::Duration;

use crate::units::Bytes;

/// A process with its descendants, as they are whenever it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessTree {
    root: u32,
}

/// What a tree uses. Counters are sums over the processes that are alive: one that ends takes its counts with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Processes that are alive.
    pub processes: u64,
    /// Time on a core since their starts, in steps of 10 ms.
    pub cpu: Duration,
    /// Resident memory. Pages that two of them share are counted twice.
    pub resident: Bytes,
    /// Open descriptors; those of other users' processes cannot be counted.
    pub descriptors: u64,
    /// Context switches since their starts, wanted and forced.
    pub switches: u64,
    /// Bytes that were read from disks for them.
    pub disk_read: Bytes,
    /// Bytes that were written to disks for them.
    pub disk_written: Bytes,
}

impl ProcessTree {
    /// The tree of this process id. Whether there is such a process is told by the first reading.
    pub fn of(root: u32) -> Self {
        Self { root }
    }

    /// This process, with what it started.
    pub fn own() -> Self {
        Self { root: std::process::id() }
    }

    /// What the tree uses now. An error where its first process has ended, or may not be looked at.
    #[cfg(target_os = "linux")]
    pub fn usage(&self) -> io::Result<ProcessUsage> {
        let root = linux::process(self.root)?;
        let mut usage = ProcessUsage::default();
        linux::add(&root, &mut usage)?;
        for process in linux::descendants(self.root)? {
            // It may have ended since it was listed.
            let _ = linux::add(&process, &mut usage);
        }
        Ok(usage)
    }

    /// What the tree uses now: not to be had on this system.
    #[cfg(not(target_os = "linux"))]
    pub fn usage(&self) -> io::Result<ProcessUsage> {
        let problem = format!("what process {} uses can be read on Linux only", self.root);
        Err(io::Error::new(io::ErrorKind::Unsupported, problem))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{HashMap, HashSet};
    use std::io;
    use std::time::Duration;

    use procfs::process::{Process, all_processes};

    use super::ProcessUsage;

    pub fn process(id: u32) -> io::Result<Process> {
        let id = i32::try_from(id).map_err(|_| io::Error::other(format!("{id} is not a process id")))?;
        Process::new(id).map_err(io::Error::other)
    }

    /// Every process whose parent, or a parent of that, is this one.
    pub fn descendants(root: u32) -> io::Result<Vec<Process>> {
        let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
        for process in all_processes().map_err(io::Error::other)? {
            // Those that end while they are listed belong to nobody.
            let Ok(process) = process else { continue };
            let Ok(stat) = process.stat() else { continue };
            children.entry(stat.ppid).or_default().push(process);
        }
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut parents = vec![root as i32];
        while let Some(parent) = parents.pop() {
            for process in children.remove(&parent).unwrap_or_default() {
                if seen.insert(process.pid) {
                    parents.push(process.pid);
                    found.push(process);
                }
            }
        }
        Ok(found)
    }

    pub fn add(process: &Process, usage: &mut ProcessUsage) -> io::Result<()> {
        let stat = process.stat().map_err(io::Error::other)?;
        let ticks = stat.utime + stat.stime;
        usage.processes += 1;
        usage.cpu += Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
        usage.resident.0 += stat.rss * procfs::page_size();
        if let Ok(status) = process.status() {
            usage.switches += status.voluntary_ctxt_switches.unwrap_or(0);
            usage.switches += status.nonvoluntary_ctxt_switches.unwrap_or(0);
        }
        // Both may be looked at by the process's user only.
        if let Ok(count) = process.fd_count() {
            usage.descriptors += count as u64;
        }
        if let Ok(io) = process.io() {
            usage.disk_read.0 += io.read_bytes;
            usage.disk_written.0 += io.write_bytes;
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_tree_has_the_processes_that_were_started_in_it() {
        let before = ProcessTree::own().usage().expect("can be read");
        assert!(before.processes >= 1 && before.resident > Bytes::mb(1) && before.descriptors >= 3);
        // A shell with a child of its own: both belong to this process, and one belongs to the shell.
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 & echo; read line; kill $!"]);
        let shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut shell = shell.expect("starts");
        let mut line = [0];
        let output = shell.stdout.as_mut().expect("is piped");
        output.read_exact(&mut line).expect("says that its child runs");
        assert_eq!(ProcessTree::of(shell.id()).usage().expect("can be read").processes, 2);
        // The end of its input is a line to it.
        drop(shell.stdin.take());
        shell.wait().expect("ends");
        assert!(ProcessTree::of(shell.id()).usage().is_err());
    }
}
