//! The search against services whose limits are known, simulated in memory: the proof that it finds them.
//!
//! Requests arrive by the schedules that a load run has, and are served in their order by so many workers, each of which takes
//! the same time for every request: the queue M/D/k. What it holds follows from the distribution of the number of requests in
//! it, which is solved for here and not simulated.

use std::time::Duration;

use super::super::profile::Profile;
use super::super::schedule::{Arrivals, Schedule};
use super::change::CapacityChange;
use super::evidence::StepEvidence;
use super::limit::{CapacityLimit, SecondCounts};
use super::plan::{CapacityPlan, usual_step};
use super::search::{CapacityAnswer, CapacityFinding, CapacitySearch, NextStep};
use crate::targets::Metric;

/// Most requests in the queue whose distribution is solved for. At the limits below, more are there once in ten million times.
const MOST_IN_QUEUE: usize = 140;

/// A service of so many workers, each of which takes this time for a request.
#[derive(Debug, Clone, Copy)]
struct Queue {
    workers: usize,
    service_s: f64,
    arrivals: Arrivals,
}

impl Queue {
    fn poisson(workers: usize, service_s: f64) -> Self {
        Self { workers, service_s, arrivals: Arrivals::Poisson }
    }

    /// A step: begun with an empty queue, until the last request is served.
    fn step(&self, plan: &CapacityPlan, next: NextStep, seed: u64) -> StepEvidence {
        let rate = Profile::constant(plan.rate(f64::from(next.level)), plan.lasting_of(next.confirms));
        // As every request takes the same time, each begins when the one `workers` before it has ended, or when it arrives.
        let mut ends = vec![0.0; self.workers];
        let mut seconds: Vec<Vec<SecondCounts>> = vec![Vec::new(); plan.limits.len()];
        let mut limits_s = Vec::new();
        for limit in &plan.limits {
            limits_s.push(limit.latency().expect("is a limit on a latency").as_secs_f64());
        }
        for (index, arrived) in Schedule::new(rate, self.arrivals, seed) {
            let arrived = arrived.as_secs_f64();
            let place = index as usize % self.workers;
            let end = arrived.max(ends[place]) + self.service_s;
            ends[place] = end;
            for (seconds, limit_s) in seconds.iter_mut().zip(&limits_s) {
                count(seconds, *limit_s, end, end - arrived);
            }
        }
        let mut ratios = Vec::new();
        for (seconds, limit) in seconds.iter().zip(&plan.limits) {
            let settled = seconds.iter().skip(plan.settling() as usize);
            ratios.push(settled.map(|counts| limit.ratio(counts)).collect());
        }
        StepEvidence::new(&plan.limits, next.level, ratios, true, false)
    }

    /// A search from this rate on.
    fn searched(&self, limits: &[CapacityLimit], from: f64, seed: u64) -> CapacitySearch {
        let plan = CapacityPlan {
            limits: limits.to_vec(),
            from,
            highest: None,
            lasting: usual_step(limits),
            fine_steps: 24,
            seed,
        };
        let mut search = CapacitySearch::new(plan.clone());
        while let Some(next) = search.next_step() {
            // Steps have other arrivals each, and so have searches.
            let number = search.steps().len() as u64;
            search.tell(self.step(&plan, next, 1000 * seed + number));
        }
        search
    }

    /// The rate at which the percentile of latency is so many times of service: at which so large a share of requests finds
    /// at least `times * workers` others before it.
    ///
    /// Who is in service at some time has left one time of service later, and nobody else has. So a request waits for longer
    /// than `times - 1` of these where it finds that many: and what an arrival finds is what is there at any time (Wolff,
    /// Operations Research 30, 1982).
    fn true_rate(&self, times: usize, share: f64) -> f64 {
        let mut low = 0.5 * self.workers as f64 / self.service_s;
        let mut high = 2.0 * low;
        for _ in 0..14 {
            let rate = f64::midpoint(low, high);
            if self.share_with(rate, times * self.workers) < share { low = rate } else { high = rate }
        }
        f64::midpoint(low, high)
    }

