//! The faults that are on, and how many requests each of them has seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::draw;
use super::spec::{FaultKind, FaultSpec, StorageFault};

/// The faults of a stub. They can be switched while requests are under way.
#[derive(Debug)]
pub(crate) struct Faults {
    on: RwLock<Arc<FaultSet>>,
}

/// Faults that were switched on together.
#[derive(Debug)]
pub(super) struct FaultSet {
    pub seed: u64,
    faults: Vec<Armed>,
}

/// One fault, and what it has seen.
#[derive(Debug)]
struct Armed {
    spec: FaultSpec,
    /// Seed of its own, so that faults hit independently of each other.
    seed: u64,
    /// Requests on its route so far.
    requests: AtomicU64,
}

/// What one fault does to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    pub kind: FaultKind,
    /// From 0 up to 1: how long a delay takes, or how much of a body is read.
    pub how_hard: f64,
}

impl Faults {
    pub fn new(specs: Vec<FaultSpec>, seed: u64) -> Self {
        Self { on: RwLock::new(Arc::new(FaultSet::new(specs, seed))) }
    }

    /// Puts these in the place of all that are on. Requests are numbered from 0 again.
    pub(super) fn switch(&self, specs: Vec<FaultSpec>, seed: u64) {
        let set = Arc::new(FaultSet::new(specs, seed));
        // Requests under way keep the faults by which they were hit.
        *self.on.write().unwrap_or_else(PoisonError::into_inner) = set;
    }

    /// What is on.
    pub(super) fn on(&self) -> Arc<FaultSet> {
        Arc::clone(&self.on.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What happens to the next request of this path, in the order of the faults; those of the storage apart. To be
    /// called once a request.
    pub(super) fn hits(&self, path: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        for fault in &self.on().faults {
            if !matches!(fault.spec.kind, FaultKind::Storage(_)) && fault.spec.route.matches(path) {
                hits.extend(fault.draw());
            }
        }
        hits
    }

    /// How the storage fails the next upload, if it does. To be called once an upload, where its file is to be stored.
    pub fn storage(&self) -> Option<StorageFault> {
        let mut found = None;
        for fault in &self.on().faults {
            // All are drawn, whichever comes first: a fault's numbers must not depend on the faults before it.
            if let FaultKind::Storage(storage) = fault.spec.kind
                && fault.draw().is_some()
            {
                found = found.or(Some(storage));
            }
        }
        found
    }
}

impl FaultSet {
    fn new(specs: Vec<FaultSpec>, seed: u64) -> Self {
        let mut faults = Vec::new();
        for (position, spec) in specs.into_iter().enumerate() {
            let seed = draw::seed_of(seed, position);
            faults.push(Armed { spec, seed, requests: AtomicU64::new(0) });
        }
        Self { seed, faults }
    }

    /// Each as text.
    pub fn texts(&self) -> Vec<String> {
        self.faults.iter().map(|fault| fault.spec.to_string()).collect()
    }
}

impl Armed {
    /// Takes the next request's number, and says what becomes of that request.
    fn draw(&self) -> Option<Hit> {
        // `Relaxed`: nothing else is read or written in the order of this counter.
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let how_hard = draw::hit(self.seed, number, self.spec.share)?;
        Some(Hit { kind: self.spec.kind, how_hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: &str = "/api/v1/files/upload";

    fn faults(texts: &[&str], seed: u64) -> Faults {
        Faults::new(specs(texts), seed)
    }

    fn specs(texts: &[&str]) -> Vec<FaultSpec> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    /// Numbers of the requests among the next 20 uploads that are hit.
    fn hits(faults: &Faults) -> Vec<u64> {
        (0..20).filter(|_| !faults.hits(UPLOAD).is_empty()).collect()
    }

    #[test]
    fn requests_are_numbered_on_the_route_of_each_fault() {
        let faults = faults(&["reset,share=25%", "status=500,share=25%,route=/health/*"], 42);
        // A request elsewhere is none of its requests.
        assert!(faults.hits("/metrics").is_empty());
        // Computed by hand in draw.rs: for the first fault, and below for the second.
        assert_eq!(hits(&faults), [4, 5, 6, 7, 8, 16, 19]);
        let second: Vec<u64> = (0..20).filter(|_| !faults.hits("/health/live").is_empty()).collect();
        assert_eq!(second, [0, 1, 4, 10, 16, 18, 19]);
    }

    #[test]
    fn a_request_can_be_hit_by_several_in_their_order() {
        let faults = faults(&["reset,share=25%", "truncate,share=25%"], 42);
        let mut kinds = Vec::new();
        for _ in 0..20 {
            kinds.push(faults.hits(UPLOAD).iter().map(|hit| hit.kind).collect::<Vec<_>>());
        }
        // Number 0 is hit by the second, number 4 by both, number 5 by the first, number 2 by none.
        assert_eq!(kinds[0], [FaultKind::Truncate]);
        assert_eq!(kinds[4], [FaultKind::Reset, FaultKind::Truncate]);
        assert_eq!(kinds[5], [FaultKind::Reset]);
        assert!(kinds[2].is_empty());
    }

    #[test]
    fn the_storage_is_asked_apart_from_requests() {
        let faults = faults(&["full,share=25%", "down,share=25%"], 42);
        assert!(hits(&faults).is_empty());
        let found: Vec<_> = (0..6).map(|_| faults.storage()).collect();
        // Down hits 0, 1 and 4, and full hits 4 and 5: on number 4 the first of both counts.
        let full = Some(StorageFault::Full);
        let down = Some(StorageFault::Down);
        assert_eq!(found, [down, down, None, None, full, full]);
    }

    #[test]
    fn switching_begins_again_at_number_0() {
        let faults = faults(&["reset,share=25%"], 42);
        assert_eq!(hits(&faults), [4, 5, 6, 7, 8, 16, 19]);
        faults.switch(specs(&["truncate,share=25%"]), 43);
        assert_eq!(hits(&faults), [3, 9, 18]);
        assert_eq!((faults.on().texts(), faults.on().seed), (vec!["truncate,share=25%".to_owned()], 43));
        faults.switch(Vec::new(), 43);
        assert!(hits(&faults).is_empty());
    }
}
