//! `--flow`: what follows each upload, and what that needs.

use std::sync::Arc;

use crate::Error;
use crate::api::Flow;
use crate::config::Config;
use crate::ingester::{Settings, Subject};
use crate::stub::StorageSpec;

/// The flow that the configuration says, or that the ingester has.
pub fn flow(config: &Config) -> Result<Arc<Flow>, Error> {
    config.flow().map(Arc::clone).ok_or_else(|| {
        wrong(
            "the file describes a service ([api]), and does not say what follows an upload; add [[flow.step]] with name = \
             \"upload\", and one more for each request behind it (docs/flow.md)",
        )
    })
}

/// The settings with a stub that keeps what it is sent, if that is what is measured: it would find no file again otherwise.
pub fn keeping_files(settings: Settings) -> Result<Settings, Error> {
    if !matches!(settings.subject, Subject::Stub) {
        return Ok(settings);
    }
    if settings.storage.is_empty() {
        // In a folder of this run, which is removed after it.
        let storage = vec![StorageSpec::default().in_folder(&std::env::temp_dir())];
        return Ok(Settings { storage, ..settings });
    }
    if settings.keeps_nothing() {
        return Err(wrong(
            "needs a stub that keeps files, and INGESTER_STORAGE says discard; unset it, or write dir:PATH",
        ));
    }
    Ok(settings)
}

fn wrong(problem: &str) -> Error {
    Error::Setting { name: "--flow", problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_keeps_what_a_flow_asks_for_again() {
        let kept = keeping_files(Settings::default()).expect("is fine");
        assert!(!kept.keeps_nothing());
        let discard = Settings { storage: vec![StorageSpec::default()], ..Settings::default() };
        let error = keeping_files(discard).expect_err("keeps nothing").to_string();
        assert!(error.starts_with("--flow: needs a stub that keeps files"), "{error}");
        let chosen = vec!["dir:/srv/files".parse().expect("is one")];
        let chosen = Settings { storage: chosen, ..Settings::default() };
        let storage = keeping_files(chosen.clone()).expect("is fine").storage;
        assert_eq!(storage, chosen.storage);
    }
}
