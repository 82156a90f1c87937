//! Builds executables from commits with real git and cargo.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::fixture::{Repository, said};
use super::{Build, Tree};
use crate::error::Error;

fn build(tree: &Tree, name: &str) -> Result<Build, Error> {
    let lock = tree.lock()?;
    tree.build(&tree.head(Some(name))?, &lock)
}

/// Sets the times of all files as if they had been built long after any source was written: cargo then takes each source
/// for older than its build.
fn postdate(folder: &Path) {
    let later = SystemTime::now() + Duration::from_secs(1_000_000);
    for entry in folder.read_dir().expect("is there") {
        let path = entry.expect("reads").path();
        if path.is_dir() {
            postdate(&path);
        } else {
            std::fs::File::open(&path).and_then(|file| file.set_modified(later)).expect("is set");
        }
    }
}

#[test]
fn each_commit_has_its_own_executable_though_file_times_say_that_nothing_changed() {
    let repository = Repository::new();
    let tree = repository.tree();
    let first = build(&tree, "main").expect("builds");
    repository.says("second");
    repository.commit();
    postdate(&tree.home.join("target"));
    let second = build(&tree, "main").expect("builds");
    assert_eq!(
        (said(&first.executable), said(&second.executable)),
        ("first".to_owned(), "second".to_owned())
    );
    assert_ne!(first.sha256, second.sha256);
}

#[test]
fn the_same_source_gives_the_same_bytes_and_a_kept_build_needs_no_cargo() {
    let repository = Repository::new();
    let first = build(&repository.tree(), "main").expect("builds");
    repository.write("README.md", "new");
    repository.commit();
    let second = build(&repository.tree(), "main").expect("builds");
    // Only a file that is not compiled differs: two commits, two kept builds, and the same bytes.
    assert_ne!(first.executable, second.executable);
    assert_eq!(first.sha256, second.sha256);

    // Without cargo a commit that was built before can be had, and a new one cannot.
    let no_cargo = repository.tree_with("/no/cargo".into());
    assert_eq!(build(&no_cargo, "main^").expect("is kept"), first);
    repository.write("README.md", "newer");
    repository.commit();
    let error = build(&no_cargo, "main").expect_err("is not kept").to_string();
    assert!(error.contains("cannot run /no/cargo"), "{error}");
}

#[test]
fn the_program_that_counts_is_built_too_where_there_is_one() {
    let repository = Repository::new();
    let tree = repository.tree().counting();
    assert_eq!(build(&tree, "main").expect("builds").counting, None);

    repository.write("src/bin/ingester-perf-counting.rs", "fn main() {\n    println!(\"counts\");\n}\n");
    repository.commit();
    // Kept without it by a gate that counted nothing, and then built with it.
    let without = build(&repository.tree(), "main").expect("builds");
    assert_eq!(without.counting, None);
    let with = build(&tree, "main").expect("builds");
    assert_eq!((said(&with.executable), &with.sha256), ("first".to_owned(), &without.sha256));
    assert_eq!(said(with.counting.as_ref().expect("has one")), "counts");
    let no_cargo = repository.tree_with("/no/cargo".into()).counting();
    assert_eq!(build(&no_cargo, "main").expect("is kept"), with);
}

#[test]
fn what_a_killed_gate_left_behind_is_in_no_ones_way() {
    let repository = Repository::new();
    let tree = repository.tree();
    let source = tree.cargo.source.to_str().expect("is text");
    // Registered, locked and half gone: git was killed while it made the worktree.
    repository.git(&["worktree", "add", "--quiet", "--detach", "--lock", source, "main"]);
    repository.write(".git/worktrees/source/index.lock", "");
    std::fs::remove_file(tree.cargo.source.join(".git")).expect("removes");
    repository.write("target/gate/source/src/main.rs", "junk");
    repository.write("target/gate/builds/.half/ingester-perf", "junk");
    assert_eq!(said(&build(&tree, "main").expect("builds").executable), "first");
    assert_eq!(repository.git(&["worktree", "list"]).lines().count(), 1, "nothing stays registered");
    assert_eq!(repository.git(&["branch", "--show-current"]), "main");

    // Registered, and its folder gone altogether.
    repository.says("second");
    repository.commit();
    repository.git(&["worktree", "add", "--quiet", "--detach", source, "main"]);
    std::fs::remove_dir_all(source).expect("removes");
    assert_eq!(said(&build(&tree, "main").expect("builds").executable), "second");
}

#[test]
fn a_commit_that_does_not_build_is_named_with_what_cargo_said() {
    let repository = Repository::new();
    let tree = repository.tree();
    repository.write("src/main.rs", "fn main() { nonsense() }");
    let id = repository.commit();
    let error = build(&tree, "main").expect_err("does not build").to_string();
    assert!(error.starts_with(&format!("main ({}) does not build (exit status: 101)", &id[..7])), "{error}");
    assert!(error.contains("cannot find function `nonsense`"), "{error}");
    // The lock file stays on disk and is not in the commit, so the checkout lacks it.
    repository.git(&["rm", "--quiet", "--cached", "Cargo.lock"]);
    repository.git(&["commit", "--quiet", "--message", "unlocked"]);
    let error = build(&tree, "main").expect_err("is not locked").to_string();
    assert!(error.contains("--locked"), "{error}");
    assert_eq!(said(&build(&tree, "main~2").expect("builds").executable), "first");
}

#[test]
fn settings_of_the_working_tree_are_not_those_of_another_commit() {
    let repository = Repository::new();
    let source = "fn main() {\n    println!(\"{}\", if cfg!(tuned) { \"tuned\" } else { \"plain\" });\n}\n";
    repository.write("src/main.rs", source);
    repository.commit();
    repository.write(".cargo/config.toml", "[build]\nrustflags = [\"--cfg\", \"tuned\"]\n");
    repository.commit();
    // Settings on disk are those of `main`, while its parent is built.
    let tree = repository.tree();
    assert_eq!(said(&build(&tree, "main^").expect("builds").executable), "plain");
    assert_eq!(said(&build(&tree, "main").expect("builds").executable), "tuned");
}
