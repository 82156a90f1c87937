//! `ingester-perf serve`: the stub as a process of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{KeyPair, KeySet, MAX_LEEWAY, Minter, Policy};
use crate::console::note;
use crate::document::Document;
use crate::files::read_limited;
use crate::phases::{ServicePhases, breakdown_table};
use crate::stub::{
    DEFAULT_FAULT_SEED, Dialect, FAULT_ROUTE, FaultOptions, FaultSpec, Keys, StorageSpec, Stub, StubOptions,
};
use crate::units::{Bytes, printable};
use crate::{Error, Exit};
use clap::ValueEnum;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use url::Url;

use super::heap_profile::HeapProfileArgs;

/// Largest key file that is read.
const MAX_KEY: u64 = 1 << 20;
/// How long the printed token is valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

const EXAMPLES: &str = "\
Examples:
  ingester-perf serve --print-token > token
  INGESTER_URL=http://127.0.0.1:8020 INGESTER_TOKEN_FILE=token cargo bench --bench upload

  ingester-perf serve --listen 127.0.0.1:0 --private-key key.pem
  ingester-perf serve --jwks https://issuer.example/keys --issuer https://issuer.example --audience ingester
  ingester-perf serve --print-token --fault delay=exp:20ms --fault status=503,share=1%

  ingester-perf serve --print-token --phases

  ingester-perf serve --storage dir:/var/tmp/files,mode=edit --storage dir:/mnt/files,mode=rw

What is uploaded is hashed and counted. Where it is stored, --storage says:
  discard                nowhere
  dir:PATH               in a folder
  s3://bucket/prefix     in an object store (a build with --features s3); credentials as AWS's tools have them, AWS_...
  element:URL            on a storage element; INGESTER_ELEMENT_TOKEN_FILE names a file with a token for it
With ,mode=edit an element takes temporary files only, with ,mode=rw permanent ones. ,name=ID names it in answers.

Faults hit uploads, each independently of the others, and the same requests under the same seed:
  delay=50ms          wait before the request is looked at; also delay=uniform:10ms..50ms and delay=exp:20ms
  leak=1KB            keep so much memory for ever, as a leak does
  stall=30s           send half of the answer, wait, send the rest
  status=503          answer with an error's status
  reset               read a part of the body, then reset the connection
  truncate            announce the whole answer, send half of it and close
  flip                send the whole answer, with one wrong bit
  full, down          the storage is full (507), or does not answer (502)
Each takes ,share=5% (default: every request) and, but for full and down, ,route=/health/* (a path, a prefix of it, or one
with any segment in it, like /api/v1/files/*/download).
More: docs/faults.md.

--phases times each phase of an upload (token check, multipart, hash, storage and so on): a table by file size at the end,
and ingester_upload_phase_seconds in /metrics. More: docs/profile.md.

Ctrl-C or SIGTERM ends it with exit code 0; exit code 2 means that it could not start. What it does: docs/stub.md.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:8020", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Form of the answers: that of the Python service, or that of the Go service
    #[arg(long, default_value = "python")]
    dialect: DialectArg,
    /// Where files are stored; can be given several times: where one is full, the next one is tried [default: discard]
    // Read later: clap would quote what it cannot read, and there may be a password in it.
    #[arg(long, value_name = "SPEC")]
    storage: Vec<String>,
    /// Time the phases of uploads; tell them at the end and in /metrics
    #[arg(long)]
    phases: bool,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    heap_profile: HeapProfileArgs,
    #[command(flatten)]
    faults: FaultArgs,
}

/// Which tokens it takes.
#[derive(clap::Args)]
#[command(next_help_heading = "Tokens")]
struct TokenArgs {
    /// Print a token for uploads on standard output, valid for a day
    #[arg(long, conflicts_with_all = ["public_key", "jwks"])]
    print_token: bool,
    /// RSA private key (PEM file) whose tokens are valid; a new one is made in memory otherwise
    #[arg(long, value_name = "FILE", conflicts_with_all = ["public_key", "jwks"])]
    private_key: Option<PathBuf>,
    /// RSA public key (PEM file) that tokens are checked with
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    public_key: Option<PathBuf>,
    /// URL of a JSON Web Key Set that tokens are checked with; read again every five minutes
    #[arg(long, value_name = "URL")]
    jwks: Option<Url>,
    /// Take tokens of this issuer only (iss)
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Take tokens for this audience only (aud)
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// By how much clocks may differ, at most 5m
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = leeway)]
    leeway: Duration,
}

