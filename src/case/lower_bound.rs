//! What the machine allows at best: the same work as a case without the layers that a service is made of.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{self, Context};

use super::spec::{Kind, Spec};
use super::worker::{Case, Work};
use crate::auth::{KeyError, KeyPair, Minter, PublicKey};
use crate::error::Error;
use crate::machine::{Placement, pin};
use crate::payload::{BodyFormat, Form, generate_test_file};
use crate::recording::{Finished, Recorder};
use crate::units::Bytes;

/// Bytes of the receiver's answer: about what an HTTP answer's head has.
const ANSWER: usize = 200;
/// The receiver reads as much at once as stays in the second-level cache.
// So that hashing finds the bytes where the kernel has just copied them.
const READ: usize = 256 << 10;
/// A lost peer must not become a hang.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The least that a case's work can take here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LowerBound {
    /// For an upload: the same bytes over raw loopback TCP through blocking sockets, hashed by the receiver, one
    /// signature verified, a 200-byte answer.
    RawUpload(Bytes),
    /// For a token check: its signature, verified with a parsed key.
    Signature,
}

impl Spec {
    /// The lower bound of one iteration. Load has none: what many users do at once overlaps, and no one thing lies below it.
    /// Nor has a mix of sizes.
    pub fn lower_bound(&self) -> Option<LowerBound> {
        match &self.kind {
            Kind::Upload { files } => files.single().map(LowerBound::RawUpload),
            Kind::Jwt => Some(LowerBound::Signature),
            Kind::Load { .. } => None,
        }
    }
}

impl LowerBound {
    /// Starts it on the cores of the case.
    pub fn start(self, placement: &Placement) -> Result<Case, Error> {
        match self {
            Self::RawUpload(size) => {
                Case::start("raw upload", placement.client, RawUpload::new(size, placement.stub)?)
            }
            Self::Signature => Case::start("signature", placement.client, Signature::new()?),
        }
    }
}

/// Reading the clock and recording a latency, as every operation does.
pub fn recording(placement: &Placement) -> Result<Case, Error> {
    Case::start("recording", placement.client, Recording)
}

struct Recording;

impl Work for Recording {
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
        // The same loop as that of the token check, without the check.
        let started = Instant::now();
        let mut last = started;
        for _ in 0..iters {
            let now = Instant::now();
            recorder.record(black_box(Finished { latency: now - last, outcome: Ok(()) }));
            last = now;
        }
        Ok(last - started)
    }
}

/// A token's signature, ready to be verified.
struct Signature {
    key: PublicKey,
    message: String,
    signature: Vec<u8>,
}

impl Signature {
    fn new() -> Result<Self, KeyError> {
        let key = KeyPair::generate()?;
        let token = Minter::new(key.clone()).mint(TIMEOUT)?;
        let (message, signature) = token.parts().expect("a minted token has its parts");
        Ok(Self { key: key.public().clone(), message: message.to_owned(), signature })
    }

    fn verify(&self) {
        assert!(self.key.signed(black_box(self.message.as_bytes()), &self.signature), "it was just signed");
    }
}

impl Work for Signature {
    fn time(&mut self, iters: u64, _: &mut Recorder) -> Result<Duration, Error> {
        let started = Instant::now();
        for _ in 0..iters {
            self.verify();
        }
        Ok(started.elapsed())
    }
}

struct RawUpload {
    stream: TcpStream,
    body: bytes::Bytes,
}

impl RawUpload {
    fn new(size: Bytes, receiver: Option<usize>) -> Result<Self, Error> {
        let body = BodyFormat::Multipart(Form::default()).encode(&generate_test_file(size)).bytes;
        let signature = Signature::new()?;
        let stream = start_receiver(body.len(), receiver, signature).map_err(Error::Loopback)?;
        Ok(Self { stream, body })
    }

    fn exchange(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.body)?;
        self.stream.read_exact(&mut [0; ANSWER])
    }
}

impl Work for RawUpload {
    fn time(&mut self, iters: u64, _: &mut Recorder) -> Result<Duration, Error> {
        let started = Instant::now();
        for _ in 0..iters {
            self.exchange().map_err(Error::Loopback)?;
        }
        Ok(started.elapsed())
    }
}

/// A thread that takes bodies of `len` bytes on `core` until the returned stream is closed.
fn start_receiver(len: usize, core: Option<usize>, signature: Signature) -> io::Result<TcpStream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // A connection is accepted by the kernel as soon as something listens, so one thread can do both in turn.
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (receiver, _) = listener.accept()?;
    // Without this what is sent could wait for an acknowledgement (Nagle's algorithm); client and stub switch it off, too.
    for end in [&stream, &receiver] {
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(TIMEOUT))?;
    }
    std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
        pin(core);
        let mut buffer = vec![0; READ];
        // It ends when the sender goes.
        while receive(&receiver, len, &mut buffer, &signature).is_ok() {}
    })?;
    Ok(stream)
}

fn receive(mut stream: &TcpStream, len: usize, buffer: &mut [u8], signature: &Signature) -> io::Result<()> {
    let mut hash = Context::new(&digest::SHA256);
    let mut left = len;
    while left > 0 {
        let n = stream.read(&mut buffer[..left.min(READ)])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&buffer[..n]);
        left -= n;
    }
    signature.verify();
    // A service answers with the checksum, so its answer waits for the end of hashing, too.
    let mut answer = [0; ANSWER];
    answer[..32].copy_from_slice(hash.finish().as_ref());
    stream.write_all(&answer)
}
