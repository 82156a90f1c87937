//! All that is known of the runs of a command while they go on.

use std::collections::VecDeque;
use std::time::Duration;

use super::tally::Tally;
use crate::document::Document;
use crate::load::{ENDLESS, Plan, ResourceSample, Second, Shard};
use crate::report::SecondReport;

/// Seconds that are drawn: ten minutes.
const DRAWN: usize = 600;
/// Shortest sample that tells a share of CPU, as for a report: time on a core is counted in steps of 10 ms, 2 % of this.
const SHORT: Duration = Duration::from_millis(500);

/// What is known of the runs before they begin.
#[derive(Debug, Clone)]
pub(crate) struct RunAbout {
    /// What reports call what is done.
    pub operation: String,
    /// What is loaded, and with what, in a sentence.
    pub title: String,
    /// Version of this program.
    pub version: String,
    /// Seed of the schedule.
    pub seed: u64,
    /// The part of the schedule that is performed here, if others perform the rest.
    pub shard: Option<Shard>,
    /// What an earlier run measured, to be held beside this one.
    pub baseline: Option<BaselineLatency>,
}

/// Response times of an earlier run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BaselineLatency {
    /// What the user called it.
    pub name: String,
    /// 50th percentile, ms.
    pub p50_ms: f64,
    /// 95th percentile, ms.
    pub p95_ms: f64,
    /// 99th percentile, ms.
    pub p99_ms: f64,
}

/// What is known while the runs go on.
#[derive(Debug)]
pub(super) struct Board {
    /// What was known before they began.
    pub about: RunAbout,
    /// What is to be done in the run under way, or in the last one.
    pub plan: Option<Plan>,
    /// The run that it is, from 1.
    pub run: u64,
    /// What has become of all requests of all runs.
    pub tally: Tally,
    /// The last seconds, in order.
    pub points: VecDeque<Point>,
    /// What was used in the last second of which that is known.
    pub used: Option<ResourceSample>,
    /// Whether no further run comes.
    pub has_ended: bool,
    /// What all of them came to.
    pub outcome: Option<Document>,
    /// Seconds of the run under way that are over.
    run_seconds: u64,
    /// Requests of it that have ended.
    run_ended: u64,
    /// Seconds of the runs before it.
    earlier_seconds: u64,
    edition: u64,
}

/// One second, as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// Its place on the axis of time: seconds that were measured before it.
    pub at_s: u64,
    /// Users, or requests a second, that the plan wanted at its end.
    pub level: f64,
    /// Successes.
    pub ok: u64,
    /// Failures.
    pub failed: u64,
    /// Requests under way at its end.
    pub in_flight: u64,
    /// 50th percentile of the response times of its successes.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Longest send delay of the requests that ended in it.
    pub send_delay_max: Duration,
}

impl Board {
    /// Nothing has begun yet.
    pub fn new(about: RunAbout) -> Self {
        Self {
            about,
            plan: None,
            run: 0,
            tally: Tally::default(),
            points: VecDeque::new(),
            used: None,
            has_ended: false,
            outcome: None,
            run_seconds: 0,
            run_ended: 0,
            earlier_seconds: 0,
            edition: 0,
        }
    }

    /// A run begins.
    pub fn begin(&mut self, plan: Plan) {
        self.plan = Some(plan);
        self.run += 1;
        self.earlier_seconds += self.run_seconds;
        self.run_seconds = 0;
        self.run_ended = 0;
        self.edition += 1;
    }

    /// These seconds of it are over.
    pub fn add(&mut self, seconds: &[Second]) {
        for second in seconds {
            self.tally.add(second);
            self.run_ended += second.ok + second.failed;
            self.run_seconds = second.index + 1;
            let point = self.point(second);
            if self.points.len() == DRAWN {
                self.points.pop_front();
            }
            self.points.push_back(point);
        }
        self.edition += 1;
    }

    /// The second as it is drawn.
    fn point(&self, second: &Second) -> Point {
        let end = Duration::from_secs(second.index + 1);
        let level = self.plan.as_ref().map_or(0.0, |plan| plan.level_at(end));
        let figures = SecondReport::from(second);
        Point {
            at_s: self.earlier_seconds + second.index,
            level,
            ok: second.ok,
            failed: second.failed,
            in_flight: second.in_flight,
            p50_ms: figures.p50_ms,
            p99_ms: figures.p99_ms,
            send_delay_max: Duration::from_nanos(second.send_delay_max_ns),
        }
    }

    /// This was used in the last second.
    pub fn add_used(&mut self, sample: ResourceSample) {
        if sample.lasting >= SHORT {
            self.used = Some(sample);
        }
    }

