//! Promise: the same benches measure a service by URL, in either dialect, within the limits that were set.

mod common;

use common::bench::{Bench, SHORT};
use common::server::{Manner, Server};

fn against(name: &'static str, server: &Server) -> Bench {
    Bench::new(name).env("INGESTER_URL", server.url()).env("INGESTER_TOKEN", "a.bearer.token")
}

#[test]
fn both_dialects_are_measured() {
    for manner in [Manner::Python, Manner::Go, Manner::CloseEach] {
        let server = Server::start(manner);
        let bench = against("upload", &server);
        let run = bench.short(&["10KB"]);
        run.exits(0);
        assert!(run.stderr.contains("uploads") && run.stderr.contains(&server.url()), "{}", run.stderr);
        let report = bench.report("upload_small_file");
        assert_eq!(report["success_rate_pct"], 100.0, "{manner:?}: {report}");
        assert_eq!(report["environment"]["ingester"], server.url().as_str());
        assert_eq!(report["plan"]["file_size_bytes"], 10_240);
        // The two of the look before and those of the warm-up are sent, and not counted.
        assert!(server.uploads() > 2 + report["total_requests"].as_u64().expect("is a count"), "{manner:?}");
    }
}

#[test]
fn load_runs_whole_passes_against_it() {
    let server = Server::start(Manner::Python);
    let bench = against("load", &server);
    bench.short(&["10_users"]).exits(0);
    let report = bench.report("concurrent_upload_10");
    assert_eq!(report["plan"]["users"], 10);
    let passes = report["plan"]["passes"].as_u64().expect("is a count");
    assert_eq!(report["total_requests"].as_u64(), Some(100 * passes));
}

#[test]
fn jwt_and_floor_say_that_they_measure_this_machine() {
    let server = Server::start(Manner::Python);
    for name in ["jwt", "floor"] {
        let run = against(name, &server).run(&["--noplot", "--quick", "--measurement-time", "0.1", "jwt"]);
        run.exits(0);
        assert!(run.stderr.contains("measures the machine that it runs on"), "{}", run.stderr);
    }
    assert_eq!(server.uploads(), 0);
}

#[test]
fn more_bytes_than_allowed_are_refused_before_they_are_sent() {
    let server = Server::start(Manner::Python);
    let bench = against("upload", &server).env("INGESTER_MAX_BYTES", "50MB");
    let run = bench.run(&["--noplot", "--sample-size", "10", "10MB"]);
    let why = run.exits(2);
    // Two to look, one to warm up, one for each of the fewest samples: 13 files of 10 MB.
    assert!(why.contains("at least 130 MB") && why.contains("INGESTER_MAX_BYTES (50 MB)"), "{why}");
    assert_eq!(server.uploads(), 0);

    // The fewest would fit, and ten minutes of them do not: known once the look has shown how long one takes.
    let longer = against("upload", &server).env("INGESTER_MAX_BYTES", "1MB");
    let why = longer.run(&["--noplot", "--measurement-time", "600", "10KB"]);
    assert!(why.exits(2).contains("uploads"), "{}", why.stderr);
    assert_eq!(server.uploads(), 2, "only the look before was sent");
}

#[test]
fn the_limit_holds_while_measuring_too() {
    // Two uploads make a plan that is affordable; a profile runs for as long as it is told.
    let server = Server::start(Manner::Python);
    let bench = against("upload", &server).env("INGESTER_MAX_BYTES", "1MB");
    let run = bench.run(&["--profile-time", "60", "10KB"]);
    let why = run.exits(2);
    assert!(why.contains("stopped before") && why.contains("INGESTER_MAX_BYTES"), "{why}");
    // Two to look, and 1 MB is 102 files of 10 KB and a bit.
    assert!(server.uploads() <= 2 + 102, "{}", server.uploads());
}

#[test]
fn a_token_source_too_many_or_too_few_is_refused() {
    let server = Server::start(Manner::Python);
    let none = Bench::new("upload").env("INGESTER_URL", server.url());
    assert!(none.run(&SHORT).exits(2).contains("INGESTER_URL: is set without a token"));
    let both = against("upload", &server).env("INGESTER_TOKEN_FILE", "/dev/null");
    assert!(both.run(&SHORT).exits(2).contains("keep one of them"));
    assert_eq!(server.uploads(), 0);
}
