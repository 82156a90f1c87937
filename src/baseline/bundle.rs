//! A saved baseline in one file, to be kept with the project or taken to another checkout: Criterion's files and the
//! reports as they were, byte for byte, with a checksum over all of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::kept::{Kept, Side};
use super::saved::{Criterion, FILES, check_name};
use crate::case::{Spec, Suite};
use crate::error::Error;
use crate::files::StagedFolder;
use crate::units::hex;

/// Rises when a field below changes its meaning.
const SCHEMA_VERSION: u32 = 1;
/// What the report is called in a bundle.
const REPORT: &str = "report.json";

/// A bundle that was checked: every case sound, nothing missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The baseline's name.
    pub baseline: String,
    /// Its cases.
    pub cases: Vec<(String, Kept)>,
}

/// A bundle as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema_version: u32,
    baseline: String,
    /// Texts of files by case and name.
    cases: Vec<WireCase>,
    /// SHA-256 over the name and all cases, hex.
    checksum: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCase {
    case: String,
    files: BTreeMap<String, String>,
}

impl Bundle {
    /// Whether a text means to be a bundle.
    pub(super) fn is_one(text: &str) -> bool {
        let value = serde_json::from_str::<serde_json::Value>(text);
        value.is_ok_and(|value| value.get("checksum").is_some() || value.get("baseline").is_some())
    }

    /// Bundles a saved baseline.
    pub fn of(side: Side) -> Self {
        Self { baseline: side.name, cases: side.cases }
    }

    /// The bundle's text.
    pub fn to_text(&self) -> String {
        let mut wire = Wire {
            schema_version: SCHEMA_VERSION,
            baseline: self.baseline.clone(),
            cases: self.cases.iter().map(|(id, kept)| WireCase::of(id, kept)).collect(),
            checksum: String::new(),
        };
        wire.checksum = wire.sum();
        serde_json::to_string_pretty(&wire).expect("a bundle has only texts and numbers") + "\n"
    }

    /// Reads and checks a bundle of cases of the suite; messages name `path` and the case.
    pub fn parse(path: &Path, text: &str, suite: &Suite) -> Result<Self, Error> {
        let wire: Wire =
            serde_json::from_str(text).map_err(|e| Error::malformed(path, format!("is no baseline: {e}")))?;
        // The version first: in another one the fields below may mean something else.
        if wire.schema_version != SCHEMA_VERSION {
            let problem = format!("has version {}, and {SCHEMA_VERSION} is understood", wire.schema_version);
            return Err(Error::malformed(path, problem));
        }
        // The name becomes that of a folder.
        check_name(&wire.baseline).map_err(|problem| Error::malformed(path, problem))?;
        if wire.checksum != wire.sum() {
            let problem = "does not match its checksum: it was changed or damaged; export it again";
            return Err(Error::malformed(path, problem));
        }
        // A checksum that fits says that the file is whole, not that it is sound: whoever can write one can compute one.
        let mut cases: Vec<(String, Kept)> = Vec::new();
        for case in wire.cases {
            if cases.iter().any(|(id, _)| *id == case.case) {
                return Err(Error::malformed(path, format!("{} is in it twice", case.case)));
            }
            cases.push(case.check(path, suite)?);
        }
        if cases.is_empty() {
            return Err(Error::malformed(path, "has no cases"));
        }
        Ok(Self { baseline: wire.baseline, cases })
    }

    /// Writes it to Criterion's folder `home` and to `reports`, under `name`; every file whole or not at all. Refuses
    /// to replace a baseline of that name unless told to.
    pub fn restore(
        &self,
        suite: &Suite,
        home: &Path,
        reports: &Path,
        name: &str,
        replace: bool,
    ) -> Result<(), Error> {
        check_name(name).map_err(|problem| Error::Setting { name: "--name", problem })?;
        let mut specs = Vec::new();
        for (id, _) in &self.cases {
            specs.push(spec(Path::new("baseline"), id, suite)?);
        }
        // Of any case, not only of those in the bundle: a baseline made of two would be compared with unawares.
        let folders = suite.ids().map(|id| home.join(id).join(name)).chain([reports.join(name)]);
        let taken: Vec<PathBuf> = folders.filter(|folder| folder.exists()).collect();
        if let Some(folder) = taken.first().filter(|_| !replace) {
            let problem = "there is one of that name; add --replace, or choose another --name";
            return Err(Error::malformed(folder, problem));
        }
        // All is written before anything that is there is touched: a full disk loses nothing.
        let mut staged = Vec::new();
        let mut texts = Vec::new();
        for (spec, (_, kept)) in specs.iter().zip(&self.cases) {
            let files = kept.criterion.iter().flat_map(|kept| &kept.texts).map(String::as_str);
            let folder = home.join(spec.id()).join(name);
            staged.push(StagedFolder::write(&folder, FILES.iter().copied().zip(files))?);
            texts.push((format!("{}.json", spec.operation), kept.text.as_str()));
        }
        // The reports of all cases lie in one folder, Criterion's files in one for each case.
        let texts = texts.iter().map(|(file, text)| (file.as_str(), *text));
        staged.push(StagedFolder::write(&reports.join(name), texts)?);
        for folder in taken {
            std::fs::remove_dir_all(&folder).map_err(|e| Error::file(&folder, "replace", e))?;
        }
        staged.into_iter().try_for_each(StagedFolder::publish)
    }
}

