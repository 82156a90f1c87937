//! The histograms that latencies are recorded in: their bounds, and their compact form in files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// Significant digits of a histogram: with three, a quantile is off by at most one part in a thousand.
const DIGITS: u8 = 3;
/// Longest latency that a histogram tells apart from longer ones: one hour.
const MAX_NS: u64 = 3_600 * 1_000_000_000;

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

/// The histogram of this compact form; an error where it is none, or none with the bounds of this program's.
pub fn unpack(mut packed: &[u8]) -> Result<Histogram<u64>, String> {
    let histogram: Histogram<u64> =
        Deserializer::new().deserialize(&mut packed).map_err(|e| format!("is not a histogram: {e}"))?;
    let ours = empty_histogram();
    // Histograms with other bounds cannot be added.
    if (histogram.low(), histogram.high(), histogram.sigfig()) != (ours.low(), ours.high(), ours.sigfig()) {
        return Err("is a histogram with other bounds than are recorded here".to_owned());
    }
    Ok(histogram)
}

/// The compact form as text.
pub fn to_text(packed: &[u8]) -> String {
    STANDARD.encode(packed)
}

/// The compact form of this text.
pub fn from_text(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| format!("is not base64: {e}"))
}
