//! Reports: from a recording to JSON, and to a document that people read.

mod collector;
mod finding;
mod findings;
#[cfg(test)]
mod fixture;
mod load;
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
mod table;

pub use collector::{PerformanceCollector, benchmark_timer};
pub use finding::Finding;
pub use findings::LEAST_SUCCESS_PCT;
pub use load::{LoadReport, RunReport, ScheduleReport, Summary};
pub use load_table::outcome_document;
pub use of_record::{LoadOutcome, people};
pub use performance::{FailureReport, PerformanceReport, Plan};
pub use quantile::{Interval, Intervals};
pub use resources::{MachineReport, MeanMax, ResourceReport, SecondUse, SideReport};
pub use save::{check_operation, save_as, save_performance_report};
pub use series::{SecondReport, seconds_table, write_hlog};
pub use table::{failures, figures, simulated, targets, unverified};
