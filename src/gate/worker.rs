//! A worker: the cases of this build, served over standard input and output. It ends when its input does.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::arm::{own_executable, sha256_of};
use super::protocol::{Begin, Explained, Hello, PROTOCOL, Reply, Request, read_line};
use super::stacks::StackSampler;
use crate::auth::KeyPair;
use crate::case::{Case, Suite, clean_up};
use crate::client::Http;
use crate::config::Config;
use crate::console::note;
use crate::error::Error;
use crate::ingester::{Ingester, Settings, Subject};
use crate::interrupt::Interrupt;
use crate::lockstep::{Build, Measure};
use crate::machine::{Environment, Placement};

/// Significant digits of the latencies that are told to the gate.
// With two a histogram has about 30 KB as a line, well below the protocol's limit.
const LATENCY_DIGITS: u8 = 2;

/// Serves over the standard streams of this process until standard input ends.
pub fn serve_standard_streams(config: &Config, suite: &Suite) -> Result<(), Error> {
    let settings = config.settings(suite)?;
    serve(&mut io::stdin().lock(), &mut io::stdout().lock(), suite, settings)
}

/// Greets, then answers until it is told to quit or `input` ends.
pub fn serve(
    input: &mut impl BufRead,
    output: &mut impl Write,
    suite: &Suite,
    settings: Settings,
) -> Result<(), Error> {
    // Of a service in another process, it would see its own half of the work only.
    let explains = settings.subject.is_in_process();
    send(output, &hello(suite, explains)?)?;
    let mut worker = Worker { suite, settings, ingester: None, case: None, sampler: None };
    while let Some(line) = read_line(input).map_err(Error::Pipe)? {
        // A request that fails is answered, too: only the gate decides whether to go on.
        let reply = match serde_json::from_str(&line) {
            Ok(Request::Quit) => break,
            Ok(request) => worker.answer(request),
            Err(e) => Err(Error::Worker(format!("does not understand the request: {e}"))),
        };
        send(output, &reply.unwrap_or_else(|e| Reply::Failed { problem: e.to_string() }))?;
    }
    // The last case left something with the service as well.
    worker.end_case();
    Ok(())
}

struct Worker<'a> {
    suite: &'a Suite,
    settings: Settings,
    ingester: Option<Arc<Ingester>>,
    case: Option<Case>,
    /// Samples stacks, where the gate has said that it will ask for an explanation.
    sampler: Option<StackSampler>,
}

impl Worker<'_> {
    fn answer(&mut self, request: Request) -> Result<Reply, Error> {
        match request {
            Request::Begin(begin) => self.begin(begin),
            Request::Prepare { case } => self.prepare(&case),
            Request::Slice { iters, spin } => self.slice(iters, spin),
            Request::Latencies => self.latencies(),
            Request::Explain { stacks } => self.explain(stacks.as_deref()),
            Request::Quit => unreachable!("the caller ends on it"),
        }
    }

    fn begin(&mut self, Begin { key, client, stub, explain }: Begin) -> Result<Reply, Error> {
        // Cores and key come from the gate, so that all arms have the same.
        self.settings.placement = Placement { client, stub };
        self.settings.key = Some(KeyPair::from_pem(&key)?);
        if explain {
            // Before the threads that it is to see: those of the service start below, the client's with its case.
            self.sampler.get_or_insert_with(StackSampler::start);
            // A router of somebody else's has no phases that are known here.
            self.settings.phases = matches!(self.settings.subject, Subject::Stub);
        }
        // The gate ends a worker by the end of its input, which a service's start does not wait for.
        let ingester = Ingester::start(&self.settings, &Interrupt::default())?;
        let subject = ingester.name();
        self.ingester = Some(Arc::new(ingester));
        Ok(Reply::Ready { subject })
    }

    fn prepare(&mut self, id: &str) -> Result<Reply, Error> {
        // The case before ends first: its connections and buffers are no part of this case.
        self.end_case();
        let ingester = self.ingester.as_ref().ok_or_else(|| out_of_turn("prepare"))?;
        let spec = self.suite.case(id).ok_or_else(|| Error::Worker(format!("has no case {id}")))?;
        // The phases of the case before are no part of this one's.
        ingester.take_phases();
        self.case = Some(spec.start(ingester, &self.settings)?);
        Ok(Reply::Prepared)
    }

    /// Ends the case, and removes what its uploads left with the service, if the API says how.
    fn end_case(&mut self) {
        self.case = None;
        let Some(ingester) = &self.ingester else { return };
        let removed = match clean_up(ingester, &self.settings, Http::One) {
            Ok(Some(removed)) if removed.failed == 0 && removed.unknown == 0 => return,
            Ok(None) => return,
            Ok(Some(removed)) => removed.to_string(),
            Err(error) => format!("Nothing that this run left behind could be removed: {error}"),
        };
        // To standard error: standard output is for answers alone.
        note(removed);
    }

    /// Times a slice. A failed operation makes it an error: the time of failures is not the time of uploads.
    fn slice(&mut self, iters: u64, spin: f64) -> Result<Reply, Error> {
        let case = self.case.as_mut().ok_or_else(|| out_of_turn("slice"))?;
        let slice = case.slice(iters, spin)?;
        case.check_success()?;
        Ok(Reply::Slice { value: slice.took.as_nanos() as u64, spun: slice.spun.as_nanos() as u64 })
    }

    /// The latencies of all operations since the last call, to two digits: comparing tails needs no more.
    fn latencies(&mut self) -> Result<Reply, Error> {
        let case = self.case.as_mut().ok_or_else(|| out_of_turn("tell latencies"))?;
        // Operations that failed are not in it: the slice with one has failed already.
        let recording = case.take_recording();
        let mut coarse = Histogram::<u64>::new(LATENCY_DIGITS).expect("the digits are valid");
        coarse.add(recording.ok.histogram()).expect("it grows as need be");
        let mut latencies = Vec::new();
        for bucket in coarse.iter_recorded() {
            latencies.push((bucket.value_iterated_to(), bucket.count_at_value()));
        }
        Ok(Reply::Latencies(latencies))
    }

    /// Where the time of all operations since the last call went. Stacks are written to this file, if there is one; they are
    /// sampled from the first call on.
    fn explain(&mut self, stacks: Option<&str>) -> Result<Reply, Error> {
        let ingester = self.ingester.as_ref().ok_or_else(|| out_of_turn("explain"))?;
        let case = self.case.as_mut().ok_or_else(|| out_of_turn("explain"))?;
        let Some(sampler) = &self.sampler else {
            return Err(Error::Worker("was asked to explain, and was not begun for that".to_owned()));
        };
        let latencies = case.take_recording().ok;
        let operations = latencies.count();
        let mut phases = Vec::new();
        if let Some(timed) = ingester.take_phases().and_then(|phases| phases.total()) {
            // An upload is in the stub's log before its answer is sent, so both sides tell of the same ones.
            if timed.operations != operations {
                return Err(Error::Worker(format!(
                    "times the phases of {} uploads where its client has sent {operations}",
                    timed.operations
                )));
            }
            phases = timed.phases;
        }
        let without_stacks = match stacks {
            Some(path) => sampler.write(Path::new(path))?,
            None => None,
        };
        sampler.resume();
        let latency_ns = u64::try_from(latencies.sum_ns()).unwrap_or(u64::MAX);
        Ok(Reply::Explained(Explained { operations, latency_ns, phases, without_stacks }))
    }
}

