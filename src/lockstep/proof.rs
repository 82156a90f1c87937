//! How far the gate can be trusted: many stored sessions, counted, for `ci/gate-proof.sh`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::extension::needs_more_pairs;
use super::finding::Finding;
use super::measure::Measure;
use super::record::{CaseRecord, Record};
use super::store::load_record;
use super::verdict::{CaseVerdict, Figures, SessionVerdict, is_slower, judge, judge_cases};
use crate::error::Error;
use crate::verdict::Verdict;

/// Seed of the draws, of the first thread.
const SEED: u64 = 1;
/// Kinds of session of two builds with the same code on a quiet machine: as built, and with the files exchanged.
const SAME: [&str; 2] = ["same", "swapped"];
/// Kinds of session in which no case of head is slower.
const NONE_SLOWER: [&str; 3] = ["same", "swapped", "busy_same"];
/// The case that a slower stub does not make slower.
const UNTOUCHED: &str = "jwt/validate";

/// One stored session.
struct StoredSession {
    record: Record,
    verdict: SessionVerdict,
}

/// Sessions by kind.
type Kinds = BTreeMap<String, Vec<StoredSession>>;

/// Reads the sessions in `dir`, each in a folder `kind.number`, and counts their outcomes, and those of `draws` more
/// sessions that are drawn from their pairs. Returns Markdown.
pub fn prove(dir: &Path, draws: u32) -> Result<String, Error> {
    let kinds = read(dir)?;
    let mut out = outcomes(&kinds);
    out.push_str(&by_case(&kinds));
    // Sessions to draw from: a case that was too slow has no pairs, so a session with one is left out.
    let mut same = Vec::new();
    for session in SAME.iter().filter_map(|kind| kinds.get(*kind)).flatten() {
        if session.record.cases.iter().all(|case| !case.too_slow) {
            same.push(session);
        }
    }
    if !same.is_empty() {
        out.push_str(&drawn(&same, draws));
    }
    Ok(out)
}

fn read(dir: &Path) -> Result<Kinds, Error> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::file(dir, "read", e))? {
        paths.push(entry.map_err(|e| Error::file(dir, "read", e))?.path());
    }
    // In one order, so that the same sessions give the same draws.
    paths.sort();
    let mut kinds = Kinds::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The exit code is written last: without one the session is not over.
        if let Some((kind, _)) = name.rsplit_once('.').filter(|_| path.join("exit").exists()) {
            let record = load_record(&path)?;
            let verdict = judge(&record);
            kinds.entry(kind.to_owned()).or_default().push(StoredSession { record, verdict });
        }
    }
    Ok(kinds)
}

/// Outcomes of the sessions of each kind, as a table.
fn outcomes(kinds: &Kinds) -> String {
    let mut out = String::from(
        "| sessions | number | passed | slower | of them naming a case that is not | inconclusive | with more pairs | \
         pairs repeated |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (kind, sessions) in kinds {
        let mut passed = 0;
        let mut slower = 0;
        let mut wrong = 0;
        let mut unclear = 0;
        let mut extended = 0;
        let mut repeated = 0;
        for StoredSession { record, verdict } in sessions {
            match verdict.conclusion {
                Verdict::Held => passed += 1,
                Verdict::Missed => slower += 1,
                Verdict::Untrusted => unclear += 1,
            }
            // A case that is called slower although nothing was done to it is a false alarm, also in a session that
            // is rightly called a regression.
            let none_is_slower = NONE_SLOWER.contains(&kind.as_str());
            let named_wrongly =
                verdict.cases.iter().any(|case| is_slower(case) && (none_is_slower || case.id == UNTOUCHED));
            wrong += usize::from(named_wrongly);
            extended += usize::from(record.numbers.len() > record.plan.pairs);
            repeated += record.storms.len();
        }
        let _ = writeln!(
            out,
            "| {kind} | {} | {passed} | {slower} | {wrong} | {unclear} | {extended} | {repeated} |",
            sessions.len()
        );
    }
    out.push('\n');
    out
}

/// Findings of each kind and case, and how they vary between sessions, as a table.
fn by_case(kinds: &Kinds) -> String {
    let mut out = String::from(
        "| sessions | case | called slower | undecided or not to be trusted | effect, mean | standard error | largest | \
         spread over pairs, mean | at most, mean | MDE, mean | p99, mean |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (kind, sessions) in kinds {
        let mut cases: BTreeMap<&str, Vec<&CaseVerdict>> = BTreeMap::new();
        for case in sessions.iter().flat_map(|session| &session.verdict.cases) {
            cases.entry(&case.id).or_default().push(case);
        }
        for (id, verdicts) in cases {
            let figures: Vec<&Figures> = verdicts.iter().filter_map(|case| case.figures.as_ref()).collect();
            let effects: Vec<f64> = figures.iter().map(|f| f.effect.share).collect();
            let slower = verdicts.iter().filter(|case| is_slower(case)).count();
            let unclear = verdicts
                .iter()
                .filter(|case| matches!(case.finding, Finding::Undecided | Finding::Untrusted))
                .count();
            // Cases of few operations have no tail.
            let tails: Vec<f64> = figures.iter().filter_map(|f| Some(f.tail.as_ref()?.p99)).collect();
            let _ = writeln!(
                out,
                "| {kind} | `{id}` | {slower} of {} | {unclear} | {} | {} | {} | {} | {} | {} | {} |",
                verdicts.len(),
                percent(mean(&effects)),
                percent(standard_error(&effects)),
                percent(farthest_from_zero(&effects)),
                percent(mean_of(&figures, |f| f.spread)),
                percent(mean_of(&figures, |f| f.effect.upper.unwrap_or(f64::NAN))),
                percent(mean_of(&figures, |f| f.mde)),
                percent(mean(&tails)),
            );
        }
    }
    out.push('\n');
    out
}