    /// Share of time in which at least so many requests are there, at this rate.
    fn share_with(&self, rate: f64, at_least: usize) -> f64 {
        let arrivals = poisson(rate * self.service_s);
        // From one time of service to the next, all that are in service leave, and others arrive (Crommelin, Post Office
        // Electrical Engineers Journal 25, 1932).
        let mut chances = vec![vec![0.0; MOST_IN_QUEUE]; MOST_IN_QUEUE];
        for (there, chances) in chances.iter_mut().enumerate() {
            let left = there.saturating_sub(self.workers);
            for (arrived, chance) in arrivals.iter().enumerate() {
                chances[(left + arrived).min(MOST_IN_QUEUE - 1)] += chance;
            }
        }
        let stationary = stationary(chances);
        stationary[at_least..].iter().sum()
    }
}

/// Counts a request that has ended at this time after so long, all in seconds.
fn count(seconds: &mut Vec<SecondCounts>, limit: f64, end: f64, latency: f64) {
    let second = end as usize;
    if seconds.len() <= second {
        seconds.resize(second + 1, SecondCounts::default());
    }
    let counts = &mut seconds[second];
    counts.ok += 1;
    counts.ok_ns += (1e9 * latency) as u128;
    counts.slow += u64::from(latency >= limit);
}

/// Chances of 0, 1, 2 and so on arrivals where so many are expected.
fn poisson(mean: f64) -> Vec<f64> {
    let mut chances = vec![(-mean).exp()];
    for arrivals in 1..40 {
        let before = chances[arrivals - 1];
        chances.push(before * mean / arrivals as f64);
    }
    chances
}

/// The stationary distribution of a chain with these chances from state to state (Grassmann, Taksar and Heyman, Operations
/// Research 33, 1985): nothing is subtracted, so that small shares are exact too.
fn stationary(mut chances: Vec<Vec<f64>>) -> Vec<f64> {
    let states = chances.len();
    for last in (1..states).rev() {
        let away: f64 = chances[last][..last].iter().sum();
        let (earlier, from_last) = chances.split_at_mut(last);
        for chances in earlier {
            let through = chances[last] / away;
            chances[last] = through;
            if through > 0.0 {
                for (chance, onward) in chances.iter_mut().zip(&from_last[0][..last]) {
                    *chance += through * onward;
                }
            }
        }
    }
    let mut shares = vec![1.0];
    for state in 1..states {
        let mut share = 0.0;
        for (before, chances) in shares.iter().zip(&chances) {
            share += before * chances[state];
        }
        shares.push(share);
    }
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
}

fn p99(ms: f64) -> CapacityLimit {
    CapacityLimit::new((Metric::P99Ms, ms)).expect("can be looked for")
}

/// Of these searches, how many found the rate to 5 %, and how many have an interval that covers it.
fn close_and_covering(queue: Queue, limit: CapacityLimit, true_rate: f64, searches: u64) -> [u64; 2] {
    let mut found = [0, 0];
    for seed in 1..=searches {
        let search = queue.searched(&[limit], 25.0, seed);
        let answer = search.answer();
        let edge = answer.edge.expect("has one");
        let rate = search.plan().rate(edge.level);
        let ends = [edge.lower, edge.upper].map(|level| search.plan().rate(level));
        found[0] += u64::from((rate / true_rate - 1.0).abs() <= 0.05);
        found[1] += u64::from(ends[0] <= true_rate && true_rate <= ends[1]);
    }
    found
}

#[test]
fn what_a_queue_holds_is_solved_for() {
    // At half of its load a single worker (M/D/1) is idle half of the time, and has nobody else waiting for 82.4 %: the chance
    // of at most one there is (1 - load) e^load (Erlang, 1909).
    let single = Queue::poisson(1, 1.0);
    assert!((single.share_with(0.5, 1) - 0.5).abs() < 1e-9);
    assert!((1.0 - single.share_with(0.5, 2) - 0.5 * 0.5_f64.exp()).abs() < 1e-9);
    // By the law of large numbers, a long run has the same share of slow requests.
    let queue = Queue::poisson(4, 0.02);
    let rate = queue.true_rate(5, 0.01);
    assert!((165.0..185.0).contains(&rate), "{rate}");
    let plan = CapacityPlan {
        limits: vec![p99(100.0)],
        from: rate,
        highest: None,
        lasting: Duration::from_secs(1000),
        fine_steps: 1,
        seed: 1,
    };
    let counted = queue.step(&plan, NextStep { level: 0, confirms: false }, 1).sum(0);
    // 1400 slow requests in some fifty clusters of them.
    assert!((0.006..0.016).contains(&(counted.above / counted.below)), "{counted:?}");
}

