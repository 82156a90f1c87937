//! A flame graph: what was sampled, of what and where, as files and as a table.

use std::path::{Path, PathBuf};

use super::draw;
use super::sampler::{CpuSampler, SampledBy};
use super::stacks::Stacks;
use crate::document::{Document, Table};
use crate::error::Error;
use crate::files::write_text;
use crate::machine::Environment;
use crate::units::{Share, grouped, latency};

/// Rows of the table of frames.
const ROWS: usize = 10;
/// Characters of a frame's name in the table. Names of generic functions have hundreds; the files have them whole.
const NAME: usize = 72;

/// What was sampled of one case, or of one run.
#[derive(Debug, Clone)]
pub struct FlameGraph {
    /// What ran: the id of a case, or the name of a run.
    pub name: String,
    /// Where it ran, and against what.
    pub environment: Environment,
    /// What interrupted the threads.
    pub sampled_by: SampledBy,
    /// Samples in a second of CPU time.
    pub frequency_hz: u32,
    /// What they were found at.
    pub stacks: Stacks,
}

/// The files of a flame graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlameFiles {
    /// The picture.
    pub svg: PathBuf,
    /// The folded stacks, which other tools read.
    pub folded: PathBuf,
}

impl FlameFiles {
    /// `flamegraph.svg` and `stacks.folded` in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { svg: folder.join("flamegraph.svg"), folded: folder.join("stacks.folded") }
    }

    /// Beside a report `NAME.json`: `NAME.flamegraph.svg` and `NAME.folded`.
    pub fn beside(report: &Path) -> Self {
        Self { svg: report.with_extension("flamegraph.svg"), folded: report.with_extension("folded") }
    }
}

impl FlameGraph {
    /// Of what this sampler has seen since it was asked last.
    pub fn taken(sampler: &CpuSampler, name: &str, environment: Environment) -> Self {
        Self {
            name: name.to_owned(),
            environment,
            sampled_by: sampler.sampled_by(),
            frequency_hz: sampler.frequency_hz(),
            stacks: sampler.take(),
        }
    }

    /// Writes the files, and returns what is to be said of them. An error where there was nothing to draw.
    pub fn save(&self, files: &FlameFiles) -> Result<Document, Error> {
        let Some(svg) = draw::svg(&self.stacks, &self.name, &self.subtitle()) else {
            let problem = format!(
                "no sample was taken of {}: its threads used less CPU time than lies between two samples; let it run for \
                 longer",
                self.name
            );
            return Err(Error::Setting { name: "profile", problem });
        };
        write_text(&files.svg, &svg)?;
        write_text(&files.folded, &self.stacks.folded())?;
        Ok(self.document(files))
    }

    /// What the picture is of, in a line.
    fn subtitle(&self) -> String {
        let Environment { cpu, cores, profile, rustc, ingester, made_at, .. } = &self.environment;
        let samples = grouped(self.stacks.samples());
        let hz = self.frequency_hz;
        let by = self.sampled_by;
        format!(
            "{samples} samples at {hz} Hz by {by}, against {ingester}; {profile} build of {rustc}; {cpu}, {cores} cores; \
             {made_at}"
        )
    }

    /// The frames with the most time of their own, the threads' shares, and where the files are.
    fn document(&self, files: &FlameFiles) -> Document {
        let time = self.stacks.time();
        let mut table = Table::new(["frame", "thread", "self", "with callees"]);
        for frame in self.stacks.frames().into_iter().take(ROWS) {
            let own = Share(frame.own.div_duration_f64(time));
            let total = Share(frame.total.div_duration_f64(time));
            table.row([shortened(&frame.frame), frame.role, own.to_string(), total.to_string()]);
        }
        let mut threads = Vec::new();
        for role in self.stacks.roles() {
            threads.push(format!("{} {}", role.role, Share(role.time.div_duration_f64(time))));
        }
        let mut document = Document::new("Flame graph");
        document.about = Some(self.name.clone());
        document.line(format!(
            "{}: {} samples, {} of CPU time: {}",
            self.name,
            grouped(self.stacks.samples()),
            latency(Some(1e3 * time.as_secs_f64())),
            threads.join(", ")
        ));
        document.gap();
        document.table(table);
        document.gap();
        document.line(format!("Flame graph: {}", files.svg.display()));
        document.line(format!("Folded stacks: {}", files.folded.display()));
        document.gap();
        document
    }
}

/// The name, cut where it is long.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME - 1).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::machine::Placement;

    fn graph(stacks: Stacks) -> FlameGraph {
        FlameGraph {
            name: "upload/10MB".to_owned(),
            environment: Environment::read(&Placement::none(), "stub"),
            sampled_by: SampledBy::Timers,
            frequency_hz: 999,
            stacks,
        }
    }

    /// 3 s of the stub, of which 2 s are spent hashing, and 1 s of the client.
    fn example() -> FlameGraph {
        let mut stacks = Stacks::default();
        for (frames, seconds) in
            [(&["stub", "serve", "hash"][..], 2), (&["stub", "serve"], 1), (&["client", "send"], 1)]
        {
            let frames: Vec<String> = frames.iter().map(|frame| (*frame).to_owned()).collect();
            stacks.add(&frames, 1000 * seconds, Duration::from_secs(seconds));
        }
        graph(stacks)
    }

    #[test]
    fn files_are_written_and_what_takes_the_time_is_told() {
        let dir = tempfile::tempdir().expect("makes one");
        let files = FlameFiles::in_folder(&dir.path().join("a/b"));
        let document = example().save(&files).expect("writes");
        let folded = std::fs::read_to_string(&files.folded).expect("is there");
        assert_eq!(folded, example().stacks.folded());
        let svg = std::fs::read_to_string(&files.svg).expect("is there");
        assert!(svg.contains("4,000 samples at 999 Hz by CPU timers, against stub; "), "{svg}");
        let said = document.to_string();
        let first = "upload/10MB: 4,000 samples, 4 s of CPU time: stub 75 %, client 25 %";
        assert_eq!(said.lines().next(), Some(first));
        let rows: Vec<Vec<&str>> = said
            .lines()
            .filter(|line| line.contains(" %"))
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[1], ["hash", "stub", "50", "%", "50", "%"]);
        assert_eq!(rows[3], ["serve", "stub", "25", "%", "75", "%"]);
        assert!(said.contains(&format!("Flame graph: {}\n", files.svg.display())), "{said}");
    }

    #[test]
    fn without_a_sample_nothing_is_written() {
        let dir = tempfile::tempdir().expect("makes one");
        let error = graph(Stacks::default()).save(&FlameFiles::in_folder(dir.path())).expect_err("is empty");
        assert!(error.to_string().contains("no sample was taken of upload/10MB"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("can be listed").count(), 0);
    }

    #[test]
    fn files_beside_a_report_have_its_name() {
        let files = FlameFiles::beside(Path::new("reports/normal.json"));
        assert_eq!(files.svg, Path::new("reports/normal.flamegraph.svg"));
        assert_eq!(files.folded, Path::new("reports/normal.folded"));
    }

    #[test]
    fn long_names_are_cut_in_the_table() {
        assert_eq!(shortened(&"é".repeat(72)), "é".repeat(72));
        assert_eq!(shortened(&"é".repeat(73)), "é".repeat(71) + "…");
    }
}
