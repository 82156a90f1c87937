//! Progress of a load run: a line on a terminal, renewed every second; elsewhere a new line every ten seconds.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::console::note;
use crate::load::{ENDLESS, Plan, Second};
use crate::report::SecondReport;
use indicatif::{ProgressBar, ProgressStyle};

/// Time between progress lines where standard error is not a terminal. Often enough to show that the run is alive, without
/// filling a CI log.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Shows the progress of a run.
pub struct Bar {
    bar: ProgressBar,
    lasting: Option<Duration>,
    started: Instant,
    ended: u64,
    failed: u64,
    last_line: Instant,
}

impl Bar {
    /// For a run that begins about now.
    pub fn new(plan: &Plan) -> Self {
        // A run ends after a time or after a number of requests, and the bar is as long as the one that is known.
        let lasting = Some(plan.lasting()).filter(|lasting| !lasting.is_zero() && *lasting < ENDLESS);
        let length = lasting.map_or(plan.requests().unwrap_or(0), |lasting| lasting.as_millis() as u64);
        let style = ProgressStyle::with_template("[{wide_bar}] {percent} %, {eta} left | {msg}")
            .expect("the template has only known parts");
        let bar = if io::stderr().is_terminal() { ProgressBar::new(length) } else { ProgressBar::hidden() };
        let bar = bar.with_style(style).with_message("starting");
        let started = Instant::now();
        Self { bar, lasting, started, ended: 0, failed: 0, last_line: started }
    }

    /// Shows the seconds that are over.
    pub fn show(&mut self, seconds: &[Second]) {
        for second in seconds {
            self.ended += second.ok + second.failed;
            self.failed += second.failed;
            let figures = SecondReport::from(second);
            let p50 = ms(figures.p50_ms);
            let p99 = ms(figures.p99_ms);
            let message = format!("{}/s, p50 {p50}, p99 {p99}, {} failed", second.ok, self.failed);
            if self.bar.is_hidden() && self.last_line.elapsed() >= BETWEEN_LINES {
                self.last_line = Instant::now();
                note(format_args!("after {} s: {message}", second.index + 1));
            }
            self.bar.set_message(message);
            let so_far = self.lasting.map(|_| self.started.elapsed().as_millis() as u64);
            self.bar.set_position(so_far.unwrap_or(self.ended));
        }
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn ms(figure: Option<f64>) -> String {
    match figure {
        Some(ms) => format!("{ms:.1} ms"),
        None => "-".to_owned(),
    }
}
