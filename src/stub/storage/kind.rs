//! The kinds of storage element, and what each of them does with a file.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use uuid::Uuid;

use super::dir::{self, Dir, DirSink};
use super::element::{ElementSink, Remote};
use super::error::Refused;
#[cfg(feature = "s3")]
use super::object::{Store, StoreSink};
use super::record::{NewFile, Record};
use super::spec::Backend;

/// What keeps files.
#[derive(Debug)]
pub(super) enum Kind {
    /// Nothing: files are hashed and counted.
    Discard,
    Dir(Dir),
    #[cfg(feature = "s3")]
    Object(Store),
    Element(Remote),
}

impl Kind {
    /// Opens it; an error says what is wrong and what to do.
    pub fn open(backend: &Backend, element_token: Option<&Path>) -> Result<Self, String> {
        Ok(match backend {
            Backend::Discard => Self::Discard,
            Backend::Dir(path) => Self::Dir(Dir::open(path)?),
            #[cfg(feature = "s3")]
            Backend::Object(url) => Self::Object(Store::open(url)?),
            Backend::Element(url) => Self::Element(Remote::open(url, element_token)?),
        })
    }

    /// Begins a file.
    // What waits is boxed here and below: else the future of every upload would be as large as that of the largest
    // kind.
    pub async fn begin(&self, id: Uuid, file: &NewFile) -> Result<Sink, Refused> {
        match self {
            Self::Discard => Ok(Sink::Discard),
            Self::Dir(dir) => Ok(Sink::Dir(Box::pin(dir.begin(id, file.announced)).await?)),
            #[cfg(feature = "s3")]
            Self::Object(store) => Ok(Sink::Object(store.begin(id))),
            Self::Element(remote) => Ok(Sink::Element(Box::pin(remote.begin(id, file)).await?)),
        }
    }

    /// A file that is visible here: its record, and its content to be read.
    pub async fn find(&self, id: Uuid) -> Result<Option<(Record, Content)>, Refused> {
        Ok(match self {
            Self::Discard => None,
            Self::Dir(dir) => dir.find(id).await?.map(|(record, file)| (record, Content::File(file))),
            #[cfg(feature = "s3")]
            Self::Object(store) => {
                store.find(id).await?.map(|record| (record, Content::Object(store.clone(), id)))
            }
            Self::Element(remote) => {
                remote.find(id).map(|(record, its_id)| (record, Content::Element(remote.clone(), its_id)))
            }
        })
    }

    /// Replaces a file's record. Returns whether that is possible here: the record of an element elsewhere is its own.
    pub async fn rewrite(&self, record: &Record) -> Result<bool, Refused> {
        match self {
            Self::Discard | Self::Element(_) => return Ok(false),
            Self::Dir(dir) => dir.rewrite(record).await?,
            #[cfg(feature = "s3")]
            Self::Object(store) => store.rewrite(record).await?,
        }
        Ok(true)
    }

    /// Removes a file. Nothing happens where there is none.
    pub async fn remove(&self, id: Uuid) -> Result<(), Refused> {
        match self {
            Self::Discard => Ok(()),
            Self::Dir(dir) => dir.remove(id).await,
            #[cfg(feature = "s3")]
            Self::Object(store) => store.remove(id).await,
            Self::Element(remote) => {
                remote.forget(id);
                Ok(())
            }
        }
    }

    /// Whether files can be stored here now; the problem if not.
    pub async fn check(&self) -> Result<(), Refused> {
        match self {
            Self::Discard => Ok(()),
            Self::Dir(dir) => dir.check().await,
            #[cfg(feature = "s3")]
            Self::Object(store) => store.check().await,
            Self::Element(remote) => remote.check().await,
        }
    }
}

/// A file on its way to an element. Dropping it leaves nothing there.
#[derive(Debug)]
pub(super) enum Sink {
    Discard,
    Dir(DirSink),
    #[cfg(feature = "s3")]
    Object(StoreSink),
    Element(ElementSink),
}

impl Sink {
    /// Takes bytes.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Refused> {
        match self {
            Self::Discard => Ok(()),
            Self::Dir(sink) => sink.write(bytes).await,
            #[cfg(feature = "s3")]
            Self::Object(sink) => sink.write(bytes).await,
            Self::Element(sink) => sink.write(bytes).await,
        }
    }

    /// Makes the file visible, with its record.
    pub async fn finish(self, record: &Record) -> Result<(), Refused> {
        match self {
            Self::Discard => Ok(()),
            Self::Dir(sink) => sink.finish(record).await,
            #[cfg(feature = "s3")]
            Self::Object(sink) => sink.finish(record).await,
            Self::Element(sink) => sink.finish(record).await,
        }
    }
}

/// The content of a stored file.
#[derive(Debug)]
pub(super) enum Content {
    File(File),
    #[cfg(feature = "s3")]
    Object(Store, Uuid),
    Element(Remote, String),
}

impl Content {
    /// Reads it, piece by piece.
    pub async fn stream(self) -> Result<BoxStream<'static, io::Result<Bytes>>, Refused> {
        match self {
            Self::File(file) => Ok(dir::stream_of(file)),
            #[cfg(feature = "s3")]
            Self::Object(store, id) => store.stream(id).await,
            Self::Element(remote, its_id) => remote.stream(&its_id).await,
        }
    }
}
