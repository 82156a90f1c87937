//! Is a session to be trusted? Its controls must have come out as expected, and its arms must have run in random
//! order.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::compared::OneCaseArms;
use super::plan::positive_control;
use super::record::{Block, CaseRecord, Record};
use super::schedule::{Role, block_orders};
use crate::units::{Share, change};

/// An order of arms that is less probable than this is not random.
// Two roles are looked at in each session, so chance alone makes one in half a million at most look like that.
const NOT_RANDOM: f64 = 1e-6;

/// The sentence that the controls of a case say against it, if they do. The A/A control must show nothing. The
/// positive control must be caught where the case is `decided`, that is, if its noise is small enough for a verdict.
pub fn problem_of_controls(
    case: &CaseRecord,
    arms: &OneCaseArms<'_>,
    margin: f64,
    decided: bool,
) -> Option<String> {
    if arms.control.found(case.threshold).is_some() {
        let found = change(arms.control.effect().share);
        return Some(format!("{}: base against itself (A/A control) came out at {found}", case.id));
    }
    // Judged by its interval, as a pass is: a single pair that went wrong spoils a mean, but no rank. With a test on
    // means a quarter of the sessions drawn from real pairs of the same code were inconclusive.
    let positive = arms.positive.effect();
    let beyond_margin = positive.lower.is_some_and(|lower| lower > margin);
    let caught = beyond_margin && positive.share >= case.threshold;
    // A share below the minimum detectable effect may be missed by chance. That is held against a case only if it
    // would have a verdict otherwise.
    let share = positive_control(case.threshold);
    if !caught && (decided || arms.control.mde(case.threshold) <= share) {
        let share = Share(share);
        let found = change(positive.share);
        return Some(format!(
            "{}: base slowed by {share} (positive control) did not come out slower; it came out at {found}",
            case.id
        ));
    }
    None
}

/// What is wrong with the order of the arms, a sentence each: they must have taken turns as the seed says, and none
/// must have gone first too often.
pub fn problems_of_order(record: &Record) -> Vec<String> {
    let mut problems = Vec::new();
    if !follows_the_seed(record) {
        problems.push(
            "the arms did not take turns as the seed says; these are not the slices of that plan".to_owned(),
        );
    }
    // The seed alone is not enough: a schedule that always put one arm first would follow its seed as well.
    for role in [Role::Head, Role::Control] {
        let mut first = 0;
        let mut all = 0;
        for block in blocks(record) {
            first += u64::from(position(block, role) < position(block, Role::Base));
            all += 1;
        }
        if is_not_random(first, all) {
            let name = role.name();
            problems.push(format!("{name} ran before base in {first} blocks of {all}: no coin decided that"));
        }
    }
    problems
}

/// The place of a role in the first half of a block; `None` where a damaged record lacks it.
fn position(block: &Block, role: Role) -> Option<usize> {
    block.order.iter().position(|of| *of == role)
}

fn blocks(record: &Record) -> impl Iterator<Item = &Block> {
    record.cases.iter().flat_map(|case| &case.pairs).flat_map(|pair| &pair.blocks)
}

fn follows_the_seed(record: &Record) -> bool {
    for (index, case) in record.cases.iter().enumerate() {
        for (pair, number) in case.pairs.iter().zip(&record.numbers) {
            let planned = block_orders(record.plan.seed, *number, index).take(pair.blocks.len());
            if !pair.blocks.iter().map(|block| block.order).eq(planned) {
                return false;
            }
        }
    }
    true
}

/// Whether so many heads are too few or too many for a fair coin.
fn is_not_random(heads: u64, throws: u64) -> bool {
    let Ok(coin) = Binomial::new(0.5, throws) else { return false };
    2.0 * coin.cdf(heads.min(throws - heads)) < NOT_RANDOM
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::verdict::judge;
    use super::*;
    use crate::lockstep::Plan;
    use crate::verdict::Verdict;

    /// The verdict on a record has to be inconclusive, and to say why.
    fn distrusted(record: &Record, why: &str) {
        let verdict = judge(record);
        assert_eq!(verdict.conclusion, Verdict::Untrusted, "{verdict:?}");
        let of_cases = verdict.cases.iter().flat_map(|case| &case.distrust);
        let said: Vec<&String> = verdict.distrust.iter().chain(of_cases).collect();
        assert!(said.iter().any(|problem| problem.contains(why)), "{said:?}");
    }

    fn sound() -> Record {
        session(&fake::plan(1), &["a", "b"], &[Trait::Quiet])
    }

    fn blocks_of(record: &mut Record) -> impl Iterator<Item = &mut Block> {
        record.cases.iter_mut().flat_map(|case| &mut case.pairs).flat_map(|pair| &mut pair.blocks)
    }

    #[test]
    fn nothing_is_wrong_with_a_sound_session() {
        let verdict = judge(&sound());
        assert_eq!(verdict.distrust, Vec::<String>::new());
        assert!(verdict.cases.iter().all(|case| case.distrust.is_empty()), "{verdict:?}");
    }

    #[test]
    fn a_control_that_was_not_slowed_is_noticed() {
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::NoSpin]);
        distrusted(&record, "base slowed by 5 % (positive control) did not come out slower");
        // Even where a real slowdown is there to be found: what failed once could have failed twice.
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::NoSpin, Trait::Slower(0.05)]);
        distrusted(&record, "did not come out slower");
    }

    #[test]
    fn an_a_a_control_that_differs_from_base_is_noticed() {
        let mut record = sound();
        // A twentieth more in each slice of the control: +5 %.
        for block in record.cases[1].pairs.iter_mut().flat_map(|pair| &mut pair.blocks) {
            for (slot, role) in block.order.iter().chain(block.order.iter().rev()).enumerate() {
                if *role == Role::Control {
                    block.values[slot] += block.values[slot] / 20;
                }
            }
        }
        distrusted(&record, "b: base against itself (A/A control) came out at +5");
    }

    #[test]
    fn a_frozen_coin_is_noticed() {
        let mut record = sound();
        for block in blocks_of(&mut record) {
            block.order = Role::ALL;
        }
        distrusted(&record, "head ran before base in 0 blocks");
        distrusted(&record, "did not take turns as the seed says");
    }

    #[test]
    fn swapped_labels_are_noticed() {
        let mut record = sound();
        for role in blocks_of(&mut record).flat_map(|block| &mut block.order) {
            *role = match role {
                Role::Base => Role::Head,
                Role::Head => Role::Base,
                Role::Control => Role::Control,
            };
        }
        distrusted(&record, "did not take turns as the seed says");
    }

    #[test]
    fn too_few_pairs_are_noticed() {
        let few = Plan { pairs: 5, max_pairs: 5, ..fake::plan(1) };
        assert!(few.check().is_err(), "such a session does not start");
        // And if one had been run: 2^-5 is 3 %, so nothing can be seen at 0.5 %.
        let verdict = judge(&session(&few, &["a"], &[Trait::Quiet]));
        assert_eq!(verdict.conclusion, Verdict::Untrusted, "{verdict:?}");
    }

    #[test]
    fn a_coin_is_told_from_its_imitations() {
        // 2 * 2^-30 is far below one in a million, 2 * 2^-10 is 0.2 %. Of 1,000 throws the standard deviation is
        // 15.8: 400 lie 6.3 of them below the middle, 480 lie 1.3 below.
        assert!(is_not_random(0, 30) && is_not_random(30, 30) && is_not_random(400, 1000));
        assert!(!is_not_random(0, 10) && !is_not_random(480, 1000) && !is_not_random(0, 0));
    }
}
