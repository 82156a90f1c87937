//! How far the gate can be trusted: many stored sessions, counted, for `ci/gate-proof.sh`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::record::{CaseRecord, Record};
use super::store::load_record;
use super::verdict::{Conclusion, Figures, Finding, Verdict, judge, judge_cases};
use crate::error::Error;

/// Where the draws come from.
const SEED: u64 = 1;
/// The kind of session whose two builds are the same, on a quiet machine.
const ITSELF: &str = "itself";

/// Sessions by kind: each a record with its verdict.
type Kinds = BTreeMap<String, Vec<(Record, Verdict)>>;

/// Reads the sessions in `dir`, each in a folder `kind.number`, and counts them, and so many more drawn from their
/// pairs. Markdown.
pub fn prove(dir: &Path, draws: u32) -> Result<String, Error> {
    let kinds = read(dir)?;
    let mut out = outcomes(&kinds);
    if let Some(itself) = kinds.get(ITSELF) {
        out.push_str(&spreads(itself));
        out.push_str(&drawn(itself, draws));
    }
    Ok(out)
}

fn read(dir: &Path) -> Result<Kinds, Error> {
    let failed = |e| Error::file(dir, "read", e);
    let mut kinds = Kinds::new();
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    // In one order, so that the same sessions give the same draws.
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The exit code is written last: without one the session is not over.
        if let Some((kind, _)) = name.rsplit_once('.').filter(|_| path.join("exit").exists()) {
            let record = load_record(&path)?;
            let verdict = judge(&record);
            kinds.entry(kind.to_owned()).or_default().push((record, verdict));
        }
    }
    Ok(kinds)
}

/// What the sessions of each kind came to.
fn outcomes(kinds: &Kinds) -> String {
    let mut out = String::from(
        "| sessions | number | passed | the slowed case named | another case named | inconclusive |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for (kind, sessions) in kinds {
        let count =
            |of: &dyn Fn(&(Record, Verdict)) -> bool| sessions.iter().filter(|session| of(session)).count();
        let concluded = |conclusion| count(&|(_, verdict)| verdict.conclusion == conclusion);
        let right = count(&|session| named(session).any(|right| right));
        let wrong = count(&|session| named(session).any(|right| !right));
        let (passed, unclear) = (concluded(Conclusion::Pass), concluded(Conclusion::Inconclusive));
        let _ = writeln!(out, "| {kind} | {} | {passed} | {right} | {wrong} | {unclear} |", sessions.len());
    }
    out.push('\n');
    out
}

/// For each case that failed the session, whether it was the one that had been slowed.
fn named((record, verdict): &(Record, Verdict)) -> impl Iterator<Item = bool> {
    let failed = verdict.conclusion == Conclusion::Regression;
    let slower = verdict.cases.iter().filter(move |case| failed && case.finding == Finding::Regressed);
    slower.map(|case| record.plan.injected_into(&case.id) > 0.0)
}

