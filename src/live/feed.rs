//! What a run tells while it goes on. Telling never waits: whoever listens may be as slow as they like.

use tokio::sync::mpsc::UnboundedSender;

use crate::document::Document;
use crate::load::{Plan, ResourceSample, Run, Second};

/// Something that happened in a run.
#[derive(Debug)]
pub(super) enum RunEvent {
    /// A run of this plan begins, perhaps after an earlier one.
    Begins(Plan),
    /// These seconds of it are over.
    Seconds(Vec<Second>),
    /// This was used since the last reading.
    Used(Box<ResourceSample>),
    /// It is over, with the seconds that were not told of while it ran, and the requests that never ended.
    Over {
        /// Its last seconds.
        rest: Vec<Second>,
        /// Requests that never ended.
        unfinished: u64,
    },
    /// No further run comes. What all of them come to, if they could be reported.
    Ends(Option<Document>),
}

/// Where runs tell of themselves, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct LiveFeed {
    events: UnboundedSender<RunEvent>,
    /// Seconds of the run under way that were told.
    told: usize,
}

impl LiveFeed {
    pub(super) fn new(events: UnboundedSender<RunEvent>) -> Self {
        Self { events, told: 0 }
    }

    /// Tells that a run begins.
    pub(crate) fn begins(&mut self, plan: &Plan) {
        self.told = 0;
        self.send(RunEvent::Begins(plan.clone()));
    }

    /// Tells of the seconds that are over.
    pub(crate) fn seconds(&mut self, seconds: &[Second]) {
        // Asked every ten milliseconds, and a second is over once in a hundred of them.
        if seconds.is_empty() {
            return;
        }
        self.told += seconds.len();
        self.send(RunEvent::Seconds(seconds.to_vec()));
    }

    /// Tells what was used.
    pub(crate) fn used(&self, sample: &ResourceSample) {
        self.send(RunEvent::Used(Box::new(*sample)));
    }

    /// Tells that the run is over. The seconds in which the workers end are known only now.
    pub(crate) fn over(&self, run: &Run) {
        let rest = run.seconds[self.told..].to_vec();
        self.send(RunEvent::Over { rest, unfinished: run.load.unfinished.count() });
    }

    fn send(&self, event: RunEvent) {
        // An error means that the other thread has ended, which must not disturb the run.
        let _ = self.events.send(event);
    }
}
