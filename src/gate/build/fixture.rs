//! A throw-away repository with a package of this name that builds in half a second, offline.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::git::Git;
use super::tree::Tree;
use crate::interrupt::Interrupt;

const MANIFEST: &str = "[package]\nname = \"ingester-perf\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
// Builds of this project's program are made with --locked, and so need it.
const LOCKED: &str = "version = 4\n\n[[package]]\nname = \"ingester-perf\"\nversion = \"0.1.0\"\n";

pub struct Repository {
    dir: TempDir,
}

impl Repository {
    /// A repository on branch `main`, with one commit.
    pub fn new() -> Self {
        let repository = Self { dir: tempfile::tempdir().expect("makes one") };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        for (path, text) in [("Cargo.toml", MANIFEST), ("Cargo.lock", LOCKED), (".gitignore", "target\n")] {
            repository.write(path, text);
        }
        repository.says("first");
        repository.commit();
        repository
    }

    /// The folder by the path that git knows it by, without links.
    pub fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("is there")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("makes it");
        std::fs::write(path, text).expect("writes");
    }

    /// Makes the program print this.
    pub fn says(&self, text: &str) {
        self.write("src/main.rs", &format!("fn main() {{\n    println!(\"{text}\");\n}}\n"));
    }

    /// Commits everything and returns the hash.
    pub fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn git(&self, args: &[&str]) -> String {
        Git::at(self.dir.path(), &Interrupt::default()).run(args).expect("git does it")
    }

    pub fn tree(&self) -> Tree {
        self.tree_with(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    pub fn tree_with(&self, cargo: OsString) -> Tree {
        tree_in(self.dir.path(), cargo)
    }
}

pub fn tree_in(folder: &Path, cargo: OsString) -> Tree {
    let mains = ["main", "origin/main"].map(str::to_owned).to_vec();
    Tree::around(folder, None, cargo, mains, &Interrupt::default()).expect("is a checkout")
}

/// What this program prints.
pub fn said(executable: &Path) -> String {
    loop {
        match Command::new(executable).output() {
            Ok(output) => return String::from_utf8(output.stdout).expect("is text").trim().to_owned(),
            // A child that another test is just starting still holds the copy open for writing.
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            Err(e) => panic!("{}: {e}", executable.display()),
        }
    }
}
