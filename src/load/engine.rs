//! Running a schedule: all users on the calling thread's event loop, one recorder, nothing shared between threads.

use std::cell::RefCell;
use std::fmt::Display;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::schedule::Closed;
use crate::recording::{Class, Failure, Finished, Recorder, Recording};

/// What one pass is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Operations in all.
    pub requests: u64,
    /// Failures in a row after which no further operation begins.
    pub patience: u64,
}

/// One pass by these users, each beginning its next operation when its last has ended.
/// Returns its wall time, which is recorded as a pass too.
pub async fn run_pass<U>(
    users: &mut [U],
    pass: Pass,
    recorder: &mut Recorder,
    operate: impl AsyncFn(&mut U, u64) -> Finished,
) -> Duration {
    let plan = Closed { users: users.len() as u32, requests: pass.requests };
    let shared = RefCell::new(&mut *recorder);
    let (shared, operate) = (&shared, &operate);
    let started = Instant::now();
    let conversations = users.iter_mut().zip(0..).map(async |(user, number)| {
        for request in plan.requests_of(number) {
            if shared.borrow().failures_in_a_row() >= pass.patience {
                break;
            }
            let finished = operate(user, request).await;
            shared.borrow_mut().record(finished);
        }
    });
    // Wakes only the user whose answer came; `join_all` would poll all of up to 30 each time.
    let mut conversations: FuturesUnordered<_> = conversations.collect();
    while conversations.next().await.is_some() {}
    drop(conversations);
    let elapsed = started.elapsed();
    recorder.pass(elapsed);
    elapsed
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
/// .await;
/// assert_eq!((recording.total(), recording.failures()), (100, 10));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn load_test_scenario<E: Display>(
    scenario: Closed,
    operation: impl AsyncFn(u64) -> Result<(), E>,
) -> Recording {
    let mut users = vec![(); scenario.users.max(1) as usize];
    let mut recorder = Recorder::default();
    let pass = Pass { requests: scenario.requests, patience: u64::MAX };
    run_pass(&mut users, pass, &mut recorder, async |(), request| {
        let started = Instant::now();
        let outcome = operation(request).await;
        let latency = started.elapsed();
        Finished { latency, outcome: outcome.map_err(|e| Failure::new(Class::Other, e.to_string())) }
    })
    .await;
    recorder.finish()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts").block_on(future)
    }

    #[test]
    fn as_many_run_at_once_as_there_are_users() {
        let (now, most, seen) = (Cell::new(0), Cell::new(0), RefCell::new(Vec::new()));
        let recording = block_on(load_test_scenario(Closed { users: 4, requests: 10 }, async |index| {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            seen.borrow_mut().push(index);
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
        assert!(
            recording.elapsed >= 2 * nap
                && recording.elapsed < recording.ok.range().expect("all succeed").1 * 10,
            "{:?}",
            recording.elapsed
        );
    }
}
