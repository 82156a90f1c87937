//! `POST /api/v1/files/upload`: parse, hash and count the bytes as they arrive, then answer.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use time::OffsetDateTime;
use uuid::Uuid;

use super::answer::{Refusal, StoredFile};
use super::app::State;
use super::drain;
use super::fields::Fields;
use super::metered::Meter;
use super::storage::{Discard, Kept, Writing};
use crate::units::{Bytes, rfc3339};

/// Largest file that is taken; exactly this much passes.
const MAX_FILE: Bytes = Bytes::gb(1);
/// Most bytes a body may have beside its file.
const MAX_OVERHEAD: Bytes = Bytes::mb(1);
/// Most parts in one body.
const MAX_PARTS: usize = 32;
/// Longest text field.
const MAX_FIELD: usize = 64 << 10;

/// Answers one upload. A refused body is read on for a while, so that the answer is not lost.
pub(super) async fn upload(
    Shared(state): Shared<Arc<State>>,
    request: Request,
) -> Result<StoredFile, Refusal> {
    let boundary = boundary(&request);
    let mut body = request.into_body();
    let stored = match boundary {
        Ok(boundary) => receive(&mut body, boundary, &state.storage).await,
        Err(refusal) => Err(refusal),
    };
    if stored.is_err() {
        drain::later(body);
    }
    stored
}

fn boundary(request: &Request) -> Result<String, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type
        .and_then(|value| multer::parse_boundary(value).ok())
        .ok_or_else(|| Refusal::Invalid("body: must be multipart/form-data with a file".to_owned()))
}

/// Reads the whole body. Every way out but its end is a refusal: a truncated upload is never a success.
async fn receive(body: &mut Body, boundary: String, storage: &Discard) -> Result<StoredFile, Refusal> {
    if body.size_hint().lower() > MAX_FILE.0 + MAX_OVERHEAD.0 {
        return Err(Refusal::TooLarge);
    }
    let meter = Meter::default();
    let mut parts = Multipart::new(meter.read(body), boundary);
    let mut form = Form::default();
    for _ in 0..MAX_PARTS {
        meter.expect_head();
        let Some(part) = parts.next_field().await.map_err(broken)? else { return form.store(storage) };
        meter.expect_content();
        form.take(part, storage).await?;
    }
    Err(Refusal::Invalid(format!("body: more than {MAX_PARTS} parts")))
}

/// What has arrived of a form.
#[derive(Default)]
struct Form {
    fields: Fields,
    file: Option<(String, Writing)>,
}

impl Form {
    async fn take(&mut self, part: Field<'_>, storage: &Discard) -> Result<(), Refusal> {
        match part.name() {
            Some("file") if self.file.is_some() => Err(Refusal::Invalid("file: more than one".to_owned())),
            Some("file") => {
                let name = part.file_name().unwrap_or_default().to_owned();
                self.file = Some((name, write(part, storage.begin()).await?));
                Ok(())
            }
            Some(name) => {
                let name = name.to_owned();
                let value = text(part, &name).await?;
                self.fields.set(&name, &value)
            }
            None => Err(Refusal::Broken),
        }
    }

    /// Ends the upload, now that the whole form is there.
    fn store(self, storage: &Discard) -> Result<StoredFile, Refusal> {
        let invalid = |problem: &str| Err(Refusal::Invalid(format!("file: {problem}")));
        match self.file {
            None => invalid("field required"),
            Some((name, _)) if name.is_empty() => invalid("has no name"),
            Some((_, file)) if file.size() == 0 => invalid("is empty"),
            Some((name, file)) => Ok(answer(name, &self.fields, storage.keep(file), storage)),
        }
    }
}

fn answer(name: String, fields: &Fields, kept: Kept, storage: &Discard) -> StoredFile {
    let uploaded = OffsetDateTime::now_utc();
    let file_id = Uuid::new_v4().to_string();
    StoredFile {
        storage_filename: format!("{file_id}_{name}"),
        file_id,
        original_filename: name,
        file_size: kept.size,
        compressed: false,
        compression_ratio: None,
        checksum: kept.sha256,
        uploaded_at: rfc3339(uploaded),
        storage_element_url: storage.url().to_owned(),
        retention_policy: fields.retention_policy(),
        ttl_expires_at: fields.expires(uploaded).map(rfc3339),
        storage_element_id: "discard",
    }
}

async fn write(mut part: Field<'_>, mut file: Writing) -> Result<Writing, Refusal> {
    while let Some(bytes) = part.chunk().await.map_err(broken)? {
        file.write(&bytes);
        if file.size() > MAX_FILE.0 {
            return Err(Refusal::TooLarge);
        }
    }
    Ok(file)
}

async fn text(mut part: Field<'_>, name: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FIELD {
            return Err(Refusal::Invalid(format!("{name}: too long")));
        }
    }
    String::from_utf8(bytes).map_err(|_| Refusal::Invalid(format!("{name}: is not UTF-8")))
}

fn broken(_: multer::Error) -> Refusal {
    Refusal::Broken
}
