//! The search for the first place of a line from which on something is so, where not every place can be told.
//!
//! It is a bisection. The first place of the line is known to be without it, and the last one to be with it. A place that
//! cannot be told is left out, and never guessed: the answer is then a range, and not one place. Nothing in here knows what
//! the places are, or how one is told.

use std::collections::BTreeSet;

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is without.
    Without,
    /// It is with.
    With,
    /// It cannot be told.
    Unknown,
}

/// A search, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    between: Between,
    /// Places that cannot be told.
    unknown: BTreeSet<usize>,
}

/// Two places between which it begins: after the first of them, and at the second at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Between {
    /// The last place that is known to be without.
    pub without: usize,
    /// The first place that is known to be with.
    pub with: usize,
}

impl Search {
    /// A search in a line of places from 0, which is without, to `last`, which is with.
    pub(super) fn new(last: usize) -> Self {
        assert!(last > 0, "a line has two ends");
        Self { between: Between { without: 0, with: last }, unknown: BTreeSet::new() }
    }

    /// Takes note of what a place is. What is known already is not changed by it.
    pub(super) fn tell(&mut self, place: usize, answer: Answer) {
        if place <= self.between.without || place >= self.between.with {
            return;
        }
        match answer {
            Answer::Without => self.between.without = place,
            Answer::With => self.between.with = place,
            Answer::Unknown => {
                self.unknown.insert(place);
            }
        }
    }

    /// The place to be told next; nothing where no place is left that would tell more.
    pub(super) fn ask(&self) -> Option<usize> {
        let Between { without, with } = self.between;
        let skipped = self.unknown.range(without + 1..with).count();
        let target = without as f64 + share_of(skipped) * (with - without) as f64;
        let mut nearest: Option<usize> = None;
        for place in self.open() {
            let is_nearer = nearest.is_none_or(|found| distance(place, target) < distance(found, target));
            if is_nearer {
                nearest = Some(place);
            }
        }
        nearest
    }

    /// Where it begins, as far as is known.
    pub(super) fn between(&self) -> Between {
        self.between
    }

    /// About how many places are still to be told: as many as it takes if each of them can be.
    pub(super) fn asks_left(&self) -> usize {
        let Between { without, with } = self.between;
        // The logarithm of the number of places at which it may begin, rounded up: each answer halves them.
        let halvings = usize::BITS - (with - without - 1).leading_zeros();
        (halvings as usize).min(self.open().count())
    }

    /// The places that could still be told.
    fn open(&self) -> impl Iterator<Item = usize> {
        let Between { without, with } = self.between;
        (without + 1..with).filter(|place| !self.unknown.contains(place))
    }
}

/// The share of the range at which a place is looked for, if so many in it cannot be told: 1/2, then 1/4, 3/4, 1/8, 5/8,
/// 3/8 and so on (van der Corput's sequence).
// Commits that do not build come in runs. The neighbour of one is likely to be another, and each costs a build.
fn share_of(skipped: usize) -> f64 {
    let number = u32::try_from(skipped + 1).unwrap_or(u32::MAX);
    f64::from(number.reverse_bits()) / 2.0_f64.powi(32)
}

fn distance(place: usize, target: f64) -> f64 {
    (place as f64 - target).abs()
}

#[cfg(test)]
mod tests {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// What a search came to, and the places that it asked for in their order.
    struct Run {
        between: Between,
        asked: Vec<usize>,
    }

    /// Searches a line up to `last` where it begins at `first`, and some places cannot be told.
    fn run(last: usize, first: usize, unknown: &BTreeSet<usize>) -> Run {
        let mut search = Search::new(last);
        let mut asked = Vec::new();
        while let Some(place) = search.ask() {
            assert!(!asked.contains(&place), "{place} is asked for twice");
            asked.push(place);
            let answer = if unknown.contains(&place) {
                Answer::Unknown
            } else if place >= first {
                Answer::With
            } else {
                Answer::Without
            };
            search.tell(place, answer);
        }
        Run { between: search.between(), asked }
    }

    /// Asserts that the range holds the right place, and is as narrow as the places that cannot be told allow.
    fn is_right(last: usize, first: usize, unknown: &BTreeSet<usize>) {
        let Between { without, with } = run(last, first, unknown).between;
        let expected = Between {
            without: (1..first).rev().find(|place| !unknown.contains(place)).unwrap_or(0),
            with: (first..last).find(|place| !unknown.contains(place)).unwrap_or(last),
        };
        assert_eq!(Between { without, with }, expected, "first {first} of {last}, unknown {unknown:?}");
    }

    #[test]
    fn it_is_right_wherever_it_begins_and_whatever_is_not_told() {
        // Every place at which it can begin, with every set of places that cannot be told.
        for last in 1..=9 {
            for first in 1..=last {
                for set in 0..1_u32 << (last - 1) {
                    let unknown = (1..last).filter(|place| set >> (place - 1) & 1 == 1).collect();
                    is_right(last, first, &unknown);
                }
            }
        }
    }

    #[test]
    fn it_is_right_in_long_lines_too() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..500 {
            let last = rng.random_range(2..200);
            let first = rng.random_range(1..=last);
            let often = rng.random_range(0.0..1.0);
            let unknown = (1..last).filter(|_| rng.random::<f64>() < often).collect();
            is_right(last, first, &unknown);
        }
    }

    #[test]
    fn each_answer_halves_the_range() {
        for last in 1..=64 {
            for first in 1..=last {
                let asked = run(last, first, &BTreeSet::new()).asked.len();
                let most = (last as f64).log2().ceil() as usize;
                assert!(asked <= most && most == Search::new(last).asks_left(), "{first} of {last}: {asked}");
            }
        }
    }

    #[test]
    fn a_run_of_untold_places_is_left_and_not_walked_along() {
        // Nine commits around the middle do not build, and the slow one lies before them: 32 is skipped, a quarter is 16.
        let unknown = (28..=36).collect();
        let found = run(64, 10, &unknown);
        assert_eq!(found.asked, [32, 16, 8, 12, 10, 9]);
        assert_eq!(found.between, Between { without: 9, with: 10 });
    }

    #[test]
    fn what_is_known_already_is_not_changed() {
        let mut search = Search::new(8);
        search.tell(4, Answer::With);
        // Beyond the first that is with, and the ends themselves.
        search.tell(6, Answer::Without);
        search.tell(4, Answer::Unknown);
        search.tell(0, Answer::With);
        assert_eq!(search.between(), Between { without: 0, with: 4 });
        assert_eq!((search.ask(), search.asks_left()), (Some(2), 2));
    }

    #[test]
    fn shares_jump_back_and_forth() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(share_of), [0.5, 0.25, 0.75, 0.125, 0.625, 0.375]);
    }
}
