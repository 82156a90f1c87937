//! Runs one pass of a fixed number of requests on the caller's event loop. Any async function can be the operation.

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::drive::{Limits, Operation, Sink, drive};
use super::pacer::Pacer;
use super::profile::ENDLESS;
use super::queue::Queue;
use super::schedule::Closed;
use crate::recording::{Class, Failure, Performed, Recorder, Recording};

/// One pass by these users, each beginning its next operation when its last has ended, until it has failed `patience`
/// times in a row. Returns its wall time, which is recorded as a pass too.
pub async fn run_pass<O: Operation>(
    operation: &O,
    users: &mut Vec<Option<O::User>>,
    scenario: Closed,
    patience: u64,
    (clock, recorder): (&mut impl Clock, &mut Recorder),
) -> io::Result<Duration> {
    let start = clock.now();
    // A closed pass ends with its requests: every one that began is waited for.
    let terms = Limits { start, at_once: usize::MAX, grace: ENDLESS };
    let mut pass = Pass { recorder, patience };
    drive(operation, users, Queue::of(scenario), clock, &mut pass, terms).await?;
    let elapsed = clock.now() - start;
    recorder.pass(elapsed);
    Ok(elapsed)
}

/// Records outcomes and latencies, and no seconds or phases.
struct Pass<'a> {
    recorder: &'a mut Recorder,
    patience: u64,
}

impl Sink for Pass<'_> {
    fn begins(&mut self, _: Instant) {}

    fn ended(&mut self, _: Instant, performed: Performed) {
        self.recorder.record(performed.finished);
    }

    fn unfinished(&mut self, _: Instant, _: Instant) {
        unreachable!("a pass waits for everybody")
    }

    fn stops(&self) -> bool {
        self.recorder.failures_in_a_row() >= self.patience
    }
}

/// Runs any async operation, `scenario.users` at a time (at least one) and `scenario.requests` in all; each gets its
/// index.
/// An error is counted as a failure of class `other`, with its text as the example.
///
/// ```
/// use ingester_perf::load::{Closed, load_test_scenario};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let scenario = Closed { users: 10, requests: 100 };
/// let recording = load_test_scenario(scenario, async |index| {
///     tokio::task::yield_now().await; // what is measured
///     if index % 10 == 0 { Err("every tenth fails") } else { Ok(()) }
/// })
/// .await?;
/// assert_eq!((recording.total(), recording.failures()), (100, 10));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn load_test_scenario<E: Display>(
    scenario: Closed,
    operation: impl AsyncFn(u64) -> Result<(), E>,
) -> io::Result<Recording> {
    let scenario = Closed { users: scenario.users.max(1), ..scenario };
    let mut recorder = Recorder::default();
    let mut pacer = Pacer::new()?;
    run_pass(&Function(operation), &mut Vec::new(), scenario, u64::MAX, (&mut pacer, &mut recorder)).await?;
    Ok(recorder.finish())
}

/// An async function as an operation: see [`Operation`] for those that keep something from request to request.
///
/// ```no_run
/// use ingester_perf::load::{Function, Model, Plan, Profile, Arrivals, run};
/// use std::time::Duration;
///
/// // A query, 200 times a second, from one thread.
/// let query = Function(async |index: u64| match my_query(index).await {
///     true => Ok(()),
///     false => Err("not found"),
/// });
/// let rate = Profile::constant(200.0, Duration::from_secs(10));
/// let plan = Plan::new(Model::Open { rate, arrivals: Arrivals::Poisson });
/// let run = run(&plan, vec![(query, None)], |_| true)?;
/// println!("{:?} at most", run.load.responses.ok.range());
/// # async fn my_query(_: u64) -> bool { true }
/// # Ok::<(), ingester_perf::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Function<F>(pub F);

impl<E: Display, F: AsyncFn(u64) -> Result<(), E>> Operation for Function<F> {
    type User = ();

    fn user(&self) {}

    async fn perform(&self, (): &mut (), index: u64) -> Performed {
        let began = Instant::now();
        let outcome = (self.0)(index).await;
        let latency = began.elapsed();
        let outcome = outcome.map_err(|e| Failure::new(Class::Other, e.to_string()));
        Performed::new(began, latency, outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn block_on<T>(future: impl Future<Output = io::Result<T>>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        runtime.block_on(future).expect("runs")
    }

    #[test]
    fn as_many_run_at_once_as_there_are_users() {
        let now = Cell::new(0);
        let most = Cell::new(0);
        let seen = RefCell::new(Vec::new());
        let recording = block_on(load_test_scenario(Closed { users: 4, requests: 10 }, async |index| {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            seen.borrow_mut().push(index);
            // The other users begin theirs before this one ends.
            tokio::task::yield_now().await;
            now.set(now.get() - 1);
            Ok::<(), &str>(())
        }));
        let mut seen = seen.into_inner();
        seen.sort_unstable();
        assert_eq!((most.get(), recording.total(), recording.passes), (4, 10, 1));
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_pass_lasts_as_long_as_its_slowest_user() {
        let nap = Duration::from_millis(20);
        let scenario = Closed { users: 5, requests: 10 };
        let recording = block_on(load_test_scenario(scenario, async |_| {
            tokio::time::sleep(nap).await;
            Ok::<(), &str>(())
        }));
        let shortest = recording.ok.range().expect("all succeed").0;
        assert!(shortest >= nap, "{shortest:?}");
        // Two naps for each user. Were the users to wait for each other, there would be ten.
        assert!(
            recording.elapsed >= 2 * nap
                && recording.elapsed < recording.ok.range().expect("all succeed").1 * 10,
            "{:?}",
            recording.elapsed
        );
    }
}
