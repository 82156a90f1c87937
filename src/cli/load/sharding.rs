//! Which part of a schedule this process performs, and from when on, as arguments and an engine's variables say.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Error;
use crate::console::note;
use crate::load::{NotAShard, Shard};

/// Most processes on one machine.
const MOST_LOCAL: u32 = 256;
/// How far ahead a start may be agreed on: a time further away is one of another day.
const FAR: Duration = Duration::from_secs(24 * 3600);
/// Variables in which engines tell a task its index, and those in which they tell how many there are, if they do. The first
/// that is set counts: `mpirun` within a Slurm job sets its own and inherits Slurm's, which are those of the whole job.
const VARIABLES: [EngineVariables; 4] = [
    EngineVariables { index: "OMPI_COMM_WORLD_RANK", number: Some("OMPI_COMM_WORLD_SIZE") },
    EngineVariables { index: "SLURM_PROCID", number: Some("SLURM_NTASKS") },
    EngineVariables { index: "JOB_COMPLETION_INDEX", number: None },
    EngineVariables { index: "AWS_BATCH_JOB_ARRAY_INDEX", number: Some("AWS_BATCH_JOB_ARRAY_SIZE") },
];

/// Variables of one engine.
struct EngineVariables {
    index: &'static str,
    number: Option<&'static str>,
}

/// One schedule, performed by several generators.
#[derive(clap::Args)]
#[command(next_help_heading = "Shards (docs/scale.md)")]
pub struct ShardArgs {
    /// Perform this part of the schedule only: 0/4, 1/4, 2/4 or 3/4; or env, where Slurm (srun), Open MPI, a Kubernetes Indexed
    /// Job or an AWS Batch array says which. Writes a run file for `load merge`
    #[arg(long, value_name = "I/N|env", conflicts_with_all = ["from", "to", "step", "repeat", "cleanup", "phases", "profile"])]
    pub shard: Option<ShardArg>,
    /// Perform the schedule in so many processes on this machine, and merge them; with --shard env, how many shards there
    /// are where the engine does not say
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000),
          conflicts_with_all = ["from", "to", "step", "repeat", "cleanup", "phases", "profile"])]
    pub shards: Option<u32>,
    /// When all shards begin: a time like 2026-11-26T18:00:00Z, or so long from now, like +30s
    // Whoever starts this program again adds arguments of its own behind the user's.
    #[arg(long, value_name = "TIME|+TIME", overrides_with = "start_at")]
    start_at: Option<StartArg>,
    /// Where run files go: a folder, or s3://bucket/prefix and the like [default: the folder for reports; with --shards, one
    /// in it]
    #[arg(long, value_name = "FOLDER|URL", overrides_with = "out")]
    pub out: Option<String>,
    /// The process that started this one as a shard, and with which it ends.
    #[arg(long, hide = true, value_name = "PID", requires = "shard")]
    pub parent: Option<u32>,
}

/// What this process is to do of a schedule that is cut into shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharding {
    /// One of them.
    One(Shard),
    /// All of them, each in a process of its own.
    Local(u32),
}

/// A shard on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardArg {
    /// This one.
    Is(Shard),
    /// The one that the engine's variables name.
    OfEngine,
}

impl FromStr for ShardArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "env" {
            return Ok(Self::OfEngine);
        }
        text.parse().map(Self::Is).map_err(|e: NotAShard| format!("{e}; or write env"))
    }
}

/// An agreed start on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StartArg {
    /// At this time.
    At(SystemTime),
    /// So long from now.
    In(Duration),
}

impl FromStr for StartArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(after) = text.strip_prefix('+') {
            let after = humantime::parse_duration(after).ok().filter(|after| *after <= FAR);
            let after = after.ok_or("write a time of at most a day with its unit, like +30s")?;
            return Ok(Self::In(after));
        }
        let at = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|e| format!("{e}; write a time like 2026-11-26T18:00:00Z, or +30s"))?;
        Ok(Self::At(at.into()))
    }
}

