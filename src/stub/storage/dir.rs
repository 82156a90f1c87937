//! A folder as a storage element. A file and its record are written to a folder of their own, which gets its name once
//! both are on the disk: they become visible together, or not at all.
//!
//! `PATH/.tmp-ID/{content,record.json}` is written and synced, renamed to `PATH/ID`, and `PATH` is synced. A crash
//! leaves either nothing under `PATH/ID`, or all of it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::error::Refused;
use super::record::Record;

/// How the names of folders begin that are not, or no longer, to be seen.
const HIDDEN: &str = ".tmp-";
/// Name of a file's content in its folder.
const CONTENT: &str = "content";
/// Name of its record there.
const RECORD: &str = "record.json";
/// Most pieces that wait to be written together.
const MOST_PIECES: usize = 1024;
/// Bytes that are written or read at once. Each time costs a change of threads, some 20 µs.
const PIECE: usize = 256 << 10;
/// Pieces below this are joined before they are written.
const JOINED: usize = 64 << 10;

/// A folder that files are stored in. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Dir {
    path: Arc<Path>,
    /// The open folder: for syncing its names, and locked for as long as it is used.
    folder: Arc<File>,
}

impl Dir {
    /// Makes the folder, sees that it can be written to, and removes what a killed process has left there.
    pub fn open(path: &Path) -> Result<Self, String> {
        Self::prepare(path)
            .map_err(|e| format!("the folder cannot be used: {e}; choose another one, or make it writable"))
    }

    fn prepare(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let path = fs::canonicalize(path)?;
        let folder = File::open(&path)?;
        // What is hidden may belong to uploads of another process that stores here too, as the arms of the gate do.
        if folder.try_lock().is_ok() {
            remove_hidden(&path)?;
            folder.unlock()?;
        }
        // Says to the others that uploads are under way here. Some network file systems have no locks.
        let _ = folder.lock_shared();
        let dir = Self { path: path.into(), folder: Arc::new(folder) };
        match dir.try_to_write() {
            // Reading is possible, and writing once something has been removed.
            Err(e) if e.kind() == io::ErrorKind::StorageFull => Ok(dir),
            written => written.map(|()| dir),
        }
    }

    /// Its absolute path, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file with this id is, once it is visible.
    fn visible(&self, id: Uuid) -> PathBuf {
        self.path.join(id.to_string())
    }

    fn hidden(&self, id: Uuid) -> PathBuf {
        self.path.join(format!("{HIDDEN}{id}"))
    }

    /// Begins a file of at most `announced` bytes.
    pub async fn begin(&self, id: Uuid, announced: Option<u64>) -> Result<DirSink, Refused> {
        let dir = self.clone();
        blocking(move || {
            if announced.is_some_and(|length| length > dir.free()) {
                return Err(Refused::Full);
            }
            let unfinished = Unfinished::make(dir.hidden(id))?;
            let content = File::create_new(unfinished.path().join(CONTENT))?;
            Ok(DirSink {
                dir,
                id,
                unfinished,
                content: Arc::new(content),
                pieces: Vec::new(),
                waiting: 0,
                writing: None,
            })
        })
        .await
    }

    /// Bytes that may still be written. A file system that does not say has room: writing will tell.
    fn free(&self) -> u64 {
        rustix::fs::statvfs(&*self.path).map_or(u64::MAX, |all| all.f_bavail.saturating_mul(all.f_frsize))
    }

