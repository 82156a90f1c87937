//! Reports: from a recording to JSON, and to a document that people read.
//!
//! What is read on a terminal is made by `load_table` and `table`, what is read on a page by `load_page`; `checks` says what
//! had to hold.

mod capacity;
mod capacity_document;
mod checks;
mod collector;
mod distribution;
mod drawing;
mod finding;
mod findings;
#[cfg(test)]
mod fixture;
mod load;
mod load_page;
mod load_table;
mod of_load;
mod of_record;
mod performance;
mod quantile;
mod resource_findings;
mod resource_table;
mod resources;
mod save;
mod series;
mod shards;
mod step_table;
mod table;
mod timeline;

pub use capacity::{CapacityReport, CurvePoint, CurveVerdict, ServiceCapacity};
// What only the page of the benches asks for.
#[cfg(feature = "criterion")]
pub(crate) use checks::{conclusion_of, success_check, target_checks};
pub use collector::{PerformanceCollector, benchmark_timer};
pub(crate) use distribution::Distribution;
#[cfg(feature = "criterion")]
pub(crate) use drawing::latency_bars;
pub(crate) use drawing::{
    NamedDistribution, add_chart, add_lines, add_table, chart, environment_table, percentile_curves, series,
};
pub use finding::Finding;
pub use findings::LEAST_SUCCESS_PCT;
pub use load::{LoadReport, RunReport, ScheduleReport, Summary, people};
pub use load_page::load_page;
pub use load_table::outcome_document;
pub use of_record::LoadOutcome;
pub use performance::{FailureReport, PerformanceReport, Plan, StepReport};
pub use quantile::{Interval, Intervals};
pub use resources::{MachineReport, MeanMax, ResourceReport, SecondUse, SideReport};
pub use save::{check_operation, save_as, save_performance_report};
pub use series::{SecondReport, seconds_table, write_hlog};
pub(crate) use shards::shard_document;
pub use shards::{ShardReport, ShardsReport};
pub use step_table::steps_table;
pub use table::{failures, figures, simulated, targets, unverified};
