//! `load merge`: the run files of all shards become one report. Each file is read twice, so that one is in memory at a time:
//! first for what it says of itself, then for its figures.

use std::path::Path;

use crate::case::Suite;
use crate::config::Config;
use crate::files::check_folder;
use crate::ingester::Settings;
use crate::load::{LoadRecord, RunFile, ShardSum, call_roll};
use crate::report::check_operation;
use crate::{Error, Exit};

use super::super::repeat;
use super::args::{LoadArgs, MergeArgs};
use super::links;
use super::place::{LocalFile, Place};

impl MergeArgs {
    pub(super) fn run(&self) -> Result<Exit, Error> {
        self.export.check()?;
        let config = Config::find(self.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let settings = Settings::of_files()?;
        let targets = config.targets(&suite, &settings)?;
        let folder = self.report_dir.as_ref().unwrap_or(&settings.report_dir);
        check_folder(folder)?;
        let scratch = tempfile::tempdir().map_err(|e| Error::file(&std::env::temp_dir(), "write to", e))?;
        let mut files = Vec::new();
        for (text, number) in self.paths.iter().zip(0..) {
            // A folder each, as files of two places may have the same name.
            let own = scratch.path().join(format!("{number}"));
            std::fs::create_dir(&own).map_err(|e| Error::file(&own, "make", e))?;
            files.extend(run_files(text, &own)?);
        }
        let Some(mut record) = merge(&files)? else {
            let problem = format!(
                "there is no run file of a shard in {}; load --shard I/N --out FOLDER writes one",
                self.paths.join(", ")
            );
            return Err(Error::Setting { name: "load merge", problem });
        };
        // It becomes the name of a file.
        check_operation(&record.operation)?;
        let path = folder.join(format!("{}.json", LoadArgs::file_name(&record.operation, &suite)));
        let targets = LoadArgs::limits(&self.targets, targets, &record.operation);
        // It knows no API, and so no secrets of one.
        record.command = Some(repeat::command(&[]));
        LoadArgs::conclude(&self.export, &record, &targets, Some(&path), links(&path, false))
    }
}

/// The run files that an argument names.
fn run_files(text: &str, scratch: &Path) -> Result<Vec<LocalFile>, Error> {
    let path = Path::new(text);
    // A file that is named is taken, whatever its name.
    if path.is_file() {
        return Ok(vec![LocalFile::at(path.to_owned())]);
    }
    Place::parse("load merge", text)?.files(scratch, |_| true)
}

/// The record of the run that these files are of; nothing where there is no file.
pub(super) fn merge(files: &[LocalFile]) -> Result<Option<LoadRecord>, Error> {
    let mut heads = Vec::with_capacity(files.len());
    for file in files {
        heads.push(RunFile { name: file.name.clone(), shard: LoadRecord::shard_in(&file.path)? });
    }
    let Some(roll) = call_roll(&heads) else { return Ok(None) };
    let mut sum = ShardSum::default();
    for place in &roll.counted {
        let path = &files[*place].path;
        sum.add(LoadRecord::load(path)?).map_err(|problem| Error::malformed(path, problem))?;
    }
    Ok(sum.finish(&roll))
}
