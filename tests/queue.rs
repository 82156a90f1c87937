//! Promise: under a queue that is known request by request, every latency is that of the queue's own recursion
//! (Lindley, 1952): who arrives waits for what is left of the one before, and is then served.

mod common;

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::load::{alone, choose, figure, tried, wait_until, wide};
use common::server::Server;
use ingester_perf::api::Api;
use ingester_perf::auth::Token;
use ingester_perf::client::{Client, Endpoint, Http, UploadBody};
use ingester_perf::load::{Arrivals, Model, Operation, Plan, Profile, Schedule, run};
use ingester_perf::payload::generate_test_file;
use ingester_perf::recording::{Performed, Samples};
use ingester_perf::units::Bytes;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const SEED: u64 = 11;

/// Mean time of a service in seconds. What a latency holds beside it, the way there and back, is some 0.3 ms.
fn service() -> f64 {
    choose(0.020, 0.010)
}

/// A server that serves one request at a time, in the order of arrival, each for a time from the seed. It stamps how long
/// each really took: from its arrival, or from the end of the one before, until its own end.
fn one_at_a_time() -> (Server, Arc<Mutex<Vec<f64>>>) {
    let stamps = Arc::new(Mutex::new(Vec::new()));
    let (queue, waiting) = mpsc::channel::<(Instant, mpsc::Sender<()>)>();
    let stamped = Arc::clone(&stamps);
    std::thread::spawn(move || {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
        let mut end = Instant::now();
        for (arrived, done) in waiting {
            let begun = end.max(arrived);
            // Exponential, by inversion: -mean ln(1 - u). Of 1 - u, as u may be 0 and has no logarithm then.
            wait_until(begun + Duration::from_secs_f64(-service() * (1.0 - rng.random::<f64>()).ln()));
            end = Instant::now();
            stamped.lock().expect("nobody panicked").push((end - begun).as_secs_f64());
            let _ = done.send(());
        }
    });
    let server = Server::scripted(move |exchange| {
        let Some(answer) = exchange.answer() else { return false };
        let (done, served) = mpsc::channel();
        let queued = queue.send((Instant::now(), done)).is_ok();
        queued && served.recv().is_ok() && exchange.respond("201 Created", &answer)
    });
    (server, stamps)
}

/// Uploads, and notes when each has ended: a report has quantiles only, and not every request.
struct Noting<'a> {
    user: Client,
    file: UploadBody,
    ends: &'a Mutex<Vec<(u64, Instant)>>,
}

impl Operation for Noting<'_> {
    type User = Client;

    fn user(&self) -> Client {
        self.user.another()
    }

    async fn perform(&self, user: &mut Client, index: u64) -> Performed {
        let performed = user.upload(&self.file).await;
        assert_eq!(performed.finished.outcome, Ok(()));
        let end = performed.began + performed.finished.latency;
        self.ends.lock().expect("nobody panicked").push((index, end));
        performed
    }
}