    /// The record of a file, and its content, ready to be read.
    pub async fn find(&self, id: Uuid) -> Result<Option<(Record, File)>, Refused> {
        let folder = self.visible(id);
        blocking(move || {
            let json = match fs::read(folder.join(RECORD)) {
                Ok(json) => json,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e.into()),
            };
            let record = Record::from_json(&json).map_err(Refused::Failed)?;
            // Opened now: it can be read to its end even if it is removed meanwhile.
            let content = File::open(folder.join(CONTENT))?;
            Ok(Some((record, content)))
        })
        .await
    }

    /// Replaces the record of a file.
    pub async fn rewrite(&self, record: &Record) -> Result<(), Refused> {
        let folder = self.visible(record.id);
        let json = record.to_json();
        blocking(move || {
            let new = folder.join(format!("{HIDDEN}record"));
            // One that a killed process has left is overwritten.
            write_synced(&mut File::create(&new)?, &json)?;
            fs::rename(&new, folder.join(RECORD))?;
            sync_folder(&folder)?;
            Ok(())
        })
        .await
    }

    /// Removes a file. Nothing happens where there is none.
    pub async fn remove(&self, id: Uuid) -> Result<(), Refused> {
        let dir = self.clone();
        blocking(move || {
            // Hidden first: a half-removed folder must not be seen.
            match fs::rename(dir.visible(id), dir.hidden(id)) {
                Ok(()) => fs::remove_dir_all(dir.hidden(id))?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e.into()),
            }
            dir.folder.sync_all()?;
            Ok(())
        })
        .await
    }

    /// Whether files can be stored now; the problem if not.
    pub async fn check(&self) -> Result<(), Refused> {
        let dir = self.clone();
        blocking(move || Ok(dir.try_to_write()?)).await
    }

    fn try_to_write(&self) -> io::Result<()> {
        let folder = self.hidden(Uuid::new_v4());
        fs::create_dir(&folder)?;
        let written = fs::write(folder.join(CONTENT), "x");
        fs::remove_dir_all(&folder)?;
        written
    }
}

/// Removes all that is hidden in a folder.
fn remove_hidden(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // Others may keep hidden folders here, too.
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix(HIDDEN).map(Uuid::parse_str);
        let is_hidden = matches!(id, Some(Ok(_)));
        if is_hidden && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// A file on its way into a folder. Dropping it removes what was written.
#[derive(Debug)]
pub(super) struct DirSink {
    dir: Dir,
    id: Uuid,
    unfinished: Unfinished,
    content: Arc<File>,
    /// What has arrived and is not being written yet.
    pieces: Vec<Bytes>,
    /// Bytes of these.
    waiting: usize,
    /// The piece before, which is being written.
    writing: Option<JoinHandle<io::Result<()>>>,
}

impl DirSink {
    /// Takes bytes. They are written by another thread while the next ones arrive: at most two pieces are in memory.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Refused> {
        self.waiting += bytes.len();
        self.pieces.push(bytes);
        // Each piece has its own bookkeeping, however small it is.
        if self.waiting < PIECE && self.pieces.len() < MOST_PIECES {
            return Ok(());
        }
        self.written().await?;
        let content = Arc::clone(&self.content);
        let pieces = std::mem::take(&mut self.pieces);
        self.waiting = 0;
        self.writing = Some(tokio::task::spawn_blocking(move || write_pieces(&content, &pieces)));
        Ok(())
    }

    /// Waits for the piece before.
    async fn written(&mut self) -> Result<(), Refused> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        writing.await.map_err(Refused::failed)??;
        Ok(())
    }

    /// Makes the file visible, with its record.
    pub async fn finish(mut self, record: &Record) -> Result<(), Refused> {
        self.written().await?;
        let json = record.to_json();
        let Self { dir, id, mut unfinished, content, pieces, .. } = self;
        // In one go on another thread: where the client has gone meanwhile, it is carried to its end all the same.
        blocking(move || {
            write_pieces(&content, &pieces)?;
            content.sync_all()?;
            write_synced(&mut File::create_new(unfinished.path().join(RECORD))?, &json)?;
            // The names of the two files, before the name of their folder.
            sync_folder(unfinished.path())?;
            unfinished.rename(dir.visible(id))?;
            dir.folder.sync_all()?;
            unfinished.keep();
            Ok(())
        })
        .await
    }
}

fn write_pieces(content: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(JOINED, content);
    for piece in pieces {
        writer.write_all(piece)?;
    }
    writer.flush()
}

