//! What is known of a file: before it arrives, and once it is stored.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// How long a file is kept, and so which elements take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    Temporary,
    Permanent,
}

impl Policy {
    /// As forms and answers have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temporary => "temporary",
            Self::Permanent => "permanent",
        }
    }
}

/// A file whose content is about to arrive.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    /// Its name as it was sent. Never part of a path.
    pub name: String,
    pub content_type: Cow<'static, str>,
    /// As far as the form has told until now: a field behind the file may still say otherwise.
    pub policy: Policy,
    /// Most bytes that it can have, where the request announced its length.
    pub announced: Option<u64>,
}

/// What is known of a file once the form around it has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Details {
    pub policy: Policy,
    pub uploaded: OffsetDateTime,
    /// `None` for a permanent file.
    pub expires: Option<OffsetDateTime>,
}

/// A stored file, as it is written beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: Uuid,
    pub original_filename: String,
    pub content_type: Cow<'static, str>,
    pub size: u64,
    /// The content's SHA-256 as hex digits.
    pub sha256: String,
    pub retention_policy: Policy,
    #[serde(with = "time::serde::rfc3339")]
    pub uploaded_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub expires_at: Option<OffsetDateTime>,
    /// Name of the element that has it.
    pub storage_element_id: String,
}

impl Record {
    /// As it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self)
            .expect("a record has string keys, and dates between the years 0 and 9999")
    }

    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|e| format!("a record that cannot be read: {e}"))
    }
}

/// A file that was stored just now.
#[derive(Debug)]
pub(crate) struct Kept {
    pub record: Record,
    /// What answers call `storage_element_url`.
    pub url: String,
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;

    use super::*;

    /// A temporary file of three bytes, "abc".
    pub fn record(id: Uuid) -> Record {
        Record {
            id,
            original_filename: "../é\0.txt".to_owned(),
            content_type: "text/plain".into(),
            size: 3,
            // SHA-256 of "abc", from its standard (FIPS 180-2, appendix B.1).
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
            retention_policy: Policy::Temporary,
            uploaded_at: datetime!(2026-11-23 14:07:33.670727 UTC),
            expires_at: Some(datetime!(2026-12-23 14:07:33.670727 UTC)),
            storage_element_id: "dir-1".to_owned(),
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let written = record(Uuid::new_v4());
        assert_eq!(Record::from_json(&written.to_json()), Ok(written.clone()));
        let permanent = Record { retention_policy: Policy::Permanent, expires_at: None, ..written };
        assert_eq!(Record::from_json(&permanent.to_json()), Ok(permanent));
    }

    #[test]
    fn half_a_record_is_an_error() {
        let json = record(Uuid::new_v4()).to_json();
        let error = Record::from_json(&json[..json.len() / 2]).expect_err("is cut off");
        assert!(error.starts_with("a record that cannot be read: EOF"), "{error}");
    }
}
