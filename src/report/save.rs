//! Writing reports: whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::performance::PerformanceReport;
use crate::error::Error;

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
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if report.operation.starts_with('.')
        || report.operation.is_empty()
        || !report.operation.chars().all(plain)
    {
        let problem = "an operation is named with letters, digits, _ - and . only, for its file's sake";
        return Err(Error::malformed(Path::new(&report.operation), problem));
    }
    let path = dir.join(format!("{}.json", report.operation));
    write_atomically(&path, report)?;
    Ok(path)
}

/// Writes a value as JSON to a temporary file beside `path` and renames it; makes the folder if need be.
pub fn write_atomically(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::file(path, "write", e.into()))?;
    write_text_atomically(path, &(text + "\n"))
}

/// The same with a text.
pub fn write_text_atomically(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |e| Error::file(path, "write", e);
    let dir = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file = temporary().tempfile_in(dir).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Readable as other files are: a temporary one would be its owner's alone.
fn temporary() -> tempfile::Builder<'static, 'static> {
    #[allow(unused_mut, reason = "permissions are Unix's")]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
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
        for name in ["", "../op", "a/b", ".hidden", "a\nb"] {
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
