//! `alloc`: what an iteration of each counted case asks the allocator for, without Criterion: a count needs no samples.

use std::io::{self, Write};

use crate::counters::{COUNTED_CASES, Counted, CountedCase};
use crate::document::{Document, Table};
use crate::units::{Bytes, grouped};
use crate::verdict::Verdict;

use super::args::{Args, Mode};
use super::outcome::Stop;

/// The name of this bench.
const GROUP: &str = "alloc";

/// Iterations of each case.
// 1 GB of the largest file: a second.
const ITERATIONS: u64 = 100;
/// Iterations where it is only seen whether everything works.
const TESTED: u64 = 2;

/// A case, counted twice in a row.
struct Rounds {
    id: String,
    first: Counted,
    second: Counted,
}

/// The ids, for filters and lists.
pub(super) fn ids() -> impl Iterator<Item = String> {
    COUNTED_CASES.into_iter().map(id_of)
}

fn id_of(case: CountedCase) -> String {
    format!("{GROUP}/{}", case.id)
}

/// Counts the cases that the filter selects. Figures are not to be trusted where two rounds differ.
pub(super) fn run(args: &Args) -> Result<Verdict, Stop> {
    let mut rounds = Vec::new();
    // Nothing is saved of a count that could be analysed, and a profile of it is the one of `--heap-profile`.
    if matches!(args.mode, Mode::Measure | Mode::Test) {
        let iterations = if args.mode == Mode::Measure { ITERATIONS } else { TESTED };
        for case in COUNTED_CASES.into_iter().filter(|case| args.filter.selects(&id_of(*case))) {
            let mut warm = case.warm_up()?;
            let first = warm.count(iterations)?;
            let second = warm.count(iterations)?;
            rounds.push(Rounds { id: id_of(case), first, second });
        }
    }
    if rounds.is_empty() {
        return Ok(Verdict::Held);
    }
    let document = document(&rounds);
    if args.mode == Mode::Measure || document.conclusion.is_some() {
        write!(io::stdout().lock(), "{document}")?;
    }
    // There is a conclusion only where something is wrong.
    Ok(if document.conclusion.is_some() { Verdict::Untrusted } else { Verdict::Held })
}

/// A row a case, and whether the rounds agree.
fn document(rounds: &[Rounds]) -> Document {
    let mut document = Document::new("Allocations");
    let mut table = Table::new(["case", "allocations", "allocated bytes", "held at most"]);
    let mut differ = Vec::new();
    for Rounds { id, first, second } in rounds {
        let Counted { iterations, allocations, bytes, held, .. } = first;
        let allocated = per_iteration(*bytes, *iterations);
        table.row([id.clone(), per_iteration(*allocations, *iterations), allocated, size(*held)]);
        // A bench whose allocator does not count has nothing to tell, which is no agreement.
        if first != second || allocations.is_none() {
            differ.push(id.as_str());
        }
    }
    document.table(table);
    document.gap();
    document.line(
        "Of one iteration; held at most is seen at each piece of a body and at each answer (docs/memory.md).",
    );
    document.gap();
    if !differ.is_empty() {
        let cases = differ.join(", ");
        document.conclusion = Some(format!("Not to be trusted, as two rounds differ: {cases}"));
    }
    document
}

/// A total as that of one iteration, with two decimals where it is no whole number.
fn per_iteration(total: Option<u64>, iterations: u64) -> String {
    match total {
        None => "-".to_owned(),
        Some(total) if total.is_multiple_of(iterations) => grouped(total / iterations),
        Some(total) => format!("{:.2}", total as f64 / iterations as f64),
    }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| Bytes(bytes).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(allocations: u64) -> Counted {
        Counted {
            case: "a".to_owned(),
            iterations: 100,
            allocations: Some(allocations),
            bytes: Some(1_234_500),
            held: Some(65_536),
            instructions: None,
        }
    }

    fn of(first: Counted, second: Counted) -> Document {
        document(&[Rounds { id: "alloc/a".to_owned(), first, second }])
    }

    #[test]
    fn a_row_is_of_one_iteration() {
        let text = of(counted(5800), counted(5800)).to_string();
        let row = text.lines().nth(1).expect("has a row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["alloc/a", "58", "12,345", "64", "KB"]);
        assert_eq!(per_iteration(Some(5801), 100), "58.01");
    }

    #[test]
    fn rounds_that_differ_are_named() {
        assert_eq!(of(counted(5800), counted(5800)).conclusion, None);
        let says = "Not to be trusted, as two rounds differ: alloc/a";
        assert_eq!(of(counted(5800), counted(5801)).conclusion.as_deref(), Some(says));
        // Counts that are not there agree, and say nothing.
        let none = Counted { allocations: None, bytes: None, held: None, ..counted(0) };
        assert_eq!(of(none.clone(), none).conclusion.as_deref(), Some(says));
    }
}
