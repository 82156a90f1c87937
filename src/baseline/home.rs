//! Criterion's output folder, found as Criterion 0.8.2 finds it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// `$CRITERION_HOME`, else `criterion` in cargo's target folder.
pub fn criterion_home() -> PathBuf {
    if let Some(home) = env::var_os("CRITERION_HOME") {
        return home.into();
    }
    // The order of Criterion's own search. In another one this program would look where Criterion has not written.
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).or_else(target_of_cargo);
    target.map_or_else(|| "target/criterion".into(), |target| target.join("criterion"))
}

fn target_of_cargo() -> Option<PathBuf> {
    let output =
        Command::new(env::var_os("CARGO")?).args(["metadata", "--format-version", "1"]).output().ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(metadata.get("target_directory")?.as_str()?.into())
}
