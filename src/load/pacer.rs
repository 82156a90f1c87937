//! Waits for an instant, to some ten microseconds. tokio's timer has steps of a millisecond: with it, requests of an open
//! schedule would begin half a millisecond late on average.

pub use precise::Pacer;

#[cfg(target_os = "linux")]
mod precise {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::{Duration, Instant};

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::super::clock::Clock;

    /// A timer of the kernel's, for which the event loop waits as it does for a socket.
    #[derive(Debug)]
    pub struct Pacer {
        timer: AsyncFd<OwnedFd>,
        set: Option<Instant>,
    }

    impl Pacer {
        /// A timer for the event loop in whose context this is called.
        pub fn new() -> io::Result<Self> {
            let timer =
                timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            #[expect(
                deprecated,
                reason = "sound for what owns its descriptor; what replaces it is unsafe to call"
            )]
            let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
            Ok(Self { timer, set: None })
        }

        /// Sets the timer to `at`, which is `left` from now; more than no time, which would switch it off.
        fn set(&mut self, at: Instant, left: Duration) -> io::Result<()> {
            // A wait for the same instant again, after one that was dropped, needs no system call.
            if self.set != Some(at) {
                let value = Timespec {
                    tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                    tv_nsec: left.subsec_nanos().into(),
                };
                let never = Timespec { tv_sec: 0, tv_nsec: 0 };
                let once = Itimerspec { it_interval: never, it_value: value };
                timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
                self.set = Some(at);
            }
            Ok(())
        }
    }

    impl Clock for Pacer {
        fn now(&self) -> Instant {
            Instant::now()
        }

        async fn until(&mut self, at: Instant) -> io::Result<()> {
            // Without the turn, the event loop would not come to look at its sockets while the schedule is behind.
            if self.now() >= at {
                tokio::task::yield_now().await;
                return Ok(());
            }
            loop {
                // Read once: were it read again to set the timer, it might be past by then, and no timer be set.
                let left = at.saturating_duration_since(self.now());
                if left.is_zero() {
                    return Ok(());
                }
                self.set(at, left)?;
                let mut ready = self.timer.readable().await?;
                // Reading takes back the timer's signal. There is nothing to read where it was set anew after it had run out.
                let _ = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?));
                self.set = None;
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod precise {
    use std::io;
    use std::time::{Duration, Instant};

    use super::super::clock::Clock;

    /// By how much tokio's timer may be late.
    const STEP: Duration = Duration::from_millis(2);

    /// Sleeps until shortly before the instant, and then looks at the clock in every turn of the event loop.
    #[derive(Debug)]
    pub struct Pacer(());

    impl Pacer {
        /// A timer for the event loop in whose context this is called.
        pub fn new() -> io::Result<Self> {
            Ok(Self(()))
        }
    }

    impl Clock for Pacer {
        fn now(&self) -> Instant {
            Instant::now()
        }

        async fn until(&mut self, at: Instant) -> io::Result<()> {
            let left = at.saturating_duration_since(self.now());
            if left > STEP {
                tokio::time::sleep(left - STEP).await;
            }
            loop {
                tokio::task::yield_now().await;
                if Instant::now() >= at {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn it_never_returns_early_and_can_be_dropped_and_set_anew() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        runtime.block_on(async {
            let mut pacer = Pacer::new().expect("starts");
            let begun = Instant::now();
            for step in 1..50 {
                // Dropped while it waits for something earlier than what follows.
                let earlier = begun + Duration::from_micros(200 * step + 100);
                let _ = tokio::time::timeout(Duration::ZERO, pacer.until(earlier)).await;
                let at = begun + Duration::from_micros(200 * step);
                pacer.until(at).await.expect("waits");
                assert!(Instant::now() >= at);
            }
            pacer.until(begun).await.expect("is past");
        });
    }
}
