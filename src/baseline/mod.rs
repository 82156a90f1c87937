//! Criterion's saved baselines, read back before anything is measured against them.

mod saved;

pub use saved::{check_name, check_saved};
