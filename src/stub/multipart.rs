//! Reading multipart/form-data (RFC 7578, RFC 2046) as it arrives. Content is handed on in the buffers it came in.
//!
//! Our own and not multer, by figures: multer copies every byte once more, which at 1 MB takes the upload from 1.2 to
//! 1.3 times its lower bound; it has no limit on preambles and part headers; and in both, twice the bytes in small pieces
//! take it 3.6 to 4.1 times as long. Here the work for a byte is bounded, whatever the pieces that it comes in: it is
//! looked at or copied four times at most, and a test counts that.

use axum::body::{Body, HttpBody};
use bytes::{Buf, Bytes as Buffer};
use http_body_util::BodyExt;
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use super::broken::Broken;
use super::limits::{MAX_ASIDE, MAX_BODY, MAX_HEAD, MAX_PARTS};
use super::part::{Part, without_padding};
use super::phase::{Stopwatch, UploadPhase};

/// Longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;
/// Ends every line of a form.
const LINE_BREAK: &[u8] = b"\r\n";
/// Stand behind the last boundary.
const HYPHENS: &[u8] = b"--";
/// An ordinary part's headers fit without growing.
const USUAL_HEAD: usize = 256;

/// Reads a body part by part.
pub(super) struct Multipart<'a> {
    body: &'a mut Body,
    /// Line break, two hyphens, boundary: the end of a part's content.
    delimiter: Buffer,
    finder: Finder<'static>,
    /// The rest of the piece of the body that arrived last.
    piece: Buffer,
    /// So many bytes of a delimiter were the last ones before `piece`. They are content unless the rest of it follows.
    begun: usize,
    /// So many of those are never content. The line break before the first boundary may be missing; and where a part has
    /// no content, it may be the one that ends the part's headers (RFC 2046, section 5.1.1).
    borrowed: usize,
    /// How many bytes of the body may still arrive.
    left: u64,
    started: bool,
    parts: usize,
    /// Tells reading apart from waiting for the body. Whoever handles the content enters phases of its own between two
    /// pieces.
    pub stopwatch: Stopwatch,
    /// Bytes that were looked at or copied, for the test that counts them.
    #[cfg(test)]
    work: usize,
}

/// The boundary that a `Content-Type` names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let mime: mime::Mime = content_type.parse().ok()?;
    let boundary = mime.get_param(mime::BOUNDARY)?.as_str();
    let fits = mime.essence_str() == "multipart/form-data" && (1..=MAX_BOUNDARY).contains(&boundary.len());
    if fits { Some(boundary.to_owned()) } else { None }
}

impl<'a> Multipart<'a> {
    /// A reader of this body. The boundary must have no line break in it, as none from a header has.
    pub fn new(body: &'a mut Body, boundary: &str) -> Self {
        let delimiter = Buffer::from(format!("\r\n--{boundary}"));
        Self {
            body,
            finder: Finder::new(&delimiter).into_owned(),
            delimiter,
            piece: Buffer::new(),
            begun: LINE_BREAK.len(),
            borrowed: LINE_BREAK.len(),
            left: MAX_BODY.0,
            started: false,
            parts: 0,
            stopwatch: Stopwatch::default(),
            #[cfg(test)]
            work: 0,
        }
    }

