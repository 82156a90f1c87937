//! Loads something that is not an upload: lines to an echo server over TCP, 2,000 a second, as they come from users who wait
//! for nobody. The figures are the report's: every line that was due is counted, and its latency runs from when it was due.
//!
//! `cargo run --release --example own_operation`

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use ingester_perf::load::{Arrivals, LoadRecord, Model, Operation, Plan, Profile, RecordedRun, run};
use ingester_perf::machine::{Environment, Placement};
use ingester_perf::recording::{Class, Failure, Performed};
use ingester_perf::report::{LoadOutcome, outcome_document};
use ingester_perf::targets::Targets;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One line there and back.
struct Echo {
    address: SocketAddr,
}

impl Operation for Echo {
    /// A user keeps its connection.
    type User = Option<BufReader<TcpStream>>;

    fn user(&self) -> Self::User {
        None
    }

    async fn perform(&self, user: &mut Self::User, index: u64) -> Performed {
        let began = Instant::now();
        let outcome = exchange(self.address, user, index).await;
        let latency = began.elapsed();
        if outcome.is_err() {
            *user = None;
        }
        Performed::new(began, latency, outcome)
    }
}

async fn exchange(
    address: SocketAddr,
    user: &mut Option<BufReader<TcpStream>>,
    index: u64,
) -> Result<(), Failure> {
    let connection = match user {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(address).await.map_err(|e| failure(Class::Connect, &e))?;
            stream.set_nodelay(true).map_err(|e| failure(Class::Connect, &e))?;
            user.insert(BufReader::new(stream))
        }
    };
    let sent = format!("{index}\n");
    connection.write_all(sent.as_bytes()).await.map_err(|e| failure(Class::Reset, &e))?;
    let mut line = String::new();
    connection.read_line(&mut line).await.map_err(|e| failure(Class::Reset, &e))?;
    if line == sent {
        Ok(())
    } else {
        Err(Failure::new(Class::Corrupt, format!("sent {sent:?}, got {line:?}")))
    }
}

fn failure(class: Class, error: &io::Error) -> Failure {
    Failure::new(class, error.to_string())
}

/// An echo server on a free port; its threads end with the process.
fn echo_server() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // It ends when the peer goes.
                let _ = stream.set_nodelay(true);
                let _ = io::copy(&mut &stream, &mut &stream);
            });
        }
    });
    Ok(address)
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = echo_server()?;
    let rate = Profile::constant(2_000.0, Duration::from_secs(3));
    let plan = Plan::new(Model::Open { rate, arrivals: Arrivals::Poisson });
    let run = run(&plan, vec![(Echo { address }, None)], |_| true)?;
    let mut record =
        LoadRecord::new("echo", "lines".to_owned(), Environment::read(&Placement::none(), "echo server"));
    record.runs.push(RecordedRun { step: None, plan, run, phases: None });
    let outcome = LoadOutcome::of(&record, &Targets::default());
    print!("{}", outcome_document(&outcome));
    let report = &outcome.report;
    if report.failed_requests > 0 {
        return Err(format!("{} lines did not come back", report.failed_requests).into());
    }
    Ok(())
}
