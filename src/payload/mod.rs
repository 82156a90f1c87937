//! What is uploaded: seeded test files, and the bodies that carry them.

mod file;
mod form;
mod large;
mod mix;

pub use file::{Content, DEFAULT_SEED, TestFile, generate_test_file};
pub use form::{BodyFormat, EncodedBody, Form, Frame};
pub use large::{LargeFile, Pieces};
pub use mix::{Mix, NotAMix};
