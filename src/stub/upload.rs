//! `POST /api/v1/files/upload`: parse, hash and count the bytes as they arrive, then answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use time::OffsetDateTime;
use uuid::Uuid;

use super::answer::{Refusal, StoredFile};
use super::broken::Broken;
use super::fields::Fields;
use super::limits::{MAX_FIELD, MAX_FILE};
use super::multipart::{self, Multipart};
use super::part::Part;
use super::state::State;
use super::storage::{Discard, Kept, Writing};
use crate::units::rfc3339;

/// Answers one upload. The rest of a body that is refused is not read here: see `door::closing`.
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
    stored
}

/// Reads the whole body. Every way out but its end is a refusal: a truncated upload is never a success.
async fn receive(body: &mut Body, boundary: &str, storage: &Discard) -> Result<StoredFile, Refusal> {
    let mut multipart = Multipart::new(body, boundary);
    let mut form = Form::default();
    while let Some(part) = multipart.next().await? {
        form.take(part, &mut multipart, storage).await?;
    }
    form.store(storage)
}

/// What has arrived of a form.
#[derive(Default)]
struct Form {
    fields: Fields,
    file: Option<(String, Writing)>,
}

impl Form {
    async fn take(
        &mut self,
        part: Part,
        content: &mut Multipart<'_>,
        storage: &Discard,
    ) -> Result<(), Refusal> {
        if part.name != "file" {
            let value = text(content, &part.name).await?;
            return self.fields.set(&part.name, &value);
        }
        if self.file.is_some() {
            return Err(Refusal::Invalid("file: more than one".to_owned()));
        }
        let written = write(content, storage.begin()).await?;
        self.file = Some((part.file_name.unwrap_or_default(), written));
        Ok(())
    }

    /// Ends the upload, now that the whole form is there.
    fn store(self, storage: &Discard) -> Result<StoredFile, Refusal> {
        match self.file {
            None => Err(invalid_file("field required")),
            Some((name, _)) if name.is_empty() => Err(invalid_file("has no name")),
            Some((_, file)) if file.size() == 0 => Err(invalid_file("is empty")),
            // Counted only now: a form that ends in a refusal has stored nothing.
            Some((name, file)) => Ok(answer(name, &self.fields, storage.keep(file), storage)),
        }
    }
}

fn invalid_file(problem: &str) -> Refusal {
    Refusal::Invalid(format!("file: {problem}"))
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

async fn write(content: &mut Multipart<'_>, mut file: Writing) -> Result<Writing, Refusal> {
    while let Some(bytes) = content.chunk().await? {
        file.write(&bytes);
        if file.size() > MAX_FILE.0 {
            return Err(Refusal::TooLarge);
        }
    }
    Ok(file)
}

/// Reads a text field. What is too long is refused before it is kept.
async fn text(content: &mut Multipart<'_>, name: &str) -> Result<String, Refusal> {
    let mut value = Vec::new();
    while let Some(bytes) = content.chunk().await? {
        if value.len() + bytes.len() > MAX_FIELD {
            return Err(Refusal::Invalid(format!("{name}: longer than {MAX_FIELD} bytes")));
        }
        value.extend_from_slice(&bytes);
    }
    String::from_utf8(value).map_err(|_| Refusal::Invalid(format!("{name}: is not UTF-8")))
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::TooLarge => Self::TooLarge,
            // The form is sound, but for the name.
            Broken::Name { .. } => Self::Invalid(broken.to_string()),
            _ => Self::Broken(format!("There was an error parsing the body: {broken}")),
        }
    }
}
