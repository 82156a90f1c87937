//! Is a session to be believed? Its controls must have come out as they had to, and its coin must have been a coin.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::compared::Comparison;
use super::plan::control;
use super::record::{CaseRecord, Record};
use super::schedule::{Role, block_orders};
use super::verdict::Finding;
use crate::units::Share;

/// Less likely than this, an order of arms is no coin's work.
const NO_COIN: f64 = 1e-6;

/// A second process of the base must show nothing; slowed by a known share it must be caught. Where the case is too
/// noisy for that share by its own reckoning, missing it says nothing new: the case is underpowered, and so no pass.
pub fn problems_of_controls(cases: &[&CaseRecord], copy: &Comparison, slowed: &Comparison) -> Vec<String> {
    let mut problems = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let (copy, slowed) = (copy.case(i), slowed.case(i));
        if copy.found(case.fail_over).is_some() {
            let found = percent(copy.effect().share);
            problems.push(format!("{}: base against itself came out at {found}", case.id));
        }
        let missed = slowed.found(case.fail_over) != Some(Finding::Regressed);
        if missed && copy.smallest(case.fail_over) <= control(case.fail_over) {
            let (share, found) = (Share(control(case.fail_over)), percent(slowed.effect().share));
            problems.push(format!(
                "{}: base slowed by {share} was not called slower; it came out at {found}",
                case.id
            ));
        }
    }
    problems
}

/// The arms must have taken turns as the seed says, and none must have gone first too often.
pub fn problems_of_order(record: &Record) -> Vec<String> {
    let mut problems = Vec::new();
    let seed = record.plan.seed;
    let follows = record.cases.iter().enumerate().all(|(index, case)| {
        case.pairs.iter().enumerate().all(|(pair, blocks)| {
            blocks.iter().map(|block| block.order).eq(block_orders(seed, pair, index).take(blocks.len()))
        })
    });
    if !follows {
        problems.push(
            "the arms did not take turns as the seed says; these are not the slices of that plan".to_owned(),
        );
    }
    for role in [Role::Head, Role::Copy] {
        let orders = record.cases.iter().flat_map(|case| &case.pairs).flatten().map(|block| block.order);
        let (first, all) = orders.fold((0, 0), |(first, all), order| {
            let at = |of| order.iter().position(|role| *role == of);
            (first + u64::from(at(role) < at(Role::Base)), all + 1)
        });
        if unlike_a_coin(first, all) {
            let name = role.name();
            problems.push(format!("{name} ran before base in {first} blocks of {all}: no coin decided that"));
        }
    }
    problems
}

/// Whether so many heads are too few or too many.
fn unlike_a_coin(heads: u64, throws: u64) -> bool {
    let Ok(coin) = Binomial::new(0.5, throws) else { return false };
    2.0 * coin.cdf(heads.min(throws - heads)) < NO_COIN
}

fn percent(share: f64) -> String {
    format!("{:+.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::verdict::{Conclusion, judge};
    use super::*;
    use crate::gate::Plan;

    /// The verdict on a record has to be inconclusive, and to say why.
    fn distrusted(record: &Record, why: &str) {
        let verdict = judge(record);
        assert_eq!(verdict.conclusion, Conclusion::Inconclusive, "{verdict:?}");
        assert!(verdict.distrust.iter().any(|problem| problem.contains(why)), "{:?}", verdict.distrust);
    }

    fn sound() -> Record {
        session(&fake::plan(1), &["a", "b"], &[Trait::Quiet])
    }

    #[test]
    fn nothing_is_wrong_with_a_sound_session() {
        assert_eq!(judge(&sound()).distrust, Vec::<String>::new());
    }

    #[test]
    fn a_control_that_was_not_slowed_is_noticed() {
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::NoSpin]);
        distrusted(&record, "base slowed by 5 % was not called slower");
        // Even where a real slowdown is there to be found: what failed once could have failed twice.
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::NoSpin, Trait::Slower(0.05)]);
        distrusted(&record, "was not called slower");
    }

    #[test]
    fn a_copy_of_base_that_differs_from_it_is_noticed() {
        let mut record = sound();
        for block in record.cases[1].pairs.iter_mut().flatten() {
            let halves = block.order.iter().chain(block.order.iter().rev()).zip(&mut block.ns);
            halves.filter(|(role, _)| **role == Role::Copy).for_each(|(_, ns)| *ns += *ns / 20);
        }
        distrusted(&record, "b: base against itself came out at +5");
    }

    #[test]
    fn a_frozen_coin_is_noticed() {
        let mut record = sound();
        for block in record.cases.iter_mut().flat_map(|case| &mut case.pairs).flatten() {
            block.order = Role::ALL;
        }
        distrusted(&record, "head ran before base in 0 blocks");
        distrusted(&record, "did not take turns as the seed says");
    }

    #[test]
    fn swapped_labels_are_noticed() {
        let mut record = sound();
        for role in
            record.cases.iter_mut().flat_map(|case| &mut case.pairs).flatten().flat_map(|b| &mut b.order)
        {
            *role = match role {
                Role::Base => Role::Head,
                Role::Head => Role::Base,
                Role::Copy => Role::Copy,
            };
        }
        distrusted(&record, "did not take turns as the seed says");
    }

    #[test]
    fn too_few_pairs_are_noticed() {
        let few = Plan { pairs: 5, ..fake::plan(1) };
        assert!(few.check().is_err(), "such a session does not start");
        // And if one had been run: 2^-5 is 3 %, so nothing can be seen at 0.5 %.
        let verdict = judge(&session(&few, &["a"], &[Trait::Quiet]));
        assert_eq!(verdict.conclusion, Conclusion::Inconclusive, "{verdict:?}");
    }

    #[test]
    fn a_coin_is_told_from_its_imitations() {
        assert!(unlike_a_coin(0, 30) && unlike_a_coin(30, 30) && unlike_a_coin(400, 1000));
        assert!(!unlike_a_coin(0, 10) && !unlike_a_coin(480, 1000) && !unlike_a_coin(0, 0));
    }
}
