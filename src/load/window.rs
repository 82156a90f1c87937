//! Seconds that follow each other as one stretch of time, and its figures: whether a limit holds in every stretch, and whether it
//! still holds now.

use std::collections::{BTreeMap, VecDeque};

use super::second::Second;
use crate::targets::{Better, Figures, Metric, WindowLimit, WorstWindow};

/// Milliseconds in a nanosecond.
const MS_PER_NS: f64 = 1e-6;

/// A second with the counts of its histogram that are not 0. Histograms could be added and taken away as a whole, but each of
/// them has twenty thousand counts, of which most are 0.
#[derive(Debug)]
struct SparseSecond {
    index: u64,
    counts: Vec<LatencyCount>,
    ok: u64,
    failed: u64,
    ok_ns: u128,
    /// Whether nothing ended in it, though requests were under way from its beginning on.
    is_silent: bool,
}

/// How many successes took so long.
#[derive(Debug, Clone, Copy)]
struct LatencyCount {
    ns: u64,
    count: u64,
}

/// A stretch of seconds.
#[derive(Debug, Default)]
pub struct Window {
    seconds: VecDeque<SparseSecond>,
    /// How many successes took so long, in ns, of all seconds together.
    counts: BTreeMap<u64, u64>,
    ok: u64,
    failed: u64,
    ok_ns: u128,
    /// Seconds in a row, up to the last one, in which nothing ended though requests were under way; those before the window
    /// included.
    silent: u64,
    /// Requests that were under way at the end of the last second.
    in_flight: u64,
}

impl Window {
    /// Adds the next second.
    pub fn push(&mut self, second: &Second) {
        let mut counts = Vec::new();
        for value in second.histogram().iter_recorded() {
            counts.push(LatencyCount { ns: value.value_iterated_to(), count: value.count_at_value() });
        }
        let ended = second.ok + second.failed;
        // Who was under way when it began has waited through all of it.
        let is_silent = ended == 0 && self.in_flight > 0;
        self.silent = if is_silent { self.silent + 1 } else { 0 };
        self.in_flight = second.in_flight;
        for LatencyCount { ns, count } in &counts {
            *self.counts.entry(*ns).or_default() += count;
        }
        self.ok += second.ok;
        self.failed += second.failed;
        // A file may hold any number.
        self.ok_ns = self.ok_ns.saturating_add(second.ok_ns);
        self.seconds.push_back(SparseSecond {
            index: second.index,
            counts,
            ok: second.ok,
            failed: second.failed,
            ok_ns: second.ok_ns,
            is_silent,
        });
    }

    /// Takes the first second away.
    pub fn pop(&mut self) {
        let Some(first) = self.seconds.pop_front() else { return };
        for LatencyCount { ns, count } in first.counts {
            if let Some(left) = self.counts.get_mut(&ns) {
                *left -= count;
                if *left == 0 {
                    self.counts.remove(&ns);
                }
            }
        }
        self.ok -= first.ok;
        self.failed -= first.failed;
        self.ok_ns = self.ok_ns.saturating_sub(first.ok_ns);
    }

    /// Whether the metric can be judged in this window. If no request ended in it, there is no latency to judge. A request that
    /// has already waited for as long as the limit is judged all the same.
    pub fn judges(&self, metric: Metric, limit: f64) -> bool {
        if self.ok + self.failed > 0 {
            return true;
        }
        let waited_ms = 1e3 * self.silent as f64;
        match metric {
            Metric::ThroughputRps => self.seconds.iter().any(|second| second.is_silent),
            Metric::SuccessRatePct => false,
            Metric::AvgMs | Metric::MedianMs | Metric::P95Ms | Metric::P99Ms | Metric::MaxMs => {
                self.silent > 0 && waited_ms >= limit
            }
        }
    }