impl ShardArgs {
    /// What is asked for; nothing where the schedule is performed as a whole.
    pub fn sharding(&self) -> Result<Option<Sharding>, Error> {
        match (self.shard, self.shards) {
            (None, None) => {
                self.check_only_shards_have()?;
                Ok(None)
            }
            (None, Some(of)) if of > MOST_LOCAL => {
                let problem =
                    format!("{of} processes on one machine are more than {MOST_LOCAL}; use more machines");
                Err(wrong("--shards", problem))
            }
            (None, Some(of)) => Ok(Some(Sharding::Local(of))),
            (Some(ShardArg::Is(shard)), None) => Ok(Some(Sharding::One(shard))),
            (Some(ShardArg::Is(shard)), Some(of)) if shard.of() == of => Ok(Some(Sharding::One(shard))),
            (Some(ShardArg::Is(shard)), Some(of)) => {
                Err(wrong("--shards", format!("{of}, and --shard says {shard}; leave --shards out")))
            }
            (Some(ShardArg::OfEngine), of) => {
                let told = of_engine(|name| std::env::var(name).ok(), of)?;
                note(format_args!("Shard {}, as {} says", told.shard, told.by));
                Ok(Some(Sharding::One(told.shard)))
            }
        }
    }

    /// The agreed start, if there is one. `now` is when this program was started.
    pub fn start(&self, now: SystemTime) -> Result<Option<SystemTime>, Error> {
        let at = match self.start_at {
            None => return Ok(None),
            Some(StartArg::In(after)) => now + after,
            Some(StartArg::At(at)) => at,
        };
        // One that is past by little is late, and told as such.
        let ahead = at.duration_since(now).or_else(|_| now.duration_since(at)).unwrap_or_default();
        if ahead > FAR {
            let problem = "is more than a day away from the clock of this machine; write the time of the start, with its \
                           zone, or +30s";
            return Err(wrong("--start-at", problem.to_owned()));
        }
        Ok(Some(at))
    }

    /// An error for what means something for shards only.
    fn check_only_shards_have(&self) -> Result<(), Error> {
        let given = [("--start-at", self.start_at.is_some()), ("--out", self.out.is_some())];
        for (name, is_given) in given {
            if is_given {
                return Err(wrong(name, "is for shards; add --shard I/N or --shards N".to_owned()));
            }
        }
        Ok(())
    }
}

/// A shard, and the variable that names it.
#[derive(Debug, PartialEq, Eq)]
struct ToldShard {
    shard: Shard,
    by: &'static str,
}

/// The shard that an engine's variables name, of as many as they or `--shards` say.
fn of_engine(lookup: impl Fn(&str) -> Option<String>, shards: Option<u32>) -> Result<ToldShard, Error> {
    for EngineVariables { index, number } in VARIABLES {
        let Some(text) = lookup(index) else { continue };
        let told = number.and_then(|name| Some((name, lookup(name)?)));
        let of = match (told, shards) {
            (Some((name, text)), given) => {
                let of = whole_number(name, &text)?;
                if given.is_some_and(|given| given != of) {
                    let problem = format!("differs from {name}, which is {of}; leave --shards out");
                    return Err(wrong("--shards", problem));
                }
                of
            }
            (None, Some(given)) => given,
            (None, None) => {
                let problem = format!(
                    "{index} says which shard this is, and nothing how many there are; add --shards N"
                );
                return Err(wrong("--shard", problem));
            }
        };
        let shard = Shard::new(whole_number(index, &text)?, of);
        let shard = shard.map_err(|e| wrong("--shard", format!("{index}: {e}")))?;
        return Ok(ToldShard { shard, by: index });
    }
    let names: Vec<&str> = VARIABLES.iter().map(|variables| variables.index).collect();
    let problem =
        format!("env, and none of {} is set; start it with the engine, or write I/N", names.join(", "));
    Err(wrong("--shard", problem))
}