/// What goes wrong on purpose.
#[derive(clap::Args)]
#[command(next_help_heading = "Faults")]
struct FaultArgs {
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectArg {
    Python,
    Go,
}

impl From<DialectArg> for Dialect {
    fn from(dialect: DialectArg) -> Self {
        match dialect {
            DialectArg::Python => Self::Python,
            DialectArg::Go => Self::Go,
        }
    }
}

impl Serve {
    pub fn run(self) -> Result<Exit, Error> {
        // Watched from the start, so that a signal during start-up is not lost.
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Thread)?;
        // Made before a heap profile begins: making a key is no part of serving.
        let own_key = self.tokens.own_key()?;
        self.heap_profile.around(|| self.serve(&mut signals, own_key.as_ref()))
    }

    /// Serves until a signal comes.
    fn serve(&self, signals: &mut Signals, own_key: Option<&KeyPair>) -> Result<Exit, Error> {
        let tokens = &self.tokens;
        let storage = self.storage()?;
        let stub = Stub::start(StubOptions {
            listen: self.listen,
            policy: tokens.policy(),
            dialect: self.dialect.into(),
            storage: storage.clone(),
            element_token: std::env::var_os("INGESTER_ELEMENT_TOKEN_FILE").map(PathBuf::from),
            faults: self.faults.options(),
            phases: self.phases,
            ..StubOptions::with(tokens.keys(own_key)?)
        })?;
        note(format_args!("Listening on http://{}; Ctrl-C stops it", stub.address()));
        for spec in &storage {
            note(format_args!("Storing in {}", printable(&spec.to_string())));
        }
        self.faults.tell(stub.address());
        match own_key {
            Some(key) if tokens.print_token => {
                let token = Minter::new(key.clone()).mint(TOKEN_LIFETIME)?;
                writeln!(io::stdout(), "{}", token.as_str()).map_err(Error::Output)?;
            }
            Some(_) if tokens.private_key.is_none() => {
                note("No one has a token for it: add --print-token, or --private-key with a key of yours");
            }
            _ => {}
        }
        signals.forever().next();
        let stored = stub.stored();
        let phases = stub.take_phases();
        drop(stub);
        note(format_args!("Took in {} files, {}", stored.files, Bytes(stored.bytes)));
        if let Some(phases) = phases {
            tell_phases(&phases);
        }
        Ok(Exit::Held)
    }
}

/// Says where the time of uploads went. Not on standard output, which may be a file with the token.
fn tell_phases(phases: &ServicePhases) {
    let breakdowns = phases.breakdowns();
    if breakdowns.is_empty() {
        note("No upload was stored, so none had phases");
        return;
    }
    let mut document = Document::new("Phases");
    document.table(breakdown_table("file size", &breakdowns));
    note(document.to_string().trim_end());
}

impl Serve {
    fn storage(&self) -> Result<Vec<StorageSpec>, Error> {
        let mut storage = Vec::new();
        for text in &self.storage {
            let spec = text.parse::<StorageSpec>();
            storage.push(spec.map_err(|e| Error::Setting { name: "--storage", problem: e.to_string() })?);
        }
        Ok(storage)
    }
}

impl FaultArgs {
    fn options(&self) -> FaultOptions {
        FaultOptions { specs: self.faults.clone(), seed: self.fault_seed, api: self.fault_api }
    }

    /// Says what goes wrong on purpose, so that nobody takes it for trouble.
    fn tell(&self, address: SocketAddr) {
        for fault in &self.faults {
            note(format_args!("Fault: {fault} (seed {})", self.fault_seed));
        }
        if self.fault_api {
            note(format_args!("Faults are switched at http://{address}{FAULT_ROUTE} (GET, PUT, DELETE)"));
        }
    }
}

impl TokenArgs {
    /// The key that makes tokens here: that of the file, or a new one. None where tokens are made elsewhere.
    fn own_key(&self) -> Result<Option<KeyPair>, Error> {
        if self.public_key.is_some() || self.jwks.is_some() {
            return Ok(None);
        }
        let Some(path) = &self.private_key else { return Ok(Some(KeyPair::generate()?)) };
        let pem = read_limited(path, MAX_KEY)?;
        let key = KeyPair::from_pem(&pem).map_err(|e| Error::malformed(path, e))?;
        Ok(Some(key))
    }

    fn keys(&self, own: Option<&KeyPair>) -> Result<Keys, Error> {
        if let Some(key) = own {
            return Ok(Keys::Fixed(KeySet::from(key.public())));
        }
        if let Some(path) = &self.public_key {
            let pem = read_limited(path, MAX_KEY)?;
            let keys = KeySet::from_pem(&pem).map_err(|e| Error::malformed(path, e))?;
            return Ok(Keys::Fixed(keys));
        }
        let url = self.jwks.clone().expect("without a key of its own there is one of the two");
        Ok(Keys::Url(url))
    }

    fn policy(&self) -> Policy {
        Policy {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            leeway: self.leeway,
            ..Policy::default()
        }
    }
}

fn leeway(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| *time <= MAX_LEEWAY);
    time.ok_or_else(|| {
        format!("write a time of at most {}, like 10s", humantime::format_duration(MAX_LEEWAY))
    })
}
