//! The schedule: which arm runs when. All of it follows from the seed.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The workers of one pair of processes.
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
    /// All roles, in the order of their numbers (`role as usize`) and of the latencies in records.
    pub const ALL: [Self; 3] = [Self::Base, Self::Head, Self::Control];

    /// Name in messages.
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

/// All orders, so that each half is a Latin square: in its three orders every role has every place once.
const ORDERS: [[Order; 3]; 2] = {
    use Role::{Base, Control, Head};
    [
        [[Base, Head, Control], [Head, Control, Base], [Control, Base, Head]],
        [[Base, Control, Head], [Control, Head, Base], [Head, Base, Control]],
    ]
};

/// The order in which one pair's processes are started, and in which they prepare and warm up each case.
pub fn start_order(seed: u64, pair: usize) -> Order {
    let (square, row) = first_of_pair(seed, pair, 0);
    ORDERS[square][row]
}

/// The order in which one pair runs `cases` cases, by their index.
pub fn case_order(seed: u64, pair: usize, cases: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cases).collect();
    order.shuffle(&mut stream(seed, pair, 1));
    order
}

/// The orders of the blocks of one case (by its index) in one pair, one after the other, without end.
///
/// A place counts: the arm in the last place of the first half runs twice in a row, and finds its caches warm (short
/// operations are 3 % faster there). So places are dealt, not drawn: in the first three blocks of a pair, and in every three
/// after them, each arm has each place once. The very first orders are dealt over six pairs, for cases whose blocks are so
/// long that a pair has one or two. What is left to chance is as likely with two arms exchanged.
pub fn block_orders(seed: u64, pair: usize, case: usize) -> impl Iterator<Item = Order> {
    // Streams 0 and 1 are those of the order of starts and of cases.
    let of = 2 + case as u64;
    let mut rng = stream(seed, pair, of);
    let mut first = Some(first_of_pair(seed, pair, of));
    let mut square = 0;
    let mut rows: Vec<usize> = Vec::new();
    std::iter::repeat_with(move || {
        if rows.is_empty() {
            rows = vec![0, 1, 2];
            rows.shuffle(&mut rng);
            // The two squares take turns. The row that was dealt to this pair comes first.
            square = 1 - square;
            if let Some((dealt_square, dealt_row)) = first.take() {
                square = dealt_square;
                // Rows are taken from the end.
                rows.retain(|row| *row != dealt_row);
                rows.push(dealt_row);
            }
        }
        ORDERS[square][rows.pop().expect("was just filled")]
    })
}

/// Which of base and head begins in one of the pairs that explain a case, the `case`th of those that are explained. In every
/// two of these pairs, each begins once.
pub fn first_of_two(seed: u64, pair: usize, case: usize) -> Role {
    let mut dealt = [Role::Base, Role::Head];
    // Counted down from the last stream, as those of the blocks are counted up.
    dealt.shuffle(&mut stream(seed, pair / 2, u64::MAX - case as u64));
    dealt[pair % 2]
}

/// The square and the row of a pair's first order: over six pairs each of the six orders comes first once.
fn first_of_pair(seed: u64, pair: usize, of: u64) -> (usize, usize) {
    let mut dealt = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];
    // Rounds are counted down from the largest number, so that no round has the random stream of a pair.
    let round = usize::MAX - pair / dealt.len();
    dealt.shuffle(&mut stream(seed, round, of));
    dealt[pair % dealt.len()]
}

/// A stream of random numbers of its own for each use, so that none depends on how long another one ran.
fn stream(seed: u64, pair: usize, of: u64) -> Xoshiro256PlusPlus {
    // A number is mixed with a random one before it becomes a seed: neighbouring seeds, pairs and uses would meet in
    // a sum.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    for number in [pair as u64, of] {
        rng = Xoshiro256PlusPlus::seed_from_u64(rng.next_u64() ^ number);
    }
    rng
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The order of cases and of some blocks.
    fn schedule(seed: u64) -> (Vec<usize>, Vec<Order>) {
        (case_order(seed, 3, 6), block_orders(seed, 3, 1).take(20).collect())
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_one_another() {
        assert_eq!(schedule(7), schedule(7));
        assert_ne!(schedule(7), schedule(8));
    }

    #[test]
    fn every_arm_has_every_place_once_in_three_blocks() {
        for pair in 0..60 {
            let orders: Vec<Order> = block_orders(42, pair, 1).take(12).collect();
            for three in orders.chunks(3) {
                for place in 0..3 {
                    let mut there: Vec<Role> = three.iter().map(|order| order[place]).collect();
                    there.sort_unstable();
                    assert_eq!(there, Role::ALL, "pair {pair}: {orders:?}");
                }
            }
            // The two squares take turns, so six blocks have all six orders.
            for six in orders.chunks(6) {
                let distinct: BTreeSet<&Order> = six.iter().collect();
                assert_eq!(distinct.len(), 6, "pair {pair}: {orders:?}");
            }
        }
    }

    #[test]
    fn every_order_comes_first_once_in_six_pairs() {
        for round in 0..10 {
            let pairs = 6 * round..6 * (round + 1);
            let starts: BTreeSet<Order> = pairs.clone().map(|pair| start_order(42, pair)).collect();
            let firsts: BTreeSet<Option<Order>> =
                pairs.map(|pair| block_orders(42, pair, 0).next()).collect();
            assert_eq!((starts.len(), firsts.len()), (6, 6));
        }
    }

    #[test]
    fn what_is_left_to_chance_is_drawn_evenly() {
        // The second and the third order of a pair, and that in which it starts, over seeds.
        let mut seen: BTreeMap<(usize, Order), u32> = BTreeMap::new();
        for seed in 0..600 {
            for (place, order) in block_orders(seed, 7, 0).take(3).enumerate() {
                *seen.entry((place, order)).or_default() += 1;
            }
            *seen.entry((3, start_order(seed, 7))).or_default() += 1;
        }
        // Four places of six orders. 600 over 6 orders: 100 each, standard deviation 9.1.
        assert_eq!(seen.len(), 24);
        assert!(seen.values().all(|n| (60..=140).contains(n)), "{seen:?}");
    }

    #[test]
    fn of_two_arms_each_begins_in_every_other_pair_that_explains() {
        let mut begun: BTreeMap<Role, u32> = BTreeMap::new();
        for seed in 0..600 {
            let both = [first_of_two(seed, 4, 0), first_of_two(seed, 5, 0)];
            assert_ne!(both[0], both[1], "seed {seed}");
            assert!(!both.contains(&Role::Control), "seed {seed}");
            *begun.entry(both[0]).or_default() += 1;
        }
        // Which one is a coin's affair: 300 each, standard deviation 12.2.
        assert!(begun.values().all(|n| (250..=350).contains(n)) && begun.len() == 2, "{begun:?}");
    }

    #[test]
    fn every_case_runs_once_a_pair() {
        for pair in 0..20 {
            let mut order = case_order(1, pair, 6);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        }
        // And not in one order: with this seed the first two pairs differ.
        assert_ne!(case_order(1, 0, 6), case_order(1, 1, 6));
    }
}
