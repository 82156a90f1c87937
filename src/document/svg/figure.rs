//! Figures of an axis as people write them: ticks, numbers on hover, the table below a chart.

use super::super::Quantity;
use crate::units::{Bytes, Share, change, latency, percent, significant};

/// From this share on, two decimals of a percentage would round 99.99 % up.
const NEARLY_ALL: f64 = 0.999;

/// The figure with its unit.
pub(super) fn figure(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::Ratio => ratio(value),
        // The writers of units take what is not negative.
        _ if value < 0.0 => format!("-{}", figure(quantity, -value)),
        Quantity::Duration => latency(Some(tidy(value * 1e3))),
        Quantity::Elapsed => elapsed(value),
        Quantity::Share => share(value),
        Quantity::Rate => format!("{}/s", significant(value)),
        Quantity::Bytes => Bytes(value.round() as u64).to_string(),
        Quantity::Count | Quantity::Place => significant(value),
    }
}

/// The number without the noise of binary fractions, to twelve digits: three tenths as 0.3, and not as 0.30000000000000004.
pub(super) fn tidy(value: f64) -> f64 {
    format!("{value:.11e}").parse().expect("a number that was written can be read")
}

/// A factor as a change. One that rounds to nothing has no minus.
fn ratio(factor: f64) -> String {
    let share = factor - 1.0;
    if share.abs() < 0.0005 { change(0.0) } else { change(share) }
}

/// Minutes and seconds, or hours as well, and tenths only where there are some.
fn elapsed(seconds: f64) -> String {
    // Rounded once, and before it is divided: 59.96 s is 1:00, and not 0:60.
    let tenths = (seconds * 10.0).round() as u64;
    let hours = tenths / 36_000;
    let minutes = tenths / 600 % 60;
    let second = tenths / 10 % 60;
    let clock = match hours {
        0 => format!("{minutes}:{second:02}"),
        _ => format!("{hours}:{minutes:02}:{second:02}"),
    };
    match tenths % 10 {
        0 => clock,
        tenth => format!("{clock}.{tenth}"),
    }
}

/// A share in percent. What is not all must not read as 100 %.
fn share(value: f64) -> String {
    if value < NEARLY_ALL {
        return Share(value).to_string();
    }
    // Cut off after four decimals; the small addend keeps 99.99 % from becoming 99.9899 %.
    percent(100.0 * value + 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        let figures = [0.00115, 0.3, 0.1 + 0.2, 0.0, 2.0].map(|s| figure(Quantity::Duration, s));
        assert_eq!(figures, ["1.15 ms", "300 ms", "300 ms", "0 ms", "2 s"]);
    }

    #[test]
    fn elapsed_time_is_a_clock() {
        let figures = [0.0, 42.0, 60.5, 3_725.0, 86_400.0].map(|s| figure(Quantity::Elapsed, s));
        assert_eq!(figures, ["0:00", "0:42", "1:00.5", "1:02:05", "24:00:00"]);
    }

    #[test]
    fn nearly_all_is_not_all() {
        let figures = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.999_999, 0.999_999_99, 1.0];
        let expected = ["50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.9999 %", "99.9999 %", "100 %"];
        assert_eq!(figures.map(|value| figure(Quantity::Share, value)), expected);
    }

    #[test]
    fn a_factor_is_a_change() {
        let figures = [1.029, 0.99, 1.0, 0.999_99].map(|factor| figure(Quantity::Ratio, factor));
        assert_eq!(figures, ["+2.9 %", "-1.0 %", "+0.0 %", "+0.0 %"]);
    }

    #[test]
    fn other_figures_have_their_units() {
        assert_eq!(figure(Quantity::Rate, 1234.0), "1,234/s");
        assert_eq!(figure(Quantity::Bytes, 1536.0), "1.50 KB");
        assert_eq!(figure(Quantity::Count, 12.0), "12");
        assert_eq!(figure(Quantity::Bytes, -1024.0), "-1 KB");
    }
}
