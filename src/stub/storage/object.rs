//! An object store as a storage element: S3, and whatever else `object_store` speaks to.
//!
//! The content is the object `PREFIX/ID`, the record `PREFIX/ID.json`. The record is written last and removed first,
//! and only what has a record is visible. What a killed process leaves (parts of an upload, content without a record)
//! is not visible; a rule of the bucket's lifecycle has to remove it.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use url::Url;
use uuid::Uuid;

use super::error::Refused;
use super::record::Record;
use crate::bucket::{Bucket, told};

/// Bytes of a part. S3 wants 5 MB or more of all but the last, and R2 wants them to be equal.
const PART: usize = 8 << 20;
/// Largest record that is read.
const MAX_RECORD: u64 = 1 << 20;

/// A place in an object store. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Store {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Store {
    /// The place at this URL.
    pub fn open(url: &Url) -> Result<Self, String> {
        let Bucket { store, prefix } = Bucket::open(url)?;
        Ok(Self { store, prefix })
    }

    fn content(&self, id: Uuid) -> Path {
        self.prefix.clone().join(id.to_string())
    }

    fn record(&self, id: Uuid) -> Path {
        self.prefix.clone().join(format!("{id}.json"))
    }

    /// Begins a file. The store is not asked before there is enough for a part, or all of it.
    pub fn begin(&self, id: Uuid) -> StoreSink {
        let unfinished =
            Unfinished { store: self.clone(), id, upload: None, sending: None, written: false, kept: false };
        StoreSink { buffer: BytesMut::new(), unfinished }
    }

    /// The record of a file.
    pub async fn find(&self, id: Uuid) -> Result<Option<Record>, Refused> {
        let found = match self.store.get(&self.record(id)).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        if found.meta.size > MAX_RECORD {
            return Err(Refused::failed(format_args!("a record of {} bytes", found.meta.size)));
        }
        let json = found.bytes().await?;
        Record::from_json(&json).map(Some).map_err(Refused::Failed)
    }

    /// The content of a file.
    pub async fn stream(&self, id: Uuid) -> Result<BoxStream<'static, io::Result<Bytes>>, Refused> {
        let found = self.store.get(&self.content(id)).await?;
        Ok(found.into_stream().map_err(io::Error::other).boxed())
    }

    /// Replaces the record of a file.
    pub async fn rewrite(&self, record: &Record) -> Result<(), Refused> {
        self.store.put(&self.record(record.id), record.to_json().into()).await?;
        Ok(())
    }

    /// Removes a file. Nothing happens where there is none.
    pub async fn remove(&self, id: Uuid) -> Result<(), Refused> {
        for path in [self.record(id), self.content(id)] {
            match self.store.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Whether the store answers; the problem if not.
    pub async fn check(&self) -> Result<(), Refused> {
        // To a request for an object, a bucket that is missing answers as an object that is missing.
        match self.store.list(Some(&self.prefix)).next().await {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(e)) => Err(e.into()),
        }
    }
}

/// A file on its way into a store. Dropping it removes what was sent.
#[derive(Debug)]
pub(super) struct StoreSink {
    /// The part that is being filled.
    buffer: BytesMut,
    unfinished: Unfinished,
}

impl StoreSink {
    /// Takes bytes. A full part is sent while the next one is filled: at most two are in memory.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), Refused> {
        while !bytes.is_empty() {
            let fits = bytes.len().min(PART - self.buffer.len());
            // Copied, as pieces can be so small that keeping track of them would take more memory than they do.
            self.buffer.extend_from_slice(&bytes.split_to(fits));
            if self.buffer.len() == PART {
                let part = self.buffer.split().freeze();
                self.unfinished.send(part).await?;
            }
        }
        Ok(())
    }

    /// Makes the file visible, with its record.
    pub async fn finish(mut self, record: &Record) -> Result<(), Refused> {
        let rest = self.buffer.split().freeze();
        self.unfinished.complete(rest).await?;
        self.unfinished.store.rewrite(record).await?;
        self.unfinished.kept = true;
        Ok(())
    }
}

/// What is in a store of a file without a record. It is removed when this is dropped, unless it is kept.
#[derive(Debug)]
struct Unfinished {
    store: Store,
    id: Uuid,
    /// The multipart upload; a file of less than a part needs none.
    upload: Option<Box<dyn MultipartUpload>>,
    /// The part before, which is being sent.
    sending: Option<JoinHandle<object_store::Result<()>>>,
    /// Whether the object may be there.
    written: bool,
    kept: bool,
}

