//! The storage behind the stub: one element or several, each of which keeps files in its own way, or keeps none.
//!
//! ```text
//! begin -> Writing: write ... write -> keep -> Kept     a file and its record become visible together
//!                   dropped                             nothing is left behind
//! find, finalize, check                                 what the other routes need
//! ```

mod dir;
mod element;
mod elements;
mod error;
mod kind;
#[cfg(feature = "s3")]
mod object;
mod record;
mod spec;
mod writing;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use uuid::Uuid;

pub(super) use elements::ElementHealth;
pub use elements::Stored;
pub use error::NotUsable;
pub(super) use error::StorageError;
pub(super) use record::{Details, Kept, NewFile, Policy, Record};
pub use spec::{NotAStorage, StorageSpec};
pub(super) use writing::Writing;

use elements::{Elements, Located};
use kind::Content;

/// All storage elements, in the order that they are tried in.
#[derive(Debug)]
pub(super) struct Storage {
    elements: Arc<Elements>,
}

/// A stored file.
pub(super) struct Found {
    pub record: Record,
    elements: Arc<Elements>,
    at: usize,
    content: Content,
}

impl Storage {
    /// Opens the elements for a stub at this address; one that keeps nothing where there is none. The token's file is
    /// for elements with an API.
    pub fn open(
        specs: &[StorageSpec],
        address: SocketAddr,
        element_token: Option<&Path>,
    ) -> Result<Self, NotUsable> {
        let discard = [StorageSpec::default()];
        let specs = if specs.is_empty() { &discard[..] } else { specs };
        Ok(Self { elements: Arc::new(Elements::open(specs, address, element_token)?) })
    }

    /// Begins a file.
    pub async fn begin(&self, file: NewFile) -> Result<Writing, StorageError> {
        Writing::begin(&self.elements, file).await
    }

    /// What was taken in so far.
    pub fn stored(&self) -> Stored {
        self.elements.stored()
    }
}

impl Storage {
    /// The file with this id; nothing where there is none.
    pub async fn find(&self, id: Uuid) -> Result<Option<Found>, StorageError> {
        let Some(Located { at, record, content }) = self.elements.find(id).await? else { return Ok(None) };
        Ok(Some(Found { record, elements: Arc::clone(&self.elements), at, content }))
    }

    /// Makes a temporary file permanent: it moves to an element that takes those, and the copy is checked before the
    /// original goes. One that is permanent stays as it is. Returns the record; nothing where there is no such file.
    /// One file moves at a time.
    pub async fn finalize(&self, id: Uuid) -> Result<Option<Record>, StorageError> {
        self.elements.finalize(id).await
    }

    /// Whether files can be stored now, by element.
    pub async fn check(&self) -> Vec<ElementHealth> {
        self.elements.check().await
    }
}

impl Found {
    /// The content, piece by piece.
    pub async fn stream(self) -> Result<BoxStream<'static, io::Result<Bytes>>, StorageError> {
        let Self { elements, at, content, .. } = self;
        content.stream().await.map_err(|refused| elements.error(at, refused))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::PathBuf;
    use std::time::Duration;

    use futures_util::TryStreamExt;
    use tempfile::TempDir;
    use time::OffsetDateTime;

    use super::super::phase::Stopwatch;
    use super::*;

    /// SHA-256 of "abc", from its standard (FIPS 180-2, appendix B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// A storage of these elements; `DIR` stands for a folder of the test's own.
    struct Place {
        dir: TempDir,
        storage: Storage,
    }

    fn place(specs: &[&str]) -> Place {
        let dir = TempDir::new().expect("makes one");
        let path = dir.path().to_str().expect("is UTF-8").to_owned();
        let specs: Vec<StorageSpec> =
            specs.iter().map(|spec| spec.replace("DIR", &path).parse().expect("is valid")).collect();
        let storage = Storage::open(&specs, (Ipv4Addr::LOCALHOST, 8020).into(), None).expect("opens");
        Place { dir, storage }
    }

    impl Place {
        fn folder(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// Whether a file is visible in this folder.
        fn has(&self, name: &str, id: Uuid) -> bool {
            self.folder(name).join(id.to_string()).join("content").exists()
        }
    }

    fn file(policy: Policy) -> NewFile {
        NewFile { name: "a.txt".to_owned(), content_type: "text/plain".into(), policy, announced: None }
    }

    fn details(policy: Policy) -> Details {
        let uploaded = OffsetDateTime::UNIX_EPOCH;
        let expires = match policy {
            Policy::Temporary => Some(uploaded + Duration::from_secs(86_400)),
            Policy::Permanent => None,
        };
        Details { policy, uploaded, expires }
    }

