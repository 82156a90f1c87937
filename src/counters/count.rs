//! Counting the iterations of a case.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::work::Work;
use crate::error::Error;
use crate::machine::AllocationMeter;

/// Iterations that do not count. One makes what is kept; two more, as some buffers grow in two steps.
const WARM_UP: u64 = 3;

/// What was counted of a case, in all iterations together: a line of the command's output. Allocations are missing in a
/// program whose allocator does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Id of the case.
    pub case: String,
    pub iterations: u64,
    /// Calls of the allocator that made a block, or made one larger or smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// Bytes that were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Most bytes that an iteration held at once, as seen at each piece of a body and at each answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// Instructions, as callgrind counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
}

/// A case that is ready to be counted.
pub(crate) struct WarmCase {
    id: &'static str,
    work: Box<dyn Work>,
    meter: Arc<AllocationMeter>,
}

impl WarmCase {
    /// Does the work a few times.
    pub(super) fn begin(
        id: &'static str,
        work: Box<dyn Work>,
        meter: Arc<AllocationMeter>,
    ) -> Result<Self, Error> {
        let mut warm = Self { id, work, meter };
        // Not by the function below, in which every instruction counts.
        for _ in 0..WARM_UP {
            warm.work.once().map_err(|failure| warm.failed(failure))?;
        }
        Ok(warm)
    }

    /// Counts so many iterations.
    pub fn count(&mut self, iterations: u64) -> Result<Counted, Error> {
        self.meter.start();
        let ended = counted_iterations(&mut *self.work, iterations);
        // Read before anything else is done.
        let counts = self.meter.counts();
        ended.map_err(|failure| self.failed(failure))?;
        Ok(Counted {
            case: self.id.to_owned(),
            iterations,
            allocations: counts.map(|counts| counts.calls),
            bytes: counts.map(|counts| counts.bytes.0),
            held: counts.map(|counts| counts.held.0),
            instructions: None,
        })
    }

    fn failed(&self, failure: String) -> Error {
        Error::Failed { case: self.id.to_owned(), failures: 1, total: 1, failure }
    }
}

/// Does the work so many times. Callgrind counts what happens in here, and knows this function by its name (`COUNTED_IN`
/// in callgrind.rs): it must not be inlined or renamed, or two builds have nothing in common.
#[inline(never)]
fn counted_iterations(work: &mut dyn Work, iterations: u64) -> Result<(), String> {
    for _ in 0..iterations {
        work.once()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Succeeds so many times, and then fails.
    struct Succeeds(u64);

    impl Work for Succeeds {
        fn once(&mut self) -> Result<(), String> {
            self.0 = self.0.checked_sub(1).ok_or("answered 500")?;
            Ok(())
        }
    }

    fn warm(successes: u64) -> Result<WarmCase, Error> {
        WarmCase::begin("jwt/validate", Box::new(Succeeds(successes)), Arc::default())
    }

    #[test]
    fn an_iteration_that_fails_is_an_error_and_no_count() {
        let says = "jwt/validate: 1 of 1 operations failed, the last one said: answered 500";
        assert_eq!(warm(2).map(drop).expect_err("the third fails").to_string(), says);
        // Three to warm up, and two that count.
        let mut warm = warm(5).expect("is warm");
        assert_eq!(warm.count(2).expect("is counted").iterations, 2);
        assert_eq!(warm.count(1).expect_err("is the sixth").to_string(), says);
    }

    #[test]
    fn a_line_has_what_was_counted_and_no_more() {
        let counted = Counted {
            case: "a".to_owned(),
            iterations: 2,
            allocations: Some(10),
            bytes: None,
            held: None,
            instructions: None,
        };
        let line = r#"{"case":"a","iterations":2,"allocations":10}"#;
        assert_eq!(serde_json::to_string(&counted).expect("serialises"), line);
        assert_eq!(serde_json::from_str::<Counted>(line).expect("is one"), counted);
    }
}
