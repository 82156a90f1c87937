//! The sum of a run's shards: counts and histograms are added, and seconds by the wall clock. One shard is in memory at a
//! time, beside the sum.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::engine::Run;
use super::health::Readings;
use super::plan::Plan;
use super::record::{LoadRecord, RecordedRun};
use super::recorder::LoadRecording;
use super::roll::{Roll, RollProblem};
use super::second::Second;
use super::shard::Shard;
use super::shard_record::{LATE, MergedRecord, MergedShard, ShardClock, ShardRecord};
use super::steps::{are_alike, listed};
use crate::units::grouped;

/// Most problems that a record has in full. A run of a thousand shards without a network would have a thousand.
const MOST_PROBLEMS: usize = 20;

/// Reasons why what a shard measured is not to be trusted. Each begins with the shard's name.
pub(crate) fn problems_of_shard(record: &LoadRecord) -> Vec<String> {
    let Some(ShardRecord { shard, clock, .. }) = &record.shard else { return Vec::new() };
    let mut problems = Vec::new();
    if let Some(late) = clock.late().filter(|late| *late > LATE) {
        problems.push(format!(
            "shard {shard} began {late:.1?} later than agreed (allowed: {LATE:?}); agree on a later start (--start-at), so that \
             every shard is ready by then"
        ));
    }
    for RecordedRun { run, .. } in &record.runs {
        for problem in run.health().problems {
            problems.push(format!("shard {shard}: {problem}"));
        }
        if run.partial {
            let stopped = record.stopped.as_deref().or(record.ended_early.as_deref());
            let why = stopped.unwrap_or("it does not say why");
            problems.push(format!("shard {shard} ended before its plan did: {why}"));
        }
    }
    problems
}

/// Shards put together so far.
#[derive(Default)]
pub(crate) struct ShardSum {
    /// The first one's record, without its run.
    head: Option<LoadRecord>,
    /// The first one's plan.
    plan: Option<Plan>,
    load: LoadRecording,
    generator: Readings,
    /// Seconds by their number since the start of the shard that came first.
    seconds: BTreeMap<i64, Second>,
    reference: Option<SystemTime>,
    shards: Vec<AddedShard>,
    partial: bool,
    problems: Vec<String>,
}

/// A shard that was added, with its times.
struct AddedShard {
    index: u32,
    clock: ShardClock,
    lasted: Duration,
    scheduled: u64,
    ok: u64,
    failed: u64,
    unfinished: u64,
}

impl ShardSum {
    /// Adds a shard. An error where the record is not one of a single run of a shard.
    pub(crate) fn add(&mut self, mut record: LoadRecord) -> Result<(), String> {
        let Some(ShardRecord { shard, clock, .. }) = record.shard.clone() else {
            return Err("is not the record of a shard".to_owned());
        };
        if record.runs.len() != 1 {
            return Err(format!("has {} runs, and a shard has one", record.runs.len()));
        }
        self.problems.extend(problems_of_shard(&record));
        let Some(RecordedRun { plan, run, .. }) = record.runs.pop() else { unreachable!("it has one run") };
        if plan.shard != shard {
            return Err(format!("says that it is shard {shard}, and its plan that it is {}", plan.shard));
        }
        // The hash of the plan covers them. Where it was written by hand, the sum would have steps that not all have.
        if self.head.is_some() && !are_alike(&self.load.steps, &run.load.steps) {
            return Err(format!(
                "its requests have {}, and those of the shards before it {}",
                listed(&run.load.steps),
                listed(&self.load.steps)
            ));
        }
        self.shards.push(AddedShard {
            index: shard.index(),
            lasted: run.load.responses.elapsed,
            scheduled: run.load.scheduled,
            ok: run.load.responses.ok.count(),
            failed: run.load.responses.failures(),
            unfinished: run.load.unfinished.count(),
            clock: clock.clone(),
        });
        self.add_seconds(run.seconds, clock.started);
        self.load.merge(run.load);
        self.generator.merge(&run.generator);
        self.partial |= run.partial;
        match &mut self.head {
            // Of all that were stopped or ended early, the first one's reason stands for all.
            Some(head) => {
                head.stopped = head.stopped.take().or(record.stopped);
                head.ended_early = head.ended_early.take().or(record.ended_early);
            }
            None => {
                self.head = Some(record);
                self.plan = Some(plan);
            }
        }
        Ok(())
    }

