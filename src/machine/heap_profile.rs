//! A heap profile: which lines of the program asked the allocator for what, and how long they kept it. Written by dhat in
//! the format of Valgrind's DHAT, whose viewer shows it.

use std::path::Path;

use crate::error::Error;

/// The flag that asks for a profile.
const FLAG: &str = "--heap-profile";

/// How a program that can write one is built and run.
const HOW: &str = "cargo run --release --features heap-profile --bin ingester-perf-counting -- ...";

/// Does something, and writes a heap profile of it, if a file is given.
pub(crate) fn with_heap_profile<T>(
    path: Option<&Path>,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match path {
        None => work(),
        Some(path) => profiled(path, work),
    }
}

/// Always an error, which says how a program is built that can.
#[cfg(not(feature = "heap-profile"))]
fn profiled<T>(_: &Path, _: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    Err(refused("this build cannot write one; build and run one that can"))
}

/// Writes a profile of all that the program asks the allocator for in the meantime. An error, before anything is done,
/// where the file could not be written, or where this program's allocator is not dhat's.
#[cfg(feature = "heap-profile")]
fn profiled<T>(path: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // A name alone is one in this folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    crate::files::check_folder(folder.unwrap_or_else(|| Path::new(".")))?;
    if !allocator_is_dhats() {
        return Err(refused("this program's allocator keeps no record; run the one that does"));
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let profiler = dhat::Profiler::builder()
        .file_name(&unfinished)
        // dhat's own default of ten ends within the layers between the event loop and a handler.
        .trim_backtraces(Some(FRAMES))
        .build();
    let done = work();
    // Writes the file, and prints totals to standard error.
    drop(profiler);
    let done = done?;
    // dhat only prints what went wrong: where it wrote nothing, there is nothing to rename.
    std::fs::rename(&unfinished, path).map_err(|e| Error::file(path, "write", e))?;
    crate::console::note(format_args!("Heap profile: {}; Valgrind's dh_view.html shows it", path.display()));
    Ok(done)
}

/// Functions of a call stack that are kept.
#[cfg(feature = "heap-profile")]
const FRAMES: usize = 40;

/// Whether dhat sees what this program allocates.
#[cfg(feature = "heap-profile")]
fn allocator_is_dhats() -> bool {
    // For testing: ended, it neither writes nor prints.
    let profiler = dhat::Profiler::builder().testing().build();
    // Opaque, or the compiler would leave the allocation out.
    drop(std::hint::black_box(vec![0_u8; 64]));
    let seen = dhat::HeapStats::get().total_blocks;
    drop(profiler);
    seen > 0
}

fn refused(why: &str) -> Error {
    Error::Setting { name: FLAG, problem: format!("{why}: {HOW}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_says_how_one_is_built_that_can() {
        let folder = tempfile::tempdir().expect("makes one");
        // With the feature too: the allocator of the tests is the usual one.
        let path = folder.path().join("heap.json");
        let refused = with_heap_profile(Some(path.as_path()), || Ok(5)).expect_err("cannot").to_string();
        assert!(refused.starts_with("--heap-profile: this "), "{refused}");
        assert!(refused.contains("--features heap-profile --bin ingester-perf-counting"), "{refused}");
        assert!(!path.exists());
    }

    #[test]
    fn nothing_is_in_the_way_where_no_profile_is_asked_for() {
        assert_eq!(with_heap_profile(None, || Ok(5)).expect("is done"), 5);
    }
}
