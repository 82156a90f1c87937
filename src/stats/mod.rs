//! Pure statistics: ranks of quantiles with their intervals, and paired comparisons.

mod order;
mod paired;

pub use order::{Ranks, quantile_ranks};
pub use paired::{Effect, median_effect};