/// The response times that were measured and those of the recursion, by index, in seconds; `None` where the generator did
/// not keep up.
fn measured_and_expected(load: f64, requests: f64) -> Option<(Vec<f64>, Vec<f64>)> {
    let (server, stamps) = one_at_a_time();
    let url = server.url().parse().expect("is a URL");
    let endpoint = Endpoint::resolve(&url, Http::One).expect("resolves");
    let api = Arc::new(Api::default());
    let limit = Duration::from_secs(30);
    let user = Client::new(endpoint, &api, Some(Token::new("a.b.c")), limit).expect("is a token");
    let file = generate_test_file(Bytes::kb(1));
    let ends = Mutex::new(Vec::new());
    let noting = Noting { user, file: UploadBody::whole(&file, &api), ends: &ends };

    // Load is arrival rate times mean service time.
    let rate = Profile::constant(load / service(), Duration::from_secs_f64(requests * service() / load));
    let plan =
        Plan { seed: SEED, ..Plan::new(Model::Open { rate: rate.clone(), arrivals: Arrivals::Poisson }) };
    let run = run(&plan, vec![(noting, None)], |_| true).expect("runs");
    let health = run.health();
    if !health.is_valid() {
        eprintln!("{:?}", health.problems);
        return None;
    }
    let mut ends = ends.into_inner().expect("nobody panicked");
    // Noted as they ended, by several threads: the order in which they were due is that of their indices.
    ends.sort_unstable_by_key(|(index, _)| *index);
    let due: Vec<f64> =
        Schedule::new(rate, Arrivals::Poisson, SEED).map(|(_, at)| at.as_secs_f64()).collect();
    let start = run.start.expect("is a run of this process");
    let measured: Vec<f64> =
        ends.iter().zip(&due).map(|((_, end), due)| (*end - start).as_secs_f64() - due).collect();
    // R(n) = S(n) + max(0, R(n-1) - A(n)), A being the gap since the arrival before.
    let mut expected = Vec::new();
    let mut before = 0.0;
    for (index, service) in stamps.lock().expect("nobody panicked").iter().enumerate() {
        // Before the first there is nobody to wait for.
        let gap = if index == 0 { f64::INFINITY } else { due[index] - due[index - 1] };
        before = service + f64::max(0.0, before - gap);
        expected.push(before);
    }
    assert_eq!(measured.len(), expected.len());
    reported_as_measured(&run.load.responses.ok, &measured);
    Some((measured, expected))
}

/// What is recorded is what was noted here, to the histogram's three digits.
fn reported_as_measured(recorded: &Samples, measured: &[f64]) {
    let mut sorted = measured.to_vec();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(recorded.count(), sorted.len() as u64);
    for (rank, measured) in (1..).zip(sorted) {
        let recorded = recorded.at_rank(rank).expect("is there").as_secs_f64();
        assert!((recorded / measured - 1.0).abs() < 2e-3, "rank {rank}: {recorded} s, not {measured}");
    }
}

/// Largest distance between two empirical distributions.
fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    // Both are step functions, so that they are furthest apart at one of the values.
    a.iter().chain(b).map(|x| (share_up_to(a, *x) - share_up_to(b, *x)).abs()).fold(0.0, f64::max)
}

/// Which share of these values, in order of size, is at most `x`.
fn share_up_to(sorted: &[f64], x: f64) -> f64 {
    sorted.partition_point(|value| *value <= x) as f64 / sorted.len() as f64
}

/// The quantile of these times, in order of size and in seconds, in milliseconds.
fn quantile_ms(sorted: &[f64], q: f64) -> f64 {
    1e3 * sorted[(q * sorted.len() as f64) as usize]
}

#[test]
fn every_latency_is_that_of_the_queue() {
    let _alone = alone();
    for load in [0.5, 0.8] {
        let (mut measured, mut expected) = tried(|| measured_and_expected(load, choose(2000.0, 200.0)));
        let mut off: Vec<f64> = measured.iter().zip(&expected).map(|(m, e)| (m - e).abs()).collect();
        off.sort_by(f64::total_cmp);
        // Of two that arrive within microseconds of each other the server may take the second first; and beside other work
        // on the machine some are late.
        let share = choose(99, 90);
        let most = 1e3 * off[off.len() * share / 100];
        figure(
            &format!("queue at load {load}: {share} of 100 latencies differ from the recursion by at most"),
            &format!("{most:.3} ms"),
            "1 ms",
        );
        assert!(most <= wide(1.0), "load {load}: {most} ms");

        measured.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        let distance = kolmogorov_smirnov(&measured, &expected);
        figure(
            &format!("distance of the distributions at load {load} (KS)"),
            &format!("{distance:.4}"),
            "0.02",
        );
        assert!(distance <= wide(0.02), "load {load}: {distance}");
        for q in [0.5, 0.95, 0.99] {
            let measured = quantile_ms(&measured, q);
            let expected = quantile_ms(&expected, q);
            // 3 %, and at least what the way there and back takes.
            let allowed = wide((0.03 * expected).max(0.3));
            figure(
                &format!("quantile {q} at load {load}"),
                &format!("{measured:.2} ms"),
                &format!("{expected:.2} ms, at most {allowed:.2} off"),
            );
            assert!((measured - expected).abs() <= allowed, "load {load}, {q}: {measured}, not {expected}");
        }
    }
}
