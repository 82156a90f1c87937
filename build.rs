//! Tells `environment` what built it, and from which benchmark source: a report must say both. Tells `profile` whether it
//! can sample stacks, and whether they will be whole.

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
    println!("cargo::rustc-env=INGESTER_PERF_FRAME_POINTERS={}", if frame_pointers() { "yes" } else { "no" });
    // Systems that the sampler's library is written for; Cargo.toml has the same list.
    println!("cargo::rustc-check-cfg=cfg(sampler)");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let processor = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if system == "linux" && ["x86_64", "aarch64"].contains(&processor.as_str()) {
        println!("cargo::rustc-cfg=sampler");
    }
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

/// Whether everything is compiled with frame pointers, by which stacks are walked.
fn frame_pointers() -> bool {
    // Cargo's own variable, which has the flags of `RUSTFLAGS` or of `.cargo/config.toml`, whichever count.
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut asked = false;
    for flag in flags.split('\u{1f}') {
        let Some((_, value)) = flag.split_once("force-frame-pointers") else { continue };
        // Of several the last one counts; without a value it is switched on.
        asked = !["=no", "=n", "=off", "=false"].contains(&value);
    }
    asked
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