fn hello(suite: &Suite, explains: bool) -> Result<Hello, Error> {
    let here = Environment::read(&Placement::none(), "none");
    let build = Build {
        version: here.version,
        compiler: here.rustc,
        profile: here.profile,
        // So that the gate can tell that it started what it meant to start.
        sha256: sha256_of(&own_executable()?)?,
    };
    let cases = suite.ids().collect();
    Ok(Hello { protocol: PROTOCOL, build, measure: Measure::WallTime, cases, explains })
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

    /// The answers of a worker to these requests, without its greeting.
    fn answers(requests: &[Request]) -> Vec<String> {
        let lines: Vec<String> =
            requests.iter().map(|r| serde_json::to_string(r).expect("serialises")).collect();
        say(&lines.join("\n"))
    }

    fn say(input: &str) -> Vec<String> {
        let mut output = Vec::new();
        let settings = Settings { placement: Placement::none(), ..Settings::default() };
        serve(&mut input.as_bytes(), &mut output, &Suite::default(), settings).expect("serves");
        let text = String::from_utf8(output).expect("is text");
        text.lines().skip(1).map(str::to_owned).collect()
    }

    fn begin() -> Request {
        let key = KeyPair::generate_pem().expect("makes one");
        Request::Begin(Begin { key, client: None, stub: None, explain: false })
    }

    fn prepare(case: &str) -> Request {
        Request::Prepare { case: case.to_owned() }
    }

    fn one_iteration() -> Request {
        Request::Slice { iters: 1, spin: 0.0 }
    }

    #[test]
    fn every_case_can_be_prepared_and_timed() {
        let mut requests = vec![begin()];
        let suite = Suite::default();
        for spec in suite.cases() {
            requests.push(prepare(&spec.id()));
            requests.push(Request::Slice { iters: 1, spin: 0.5 });
            requests.push(Request::Latencies);
            requests.push(Request::Latencies);
        }
        let said = answers(&requests);
        assert_eq!(said[0], r#"{"ready":{"subject":"stub"}}"#);
        // Four answers to each case.
        for (spec, said) in suite.cases().iter().zip(said[1..].chunks(4)) {
            assert_eq!(said[0], r#""prepared""#);
            let Ok(Reply::Slice { value, spun }) = serde_json::from_str(&said[1]) else {
                panic!("no slice: {}", said[1])
            };
            assert!(value > 0 && spun >= value / 2, "{value} {spun}");
            let Ok(Reply::Latencies(latencies)) = serde_json::from_str(&said[2]) else {
                panic!("no latencies: {}", said[2])
            };
            // One iteration of a load case is a pass of many uploads.
            let operations = spec.sends().map_or(1, |(uploads, _)| uploads);
            assert_eq!(latencies.iter().map(|(_, count)| count).sum::<u64>(), operations, "{}", said[2]);
            assert_eq!(said[3], r#"{"latencies":[]}"#, "told once");
        }
    }

    #[test]
    fn what_it_cannot_do_it_says_and_goes_on() {
        let said = answers(&[
            one_iteration(),
            prepare("jwt/validate"),
            begin(),
            prepare("upload/1TB"),
            one_iteration(),
            prepare("jwt/validate"),
            Request::Explain { stacks: None },
            Request::Quit,
        ]);
        let failed: Vec<bool> = said.iter().map(|answer| answer.contains("failed")).collect();
        assert_eq!(failed, [true, true, false, true, true, false, true], "{said:?}");
        assert!(said[3].contains("has no case upload/1TB"), "{said:?}");
        assert!(said[6].contains("was asked to explain, and was not begun for that"), "{said:?}");
        assert!(say("garbage")[0].contains("does not understand"));
    }
}
