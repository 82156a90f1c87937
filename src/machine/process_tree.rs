//! What a process and all that it started use of the machine, as a whole and by thread. Read from Linux's `/proc`;
//! elsewhere every reading is an error that says so.

use std::io;
use std::time::Duration;

use crate::units::Bytes;

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

/// A process with its descendants, as they are whenever it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessTree {
    root: u32,
}

/// What a tree uses. Counters are sums over the processes that are alive: one that ends takes its counts with it, but for
/// its time on a core, which goes to the parent that waited for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Processes that are alive.
    pub processes: u64,
    /// Time on a core since their starts, in steps of 10 ms, with that of children that have ended.
    pub cpu: Duration,
    /// Resident memory. Pages that two of them share are counted twice.
    pub resident: Bytes,
    /// Open descriptors; those of other users' processes cannot be counted.
    pub descriptors: u64,
    /// Context switches of the threads that are alive, wanted and forced.
    pub switches: u64,
    /// Bytes that were read from disks for them.
    pub disk_read: Bytes,
    /// Bytes that were written to disks for them.
    pub disk_written: Bytes,
}

/// What a thread has used since it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadUsage {
    /// Its id. No other thread of the machine has it at the same time.
    pub id: u32,
    /// Its name, of which the system keeps 15 bytes.
    pub name: String,
    /// Time on a core.
    pub cpu: Duration,
    /// Context switches, wanted and forced.
    pub switches: u64,
}

/// What is used in all, and by each thread that is alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageByThread {
    /// All of it.
    pub whole: ProcessUsage,
    /// The threads, in no order.
    pub threads: Vec<ThreadUsage>,
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
    pub fn usage(&self) -> io::Result<ProcessUsage> {
        Ok(self.usage_by_thread()?.whole)
    }

    /// The same, with what each thread of it uses.
    pub fn usage_by_thread(&self) -> io::Result<UsageByThread> {
        system::of_tree(self.root)
    }

    /// An error where its first process is not there (`NotFound`), or where this user may not read all of what it uses
    /// (`PermissionDenied`).
    pub fn check(&self) -> io::Result<()> {
        system::check(self.root)
    }

    /// Number of cores that its first process may use; `None` where the system does not tell.
    pub fn cores(&self) -> Option<usize> {
        system::cores(self.root)
    }
}

