//! What is counted: an operation that is done again and again, in this thread.

/// The operation of a counted case. It tells the case's meter where an iteration begins, and when to look.
pub(super) trait Work {
    /// Does it once; an error says what came out wrong.
    fn once(&mut self) -> Result<(), String>;
}
