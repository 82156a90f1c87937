//! Output that outlasts its reader: Criterion prints with macros that panic where nobody reads, in the middle of saving
//! what was measured.

#[cfg(unix)]
pub use unix::Output;

/// Elsewhere streams stay as they are.
#[cfg(not(unix))]
pub struct Output;

#[cfg(not(unix))]
impl Output {
    pub fn outlasting() -> Self {
        Self
    }

    pub fn end(self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, ErrorKind, IsTerminal, Read, Write};
    use std::os::fd::{AsFd, OwnedFd};
    use std::thread::JoinHandle;

    /// Standard output and standard error, for as long as this lives led through this process: what can no longer be
    /// printed is dropped. A terminal stays as it is, as Criterion asks whether there is one.
    pub struct Output {
        stdout: Option<Stream>,
        stderr: Option<Stream>,
    }

    struct Stream {
        original: OwnedFd,
        redirect: fn(&OwnedFd) -> rustix::io::Result<()>,
        copier: JoinHandle<io::Result<()>>,
    }

    impl Output {
        /// Leads both streams through this process.
        pub fn outlasting() -> Self {
            // Where a stream cannot be led through this process, it stays as it is: most runs have a reader.
            let mut output = Self { stdout: None, stderr: None };
            if !io::stdout().is_terminal() {
                output.stdout = Stream::of(&io::stdout(), |fd| rustix::stdio::dup2_stdout(fd)).ok();
            }
            if !io::stderr().is_terminal() {
                output.stderr = Stream::of(&io::stderr(), |fd| rustix::stdio::dup2_stderr(fd)).ok();
            }
            output
        }

        /// Waits until everything is printed; an error where standard output took not all of it.
        pub fn end(mut self) -> io::Result<()> {
            self.finish()
        }

        fn finish(&mut self) -> io::Result<()> {
            let flushed = io::stdout().flush();
            let printed = self.stdout.take().map_or(flushed, Stream::end);
            // Standard error is best effort.
            let _ = self.stderr.take().map(Stream::end);
            printed
        }
    }

    /// Also where a panic unwinds: its message is on the way through here.
    impl Drop for Output {
        fn drop(&mut self) {
            let _ = self.finish();
        }
    }

    impl Stream {
        /// An error where the system gives no pipe, no thread or no descriptor. All are closed in child processes.
        fn of(stream: &impl AsFd, redirect: fn(&OwnedFd) -> rustix::io::Result<()>) -> io::Result<Self> {
            // One copy to print to, and one to put back at the end.
            let original = stream.as_fd().try_clone_to_owned()?;
            let to = File::from(original.try_clone()?);
            let (from, pipe) = io::pipe()?;
            let copier = std::thread::Builder::new().spawn(move || copy(from, to))?;
            redirect(&pipe.into())?;
            Ok(Self { original, redirect, copier })
        }

        fn end(self) -> io::Result<()> {
            // Closes the pipe's only end to write to, so that copying ends.
            (self.redirect)(&self.original)?;
            self.copier.join().unwrap_or(Ok(()))
        }
    }

    /// Reads to the end, whatever becomes of what was read.
    fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
        let mut buffer = [0; 8192];
        let mut outcome = Ok(());
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => return outcome,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            // After the first error the rest is read and dropped: a full pipe would block whoever prints.
            if outcome.is_ok() {
                outcome = to.write_all(&buffer[..n]);
            }
        }
    }
}
