//! Reads memory: of a process with all that it started, or what a service tells of itself.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use url::Url;

use crate::Error;
use crate::client::{Endpoint, Http, get};
use crate::leak::{MemoryKind, gauge_of};
use crate::machine::ProcessTree;
use crate::units::{Bytes, printable};

/// What the stub calls its live bytes.
const LIVE_BYTES: &str = "ingester_live_bytes";
/// How long a service may take to tell its figures.
const TELL_WITHIN: Duration = Duration::from_secs(2);

/// Error for memory that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Of a process.
    #[error("cannot read the memory of process {pid}: {source}; is it running, and may you look at it?")]
    Process {
        /// Which one.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Of a service that tells it.
    #[error("cannot read {name} from {url}: {problem}")]
    Gauge {
        /// What it should be called.
        name: String,
        /// Where it was looked for.
        url: Box<Url>,
        /// What came instead.
        problem: String,
    },
}

impl MemoryError {
    /// The same as an error of the whole command.
    pub fn into_error(self) -> Error {
        Error::Unusable(self.into())
    }
}

/// Reads one memory again and again.
pub struct MemoryReader {
    kind: MemoryKind,
    source: Source,
}

enum Source {
    Process(u32),
    Gauge(Box<ServiceGauge>),
}

/// One figure of a service.
struct ServiceGauge {
    name: String,
    url: Url,
    endpoint: Endpoint,
    /// The path of the URL, below the endpoint's.
    path: String,
    runtime: Runtime,
}

impl MemoryReader {
    /// Resident memory of this process and all that it started.
    pub fn of_process(pid: u32) -> Self {
        Self { kind: MemoryKind::Resident, source: Source::Process(pid) }
    }

    /// What a service tells at this URL under this name.
    pub fn of_gauge(name: &str, url: &Url) -> Result<Self, Error> {
        let mut root = url.clone();
        root.set_path("/");
        let gauge = ServiceGauge {
            name: name.to_owned(),
            url: url.clone(),
            endpoint: Endpoint::resolve(&root, Http::One)?,
            path: url.path().trim_start_matches('/').to_owned(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Error::Thread)?,
        };
        Ok(Self { kind: MemoryKind::Gauge(name.to_owned()), source: Source::Gauge(Box::new(gauge)) })
    }

    /// Live bytes of a stub whose allocator counts.
    pub fn of_stub(metrics: &Url) -> Result<Self, Error> {
        Ok(Self { kind: MemoryKind::LiveBytes, ..Self::of_gauge(LIVE_BYTES, metrics)? })
    }

    /// What is read.
    pub fn kind(&self) -> &MemoryKind {
        &self.kind
    }

    /// What is in use now.
    pub fn read(&self) -> Result<Bytes, MemoryError> {
        match &self.source {
            Source::Process(pid) => match ProcessTree::of(*pid).usage() {
                Ok(usage) => Ok(usage.resident),
                Err(source) => Err(MemoryError::Process { pid: *pid, source }),
            },
            Source::Gauge(gauge) => gauge.read(),
        }
    }
}

impl ServiceGauge {
    fn read(&self) -> Result<Bytes, MemoryError> {
        // A connection of its own each time: a kept one could have been closed meanwhile.
        let said = self.runtime.block_on(get(&self.endpoint, &self.path, TELL_WITHIN));
        let said = said.map_err(|failure| self.error(failure.message))?;
        if !said.status.is_success() {
            return Err(self.error(said.text()));
        }
        let text = String::from_utf8_lossy(&said.body);
        let problem = "the answer has no line that begins with this name and holds a number";
        let value = gauge_of(&text, &self.name).ok_or_else(|| self.error(problem.to_owned()))?;
        if value < 0.0 {
            return Err(self.error(format!("{value} is not a number of bytes")));
        }
        Ok(Bytes(value as u64))
    }

    fn error(&self, problem: String) -> MemoryError {
        MemoryError::Gauge {
            name: printable(&self.name),
            url: Box::new(self.url.clone()),
            problem: printable(&problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_of_a_process_is_read_and_of_none_is_not() {
        let own = MemoryReader::of_process(std::process::id());
        assert!(own.read().expect("it runs") > Bytes::mb(1));
        // Larger than any number that Linux gives to a process.
        let nobody = MemoryReader::of_process(1 << 30).read().expect_err("there is none").to_string();
        assert!(nobody.starts_with("cannot read the memory of process 1073741824: "), "{nobody}");
    }

    #[test]
    fn who_does_not_answer_is_named_by_the_url() {
        // Nobody listens at port 9 (discard).
        let url: Url = "http://127.0.0.1:9/metrics".parse().expect("is a URL");
        let reader = MemoryReader::of_gauge("heap_bytes", &url).expect("resolves");
        let error = reader.read().expect_err("nobody is there").to_string();
        assert!(error.starts_with("cannot read heap_bytes from http://127.0.0.1:9/metrics: "), "{error}");
    }
}
