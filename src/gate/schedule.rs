//! Which arm runs when: all of it follows from the seed.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The workers of one pair of processes, in the order of the letters that records use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// What the change is compared with.
    #[serde(rename = "B")]
    Base,
    /// The change.
    #[serde(rename = "H")]
    Head,
    /// A second process of the base: the A/A control.
    #[serde(rename = "C")]
    Control,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Base, Self::Head, Self::Control];

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Head => "head",
            Self::Control => "A/A control",
        }
    }
}

/// The order of the roles in the first half of a block. The second half is its mirror image (ABC CBA), so that what
/// changes steadily over the block cancels.
pub type Order = [Role; 3];

/// The order in which one pair's processes are started, and in which they prepare and warm up each case.
pub fn start_order(seed: u64, pair: usize) -> Order {
    shuffled(Role::ALL, &mut stream(seed, pair, 0))
}

/// The order in which one pair runs `cases` cases, by their index.
pub fn case_order(seed: u64, pair: usize, cases: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cases).collect();
    order.shuffle(&mut stream(seed, pair, 1));
    order
}

/// The orders of the blocks of one case (by its index) in one pair, one after the other, without end.
pub fn block_orders(seed: u64, pair: usize, case: usize) -> impl Iterator<Item = Order> {
    let mut rng = stream(seed, pair, 2 + case as u64);
    std::iter::repeat_with(move || shuffled(Role::ALL, &mut rng))
}

/// A stream of random numbers of its own for each use, so that none depends on how long another one ran.
fn stream(seed: u64, pair: usize, of: u64) -> Xoshiro256PlusPlus {
    [pair as u64, of].iter().fold(Xoshiro256PlusPlus::seed_from_u64(seed), |mut rng, number| {
        Xoshiro256PlusPlus::seed_from_u64(rng.next_u64() ^ number)
    })
}

fn shuffled(mut order: Order, rng: &mut Xoshiro256PlusPlus) -> Order {
    order.shuffle(rng);
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_one_another() {
        let of = |seed| (case_order(seed, 3, 6), block_orders(seed, 3, 1).take(20).collect::<Vec<_>>());
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn every_order_is_as_likely_as_every_other_over_pairs_and_blocks() {
        let mut seen: BTreeMap<Order, u32> = BTreeMap::new();
        for pair in 0..60 {
            for order in block_orders(42, pair, 0).take(10).chain([start_order(42, pair)]) {
                *seen.entry(order).or_default() += 1;
            }
        }
        // 660 over 6 orders: 110 each, standard deviation 9.6.
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|n| (70..=150).contains(n)), "{seen:?}");
    }

    #[test]
    fn every_case_runs_once_a_pair() {
        for pair in 0..20 {
            let mut order = case_order(1, pair, 6);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        }
        assert_ne!(case_order(1, 0, 6), case_order(1, 1, 6));
    }
}