    /// Adds the seconds of a shard that began at `started` to those of the others that they overlap with most.
    fn add_seconds(&mut self, seconds: Vec<Second>, started: SystemTime) {
        let reference = *self.reference.get_or_insert(started);
        let offset = match started.duration_since(reference) {
            Ok(later) => later.as_secs_f64().round() as i64,
            Err(earlier) => -(earlier.duration().as_secs_f64().round() as i64),
        };
        for second in seconds {
            // Their number is that of lines in a file, and far from the limits of the type.
            let at = offset.saturating_add(second.index as i64);
            match self.seconds.get_mut(&at) {
                Some(sum) => sum.merge(&second),
                None => {
                    self.seconds.insert(at, second);
                }
            }
        }
    }

    /// The record of all of them; nothing where none was added.
    pub(crate) fn finish(self, roll: &Roll) -> Option<LoadRecord> {
        let Self { head, plan, mut load, generator, seconds, mut shards, partial, problems, .. } = self;
        let mut record = head?;
        shards.sort_by_key(|shard| shard.index);
        let first = shards.iter().map(|shard| shard.clock.started).min()?;
        let mut lasted = Duration::ZERO;
        let mut merged = Vec::with_capacity(shards.len());
        for shard in &shards {
            let after_first = shard.clock.started.duration_since(first).unwrap_or_default();
            // From the first start to the last end.
            lasted = lasted.max(after_first.saturating_add(shard.lasted));
            merged.push(MergedShard {
                index: shard.index,
                after_first,
                late: shard.clock.late(),
                drift: shard.clock.drift(),
                scheduled: shard.scheduled,
                ok: shard.ok,
                failed: shard.failed,
                unfinished: shard.unfinished,
            });
        }
        load.responses.elapsed = lasted;
        for step in &mut load.steps {
            step.outcomes.elapsed = lasted;
        }
        let run = Run {
            load,
            seconds: from_zero(seconds),
            generator,
            // Of several machines, or of one several times. Each shard's own record has them.
            resources: None,
            partial,
            started_at: first,
            start: None,
        };
        let plan = Plan { shard: Shard::WHOLE, ..plan? };
        record.runs = vec![RecordedRun { step: None, plan, run, phases: None }];
        record.shard = None;
        record.merged = Some(MergedRecord {
            of: roll.of,
            plan_hash: roll.plan_hash.clone(),
            shards: merged,
            // Its own is that of whoever puts the shards together.
            shard_command: record.command.take(),
            problems: listed_problems(&roll.problems, problems),
        });
        let placement = &record.environment.placement;
        record.environment.placement =
            format!("{} shards; the first one: {placement}", grouped(shards.len() as u64));
        Some(record)
    }
}

/// What is wrong with the run as a whole, then with its shards, as far as there is room.
fn listed_problems(of_run: &[RollProblem], of_shards: Vec<String>) -> Vec<String> {
    let mut problems: Vec<String> = of_run.iter().map(RollProblem::to_string).collect();
    problems.extend(of_shards);
    if problems.len() > MOST_PROBLEMS {
        let more = problems.len() - MOST_PROBLEMS;
        problems.truncate(MOST_PROBLEMS);
        problems.push(format!("and {more} problems more, each in the output of its shard"));
    }
    problems
}

