//! Runs many operations at once.
//!
//! * What is to be done: `plan`, and its parts `profile`, `mix` and `schedule`.
//! * What is due now: `queue`, and `users` for the closed model.
//! * Doing it: `drive` on one thread, `pass` in one pass, `engine` on many threads, `pacer` to be on time.
//! * What is kept of it: `recorder`, `second`, `health`.
//! * The operation that this project is about: `uploads`.

mod drive;
mod engine;
mod health;
mod job;
mod mix;
mod pacer;
mod pass;
mod plan;
mod profile;
mod queue;
mod recorder;
mod schedule;
mod second;
mod uploads;
mod users;

pub use drive::Operation;
pub use engine::{Run, run};
pub use health::Health;
pub use mix::{Mix, NotAMix};
pub use pacer::Pacer;
pub use pass::{Function, load_test_scenario, run_pass};
pub use plan::{Model, Plan};
pub use profile::{ENDLESS, NotAStage, Profile, Stage};
pub use recorder::{LoadRecording, Times};
pub use schedule::{Arrivals, Closed, Schedule};
pub use second::Second;
pub use uploads::{Shared, UploadOperation};
