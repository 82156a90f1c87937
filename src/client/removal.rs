//! Removing what a run left with the service, after it and outside all measured time.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use hyper::StatusCode;

use super::user::Client;
use crate::api::Cleanup;

/// Requests under way at once.
const AT_ONCE: usize = 8;
/// So many failures in a row end a user's part: the service is gone.
const PATIENCE: u64 = 5;

/// What became of the files that a run left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files that are gone, those included that were gone already.
    pub removed: u64,
    /// Files that could not be removed.
    pub failed: u64,
    /// Why, for one of them.
    pub example: Option<String>,
    /// Uploads that may be stored under a name that the service did not tell.
    pub unknown: u64,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Removed {} of {} files that this run left behind",
            self.removed,
            self.removed + self.failed
        )?;
        if let Some(example) = &self.example {
            write!(f, "; {} could not be removed, one because: {example}", self.failed)?;
        }
        if self.unknown > 0 {
            write!(
                f,
                "; {} more may be stored, as they had no answer, or one that does not say what the service calls them",
                self.unknown
            )?;
        }
        Ok(())
    }
}

/// Removes the files at these paths as `cleanup` says. `user` shows how requests look.
pub async fn remove(user: &Client, cleanup: &Cleanup, (paths, unknown): (Vec<String>, u64)) -> Removed {
    let next = Mutex::new(paths.into_iter());
    let all = Mutex::new(Removed { unknown, ..Removed::default() });
    let worker = async || {
        let mut user = user.another();
        let mut failures_in_a_row = 0;
        loop {
            // A statement of its own: the lock must not be held while a request is under way.
            let path = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(path) = path else { break };
            let problem = if failures_in_a_row < PATIENCE {
                problem(&mut user, cleanup, &path).await
            } else {
                Some("the service did not answer several times in a row".to_owned())
            };
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            match problem {
                None => {
                    failures_in_a_row = 0;
                    all.removed += 1;
                }
                Some(problem) => {
                    failures_in_a_row += 1;
                    all.failed += 1;
                    all.example.get_or_insert(problem);
                }
            }
        }
    };
    join_all((0..AT_ONCE).map(|_| worker())).await;
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Why the file at this path could not be removed.
async fn problem(user: &mut Client, cleanup: &Cleanup, path: &str) -> Option<String> {
    let request = match user.bare_request(&cleanup.method, path) {
        Ok(request) => request,
        Err(failure) => return Some(failure.message),
    };
    match user.send(request).await {
        Ok(status) if status.is_success() => None,
        // It was never stored, or has gone by itself.
        Ok(StatusCode::NOT_FOUND | StatusCode::GONE) => None,
        Ok(status) => Some(format!("{} /{path}: {status}", cleanup.method)),
        Err(failure) => Some(format!("{} /{path}: {}", cleanup.method, failure.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_removed_is_said() {
        let all = Removed { removed: 5, ..Removed::default() };
        assert_eq!(all.to_string(), "Removed 5 of 5 files that this run left behind");
        let some =
            Removed { failed: 2, example: Some("DELETE /a: 403 Forbidden".to_owned()), unknown: 1, ..all };
        assert_eq!(
            some.to_string(),
            "Removed 5 of 7 files that this run left behind; 2 could not be removed, one because: DELETE /a: 403 \
             Forbidden; 1 more may be stored, as they had no answer, or one that does not say what the service calls them"
        );
    }
}
