//! Answers with one wrong bit, as a disk or a memory gives them that nobody checks.

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use futures_util::stream;
use http_body_util::BodyExt;

use super::halved::announced;

/// The same answer, with the last bit of the byte in its middle flipped. Of an answer whose length nobody knows it is the first
/// byte's.
pub(super) fn flipped(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let length = body.size_hint().exact().or(announced(&head.headers));
    // The stream below has no length of its own, and without the header the answer would be sent in chunks.
    if let Some(length) = length {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let begun = Flipped { body, before: Some(length.unwrap_or_default() / 2) };
    let pieces = stream::try_unfold(begun, Flipped::next);
    Response::from_parts(head, Body::from_stream(pieces))
}

/// An answer on its way out.
struct Flipped {
    body: Body,
    /// Bytes before the one that is to be wrong; nothing once that was sent.
    before: Option<u64>,
}

impl Flipped {
    /// The next piece; nothing at the end of the answer. Trailers are left out: no answer of the stub has them.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BoxError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(piece) = frame?.into_data() {
                let piece = self.flip(piece);
                return Ok(Some((piece, self)));
            }
        }
        Ok(None)
    }

    fn flip(&mut self, piece: Bytes) -> Bytes {
        let Some(before) = self.before else { return piece };
        let length = piece.len() as u64;
        if before >= length {
            self.before = Some(before - length);
            return piece;
        }
        self.before = None;
        let mut wrong = piece.to_vec();
        // It lies in this piece, and so fits into a place of it.
        wrong[before as usize] ^= 1;
        wrong.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of an answer, and the length that it announces.
    fn read(response: Response) -> (Option<String>, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.map(|length| length.to_str().expect("is text").to_owned());
        let collected = runtime.block_on(response.into_body().collect()).expect("comes whole");
        (length, String::from_utf8(collected.to_bytes().to_vec()).expect("is text"))
    }

    /// An answer in these pieces, without a length.
    fn streamed(pieces: &'static [&'static str]) -> Response {
        let pieces = pieces.iter().map(|piece| Ok::<_, BoxError>(Bytes::from_static(piece.as_bytes())));
        Response::new(Body::from_stream(stream::iter(pieces)))
    }

    #[test]
    fn one_bit_in_the_middle_is_wrong() {
        // The third of five bytes: 'c' is 0x63, and 0x62 is 'b'.
        let (length, text) = read(flipped(Response::new(Body::from("abcde"))));
        assert_eq!((length.as_deref(), text.as_str()), (Some("5"), "abbde"));
    }

    #[test]
    fn the_middle_may_lie_in_a_later_piece() {
        let mut response = streamed(&["aaa", "aaa", "a"]);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(7));
        // 'a' is 0x61; the fourth byte is the first of the second piece.
        assert_eq!(read(flipped(response)), (Some("7".to_owned()), "aaa`aaa".to_owned()));
    }

    #[test]
    fn an_answer_of_unknown_length_begins_with_it_and_an_empty_one_is_left() {
        assert_eq!(read(flipped(streamed(&["aa"]))), (None, "`a".to_owned()));
        let (_, text) = read(flipped(Response::new(Body::empty())));
        assert_eq!(text, "");
    }
}
