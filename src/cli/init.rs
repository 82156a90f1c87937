//! `ingester-perf init`: a commented configuration file, to be edited.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::config::{FILE_NAME, TEMPLATE};
use crate::console::note;
use crate::{Error, Exit};

/// Writes the file into the current folder. One that is there is left alone.
pub fn run() -> Result<Exit, Error> {
    let path = Path::new(FILE_NAME);
    // `create_new` looks and creates in one step: a file that appears in between is not overwritten.
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::malformed(
                path,
                "is there already, and was left as it is; remove it, or edit it",
            ));
        }
        Err(e) => return Err(Error::file(path, "write", e)),
    };
    if let Err(e) = file.write_all(TEMPLATE.as_bytes()) {
        // Half a file would be read as a whole one.
        let _ = std::fs::remove_file(path);
        return Err(Error::file(path, "write", e));
    }
    note(format_args!(
        "Wrote {FILE_NAME}: edit how your service is started (serve) and spoken to ([api]), then run ingester-perf bench"
    ));
    Ok(Exit::Held)
}