    /// The next part's headers; nothing after the last one, once the body has ended. The content of the part before
    /// must have been read.
    pub async fn next(&mut self) -> Result<Option<Part>, Broken> {
        if !self.started {
            self.start().await?;
        }
        let head = self.head().await?;
        if head.starts_with(HYPHENS) {
            self.skip_epilogue(head).await?;
            return Ok(None);
        }
        self.begun = LINE_BREAK.len();
        self.borrowed = LINE_BREAK.len();
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(Broken::Parts);
        }
        Part::parse(&head).map(Some)
    }

    /// The next piece of the part's content; nothing at its end.
    pub async fn chunk(&mut self) -> Result<Option<Buffer>, Broken> {
        self.stopwatch.enter(UploadPhase::Multipart);
        loop {
            if self.begun == self.delimiter.len() {
                self.begun = 0;
                self.borrowed = 0;
                return Ok(None);
            }
            if self.piece.is_empty() {
                self.fill().await?;
            }
            if self.begun > 0 {
                // What came before looked like the beginning of a delimiter. Only the new bytes are compared.
                let compared = self.piece.len().min(self.delimiter.len() - self.begun);
                self.note(compared);
                if self.delimiter[self.begun..].starts_with(&self.piece[..compared]) {
                    self.piece.advance(compared);
                    self.begun += compared;
                    continue;
                }
                // It was content. The delimiter's own bytes are handed on in its place, as they are the same.
                let content = self.delimiter.slice(self.borrowed..self.begun);
                self.begun = 0;
                self.borrowed = 0;
                if !content.is_empty() {
                    return Ok(Some(content));
                }
            }
            let content = self.search();
            if !content.is_empty() {
                return Ok(Some(content));
            }
        }
    }

    /// Takes from `piece` all that is certain to be content, and the delimiter behind it or what has arrived of one.
    fn search(&mut self) -> Buffer {
        if let Some(end) = self.finder.find(&self.piece) {
            self.note(end + self.delimiter.len());
            let content = self.piece.split_to(end);
            self.piece.advance(self.delimiter.len());
            self.begun = self.delimiter.len();
            return content;
        }
        self.note(self.piece.len());
        self.begun = self.begun_at_end();
        let mut content = std::mem::take(&mut self.piece);
        content.truncate(content.len() - self.begun);
        content
    }

    /// How many of the last bytes of `piece` may be the beginning of a delimiter. It has no line break but its first.
    fn begun_at_end(&mut self) -> usize {
        // A whole delimiter would have been found, so at most all of it but its last byte is here.
        let tail = self.piece.len().saturating_sub(self.delimiter.len() - 1);
        // Searched for the line break, and compared from there on.
        self.note(2 * (self.piece.len() - tail));
        let Some(at) = memrchr(b'\r', &self.piece[tail..]) else { return 0 };
        let rest = &self.piece[tail + at..];
        if self.delimiter.starts_with(rest) { rest.len() } else { 0 }
    }

    /// The rest of a boundary's line and the part's headers, with the empty line that ends them. Behind the last boundary,
    /// its two hyphens and what came with them.
    async fn head(&mut self) -> Result<Vec<u8>, Broken> {
        let mut head = Vec::with_capacity(USUAL_HEAD);
        let mut is_first_line = true;
        loop {
            // Copied line by line: the end of the headers is at the end of a line, so nothing is searched for it twice,
            // and no content is copied with it.
            let room = self.piece.len().min(MAX_HEAD - head.len());
            let line_feed = memchr(b'\n', &self.piece[..room]);
            let taken = line_feed.map_or(room, |at| at + 1);
            head.extend_from_slice(&self.piece[..taken]);
            self.piece.advance(taken);
            // Searched, copied, and on the boundary's line compared with padding.
            self.note(3 * taken);

            if head.starts_with(HYPHENS) {
                return Ok(head);
            }
            if line_feed.is_some() {
                if is_first_line && without_padding(&head) != LINE_BREAK {
                    return Err(Broken::Boundary);
                }
                is_first_line = false;
                // Some readers take a line feed alone for the end of a line, and see other headers than the rest.
                if !head.ends_with(LINE_BREAK) {
                    return Err(Broken::LineBreak);
                }
                if head.ends_with(b"\r\n\r\n") {
                    return Ok(head);
                }
            }
            if head.len() == MAX_HEAD {
                return Err(Broken::Head);
            }
            if self.piece.is_empty() {
                self.fill().await?;
            }
        }
    }

    /// Reads past the first boundary.
    async fn start(&mut self) -> Result<(), Broken> {
        // A length that was announced is judged before anything is read; without one, `read` counts.
        if self.body.size_hint().lower() > self.left {
            return Err(Broken::TooLarge);
        }
        let mut left = MAX_ASIDE;
        while let Some(bytes) = self.chunk().await? {
            left = left.checked_sub(bytes.len()).ok_or(Broken::Preamble)?;
        }
        self.started = true;
        Ok(())
    }

    /// Reads to the end of the body: only then is it certain that it was not cut off. `epilogue` begins with the two
    /// hyphens of the last boundary.
    async fn skip_epilogue(&mut self, mut epilogue: Vec<u8>) -> Result<(), Broken> {
        let mut piece = std::mem::take(&mut self.piece);
        loop {
            if epilogue.len() + piece.len() > HYPHENS.len() + MAX_ASIDE {
                return Err(Broken::Epilogue);
            }
            epilogue.extend_from_slice(&piece);
            self.note(piece.len());
            match self.read().await? {
                Some(next) => piece = next,
                None => break,
            }
        }
        // Another reader might take a line that goes on for content. Of the line's end, all or some may be missing.
        let behind = without_padding(&epilogue[HYPHENS.len()..]);
        if behind.starts_with(LINE_BREAK) || LINE_BREAK.starts_with(behind) {
            Ok(())
        } else {
            Err(Broken::Boundary)
        }
    }

    /// Waits for the next piece; the end of the body is too early here.
    async fn fill(&mut self) -> Result<(), Broken> {
        self.piece = self.read().await?.ok_or(Broken::CutOff)?;
        Ok(())
    }

    /// The next bytes of the body; nothing at its end.
    async fn read(&mut self) -> Result<Option<Buffer>, Broken> {
        loop {
            self.stopwatch.enter(UploadPhase::Receive);
            let frame = self.body.frame().await;
            self.stopwatch.enter(UploadPhase::Multipart);
            let Some(frame) = frame else { return Ok(None) };
            // Trailers say nothing about the form.
            let Ok(bytes) = frame.map_err(|_| Broken::CutOff)?.into_data() else { continue };
            self.left = self.left.checked_sub(bytes.len() as u64).ok_or(Broken::TooLarge)?;
            return Ok(Some(bytes));
        }
    }

    /// Notes that so many bytes were looked at or copied.
    fn note(&mut self, bytes: usize) {
        #[cfg(test)]
        {
            self.work += bytes;
        }
        #[cfg(not(test))]
        let _ = bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::fuzzing::{self, ReadPart};
    use super::super::limits::MAX_HEADERS;
    use super::*;

    fn parts(bytes: &[u8], size: usize) -> Result<Vec<ReadPart>, Broken> {
        fuzzing::read_in_pieces("b", bytes, size)
    }

    /// Content that looks like a delimiter again and again.
    const TRICKY: &[u8] = b"\r\r\n-\r\n--\r\n--a\n--b\r--b\r\n";

    fn form() -> Vec<u8> {
        // A preamble, an empty part, padding behind a boundary, headers in lower case, a name without quotes and an
        // epilogue: all of that is allowed.
        let mut form =
            b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n\r\n--b \t\r\n".to_vec();
        form.extend(b"X: y\r\ncontent-disposition:form-data;filename=\"a;\\\"b\\c\"; name=file\r\n\r\n");
        form.extend(TRICKY);
        form.extend(b"\r\n--b--\t \r\nepilogue");
        form
    }

    /// A form of so many parts with headers of so many bytes each, the boundary's line and the empty one with them, and
    /// this content.
    fn form_of(parts: usize, head: usize, content: &[u8]) -> Vec<u8> {
        let fixed = "\r\nContent-Disposition: form-data; name=a\r\nX: \r\n\r\n".len();
        let padding = "x".repeat(head.checked_sub(fixed).expect("the headers are longer than that"));
        let mut form = Vec::new();
        for _ in 0..parts {
            form.extend(
                format!("--b\r\nContent-Disposition: form-data; name=a\r\nX: {padding}\r\n\r\n").bytes(),
            );
            form.extend(content);
            form.extend(LINE_BREAK);
        }
        form.extend(b"--b--");
        form
    }

    /// The shortest headers that `form_of` makes.
    const SHORT: usize = 64;

    #[test]
    fn parts_come_out_whole_however_the_body_is_cut() {
        let empty = ReadPart { name: "t".to_owned(), file_name: None, content: Vec::new() };
        let file_name = Some("a;\"b\\c".to_owned());
        let file = ReadPart { name: "file".to_owned(), file_name, content: TRICKY.to_vec() };
        let expected = vec![empty, file];
        for size in 1..=form().len() {
            assert_eq!(parts(&form(), size), Ok(expected.clone()), "in pieces of {size}");
        }
    }

    #[test]
    fn a_body_that_ends_early_is_broken_wherever_it_ends() {
        let form = form();
        // Up to here the last boundary is complete; the padding and the epilogue behind it may be missing.
        let last = form.len() - b"\t \r\nepilogue".len();
        for end in 0..last {
            assert_eq!(parts(&form[..end], 7), Err(Broken::CutOff), "cut at {end}");
        }
        for end in last..=form.len() {
            assert!(parts(&form[..end], 7).is_ok(), "cut at {end}");
        }
    }

    /// A form behind a preamble of this text.
    fn preamble_of(text: &[u8]) -> Vec<u8> {
        [text, b"\r\n", &form_of(1, SHORT, b"")].concat()
    }

    /// A form with an epilogue of so many bytes.
    fn epilogue_of(bytes: usize) -> Vec<u8> {
        let line_break = LINE_BREAK.len();
        [&form_of(1, SHORT, b"")[..], LINE_BREAK, &b"x".repeat(bytes - line_break)].concat()
    }

    /// A form whose only part has about `n` bytes of content: this text, again and again.
    fn content_of(text: &[u8], n: usize) -> Vec<u8> {
        form_of(1, SHORT, &text.repeat(n / text.len()))
    }

    #[test]
    fn every_limit_holds_to_the_byte_in_pieces_of_any_size() {
        let longest = b"x".repeat(MAX_ASIDE);
        let too_long = b"x".repeat(MAX_ASIDE + 1);
        let cases = [
            (preamble_of(&longest), preamble_of(&too_long), Broken::Preamble),
            (epilogue_of(MAX_ASIDE), epilogue_of(MAX_ASIDE + 1), Broken::Epilogue),
            (form_of(1, MAX_HEAD, b""), form_of(1, MAX_HEAD + 1, b""), Broken::Head),
            (form_of(MAX_PARTS, SHORT, b""), form_of(MAX_PARTS + 1, SHORT, b""), Broken::Parts),
        ];
        for (longest, too_long, error) in cases {
            for size in [1, 16, 1000, too_long.len()] {
                assert!(parts(&longest, size).is_ok(), "{error} in pieces of {size}");
                assert_eq!(parts(&too_long, size), Err(error.clone()), "in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_has_no_end_is_refused_before_it_ends() {
        // The bodies are twice as long as what is read of them: they are refused though no end of them ever comes.
        let long = b"x".repeat(2 * MAX_ASIDE);
        let header = [&b"--b\r\nX: "[..], &b"x".repeat(2 * MAX_HEAD)].concat();
        let headers = [&b"--b\r\n"[..], &b"X: y\r\n".repeat(MAX_HEAD / 3)].concat();
        for (bytes, error) in [
            (long, Broken::Preamble),
            (header, Broken::Head),
            (headers, Broken::Head),
            (epilogue_of(2 * MAX_ASIDE), Broken::Epilogue),
        ] {
            assert_eq!(parts(&bytes, 1000), Err(error));
        }
        // These are all there, and too many.
        let many = format!("--b\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(parts(many.as_bytes(), 1000), Err(Broken::Headers));
    }

    #[test]
    fn a_body_is_refused_with_the_byte_that_exceeds_its_limit() {
        let form = form_of(1, SHORT, b"content");
        for (left, expected) in [(form.len(), Ok(1)), (form.len() - 1, Err(Broken::TooLarge))] {
            let mut body = fuzzing::body(&form, 10);
            let mut multipart = Multipart::new(&mut body, "b");
            multipart.left = left as u64;
            assert_eq!(fuzzing::read(&mut multipart).map(|parts| parts.len()), expected);
        }
        // One that announces its length is refused unread.
        let mut body = Body::from(form);
        let mut multipart = Multipart::new(&mut body, "b");
        multipart.left = 10;
        assert_eq!(fuzzing::read(&mut multipart), Err(Broken::TooLarge));
        assert_eq!(multipart.work, 0);
    }

    #[test]
    fn a_part_without_content_may_share_its_boundarys_line_break() {
        // And content may begin like a boundary, which is the delimiter's bytes without those that were borrowed.
        let form = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b\r\n\
                     Content-Disposition: form-data; name=a\r\n\r\n--a\r\n--b--";
        for size in 1..=form.len() {
            let contents: Vec<Vec<u8>> =
                parts(form, size).expect("is a form").into_iter().map(|part| part.content).collect();
            assert_eq!(contents, [&b""[..], b"--a"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_boundary_whose_line_goes_on_is_refused() {
        for line in ["--bx", "--b-", "--b--x", "--b-- x", "--b--\n"] {
            let form = format!(
                "--b\r\nContent-Disposition: form-data; name=a\r\n\r\ncontent\r\n{line}\r\n\r\n--b--"
            );
            for size in [1, 1000] {
                assert_eq!(
                    parts(form.as_bytes(), size),
                    Err(Broken::Boundary),
                    "{line:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn a_line_feed_alone_is_no_end_of_a_header() {
        let bare = b"--b\r\nX: y\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--b--";
        for size in [1, 1000] {
            assert_eq!(parts(bare, size), Err(Broken::LineBreak));
        }
    }

    /// Bodies that make a reader look at its bytes again and again, if any do: of about `n` bytes each, up to 16 KB.
    fn costly(n: usize) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("preamble", preamble_of(&b"x".repeat(n))),
            ("preamble of delimiters cut short", preamble_of(&b"\r\n--".repeat(n / 4))),
            ("headers of one part", form_of(1, n, b"")),
            ("headers of 31 parts", form_of(31, n, b"")),
            ("short header lines", [&b"--b\r\n"[..], &b"X:\r\n".repeat(n / 4)].concat()),
            ("parts", form_of(n * MAX_PARTS / MAX_HEAD, SHORT, b"")),
            ("content of carriage returns", content_of(b"\r", n)),
            ("content of delimiters cut short", content_of(b"\r\n--", n)),
            ("content of boundaries without hyphens", content_of(b"\r\n-b", n)),
            ("epilogue", epilogue_of(n)),
        ]
    }

    #[test]
    fn a_byte_is_looked_at_four_times_at_most() {
        for n in [MAX_HEAD / 2, MAX_HEAD] {
            for (what, bytes) in costly(n) {
                for size in [1, 3, 16, 1000, bytes.len()] {
                    let mut body = fuzzing::body(&bytes, size);
                    let mut multipart = Multipart::new(&mut body, "b");
                    // Some of them are refused, at their end.
                    let _ = fuzzing::read(&mut multipart);
                    let work = multipart.work;
                    assert!(work >= bytes.len(), "{what}: counted {work} for {} bytes", bytes.len());
                    assert!(
                        work <= 4 * bytes.len(),
                        "{what}, in pieces of {size}: {work} for {}",
                        bytes.len()
                    );
                }
            }
        }
    }

    /// The shortest of many times, which what else the machine does cannot shorten.
    fn shortest(bytes: &[u8]) -> Duration {
        let mut shortest = Duration::MAX;
        for _ in 0..200 {
            let mut body = fuzzing::body(bytes, 16);
            let started = Instant::now();
            let _ = fuzzing::read(&mut Multipart::new(&mut body, "b"));
            shortest = shortest.min(started.elapsed());
        }
        shortest
    }

    #[test]
    #[ignore = "it times: cargo test --release --lib -- --ignored --nocapture twice_the_bytes"]
    fn twice_the_bytes_take_twice_the_time() {
        // A reader that is quadratic takes four times as long; what is left above 2 is for caches.
        const LIMIT: f64 = 2.3;
        let half = costly(MAX_HEAD / 2);
        let whole = costly(MAX_HEAD);
        for ((what, less), (_, more)) in half.iter().zip(&whole) {
            let less = shortest(less);
            let more = shortest(more);
            let ratio = more.as_secs_f64() / less.as_secs_f64();
            println!(
                "| {what}, in pieces of 16 bytes: {more:?} for twice of {less:?} | {ratio:.2} | {LIMIT} |"
            );
            assert!(ratio <= LIMIT, "{what}: {ratio:.2} times as long for twice the bytes");
        }
    }

    #[test]
    fn the_boundary_comes_from_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("Multipart/Form-Data;boundary=x;charset=utf-8").as_deref(), Some("x"));
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for text in ["multipart/form-data", "multipart/mixed; boundary=x", "text/plain", "", long.as_str()] {
            assert_eq!(boundary(text), None, "{text}");
        }
    }
}
