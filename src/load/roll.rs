//! The roll of a run's shards: which are there, which are missing, and which files do not belong. Told from the heads of run
//! files, before their figures are read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::shard::Shard;
use super::shard_record::ShardRecord;

/// How far from the others a shard may begin by its clock: each of two may be late by a second.
const APART: Duration = Duration::from_secs(2);
/// Most indices that a message lists.
const LISTED: usize = 20;

/// The head of a run file.
#[derive(Debug, Clone)]
pub(crate) struct RunFile {
    /// Its name, for people.
    pub name: String,
    /// What it says of itself.
    pub shard: ShardRecord,
}

/// The roll of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roll {
    /// How many shards the run has.
    pub of: u32,
    /// What they have in common.
    pub plan_hash: String,
    /// The files to be counted, by their place among those that were given, in the order of their shards.
    pub counted: Vec<usize>,
    /// What is wrong with the others.
    pub problems: Vec<RollProblem>,
}

/// A reason why the shards that are there are not one whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RollProblem {
    /// These shards have no file.
    Missing { of: u32, indices: Vec<u32> },
    /// Two files of one shard.
    Doubled { shard: Shard, first: String, second: String },
    /// A file of a run with another plan.
    Foreign { shard: Shard, name: String, other: String },
    /// A file of a run at another time.
    OtherTime { shard: Shard, name: String, apart: Duration },
}

impl fmt::Display for RollProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { of, indices } => {
                let listed: Vec<String> =
                    indices.iter().take(LISTED).map(|index| format!("{index}/{of}")).collect();
                if let [index] = listed.as_slice() {
                    return write!(
                        f,
                        "shard {index} is missing: it left no run file, and nothing of it is counted; its own output says why"
                    );
                }
                write!(f, "shards {}", listed.join(", "))?;
                if indices.len() > LISTED {
                    write!(f, " and {} more", indices.len() - LISTED)?;
                }
                f.write_str(
                    " are missing: they left no run file, and nothing of them is counted; their own output says why",
                )
            }
            Self::Doubled { shard, first, second } => {
                write!(
                    f,
                    "shard {shard} is there twice: {first} is counted, {second} is not; keep one of them"
                )
            }
            Self::Foreign { shard, name, other } => write!(
                f,
                "{name} (shard {shard}) is of another run than {other}: schedule, seed, files, steps, network, protocol, number \
                 of shards or build differ; it is not counted"
            ),
            Self::OtherTime { shard, name, apart } => write!(
                f,
                "{name} (shard {shard}) began {apart:.1?} apart from the others: it is left from another time, or its clock \
                 is wrong; it is not counted"
            ),
        }
    }
}

/// Calls the roll; nothing where there is no file. The run is the one that most files are of.
pub(crate) fn call_roll(files: &[RunFile]) -> Option<Roll> {
    let mut by_run: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, file) in files.iter().enumerate() {
        by_run.entry(&file.shard.plan_hash).or_default().push(place);
    }
    // Of runs with as many files the one that was given first, as its places are lower.
    let mut own: &[usize] = &[];
    for places in by_run.values() {
        if places.len() > own.len() || places.len() == own.len() && places.first() < own.first() {
            own = places;
        }
    }
    let reference = &files[*own.first()?];
    let of = reference.shard.shard.of();
    let mut problems = Vec::new();
    for file in files {
        if file.shard.plan_hash != reference.shard.plan_hash {
            problems.push(RollProblem::Foreign {
                shard: file.shard.shard,
                name: file.name.clone(),
                other: reference.name.clone(),
            });
        }
    }

    let middle = middle_start(files, own);
    let mut by_index: BTreeMap<u32, usize> = BTreeMap::new();
    for &place in own {
        let file = &files[place];
        let shard = file.shard.shard;
        let apart = apart(file.shard.clock.started, middle);
        if apart > APART {
            problems.push(RollProblem::OtherTime { shard, name: file.name.clone(), apart });
            continue;
        }
        if let Some(first) = by_index.get(&shard.index()) {
            let first = files[*first].name.clone();
            problems.push(RollProblem::Doubled { shard, first, second: file.name.clone() });
            continue;
        }
        by_index.insert(shard.index(), place);
    }
    let missing: Vec<u32> = (0..of).filter(|index| !by_index.contains_key(index)).collect();
    if !missing.is_empty() {
        problems.push(RollProblem::Missing { of, indices: missing });
    }
    Some(Roll {
        of,
        plan_hash: reference.shard.plan_hash.clone(),
        counted: by_index.into_values().collect(),
        problems,
    })
}