/// The seconds in order, counted from 0, with an empty one in the place of each that nobody has.
fn from_zero(seconds: BTreeMap<i64, Second>) -> Vec<Second> {
    let Some(first) = seconds.keys().next().copied() else { return Vec::new() };
    let mut all: Vec<Second> = Vec::with_capacity(seconds.len());
    for (at, mut second) in seconds {
        second.index = (at - first) as u64;
        while (all.len() as u64) < second.index {
            all.push(Second::empty(all.len() as u64));
        }
        all.push(second);
    }
    all
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::super::fixture::{Request, record, record_of_steps};
    use super::super::roll::{RunFile, call_roll};
    use super::*;
    use crate::recording::Class;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Requests that begin ten ms apart and take so long, in ms; the one of 13 ms fails.
    fn requests(took: &[u64]) -> Vec<Request> {
        let mut requests = Vec::new();
        for (took, turn) in took.iter().zip(0..) {
            requests.push(Request { at: MS(10 * turn), took: MS(*took) });
        }
        requests
    }

    /// The sum of these records, which the roll is called of first.
    fn merged(records: Vec<LoadRecord>) -> LoadRecord {
        let mut files = Vec::new();
        for record in &records {
            let shard = record.shard.clone().expect("is a shard");
            files.push(RunFile { name: shard.shard.to_string(), shard });
        }
        let roll = call_roll(&files).expect("there are files");
        let mut sum = ShardSum::default();
        for record in records {
            sum.add(record).expect("is a shard's");
        }
        sum.finish(&roll).expect("there are shards")
    }

    fn bins(seconds: &[Second]) -> Vec<Histogram<u64>> {
        seconds.iter().map(Second::histogram).collect()
    }

    fn failures(seconds: &[Second]) -> Vec<BTreeMap<Class, u64>> {
        seconds.iter().map(|second| second.failures.clone()).collect()
    }

    fn problems(record: &LoadRecord) -> Vec<String> {
        record.merged.as_ref().expect("was merged").problems.clone()
    }

    #[test]
    fn the_sum_is_bin_for_bin_what_one_generator_records() {
        // Squares modulo a prime: neither in order nor evenly spread; 13 is among them.
        let took: Vec<u64> = (1..1_000).map(|n| n * n % 211).collect();
        let all = requests(&took);
        let mut records = Vec::new();
        for index in 0..4 {
            let part: Vec<Request> = all.iter().skip(index).step_by(4).copied().collect();
            records.push(record(index as u32, 4, MS(0), &part));
        }
        let sum = merged(records);
        let whole = record(0, 1, MS(0), &all);
        let run = &sum.runs[0].run;
        let one = &whole.runs[0].run;
        assert_eq!(run.load.responses.ok, one.load.responses.ok);
        assert_eq!(run.load.responses.failed, one.load.responses.failed);
        assert_eq!(run.load.times, one.load.times);
        assert_eq!((run.load.scheduled, run.load.unfinished.count()), (999, 0));
        assert!(run.load.adds_up());
        assert_eq!(bins(&run.seconds), bins(&one.seconds));
        assert_eq!(failures(&run.seconds), failures(&one.seconds));
        // Some of these take 13 ms.
        assert!(failures(&run.seconds).iter().any(|failures| failures.contains_key(&Class::Other)));
        assert_eq!(run.load.responses.elapsed, one.load.responses.elapsed);
        assert_eq!(sum.runs[0].plan, whole.runs[0].plan);
        assert_eq!((problems(&sum), sum.shard), (Vec::new(), None));
    }

    #[test]
    fn steps_are_added_bin_for_bin() {
        let took: Vec<u64> = (1..400).map(|n| n * n % 211).collect();
        let all = requests(&took);
        let names = ["first", "second"].map(str::to_owned);
        let mut records = Vec::new();
        for index in 0..3 {
            let part: Vec<Request> = all.iter().skip(index).step_by(3).copied().collect();
            records.push(record_of_steps(index as u32, 3, MS(0), &part, &names));
        }
        let sum = merged(records);
        let whole = record_of_steps(0, 1, MS(0), &all, &names);
        let load = &sum.runs[0].run.load;
        assert!(load.steps_add_up());
        let own = &whole.runs[0].run.load.steps;
        for (step, of_one) in load.steps.iter().zip(own) {
            assert_eq!(step.name, of_one.name);
            assert_eq!(step.outcomes.ok, of_one.outcomes.ok);
            assert_eq!(step.outcomes.failed, of_one.outcomes.failed);
            assert_eq!(step.outcomes.elapsed, of_one.outcomes.elapsed);
            assert_eq!((step.requests, step.not_reached), (of_one.requests, of_one.not_reached));
            assert_eq!(step.in_successes_ns, of_one.in_successes_ns);
        }
        // Those of 13 ms fail in the first step.
        assert!(load.steps.len() == 2 && load.steps[1].not_reached > 0, "{:?}", load.steps);
    }

    #[test]
    fn shards_with_other_steps_are_refused() {
        let one = requests(&[5]);
        let names = ["first", "second"].map(str::to_owned);
        let mut sum = ShardSum::default();
        sum.add(record_of_steps(0, 2, MS(0), &one, &names)).expect("is the first");
        let error = sum.add(record(1, 2, MS(0), &one)).expect_err("has no steps");
        assert_eq!(
            error,
            "its requests have no steps, and those of the shards before it the steps first, second"
        );
    }

    #[test]
    fn seconds_are_added_to_those_that_they_overlap_with_most() {
        // The second shard begins 0.4 s after the first, the third 0.6 s.
        let one = requests(&[5]);
        let records =
            vec![record(0, 3, MS(0), &one), record(1, 3, MS(400), &one), record(2, 3, MS(600), &one)];
        let sum = merged(records);
        let run = &sum.runs[0].run;
        let begun: Vec<u64> = run.seconds.iter().map(|second| second.begun).collect();
        assert_eq!(begun, [2, 1]);
        // From the first start to the last end: 600 and 5 ms.
        assert_eq!(run.load.responses.elapsed, MS(605));
        let shards = sum.merged.expect("was merged").shards;
        let starts: Vec<Duration> = shards.iter().map(|shard| shard.after_first).collect();
        assert_eq!(starts, [MS(0), MS(400), MS(600)]);
    }

    #[test]
    fn a_shard_that_is_read_first_need_not_have_begun_first() {
        let one = requests(&[5]);
        let sum = merged(vec![record(0, 2, MS(1_700), &one), record(1, 2, MS(0), &one)]);
        // Two seconds apart: the one between has nothing in it.
        let seconds: Vec<_> =
            sum.runs[0].run.seconds.iter().map(|second| (second.index, second.begun)).collect();
        assert_eq!(seconds, [(0, 1), (1, 0), (2, 1)]);
    }

    #[test]
    fn a_shard_that_is_not_to_be_trusted_is_named() {
        let one = requests(&[5]);
        let mut records: Vec<LoadRecord> = (0..4).map(|index| record(index, 4, MS(0), &one)).collect();
        let clock = &mut records[1].shard.as_mut().expect("is a shard").clock;
        clock.agreed = Some(clock.started - MS(1_500));
        records[2].runs[0].run.generator.longest_pause = MS(500);
        records[3].runs[0].run.partial = true;
        records[3].stopped = Some("interrupted".to_owned());
        let sum = merged(records);
        let problems = problems(&sum);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(
            problems[0].starts_with("shard 1/4 began 1.5s later than agreed (allowed: 1s)"),
            "{problems:?}"
        );
        assert!(problems[1].starts_with("shard 2/4: the generator did not run for 500.0ms"), "{problems:?}");
        assert_eq!(problems[2], "shard 3/4 ended before its plan did: interrupted");
        assert!(sum.runs[0].run.partial);
        // What they did is counted all the same.
        assert_eq!(sum.runs[0].run.load.scheduled, 4);
    }

    #[test]
    fn the_command_of_a_shard_is_kept_as_such() {
        let one = requests(&[5]);
        let mut first = record(0, 2, MS(0), &one);
        first.command = Some("ingester-perf load --shard 0/2".to_owned());
        let sum = merged(vec![first, record(1, 2, MS(0), &one)]);
        let shard_command = sum.merged.and_then(|merged| merged.shard_command);
        // Whoever puts them together says how.
        assert_eq!((sum.command, shard_command.as_deref()), (None, Some("ingester-perf load --shard 0/2")));
    }

    #[test]
    fn of_very_many_problems_the_first_are_listed() {
        let one = requests(&[5]);
        let mut records: Vec<LoadRecord> = (0..25).map(|index| record(index, 25, MS(0), &one)).collect();
        for record in &mut records {
            record.runs[0].run.partial = true;
        }
        let problems = problems(&merged(records));
        let last = problems.last().map(String::as_str);
        assert_eq!(
            (problems.len(), last),
            (21, Some("and 5 problems more, each in the output of its shard"))
        );
    }

    #[test]
    fn what_is_not_a_shard_is_refused() {
        let one = requests(&[5]);
        let mut whole = record(0, 2, MS(0), &one);
        whole.shard = None;
        assert_eq!(ShardSum::default().add(whole), Err("is not the record of a shard".to_owned()));
        let mut twice = record(0, 2, MS(0), &one);
        twice.runs.push(twice.runs[0].clone());
        assert_eq!(ShardSum::default().add(twice), Err("has 2 runs, and a shard has one".to_owned()));
        let mut other = record(0, 2, MS(0), &one);
        other.runs[0].plan.shard = Shard::WHOLE;
        let error = ShardSum::default().add(other).expect_err("is refused");
        assert_eq!(error, "says that it is shard 0/2, and its plan that it is 0/1");
    }
}