/// The value of the largest size, with its sign; 0 where there are none.
fn farthest_from_zero(values: &[f64]) -> f64 {
    let mut farthest: f64 = 0.0;
    for value in values {
        if value.abs() > farthest.abs() {
            farthest = *value;
        }
    }
    farthest
}

fn mean_of(figures: &[&Figures], of: fn(&Figures) -> f64) -> f64 {
    let values: Vec<f64> = figures.iter().map(|figures| of(figures)).collect();
    mean(&values)
}

/// A share in percent; `-` for what one or no session cannot have.
fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:+.2} %", 100.0 * share) } else { "-".to_owned() }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn standard_error(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let center = mean(values);
    (values.iter().map(|value| (value - center).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt()
}

/// Outcomes of drawn sessions.
#[derive(Default)]
struct Drawn {
    failed: u32,
    unclear: u32,
    extended: u32,
}

/// Sessions drawn with replacement from the pairs of all stored ones: a pair keeps its cases together. They go on to more
/// pairs as real ones do. Each core draws a part, with a seed of its own.
fn drawn(sessions: &[&StoredSession], draws: u32) -> String {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let mut all = Drawn::default();
    std::thread::scope(|scope| {
        let mut parts = Vec::new();
        for thread in 0..threads {
            // The parts add up to `draws`.
            let part = draws / threads + u32::from(thread < draws % threads);
            parts.push(scope.spawn(move || draw(sessions, part, SEED + u64::from(thread))));
        }
        for part in parts {
            let part = part.join().expect("drawing does not panic");
            all.failed += part.failed;
            all.unclear += part.unclear;
            all.extended += part.extended;
        }
    });
    format!(
        "{draws} sessions drawn from the pairs of the same code: {} ({:.2} %) called a case slower, {} ({:.2} %) were \
         inconclusive, {} ({:.2} %) went on to more pairs.\n",
        all.failed,
        100.0 * f64::from(all.failed) / f64::from(draws),
        all.unclear,
        100.0 * f64::from(all.unclear) / f64::from(draws),
        all.extended,
        100.0 * f64::from(all.extended) / f64::from(draws)
    )
}

fn draw(sessions: &[&StoredSession], draws: u32, seed: u64) -> Drawn {
    // All sessions of these kinds have the same plan, but for its seed, and the same cases (`ci/gate-proof.sh`).
    let plan = &sessions[0].record.plan;
    let clocks = sessions[0].record.measure == Measure::WallTime;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut drawn = Drawn::default();
    for _ in 0..draws {
        let mut cases: Vec<CaseRecord> = Vec::new();
        for case in &sessions[0].record.cases {
            cases.push(CaseRecord { pairs: Vec::new(), ..case.clone() });
        }
        // The rule of `Session::goes_on`.
        let mut pairs = 0;
        while pairs < plan.pairs || pairs < plan.max_pairs && needs_more_pairs(&cases, plan.margin) {
            let from = &sessions[rng.random_range(0..sessions.len())].record;
            let pair = rng.random_range(0..from.numbers.len());
            for (case, source) in cases.iter_mut().zip(&from.cases) {
                case.pairs.push(source.pairs[pair].clone());
            }
            pairs += 1;
        }
        // The order of the arms is not looked at: drawn pairs are in no order of one seed.
        let verdict = judge_cases(plan, &cases, Vec::new(), clocks);
        drawn.extended += u32::from(pairs > plan.pairs);
        drawn.failed += u32::from(verdict.conclusion == Verdict::Missed);
        drawn.unclear += u32::from(verdict.conclusion == Verdict::Untrusted);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::store::Report;
    use super::*;

    fn store(dir: &Path, name: &str, record: &Record) {
        let report = Report::begin(&dir.join(name)).expect("is free");
        report.save_record(record).expect("writes");
        std::fs::write(report.dir().join("exit"), "0").expect("writes");
    }

    #[test]
    fn stored_sessions_are_counted_by_kind_and_by_whether_a_wrong_case_was_named() {
        let dir = tempfile::tempdir().expect("makes one");
        for seed in 0..3 {
            let plan = fake::plan(seed);
            store(dir.path(), &format!("same.{seed}"), &session(&plan, &["a", "b"], &[Trait::Quiet]));
            let slower = session(&plan, &["a", "b"], &[Trait::Slower(0.05)]);
            store(dir.path(), &format!("plus5.{seed}"), &slower);
        }
        store(dir.path(), "busy_same.0", &session(&fake::plan(9), &["a", "b"], &[Trait::Slower(0.05)]));
        let untouched = session(&fake::plan(9), &[UNTOUCHED], &[Trait::Slower(0.05)]);
        store(dir.path(), "plus3.0", &untouched);
        std::fs::create_dir(dir.path().join("same.9")).expect("makes one that is not over");

        let text = prove(dir.path(), 20).expect("reads");
        assert!(text.contains("| same | 3 | 3 | 0 | 0 | 0 | 0 | 0 |"), "{text}");
        assert!(text.contains("| plus5 | 3 | 0 | 3 | 0 | 0 | 0 | 0 |"), "{text}");
        assert!(text.contains("| busy_same | 1 | 0 | 1 | 1 | 0 | 0 | 0 |"), "{text}");
        assert!(text.contains("| plus3 | 1 | 0 | 1 | 1 | 0 | 0 | 0 |"), "{text}");
        assert!(text.contains("| plus5 | `a` | 3 of 3 | 0 | +4."), "{text}");
        assert!(text.contains("20 sessions drawn from the pairs of the same code: 0 (0.00 %)"), "{text}");
    }
}
