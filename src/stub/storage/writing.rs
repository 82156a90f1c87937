//! A file on its way in: hashed, counted, and handed on to the element that takes it.

use std::sync::Arc;

use aws_lc_rs::digest::{self, Context};
use bytes::Bytes;
use uuid::Uuid;

use super::super::phase::{Stopwatch, UploadPhase};
use super::elements::Elements;
use super::error::{Refused, StorageError};
use super::kind::{Kind, Sink};
use super::record::{Details, Kept, NewFile, Record};
use crate::units::hex;

/// Most bytes of a file that are held in case that its element turns out to be full.
const MAX_HELD: usize = 1 << 20;

/// A file on its way in. Dropping it leaves nothing behind.
pub(crate) struct Writing {
    hash: Context,
    size: u64,
    upload: Upload,
}

/// A file without its content, and the element that takes it.
struct Upload {
    elements: Arc<Elements>,
    id: Uuid,
    file: NewFile,
    /// The element's place in the list.
    at: usize,
    sink: Sink,
    /// Elements that were tried.
    tries: usize,
    /// All that has arrived, for as long as another try would be possible.
    held: Option<Vec<u8>>,
    /// Whether an element has been asked again with a new token.
    asked_again: bool,
}

impl Writing {
    /// Begins a file on the first element that takes it and has room.
    pub(super) async fn begin(elements: &Arc<Elements>, file: NewFile) -> Result<Self, StorageError> {
        let id = Uuid::new_v4();
        let mut tries = 0;
        let Some((at, sink)) = elements.begin(0, &mut tries, id, &file).await? else {
            return Err(if tries == 0 { StorageError::NoElement } else { StorageError::Full });
        };
        let mut upload = Upload {
            elements: Arc::clone(elements),
            id,
            file,
            at,
            sink,
            tries,
            held: None,
            asked_again: false,
        };
        if upload.may_try_again() {
            upload.held = Some(Vec::new());
        }
        Ok(Self { hash: Context::new(&digest::SHA256), size: 0, upload })
    }

    /// Takes bytes.
    pub async fn write(&mut self, bytes: Bytes, stopwatch: &mut Stopwatch) -> Result<(), StorageError> {
        stopwatch.enter(UploadPhase::Hash);
        self.hash.update(&bytes);
        self.size += bytes.len() as u64;
        // Nothing to wait for, and nothing to allocate: this is what uploads are measured with.
        if matches!(self.upload.sink, Sink::Discard) {
            return Ok(());
        }
        stopwatch.enter(UploadPhase::Storage);
        Box::pin(self.upload.pass_on(bytes)).await
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends a file that arrived whole: it becomes visible with its record, or not at all.
    pub async fn keep(self, details: Details, stopwatch: &mut Stopwatch) -> Result<Kept, StorageError> {
        let Self { hash, size, upload } = self;
        stopwatch.enter(UploadPhase::Hash);
        let sha256 = hex(hash.finish().as_ref());
        stopwatch.enter(UploadPhase::Storage);
        let record = Record {
            id: upload.id,
            original_filename: upload.file.name.clone(),
            content_type: upload.file.content_type.clone(),
            size,
            sha256,
            retention_policy: details.policy,
            uploaded_at: details.uploaded,
            expires_at: details.expires,
            storage_element_id: upload.elements.element(upload.at).name.clone(),
        };
        upload.keep(record).await
    }
}

impl Upload {
    /// Whether there is something to be done if the element refuses.
    fn may_try_again(&self) -> bool {
        match self.elements.element(self.at).kind {
            Kind::Discard => false,
            // Its token may be renewed.
            Kind::Element(_) => true,
            _ => self.elements.next(self.at + 1, self.file.policy).is_some(),
        }
    }

    async fn pass_on(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        match &mut self.held {
            Some(held) if held.len() + bytes.len() <= MAX_HELD => held.extend_from_slice(&bytes),
            // Too much to begin again with.
            _ => self.held = None,
        }
        match self.sink.write(bytes).await {
            Ok(()) => Ok(()),
            Err(refused) => self.recover(refused).await,
        }
    }

    async fn keep(mut self, mut record: Record) -> Result<Kept, StorageError> {
        if !matches!(self.sink, Sink::Discard) {
            Box::pin(self.finish(&mut record)).await?;
        }
        // A field behind the file may have said that it belongs elsewhere.
        if !self.elements.serves(self.at, record.retention_policy) {
            Box::pin(self.relocate(&mut record)).await?;
        }
        self.elements.count(record.size);
        Ok(Kept { record, url: self.elements.element(self.at).url.clone() })
    }

    /// Makes the file visible on its element, or on the next one where this turns out to be full.
    async fn finish(&mut self, record: &mut Record) -> Result<(), StorageError> {
        loop {
            record.storage_element_id.clone_from(&self.elements.element(self.at).name);
            let sink = std::mem::replace(&mut self.sink, Sink::Discard);
            match sink.finish(record).await {
                Ok(()) => return Ok(()),
                Err(refused) => self.recover(refused).await?,
            }
        }
    }

    /// Begins again with all that has arrived: behind an element that is full, or on the same one where its token is a
    /// new one by now. An error where there is nothing left to try.
    async fn recover(&mut self, mut refused: Refused) -> Result<(), StorageError> {
        loop {
            let error = self.elements.error(self.at, refused.clone());
            let from = match refused {
                Refused::Full => self.at + 1,
                Refused::NewToken if !self.asked_again => {
                    self.asked_again = true;
                    // The same element is not another try.
                    self.tries -= 1;
                    self.at
                }
                _ => return Err(error),
            };
            let Some(held) = self.held.clone() else { return Err(error) };
            let begun = self.elements.begin(from, &mut self.tries, self.id, &self.file).await?;
            let Some((at, sink)) = begun else { return Err(error) };
            self.at = at;
            self.sink = sink;
            match self.sink.write(held.into()).await {
                Ok(()) => return Ok(()),
                Err(again) => refused = again,
            }
        }
    }

    /// Moves a file that was stored on an element for other files.
    async fn relocate(&mut self, record: &mut Record) -> Result<(), StorageError> {
        match self.elements.relocate(self.at, record).await {
            Ok(at) => {
                self.at = at;
                Ok(())
            }
            Err(error) => {
                // It belongs nowhere, and an upload that is refused leaves nothing.
                let _ = self.elements.element(self.at).kind.remove(record.id).await;
                Err(error)
            }
        }
    }
}
