//! The level of a load over time: how many users there are, or how many requests arrive a second. It consists of
//! stages, each a straight line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Length of a stage that something else ends: longer than any run.
pub const ENDLESS: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// A level that changes at an even pace.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Level at its beginning.
    pub from: f64,
    /// Level at its end.
    pub to: f64,
    /// How long it lasts.
    pub lasting: Duration,
}

/// Error for a text that is not a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a valid stage; write a level and a time, like 50:2m, or a ramp, like 0..50:30s")]
pub struct NotAStage(String);

impl FromStr for Stage {
    type Err = NotAStage;

    fn from_str(text: &str) -> Result<Self, NotAStage> {
        stage(text).ok_or_else(|| NotAStage(text.to_owned()))
    }
}

/// Reads a stage; `None` where the text is not a valid one.
fn stage(text: &str) -> Option<Stage> {
    let (levels, lasting) = text.rsplit_once(':')?;
    // A level by itself stays the same.
    let (from, to) = levels.split_once("..").unwrap_or((levels, levels));
    let lasting = humantime::parse_duration(lasting.trim()).ok()?;
    // Slopes divide by the length.
    if lasting.is_zero() || lasting > ENDLESS {
        return None;
    }
    Some(Stage { from: level(from)?, to: level(to)?, lasting })
}

/// Reads a level; `None` where the text is not a number, or one that is not in the range, as NaN never is.
fn level(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|level: &f64| (0.0..=1e7).contains(level))
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasting = humantime::format_duration(self.lasting);
        if self.from == self.to {
            write!(f, "{}:{lasting}", self.from)
        } else {
            write!(f, "{}..{}:{lasting}", self.from, self.to)
        }
    }
}

impl Stage {
    /// Its length.
    fn seconds(self) -> f64 {
        self.lasting.as_secs_f64()
    }

    /// Change of the level a second.
    fn slope(self) -> f64 {
        (self.to - self.from) / self.seconds()
    }

    /// Integral of the level over the stage: a trapezium.
    fn area(self) -> f64 {
        0.5 * (self.from + self.to) * self.seconds()
    }

    /// Seconds into the stage after which its area is `area`: the root of `from x + slope x^2 / 2 = area`, in the form
    /// that does not cancel (Press et al., Numerical Recipes, 5.6).
    fn seconds_until(self, area: f64) -> f64 {
        let root = (self.from * self.from + 2.0 * self.slope() * area).max(0.0).sqrt();
        if area > 0.0 { 2.0 * area / (self.from + root) } else { 0.0 }
    }

    /// Time within the stage at which the level is above `level`, as its begin and end in seconds; `None` where it never is.
    fn span_above(self, level: f64) -> Option<(f64, f64)> {
        // Means nothing where the level stays the same and the slope is 0; then it is not used below.
        let crossing = ((level - self.from) / self.slope()).clamp(0.0, self.seconds());
        match (self.from > level, self.to > level) {
            (true, true) => Some((0.0, self.seconds())),
            (false, true) => Some((crossing, self.seconds())),
            (true, false) => Some((0.0, crossing)),
            (false, false) => None,
        }
    }

    /// A time within the stage, given in seconds. The end is exact and not rounded as the float is: spans of two stages are
    /// joined where one ends when the other begins.
    fn time_at(self, seconds: f64) -> Duration {
        if seconds >= self.seconds() { self.lasting } else { Duration::from_secs_f64(seconds) }
    }
}

/// One stage after another, from time 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile(Vec<Stage>);

impl Profile {
    /// A profile of these stages, at least one.
    pub fn new(stages: Vec<Stage>) -> Self {
        assert!(!stages.is_empty(), "a profile has a stage");
        Self(stages)
    }

    /// A profile of one level.
    pub fn constant(level: f64, lasting: Duration) -> Self {
        Self(vec![Stage { from: level, to: level, lasting }])
    }

    /// The stages.
    pub fn stages(&self) -> &[Stage] {
        &self.0
    }

    /// How long they all last.
    pub fn lasting(&self) -> Duration {
        self.0.iter().map(|stage| stage.lasting).sum()
    }

    /// The highest level.
    pub fn most(&self) -> f64 {
        self.0.iter().map(|stage| stage.from.max(stage.to)).fold(0.0, f64::max)
    }

