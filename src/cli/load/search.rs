//! The arguments of a search for a capacity.

use crate::targets::{Limit, Metric, read_limit};

/// What reports and targets call a search.
pub const OPERATION: &str = "capacity";

/// What is looked for.
#[derive(clap::Args)]
#[command(next_help_heading = "Capacity")]
pub struct SearchArgs {
    /// Find the highest rate of uploads at which this holds, like p99_ms=500 or success_rate_pct=99.9; can be given several
    /// times
    #[arg(long = "find", value_name = "METRIC=LIMIT", value_parser = target,
          conflicts_with_all = ["users", "rate", "stages", "requests", "step", "targets"])]
    pub finds: Vec<Limit>,
    /// Ask the same of the ingester at this URL, in turn with the first one, and tell whether they differ. The token is the
    /// same
    #[arg(long, value_name = "URL")]
    pub compare_url: Option<String>,
    /// Steps near the answer: more of them make its interval narrower [default: 24]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=300))]
    pub find_steps: Option<u32>,
}

/// A limit as it is typed.
pub fn target(text: &str) -> Result<Limit, String> {
    read_limit(text)
        .ok_or_else(|| format!("write METRIC=NUMBER; there are {}", Metric::ALL.map(Metric::key).join(", ")))
}
