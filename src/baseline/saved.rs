//! Checks that what Criterion saved is complete and sound. Criterion reads its files late, panics where they are missing,
//! and goes on without a word in its exit code where they are broken; so they are looked at first.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::files::read_limited;

/// What Criterion saves of a case.
pub const FILES: [&str; 4] = ["benchmark.json", "estimates.json", "sample.json", "tukey.json"];
/// Largest of these files that is read: a million samples.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// Names that Criterion uses itself in the same folder.
const RESERVED: [&str; 3] = ["new", "change", "report"];

/// `sample.json`: iterations of each sample, and their time in ns.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// The part of `estimates.json` that a comparison needs.
#[derive(Deserialize)]
struct Estimates {
    mean: Estimate,
    median: Estimate,
    std_dev: Estimate,
    median_abs_dev: Estimate,
    slope: Option<Estimate>,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: ConfidenceInterval,
    point_estimate: f64,
    standard_error: f64,
}

#[derive(Clone, Copy, Deserialize)]
struct ConfidenceInterval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

/// Error for a name that a baseline cannot have. It becomes the name of a folder, and must not lead elsewhere or be that of
/// a folder of Criterion's own.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !plain || name.starts_with('.') {
        return Err(format!("\"{name}\" is no name for a baseline; use letters, digits, _ - and ."));
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "\"{name}\" is a folder of Criterion's own; choose another name for the baseline"
        ));
    }
    Ok(())
}

/// Whether the case `id` has a sound baseline `name` in Criterion's folder `home`. False where it has none at all.
pub fn check_saved(home: &Path, id: &str, name: &str) -> Result<bool, Error> {
    let dir = home.join(id).join(name);
    if !dir.exists() {
        return Ok(false);
    }
    Criterion::read(&dir).map(|_| true)
}

/// What Criterion saved of a case: four files, as they are, and what a comparison needs of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// The texts of `benchmark.json`, `estimates.json`, `sample.json` and `tukey.json`.
    pub texts: [String; 4],
    /// Mean time of an iteration, ns.
    pub mean_ns: f64,
    /// Its confidence interval, as Criterion's bootstrap has it.
    pub mean_interval_ns: [f64; 2],
    /// The time of an iteration that one sample in twenty stays below, ns: what the machine's slow spells hardly move.
    pub low_ns: f64,
}

impl Criterion {
    /// Reads and checks a case's folder.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let texts: Vec<String> =
            FILES.iter().map(|file| read_limited(&dir.join(file), MAX_BYTES)).collect::<Result<_, _>>()?;
        Self::check(dir, texts.try_into().expect("there are four"))
    }

    /// Checks the four texts; messages name their files in `dir`.
    pub fn check(dir: &Path, texts: [String; 4]) -> Result<Self, Error> {
        let [benchmark_at, estimates_at, sample_at, tukey_at] = FILES.map(|file| dir.join(file));
        let [benchmark_text, estimates_text, sample_text, tukey_text] = &texts;
        // Nothing in these two is used here: it is enough that Criterion will be able to read them.
        parse::<serde_json::Value>(&benchmark_at, benchmark_text)?;
        parse::<serde_json::Value>(&tukey_at, tukey_text)?;
        let estimates: Estimates = parse(&estimates_at, estimates_text)?;
        let sample: Sample = parse(&sample_at, sample_text)?;
        if let Some(problem) = estimates.problem() {
            return Err(broken(&estimates_at, &problem));
        }
        if let Some(problem) = sample.problem() {
            return Err(broken(&sample_at, &problem));
        }
        let ConfidenceInterval { lower_bound, upper_bound, .. } = estimates.mean.confidence_interval;
        Ok(Self {
            mean_ns: estimates.mean.point_estimate,
            mean_interval_ns: [lower_bound, upper_bound],
            low_ns: sample.low_ns(),
            texts,
        })
    }
}

impl Sample {
    /// What makes the samples useless, if anything does.
    fn problem(&self) -> Option<String> {
        let Self { iters, times } = self;
        if iters.len() != times.len() {
            Some(format!("{} iteration counts and {} times", iters.len(), times.len()))
        } else if iters.len() < 2 {
            Some(format!("{} samples; two are the least", iters.len()))
        } else if iters.iter().chain(times).any(|value| !value.is_finite() || *value <= 0.0) {
            Some("a count or time is not above 0".to_owned())
        } else {
            None
        }
    }

    fn low_ns(&self) -> f64 {
        let mut each: Vec<f64> =
            self.times.iter().zip(&self.iters).map(|(time, iters)| time / iters).collect();
        each.sort_by(f64::total_cmp);
        // The samples were checked: there are two or more.
        each[each.len() / 20]
    }
}