    /// Stores "abc" for what is known before it, and keeps it for what is known behind it.
    async fn store(storage: &Storage, before: Policy, behind: Policy) -> Result<Kept, StorageError> {
        let mut writing = storage.begin(file(before)).await?;
        let mut stopwatch = Stopwatch::default();
        writing.write(Bytes::from("a"), &mut stopwatch).await?;
        writing.write(Bytes::from("bc"), &mut stopwatch).await?;
        assert_eq!(writing.size(), 3);
        writing.keep(details(behind), &mut stopwatch).await
    }

    async fn content(storage: &Storage, id: Uuid) -> Vec<u8> {
        let found = storage.find(id).await.expect("can be asked").expect("is there");
        let pieces: Vec<Bytes> =
            found.stream().await.expect("opens").try_collect().await.expect("can be read");
        pieces.concat()
    }

    #[tokio::test]
    async fn discard_hashes_and_counts_and_keeps_nothing() {
        let storage = Storage::open(&[], (Ipv4Addr::LOCALHOST, 8020).into(), None).expect("opens");
        let kept = store(&storage, Policy::Temporary, Policy::Temporary).await.expect("is kept");
        assert_eq!((kept.record.size, kept.record.sha256.as_str()), (3, ABC));
        assert_eq!(kept.record.storage_element_id, "discard");
        assert_eq!(kept.url, "http://127.0.0.1:8020/discard");
        assert_eq!(storage.stored(), Stored { files: 1, bytes: 3 });
        assert!(storage.find(kept.record.id).await.expect("can be asked").is_none());
    }

    #[tokio::test]
    async fn a_kept_file_is_found_with_its_record_and_content() {
        let place = place(&["dir:DIR/a"]);
        let kept = store(&place.storage, Policy::Temporary, Policy::Temporary).await.expect("is kept");
        let found = place.storage.find(kept.record.id).await.expect("can be asked").expect("is there");
        assert_eq!(found.record, kept.record);
        assert_eq!((found.record.sha256.as_str(), found.record.original_filename.as_str()), (ABC, "a.txt"));
        assert_eq!(content(&place.storage, kept.record.id).await, b"abc");
        assert_eq!(place.storage.stored(), Stored { files: 1, bytes: 3 });
        assert!(place.storage.find(Uuid::new_v4()).await.expect("can be asked").is_none());
    }

    #[tokio::test]
    async fn the_policy_picks_the_element() {
        let place = place(&["dir:DIR/edit,mode=edit", "dir:DIR/rw,mode=rw"]);
        for (policy, name, folder) in
            [(Policy::Temporary, "dir-1", "edit"), (Policy::Permanent, "dir-2", "rw")]
        {
            let kept = store(&place.storage, policy, policy).await.expect("is kept");
            assert_eq!(kept.record.storage_element_id, name);
            assert!(place.has(folder, kept.record.id));
        }
    }

    #[tokio::test]
    async fn a_policy_behind_the_file_moves_it() {
        let place = place(&["dir:DIR/edit,mode=edit", "dir:DIR/rw,mode=rw"]);
        let kept = store(&place.storage, Policy::Temporary, Policy::Permanent).await.expect("is kept");
        let id = kept.record.id;
        assert_eq!(kept.record.storage_element_id, "dir-2");
        assert!(kept.url.ends_with("/dir-2"), "{}", kept.url);
        assert!(place.has("rw", id) && !place.has("edit", id));
        assert_eq!(content(&place.storage, id).await, b"abc");
    }

    #[tokio::test]
    async fn a_policy_that_nobody_serves_is_refused_and_leaves_nothing() {
        let place = place(&["dir:DIR/edit,mode=edit"]);
        for before in [Policy::Permanent, Policy::Temporary] {
            let refused = store(&place.storage, before, Policy::Permanent).await.map(drop);
            assert_eq!(refused, Err(StorageError::NoElement));
        }
        let left = std::fs::read_dir(place.folder("edit")).expect("can be listed").count();
        assert_eq!((left, place.storage.stored().files), (0, 0));
    }

    #[tokio::test]
    async fn an_element_without_room_is_passed_over_three_in_all() {
        let place = place(&["dir:DIR/1", "dir:DIR/2", "dir:DIR/3", "discard"]);
        // No disk has so much room, so three are tried, and the fourth is not.
        let endless = NewFile { announced: Some(u64::MAX), ..file(Policy::Temporary) };
        assert_eq!(place.storage.begin(endless.clone()).await.map(drop), Err(StorageError::Full));
        let place = self::place(&["dir:DIR/1", "dir:DIR/2", "discard"]);
        let mut writing = place.storage.begin(endless).await.expect("the third has room");
        let mut stopwatch = Stopwatch::default();
        writing.write(Bytes::from("abc"), &mut stopwatch).await.expect("is taken");
        let kept = writing.keep(details(Policy::Temporary), &mut stopwatch).await.expect("is kept");
        assert_eq!(kept.record.storage_element_id, "discard-3");
    }

