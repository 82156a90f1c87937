//! Test files: the same bytes for the same seed, realistic enough for a service that looks at them.

use aws_lc_rs::digest;
use bytes::Bytes as Buffer;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

use crate::units::{Bytes, hex};

/// The seed of every file unless another is given.
pub const DEFAULT_SEED: u64 = 42;

/// Words of the text kind: log lines and prose compress alike, unlike noise.
const WORDS: [&str; 16] = [
    "upload",
    "storage",
    "element",
    "record",
    "archive",
    "client",
    "request",
    "the",
    "of",
    "and",
    "checksum",
    "retention",
    "policy",
    "report",
    "value",
    "system",
];

/// What a file holds, and so what it is called and declared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Lines of words: `text/plain`.
    Text,
    /// A PDF header and trailer around incompressible bytes: `application/pdf`.
    Pdf,
    /// A JFIF header and end mark around incompressible bytes: `image/jpeg`.
    Jpeg,
    /// Anything: `application/octet-stream`.
    Binary,
}

impl Content {
    /// The kind that a file of this size usually is: notes, then documents, then pictures.
    pub fn usual_for(size: Bytes) -> Self {
        match size {
            s if s < Bytes::mb(1) => Self::Text,
            s if s < Bytes::mb(10) => Self::Pdf,
            _ => Self::Jpeg,
        }
    }

    /// The MIME type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Pdf => "application/pdf",
            Self::Jpeg => "image/jpeg",
            Self::Binary => "application/octet-stream",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Pdf => "pdf",
            Self::Jpeg => "jpg",
            Self::Binary => "bin",
        }
    }

    /// Bytes that stand at the beginning and at the end of such a file.
    fn frame(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Text | Self::Binary => (b"", b""),
            // Four bytes above 127 in a comment tell tools that the file is binary (ISO 32000-1, 7.5.2).
            Self::Pdf => (b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n", b"\n%%EOF\n"),
            // Start of image, the JFIF segment of 16 bytes (version 1.01), end of image.
            Self::Jpeg => {
                (b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00", b"\xFF\xD9")
            }
        }
    }
}

/// A file in memory, with the SHA-256 that a correct service answers with. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// File name with its extension.
    pub name: String,
    /// What it holds.
    pub kind: Content,
    /// The bytes.
    pub bytes: Buffer,
    /// 64 lower-case hex digits of the bytes' SHA-256.
    pub sha256: String,
}

impl TestFile {
    /// A file of `size` bytes of this kind; the same seed gives the same bytes.
    pub fn seeded(size: Bytes, kind: Content, seed: u64) -> Self {
        let len = usize::try_from(size.0).expect("a test file fits in memory");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut bytes = match kind {
            Content::Text => text(len, &mut rng),
            Content::Pdf | Content::Jpeg | Content::Binary => noise(len, &mut rng),
        };
        // Written over the content and not around it, so that the size stays exact.
        put_frame(&mut bytes, kind.frame());
        let sha256 = hex(digest::digest(&digest::SHA256, &bytes).as_ref());
        let name = format!("perf_{}_{seed}.{}", size.0, kind.extension());
        Self { name, kind, bytes: bytes.into(), sha256 }
    }
}

/// A file of `size` with the usual content for it, from the default seed.
///
/// ```
/// use ingester_perf::payload::generate_test_file;
/// use ingester_perf::units::Bytes;
///
/// let file = generate_test_file(Bytes::kb(10));
/// assert_eq!(file.bytes.len(), 10_240);
/// assert_eq!(file.kind.content_type(), "text/plain");
/// assert_eq!(file.sha256, generate_test_file(Bytes::kb(10)).sha256);
/// ```
pub fn generate_test_file(size: Bytes) -> TestFile {
    TestFile::seeded(size, Content::usual_for(size), DEFAULT_SEED)
}

fn text(len: usize, rng: &mut impl Rng) -> Vec<u8> {
    // The last word may go beyond `len`, by less than 16 bytes, and is cut off.
    let mut out = Vec::with_capacity(len + 16);
    while out.len() < len {
        out.extend_from_slice(WORDS[rng.random_range(0..WORDS.len())].as_bytes());
        // About twelve words a line.
        out.push(if rng.random_ratio(1, 12) { b'\n' } else { b' ' });
    }
    out.truncate(len);
    out
}

fn noise(len: usize, rng: &mut impl Rng) -> Vec<u8> {
    let mut out = vec![0; len];
    rng.fill_bytes(&mut out);
    out
}

/// Writes the frame over the first and last bytes, where both fit.
fn put_frame(bytes: &mut [u8], (head, tail): (&[u8], &[u8])) {
    if bytes.len() >= head.len() + tail.len() {
        let end = bytes.len() - tail.len();
        bytes[..head.len()].copy_from_slice(head);
        bytes[end..].copy_from_slice(tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256_of(seed: u64) -> String {
        TestFile::seeded(Bytes(4096), Content::Jpeg, seed).sha256
    }

    #[test]
    fn sizes_are_exact_and_kinds_follow_them() {
        for (size, kind) in
            [(0, Content::Text), (1, Content::Text), (1 << 20, Content::Pdf), (10 << 20, Content::Jpeg)]
        {
            let file = generate_test_file(Bytes(size));
            assert_eq!((file.bytes.len() as u64, file.kind), (size, kind));
        }
    }

    #[test]
    fn another_seed_gives_another_file() {
        assert_eq!(sha256_of(1), sha256_of(1));
        assert_ne!(sha256_of(1), sha256_of(2));
    }

    #[test]
    fn binary_kinds_carry_their_magic_numbers() {
        let pdf = TestFile::seeded(Bytes(100), Content::Pdf, 1);
        assert!(pdf.bytes.starts_with(b"%PDF-") && pdf.bytes.ends_with(b"%%EOF\n"));
        let jpeg = TestFile::seeded(Bytes(100), Content::Jpeg, 1);
        assert!(jpeg.bytes.starts_with(b"\xFF\xD8\xFF") && jpeg.bytes.ends_with(b"\xFF\xD9"));
        // Too small for head and end: the size counts for more than the kind.
        assert_eq!(TestFile::seeded(Bytes(3), Content::Jpeg, 1).bytes.len(), 3);
    }

    #[test]
    fn text_is_text() {
        let file = generate_test_file(Bytes::kb(10));
        assert!(file.bytes.iter().all(|b| b.is_ascii_lowercase() || b" \n".contains(b)));
    }

    #[test]
    fn the_checksum_is_sha256() {
        // The digest of no bytes at all is widely known.
        let empty = TestFile::seeded(Bytes(0), Content::Text, 1);
        assert_eq!(empty.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
