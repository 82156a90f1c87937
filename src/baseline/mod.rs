//! Saved baselines: what Criterion kept of the samples, the reports beside it, both in one file, and two of them
//! compared.

mod bundle;
mod changes;
mod compare;
mod home;
mod kept;
mod page;
mod report;
mod saved;
mod side;

pub use bundle::Bundle;
pub use changes::changes_document;
pub use compare::{Comparison, Figure, Figures, Row, compare};
pub use home::criterion_home;
pub use kept::Side;
pub use page::comparison_page;
pub use report::{Origin, Report};
pub use saved::{Criterion, check_name, check_saved};
