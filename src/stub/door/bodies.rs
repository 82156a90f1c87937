//! The bodies of requests and answers. They say when a request waits for its client: for more of its body, or for room to
//! send the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body as Answer;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::traffic::{Traffic, UnderWay, Wait};

/// The body of a request.
pub(super) struct Arriving {
    body: Incoming,
    wait: Wait,
    at_end: bool,
}

impl Arriving {
    pub fn new(body: Incoming, traffic: &Arc<Traffic>) -> Self {
        Self { body, wait: Wait::new(traffic), at_end: false }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // Somebody wants the next piece, and it is not there.
        self.wait.wait_for_client(frame.is_pending());
        self.at_end |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // The end of a chunked body is seen only by asking for more; that of another one follows from its length.
        let whole = self.at_end || self.body.is_end_stream();
        self.wait.note_body_let_go(!whole);
    }
}

/// The body of an answer. The request is under way as long as it exists.
pub(super) struct Leaving {
    body: Answer,
    request: UnderWay,
}

impl Leaving {
    pub fn new(body: Answer, mut request: UnderWay) -> Self {
        // Nobody asks an empty body for its end.
        if body.is_end_stream() {
            request.note_answered();
        }
        Self { body, request }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // From this piece to the next question the client has to make room for it. While there is no piece, the answer is
        // being made.
        self.request.wait_for_client(matches!(frame, Poll::Ready(Some(_))));
        // One that fails is an answer too: the client has not taken its request back.
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.request.note_answered();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
