//! Output that outlasts its reader: Criterion prints with macros that panic where nobody reads, in the middle of saving
//! what was measured.

use std::io::{self, IsTerminal, Read, Write};
use std::thread::JoinHandle;

/// Standard output and standard error, for as long as this lives led through this process: what can no longer be printed
/// is dropped.
pub struct Output {
    #[cfg(unix)]
    streams: Vec<Stream>,
}

#[cfg(not(unix))]
impl Output {
    pub fn outlasting() -> Self {
        Self {}
    }

    pub fn end(self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
struct Stream {
    original: std::os::fd::OwnedFd,
    redirect: fn(&std::os::fd::OwnedFd) -> rustix::io::Result<()>,
    copier: JoinHandle<io::Result<()>>,
}

#[cfg(unix)]
impl Output {
    /// Leads both streams through this process, but for a terminal: Criterion asks whether there is one.
    pub fn outlasting() -> Self {
        let mut streams = Vec::new();
        if !io::stdout().is_terminal() {
            streams.extend(Stream::of(&io::stdout(), |fd| rustix::stdio::dup2_stdout(fd)));
        }
        if !io::stderr().is_terminal() {
            streams.extend(Stream::of(&io::stderr(), |fd| rustix::stdio::dup2_stderr(fd)));
        }
        Self { streams }
    }

    /// Waits until everything is printed; an error where standard output took not all of it.
    pub fn end(self) -> io::Result<()> {
        let _ = io::stdout().flush();
        let mut ended = Vec::new();
        for stream in self.streams {
            // Closes the pipe's only end to write to, so that copying ends.
            let _ = (stream.redirect)(&stream.original);
            ended.push(stream.copier.join().unwrap_or(Ok(())));
        }
        // Standard error is best effort.
        ended.into_iter().next().unwrap_or(Ok(()))
    }
}

#[cfg(unix)]
impl Stream {
    /// Nothing where the system gives no pipe: then it stays as it is.
    fn of(
        stream: &impl std::os::fd::AsFd,
        redirect: fn(&std::os::fd::OwnedFd) -> rustix::io::Result<()>,
    ) -> Option<Self> {
        let original = rustix::io::dup(stream).ok()?;
        let to = std::fs::File::from(rustix::io::dup(stream).ok()?);
        let (from, pipe) = rustix::pipe::pipe().ok()?;
        let from = std::fs::File::from(from);
        let copier = std::thread::Builder::new().spawn(move || copy(from, to)).ok()?;
        redirect(&pipe).ok()?;
        Some(Self { original, redirect, copier })
    }
}

/// Reads to the end, whatever becomes of what was read.
#[cfg(unix)]
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = [0; 8192];
    let mut outcome = Ok(());
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return outcome;
        }
        if outcome.is_ok() {
            outcome = to.write_all(&buffer[..n]);
        }
    }
}
