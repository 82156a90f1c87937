//! Commits in their order: the places that steps lead from and to.

use std::collections::BTreeMap;

/// The commits from a start to the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitLine {
    /// Hashes in their order. The first is the start.
    hashes: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl CommitLine {
    /// A line that goes on from `start` with these commits, the oldest first.
    pub fn new(start: &str, after: &[String]) -> Self {
        let mut hashes = vec![start.to_owned()];
        hashes.extend_from_slice(after);
        let mut places = BTreeMap::new();
        for (place, hash) in hashes.iter().enumerate() {
            places.insert(hash.clone(), place);
        }
        Self { hashes, places }
    }

    /// The same, where a release that is not on the line counts as its start: it is where the line left the release's.
    pub fn starting_at(mut self, release: &str) -> Self {
        self.places.entry(release.to_owned()).or_insert(0);
        self
    }

    /// The place of a commit, if it is on the line.
    pub fn place(&self, hash: &str) -> Option<usize> {
        self.places.get(hash).copied()
    }

    /// The hash of the commit at this place.
    pub fn hash(&self, place: usize) -> &str {
        &self.hashes[place]
    }

    /// The place of the newest commit: 0 where nothing follows the start.
    pub fn end(&self) -> usize {
        self.hashes.len() - 1
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::entry::tests::hash;
    use super::*;

    /// A line from commit 0 to commit `end`, by their numbers.
    pub fn line(end: usize) -> CommitLine {
        let after: Vec<String> = (1..=end).map(hash).collect();
        CommitLine::new(&hash(0), &after)
    }

    #[test]
    fn commits_have_places() {
        let line = line(2);
        assert_eq!(
            (line.place(&hash(0)), line.place(&hash(2)), line.place(&hash(3))),
            (Some(0), Some(2), None)
        );
        assert_eq!((line.hash(1), line.end()), (hash(1).as_str(), 2));
        let from_aside = line.starting_at(&hash(9));
        assert_eq!((from_aside.place(&hash(9)), from_aside.hash(0)), (Some(0), hash(0).as_str()));
    }
}