fn whole_number(name: &str, text: &str) -> Result<u32, Error> {
    let number = text.trim().parse();
    number.map_err(|_| wrong("--shard", format!("{name} is \"{}\", not a whole number", text.escape_debug())))
}

fn wrong(name: &'static str, problem: String) -> Error {
    Error::Setting { name, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read where these variables are set.
    fn told(variables: &[(&str, &str)], shards: Option<u32>) -> Result<ToldShard, String> {
        let told = of_engine(
            |name| {
                let found = variables.iter().find(|(variable, _)| *variable == name)?;
                Some(found.1.to_owned())
            },
            shards,
        );
        told.map_err(|e| e.to_string())
    }

    /// Arguments with this start, and nothing else.
    fn starting(start_at: &str) -> ShardArgs {
        let start_at = Some(start_at.parse().expect("is a start"));
        ShardArgs { shard: None, shards: None, start_at, out: None, parent: None }
    }

    fn shard(text: &str) -> Shard {
        text.parse().expect("is one")
    }

    #[test]
    fn engines_tell_the_shard_by_variables_of_their_own() {
        let slurm = [("SLURM_PROCID", "3"), ("SLURM_NTASKS", "16")];
        assert_eq!(told(&slurm, None), Ok(ToldShard { shard: shard("3/16"), by: "SLURM_PROCID" }));
        let within_slurm = [
            ("SLURM_PROCID", "0"),
            ("SLURM_NTASKS", "16"),
            ("OMPI_COMM_WORLD_RANK", "2"),
            ("OMPI_COMM_WORLD_SIZE", "8"),
        ];
        assert_eq!(told(&within_slurm, Some(8)).map(|told| told.shard), Ok(shard("2/8")));
        for name in ["JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"] {
            assert_eq!(told(&[(name, "1")], Some(4)).map(|told| told.shard), Ok(shard("1/4")));
        }
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "5"), ("AWS_BATCH_JOB_ARRAY_SIZE", "6")];
        assert_eq!(told(&batch, None).map(|told| told.shard), Ok(shard("5/6")));
    }

    #[test]
    fn what_engines_do_not_tell_is_asked_for() {
        for (variables, shards, says) in [
            (&[][..], None, "none of OMPI_COMM_WORLD_RANK, SLURM_PROCID, JOB_COMPLETION_INDEX"),
            (&[("JOB_COMPLETION_INDEX", "1")], None, "nothing how many there are; add --shards N"),
            (
                &[("SLURM_PROCID", "1"), ("SLURM_NTASKS", "4")],
                Some(5),
                "differs from SLURM_NTASKS, which is 4",
            ),
            (&[("SLURM_PROCID", "4"), ("SLURM_NTASKS", "4")], None, "SLURM_PROCID: there is no shard 4/4"),
            (
                &[("SLURM_PROCID", "x"), ("SLURM_NTASKS", "4")],
                None,
                "SLURM_PROCID is \"x\", not a whole number",
            ),
        ] {
            let error = told(variables, shards).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_start_is_a_time_or_so_long_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let in_30 = now + Duration::from_secs(30);
        for text in ["+30s", "1970-01-01T00:17:10Z", "1970-01-01T02:17:10.000+02:00"] {
            assert_eq!(starting(text).start(now).expect("is near"), Some(in_30), "{text}");
        }
        let error = starting("2026-11-26T18:00:00Z").start(now).expect_err("is far").to_string();
        assert!(error.contains("more than a day away"), "{error}");
        for text in ["30s", "+", "+2days", "18:00", ""] {
            assert!(text.parse::<StartArg>().is_err(), "{text}");
        }
        let error = starting("+1s").sharding().expect_err("is no shard").to_string();
        assert_eq!(error, "--start-at: is for shards; add --shard I/N or --shards N");
    }
}
