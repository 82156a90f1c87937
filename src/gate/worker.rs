//! A worker: the cases of this build, served over standard input and output. It ends when its input does.

use std::io::{BufRead, Write};
use std::sync::Arc;

use serde::Serialize;

use super::arm::{own_executable, sha256_of};
use super::protocol::{Begin, Build, Hello, PROTOCOL, Reply, Request, read_line};
use crate::auth::KeyPair;
use crate::case::{Case, SUITE};
use crate::environment::{Environment, Placement};
use crate::error::Error;
use crate::ingester::{Ingester, Settings};

/// Greets, then answers until it is told to quit or `input` ends.
pub fn serve(input: &mut impl BufRead, output: &mut impl Write, settings: Settings) -> Result<(), Error> {
    send(output, &hello()?)?;
    let mut worker = Worker { settings, ingester: None, case: None };
    while let Some(line) = read_line(input).map_err(Error::Pipe)? {
        let reply = match serde_json::from_str(&line) {
            Ok(Request::Quit) => break,
            Ok(request) => worker.answer(request),
            Err(e) => Err(Error::Worker(format!("does not understand the request: {e}"))),
        };
        send(output, &reply.unwrap_or_else(|e| Reply::Failed { problem: e.to_string() }))?;
    }
    Ok(())
}

struct Worker {
    settings: Settings,
    ingester: Option<Arc<Ingester>>,
    case: Option<Case>,
}

impl Worker {
    fn answer(&mut self, request: Request) -> Result<Reply, Error> {
        match request {
            Request::Begin(begin) => self.begin(begin),
            Request::Prepare { case } => self.prepare(&case),
            Request::Slice { iters, spin } => self.slice(iters, spin),
            Request::Quit => unreachable!("the caller ends on it"),
        }
    }

    fn begin(&mut self, Begin { key, client, stub }: Begin) -> Result<Reply, Error> {
        self.settings.placement = Placement { client, stub };
        self.settings.key = Some(KeyPair::from_pem(&key)?);
        let ingester = Ingester::start(&self.settings)?;
        let name = ingester.name();
        self.ingester = Some(Arc::new(ingester));
        Ok(Reply::Ready { ingester: name })
    }

    fn prepare(&mut self, id: &str) -> Result<Reply, Error> {
        // First end the one before: its connections and buffers are no part of this case.
        self.case = None;
        let ingester = self.ingester.as_ref().ok_or_else(|| out_of_turn("prepare"))?;
        let spec = SUITE.iter().find(|spec| spec.id() == id);
        let spec = spec.ok_or_else(|| Error::Worker(format!("has no case {id}")))?;
        self.case = Some(spec.start(ingester, &self.settings)?);
        Ok(Reply::Prepared)
    }

    /// A failed operation ends it: the time of failures is not the time of uploads.
    fn slice(&mut self, iters: u64, spin: f64) -> Result<Reply, Error> {
        let case = self.case.as_mut().ok_or_else(|| out_of_turn("slice"))?;
        let slice = case.slice(iters, spin)?;
        case.check_success()?;
        Ok(Reply::Slice { ns: slice.took.as_nanos() as u64, spun_ns: slice.spun.as_nanos() as u64 })
    }
}

fn hello() -> Result<Hello, Error> {
    let here = Environment::read(&Placement::none(), "none");
    let build = Build {
        version: here.version.to_owned(),
        rustc: here.rustc.to_owned(),
        profile: here.profile.to_owned(),
        // So that the gate can tell that it started what it meant to start.
        sha256: sha256_of(&own_executable()?)?,
    };
    Ok(Hello { protocol: PROTOCOL, build, cases: SUITE.iter().map(|spec| spec.id()).collect() })
}

fn out_of_turn(what: &str) -> Error {
    Error::Worker(format!("was asked to {what} before it was told to begin or prepare"))
}

fn send(output: &mut impl Write, message: &impl Serialize) -> Result<(), Error> {
    let mut line = serde_json::to_string(message).expect("messages have no maps or other trouble");
    line.push('\n');
    output.write_all(line.as_bytes()).and_then(|()| output.flush()).map_err(Error::Pipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a worker says to these requests, its greeting apart.
    fn answers(requests: &[Request]) -> Vec<String> {
        let lines: Vec<String> =
            requests.iter().map(|r| serde_json::to_string(r).expect("serialises")).collect();
        say(&lines.join("\n"))
    }

    fn say(input: &str) -> Vec<String> {
        let mut output = Vec::new();
        let settings = Settings { placement: Placement::none(), ..Settings::default() };
        serve(&mut input.as_bytes(), &mut output, settings).expect("serves");
        let text = String::from_utf8(output).expect("is text");
        text.lines().skip(1).map(str::to_owned).collect()
    }

    fn begin() -> Request {
        let key = KeyPair::generate_pem().expect("makes one");
        Request::Begin(Begin { key, client: None, stub: None })
    }

    fn prepare(case: &str) -> Request {
        Request::Prepare { case: case.to_owned() }
    }

    #[test]
    fn every_case_can_be_prepared_and_timed() {
        let mut requests = vec![begin()];
        for spec in SUITE {
            requests.extend([prepare(&spec.id()), Request::Slice { iters: 1, spin: 0.5 }]);
        }
        let said = answers(&requests);
        assert_eq!(said[0], r#"{"ready":{"ingester":"stub"}}"#);
        for pair in said[1..].chunks(2) {
            assert_eq!(pair[0], r#""prepared""#);
            let Ok(Reply::Slice { ns, spun_ns }) = serde_json::from_str(&pair[1]) else {
                panic!("no slice: {}", pair[1])
            };
            assert!(ns > 0 && spun_ns >= ns / 2, "{ns} {spun_ns}");
        }
    }

    #[test]
    fn what_it_cannot_do_it_says_and_goes_on() {
        let slice = || Request::Slice { iters: 1, spin: 0.0 };
        let said = answers(&[
            slice(),
            prepare("jwt/validate"),
            begin(),
            prepare("upload/1TB"),
            slice(),
            Request::Quit,
        ]);
        let failed = |i: usize| said[i].contains("failed");
        assert!(failed(0) && failed(1) && !failed(2) && failed(3) && failed(4), "{said:?}");
        assert!(said[3].contains("has no case upload/1TB"), "{said:?}");
        assert!(say("garbage")[0].contains("does not understand"));
    }
}
