//! Checksums in answers: where they stand, of which algorithm they are, and how they are written.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hyper::header::HeaderName;
use md5::{Digest, Md5};
use serde::Deserialize;

use super::pointer::Pointer;
use crate::units::hex;

/// How a service tells the checksum of a stored file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checksum {
    /// Where in the answer it stands.
    pub at: Where,
    /// The algorithm that it is made with.
    pub algorithm: Algorithm,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// What stands before it, like `sha256:`.
    pub prefix: String,
}

/// Where in an answer a checksum stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Where {
    /// In the body.
    Body(Pointer),
    /// In a header, perhaps in quotes, as `ETag` has it.
    Header(HeaderName),
}

/// The algorithm of a checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// MD5: the `ETag` of most object stores.
    Md5,
}

/// How the bytes of a checksum are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hex digits, upper or lower case.
    #[default]
    Hex,
    /// Base64, with or without padding.
    Base64,
}

impl Checksum {
    /// SHA-256 in hex, without a prefix.
    pub fn sha256_at(pointer: Pointer) -> Self {
        Self {
            at: Where::Body(pointer),
            algorithm: Algorithm::Sha256,
            encoding: Encoding::Hex,
            prefix: String::new(),
        }
    }

    /// Whether what the service says is this digest, given in hex.
    pub fn is(&self, said: &str, digest: &str) -> bool {
        // An `ETag` has its value in quotes (RFC 9110, section 8.8.3).
        let said = said.trim_matches('"');
        let Some(said) = said.strip_prefix(&self.prefix) else { return false };
        match self.encoding {
            Encoding::Hex => said.eq_ignore_ascii_case(digest),
            Encoding::Base64 => {
                let bytes = STANDARD.decode(said).or_else(|_| STANDARD_NO_PAD.decode(said));
                bytes.is_ok_and(|bytes| hex(&bytes) == digest)
            }
        }
    }
}

impl FromStr for Where {
    type Err = String;

    /// A JSON pointer, or `header:` and the name of a header.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix("header:") else {
            let pointer: Pointer = text.parse().map_err(|e| format!("{e}, or header: and a name"))?;
            return Ok(Self::Body(pointer));
        };
        let name = name.trim().parse().map_err(|_| format!("\"{name}\" is not the name of a header"))?;
        Ok(Self::Header(name))
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(pointer) => write!(f, "{pointer}"),
            Self::Header(name) => write!(f, "the header {name}"),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        })
    }
}

impl Algorithm {
    /// The digest of these pieces, in hex.
    pub fn of<E>(self, pieces: impl IntoIterator<Item = Result<impl AsRef<[u8]>, E>>) -> Result<String, E> {
        match self {
            Self::Sha256 => {
                let mut hash = Context::new(&SHA256);
                for piece in pieces {
                    hash.update(piece?.as_ref());
                }
                Ok(hex(hash.finish().as_ref()))
            }
            Self::Md5 => {
                let mut hash = Md5::new();
                for piece in pieces {
                    hash.update(piece?.as_ref());
                }
                Ok(hex(&hash.finalize()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A checksum that is written in this way.
    fn written(encoding: Encoding, prefix: &str) -> Checksum {
        Checksum { encoding, prefix: prefix.to_owned(), ..Checksum::sha256_at(Pointer::of_member("x")) }
    }

    fn digest(algorithm: Algorithm) -> String {
        // In two pieces, as a body may come in any number of them.
        let pieces: [Result<&[u8], Infallible>; 2] = [Ok(b"a"), Ok(b"bc")];
        algorithm.of(pieces).expect("cannot fail")
    }

    #[test]
    fn digests_are_those_of_the_standards() {
        // FIPS 180-4 and RFC 1321 both have "abc" among their examples.
        assert_eq!(
            digest(Algorithm::Sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest(Algorithm::Md5), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn every_way_of_writing_is_understood_and_nothing_else() {
        let md5 = digest(Algorithm::Md5);
        assert!(written(Encoding::Hex, "").is(&md5.to_uppercase(), &md5));
        assert!(written(Encoding::Hex, "").is(&format!("\"{md5}\""), &md5), "an ETag has quotes");
        assert!(written(Encoding::Hex, "md5:").is(&format!("md5:{md5}"), &md5));
        // The same 16 bytes in base64, with padding and without.
        assert!(written(Encoding::Base64, "").is("kAFQmDzST7DWlj99KOF/cg==", &md5));
        assert!(written(Encoding::Base64, "").is("kAFQmDzST7DWlj99KOF/cg", &md5));
        assert!(!written(Encoding::Hex, "md5:").is(&md5, &md5));
        assert!(!written(Encoding::Base64, "").is(&md5, &md5));
        assert!(!written(Encoding::Hex, "").is("", &md5));
    }

    #[test]
    fn a_checksum_stands_in_the_body_or_in_a_header() {
        assert_eq!("/a".parse(), Ok(Where::Body(Pointer::of_member("a"))));
        assert_eq!("header:ETag".parse::<Where>().expect("is one").to_string(), "the header etag");
        assert!("etag".parse::<Where>().is_err() && "header:a b".parse::<Where>().is_err());
    }
}