    /// The `q`-quantile of all that ended, in ms. Failures count as slower than any success; nothing where it lies among them.
    fn quantile(&self, q: f64) -> Option<f64> {
        let ended = self.ok + self.failed;
        let rank = (q * ended as f64).ceil() as u64;
        let mut up_to = 0;
        for (ns, count) in &self.counts {
            up_to += count;
            if up_to >= rank.max(1) {
                return Some(*ns as f64 * MS_PER_NS);
            }
        }
        None
    }
}

impl Figures for Window {
    fn figure(&self, metric: Metric) -> Option<f64> {
        let ended = self.ok + self.failed;
        match metric {
            Metric::AvgMs if self.ok == 0 => None,
            Metric::AvgMs => Some(self.ok_ns as f64 / self.ok as f64 * MS_PER_NS),
            Metric::MedianMs => self.quantile(0.5),
            Metric::P95Ms => self.quantile(0.95),
            Metric::P99Ms => self.quantile(0.99),
            // Of successes, as in every report.
            Metric::MaxMs => self.counts.last_key_value().map(|(ns, _)| *ns as f64 * MS_PER_NS),
            Metric::ThroughputRps => Some(self.ok as f64 / self.seconds.len().max(1) as f64),
            Metric::SuccessRatePct if ended == 0 => None,
            Metric::SuccessRatePct => Some(100.0 * self.ok as f64 / ended as f64),
        }
    }
}

/// The window in which the limited figure is worst, of all windows of the limit's length in these seconds, one beginning with
/// each second; the seconds as a whole, where they are fewer. `None` where no window says anything.
pub fn worst_window(seconds: &[Second], limit: &WindowLimit) -> Option<WorstWindow> {
    let length = (limit.window.as_secs() as usize).min(seconds.len());
    let mut window = Window::default();
    let mut worst: Option<WorstWindow> = None;
    for second in seconds {
        window.push(second);
        if window.seconds.len() > length {
            window.pop();
        }
        if window.seconds.len() == length && window.judges(limit.metric, limit.limit) {
            let from = window.seconds.front().map_or(0, |second| second.index);
            let found = WorstWindow { value: window.figure(limit.metric), from };
            if worst.is_none_or(|before| is_worse(limit.metric, found.value, before.value)) {
                worst = Some(found);
            }
        }
    }
    worst
}