    #[tokio::test]
    async fn finalizing_moves_the_file_and_is_done_once() {
        let place = place(&["dir:DIR/edit,mode=edit", "dir:DIR/rw,mode=rw"]);
        let kept = store(&place.storage, Policy::Temporary, Policy::Temporary).await.expect("is kept");
        let id = kept.record.id;
        for _ in 0..2 {
            let record = place.storage.finalize(id).await.expect("moves").expect("is there");
            assert_eq!(record.retention_policy, Policy::Permanent);
            assert_eq!((record.expires_at, record.storage_element_id.as_str()), (None, "dir-2"));
            assert_eq!(record.sha256, ABC);
        }
        assert!(place.has("rw", id) && !place.has("edit", id));
        assert_eq!(content(&place.storage, id).await, b"abc");
        assert_eq!(place.storage.finalize(Uuid::new_v4()).await, Ok(None));
    }

    #[tokio::test]
    async fn finalizing_where_both_are_kept_changes_the_record_only() {
        let place = place(&["dir:DIR/a"]);
        let kept = store(&place.storage, Policy::Temporary, Policy::Temporary).await.expect("is kept");
        let record = place.storage.finalize(kept.record.id).await.expect("moves").expect("is there");
        assert_eq!(record.storage_element_id, "dir-1");
        let found = place.storage.find(record.id).await.expect("can be asked").expect("is there");
        assert_eq!(found.record, record);
        assert_eq!(record.retention_policy, Policy::Permanent);
    }

    #[tokio::test]
    async fn a_file_that_has_changed_on_its_disk_does_not_move() {
        let place = place(&["dir:DIR/edit,mode=edit", "dir:DIR/rw,mode=rw"]);
        let kept = store(&place.storage, Policy::Temporary, Policy::Temporary).await.expect("is kept");
        let id = kept.record.id;
        std::fs::write(place.folder("edit").join(id.to_string()).join("content"), "xyz").expect("writes");
        let refused = place.storage.finalize(id).await.expect_err("is not what was uploaded");
        let says = "dir-1: the file does not match its checksum any more";
        assert_eq!(refused, StorageError::Failed(says.to_owned()));
        assert!(place.has("edit", id) && !place.has("rw", id));
    }

    #[tokio::test]
    async fn a_move_that_was_cut_off_can_be_repeated() {
        let place = place(&["dir:DIR/edit,mode=edit", "dir:DIR/rw,mode=rw"]);
        let kept = store(&place.storage, Policy::Temporary, Policy::Temporary).await.expect("is kept");
        let id = kept.record.id.to_string();
        // The copy is there, and the original is, too.
        crate::files::copy_tree(&place.folder("edit").join(&id), &place.folder("rw").join(&id))
            .expect("copies");
        place.storage.finalize(kept.record.id).await.expect("moves").expect("is there");
        assert!(place.has("rw", kept.record.id) && !place.has("edit", kept.record.id));
        let found = place.storage.find(kept.record.id).await.expect("can be asked").expect("is there");
        assert_eq!(found.record.retention_policy, Policy::Permanent);
    }

    #[tokio::test]
    async fn health_is_told_by_element() {
        let place = place(&["discard", "dir:DIR/a", "dir:DIR/b,name=other"]);
        std::fs::remove_dir_all(place.folder("b")).expect("removes");
        let health = place.storage.check().await;
        let names: Vec<&str> = health.iter().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["discard", "dir-2", "other"]);
        let well: Vec<bool> = health.iter().map(|element| element.problem.is_none()).collect();
        assert_eq!(well, [true, true, false], "{health:?}");
    }

    #[test]
    fn elements_that_get_into_each_others_way_are_refused() {
        let dir = TempDir::new().expect("makes one");
        let path = dir.path().display();
        for (second, says) in [
            (format!("dir:{path}/a/../a,name=b"), "the same folder"),
            (format!("dir:{path}/b,name=first"), "two elements named first"),
        ] {
            let specs = [format!("dir:{path}/a,name=first"), second];
            let specs = specs.map(|spec| spec.parse::<StorageSpec>().expect("is valid"));
            let error = Storage::open(&specs, (Ipv4Addr::LOCALHOST, 8020).into(), None).map(drop);
            let error = error.expect_err("is refused").to_string();
            assert!(error.starts_with("storage dir:") && error.contains(says), "{error}");
        }
    }
}