impl Estimates {
    /// What makes the estimates useless, if anything does.
    fn problem(&self) -> Option<String> {
        let all =
            [&self.mean, &self.median, &self.std_dev, &self.median_abs_dev].into_iter().chain(&self.slope);
        let sound = all.flat_map(Estimate::values).all(f64::is_finite);
        if !sound {
            Some("an estimate is not finite".to_owned())
        } else if self.mean.point_estimate <= 0.0 || self.median.point_estimate <= 0.0 {
            Some("a mean or median is not above 0".to_owned())
        } else {
            None
        }
    }
}

impl Estimate {
    fn values(&self) -> [f64; 5] {
        let ConfidenceInterval { confidence_level, lower_bound, upper_bound } = self.confidence_interval;
        [self.point_estimate, self.standard_error, confidence_level, lower_bound, upper_bound]
    }
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| broken(path, &e.to_string()))
}

fn broken(path: &Path, problem: &str) -> Error {
    Error::malformed(path, format!("{problem}; this baseline is broken, save it again with --save-baseline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"sampling_mode":"Flat","iters":[1.0,1.0],"times":[5.0,6.0]}"#;

    fn estimates() -> String {
        let one = r#"{"confidence_interval":{"confidence_level":0.95,"lower_bound":1.0,"upper_bound":2.0},
                      "point_estimate":1.5,"standard_error":0.1}"#;
        format!(r#"{{"mean":{one},"median":{one},"std_dev":{one},"median_abs_dev":{one},"slope":null}}"#)
    }

    /// What the check says of a baseline with these files.
    fn checked(sample: &str, estimates: &str) -> Result<bool, String> {
        let home = tempfile::tempdir().expect("makes one");
        let dir = home.path().join("upload/10KB/main");
        std::fs::create_dir_all(&dir).expect("makes it");
        std::fs::write(dir.join("sample.json"), sample).expect("writes");
        std::fs::write(dir.join("estimates.json"), estimates).expect("writes");
        for other in ["benchmark.json", "tukey.json"] {
            std::fs::write(dir.join(other), "{}").expect("writes");
        }
        check_saved(home.path(), "upload/10KB", "main").map_err(|e| e.to_string())
    }

    #[test]
    fn a_sound_baseline_passes_and_a_missing_one_is_told_apart() {
        assert_eq!(checked(SAMPLE, &estimates()), Ok(true));
        let empty = tempfile::tempdir().expect("makes one");
        assert!(matches!(check_saved(empty.path(), "upload/10KB", "main"), Ok(false)));
    }

    #[test]
    fn the_low_quantile_is_of_iterations() {
        // 40 samples of two iterations, of 1 to 40 ns each: two of them, one in twenty, are below 3 ns.
        let iters = vec![2.0; 40];
        let times = (1..=40).map(|i| 2.0 * f64::from(i)).collect();
        assert_eq!(Sample { iters, times }.low_ns(), 3.0);
    }

    #[test]
    fn broken_samples_are_named() {
        // Cut off or empty, of unequal lengths, too few, and with values that no clock gives.
        for sample in [
            "",
            "{",
            &SAMPLE[..30],
            "{}",
            r#"{"iters":[1.0,1.0],"times":[5.0]}"#,
            r#"{"iters":[1.0],"times":[5.0]}"#,
            r#"{"iters":[1.0,1.0],"times":[5.0,0.0]}"#,
            r#"{"iters":[1.0,-1.0],"times":[5.0,6.0]}"#,
            r#"{"iters":[1.0,1.0],"times":[5.0,null]}"#,
            r#"{"iters":[1.0,1.0],"times":[5.0,1e999]}"#,
        ] {
            let error = checked(sample, &estimates()).expect_err(sample);
            assert!(error.contains("10KB/main/sample.json") && error.contains("save it again"), "{error}");
        }
    }

    #[test]
    fn broken_estimates_are_named() {
        for estimates in ["", "{\"mean\": 1}", &estimates()[..50], &estimates().replace("0.1", "null")] {
            let error = checked(SAMPLE, estimates).expect_err(estimates);
            assert!(error.contains("main/estimates.json"), "{error}");
        }
    }

    #[test]
    fn names_stay_inside_their_folder() {
        assert!(check_name("main").is_ok() && check_name("v1.2_x-y").is_ok());
        for name in ["", "..", "a/b", "../x", ".x", "new", "change", "report", "a b", "é"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
