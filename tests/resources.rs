//! Promise: a load run tells what the generator, the service and the machine used in each second of it, and so does a replay.
#![cfg(target_os = "linux")]

mod common;

use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::bench::{Run, read_json};
use common::load::{Load, alone, ms};
use common::server::{Manner, Server};
use procfs::process::Process;
use serde_json::Value;

/// A process that ends with the test.
struct Other(Arc<Mutex<Child>>);

impl Other {
    fn start(script: &str) -> Self {
        let child = Command::new("sh").args(["-c", script]).spawn().expect("starts");
        Self(Arc::new(Mutex::new(child)))
    }

    fn id(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
}

/// Kills it, and does not wait for it: it stays known to the system, as one whose parent looks elsewhere.
fn kill(child: &Mutex<Child>) {
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

impl Drop for Other {
    fn drop(&mut self) {
        kill(&self.0);
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// CPU of all children of this process that were waited for.
fn cpu_of_children() -> Duration {
    let stat = Process::myself().and_then(|process| process.stat()).expect("can be read");
    let ticks = (stat.cutime + stat.cstime) as f64;
    Duration::from_secs_f64(ticks / procfs::ticks_per_second() as f64)
}

/// Runs it. 3 is fine, where the generator was late beside other tests: what was used is told all the same.
fn measured(load: &Load) -> Run {
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 1 | 3)) && !run.stderr.contains("panicked"), "{}", run.output());
    run
}

fn replayed(load: &Load) -> Run {
    let record = load.file("load.run.json");
    Load::new(&["--replay", record.to_str().expect("is UTF-8")]).run()
}

/// The seconds in which this is known.
fn known(report: &Value, key: &str) -> usize {
    let seconds = report["load"]["seconds"].as_array().expect("is an array");
    seconds.iter().filter(|second| !second[key].is_null()).count()
}

#[test]
fn generator_and_stub_are_told_apart_and_come_to_what_the_process_used() {
    let _alone = alone();
    let before = cpu_of_children();
    let load = Load::new(&["--users", "4", "--duration", "2s", "--file-size", "100KB"]);
    let run = measured(&load);
    let in_all = cpu_of_children() - before;
    let report = load.report();
    let generator = ms(&report, "load.resources.generator.cpu_pct.mean") / 100.0;
    let service = ms(&report, "load.resources.service.cpu_pct.mean") / 100.0;
    // Whoever of both is slower is busy all the time, and the other for a good part of it; a tenth of a core is little.
    assert!(generator > 0.1 && service > 0.1, "{generator} {service}");
    // 2 s of load, and before it a start of some tenths of a second, that makes a key.
    let told = 2.0 * (generator + service);
    let in_all = in_all.as_secs_f64();
    assert!(told <= 1.05 * in_all + 0.1 && told >= 0.3 * in_all, "{told} s of {in_all} s");
    // Memory and descriptors are the process's: neither side has a figure of its own.
    let resources = &report["load"]["resources"];
    for side in ["generator", "service"] {
        assert!(resources[side]["memory_bytes"]["mean"].is_null(), "{resources}");
    }
    assert!(ms(&report, "load.resources.both.memory_bytes.max") > 1e6);
    assert!(ms(&report, "load.resources.both.descriptors.max") >= 8.0, "four connections with two ends each");
    assert!(ms(&report, "load.resources.machine.loopback_bytes_per_s.mean") > 100.0 * 1024.0);
    assert!(run.stdout.contains("both, in one process"), "{}", run.stdout);
    // One of the two whole seconds may have begun late, and stand in the other.
    assert!(known(&report, "service_cpu_pct") >= 1 && known(&report, "machine_cpu_pct") >= 1, "{report}");
    assert_eq!(known(&report, "service_memory_bytes"), 0);

    let again = replayed(&load);
    assert_eq!((again.code, &again.stdout), (run.code, &run.stdout), "{}", again.stderr);
    // As written by a version that did not look.
    let path = load.file("load.run.json");
    let mut record = read_json(&path);
    let recorded = record["runs"][0]["run"].as_object_mut().expect("is an object");
    assert!(recorded.remove("resources").is_some());
    std::fs::write(&path, record.to_string()).expect("writes");
    let old = replayed(&load);
    assert_eq!(old.code, run.code, "{}", old.output());
    assert!(!old.stdout.contains("mean (most)") && old.stdout.contains("send delay"), "{}", old.stdout);
}

#[test]
fn a_process_that_is_named_is_watched() {
    let _alone = alone();
    let busy = Other::start("while :; do :; done");
    let server = Server::start(Manner::Python);
    let pid = busy.id().to_string();
    let args = ["--rate", "20", "--duration", "2s", "--file-size", "1KB", "--pid", &pid];
    let load = Load::against(&server.url(), &args);
    let run = measured(&load);
    let report = load.report();
    let resources = &report["load"]["resources"];
    assert_eq!(resources["service_pid"], busy.id());
    assert!(resources["both"].is_null(), "{resources}");
    // All of a core, if nothing else runs here; never more, as it has one thread.
    let cpu_pct = ms(&report, "load.resources.service.cpu_pct.mean");
    assert!((25.0..=110.0).contains(&cpu_pct), "{cpu_pct}");
    assert!(ms(&report, "load.resources.service.memory_bytes.mean") > 1e5);
    assert!(ms(&report, "load.resources.service.descriptors.mean") >= 1.0);
    assert!(ms(&report, "load.resources.generator.memory_bytes.mean") > 1e6);
    // Where it had a core for itself, that is a finding, and nowhere else.
    let busiest_pct = ms(&report, "load.resources.service.busiest_thread_pct.mean");
    assert!(busiest_pct <= 110.0, "{busiest_pct}");
    let is_found = ["Finding: the service used", "Finding: one thread of the service"];
    let is_found = is_found.iter().any(|what| run.stdout.contains(*what));
    assert_eq!(is_found, busiest_pct >= 90.0, "{busiest_pct}: {}", run.stdout);
}

#[test]
fn a_process_that_ends_in_the_run_is_a_finding() {
    let _alone = alone();
    let other = Other::start("exec sleep 60");
    let child = Arc::clone(&other.0);
    // Two uploads are those of the look; the tenth that counts is due at 0.45 s.
    let server = Server::scripted(move |exchange| {
        if exchange.number == 12 {
            kill(&child);
        }
        exchange.created()
    });
    let id = other.id();
    let pid = id.to_string();
    let args = ["--rate", "20", "--duration", "2s", "--file-size", "1KB", "--pid", &pid];
    let load = Load::against(&server.url(), &args);
    let run = measured(&load);
    let report = load.report();
    let second = report["load"]["resources"]["service_ended_in_second"].as_u64().expect("is told");
    assert!(second <= 1, "{second}");
    let says = format!("Finding: the service's process {id} ended in second {second}\n");
    assert!(run.stdout.contains(&says), "{}", run.stdout);
    let again = replayed(&load);
    assert_eq!((again.code, &again.stdout), (run.code, &run.stdout), "{}", again.stderr);
}

#[test]
fn what_cannot_be_watched_is_said_before_anything_is_sent() {
    // Its children would count among those of the test that adds their CPU up.
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let mut gone = Command::new("true").spawn().expect("exists");
    let pid = gone.id().to_string();
    gone.wait().expect("ends");
    let args = ["--users", "1", "--requests", "1", "--pid", &pid];
    let run = Load::against(&server.url(), &args).run();
    assert!(run.exits(2).contains(&format!("--pid: there is no process {pid}")), "{}", run.stderr);
    assert_eq!(server.uploads(), 0);
    let run = Load::new(&args).run();
    assert!(run.exits(2).contains("--pid: is for a service that runs already"), "{}", run.stderr);
}

#[test]
fn a_service_that_is_started_for_the_run_is_watched_without_asking() {
    let _alone = alone();
    let load = Load::new(&["--users", "2", "--duration", "1s", "--file-size", "100KB"]);
    let config = "[service]\nserve = \"exec python3 service.py {port} {dir}\"\nready = \"/health\"\n\
                  [api]\npath = \"/upload\"\nfile_field = \"upload\"\ntoken = \"none\"\n\
                  size = \"/bytes\"\nchecksum = \"/md5\"\nchecksum_algorithm = \"md5\"\n";
    std::fs::write(load.file("ingester-perf.toml"), config).expect("writes");
    std::fs::write(load.file("service.py"), include_str!("common/service.py")).expect("writes");
    measured(&load);
    let report = load.report();
    assert!(ms(&report, "load.resources.service.cpu_pct.mean") > 1.0);
    assert!(ms(&report, "load.resources.service.memory_bytes.mean") > 1e6);
    assert!(report["load"]["resources"]["service_ended_in_second"].is_null(), "it ran to the end");
}