/// How much each case varies between pairs, and between sessions.
fn spreads(sessions: &[(Record, Verdict)]) -> String {
    let mut out = String::from(
        "| case | spread over pairs, mean | largest | spread of the effect over sessions | largest effect | could have seen, mean |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut cases: BTreeMap<&str, Vec<&Figures>> = BTreeMap::new();
    for case in sessions.iter().flat_map(|(_, verdict)| &verdict.cases) {
        cases.entry(&case.id).or_default().extend(&case.figures);
    }
    for (id, figures) in cases {
        let all = |of: fn(&Figures) -> f64| figures.iter().map(|f| of(f)).collect::<Vec<_>>();
        let (spread, effect) = (all(|f| f.spread), all(|f| f.effect.share));
        let largest = |values: &[f64]| values.iter().map(|v| v.abs()).fold(0.0, f64::max);
        let _ = writeln!(
            out,
            "| `{id}` | {:.2} % | {:.2} % | {:.2} % | {:.2} % | {:.1} % |",
            100.0 * mean(&spread),
            100.0 * largest(&spread),
            100.0 * (mean(&effect.iter().map(|e| e * e).collect::<Vec<_>>())).sqrt(),
            100.0 * largest(&effect),
            100.0 * mean(&all(|f| f.smallest)),
        );
    }
    out.push('\n');
    out
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sessions drawn with replacement from the pairs of all stored ones: a pair keeps its cases together.
fn drawn(sessions: &[(Record, Verdict)], draws: u32) -> String {
    let (first, _) = &sessions[0];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let (mut slower, mut failed, mut unclear) = (0, 0, 0);
    for _ in 0..draws {
        let pairs: Vec<(usize, usize)> = (0..first.plan.pairs)
            .map(|_| (rng.random_range(0..sessions.len()), rng.random_range(0..first.plan.pairs)))
            .collect();
        let verdict = judge_cases(&first.plan, &assembled(sessions, &pairs), Vec::new());
        slower += u32::from(verdict.cases.iter().any(|case| case.finding == Finding::Regressed));
        failed += u32::from(verdict.conclusion == Conclusion::Regression);
        unclear += u32::from(verdict.conclusion == Conclusion::Inconclusive);
    }
    let percent = |n: u32| 100.0 * f64::from(n) / f64::from(draws);
    format!(
        "{draws} sessions drawn from the pairs of these: in {slower} ({:.2} %) a case was called slower, {failed} \
         ({:.2} %) failed, {unclear} ({:.2} %) were inconclusive.\n",
        percent(slower),
        percent(failed),
        percent(unclear)
    )
}

/// The cases with these pairs, each given as session and pair.
fn assembled(sessions: &[(Record, Verdict)], pairs: &[(usize, usize)]) -> Vec<CaseRecord> {
    let cases = sessions[0].0.cases.iter().enumerate();
    let blocks = |case: usize| {
        pairs.iter().map(move |&(session, pair)| sessions[session].0.cases[case].pairs[pair].clone())
    };
    cases.map(|(index, case)| CaseRecord { pairs: blocks(index).collect(), ..case.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::plan::{Injection, Plan};
    use super::super::store::save_record;
    use super::*;

    fn store(dir: &Path, name: &str, record: &Record) {
        save_record(&dir.join(name), record).expect("writes");
        std::fs::write(dir.join(name).join("exit"), "0").expect("writes");
    }

    #[test]
    fn stored_sessions_are_counted_by_kind_and_by_whether_the_right_case_was_named() {
        let dir = tempfile::tempdir().expect("makes one");
        for seed in 0..3 {
            let plan = fake::plan(seed);
            store(dir.path(), &format!("itself.{seed}"), &session(&plan, &["a", "b"], &[Trait::Quiet]));
            let injected = Some(Injection { case: "b".to_owned(), share: 0.05 });
            let slowed = session(&Plan { injected, ..plan.clone() }, &["a", "b"], &[Trait::Quiet]);
            store(dir.path(), &format!("plus5.{seed}"), &slowed);
        }
        // This one slowed all of head, and says nothing of an injection: the wrong cases are named.
        store(dir.path(), "odd.0", &session(&fake::plan(9), &["a", "b"], &[Trait::Slower(0.05)]));
        std::fs::create_dir(dir.path().join("itself.9")).expect("makes one that is not over");

        let text = prove(dir.path(), 20).expect("reads");
        assert!(text.contains("| itself | 3 | 3 | 0 | 0 | 0 |"), "{text}");
        assert!(text.contains("| plus5 | 3 | 0 | 3 | 0 | 0 |"), "{text}");
        assert!(text.contains("| odd | 1 | 0 | 0 | 1 | 0 |"), "{text}");
        assert!(text.contains("20 sessions drawn") && text.contains("0 (0.00 %) failed"), "{text}");
    }
}
