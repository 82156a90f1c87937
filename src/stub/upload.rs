//! `POST /api/v1/files/upload`: parse and hash the bytes as they arrive, hand them to the storage, then answer.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use time::OffsetDateTime;

use super::answer::{Refusal, StoredFile};
use super::drain;
use super::fields::Fields;
use super::multipart::{self, Broken, Multipart};
use super::part::Part;
use super::state::State;
use super::storage::{Details, Kept, NewFile, Storage, Writing};
use crate::units::{Bytes, rfc3339};

/// Largest file that is taken; exactly this much passes.
const MAX_FILE: Bytes = Bytes::gb(1);
/// Most bytes a body may have beside its file.
const MAX_OVERHEAD: Bytes = Bytes::mb(1);
/// Most parts in one body.
const MAX_PARTS: usize = 32;
/// Content type of a file that is sent without one.
const DEFAULT_TYPE: &str = "application/octet-stream";
/// Longest text field.
const MAX_FIELD: usize = 64 << 10;

/// Answers one upload. A refused body is read on for a while, so that the answer is not lost.
pub(super) async fn upload(
    Shared(state): Shared<Arc<State>>,
    request: Request,
) -> Result<StoredFile, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(multipart::boundary);
    let mut body = request.into_body();
    let stored = match boundary {
        Some(boundary) => receive(&mut body, &boundary, &state.storage).await,
        None => Err(Refusal::Invalid("body: must be multipart/form-data with a file".to_owned())),
    };
    #[cfg(feature = "handicap")]
    if let Ok(file) = &stored {
        state.handicap.suffer(file.file_size).await;
    }
    if stored.is_err() {
        drain::later(body);
    }
    stored
}

/// Reads the whole body. Every way out but its end is a refusal: a truncated upload is never a success.
async fn receive(body: &mut Body, boundary: &str, storage: &Storage) -> Result<StoredFile, Refusal> {
    // A length that was announced is judged before anything is parsed; without one, `write` counts.
    if body.size_hint().lower() > MAX_FILE.0 + MAX_OVERHEAD.0 {
        return Err(Refusal::TooLarge);
    }
    let mut form = Form { announced: body.size_hint().exact(), ..Form::default() };
    let mut multipart = Multipart::new(body, boundary);
    // Limited, as each part costs a parse of its headers, however little it holds.
    for _ in 0..MAX_PARTS {
        let Some(part) = multipart.next().await? else { return form.store().await };
        form.take(part, &mut multipart, storage).await?;
    }
    Err(Refusal::Invalid(format!("body: more than {MAX_PARTS} parts")))
}

/// What has arrived of a form.
#[derive(Default)]
struct Form {
    fields: Fields,
    /// The length of the whole body, where the request says it: the file is no longer.
    announced: Option<u64>,
    file: Option<ArrivedFile>,
}

/// The form's file, of which a stored one may be made.
struct ArrivedFile {
    has_name: bool,
    written: Writing,
}

impl Form {
    async fn take(
        &mut self,
        part: Part,
        content: &mut Multipart<'_>,
        storage: &Storage,
    ) -> Result<(), Refusal> {
        if part.name != "file" {
            let value = text(content, &part.name).await?;
            return self.fields.set(&part.name, &value);
        }
        if self.file.is_some() {
            return Err(Refusal::Invalid("file: more than one".to_owned()));
        }
        let name = part.file_name.unwrap_or_default();
        let has_name = !name.is_empty();
        let file = NewFile {
            name,
            content_type: DEFAULT_TYPE.into(),
            policy: self.fields.policy(),
            announced: self.announced,
        };
        let written = write(content, storage.begin(file).await?).await?;
        self.file = Some(ArrivedFile { has_name, written });
        Ok(())
    }

    /// Ends the upload, now that the whole form is there.
    async fn store(self) -> Result<StoredFile, Refusal> {
        let written = match self.file {
            None => return Err(invalid_file("field required")),
            Some(file) if !file.has_name => return Err(invalid_file("has no name")),
            Some(file) if file.written.size() == 0 => return Err(invalid_file("is empty")),
            Some(file) => file.written,
        };
        let uploaded = OffsetDateTime::now_utc();
        let expires = self.fields.expires(uploaded);
        let details = Details { policy: self.fields.policy(), uploaded, expires };
        // Visible and counted only now: a form that ends in a refusal has stored nothing.
        Ok(answer(written.keep(details).await?))
    }
}

fn invalid_file(problem: &str) -> Refusal {
    Refusal::Invalid(format!("file: {problem}"))
}

fn answer(Kept { record, url }: Kept) -> StoredFile {
    let file_id = record.id.to_string();
    StoredFile {
        storage_filename: format!("{file_id}_{}", record.original_filename),
        file_id,
        original_filename: record.original_filename,
        file_size: record.size,
        compressed: false,
        compression_ratio: None,
        checksum: record.sha256,
        uploaded_at: rfc3339(record.uploaded_at),
        storage_element_url: url,
        retention_policy: record.retention_policy.as_str(),
        ttl_expires_at: record.expires_at.map(rfc3339),
        storage_element_id: record.storage_element_id,
    }
}

async fn write(content: &mut Multipart<'_>, mut file: Writing) -> Result<Writing, Refusal> {
    while let Some(bytes) = content.chunk().await? {
        file.write(bytes).await?;
        if file.size() > MAX_FILE.0 {
            return Err(Refusal::TooLarge);
        }
    }
    Ok(file)
}

async fn text(content: &mut Multipart<'_>, name: &str) -> Result<String, Refusal> {
    let mut value = Vec::new();
    while let Some(bytes) = content.chunk().await? {
        value.extend_from_slice(&bytes);
        if value.len() > MAX_FIELD {
            return Err(Refusal::Invalid(format!("{name}: too long")));
        }
    }
    String::from_utf8(value).map_err(|_| Refusal::Invalid(format!("{name}: is not UTF-8")))
}

impl From<Broken> for Refusal {
    fn from(Broken: Broken) -> Self {
        Self::Broken
    }
}
