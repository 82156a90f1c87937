//! Many operations at once. What is to be done: `plan`, and its parts `profile`, `mix`, `schedule`. What is due now:
//! `queue`, and `users` for the closed model. Doing it: on one thread `drive`, in one pass `pass`, on many threads
//! `engine`, on time `pacer`. What is kept of it: `log`, `second`, `health`. `uploads` is the operation that this project
//! is about.

mod drive;
mod engine;
mod health;
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