    /// The level at this time. Where one stage ends and the next begins, that of the one that ends; 0 after the last one.
    pub fn level_at(&self, at: Duration) -> f64 {
        let mut begin = Duration::ZERO;
        for stage in &self.0 {
            let end = begin + stage.lasting;
            if at <= end {
                let into_the_stage = at.saturating_sub(begin).as_secs_f64();
                return stage.from + stage.slope() * into_the_stage;
            }
            begin = end;
        }
        0.0
    }

    /// Integral of the level over time: of a rate, how many requests arrive.
    pub fn area(&self) -> f64 {
        self.0.iter().map(|stage| stage.area()).sum()
    }

    /// Time at which the integral from the beginning reaches `area`; `None` if it never does.
    pub fn time_of_area(&self, mut area: f64) -> Option<Duration> {
        let mut begin = Duration::ZERO;
        for stage in &self.0 {
            if area < stage.area() {
                return Some(begin + Duration::from_secs_f64(stage.seconds_until(area)));
            }
            area -= stage.area();
            begin += stage.lasting;
        }
        None
    }

    /// Spans of time in which the level is above `level`, as begins and ends in order.
    pub fn spans_above(&self, level: f64) -> Vec<(Duration, Duration)> {
        let mut spans: Vec<(Duration, Duration)> = Vec::new();
        let mut begin = Duration::ZERO;
        for stage in &self.0 {
            if let Some((from, to)) = stage.span_above(level) {
                let span = (begin + stage.time_at(from), begin + stage.time_at(to));
                // Stages that follow each other above the level are one span; one that rounds to nothing is left out.
                match spans.last_mut().filter(|last| last.1 == span.0) {
                    Some(last) => last.1 = span.1,
                    None if span.1 > span.0 => spans.push(span),
                    None => {}
                }
            }
            begin += stage.lasting;
        }
        spans
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<String> = self.0.iter().map(Stage::to_string).collect();
        f.write_str(&stages.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn profile(stages: &[&str]) -> Profile {
        Profile::new(stages.iter().map(|text| text.parse().expect("is a stage")).collect())
    }

    #[test]
    fn stages_are_read_as_they_are_printed() {
        for text in ["0..50:30s", "50:2m", "0.5..2.25:1h"] {
            assert_eq!(text.parse::<Stage>().expect("is a stage").to_string(), text);
        }
        for text in ["", "50", "50:", "..5:1s", "5..:1s", "-1:1s", "nan:1s", "1:0s", "1..2..3:1s", "1e9:1s"] {
            assert!(text.parse::<Stage>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_level_is_that_of_the_stage_that_is_under_way() {
        let profile = profile(&["0..10:10s", "40:5s"]);
        // Half way up the ramp; at its end; in the stage after it; and when all are over.
        let levels = [S(0), S(5), S(10), S(11), S(15), S(16)].map(|at| profile.level_at(at));
        assert_eq!(levels, [0.0, 5.0, 10.0, 40.0, 40.0, 0.0]);
    }

    #[test]
    fn a_ramp_has_the_area_of_its_triangle() {
        let profile = profile(&["0..10:10s", "10:5s"]);
        assert_eq!((profile.area(), profile.lasting(), profile.most()), (100.0, S(15), 10.0));
        // x^2 / 2 = 12.5, then 50 + 10 (x - 10) = 75.
        assert_eq!(profile.time_of_area(12.5), Some(S(5)));
        assert_eq!(profile.time_of_area(75.0), Some(Duration::from_millis(12_500)));
        assert_eq!((profile.time_of_area(0.0), profile.time_of_area(100.0)), (Some(S(0)), None));
    }

    #[test]
    fn a_ramp_down_slows_towards_its_end() {
        let profile = profile(&["10..0:10s"]);
        // 10 x - x^2 / 2 = 37.5 at 5.
        assert_eq!(profile.time_of_area(37.5), Some(S(5)));
    }

    #[test]
    fn a_user_is_there_while_the_level_is_above_its_number() {
        // Up to 10 s, level to 15 s, down to 25 s, and 4 for a second.
        let profile = profile(&["0..10:10s", "10:5s", "10..0:10s", "4:1s"]);
        assert_eq!(profile.spans_above(5.0), [(S(5), S(20))]);
        assert_eq!(profile.spans_above(3.0), [(S(3), S(22)), (S(25), S(26))]);
        assert_eq!(profile.spans_above(10.0), []);
        assert_eq!(Profile::constant(3.0, ENDLESS).spans_above(2.0), [(S(0), ENDLESS)]);
        assert_eq!(Profile::constant(3.0, ENDLESS).spans_above(3.0), []);
    }
}
