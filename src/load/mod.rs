//! Many operations at once: who does which (`schedule`), and doing it (`engine`).

mod engine;
mod schedule;

pub use engine::{Pass, load_test_scenario, run_pass};
pub use schedule::Closed;
