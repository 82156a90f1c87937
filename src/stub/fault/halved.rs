//! Answers that stop in their middle: for a while, or for good.

use std::mem;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use futures_util::stream;
use http_body_util::BodyExt;

/// What happens in the middle of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Middle {
    /// Nothing more is sent for this long.
    Stall(Duration),
    /// The connection ends; over HTTP/2, the stream.
    Cut,
}

/// The same answer, with this in its middle. Its whole length is announced either way.
pub(super) fn halved(response: Response, middle: Middle) -> Response {
    let (mut head, body) = response.into_parts();
    let length = body.size_hint().exact().or(announced(&head.headers));
    // Nothing has no half.
    if length == Some(0) {
        return Response::from_parts(head, body);
    }
    // The stream below has no length of its own, and without the header the answer would be sent in chunks.
    if let Some(length) = length {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    // An answer whose length nobody knows stops after its first byte.
    let left = length.map_or(1, |length| length / 2);
    let begun = Halved { body, left, middle: Some(middle), rest: Bytes::new() };
    let pieces = stream::try_unfold(begun, Halved::next);
    Response::from_parts(head, Body::from_stream(pieces))
}

/// The length that an answer announces.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An answer on its way out.
struct Halved {
    body: Body,
    /// Bytes up to the middle.
    left: u64,
    /// What happens there; nothing once it has happened.
    middle: Option<Middle>,
    /// What came in one piece with the last bytes before the middle.
    rest: Bytes,
}

impl Halved {
    /// The next piece; nothing at the end of the answer.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BoxError> {
        if self.left == 0 {
            self.stop().await?;
        }
        let Some(mut piece) = self.piece().await? else { return Ok(None) };
        if self.middle.is_some() {
            // A piece that reaches beyond the middle is cut there.
            let before = piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.rest = piece.split_off(before);
            self.left -= before as u64;
        }
        Ok(Some((piece, self)))
    }

    /// Does what is to be done in the middle, once.
    async fn stop(&mut self) -> Result<(), BoxError> {
        match self.middle.take() {
            None => Ok(()),
            Some(Middle::Stall(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Middle::Cut) => {
                // hyper sends what it holds only when a body has nothing for it. After an error at once it would drop
                // the first half.
                tokio::task::yield_now().await;
                Err("a fault cut the answer off".into())
            }
        }
    }

    /// What comes next of the answer as it was. Trailers are left out: no answer of the stub has them.
    async fn piece(&mut self) -> Result<Option<Bytes>, BoxError> {
        if !self.rest.is_empty() {
            return Ok(Some(mem::take(&mut self.rest)));
        }
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use tokio::time::Instant;

    use super::*;

    /// What arrives of an answer, and after how long.
    struct Arrived {
        length: Option<String>,
        pieces: Vec<(u64, String)>,
        whole: bool,
    }

    /// Reads an answer by a clock that jumps over every wait.
    fn read(response: Response) -> Arrived {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("starts");
        runtime.block_on(async {
            let begun = Instant::now();
            let length = response.headers().get(CONTENT_LENGTH);
            let length = length.map(|length| length.to_str().expect("is text").to_owned());
            let mut body = response.into_body();
            let mut pieces = Vec::new();
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return Arrived { length, pieces, whole: false } };
                let text = frame.into_data().expect("is data").to_vec();
                let text = String::from_utf8(text).expect("is text");
                pieces.push((begun.elapsed().as_secs(), text));
            }
            Arrived { length, pieces, whole: true }
        })
    }

    /// An answer of unknown length, in these pieces.
    fn streamed(pieces: &'static [&'static str]) -> Response {
        let pieces = pieces.iter().map(|piece| Ok::<_, BoxError>(Bytes::from_static(piece.as_bytes())));
        Body::from_stream(stream::iter(pieces)).into_response()
    }

    fn piece(at: u64, text: &str) -> (u64, String) {
        (at, text.to_owned())
    }

    const STALL: Middle = Middle::Stall(Duration::from_secs(30));

    #[test]
    fn a_stalled_answer_comes_whole_in_two_halves() {
        let arrived = read(halved("12345".into_response(), STALL));
        assert_eq!(arrived.length.as_deref(), Some("5"));
        // Half of five bytes is two.
        assert_eq!(arrived.pieces, [piece(0, "12"), piece(30, "345")]);
        assert!(arrived.whole);
    }

    #[test]
    fn a_cut_answer_announces_all_and_sends_half() {
        let arrived = read(halved("12345".into_response(), Middle::Cut));
        assert_eq!(arrived.length.as_deref(), Some("5"));
        assert_eq!(arrived.pieces, [piece(0, "12")]);
        assert!(!arrived.whole);
    }

    #[test]
    fn pieces_before_and_behind_the_middle_pass_as_they_are() {
        let mut response = streamed(&["123", "456", "789"]);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(9));
        let arrived = read(halved(response, STALL));
        assert_eq!(arrived.pieces, [piece(0, "123"), piece(0, "4"), piece(30, "56"), piece(30, "789")]);
        // The middle may lie between two pieces.
        let mut response = streamed(&["123", "456"]);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(6));
        assert_eq!(read(halved(response, STALL)).pieces, [piece(0, "123"), piece(30, "456")]);
    }

    #[test]
    fn an_answer_of_unknown_length_stops_after_its_first_byte() {
        let arrived = read(halved(streamed(&["123", "456"]), Middle::Cut));
        assert_eq!((arrived.length, arrived.pieces), (None, vec![piece(0, "1")]));
        assert!(!arrived.whole);
    }

    #[test]
    fn an_answer_of_one_byte_stops_before_it_and_an_empty_one_not_at_all() {
        assert_eq!(read(halved("1".into_response(), STALL)).pieces, [piece(30, "1")]);
        let empty = read(halved("".into_response(), Middle::Cut));
        assert!(empty.pieces.is_empty() && empty.whole);
    }

    #[test]
    fn an_answer_can_be_stalled_and_cut() {
        let arrived = read(halved(halved("12345".into_response(), STALL), Middle::Cut));
        assert_eq!((arrived.length.as_deref(), arrived.whole), (Some("5"), false));
        assert_eq!(arrived.pieces, [piece(0, "12")]);
    }
}
