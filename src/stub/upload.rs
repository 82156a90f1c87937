//! `POST /api/v1/files/upload`: parse and hash the bytes as they arrive, hand them to the storage, then answer.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use time::OffsetDateTime;

use super::answer::{Refusal, StoredFile};
use super::broken::Broken;
use super::fault::StorageFault;
use super::fields::Fields;
use super::limits::{MAX_FIELD, MAX_FILE};
use super::multipart::{self, Multipart};
use super::part::Part;
use super::phase::{Stopwatch, UploadPhase};
use super::state::State;
use super::storage::{Details, NewFile, StorageError, Writing};
use crate::auth::Claims;

/// Content type of a file that is sent without one.
const DEFAULT_TYPE: &str = "application/octet-stream";
/// Longest name of a file, in bytes: four times what file systems take. It is kept with each file, and told in headers.
const MAX_NAME: usize = 1024;
/// Longest content type that is kept, in bytes (RFC 6838 allows 127 on each side of the slash).
const MAX_TYPE: usize = 255;

/// Answers one upload. The rest of a body that is refused is not read here: see `door::closing`.
pub(super) async fn upload(Shared(state): Shared<Arc<State>>, mut request: Request) -> Response {
    let began = Instant::now();
    let _active = state.metrics.begins();
    let mut stopwatch = state.stopwatch(&mut request);
    stopwatch.enter(UploadPhase::Multipart);
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(multipart::boundary);
    let claims = request.extensions().get::<Arc<Claims>>().cloned();
    let mut body = request.into_body();
    let mut form = Form { announced: body.size_hint().exact(), stopwatch, ..Form::default() };
    let stored = match boundary {
        Some(boundary) => form.receive(&mut body, &boundary, &state).await,
        None => Err(Refusal::Invalid("body: must be multipart/form-data with a file".to_owned())),
    };
    form.stopwatch.enter(UploadPhase::Answer);
    let policy = form.fields.retention_policy();
    let answer = match stored {
        Ok(mut file) => {
            #[cfg(feature = "handicap")]
            state.handicap.suffer(file.size).await;
            state.metrics.stored(file.size);
            file.by = claims.map(|claims| claims.sub.clone()).unwrap_or_default();
            file.fields = form.fields;
            let mut answer = file.answer(state.dialect);
            form.stopwatch.hand_back(file.size, &mut answer);
            answer
        }
        Err(refusal) => {
            state.metrics.failed(refusal.cause());
            state.tell("an upload", &refusal);
            refusal.answer(state.dialect)
        }
    };
    state.metrics.answered(policy, answer.status().as_u16(), began.elapsed());
    answer
}

/// What has arrived of a form.
#[derive(Default)]
struct Form {
    fields: Fields,
    /// The length of the whole body, where the request says it: the file is no longer.
    announced: Option<u64>,
    /// The form's file, of which a stored one may be made.
    file: Option<Writing>,
    stopwatch: Stopwatch,
}

impl Form {
    /// Reads the whole body. Every way out but its end is a refusal: a truncated upload is never a success.
    async fn receive(
        &mut self,
        body: &mut Body,
        boundary: &str,
        state: &State,
    ) -> Result<StoredFile, Refusal> {
        let mut multipart = Multipart::new(body, boundary);
        // Lent to the reader, who alone knows when it waits for the body. An upload that is refused before the body's end
        // does not get it back, and needs it no more.
        multipart.stopwatch = std::mem::take(&mut self.stopwatch);
        while let Some(part) = multipart.next().await? {
            self.take(part, &mut multipart, state).await?;
        }
        self.stopwatch = multipart.stopwatch;
        self.store().await
    }

    async fn take(&mut self, part: Part, content: &mut Multipart<'_>, state: &State) -> Result<(), Refusal> {
        if part.name != "file" {
            let value = text(content, &part.name).await?;
            return Ok(self.fields.set(&part.name, &value)?);
        }
        if self.file.is_some() {
            return Err(Refusal::Invalid("file: more than one".to_owned()));
        }
        let name = part.file_name.unwrap_or_default();
        // Before the file is received.
        if name.is_empty() {
            return Err(invalid_file("has no name"));
        }
        if name.len() > MAX_NAME {
            return Err(invalid_file(&format!("has a name of more than {MAX_NAME} bytes")));
        }
        let content_type = part.content_type.filter(|kind| kind.len() <= MAX_TYPE);
        let content_type = content_type.map_or_else(|| DEFAULT_TYPE.into(), Into::into);
        let file = NewFile { name, content_type, policy: self.fields.policy(), announced: self.announced };
        content.stopwatch.enter(UploadPhase::Storage);
        let written = write(content, begin(state, file).await?).await?;
        self.file = Some(written);
        Ok(())
    }

    /// Ends the upload, now that the whole form is there.
    async fn store(&mut self) -> Result<StoredFile, Refusal> {
        let written = match self.file.take() {
            None => return Err(invalid_file("field required")),
            Some(file) if file.size() == 0 => return Err(invalid_file("is empty")),
            Some(file) => file,
        };
        let uploaded = OffsetDateTime::now_utc();
        let expires = self.fields.expires(uploaded);
        let details = Details { policy: self.fields.policy(), uploaded, expires };
        // Visible and counted only now: a form that ends in a refusal has stored nothing.
        let kept = written.keep(details, &mut self.stopwatch).await.map_err(Refusal::Storage)?;
        Ok(StoredFile::from(kept))
    }
}

/// Begins a file at the storage, or fails as a fault has it.
async fn begin(state: &State, file: NewFile) -> Result<Writing, Refusal> {
    // Asked once for each upload, so that the same ones fail whatever the storage does.
    let fault = state.faults.as_ref().and_then(|faults| faults.storage());
    let begun = match fault {
        None => state.storage.begin(file).await,
        Some(StorageFault::Full) => Err(StorageError::Full),
        Some(StorageFault::Down) => Err(StorageError::Failed("a fault was asked for".to_owned())),
    };
    begun.map_err(Refusal::Storage)
}

fn invalid_file(problem: &str) -> Refusal {
    Refusal::Invalid(format!("file: {problem}"))
}

async fn write(content: &mut Multipart<'_>, mut file: Writing) -> Result<Writing, Refusal> {
    while let Some(bytes) = content.chunk().await? {
        file.write(bytes, &mut content.stopwatch).await.map_err(Refusal::Storage)?;
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
