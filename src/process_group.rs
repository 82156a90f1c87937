//! Child processes in a group of their own, ended with all that they started.

use std::io::{self, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::interrupt::Interrupt;

/// How often a process that should end is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// How often a process that works is looked at.
const LOOK_AT_WORK: Duration = Duration::from_millis(20);

/// How long a command's pipes may be held by others after its end.
const HELD: Duration = Duration::from_secs(2);

/// Puts the process that `command` starts into a group of its own.
pub fn of_its_own(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Runs a command to its end and returns what it printed. An interrupt ends it early, with all that it started: whoever
/// calls this asks the interrupt before believing the output.
pub fn output(command: Command, interrupt: &Interrupt) -> io::Result<Output> {
    run(command, interrupt, None)
}

/// The same for a command that has to end within this time; an error of the kind `TimedOut` where it does not.
pub fn output_within(command: Command, interrupt: &Interrupt, limit: Duration) -> io::Result<Output> {
    run(command, interrupt, Some(limit))
}

fn run(mut command: Command, interrupt: &Interrupt, limit: Option<Duration>) -> io::Result<Output> {
    let started = Instant::now();
    of_its_own(&mut command);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Both at once: a process that fills one pipe waits, while we would wait for the end of the other.
    let stdout = read_in_background(child.stdout.take().expect("stdout is piped"));
    let stderr = read_in_background(child.stderr.take().expect("stderr is piped"));
    // Something that the command started may hold the pipes for longer than the command lives: what is still on its way has
    // a moment, and a daemon that was left behind is not waited for.
    let mut ended_at = None;
    while !(has_ended(&mut child) && stdout.is_finished() && stderr.is_finished()) {
        if has_ended(&mut child) && ended_at.get_or_insert_with(Instant::now).elapsed() > HELD {
            break;
        }
        if interrupt.signal().is_some() {
            end(&mut child, Duration::ZERO);
            return Ok(Output { status: child.wait()?, stdout: Vec::new(), stderr: Vec::new() });
        }
        // One that has ended is not late: what it left behind is waited for above, for a moment.
        if let Some(limit) = limit.filter(|limit| ended_at.is_none() && started.elapsed() > *limit) {
            end(&mut child, Duration::ZERO);
            let problem = format!("it did not end within {}", humantime::format_duration(limit));
            return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
        }
        std::thread::sleep(LOOK_AT_WORK);
    }
    let status = child.wait()?;
    Ok(Output { status, stdout: stdout.bytes(), stderr: stderr.bytes() })
}

/// What a pipe has said so far.
struct Reading {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reading {
    fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read_in_background(mut stream: impl Read + Send + 'static) -> Reading {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&bytes);
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        // A pipe that breaks has no more to say.
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
        }
    });
    Reading { bytes, thread }
}

/// Hands a signal that came on to another process, which may end in order then.
#[cfg(unix)]
pub fn pass_on(signal: u8, process: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    let signal = Signal::from_named_raw(i32::from(signal));
    if let (Some(process), Some(signal)) = (process, signal) {
        // One that has ended needs no signal.
        let _ = kill_process(process, signal);
    }
}

#[cfg(not(unix))]
pub fn pass_on(_signal: u8, _process: u32) {}

/// Has the system end this process when the one that started it ends, however that ends; whether that one is still there.
#[cfg(target_os = "linux")]
pub fn end_with_parent(parent: u32) -> bool {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
    // Asked afterwards, as it may have ended before.
    let is_set = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    is_set && Pid::as_raw(getppid()) == parent as i32
}

/// Other systems have no such signal: a process that is killed leaves what it started behind.
#[cfg(not(target_os = "linux"))]
pub fn end_with_parent(_parent: u32) -> bool {
    true
}

/// Waits at most `grace` for the process to end, then kills it and what is left of its group.
pub fn end(child: &mut Child, grace: Duration) {
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline && !has_ended(child) {
        std::thread::sleep(LOOK);
    }
    // The group is killed in any case: the process may have left others behind. It is waited for afterwards, as that
    // gives the group's number back.
    kill(child);
    let _ = child.wait();
}

/// Whether the process has ended. It stays known to the system, and with it the group's number, until it is waited for:
/// no other group can have that number yet.
#[cfg(unix)]
fn has_ended(child: &mut Child) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // An error means that there is nothing to wait for.
    pid(child).is_none_or(|pid| waitid(WaitId::Pid(pid), options).map_or(true, |status| status.is_some()))
}

#[cfg(unix)]
fn kill(child: &mut Child) {
    use rustix::process::{Signal, kill_process_group};
    if let Some(pid) = pid(child) {
        // An error means that nobody is left.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

#[cfg(unix)]
fn pid(child: &Child) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?)
}

#[cfg(not(unix))]
fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

#[cfg(not(unix))]
fn kill(child: &mut Child) {
    let _ = child.kill();
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use super::*;

    /// Whether the process with this file in `/proc` is there, and not a zombie.
    fn runs(stat: &str) -> bool {
        std::fs::read_to_string(stat).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn what_a_process_started_ends_with_it() {
        // The shell ends at once and leaves a child that says its number.
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!"]).stdout(Stdio::piped());
        of_its_own(&mut command);
        let mut child = command.spawn().expect("sh exists");
        let mut number = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        output.read_line(&mut number).expect("is text");
        let left = format!("/proc/{}/stat", number.trim());
        assert!(std::fs::exists(&left).expect("can be looked at"), "it runs");

        end(&mut child, Duration::from_secs(1));
        // A killed process is gone, or waits as a zombie for whoever took it in.
        let deadline = Instant::now() + Duration::from_secs(5);
        while runs(&left) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!runs(&left), "the child of the child is left");
    }

    #[test]
    fn a_process_that_does_not_end_is_killed_after_its_grace() {
        let mut command = Command::new("sleep");
        of_its_own(command.arg("1000"));
        let mut child = command.spawn().expect("sleep exists");
        let started = Instant::now();
        end(&mut child, Duration::from_millis(50));
        assert!(started.elapsed() >= Duration::from_millis(50));
        assert!(child.try_wait().expect("was waited for").is_some());
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let started = Instant::now();
        let late = output_within(command, &Interrupt::default(), Duration::from_millis(50));
        assert_eq!(late.expect_err("is late").to_string(), "it did not end within 50ms");
        assert!(started.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn a_daemon_that_a_command_leaves_behind_is_not_waited_for() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo built; sleep 20 &"]);
        let started = Instant::now();
        let output = output(command, &Interrupt::default()).expect("sh exists");
        assert!(started.elapsed() < Duration::from_secs(15), "it was waited for");
        assert_eq!(output.stdout, b"built\n");
    }
}