    /// The run is over, and so many requests of it never ended.
    pub fn over(&mut self, rest: &[Second], unfinished: u64) {
        self.add(rest);
        self.tally.unfinished += unfinished;
        // Whatever was still under way was given up.
        if let Some(last) = self.points.back_mut() {
            last.in_flight = 0;
        }
    }

    /// No further run comes.
    pub fn end(&mut self, outcome: Option<Document>) {
        self.has_ended = true;
        self.outcome = outcome;
        self.edition += 1;
    }

    /// Rises with all that a page shows.
    pub fn edition(&self) -> u64 {
        self.edition
    }

    /// How much of the run's plan is done, from 0 to 1; by time or by requests, whichever ends it.
    pub fn progress(&self) -> Option<f64> {
        let plan = self.plan.as_ref()?;
        let lasting = plan.lasting();
        let share = if !lasting.is_zero() && lasting < ENDLESS {
            self.run_seconds as f64 / lasting.as_secs_f64()
        } else {
            self.run_ended as f64 / plan.requests()? as f64
        };
        // A run may take its grace after the last second of its plan.
        Some(share.min(1.0))
    }

    /// Seconds that were measured, in all runs.
    pub fn seconds(&self) -> u64 {
        self.earlier_seconds + self.run_seconds
    }

    /// The last second.
    pub fn latest(&self) -> Option<&Point> {
        self.points.back()
    }

    /// Whether requests arrive by themselves in the run under way, and do not wait for users.
    pub fn is_open(&self) -> bool {
        self.plan.as_ref().is_some_and(Plan::is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{about, closed, open, seconds};
    use super::*;

    #[test]
    fn progress_is_by_time_or_by_requests() {
        let mut board = Board::new(about());
        assert_eq!(board.progress(), None);
        // Two of ten requests end in the first second.
        board.begin(closed(4, Some(10)));
        board.add(&seconds(&[(0, 1), (10, 7)]));
        assert_eq!(board.progress(), Some(0.2));
        // Three seconds of four.
        board.begin(open("5:4s"));
        board.add(&seconds(&[(0, 1), (2_000, 1)]));
        assert_eq!(board.progress(), Some(0.75));
        // The grace: the fifth second of four.
        board.begin(open("5:4s"));
        board.add(&seconds(&[(4_500, 1)]));
        assert_eq!(board.progress(), Some(1.0));
    }

    #[test]
    fn runs_follow_each_other_on_one_axis_of_time() {
        let mut board = Board::new(about());
        board.begin(open("0..10:2s"));
        board.add(&seconds(&[(0, 1), (1_000, 3)]));
        board.over(&[], 0);
        board.begin(open("3:9s"));
        board.add(&seconds(&[(500, 2)]));
        let places: Vec<(u64, f64)> = board.points.iter().map(|point| (point.at_s, point.level)).collect();
        // The ramp is at 5 after one of its two seconds.
        assert_eq!(places, [(0, 5.0), (1, 10.0), (2, 3.0)]);
        assert_eq!((board.run, board.seconds(), board.tally.ok), (2, 3, 3));
    }

    #[test]
    fn a_shard_wants_its_part_of_the_level() {
        let mut board = Board::new(about());
        let shard = Shard::new(1, 4).expect("is one");
        board.begin(Plan { shard, ..open("10:4s") });
        board.add(&seconds(&[(0, 1)]));
        // A quarter of ten requests a second.
        assert_eq!(board.latest().map(|point| point.level), Some(2.5));
    }

    #[test]
    fn what_never_ended_is_no_longer_under_way() {
        let mut board = Board::new(about());
        board.begin(closed(2, None));
        // The second one never ends.
        let seconds = seconds(&[(0, 1), (10, 0)]);
        board.add(&seconds);
        assert_eq!(board.latest().map(|point| point.in_flight), Some(1));
        board.over(&[], 1);
        assert_eq!(board.latest().map(|point| point.in_flight), Some(0));
        assert_eq!((board.tally.ok, board.tally.failed(), board.tally.unfinished), (1, 0, 1));
    }

    #[test]
    fn ten_minutes_are_drawn_and_all_of_it_is_counted() {
        let mut board = Board::new(about());
        board.begin(open("1:20m"));
        // The first of 700 seconds, and the last.
        board.add(&seconds(&[(0, 1), (699_000, 1)]));
        assert_eq!((board.points.len(), board.points[0].at_s, board.tally.ok), (600, 100, 2));
    }

    #[test]
    fn a_page_is_renewed_by_what_it_shows() {
        let mut board = Board::new(about());
        let before = board.edition();
        board.begin(closed(1, None));
        board.add(&seconds(&[(0, 1)]));
        let after_a_second = board.edition();
        board.end(None);
        assert!(before < after_a_second && after_a_second < board.edition());
    }
}