/// Whether the first figure is worse than the second. One that is not known is the worst of all.
fn is_worse(metric: Metric, figure: Option<f64>, other: Option<f64>) -> bool {
    match (figure, other) {
        (None, other) => other.is_some(),
        (Some(_), None) => false,
        (Some(figure), Some(other)) => match metric.better() {
            Better::Lower => figure > other,
            Better::Higher { .. } => figure < other,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture_seconds::{Request, seconds};
    use super::*;

    fn limit(metric: Metric, limit: f64, seconds: u64) -> WindowLimit {
        WindowLimit { metric, limit, window: Duration::from_secs(seconds) }
    }

    /// Ten requests in each second, that take so long in it.
    fn run(latencies: &[u64]) -> Vec<Second> {
        let mut requests = Vec::new();
        for (second, ms) in (0..).zip(latencies) {
            for place in 0..10 {
                requests.push(Request::ok(1000 * second + 10 * place, *ms));
            }
        }
        seconds(&requests, latencies.len() as u64)
    }

    /// The worst figure, to the millisecond, and where it begins.
    fn worst(seconds: &[Second], limit: &WindowLimit) -> Option<(Option<f64>, u64)> {
        let worst = worst_window(seconds, limit)?;
        Some((worst.value.map(f64::round), worst.from))
    }

    #[test]
    fn the_worst_of_all_windows_is_found() {
        let seconds = run(&[20, 20, 80, 60, 20, 20]);
        // Of two seconds with ten requests each, those of 60 and 80 ms have a mean of 70 ms.
        assert_eq!(worst(&seconds, &limit(Metric::AvgMs, 1.0, 2)), Some((Some(70.0), 2)));
        // The median of seconds 2 to 4 is that of 60 ms, and so is that of 1 to 3; the first of them counts.
        assert_eq!(worst(&seconds, &limit(Metric::MedianMs, 1.0, 3)), Some((Some(60.0), 1)));
        assert_eq!(worst(&seconds, &limit(Metric::MaxMs, 1.0, 1)), Some((Some(80.0), 2)));
        assert_eq!(worst(&seconds, &limit(Metric::ThroughputRps, 1.0, 2)), Some((Some(10.0), 0)));
        // A window that is longer than the run is all of it: a mean of 220 / 6.
        assert_eq!(worst(&seconds, &limit(Metric::AvgMs, 1.0, 60)), Some((Some(37.0), 0)));
        assert_eq!(worst(&[], &limit(Metric::AvgMs, 1.0, 60)), None);
    }

    #[test]
    fn a_percentile_among_failures_is_not_known() {
        let mut requests = vec![Request::ok(0, 10); 9];
        requests.push(Request::failed(0, 5));
        requests.extend([Request::ok(1000, 30); 10]);
        let seconds = seconds(&requests, 2);
        // The tenth of ten is the failure. The median is known all the same.
        assert_eq!(worst(&seconds, &limit(Metric::P95Ms, 1.0, 1)), Some((None, 0)));
        assert_eq!(worst(&seconds, &limit(Metric::MedianMs, 1.0, 1)), Some((Some(30.0), 1)));
        assert_eq!(worst(&seconds, &limit(Metric::SuccessRatePct, 1.0, 1)), Some((Some(90.0), 0)));
        assert_eq!(worst(&seconds, &limit(Metric::SuccessRatePct, 1.0, 2)), Some((Some(95.0), 0)));
    }

    #[test]
    fn a_window_in_which_somebody_waits_for_longer_than_the_limit_is_missed() {
        // One that was begun in the first second never ends.
        let stuck = seconds(&[Request::ok(0, 10), Request::stuck(500)], 5);
        assert_eq!(worst(&stuck, &limit(Metric::P99Ms, 500.0, 1)), Some((None, 1)));
        // After four whole seconds, nobody is known to have waited for longer than that.
        assert_eq!(worst(&stuck, &limit(Metric::P99Ms, 4500.0, 1)), Some((Some(10.0), 0)));
        // It is neither a success nor a failure.
        assert_eq!(worst(&stuck, &limit(Metric::SuccessRatePct, 99.0, 1)), Some((Some(100.0), 0)));
        assert_eq!(worst(&stuck, &limit(Metric::ThroughputRps, 1.0, 1)), Some((Some(0.0), 1)));
    }

    #[test]
    fn seconds_without_any_request_say_nothing() {
        let idle = seconds(&[Request::ok(0, 10), Request::ok(3000, 20)], 4);
        assert_eq!(worst(&idle, &limit(Metric::P99Ms, 1.0, 1)), Some((Some(20.0), 3)));
        assert_eq!(worst(&idle, &limit(Metric::ThroughputRps, 9.0, 1)), Some((Some(1.0), 0)));
    }

    #[test]
    fn a_sum_that_no_run_has_does_not_overflow() {
        let mut seconds = run(&[20, 80]);
        for second in &mut seconds {
            second.ok_ns = u128::MAX;
        }
        let mut window = Window::default();
        window.push(&seconds[0]);
        window.push(&seconds[1]);
        window.pop();
        window.pop();
        assert_eq!(window.figure(Metric::AvgMs), None);
    }

    #[test]
    fn what_is_taken_away_is_gone() {
        let seconds = run(&[20, 80]);
        let mut window = Window::default();
        window.push(&seconds[0]);
        window.push(&seconds[1]);
        window.pop();
        let mut alone = Window::default();
        alone.push(&seconds[1]);
        for metric in Metric::ALL {
            assert_eq!(window.figure(metric), alone.figure(metric), "{metric:?}");
        }
        window.pop();
        window.pop();
        assert_eq!(
            (window.seconds.len(), window.figure(Metric::P99Ms), window.figure(Metric::MaxMs)),
            (0, None, None)
        );
    }
}
