//! `ingester-perf serve`: the stub as a process of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ingester_perf::auth::{KeyPair, Minter};
use ingester_perf::console::note;
use ingester_perf::files::read_limited;
use ingester_perf::stub::{DEFAULT_FAULT_SEED, FAULT_ROUTE, FaultOptions, FaultSpec, Stub, StubOptions};
use ingester_perf::units::Bytes;
use ingester_perf::{Error, Exit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Largest key file that is read.
const MAX_KEY: u64 = 1 << 20;
/// How long the printed token is valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

const EXAMPLES: &str = "\
Examples:
  ingester-perf serve --print-token > token
  INGESTER_URL=http://127.0.0.1:8020 INGESTER_TOKEN_FILE=token cargo bench --bench upload

  ingester-perf serve --listen 127.0.0.1:0 --private-key key.pem
  ingester-perf serve --print-token --fault delay=exp:20ms --fault status=503,share=1%

Faults hit uploads, each independently of the others, and the same requests under the same seed:
  delay=50ms          wait before the request is looked at; also delay=uniform:10ms..50ms and delay=exp:20ms
  stall=30s           send half of the answer, wait, send the rest
  status=503          answer with an error's status
  reset               read a part of the body, then reset the connection
  truncate            announce the whole answer, send half of it and close
  full, down          the storage is full (507), or does not answer (502)
Each takes ,share=5% (default: every request) and, but for full and down, ,route=/health/* (a path, or a prefix of it).
More: docs/faults.md.

It hashes and counts what is uploaded and keeps none of it. Ctrl-C or SIGTERM ends it with exit code 0; exit code 2
means that it could not start.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:8020", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Print a token for uploads on standard output, valid for a day
    #[arg(long)]
    print_token: bool,
    /// RSA private key (PEM file) whose tokens are valid; a new one is made in memory otherwise
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// What is to go wrong, like delay=50ms,share=10%; can be given several times
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<FaultSpec>,
    /// Seed that decides which requests faults hit
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FAULT_SEED)]
    fault_seed: u64,
    /// Let faults be switched at /test/faults, without a token; on loopback only
    #[arg(long)]
    fault_api: bool,
}

impl Serve {
    pub fn run(self) -> Result<Exit, Error> {
        // Watched from the start, so that a signal during start-up is not lost.
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Thread)?;
        let key = self.key()?;
        let faults = FaultOptions { specs: self.faults.clone(), seed: self.fault_seed, api: self.fault_api };
        let stub = Stub::start(StubOptions {
            listen: self.listen,
            faults,
            ..StubOptions::new(key.public().clone())
        })?;
        note(format_args!("Listening on http://{}; Ctrl-C stops it", stub.address()));
        self.tell_faults(stub.address());
        if self.print_token {
            let token = Minter::new(key).mint(TOKEN_LIFETIME)?;
            writeln!(io::stdout(), "{}", token.as_str()).map_err(Error::Output)?;
        } else if self.private_key.is_none() {
            note("No one has a token for it: add --print-token, or --private-key with a key of yours");
        }
        signals.forever().next();
        let stored = stub.stored();
        drop(stub);
        note(format_args!("Took in {} files, {}", stored.files, Bytes(stored.bytes)));
        Ok(Exit::Held)
    }

    /// Says what goes wrong on purpose, so that nobody takes it for trouble.
    fn tell_faults(&self, address: SocketAddr) {
        for fault in &self.faults {
            note(format_args!("Fault: {fault} (seed {})", self.fault_seed));
        }
        if self.fault_api {
            note(format_args!("Faults are switched at http://{address}{FAULT_ROUTE} (GET, PUT, DELETE)"));
        }
    }

    fn key(&self) -> Result<KeyPair, Error> {
        let Some(path) = &self.private_key else { return Ok(KeyPair::generate()?) };
        let pem = read_limited(path, MAX_KEY)?;
        KeyPair::from_pem(&pem).map_err(|e| Error::malformed(path, e))
    }
}
