//! Which figures an axis shows.

use super::super::{Axis, Quantity, Scale};
use super::figure::tidy;

/// What an axis spans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Domain {
    pub(super) from: f64,
    pub(super) to: f64,
}

/// The figures of an axis of nines. More nines than here would be written as one with fewer.
pub(super) const NINES: [f64; 8] = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999];
/// The digits that the figures of an axis begin with.
pub(super) const ONE_TWO_FIVE: [u64; 3] = [1, 2, 5];
/// Steps of a clock, in seconds.
const CLOCK: [f64; 19] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    21_600.0, 43_200.0,
];
/// A day, in seconds.
const DAY: f64 = 86_400.0;
/// Bytes, KB, MB, GB.
const BYTE_UNITS: [u64; 4] = [1, 1 << 10, 1 << 20, 1 << 30];
/// More ticks than any axis has room for. Where figures lie closer than their digits tell apart, the next tick may be the
/// same number, and counting up to the end would never get there.
const ENOUGH: usize = 50;

/// The ticks of an axis: about `most` on a linear one, up to twice as many where they are factors apart.
pub(super) fn ticks(axis: &Axis, domain: Domain, most: usize) -> Vec<f64> {
    match axis.scale {
        Scale::Linear => linear_ticks(axis.quantity, domain, most),
        Scale::Logarithmic => logarithmic_ticks(axis.quantity, domain, 2 * most),
        Scale::Nines => within(&NINES, domain),
    }
}

fn linear_ticks(quantity: Quantity, domain: Domain, most: usize) -> Vec<f64> {
    let span = domain.to - domain.from;
    if span <= 0.0 {
        return vec![domain.from];
    }
    let step = linear_step(quantity, span / most as f64);
    let last = tidy(domain.to / step).floor();
    let mut number = tidy(domain.from / step).ceil();
    let mut ticks = Vec::new();
    while number <= last && ticks.len() < ENOUGH {
        ticks.push(tidy(number * step));
        number += 1.0;
    }
    ticks
}

