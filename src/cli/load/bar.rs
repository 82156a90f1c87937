//! Progress of a load run: a line on a terminal, renewed every second; elsewhere a new line every ten seconds.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::console::note;
use crate::load::{ENDLESS, Plan, Second};
use crate::report::SecondReport;
use indicatif::{ProgressBar, ProgressStyle};

use super::sparkline::{Sparkline, shows_blocks};

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
    /// The last seconds, where the terminal can show them.
    sparkline: Option<Sparkline>,
    /// Whether arrivals wait for nobody. Their rate is the plan's, and it is the latency that tells something.
    is_open: bool,
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
        let [all, characters, language] = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable);
        let shows_blocks = !bar.is_hidden() && shows_blocks(&all, &characters, &language);
        let sparkline = if shows_blocks { Some(Sparkline::default()) } else { None };
        Self {
            bar,
            lasting,
            started,
            ended: 0,
            failed: 0,
            last_line: started,
            sparkline,
            is_open: plan.is_open(),
        }
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
            let message = self.with_sparkline(message, second.ok, figures.p99_ms);
            self.bar.set_message(message);
            let so_far = self.lasting.map(|_| self.started.elapsed().as_millis() as u64);
            self.bar.set_position(so_far.unwrap_or(self.ended));
        }
    }

    /// The message with the last seconds in front of it: their rates, or, where the plan says what these are, their p99.
    fn with_sparkline(&mut self, message: String, ok: u64, p99_ms: Option<f64>) -> String {
        let Some(sparkline) = &mut self.sparkline else { return message };
        if self.is_open {
            sparkline.add(p99_ms);
            format!("p99 {} {message}", sparkline.draw())
        } else {
            sparkline.add(Some(ok as f64));
            format!("rate {} {message}", sparkline.draw())
        }
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A variable of the environment; empty where it is not set.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn ms(figure: Option<f64>) -> String {
    match figure {
        Some(ms) => format!("{ms:.1} ms"),
        None => "-".to_owned(),
    }
}
