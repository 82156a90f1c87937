//! Which requests a fault hits: a pure function of the seed, the fault's position, and the request's number.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

/// The seed of the fault at this position.
pub(super) fn seed_of(seed: u64, position: usize) -> u64 {
    // A random number and not a sum: else the second fault under one seed would be the first one under the next.
    let mut seeds = Xoshiro256PlusPlus::seed_from_u64(seed);
    for _ in 0..position {
        seeds.next_u64();
    }
    seeds.next_u64()
}

/// Whether a fault with this seed and share hits the request with this number, counted from 0. If so, a random number
/// from 0 up to 1 that says how hard.
pub(super) fn hit(seed: u64, number: u64, share: f64) -> Option<f64> {
    // SplitMix64, which makes the state of a seed, turns neighbouring numbers into states that have nothing in common
    // (Steele, Lea and Flood, OOPSLA 2014).
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ number);
    let place = random.random::<f64>();
    let how_hard = random.random();
    if place < share { Some(how_hard) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the requests among the first `requests` that are hit.
    fn hits(seed: u64, position: usize, share: f64, requests: u64) -> Vec<u64> {
        let seed = seed_of(seed, position);
        (0..requests).filter(|number| hit(seed, *number, share).is_some()).collect()
    }

    /// Whether `found` of `of` draws with this probability is what chance would give: within 4 standard deviations.
    fn is_likely(found: usize, of: f64, probability: f64) -> bool {
        let deviation = (of * probability * (1.0 - probability)).sqrt();
        (found as f64 - of * probability).abs() < 4.0 * deviation
    }

    #[test]
    fn the_requests_that_are_hit_are_those_computed_by_hand() {
        // By SplitMix64 and xoshiro256++ as their authors publish them, written down a second time in another language.
        assert_eq!([seed_of(42, 0), seed_of(42, 1)], [0xd076_4d4f_4476_689f, 0x519e_4174_576f_3791]);
        assert_eq!(hits(42, 0, 0.25, 20), [4, 5, 6, 7, 8, 16, 19]);
        assert_eq!(hits(42, 1, 0.25, 20), [0, 1, 4, 10, 16, 18, 19]);
        assert_eq!(hits(43, 0, 0.25, 20), [3, 9, 18]);
        let how_hard = hit(seed_of(42, 0), 4, 0.25).expect("is hit");
        assert!((how_hard - 0.939_633).abs() < 1e-6, "{how_hard}");
    }

    #[test]
    fn a_share_of_100000_requests_is_hit() {
        for (position, share) in [(0, 0.05), (1, 0.001), (2, 0.5), (3, 0.999)] {
            let hits = hits(7, position, share, 100_000);
            assert!(is_likely(hits.len(), 1e5, share), "{} of 100000 at {share}", hits.len());
        }
        assert_eq!(hits(7, 0, 1.0, 100_000).len(), 100_000);
    }

    #[test]
    fn faults_and_seeds_do_not_depend_on_each_other() {
        let first = hits(42, 0, 0.1, 100_000);
        // Two independent ones hit the same request in 1 % of all cases.
        for other in [hits(42, 1, 0.1, 100_000), hits(43, 0, 0.1, 100_000)] {
            let both = first.iter().filter(|number| other.binary_search(number).is_ok()).count();
            assert!(is_likely(both, 1e5, 0.01), "{both}");
        }
        // Neither does a request on the one before it.
        let pairs = first.windows(2).filter(|pair| pair[1] == pair[0] + 1).count();
        assert!(is_likely(pairs, 1e5, 0.01), "{pairs}");
    }

    #[test]
    fn more_share_hits_the_same_requests_and_more() {
        let few = hits(42, 0, 0.05, 1000);
        let more = hits(42, 0, 0.1, 1000);
        assert!(few.len() < more.len() && few.iter().all(|number| more.contains(number)));
    }

    #[test]
    fn how_hard_is_spread_evenly_over_those_that_are_hit() {
        let seed = seed_of(42, 0);
        let amounts: Vec<f64> = (0..100_000).filter_map(|number| hit(seed, number, 0.05)).collect();
        // Whether a request is hit must not say how hard: of evenly spread numbers a quarter lies below 1/4.
        let low = amounts.iter().filter(|amount| **amount < 0.25).count();
        assert!(is_likely(low, amounts.len() as f64, 0.25), "{low} of {}", amounts.len());
    }
}
