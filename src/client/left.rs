//! What one user leaves with the service: where each upload can be removed, or that this is not known.

use std::sync::Arc;

use crate::ingester::Leftovers;

/// The uploads of one user. They are added to those of all users when it ends, so that no upload waits for a lock.
#[derive(Debug)]
pub(super) struct Left {
    told_to: Option<Arc<Leftovers>>,
    paths: Vec<String>,
    unknown: u64,
    /// Whether an upload is under way whose path only its answer tells.
    pending: bool,
}

impl Left {
    /// Nothing is removed, and so nothing is kept.
    pub fn nowhere() -> Self {
        Self::telling(None)
    }

    fn telling(told_to: Option<Arc<Leftovers>>) -> Self {
        Self { told_to, paths: Vec::new(), unknown: 0, pending: false }
    }

    /// To be removed by whoever has `leftovers`.
    pub fn told_to(leftovers: &Arc<Leftovers>) -> Self {
        Self::telling(Some(Arc::clone(leftovers)))
    }

    /// One that tells the same, and has nothing yet.
    pub fn another(&self) -> Self {
        Self::telling(self.told_to.clone())
    }

    /// An upload begins. Those before it that had no answer may be stored all the same.
    pub fn begins(&mut self) {
        if self.pending {
            self.unknown += 1;
        }
        self.pending = true;
    }

    /// An upload is stored, or may be; without a path where the service did not say what it calls it.
    pub fn stored(&mut self, path: Option<String>) {
        self.pending = false;
        match path {
            // The same file under the same name again.
            Some(path) if self.paths.last() == Some(&path) => {}
            Some(path) => self.paths.push(path),
            None => self.unknown += 1,
        }
    }

    /// The service refused the upload, and so keeps nothing.
    pub fn refused(&mut self) {
        self.pending = false;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(leftovers) = &self.told_to {
            let unknown = self.unknown + u64::from(self.pending);
            leftovers.add(std::mem::take(&mut self.paths), unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_answer_counts_as_unknown() {
        let leftovers = Arc::new(Leftovers::default());
        let mut left = Left::told_to(&leftovers);
        left.begins();
        left.stored(Some("files/1".to_owned()));
        // The first of these two has no answer when the second one begins: one that is unknown.
        left.begins();
        left.begins();
        left.refused();
        left.begins();
        // An answer without a path is the second, an upload that is under way at the end the third.
        left.stored(None);
        left.begins();
        drop(left);
        assert_eq!(leftovers.take(), (vec!["files/1".to_owned()], 3));
        assert_eq!(leftovers.take(), (vec![], 0));
    }

    #[test]
    fn a_file_that_is_overwritten_is_removed_once() {
        let leftovers = Arc::new(Leftovers::default());
        let mut left = Left::told_to(&leftovers);
        left.stored(Some("a.txt".to_owned()));
        left.stored(Some("a.txt".to_owned()));
        drop(left);
        assert_eq!(leftovers.take().0.len(), 1);
    }
}
