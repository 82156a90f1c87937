//! The last reports of all benches, read back from their folder: each bench is a process of its own, and all of them share one
//! page.

use std::path::{Path, PathBuf};

use super::floor_report::Floor;
use super::page::{BenchPage, BenchedCase};
use crate::baseline::criterion_home;
use crate::case::{Spec, Suite};
use crate::console::note;
use crate::document::Link;
use crate::error::Error;
use crate::files::read_limited;
use crate::index::{self, BENCH_PAGE};
use crate::report::PerformanceReport;
use crate::units::printable;

/// Largest report that is read, in bytes: a thousand times an ordinary one.
const MAX_BYTES: u64 = 16 << 20;

/// Makes the page anew from what is in the folder of reports.
pub fn save_page(report_dir: &Path, suite: &Suite) -> Result<(), Error> {
    let path = report_dir.join(BENCH_PAGE);
    index::save_page(&path, &read_all(report_dir, &criterion_home(), suite).document())?;
    note(format_args!("Page: {}", path.display()));
    Ok(())
}

/// What is in the folder of reports, with links to what is in Criterion's.
fn read_all(report_dir: &Path, home: &Path, suite: &Suite) -> BenchPage {
    let mut page = BenchPage::default();
    for spec in suite.cases() {
        let path = report_dir.join(format!("{}.json", spec.operation));
        // Of a case that was never measured there is nothing to tell, and that is not worth a line.
        if !path.exists() {
            continue;
        }
        match read(&path) {
            Ok(report) => page.cases.push(BenchedCase { report, links: links(home, spec, report_dir) }),
            // One broken file must not cost the page of all the others.
            Err(error) => {
                page.unreadable.push(printable(&format!("Left out, as it cannot be read: {error}")))
            }
        }
    }
    // There is none where `floor` has not run.
    if let Ok(text) = read_limited(&Floor::path(report_dir), MAX_BYTES) {
        page.floor = Floor::parse(&text);
    }
    let all = home.join("report").join("index.html");
    page.links.extend(link("All of Criterion's pages", &all, report_dir));
    page
}

fn read(path: &Path) -> Result<PerformanceReport, Error> {
    let text = read_limited(path, MAX_BYTES)?;
    serde_json::from_str(&text).map_err(|e| Error::malformed(path, printable(&e.to_string())))
}

/// Where more is to be found of a case, as far as it is there.
fn links(home: &Path, spec: &Spec, report_dir: &Path) -> Vec<Link> {
    // Criterion has a folder for each part of an id, and puts its pages and profiles below the last one.
    let folder = home.join(spec.id());
    let mut links = Vec::new();
    let report = folder.join("report").join("index.html");
    links.extend(link("Criterion's page: samples, and the change from the run before", &report, report_dir));
    let flame_graph = folder.join("profile").join("flamegraph.svg");
    links.extend(link("Flame graph of the last --profile-time", &flame_graph, report_dir));
    links
}

/// A link to a file, if it is there.
fn link(text: &str, file: &Path, report_dir: &Path) -> Option<Link> {
    if !file.exists() {
        return None;
    }
    Some(Link { text: text.to_owned(), path: relative(report_dir, file)? })
}

/// The way from a folder to a file, with slashes. `None` where there is none, as between drives, or where a name on it is
/// not text.
fn relative(folder: &Path, file: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).ok()?;
    let file = std::path::absolute(file).ok()?;
    // Up to where both ways part, and down from there.
    let mut shared = PathBuf::new();
    for (ours, theirs) in folder.components().zip(file.components()) {
        if ours != theirs {
            break;
        }
        shared.push(ours);
    }
    if shared.as_os_str().is_empty() {
        return None;
    }
    let up = folder.strip_prefix(&shared).ok()?.components().count();
    let mut steps = vec!["..".to_owned(); up];
    for component in file.strip_prefix(&shared).ok()?.components() {
        steps.push(component.as_os_str().to_str()?.to_owned());
    }
    Some(steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Recording;
    use crate::report::save_performance_report;

    #[test]
    fn a_link_leads_from_the_folder_of_reports_to_criterions() {
        let from = Path::new("/p/target/performance_reports");
        for (file, expected) in [
            (
                "/p/target/criterion/upload/10KB/report/index.html",
                "../criterion/upload/10KB/report/index.html",
            ),
            ("/p/target/performance_reports/a.svg", "a.svg"),
            ("/elsewhere/a.svg", "../../../elsewhere/a.svg"),
        ] {
            assert_eq!(relative(from, Path::new(file)).as_deref(), Some(expected));
        }
        assert_eq!(link("x", Path::new("/no/such/file"), from), None);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_there() {
        let dir = tempfile::tempdir().expect("makes one");
        let home = dir.path().join("criterion");
        std::fs::create_dir_all(home.join("upload/10KB/report")).expect("makes it");
        std::fs::write(home.join("upload/10KB/report/index.html"), "").expect("writes");
        let reports = dir.path().join("reports");
        let report = PerformanceReport::new("upload_small_file", &Recording::default());
        save_performance_report(&report, &reports).expect("writes");
        std::fs::write(reports.join("jwt_validation.json"), "{").expect("writes");
        std::fs::write(reports.join("floor.json"), "{").expect("writes");
        let page = read_all(&reports, &home, &Suite::default());
        assert_eq!(page.cases.len(), 1);
        assert_eq!(page.cases[0].report, report);
        assert_eq!(page.cases[0].links[0].path, "../criterion/upload/10KB/report/index.html");
        assert_eq!(page.cases[0].links.len(), 1);
        assert!(page.floor.is_none() && page.links.is_empty());
        let [unreadable] = &page.unreadable[..] else { panic!("names one") };
        assert!(unreadable.contains("jwt_validation.json"), "{unreadable}");
    }
}
