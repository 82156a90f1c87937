//! `ingester-perf serve`: the stub as a process of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ingester_perf::auth::{KeyPair, Minter};
use ingester_perf::console::note;
use ingester_perf::files::read_limited;
use ingester_perf::stub::{StorageSpec, Stub, StubOptions};
use ingester_perf::units::{Bytes, printable};
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

  ingester-perf serve --storage dir:/var/tmp/files,mode=edit --storage dir:/mnt/files,mode=rw

It hashes and counts what is uploaded. Where that is stored, --storage says:
  discard                nowhere
  dir:PATH               in a folder
  s3://bucket/prefix     in an object store (a build with --features s3); credentials as AWS's tools have them, AWS_...
  element:URL            on a storage element; INGESTER_ELEMENT_TOKEN_FILE names a file with a token for it
With ,mode=edit an element takes temporary files only, with ,mode=rw permanent ones. ,name=ID names it in answers.

Ctrl-C or SIGTERM ends it with exit code 0; exit code 2
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
    /// Where files are stored; can be given several times: where one is full, the next one is tried [default: discard]
    // Read later: clap would quote what it cannot read, and there may be a password in it.
    #[arg(long, value_name = "SPEC")]
    storage: Vec<String>,
}

impl Serve {
    pub fn run(self) -> Result<Exit, Error> {
        // Watched from the start, so that a signal during start-up is not lost.
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Thread)?;
        let key = self.key()?;
        let storage = self.storage()?;
        let stub = Stub::start(StubOptions {
            listen: self.listen,
            storage: storage.clone(),
            element_token: std::env::var_os("INGESTER_ELEMENT_TOKEN_FILE").map(PathBuf::from),
            ..StubOptions::new(key.public().clone())
        })?;
        note(format_args!("Listening on http://{}; Ctrl-C stops it", stub.address()));
        for spec in &storage {
            note(format_args!("Storing in {}", printable(&spec.to_string())));
        }
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

    fn storage(&self) -> Result<Vec<StorageSpec>, Error> {
        let mut storage = Vec::new();
        for text in &self.storage {
            let spec = text.parse::<StorageSpec>();
            storage.push(spec.map_err(|e| Error::Setting { name: "--storage", problem: e.to_string() })?);
        }
        Ok(storage)
    }

    fn key(&self) -> Result<KeyPair, Error> {
        let Some(path) = &self.private_key else { return Ok(KeyPair::generate()?) };
        let pem = read_limited(path, MAX_KEY)?;
        KeyPair::from_pem(&pem).map_err(|e| Error::malformed(path, e))
    }
}