/// The start in the middle of those of these files: where most are of one time, it is one of theirs.
fn middle_start(files: &[RunFile], places: &[usize]) -> SystemTime {
    let mut starts: Vec<SystemTime> = places.iter().map(|&place| files[place].shard.clock.started).collect();
    starts.sort_unstable();
    starts[starts.len() / 2]
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    // One of the two is not negative.
    one.duration_since(other).or_else(|_| other.duration_since(one)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::shard_record::ShardClock;
    use super::*;

    /// A file of the shard `index` of four that began so many ms after a certain time.
    fn file(name: &str, index: u32, hash: &str, ms: u64) -> RunFile {
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + ms);
        let clock = ShardClock { agreed: None, started, ended: started, lasted: Duration::ZERO };
        let shard = Shard::new(index, 4).expect("is one");
        RunFile { name: name.to_owned(), shard: ShardRecord { shard, plan_hash: hash.to_owned(), clock } }
    }

    /// The files that are counted, and what is said of the others.
    fn called(files: &[RunFile]) -> (Vec<usize>, Vec<String>) {
        let roll = call_roll(files).expect("there are files");
        (roll.counted, roll.problems.iter().map(RollProblem::to_string).collect())
    }

    #[test]
    fn a_whole_run_is_counted_in_the_order_of_its_shards() {
        let files =
            [file("d", 3, "x", 0), file("a", 0, "x", 900), file("c", 2, "x", 1), file("b", 1, "x", 3)];
        assert_eq!(called(&files), (vec![1, 3, 2, 0], Vec::new()));
        assert_eq!(call_roll(&[]), None);
    }

    #[test]
    fn a_missing_shard_is_named() {
        let files = [file("a", 0, "x", 0), file("d", 3, "x", 0), file("c", 2, "x", 0)];
        let problem = "shard 1/4 is missing: it left no run file, and nothing of it is counted; its own output says why";
        assert_eq!(called(&files), (vec![0, 2, 1], vec![problem.to_owned()]));
    }

    #[test]
    fn a_doubled_shard_is_counted_once_and_named() {
        let mut files: Vec<RunFile> = (0..4).map(|index| file(&format!("f{index}"), index, "x", 0)).collect();
        files.push(file("again", 2, "x", 0));
        let problem = "shard 2/4 is there twice: f2 is counted, again is not; keep one of them";
        assert_eq!(called(&files), (vec![0, 1, 2, 3], vec![problem.to_owned()]));
    }

    #[test]
    fn a_foreign_shard_is_named_though_it_comes_first() {
        let files = [file("a", 0, "y", 0), file("b", 1, "x", 0), file("c", 2, "x", 0), file("d", 3, "x", 0)];
        let (counted, problems) = called(&files);
        assert_eq!(counted, [1, 2, 3]);
        assert!(
            problems[0].starts_with("a (shard 0/4) is of another run than b: schedule, seed"),
            "{problems:?}"
        );
        assert!(problems[1].starts_with("shard 0/4 is missing"), "{problems:?}");
    }

    #[test]
    fn a_shard_that_is_left_from_another_time_is_not_counted() {
        let files =
            [file("a", 0, "x", 60_000), file("b", 1, "x", 1), file("c", 2, "x", 2), file("d", 3, "x", 0)];
        let (counted, problems) = called(&files);
        assert_eq!(counted, [1, 2, 3]);
        // The middle one of 0, 1, 2 and 60,000 ms is the third.
        assert!(problems[0].starts_with("a (shard 0/4) began 60.0s apart from the others"), "{problems:?}");
        assert!(problems[1].starts_with("shard 0/4 is missing"), "{problems:?}");
    }

    #[test]
    fn of_very_many_missing_shards_the_first_are_named() {
        let missing = RollProblem::Missing { of: 1_000, indices: (0..25).collect() }.to_string();
        assert!(missing.starts_with("shards 0/1000, 1/1000, "), "{missing}");
        assert!(missing.contains("19/1000 and 5 more are missing"), "{missing}");
    }
}
