//! Sums of histograms in their compact form. Unpacked, each takes 270 KB, and a merge of a thousand shards adds hundreds of
//! thousands of them: here their buckets are read one after the other, and written again.
//!
//! The form is version 2 of the HdrHistogram libraries: a head, then a number for each bucket from the first on. A negative
//! number stands for so many empty buckets. Numbers are zigzag-encoded, in groups of 7 bits with the lowest first; only the
//! ninth byte of a number has all of its 8 bits.

use super::histogram::HEAD;

/// Bits in a group.
const GROUP: u32 = 7;
/// The bit that says that another byte follows.
const MORE: u8 = 0x80;
/// Groups before the byte that has 8 bits.
const GROUPS: u32 = 8;

/// A bucket that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    index: usize,
    count: u64,
}

/// The buckets of a packed histogram that are not empty, in order.
struct Buckets<'a> {
    rest: &'a [u8],
    next: usize,
}

impl<'a> Buckets<'a> {
    fn of(packed: &'a [u8]) -> Self {
        Self { rest: packed.get(HEAD..).unwrap_or_default(), next: 0 }
    }

    /// The next number, before zigzag decoding.
    fn number(&mut self) -> u64 {
        let mut number = 0;
        for group in 0..=GROUPS {
            let Some((&byte, rest)) = self.rest.split_first() else { break };
            self.rest = rest;
            if group == GROUPS {
                return number | (u64::from(byte) << (GROUP * group));
            }
            number |= u64::from(byte & !MORE) << (GROUP * group);
            if byte & MORE == 0 {
                break;
            }
        }
        number
    }
}

impl Iterator for Buckets<'_> {
    type Item = Bucket;

    fn next(&mut self) -> Option<Bucket> {
        while !self.rest.is_empty() {
            let number = self.number();
            let half = number >> 1;
            if number & 1 == 1 {
                // An odd one stands for -(half + 1).
                self.next = self.next.saturating_add(half as usize).saturating_add(1);
                continue;
            }
            let index = self.next;
            self.next = self.next.saturating_add(1);
            if half > 0 {
                return Some(Bucket { index, count: half });
            }
        }
        None
    }
}

/// A packed histogram that is being written.
struct Packing {
    bytes: Vec<u8>,
    next: usize,
}

impl Packing {
    /// One with the same bounds as this one.
    fn like(packed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(2 * packed.len());
        bytes.extend_from_slice(&packed[..HEAD]);
        Self { bytes, next: 0 }
    }

    /// Adds a bucket behind the last one.
    fn push(&mut self, bucket: Bucket) {
        match (bucket.index - self.next) as u64 {
            0 => {}
            // As the library does: a single empty bucket is a count of 0.
            1 => self.number(0),
            // -n is 2 n - 1.
            empty => self.number(2 * empty - 1),
        }
        // A count has 63 bits, as one is taken by the sign.
        self.number(bucket.count.min(i64::MAX as u64) << 1);
        self.next = bucket.index + 1;
    }

    fn number(&mut self, mut rest: u64) {
        for _ in 0..GROUPS {
            let group = rest as u8 & !MORE;
            rest >>= GROUP;
            if rest == 0 {
                self.bytes.push(group);
                return;
            }
            self.bytes.push(group | MORE);
        }
        self.bytes.push(rest as u8);
    }

    fn finish(mut self) -> Vec<u8> {
        // The head says how much follows it, in its second four bytes.
        let length = (self.bytes.len() - HEAD) as u32;
        self.bytes[4..8].copy_from_slice(&length.to_be_bytes());
        self.bytes
    }
}

/// The sum of two packed histograms with the same bounds, each of which was packed here or looked at when it was read.
pub fn add_packed(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut sum = Packing::like(one);
    let mut ones = Buckets::of(one);
    let mut others = Buckets::of(other);
    let mut first = ones.next();
    let mut second = others.next();
    loop {
        let index = match (first, second) {
            (Some(first), Some(second)) => first.index.min(second.index),
            (Some(only), None) | (None, Some(only)) => only.index,
            (None, None) => return sum.finish(),
        };
        let mut count: u64 = 0;
        if let Some(bucket) = first.filter(|bucket| bucket.index == index) {
            count = bucket.count;
            first = ones.next();
        }
        if let Some(bucket) = second.filter(|bucket| bucket.index == index) {
            count = count.saturating_add(bucket.count);
            second = others.next();
        }
        sum.push(Bucket { index, count });
    }
}

/// Number of latencies in a packed histogram; none where it is empty.
pub fn count_packed(packed: &[u8]) -> u64 {
    Buckets::of(packed).fold(0, |sum, bucket| sum.saturating_add(bucket.count))
}

#[cfg(test)]
mod tests {
    use super::super::histogram::{empty_histogram, pack, unpack_sum};
    use super::*;

    /// Values in ns, each so often.
    type Values<'a> = &'a [(u64, u64)];

    fn packed(values: Values<'_>) -> Vec<u8> {
        let mut histogram = empty_histogram();
        for &(ns, times) in values {
            histogram.record_n(ns, times).expect("is within the bounds");
        }
        pack(&histogram)
    }

    #[test]
    fn a_sum_is_byte_for_byte_what_the_library_makes_of_it() {
        // Neighbours, one empty bucket between two, many of them, the first and the last bucket, and counts of one to nine bytes.
        let cases: [Values<'_>; 7] = [
            &[(1, 1)],
            &[(1, 63), (2, 64), (3, 65)],
            &[(2, 8_191), (4, 8_192), (9, 1 << 20)],
            &[(1_000_000, 5), (1_001_000, 7), (77_000_000, 1 << 34)],
            &[(3_600_000_000_000, 1)],
            &[(5, 1 << 41), (6, 1 << 48), (7, 1 << 55), (8, 1 << 60)],
            &[(1, 2), (1_000_000, 9), (3_600_000_000_000, 3)],
        ];
        for one in cases {
            for other in cases {
                let mut expected = unpack_sum(&packed(one)).expect("is a histogram");
                expected
                    .add(unpack_sum(&packed(other)).expect("is a histogram"))
                    .expect("has the same bounds");
                let sum = add_packed(&packed(one), &packed(other));
                assert_eq!(sum, pack(&expected), "{one:?} {other:?}");
                assert_eq!(count_packed(&sum), expected.len(), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn squares_modulo_a_prime_are_counted_once_each() {
        // Neither in order nor evenly spread, and every second one in the other histogram.
        let values: Vec<(u64, u64)> = (1..4_000).map(|n| (1 + n * n % 1_000_003, 1)).collect();
        let mut halves = [Vec::new(), Vec::new()];
        for (position, value) in values.iter().enumerate() {
            halves[position % 2].push(*value);
        }
        let sum = add_packed(&packed(&halves[0]), &packed(&halves[1]));
        assert_eq!((count_packed(&sum), sum), (3_999, packed(&values)));
    }

    #[test]
    fn nothing_is_counted_of_nothing_and_of_what_is_cut_off() {
        assert_eq!((count_packed(&[]), count_packed(&packed(&[]))), (0, 0));
        let whole = packed(&[(1, 1), (1_000_000, 300)]);
        // The last number has two bytes: 600 in zigzag, of which 88 are in the first.
        assert_eq!(count_packed(&whole[..whole.len() - 1]), 1 + 44);
    }
}
