//! Pure statistics: order-statistic intervals, medians of paired blocks, an exact test over pairs, the slope of a series,
//! resampled means, and ratios that can only rise.

mod batches;
mod envelope;
mod isotonic;
mod order;
mod paired;
mod resample;
mod sign_flip;
mod slope;

pub use batches::Batches;
pub use envelope::lowest_of_windows;
pub use isotonic::{RatioAt, pool_violators};
pub use order::{Ranks, quantile_ranks};
pub use paired::{Effect, median, median_effect};
pub use resample::{MeanInterval, Resamples};
pub use sign_flip::{EXHAUSTIVE_PAIRS, SignFlip, detectable_shift, sign_flip_max, smallest_p};
pub use slope::{Point, Slope, theil_sen};
