//! Reports: from a recording to JSON and to a table that people read.

mod changes;
mod collector;
mod performance;
mod quantile;
mod ratio;
mod save;
mod table;

pub use changes::print_changes;
pub use collector::{PerformanceCollector, benchmark_timer};
pub use performance::{FailureReport, PerformanceReport, Plan};
pub use quantile::{Interval, Intervals};
pub use ratio::{Ratio, print_ratios};
pub use save::save_performance_report;
pub(crate) use table::{latency, table};
pub use table::{print_failures, print_figures, print_targets};
