//! The histograms that latencies are recorded in: their bounds, and their compact form in files.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// Significant digits of a histogram: with three, a quantile is off by at most one part in a thousand.
const DIGITS: u8 = 3;
/// Longest latency that a histogram tells apart from longer ones: one hour.
const MAX_NS: u64 = 3_600 * 1_000_000_000;

/// Most latencies of a histogram that is read: those of eleven days at a million a second. Sums of such counts do not
/// overflow.
pub const MOST: u64 = 1_000_000_000_000;
/// Bytes of the head of a packed histogram.
pub(super) const HEAD: usize = 40;
/// Where the head has digits, lowest and highest value.
const BOUNDS: Range<usize> = 12..32;
/// Bytes of the longest packed histogram that is read. One of ours has 34 thousand buckets of nine bytes at most.
const LONGEST: usize = 512 << 10;

/// Has the bounds that all histograms have. Kept, as an empty one takes 270 KB.
static OURS: LazyLock<Histogram<u64>> = LazyLock::new(empty_histogram);

/// A histogram of latencies in ns, with the bounds of all that is recorded here.
pub fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NS, DIGITS).expect("the bounds are valid")
}

/// The histogram in the compact form of the HdrHistogram libraries (V2).
pub fn pack(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut packed = Vec::new();
    V2Serializer::new().serialize(histogram, &mut packed).expect("a buffer in memory takes everything");
    packed
}

/// The histogram of this compact form, as a file has it; an error where it is none, or none with the bounds of this
/// program's.
pub fn unpack(packed: &[u8]) -> Result<Histogram<u64>, String> {
    let histogram = unpack_sum(packed)?;
    if histogram.len() > MOST {
        return Err(format!("is a histogram of more than {MOST} latencies"));
    }
    Ok(histogram)
}

/// The same of a sum that was made here, which may be of more latencies than what is read.
pub fn unpack_sum(mut packed: &[u8]) -> Result<Histogram<u64>, String> {
    // Before the library reads it: what the head announces is what the library makes room for.
    let announced =
        packed.get(4..8).map(|length| u32::from_be_bytes(length.try_into().expect("has four bytes")));
    let follows = packed.len().checked_sub(HEAD);
    if packed.len() > LONGEST || announced.map(|length| length as usize) != follows {
        return Err("is not a histogram: its length is not the one that it announces".to_owned());
    }
    // Histograms with other bounds cannot be added. Looked at before, too: the library makes room for whatever lies between
    // the bounds of the head.
    let mut bounds = u32::from(OURS.sigfig()).to_be_bytes().to_vec();
    bounds.extend(OURS.low().to_be_bytes());
    bounds.extend(OURS.high().to_be_bytes());
    if packed.get(BOUNDS) != Some(&bounds[..]) {
        return Err("is a histogram with other bounds than are recorded here".to_owned());
    }
    Deserializer::new().deserialize(&mut packed).map_err(|e| format!("is not a histogram: {e}"))
}

/// The compact form as text.
pub fn to_text(packed: &[u8]) -> String {
    STANDARD.encode(packed)
}

/// The compact form of this text.
pub fn from_text(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| format!("is not base64: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_announces_other_bounds_is_refused_unread() {
        let ours = pack(&empty_histogram());
        assert_eq!(unpack(&ours), Ok(empty_histogram()));
        for changed in BOUNDS {
            let mut other = ours.clone();
            other[changed] ^= 0x40;
            let error = unpack(&other).expect_err("has other bounds");
            assert!(error.contains("with other bounds"), "{changed}: {error}");
        }
    }
}
