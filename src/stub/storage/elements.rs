//! All elements of a storage, in order: which of them takes a file, which has it, and how it moves between two of them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{self, Context};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::error::{NotUsable, Refused, StorageError};
use super::kind::{Content, Kind, Sink};
use super::record::{NewFile, Policy, Record};
use super::spec::{Backend, StorageSpec};
use crate::units::hex;

/// Most elements that are tried for one file, as the service does.
const MAX_TRIES: usize = 3;
/// How long the check of an element may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Files and bytes that were taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Complete files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One storage element.
#[derive(Debug)]
pub(super) struct Element {
    pub name: String,
    /// What answers call `storage_element_url`.
    pub url: String,
    spec: StorageSpec,
    pub kind: Kind,
}

/// Whether files can be stored on an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElementHealth {
    pub name: String,
    /// Why not.
    pub problem: Option<String>,
}

/// A file that was found, and the place of its element in the list.
pub(super) struct Located {
    pub at: usize,
    pub record: Record,
    pub content: Content,
}

/// All elements, in the order that they are tried in.
#[derive(Debug)]
pub(super) struct Elements {
    list: Vec<Element>,
    files: AtomicU64,
    bytes: AtomicU64,
    /// Held while a file moves: two moves of one file would get into each other's way.
    moving: Mutex<()>,
}

impl Elements {
    /// Opens all of them, for a stub at this address.
    pub fn open(
        specs: &[StorageSpec],
        address: SocketAddr,
        element_token: Option<&Path>,
    ) -> Result<Self, NotUsable> {
        let mut list = Vec::new();
        for spec in specs {
            let opened = open_one(spec, &list, address, element_token);
            list.push(opened.map_err(|problem| NotUsable { spec: spec.to_string(), problem })?);
        }
        Ok(Self { list, files: AtomicU64::new(0), bytes: AtomicU64::new(0), moving: Mutex::new(()) })
    }

    pub fn element(&self, at: usize) -> &Element {
        &self.list[at]
    }

    /// Whether this element takes files of this policy.
    pub fn serves(&self, at: usize, policy: Policy) -> bool {
        self.list[at].spec.serves(policy)
    }

    /// The first element from here on that takes files of this policy.
    pub fn next(&self, from: usize, policy: Policy) -> Option<usize> {
        (from..self.list.len()).find(|at| self.serves(*at, policy))
    }

    /// An element's problem as one of the upload's.
    pub fn error(&self, at: usize, refused: Refused) -> StorageError {
        let name = &self.list[at].name;
        match refused {
            Refused::Full => StorageError::Full,
            Refused::NewToken => StorageError::Failed(format!("{name}: refused a token that it took before")),
            Refused::Failed(problem) => StorageError::Failed(format!("{name}: {problem}")),
        }
    }

    /// Begins a file on the first element from here on that takes it and has room. Returns nothing where there is no
    /// such element, or as many as are allowed were tried; `tries` counts them.
    pub async fn begin(
        &self,
        from: usize,
        tries: &mut usize,
        id: Uuid,
        file: &NewFile,
    ) -> Result<Option<(usize, Sink)>, StorageError> {
        let mut from = from;
        while *tries < MAX_TRIES {
            let Some(at) = self.next(from, file.policy) else { break };
            *tries += 1;
            match self.list[at].kind.begin(id, file).await {
                Ok(sink) => return Ok(Some((at, sink))),
                Err(Refused::Full) => from = at + 1,
                Err(refused) => return Err(self.error(at, refused)),
            }
        }
        Ok(None)
    }

