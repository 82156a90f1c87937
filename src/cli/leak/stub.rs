//! The stub as a process of its own: in this one, the memory of the generator would be counted with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::gate::own_executable;
use crate::ingester::{Ready, ServiceCommand, Settings, Subject};
use crate::units::Bytes;

/// The program whose allocator counts, beside this one.
const PROGRAM: &str = "ingester-perf-counting";
/// How long it may take to start.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Its output, in the folder of reports.
const LOG: &str = "leak-stub.log";

/// Error for a program whose allocator counts that is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is not there; the memory of the stub is counted by this program: cargo build --release, or cargo install --path ., \
     makes it beside ingester-perf (cargo run does not)",
    path.display()
)]
struct NoCountingProgram {
    path: PathBuf,
}

/// What reports call the stub of these settings.
pub fn name(settings: &Settings) -> String {
    if settings.faults.is_empty() {
        return "stub".to_owned();
    }
    let faults: Vec<String> = settings.faults.iter().map(ToString::to_string).collect();
    format!("stub (faults: {})", faults.join(" "))
}

/// The same settings for the stub as a service that a command starts, and that ends with whoever started it.
pub fn as_process(settings: Settings) -> Result<Settings, Error> {
    if !settings.storage.is_empty() {
        return Err(Error::Setting {
            name: "INGESTER_STORAGE",
            problem: "is not for this command, which would leave files there; unset it, or start ingester-perf-counting serve \
                      --storage, and add --url and --gauge ingester_live_bytes"
                .to_owned(),
        });
    }
    let program = beside(&own_executable()?);
    if !program.is_file() {
        return Err(Error::Unusable(NoCountingProgram { path: program }.into()));
    }
    let command = ServiceCommand {
        serve: command_line(&program, &settings),
        env: Vec::new(),
        dir: PathBuf::from("."),
        ready: Ready::Path("/health/live".to_owned()),
        ready_timeout: READY_WITHIN,
        log: settings.report_dir.join(LOG),
        secrets: Vec::new(),
    };
    Ok(Settings {
        subject: Subject::Command { command: Arc::new(command), credentials: None },
        faults: Vec::new(),
        // It keeps no file, and so may be sent any amount.
        max_bytes: Bytes(u64::MAX),
        ..settings
    })
}

/// The program in the folder of this executable.
fn beside(executable: &Path) -> PathBuf {
    executable.with_file_name(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX))
}

/// The command line that starts it with the faults of these settings. Port and key are filled in by whoever starts it.
fn command_line(program: &Path, settings: &Settings) -> String {
    let program = quoted(&program.to_string_lossy());
    // `exec`, so that signals reach the program and not a shell before it.
    let mut line =
        format!("exec {program} serve --listen 127.0.0.1:{{port}} --public-key \"{{public_key}}\"");
    for fault in &settings.faults {
        line += " --fault ";
        line += &quoted(&fault.to_string());
    }
    line
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_faults(texts: &[&str]) -> Settings {
        let faults = texts.iter().map(|text| text.parse().expect(text)).collect();
        Settings { faults, ..Settings::default() }
    }

    #[test]
    fn faults_reach_the_process_as_they_are() {
        let settings = with_faults(&["leak=1KB", "delay=1ms,route=/health/*"]);
        assert_eq!(
            command_line(Path::new("/it's here/counting"), &settings),
            r#"exec '/it'\''s here/counting' serve --listen 127.0.0.1:{port} --public-key "{public_key}" --fault 'leak=1KB' --fault 'delay=1ms,route=/health/*'"#
        );
        assert_eq!(name(&settings), "stub (faults: leak=1KB delay=1ms,route=/health/*)");
        assert_eq!(name(&with_faults(&[])), "stub");
    }

    #[test]
    fn storage_is_not_filled_with_what_nobody_removes() {
        let storage = vec!["dir:/tmp".parse().expect("is valid")];
        let error =
            as_process(Settings { storage, ..Settings::default() }).expect_err("is refused").to_string();
        assert!(error.starts_with("INGESTER_STORAGE: is not for this command"), "{error}");
    }
}