/// The smallest step that reads well and is at least this large.
pub(super) fn linear_step(quantity: Quantity, least: f64) -> f64 {
    match quantity {
        Quantity::Elapsed => {
            let step = CLOCK.into_iter().find(|step| *step >= least);
            step.unwrap_or_else(|| DAY * one_two_five((least / DAY).max(1.0)))
        }
        Quantity::Bytes => byte_step(least),
        // There is no half of a user.
        Quantity::Count | Quantity::Place => one_two_five(least).max(1.0),
        Quantity::Duration | Quantity::Share | Quantity::Rate | Quantity::Ratio => one_two_five(least),
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least this large.
fn one_two_five(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    // A step that is a hair too small for its span is the right one all the same.
    let digit = match least / power {
        digits if digits <= 1.000_001 => 1.0,
        digits if digits <= 2.000_001 => 2.0,
        digits if digits <= 5.000_001 => 5.0,
        _ => 10.0,
    };
    tidy(digit * power)
}

/// Steps of bytes are whole in the unit that they are printed in.
fn byte_step(least: f64) -> f64 {
    let mut unit = 1.0;
    for larger in BYTE_UNITS {
        if larger as f64 <= least {
            unit = larger as f64;
        }
    }
    let units = one_two_five(least / unit).max(1.0);
    // Two steps of 1000 KB would be 1.95 MB.
    if units == 1000.0 { 1024.0 * unit } else { units * unit }
}

/// 1-2-5 within each power of ten, or only the powers where those would be too many.
fn logarithmic_ticks(quantity: Quantity, domain: Domain, most: usize) -> Vec<f64> {
    let mut ticks = within(&factor_steps(quantity, &ONE_TWO_FIVE), domain);
    if ticks.len() > most {
        ticks = within(&factor_steps(quantity, &[1]), domain);
    }
    if ticks.len() > most {
        let each = ticks.len().div_ceil(most);
        ticks = ticks.into_iter().step_by(each).collect();
    }
    // Two ends between the same two steps.
    if ticks.is_empty() { vec![domain.from, domain.to] } else { ticks }
}

/// Every figure with these first digits that a logarithmic axis may show, in order.
pub(super) fn factor_steps(quantity: Quantity, digits: &[u64]) -> Vec<f64> {
    let mut steps = Vec::new();
    if quantity == Quantity::Bytes {
        for unit in BYTE_UNITS {
            for ten in [1, 10, 100] {
                for digit in digits {
                    steps.push((unit * ten * digit) as f64);
                }
            }
        }
        return steps;
    }
    // As far as figures are drawn. Powers that are computed are not those that are written: 1e-5 would come out as
    // 0.000010000000000000001.
    for exponent in -18..=18 {
        for digit in digits {
            let written = format!("{digit}e{exponent}");
            steps.push(written.parse().expect("digits with an exponent are a number"));
        }
    }
    steps
}

/// Those that lie in the domain, its ends included.
fn within(steps: &[f64], domain: Domain) -> Vec<f64> {
    steps.iter().copied().filter(|step| (domain.from..=domain.to).contains(step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(quantity: Quantity, from: f64, to: f64) -> Vec<f64> {
        ticks(&Axis::linear("", quantity), Domain { from, to }, 5)
    }

    fn logarithmic(quantity: Quantity, from: f64, to: f64) -> Vec<f64> {
        ticks(&Axis::logarithmic("", quantity), Domain { from, to }, 5)
    }

    #[test]
    fn steps_are_one_two_or_five() {
        // 7 over 5 is 1.4, and 0.33 over 5 is 0.066.
        assert_eq!(linear(Quantity::Rate, 0.0, 7.0), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(linear(Quantity::Duration, 0.0, 0.33), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(linear(Quantity::Ratio, 0.98, 1.03), [0.98, 0.99, 1.0, 1.01, 1.02, 1.03]);
    }

    #[test]
    fn steps_of_time_are_those_of_a_clock() {
        assert_eq!(linear(Quantity::Elapsed, 0.0, 60.0), [0.0, 15.0, 30.0, 45.0, 60.0]);
        // An hour over 5 is 12 minutes; a day over 5 is 4.8 hours; five days over 5 is a day.
        assert_eq!(linear(Quantity::Elapsed, 0.0, 3_600.0), [0.0, 900.0, 1_800.0, 2_700.0, 3_600.0]);
        assert_eq!(linear(Quantity::Elapsed, 0.0, DAY), [0.0, 21_600.0, 43_200.0, 64_800.0, 86_400.0]);
        assert_eq!(linear_step(Quantity::Elapsed, DAY), DAY);
    }

    #[test]
    fn steps_of_bytes_are_whole_in_their_unit() {
        // 700 KB over 5 is 140 KB, 4 MB over 5 is 819 KB.
        assert_eq!(linear_step(Quantity::Bytes, 140.0 * 1024.0), 200.0 * 1024.0);
        assert_eq!(linear_step(Quantity::Bytes, 819.2 * 1024.0), 1024.0 * 1024.0);
        assert_eq!(linear_step(Quantity::Bytes, 0.1), 1.0);
    }

    #[test]
    fn what_is_counted_has_no_halves() {
        assert_eq!(linear(Quantity::Count, 0.0, 2.0), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn factors_are_one_two_five_or_powers_of_ten() {
        assert_eq!(logarithmic(Quantity::Duration, 0.001, 0.02), [0.001, 0.002, 0.005, 0.01, 0.02]);
        // Eleven of 1-2-5 would be one more than there is room for.
        assert_eq!(logarithmic(Quantity::Duration, 0.001, 2.0), [0.001, 0.01, 0.1, 1.0]);
        // 37 powers of ten, every fourth.
        assert_eq!(logarithmic(Quantity::Count, 1e-18, 1e18).len(), 10);
        assert_eq!(logarithmic(Quantity::Count, 3.0, 4.0), [3.0, 4.0]);
    }

    #[test]
    fn factors_of_bytes_are_whole_in_their_unit() {
        assert_eq!(logarithmic(Quantity::Bytes, 200.0, 2048.0), [200.0, 500.0, 1024.0, 2048.0]);
    }

    #[test]
    fn nines_are_those_that_are_spanned() {
        let axis = Axis { label: String::new(), quantity: Quantity::Share, scale: Scale::Nines };
        let found = ticks(&axis, Domain { from: 0.5, to: 0.9995 }, 5);
        assert_eq!(found, [0.5, 0.9, 0.99, 0.999]);
    }

    #[test]
    fn figures_too_close_to_tell_apart_still_end() {
        assert!(linear(Quantity::Rate, 1e17, 1e17 + 64.0).len() <= ENOUGH);
        assert_eq!(linear(Quantity::Rate, 4.0, 4.0), [4.0]);
    }
}
