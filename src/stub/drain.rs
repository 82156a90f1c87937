//! Reading on after a refusal. Closing a socket with unread bytes in it resets the connection, and the client may
//! lose the answer that is on its way; so a refused body is read and dropped for a while, within limits.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;

/// Most bytes that are read of a refused body.
const MOST_BYTES: usize = 64 << 20;
/// Longest time spent on reading one.
const LONGEST: Duration = Duration::from_secs(2);

/// Drops what remains of `body` in the background.
pub(super) fn later(mut body: Body) {
    // A task of its own: the answer is sent while the body is still being read.
    tokio::spawn(tokio::time::timeout(LONGEST, async move {
        let mut left = MOST_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, |data| data.len());
            match left.checked_sub(read) {
                Some(rest) => left = rest,
                // So large a body is not read to its end for the sake of an answer.
                None => break,
            }
        }
    }));
}