fn write_synced(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a folder last.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The content of an open file, piece by piece.
pub(super) fn stream_of(content: File) -> BoxStream<'static, io::Result<Bytes>> {
    stream::try_unfold(content, next_piece).boxed()
}

async fn next_piece(content: File) -> io::Result<Option<(Bytes, File)>> {
    let read = tokio::task::spawn_blocking(move || read_piece(content)).await;
    let (content, piece) = read.map_err(io::Error::other)??;
    Ok(if piece.is_empty() { None } else { Some((piece, content)) })
}

fn read_piece(mut content: File) -> io::Result<(File, Bytes)> {
    let mut piece = vec![0; PIECE];
    let read = content.read(&mut piece)?;
    piece.truncate(read);
    Ok((content, piece.into()))
}

/// Runs what may wait for a disk on a thread where nobody else is kept waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(Refused::failed)?
}

/// A folder that is removed when this is dropped, unless it is kept.
#[derive(Debug)]
struct Unfinished {
    path: Option<PathBuf>,
}

impl Unfinished {
    fn make(path: PathBuf) -> io::Result<Self> {
        fs::create_dir(&path)?;
        Ok(Self { path: Some(path) })
    }

    fn path(&self) -> &Path {
        self.path.as_deref().expect("it is taken by `keep` alone, which is the last call")
    }

    /// Renames it. Under its new name it is still removed unless it is kept.
    fn rename(&mut self, to: PathBuf) -> io::Result<()> {
        fs::rename(self.path(), &to)?;
        self.path = Some(to);
        Ok(())
    }

    fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else { return };
        let removal = Removal(path);
        // Removing many blocks takes a while, which an event loop must not wait for.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(removal));
        }
    }
}

/// Removes a folder when it is dropped: by whoever drops it, also a runtime that ends and runs no more tasks.
struct Removal(PathBuf);

impl Drop for Removal {
    fn drop(&mut self) {
        // What cannot be removed now is when the folder is opened the next time.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use futures_util::TryStreamExt;
    use tempfile::TempDir;

    use super::super::record::tests::record;
    use super::*;

    fn folder() -> (TempDir, Dir) {
        let place = TempDir::new().expect("makes one");
        let dir = Dir::open(&place.path().join("files")).expect("opens");
        (place, dir)
    }

    /// Names in the folder, sorted.
    fn names(dir: &Dir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).expect("can be listed");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("can be read").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }

    /// Waits until nothing is in the folder.
    async fn becomes_empty(dir: &Dir) {
        let started = Instant::now();
        while !names(dir).is_empty() {
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", names(dir));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn store(dir: &Dir, pieces: &[&'static [u8]]) -> Record {
        let record = record(Uuid::new_v4());
        let mut sink = dir.begin(record.id, None).await.expect("has room");
        for piece in pieces {
            sink.write(Bytes::from_static(piece)).await.expect("is written");
        }
        sink.finish(&record).await.expect("is kept");
        record
    }

    async fn content(dir: &Dir, id: Uuid) -> Vec<u8> {
        let (_, file) = dir.find(id).await.expect("can be read").expect("is there");
        let pieces: Vec<Bytes> = stream_of(file).try_collect().await.expect("can be read");
        pieces.concat()
    }

    #[tokio::test]
    async fn a_file_appears_with_its_record_once_it_is_kept() {
        let (_place, dir) = folder();
        let record = record(Uuid::new_v4());
        let mut sink = dir.begin(record.id, Some(3)).await.expect("has room");
        sink.write(Bytes::from_static(b"abc")).await.expect("is written");
        assert_eq!(names(&dir), [format!(".tmp-{}", record.id)]);
        assert!(dir.find(record.id).await.expect("can be read").is_none());

        sink.finish(&record).await.expect("is kept");
        assert_eq!(names(&dir), [record.id.to_string()]);
        let (found, _) = dir.find(record.id).await.expect("can be read").expect("is there");
        assert_eq!(found, record);
        assert_eq!(content(&dir, record.id).await, b"abc");
    }

    #[tokio::test]
    async fn pieces_of_any_size_are_written_in_order() {
        // The first is written while the second arrives; the last is shorter than what is written at once.
        const LARGE: &[u8] = &[b'x'; 300_000];
        const LARGER: &[u8] = &[b'y'; 700_000];
        let (_place, dir) = folder();
        let stored = store(&dir, &[b"a", LARGE, b"b", LARGER, b"c"]).await;
        assert_eq!(content(&dir, stored.id).await, [&b"a"[..], LARGE, b"b", LARGER, b"c"].concat());
    }

    #[tokio::test]
    async fn what_is_dropped_leaves_nothing() {
        let (_place, dir) = folder();
        let mut sink = dir.begin(Uuid::new_v4(), None).await.expect("has room");
        // Two pieces: one is still being written when it is dropped.
        for _ in 0..2 {
            sink.write(Bytes::from(vec![b'x'; PIECE])).await.expect("is written");
        }
        drop(sink);
        becomes_empty(&dir).await;
    }

    #[test]
    fn what_ends_with_its_runtime_leaves_nothing() {
        let (_place, dir) = folder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let sink = runtime.block_on(dir.begin(Uuid::new_v4(), None)).expect("has room");
        drop(runtime);
        drop(sink);
        assert!(names(&dir).is_empty(), "{:?}", names(&dir));
    }

    #[tokio::test]
    async fn an_announced_length_beyond_the_free_space_is_full() {
        let (_place, dir) = folder();
        assert_eq!(dir.begin(Uuid::new_v4(), Some(u64::MAX)).await.map(drop), Err(Refused::Full));
        assert!(names(&dir).is_empty());
    }

    #[tokio::test]
    async fn a_file_that_is_there_already_is_not_overwritten() {
        let (_place, dir) = folder();
        let stored = store(&dir, &[b"abc"]).await;
        let mut second = dir.begin(stored.id, None).await.expect("has room");
        second.write(Bytes::from_static(b"def")).await.expect("is written");
        assert!(matches!(second.finish(&stored).await, Err(Refused::Failed(_))));
        assert_eq!(content(&dir, stored.id).await, b"abc");
    }

    #[tokio::test]
    async fn a_record_can_be_replaced_and_a_file_removed() {
        let (_place, dir) = folder();
        let stored = store(&dir, &[b"abc"]).await;
        let renamed = Record { original_filename: "other".to_owned(), ..stored.clone() };
        dir.rewrite(&renamed).await.expect("is written");
        assert_eq!(dir.find(stored.id).await.expect("can be read").expect("is there").0, renamed);
        assert_eq!(content(&dir, stored.id).await, b"abc");
        for _ in 0..2 {
            dir.remove(stored.id).await.expect("is removed, or is not there");
        }
        assert!(names(&dir).is_empty(), "{:?}", names(&dir));
    }

    #[test]
    fn leftovers_are_removed_unless_somebody_is_at_work() {
        let (place, first) = folder();
        let path = place.path().join("files");
        let leftover = path.join(format!(".tmp-{}", Uuid::new_v4()));
        fs::create_dir(&leftover).expect("makes it");
        // The first one may be writing to it.
        let second = Dir::open(&path).expect("opens beside the first");
        assert!(leftover.exists());
        drop((first, second));
        let third = Dir::open(&path).expect("opens");
        assert!(!leftover.exists());
        drop(third);
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_a_problem() {
        let (place, dir) = folder();
        assert_eq!(dir.check().await, Ok(()));
        drop(place);
        assert!(matches!(dir.check().await, Err(Refused::Failed(_))));
        assert!(matches!(dir.begin(Uuid::new_v4(), None).await, Err(Refused::Failed(_))));
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused_with_what_to_do() {
        let place = TempDir::new().expect("makes one");
        let file = place.path().join("file");
        fs::write(&file, "").expect("writes");
        let error = Dir::open(&file).expect_err("is a file");
        assert!(error.contains("cannot be used") && error.contains("choose another"), "{error}");
    }
}
