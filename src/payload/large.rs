//! Files that are too large to be held in memory: made or read piece by piece while they are sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes as Buffer;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::file::Content;
use crate::error::Error;
use crate::files::open_plain;
use crate::units::{Bytes, hex};

/// Bytes of noise that generated files repeat, each time behind another number.
const BLOCK: usize = 1 << 20;
/// Bytes read from a file at once.
const READ: usize = 256 << 10;

/// A file that is never in memory as a whole. Cloning shares what there is.
#[derive(Debug, Clone)]
pub struct LargeFile {
    /// File name with its extension.
    pub name: String,
    /// What it holds.
    pub kind: Content,
    /// Its length.
    pub size: Bytes,
    /// 64 lower-case hex digits of its SHA-256.
    pub sha256: String,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// Blocks of noise, each behind its number, so that no two are alike. Sending one copies nothing.
    Generated(Buffer),
    Path(PathBuf),
}

impl LargeFile {
    /// A file of `size` incompressible bytes; the same seed gives the same bytes. Takes as long as hashing them.
    pub fn seeded(size: Bytes, seed: u64) -> Self {
        let mut block = vec![0; BLOCK];
        Xoshiro256PlusPlus::seed_from_u64(seed).fill_bytes(&mut block);
        let name = format!("perf_{}_{seed}.bin", size.0);
        let mut file = Self {
            name,
            kind: Content::Binary,
            size,
            sha256: String::new(),
            source: Source::Generated(block.into()),
        };
        file.sha256 = file.hash().expect("what is generated can be read");
        file
    }

    /// A file on disk, read once now for its checksum. It must stay as it is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = open_plain(path)?;
        let size = Bytes(opened.metadata().map_err(|e| Error::file(path, "read", e))?.len());
        // Files of the kernel say that they are empty.
        if size.0 == 0 {
            let read = opened.take(1).read_to_end(&mut Vec::new());
            if read.map_err(|e| Error::file(path, "read", e))? > 0 {
                let problem = "says that it has 0 bytes, and has more; copy it to a plain file and send that";
                return Err(Error::malformed(path, problem));
            }
        }
        let name =
            path.file_name().map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned());
        let source = Source::Path(path.to_owned());
        let mut file = Self { name, kind: Content::Binary, size, sha256: String::new(), source };
        file.sha256 = file.hash().map_err(|e| Error::file(path, "read", e))?;
        Ok(file)
    }

    /// Its bytes, from the beginning.
    pub fn pieces(&self) -> io::Result<Pieces> {
        let from = match &self.source {
            Source::Generated(block) => From::Generated { block: block.clone(), number: 0, numbered: false },
            Source::Path(path) => From::Disk(File::open(path)?),
        };
        Ok(Pieces { left: self.size.0, from })
    }

    fn hash(&self) -> io::Result<String> {
        let mut hash = Context::new(&SHA256);
        for piece in self.pieces()? {
            hash.update(&piece?);
        }
        Ok(hex(hash.finish().as_ref()))
    }
}

/// A file's bytes, piece by piece. Reading from disk blocks for as long as that takes.
#[derive(Debug)]
pub struct Pieces {
    left: u64,
    from: From,
}

#[derive(Debug)]
enum From {
    Generated { block: Buffer, number: u64, numbered: bool },
    Disk(File),
}

impl Pieces {
    fn read(&mut self) -> io::Result<Buffer> {
        match &mut self.from {
            From::Generated { number, numbered, .. } if !*numbered => {
                *numbered = true;
                Ok(Buffer::copy_from_slice(&number.to_be_bytes()))
            }
            From::Generated { block, number, numbered } => {
                *number += 1;
                *numbered = false;
                Ok(block.clone())
            }
            From::Disk(file) => {
                let mut buffer = vec![0; READ];
                let n = file.read(&mut buffer)?;
                // More was announced to the service than there is: the upload cannot be completed.
                if n == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
                }
                buffer.truncate(n);
                Ok(buffer.into())
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Buffer>;

    fn next(&mut self) -> Option<io::Result<Buffer>> {
        if self.left == 0 {
            return None;
        }
        // What the last block has too much is cut off, as is what a file on disk has grown by.
        let piece = self.read().map(|piece| {
            let len = self.left.min(piece.len() as u64);
            self.left -= len;
            piece.slice(..len as usize)
        });
        // After an error there is nothing to go on with.
        if piece.is_err() {
            self.left = 0;
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn bytes(file: &LargeFile) -> Vec<u8> {
        file.pieces().expect("opens").flat_map(|piece| piece.expect("reads").to_vec()).collect()
    }

    #[test]
    fn a_generated_file_has_its_size_and_no_two_blocks_alike() {
        // Three blocks, each behind its number of 8 bytes, and the beginning of a fourth.
        let file = LargeFile::seeded(Bytes(3 * (BLOCK as u64 + 8) + 5), 1);
        let all = bytes(&file);
        assert_eq!(all.len() as u64, file.size.0);
        assert_eq!(file.sha256, hex(aws_lc_rs::digest::digest(&SHA256, &all).as_ref()));
        assert_eq!(all.chunks(BLOCK + 8).collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(LargeFile::seeded(file.size, 1).sha256, file.sha256);
        assert_ne!(LargeFile::seeded(file.size, 2).sha256, file.sha256);
    }

    #[test]
    fn a_file_on_disk_is_sent_as_it_is_and_noticed_if_it_shrinks() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("picture.raw");
        std::fs::write(&path, vec![7; READ + 9]).expect("writes");
        let file = LargeFile::open(&path).expect("opens");
        assert_eq!((file.name.as_str(), file.size.0), ("picture.raw", READ as u64 + 9));
        assert_eq!(bytes(&file), vec![7; READ + 9]);
        // Its size was taken when it was opened.
        std::fs::write(&path, [7]).expect("writes");
        let last = file.pieces().expect("opens").last().expect("has pieces");
        assert!(last.is_err());
        assert!(LargeFile::open(&dir.path().join("none")).is_err());
    }
}