impl Unfinished {
    /// Sends a part, once the part before has arrived.
    async fn send(&mut self, part: Bytes) -> Result<(), Refused> {
        self.sent().await?;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.store.store.put_multipart(&self.store.content(self.id)).await?),
        };
        // A task of its own: the next part is filled meanwhile.
        self.sending = Some(tokio::spawn(upload.put_part(part.into())));
        Ok(())
    }

    /// Waits for the part before.
    async fn sent(&mut self) -> Result<(), Refused> {
        let Some(sending) = self.sending.take() else { return Ok(()) };
        sending.await.map_err(Refused::failed)??;
        Ok(())
    }

    /// Sends the rest, and makes an object of all of it.
    async fn complete(&mut self, rest: Bytes) -> Result<(), Refused> {
        if self.upload.is_none() {
            self.written = true;
            self.store.store.put(&self.store.content(self.id), PutPayload::from_bytes(rest)).await?;
            return Ok(());
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        self.sent().await?;
        self.written = true;
        if let Some(upload) = &mut self.upload {
            upload.complete().await?;
        }
        // What is complete cannot be aborted any more.
        self.upload = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let upload = self.upload.take();
        let sending = self.sending.take();
        let written = self.written;
        if self.kept || (upload.is_none() && !written) {
            return;
        }
        // Without an event loop nothing can be sent.
        let Ok(runtime) = Handle::try_current() else { return };
        let store = self.store.clone();
        let id = self.id;
        runtime.spawn(async move {
            // A part that arrives after the end of its upload would stay.
            if let Some(sending) = sending {
                let _ = sending.await;
            }
            if let Some(mut upload) = upload {
                let _ = upload.abort().await;
            }
            if written {
                let _ = store.remove(id).await;
            }
        });
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let text = told(&error);
        if is_full(&error) || text.starts_with("it answered 507") { Self::Full } else { Self::Failed(text) }
    }
}

/// Whether the disk behind a store is full; for stores that are folders.
fn is_full(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::StorageFull
        {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    fn store() -> Store {
        Store::open(&Url::parse("memory:///files").expect("is a URL")).expect("opens")
    }

    /// Names of all objects, sorted.
    async fn names(store: &Store) -> Vec<String> {
        let objects: Vec<_> = store.store.list(None).try_collect().await.expect("can be listed");
        let mut names: Vec<String> = objects.into_iter().map(|object| object.location.to_string()).collect();
        names.sort_unstable();
        names
    }

    async fn content(store: &Store, id: Uuid) -> Vec<u8> {
        let stream = store.stream(id).await.expect("is there");
        let pieces: Vec<Bytes> = stream.try_collect().await.expect("can be read");
        pieces.concat()
    }

    #[tokio::test]
    async fn a_small_file_is_one_object_and_its_record() {
        let store = store();
        let record = record(Uuid::new_v4());
        let mut sink = store.begin(record.id);
        sink.write(Bytes::from_static(b"abc")).await.expect("is taken");
        assert!(store.find(record.id).await.expect("answers").is_none());
        sink.finish(&record).await.expect("is kept");
        let id = record.id;
        assert_eq!(names(&store).await, [format!("files/{id}"), format!("files/{id}.json")]);
        assert_eq!(store.find(id).await.expect("answers"), Some(record));
        assert_eq!(content(&store, id).await, b"abc");
        store.remove(id).await.expect("is removed");
        store.remove(id).await.expect("is not there");
        assert!(names(&store).await.is_empty());
    }

    #[tokio::test]
    async fn a_large_file_is_sent_in_parts_and_comes_back_whole() {
        let store = store();
        let record = record(Uuid::new_v4());
        let mut sink = store.begin(record.id);
        // Two parts and a half, in pieces that do not fit into a part evenly.
        let whole: Vec<u8> = (0..PART * 5 / 2).map(|i| (i % 251) as u8).collect();
        for piece in whole.chunks(3_000_000) {
            sink.write(Bytes::copy_from_slice(piece)).await.expect("is taken");
        }
        assert!(sink.unfinished.upload.is_some());
        sink.finish(&record).await.expect("is kept");
        assert!(content(&store, record.id).await == whole);
    }

    #[tokio::test]
    async fn content_without_its_record_is_removed() {
        let store = store();
        let mut sink = store.begin(Uuid::new_v4());
        sink.unfinished.complete(Bytes::from_static(b"abc")).await.expect("is put");
        assert_eq!(names(&store).await.len(), 1);
        drop(sink);
        // The removal is a task of its own.
        while !names(&store).await.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_store_that_is_there_is_well() {
        assert_eq!(store().check().await, Ok(()));
    }

    /// An error as `object_store` makes it of an answer: status, and the body behind it.
    fn answered(answer: &str) -> Error {
        Error::Generic {
            store: "S3",
            source: format!("Server returned non-2xx status code: {answer}").into(),
        }
    }

    #[test]
    fn a_full_store_is_told_from_one_that_fails() {
        assert_eq!(Refused::from(answered("507 Insufficient Storage: ")), Refused::Full);
        let disk =
            Error::Generic { store: "file", source: io::Error::from(io::ErrorKind::StorageFull).into() };
        assert_eq!(Refused::from(disk), Refused::Full);
    }
}