impl Wire {
    /// Every text with its name and length before it, so that no two bundles have the same bytes.
    fn sum(&self) -> String {
        let mut context = Context::new(&SHA256);
        add(&mut context, &self.baseline);
        for WireCase { case, files } in &self.cases {
            add(&mut context, case);
            for (name, text) in files {
                add(&mut context, name);
                add(&mut context, text);
            }
        }
        hex(context.finish().as_ref())
    }
}

fn add(context: &mut Context, text: &str) {
    context.update(&(text.len() as u64).to_le_bytes());
    context.update(text.as_bytes());
}

impl WireCase {
    /// The case as it is written.
    fn of(id: &str, kept: &Kept) -> Self {
        let mut files = BTreeMap::from([(REPORT.to_owned(), kept.text.clone())]);
        for (name, text) in FILES.iter().zip(kept.criterion.iter().flat_map(|kept| &kept.texts)) {
            files.insert((*name).to_owned(), text.clone());
        }
        Self { case: id.to_owned(), files }
    }

    /// The case's files, each checked, and none missing.
    fn check(mut self, path: &Path, suite: &Suite) -> Result<(String, Kept), Error> {
        let at = path.join(&self.case);
        let spec = spec(path, &self.case, suite)?;
        let [benchmark, estimates, sample, tukey] = FILES;
        let texts = [
            self.take(path, benchmark)?,
            self.take(path, estimates)?,
            self.take(path, sample)?,
            self.take(path, tukey)?,
        ];
        let report = self.take(path, REPORT)?;
        let criterion = Some(Criterion::check(&at, texts)?);
        let kept = Kept { criterion, ..Kept::of_report(&at.join(REPORT), report)? };
        // A report of another operation would later be compared under this case's name.
        if kept.report.operation != spec.operation {
            let problem = format!("{}: its report is of {}", spec.id(), kept.report.operation);
            return Err(Error::malformed(path, problem));
        }
        Ok((self.case, kept))
    }

    /// Takes the text of one file out of the case.
    fn take(&mut self, path: &Path, name: &str) -> Result<String, Error> {
        match self.files.remove(name) {
            Some(text) => Ok(text),
            None => Err(Error::malformed(path, format!("{}: has no {name}", self.case))),
        }
    }
}

fn spec<'a>(path: &Path, id: &str, suite: &'a Suite) -> Result<&'a Spec, Error> {
    suite.case(id).ok_or_else(|| Error::malformed(path, format!("{id}: this suite has no such case")))
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    const ESTIMATE: &str = r#"{"confidence_interval":{"confidence_level":0.95,"lower_bound":1.0,"upper_bound":2.0},
                               "point_estimate":1.5,"standard_error":0.1}"#;

    /// A bundle of one case with a sound checksum, and what `change` did to it before it was sealed.
    fn sealed(change: impl FnOnce(&mut Wire)) -> Result<Bundle, String> {
        let estimates = format!(
            r#"{{"mean":{ESTIMATE},"median":{ESTIMATE},"std_dev":{ESTIMATE},"median_abs_dev":{ESTIMATE},"slope":null}}"#
        );
        let files = [
            ("benchmark.json", "{}".to_owned()),
            ("estimates.json", estimates),
            ("sample.json", r#"{"iters":[1.0,1.0],"times":[5.0,6.0]}"#.to_owned()),
            ("tukey.json", "[]".to_owned()),
            ("report.json", report("jwt_validation", 2.0, |_| ())),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text)).into();
        let case = WireCase { case: "jwt/validate".to_owned(), files };
        let mut wire = Wire {
            schema_version: SCHEMA_VERSION,
            baseline: "main".to_owned(),
            cases: vec![case],
            checksum: String::new(),
        };
        // Sealed after the change: what refuses it must be another check than that of the checksum.
        change(&mut wire);
        wire.checksum = wire.sum();
        let text = serde_json::to_string(&wire).expect("serialises");
        Bundle::parse(Path::new("b.json"), &text, &Suite::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written() {
        let bundle = sealed(|_| ()).expect("is sound");
        let read = Bundle::parse(Path::new("b.json"), &bundle.to_text(), &Suite::default());
        assert_eq!(read.expect("is sound"), bundle);
    }

    #[test]
    fn a_checksum_does_not_make_it_sound() {
        fn says(change: fn(&mut Wire), what: &str) {
            let error = sealed(change).expect_err(what);
            assert!(error.starts_with("b.json") && error.contains(what), "{error}");
        }
        says(|w| w.cases[0].case = "../../etc".to_owned(), "../../etc: this suite has no such case");
        says(|w| drop(w.cases[0].files.remove("sample.json")), "jwt/validate: has no sample.json");
        says(
            |w| drop(w.cases[0].files.insert("sample.json".to_owned(), "{}".to_owned())),
            "jwt/validate/sample.json",
        );
        says(
            |w| drop(w.cases[0].files.insert("report.json".to_owned(), "{}".to_owned())),
            "jwt/validate/report.json",
        );
        says(|w| w.cases.clear(), "has no cases");
        says(|w| w.cases[0].case = "upload/10KB".to_owned(), "its report is of jwt_validation");
        says(
            |w| {
                let files = w.cases[0].files.clone();
                w.cases.push(WireCase { case: "jwt/validate".to_owned(), files });
            },
            "jwt/validate is in it twice",
        );
    }
}
