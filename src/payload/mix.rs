//! Sizes of files by weight: which one a request has is a pure function of its index.

use std::fmt;
use std::str::FromStr;

use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;

use crate::load::{Stream, random};
use crate::units::Bytes;

/// Sizes of files by weight.
#[derive(Debug, Clone)]
pub struct Mix {
    parts: Vec<(Bytes, u32)>,
    draw: WeightedIndex<u64>,
}

/// Error for a text that is not a mix of sizes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a valid mix of sizes; write sizes with whole weights above 0, like 10KB=70,1MB=25,10MB=5"
)]
pub struct NotAMix(String);

impl Mix {
    /// A mix of one size only.
    pub fn only(size: Bytes) -> Self {
        Self::new(vec![(size, 1)]).expect("one weight of 1 is fine")
    }

    fn new(parts: Vec<(Bytes, u32)>) -> Option<Self> {
        // The library takes a weight of 0 beside others; such a size would be listed and never sent.
        if parts.iter().any(|&(_, weight)| weight == 0) {
            return None;
        }
        // In u64, as weights of u32 may add up to more.
        let draw = WeightedIndex::new(parts.iter().map(|&(_, weight)| u64::from(weight))).ok()?;
        Some(Self { parts, draw })
    }

    /// The size, if there is only one.
    pub fn single(&self) -> Option<Bytes> {
        match self.parts.as_slice() {
            [(size, _)] => Some(*size),
            _ => None,
        }
    }

    /// All sizes, in the order in which they were written.
    pub fn sizes(&self) -> impl Iterator<Item = Bytes> {
        self.parts.iter().map(|&(size, _)| size)
    }

    /// Mean size in bytes.
    pub fn mean(&self) -> f64 {
        let weights: f64 = self.parts.iter().map(|&(_, weight)| f64::from(weight)).sum();
        self.parts.iter().map(|&(size, weight)| size.0 as f64 * f64::from(weight)).sum::<f64>() / weights
    }

    /// Position in the list of sizes of the one that the request `index` has.
    pub fn pick(&self, seed: u64, index: u64) -> usize {
        if self.parts.len() == 1 { 0 } else { self.draw.sample(&mut random(seed, Stream::Mix, index)) }
    }
}

impl PartialEq for Mix {
    fn eq(&self, other: &Self) -> bool {
        // `draw` follows from the parts.
        self.parts == other.parts
    }
}

impl Eq for Mix {}

impl FromStr for Mix {
    type Err = NotAMix;

    fn from_str(text: &str) -> Result<Self, NotAMix> {
        let parts: Option<Vec<_>> = text.split(',').map(part).collect();
        parts.and_then(Self::new).ok_or_else(|| NotAMix(text.to_owned()))
    }
}

/// Reads one size with its weight, like `10KB=70`.
fn part(text: &str) -> Option<(Bytes, u32)> {
    let (size, weight) = text.split_once('=')?;
    Some((size.parse().ok()?, weight.trim().parse().ok()?))
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(size, _)] = self.parts.as_slice() {
            return write!(f, "{size}");
        }
        let parts: Vec<String> = self.parts.iter().map(|(size, weight)| format!("{size}={weight}")).collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(mix: &Mix, seed: u64) -> Vec<usize> {
        (0..64).map(|index| mix.pick(seed, index)).collect()
    }

    #[test]
    fn sizes_come_in_the_proportion_of_their_weights() {
        let mix: Mix = "10KB=70,1MB=25,10MB=5".parse().expect("is a mix");
        let mut counts = [0_u32; 3];
        for index in 0..10_000 {
            counts[mix.pick(1, index)] += 1;
        }
        // Standard deviations of 46, 43 and 22; 180 is almost four of the largest.
        for (count, expected) in counts.into_iter().zip([7000, 2500, 500]) {
            assert!(count.abs_diff(expected) < 180, "{counts:?}");
        }
        assert_eq!(mix.mean(), 0.7 * 10_240.0 + 0.25 * 1_048_576.0 + 0.05 * 10_485_760.0);
    }

    #[test]
    fn the_same_index_has_the_same_size() {
        let mix: Mix = "1B=1,2B=1".parse().expect("is a mix");
        assert_eq!(picks(&mix, 7), picks(&mix, 7));
        assert_ne!(picks(&mix, 7), picks(&mix, 8));
    }

    #[test]
    fn what_is_no_mix_is_refused() {
        for text in ["", "10KB", "10KB=0", "10KB=-1", "10KB=1,,1MB=2", "x=1", "1KB=1,2KB=0"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
        assert_eq!("10KB=1,1MB=2".parse::<Mix>().expect("is one").to_string(), "10 KB=1, 1 MB=2");
    }
}
