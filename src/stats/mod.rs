//! Pure statistics: order-statistic intervals, medians of paired blocks, and an exact test over pairs.

mod batches;
mod order;
mod paired;
mod sign_flip;

pub use batches::Batches;
pub use order::{Ranks, quantile_ranks};
pub use paired::{Effect, median, median_effect};
pub use sign_flip::{EXHAUSTIVE_PAIRS, SignFlip, detectable_shift, sign_flip_max, smallest_p};
