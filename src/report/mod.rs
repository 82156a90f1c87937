//! Reports: from a recording to JSON and to a table that people read.

mod changes;
mod collector;
mod finding;
mod findings;
mod load;
mod load_table;
mod of_load;
mod performance;
mod quantile;
mod ratio;
mod save;
mod series;
mod table;

pub use changes::print_changes;
pub use collector::{PerformanceCollector, benchmark_timer};
pub use finding::Finding;
pub use findings::LEAST_SUCCESS_PCT;
pub use load::{LoadReport, LookReport, RunReport, ScheduleReport, Summary};
pub use load_table::{print_findings, print_load, print_runs};
pub use performance::{FailureReport, PerformanceReport, Plan};
pub use quantile::{Interval, Intervals};
pub use ratio::{Ratio, print_ratios};
pub use save::{check_operation, save_as, save_performance_report};
pub use series::{SecondReport, write_csv, write_hlog};
pub use table::latency;
pub(crate) use table::table;
pub use table::{print_failures, print_figures, print_targets, print_unverified};
