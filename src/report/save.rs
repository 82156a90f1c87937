//! Writing reports, a file an operation.

use std::path::{Path, PathBuf};

use super::performance::PerformanceReport;
use crate::error::Error;
use crate::files::write_json;

/// Longest name of an operation: file systems take 255 bytes, and a temporary name is longer.
const LONGEST_NAME: usize = 200;

/// Writes `<dir>/<operation>.json` and returns its path; an older one is replaced, never half-written.
///
/// ```
/// use ingester_perf::report::{PerformanceCollector, save_performance_report};
///
/// let mut collector = PerformanceCollector::default();
/// collector.record("ping", std::time::Duration::from_millis(1), Ok(()));
/// let dir = tempfile::tempdir()?;
/// let path = save_performance_report(&collector.finish()[0], dir.path())?;
/// assert!(path.ends_with("ping.json"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_performance_report(report: &PerformanceReport, dir: &Path) -> Result<PathBuf, Error> {
    save_as(&report.operation, report, dir)
}

/// The same under another name than the operation's.
pub fn save_as(name: &str, report: &PerformanceReport, dir: &Path) -> Result<PathBuf, Error> {
    check_operation(name)?;
    let path = dir.join(format!("{name}.json"));
    write_json(&path, report)?;
    Ok(path)
}

/// An error where a name could not be that of a file.
pub fn check_operation(name: &str) -> Result<(), Error> {
    if name.len() > LONGEST_NAME {
        let problem =
            format!("an operation's name has at most {LONGEST_NAME} characters, for its file's sake");
        return Err(Error::malformed(Path::new(name), problem));
    }
    if name.starts_with('.') || name.is_empty() || !name.chars().all(is_plain) {
        let problem = "an operation is named with letters, digits, _ - and . only, for its file's sake";
        return Err(Error::malformed(Path::new(name), problem));
    }
    // `load` writes its record beside its report.
    if name.ends_with(".run") {
        return Err(Error::malformed(Path::new(name), "an operation's name must not end in .run"));
    }
    Ok(())
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Recording;

    fn named(name: &str) -> PerformanceReport {
        PerformanceReport::new(name, &Recording::default())
    }

    #[test]
    fn a_report_replaces_the_last_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().expect("makes one");
        let nested = dir.path().join("a/b");
        for _ in 0..2 {
            save_performance_report(&named("op"), &nested).expect("writes");
        }
        let files: Vec<_> =
            nested.read_dir().expect("is there").map(|f| f.expect("reads").file_name()).collect();
        assert_eq!(files, ["op.json"]);
    }

    #[test]
    fn names_cannot_lead_elsewhere() {
        let dir = tempfile::tempdir().expect("makes one");
        for name in ["", "../op", "a/b", ".hidden", "a\nb", "op.run"] {
            assert!(save_performance_report(&named(name), dir.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error =
            save_performance_report(&named("op"), Path::new("/dev/null/x")).expect_err("cannot write");
        assert!(error.to_string().starts_with("/dev/null/x/op.json: cannot write"), "{error}");
    }
}
