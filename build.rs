//! Tells `environment` what built it, and from which benchmark source: a report must say both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use sha2::{Digest, Sha256};

/// What times the cases. What is timed, the stub, is not part of it: it is what a comparison is about.
const SOURCE: [&str; 9] = [
    "benches",
    "src/api",
    "src/case",
    "src/client",
    "src/harness",
    "src/load",
    "src/network",
    "src/payload",
    "src/recording",
];

fn main() -> io::Result<()> {
    println!("cargo::rustc-env=INGESTER_PERF_RUSTC={}", rustc());
    println!("cargo::rustc-env=INGESTER_PERF_SOURCE={}", source()?);
    println!("cargo::rerun-if-changed=build.rs");
    for folder in SOURCE {
        println!("cargo::rerun-if-changed={folder}");
    }
    Ok(())
}

fn rustc() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let said = Command::new(rustc).arg("--version").output().ok();
    let version = said.and_then(|output| String::from_utf8(output.stdout).ok());
    version.map_or_else(|| "unknown".to_owned(), |version| version.trim().to_owned())
}

/// SHA-256 over the names and contents of all files, hex.
fn source() -> io::Result<String> {
    let mut files = Vec::new();
    for folder in SOURCE {
        collect(Path::new(folder), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let text = fs::read(&file)?;
        // The same on every system, and no two trees alike.
        hash.update(file.to_string_lossy().replace('\\', "/").as_bytes());
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
