//! Removing what a run left with the service, after it and outside all measured time.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use hyper::StatusCode;

use super::user::Client;
use crate::api::Cleanup;

/// Requests under way at once.
const AT_ONCE: usize = 8;
/// Failures in a row after which a user sends no more requests: the service is gone.
const PATIENCE: u64 = 5;

/// What became of the files that a run left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files that were removed.
    pub removed: u64,
    /// Files that were not there: never stored, gone by themselves, or looked for at a wrong path.
    pub absent: u64,
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
            self.removed + self.absent + self.failed
        )?;
        if self.absent > 0 {
            write!(f, "; {} were not there: never stored, or cleanup.path is wrong", self.absent)?;
        }
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
    let users = (0..AT_ONCE).map(|_| remove_in_turn(user, cleanup, &next, &all));
    join_all(users).await;
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One user's part: removes the next file until there is none.
async fn remove_in_turn(
    user: &Client,
    cleanup: &Cleanup,
    next: &Mutex<std::vec::IntoIter<String>>,
    all: &Mutex<Removed>,
) {
    let mut user = user.another();
    let mut failures_in_a_row = 0;
    loop {
        // A statement of its own: the lock must not be held while a request is under way.
        let path = next.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(path) = path else { break };
        // Files that are not asked for any more count as failed, so that the two numbers add up to all files.
        let ended = if failures_in_a_row < PATIENCE {
            remove_one(&mut user, cleanup, &path).await
        } else {
            Err("the service did not answer several times in a row".to_owned())
        };
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        match ended {
            Ok(was_there) => {
                failures_in_a_row = 0;
                all.removed += u64::from(was_there);
                all.absent += u64::from(!was_there);
            }
            Err(problem) => {
                failures_in_a_row += 1;
                all.failed += 1;
                all.example.get_or_insert(problem);
            }
        }
    }
}

/// Removes the file at this path: whether there was one, or why that could not be done.
async fn remove_one(user: &mut Client, cleanup: &Cleanup, path: &str) -> Result<bool, String> {
    let request = user.bare_request(&cleanup.method, path).map_err(|failure| failure.message)?;
    match user.send(request).await {
        Ok(status) if status.is_success() => Ok(true),
        Ok(StatusCode::NOT_FOUND | StatusCode::GONE) => Ok(false),
        Ok(status) => Err(format!("{} /{path}: {status}", cleanup.method)),
        Err(failure) => Err(format!("{} /{path}: {}", cleanup.method, failure.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_removed_is_said() {
        let all = Removed { removed: 5, ..Removed::default() };
        let none = Removed { absent: 5, ..Removed::default() };
        assert_eq!(
            none.to_string(),
            "Removed 0 of 5 files that this run left behind; 5 were not there: never stored, or cleanup.path is wrong"
        );
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