/// What this process uses now, without what it started.
pub fn this_process() -> io::Result<UsageByThread> {
    system::alone(std::process::id())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{HashMap, HashSet};
    use std::io;
    use std::time::Duration;

    use procfs::ProcError;
    use procfs::process::{Process, Task, all_processes};

    use super::{ThreadUsage, UsageByThread};

    pub fn of_tree(root: u32) -> io::Result<UsageByThread> {
        let process = process(root)?;
        let mut usage = UsageByThread::default();
        add(&process, &mut usage)?;
        for id in descendants(&process)? {
            // It may have ended since it was listed.
            if let Ok(process) = Process::new(id) {
                let _ = add(&process, &mut usage);
            }
        }
        Ok(usage)
    }

    pub fn alone(id: u32) -> io::Result<UsageByThread> {
        let mut usage = UsageByThread::default();
        add(&process(id)?, &mut usage)?;
        Ok(usage)
    }

    pub fn check(id: u32) -> io::Result<()> {
        let process = process(id)?;
        // Both may be looked at by the process's user only. Kernels without accounting have no such file, and no figure.
        if let Err(denied @ ProcError::PermissionDenied(_)) = process.io() {
            return Err(of_system(denied));
        }
        if let Err(denied @ ProcError::PermissionDenied(_)) = process.fd_count() {
            return Err(of_system(denied));
        }
        Ok(())
    }

    pub fn cores(id: u32) -> Option<usize> {
        let mut cores = 0;
        for (first, last) in process(id).ok()?.status().ok()?.cpus_allowed_list? {
            cores += last.saturating_sub(first) as usize + 1;
        }
        Some(cores)
    }

    /// A process that is alive: one that has ended and is not waited for yet can still be read, and uses nothing.
    fn process(id: u32) -> io::Result<Process> {
        let id = i32::try_from(id).map_err(|_| io::Error::other(format!("{id} is not a process id")))?;
        let process = Process::new(id).map_err(of_system)?;
        let state = process.stat().map_err(of_system)?.state;
        if matches!(state, 'Z' | 'X') {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("process {id} has ended")));
        }
        Ok(process)
    }

    /// The error as the standard library has it, with its kind.
    fn of_system(error: ProcError) -> io::Error {
        let kind = match error {
            ProcError::NotFound(_) => io::ErrorKind::NotFound,
            ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }

    /// Every process whose parent, or a parent of that, is this one. Ids only, as each `Process` holds a descriptor, and
    /// a load needs those for its connections.
    fn descendants(root: &Process) -> io::Result<Vec<i32>> {
        let Some(mut listed) = children(root) else { return scanned(root.pid) };
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        while let Some(id) = listed.pop() {
            if !seen.insert(id) {
                continue;
            }
            found.push(id);
            if let Ok(process) = Process::new(id) {
                listed.extend(children(&process).unwrap_or_default());
            }
        }
        Ok(found)
    }

    /// The children of all threads; `None` where the kernel does not list them (`CONFIG_PROC_CHILDREN`). While one of them
    /// ends, the kernel may leave out others (proc(5)).
    fn children(process: &Process) -> Option<Vec<i32>> {
        let mut children = Vec::new();
        let mut is_listed = false;
        for task in process.tasks().ok()?.flatten() {
            // A thread that has ended meanwhile has no list either.
            let Ok(of_thread) = task.children() else { continue };
            is_listed = true;
            children.extend(of_thread.into_iter().filter_map(|id| i32::try_from(id).ok()));
        }
        if is_listed { Some(children) } else { None }
    }

    /// The descendants, from the parents of every process of the machine. Slower, by some ten microseconds a process.
    fn scanned(root: i32) -> io::Result<Vec<i32>> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for process in all_processes().map_err(of_system)? {
            // Those that end while they are listed belong to nobody.
            let Ok(process) = process else { continue };
            let Ok(stat) = process.stat() else { continue };
            children.entry(stat.ppid).or_default().push(process.pid);
        }
        let mut found = Vec::new();
        let mut parents = vec![root];
        while let Some(parent) = parents.pop() {
            // Taken out of the map: no process is found twice.
            for child in children.remove(&parent).unwrap_or_default() {
                parents.push(child);
                found.push(child);
            }
        }
        Ok(found)
    }

    fn add(process: &Process, usage: &mut UsageByThread) -> io::Result<()> {
        let stat = process.stat().map_err(of_system)?;
        let whole = &mut usage.whole;
        whole.processes += 1;
        let of_children = (stat.cutime + stat.cstime).max(0) as u64;
        whole.cpu += time(stat.utime + stat.stime + of_children);
        whole.resident.0 += stat.rss * procfs::page_size();
        // Both may be looked at by the process's user only.
        if let Ok(count) = process.fd_count() {
            whole.descriptors += count as u64;
        }
        if let Ok(io) = process.io() {
            whole.disk_read.0 += io.read_bytes;
            whole.disk_written.0 += io.write_bytes;
        }
        // The switches in a process's own file are those of its first thread (proc(5)), so all threads are asked.
        for task in process.tasks().map_err(of_system)?.flatten() {
            // It may have ended since it was listed.
            let Some(thread) = thread(&task) else { continue };
            whole.switches += thread.switches;
            usage.threads.push(thread);
        }
        Ok(())
    }

    fn thread(task: &Task) -> Option<ThreadUsage> {
        let stat = task.stat().ok()?;
        let mut usage = ThreadUsage {
            id: task.tid as u32,
            name: stat.comm,
            cpu: time(stat.utime + stat.stime),
            switches: 0,
        };
        match task.schedstat() {
            // In nanoseconds and not in steps, with how often it got a core: all zeros where the kernel does not count.
            Ok(scheduled) if scheduled.pcount > 0 => {
                usage.cpu = Duration::from_nanos(scheduled.sum_exec_runtime);
                usage.switches = scheduled.pcount;
            }
            _ => {
                let status = task.status().ok()?;
                usage.switches += status.voluntary_ctxt_switches.unwrap_or(0);
                usage.switches += status.nonvoluntary_ctxt_switches.unwrap_or(0);
            }
        }
        Some(usage)
    }

    fn time(ticks: u64) -> Duration {
        Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64)
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;

    use super::UsageByThread;

    pub fn of_tree(root: u32) -> io::Result<UsageByThread> {
        check(root).map(|()| UsageByThread::default())
    }

    pub fn alone(id: u32) -> io::Result<UsageByThread> {
        of_tree(id)
    }

    pub fn check(id: u32) -> io::Result<()> {
        let problem = format!("what process {id} uses can be read on Linux only");
        Err(io::Error::new(io::ErrorKind::Unsupported, problem))
    }

    pub fn cores(_: u32) -> Option<usize> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// Starts a script that says when it is ready, and then waits for the end of its input.
    fn shell(script: &str) -> Child {
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut shell = shell.expect("starts");
        let mut line = [0];
        let output = shell.stdout.as_mut().expect("is piped");
        output.read_exact(&mut line).expect("says that it is ready");
        shell
    }

    #[test]
    fn a_tree_has_the_processes_that_were_started_in_it() {
        let before = ProcessTree::own().usage().expect("can be read");
        assert!(before.processes >= 1 && before.resident > Bytes::mb(1) && before.descriptors >= 3);
        // A shell with a child of its own: both belong to this process, and one belongs to the shell.
        let mut shell = shell("sleep 60 & echo; read line; kill $!");
        assert_eq!(ProcessTree::of(shell.id()).usage().expect("can be read").processes, 2);
        assert_eq!(this_process().expect("can be read").whole.processes, 1);
        // The end of its input is a line to it.
        drop(shell.stdin.take());
        shell.wait().expect("ends");
        assert!(ProcessTree::of(shell.id()).usage().is_err());
    }

    #[test]
    fn time_of_children_that_have_ended_stays_in_the_tree() {
        // The loop is run by a child of the shell, which waits for it: a tenth of a second or so.
        let script = "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done); echo; read line";
        let mut shell = shell(script);
        let usage = ProcessTree::of(shell.id()).usage().expect("can be read");
        assert!(usage.processes == 1 && usage.cpu >= Duration::from_millis(30), "{usage:?}");
        drop(shell.stdin.take());
        shell.wait().expect("ends");
    }

    #[test]
    fn threads_are_told_apart_by_name() {
        let (busy, was_busy) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("busy in a test".to_owned());
        let thread = thread.spawn(move || {
            // By the thread's own time, as the machine may be busy with something else.
            let clock = rustix::time::ClockId::ThreadCPUTime;
            while rustix::time::clock_gettime(clock).tv_nsec < 50_000_000 {
                std::hint::spin_loop();
            }
            busy.send(()).expect("is received");
            // Ends with the sender.
            let _ = ends.recv();
        });
        let thread = thread.expect("starts");
        was_busy.recv().expect("is sent");
        let usage = this_process().expect("can be read");
        let named: Vec<_> = usage.threads.iter().filter(|thread| thread.name == "busy in a test").collect();
        // What it used is booked some milliseconds later, at the latest.
        assert!(named.len() == 1 && named[0].cpu >= Duration::from_millis(20), "{named:?}");
        assert!(usage.threads.len() > 1 && usage.whole.switches >= named[0].switches);
        drop(end);
        thread.join().expect("does not panic");
    }

    #[test]
    fn a_process_that_has_ended_is_not_found() {
        assert!(ProcessTree::own().check().is_ok());
        let mut child = Command::new("true").spawn().expect("exists");
        let tree = ProcessTree::of(child.id());
        // Nobody waits for it, so that it stays known to the system.
        let deadline = Instant::now() + Duration::from_secs(10);
        while tree.check().is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(tree.check().expect_err("has ended").kind(), io::ErrorKind::NotFound);
        assert!(tree.usage().is_err());
        child.wait().expect("was not waited for");
        assert_eq!(tree.check().expect_err("is gone").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_process_may_use_the_cores_that_this_one_may() {
        let cores = core_affinity::get_core_ids().expect("Linux tells").len();
        assert_eq!(ProcessTree::own().cores(), Some(cores));
    }
}
