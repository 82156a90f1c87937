//! Is what Criterion saved complete and sound? It reads its files late, panics where they are missing, and goes on
//! without a word in its exit code where they are broken; so they are looked at first.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

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

#[derive(Deserialize)]
struct ConfidenceInterval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

/// Whether `name` can be a baseline's: it becomes a folder, and must not lead elsewhere or meet Criterion's own.
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
    check_sample(&dir.join("sample.json"))?;
    check_estimates(&dir.join("estimates.json"))?;
    Ok(true)
}

fn check_sample(path: &Path) -> Result<(), Error> {
    let Sample { iters, times } = read(path)?;
    let problem = if iters.len() != times.len() {
        format!("{} iteration counts and {} times", iters.len(), times.len())
    } else if iters.len() < 2 {
        format!("{} samples; two are the least", iters.len())
    } else if iters.iter().chain(&times).any(|value| !value.is_finite() || *value <= 0.0) {
        "a count or time is not above 0".to_owned()
    } else {
        return Ok(());
    };
    Err(broken(path, &problem))
}

fn check_estimates(path: &Path) -> Result<(), Error> {
    let Estimates { mean, median, std_dev, median_abs_dev, slope } = read(path)?;
    let all = [mean, median, std_dev, median_abs_dev].into_iter().chain(slope);
    let sound = all.flat_map(Estimate::values).all(f64::is_finite);
    if sound { Ok(()) } else { Err(broken(path, "an estimate is not finite")) }
}

impl Estimate {
    fn values(self) -> [f64; 5] {
        let ConfidenceInterval { confidence_level, lower_bound, upper_bound } = self.confidence_interval;
        [self.point_estimate, self.standard_error, confidence_level, lower_bound, upper_bound]
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, "read", e))?;
    serde_json::from_str(&text).map_err(|e| broken(path, &e.to_string()))
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
        check_saved(home.path(), "upload/10KB", "main").map_err(|e| e.to_string())
    }

    #[test]
    fn a_sound_baseline_passes_and_a_missing_one_is_told_apart() {
        assert_eq!(checked(SAMPLE, &estimates()), Ok(true));
        let empty = tempfile::tempdir().expect("makes one");
        assert!(matches!(check_saved(empty.path(), "upload/10KB", "main"), Ok(false)));
    }

    #[test]
    fn broken_samples_are_named() {
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
