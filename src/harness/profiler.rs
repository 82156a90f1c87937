//! Criterion's hooks for a profiler, and the flame graph that comes of them: beside what Criterion keeps of the case.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use criterion::profiler::Profiler;

use super::args::{Args, Mode};
use super::outcome::Stop;
use crate::Error;
use crate::console::note;
use crate::machine::Environment;
use crate::profile::{self, CpuSampler, DEFAULT_FREQUENCY_HZ, FlameFiles, FlameGraph};

/// A sampler, if this run is for a profiler. Where there is none to be had, the run is as good for any other profiler.
pub fn sampler(args: &Args) -> Option<CpuSampler> {
    if args.mode != Mode::Profile {
        return None;
    }
    match profile::start(DEFAULT_FREQUENCY_HZ) {
        Ok(sampler) => Some(sampler),
        Err(error) => {
            note(format_args!("No flame graphs: {error}"));
            None
        }
    }
}

/// Samples while Criterion says that it profiles, and keeps where Criterion wants the result.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    folder: Rc<RefCell<Option<PathBuf>>>,
}

impl Profiler for Hooks {
    fn start_profiling(&mut self, _benchmark_id: &str, benchmark_dir: &Path) {
        *self.folder.borrow_mut() = Some(benchmark_dir.to_owned());
        profile::resume();
    }

    fn stop_profiling(&mut self, _benchmark_id: &str, _benchmark_dir: &Path) {
        profile::pause();
    }
}

impl Hooks {
    /// Draws what was sampled of this case. Nothing where Criterion did not profile it.
    pub fn draw(&self, sampler: &CpuSampler, case: &str, environment: Environment) -> Result<(), Stop> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        // Criterion does not say that it stops where a case ended early.
        profile::pause();
        let graph = FlameGraph::taken(sampler, case, environment);
        let document = graph.save(&FlameFiles::in_folder(&folder))?;
        write!(io::stdout().lock(), "{document}").map_err(Error::Output)?;
        Ok(())
    }
}