#[test]
fn the_rate_of_a_known_queue_is_found_to_5_percent() {
    // Four workers of 20 ms, p99 below five times that.
    let queue = Queue::poisson(4, 0.02);
    let [close, covering] = close_and_covering(queue, p99(100.0), queue.true_rate(5, 0.01), 20);
    assert!(close >= 18, "{close} of 20 within 5 %");
    assert!(covering >= 18, "{covering} of 20 intervals");
}

#[test]
fn so_is_that_of_a_queue_that_needs_long_to_settle() {
    // Two workers, fifteen times of service: at 93 % of its load, what happens in a second shows for several.
    let queue = Queue::poisson(2, 0.02);
    let [close, covering] = close_and_covering(queue, p99(300.0), queue.true_rate(15, 0.01), 20);
    assert!(close >= 18, "{close} of 20 within 5 %");
    assert!(covering >= 18, "{covering} of 20 intervals");
}

#[test]
fn without_chance_the_rate_is_that_of_the_workers() {
    // Arrivals in equal steps never wait up to 200 a second, and fall behind beyond that.
    let queue = Queue { arrivals: Arrivals::Constant, ..Queue::poisson(4, 0.02) };
    let search = queue.searched(&[p99(100.0)], 30.0, 1);
    let CapacityAnswer { finding, edge, .. } = search.answer();
    let rate = search.plan().rate(edge.expect("has one").level);
    assert_eq!(finding, CapacityFinding::Found);
    assert!((rate / 200.0 - 1.0).abs() <= 0.05, "{rate}");
}

/// Of so many comparisons with a service that is 20 % slower, how many tell the two apart; and of as many of a service with
/// itself, how many do.
fn told_apart_and_false_alarms(comparisons: u64) -> [u64; 2] {
    let limits = [p99(100.0)];
    let base = Queue::poisson(4, 0.02);
    let slower = Queue::poisson(4, 0.024);
    let mut told = [0, 0];
    for seed in 1..=comparisons {
        let edge = base.searched(&limits, 25.0, seed).answer().edge.expect("has one");
        let of_slower = slower.searched(&limits, 25.0, 1000 + seed).answer().edge.expect("has one");
        let of_same = base.searched(&limits, 25.0, 2000 + seed).answer().edge.expect("has one");
        let change = CapacityChange::between(&edge, &of_slower);
        told[0] += u64::from(change.is_sure() && change.share < 0.0);
        told[1] += u64::from(CapacityChange::between(&edge, &of_same).is_sure());
    }
    told
}

#[test]
fn a_service_that_is_a_fifth_slower_is_told_apart() {
    let [told_apart, false_alarms] = told_apart_and_false_alarms(10);
    assert_eq!(told_apart, 10);
    assert!(false_alarms <= 1, "{false_alarms} of 10");
}

#[test]
#[ignore = "prints the figures of docs/capacity.md: cargo test --release --lib simulated_figures -- --ignored --nocapture"]
fn simulated_figures() {
    for (workers, times) in [(4, 5), (2, 15)] {
        let queue = Queue::poisson(workers, 0.02);
        let true_rate = queue.true_rate(times, 0.01);
        let limit = p99(20.0 * times as f64);
        let [close, covering] = close_and_covering(queue, limit, true_rate, 200);
        println!(
            "{workers} workers, {true_rate:.1} a second: {close} of 200 within 5 %, {covering} of 200 intervals"
        );
    }
    let [told_apart, false_alarms] = told_apart_and_false_alarms(200);
    println!("20 % slower: {told_apart} of 200 told apart; the same: {false_alarms} of 200");
}