    /// Counts a file that was stored.
    pub fn count(&self, size: u64) {
        // `Relaxed`: the two are counters, and nothing else is read or written in their order.
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    pub fn stored(&self) -> Stored {
        Stored { files: self.files.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// The file with this id.
    pub async fn find(&self, id: Uuid) -> Result<Option<Located>, StorageError> {
        match self.find_once(id).await? {
            Some(located) => Ok(Some(located)),
            // One that moves to an element that was asked before it was there, from one that is asked after it has gone, is
            // found the second time.
            None if self.list.len() > 1 => self.find_once(id).await,
            None => Ok(None),
        }
    }

    /// The file with this id, on the first element that has it.
    async fn find_once(&self, id: Uuid) -> Result<Option<Located>, StorageError> {
        let mut trouble = None;
        for (at, element) in self.list.iter().enumerate() {
            match element.kind.find(id).await {
                Ok(Some((record, content))) => return Ok(Some(Located { at, record, content })),
                Ok(None) => {}
                Err(refused) => trouble = Some(self.error(at, refused)),
            }
        }
        // Where one could not be asked, it is not certain that there is no such file.
        match trouble {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Makes a temporary file permanent. Returns its new record; nothing where there is no such file.
    pub async fn finalize(&self, id: Uuid) -> Result<Option<Record>, StorageError> {
        let _turn = self.moving.lock().await;
        let Some(Located { at, record, .. }) = self.find(id).await? else { return Ok(None) };
        if record.retention_policy == Policy::Permanent {
            return Ok(Some(record));
        }
        let mut record = Record { retention_policy: Policy::Permanent, expires_at: None, ..record };
        // An element for both kinds of file keeps it where it is.
        let stays = self.serves(at, Policy::Permanent)
            && self.list[at].kind.rewrite(&record).await.map_err(|refused| self.error(at, refused))?;
        if !stays {
            self.relocate(at, &mut record).await?;
        }
        Ok(Some(record))
    }

    /// Moves a file to the first element with room that takes it by what its record says now, and returns that
    /// element's place. Where that fails, the file stays where it is, as it was.
    pub async fn relocate(&self, from: usize, record: &mut Record) -> Result<usize, StorageError> {
        let mut next = 0;
        let mut outcome = StorageError::NoElement;
        for _ in 0..MAX_TRIES {
            let Some(at) = self.next(next, record.retention_policy) else { break };
            record.storage_element_id.clone_from(&self.list[at].name);
            match self.copy(from, at, record).await {
                Ok(()) => {
                    // An element elsewhere knows one of its files as ours, and that is the new one by now.
                    if at != from {
                        let removed = self.list[from].kind.remove(record.id).await;
                        removed.map_err(|refused| self.error(from, refused))?;
                    }
                    return Ok(at);
                }
                Err(StorageError::Full) => outcome = StorageError::Full,
                Err(error) => return Err(error),
            }
            next = at + 1;
        }
        Err(outcome)
    }

    /// Copies a file, and reads the copy to see that it is right.
    async fn copy(&self, from: usize, to: usize, record: &Record) -> Result<(), StorageError> {
        // A move may have been cut off between its copy and the removal of the original.
        if to != from && self.sha256_at(to, record.id).await?.as_ref() == Some(&record.sha256) {
            let rewritten = self.list[to].kind.rewrite(record).await;
            return rewritten.map(drop).map_err(|refused| self.error(to, refused));
        }
        let file = NewFile {
            name: record.original_filename.clone(),
            content_type: record.content_type.clone(),
            policy: record.retention_policy,
            announced: Some(record.size),
        };
        let found =
            self.list[from].kind.find(record.id).await.map_err(|refused| self.error(from, refused))?;
        let (_, content) =
            found.ok_or_else(|| self.error(from, Refused::failed("keeps no file to be moved")))?;
        let mut content = content.stream().await.map_err(|refused| self.error(from, refused))?;
        let begun = self.list[to].kind.begin(record.id, &file).await;
        let mut sink = begun.map_err(|refused| self.error(to, refused))?;
        let mut hash = Context::new(&digest::SHA256);
        while let Some(bytes) = content.try_next().await.map_err(|e| self.error(from, Refused::failed(e)))? {
            hash.update(&bytes);
            sink.write(bytes).await.map_err(|refused| self.error(to, refused))?;
        }
        if hex(hash.finish().as_ref()) != record.sha256 {
            return Err(self.error(from, Refused::failed("the file does not match its checksum any more")));
        }
        sink.finish(record).await.map_err(|refused| self.error(to, refused))?;
        if self.sha256_at(to, record.id).await?.as_ref() != Some(&record.sha256) {
            let _ = self.list[to].kind.remove(record.id).await;
            return Err(self.error(to, Refused::failed("the copy does not match its checksum")));
        }
        Ok(())
    }

    /// The checksum of a file on this element, as it is read there now; nothing where there is no such file.
    async fn sha256_at(&self, at: usize, id: Uuid) -> Result<Option<String>, StorageError> {
        let found = self.list[at].kind.find(id).await.map_err(|refused| self.error(at, refused))?;
        let Some((_, content)) = found else { return Ok(None) };
        let mut content = content.stream().await.map_err(|refused| self.error(at, refused))?;
        let mut hash = Context::new(&digest::SHA256);
        while let Some(bytes) = content.try_next().await.map_err(|e| self.error(at, Refused::failed(e)))? {
            hash.update(&bytes);
        }
        Ok(Some(hex(hash.finish().as_ref())))
    }

    /// Looks at all elements at once.
    pub async fn check(&self) -> Vec<ElementHealth> {
        join_all(self.list.iter().map(Element::check)).await
    }
}

impl Element {
    async fn check(&self) -> ElementHealth {
        let problem = match tokio::time::timeout(CHECK_TIMEOUT, self.kind.check()).await {
            Ok(Ok(())) => None,
            Ok(Err(Refused::Failed(problem))) => Some(problem),
            Ok(Err(Refused::Full)) => Some("it is full".to_owned()),
            Ok(Err(Refused::NewToken)) => Some("it refused a token that it took before".to_owned()),
            Err(_) => Some(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
        };
        ElementHealth { name: self.name.clone(), problem }
    }
}

/// Opens an element behind these others.
fn open_one(
    spec: &StorageSpec,
    others: &[Element],
    address: SocketAddr,
    element_token: Option<&Path>,
) -> Result<Element, String> {
    let name = spec.name_at(others.len());
    if others.iter().any(|other| other.name == name) {
        return Err(format!("there are two elements named {name}; give one of them another name by ,name="));
    }
    let kind = Kind::open(&spec.backend, element_token)?;
    // A file could not move from one to the other.
    if others.iter().any(|other| same_folder(&other.kind, &kind)) {
        return Err("another element has the same folder; choose another one".to_owned());
    }
    let url = url_of(&spec.backend, &name, address);
    Ok(Element { name, url, spec: spec.clone(), kind })
}

/// What answers say of where an element is. A folder of this machine is none of a client's business.
fn url_of(backend: &Backend, name: &str, address: SocketAddr) -> String {
    match backend {
        Backend::Discard | Backend::Dir(_) => format!("http://{address}/{name}"),
        #[cfg(feature = "s3")]
        Backend::Object(url) => url.to_string(),
        Backend::Element(url) => url.as_str().trim_end_matches('/').to_owned(),
    }
}

fn same_folder(one: &Kind, other: &Kind) -> bool {
    matches!((one, other), (Kind::Dir(one), Kind::Dir(other)) if one.path() == other.path())
}
