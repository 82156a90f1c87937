//! A trend in a line of text.

/// From the lowest value to the highest.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Values that are shown at most, the last ones: what fits into a table on a terminal.
pub(super) const MOST: usize = 30;
/// A range below this share of the highest value is a rounding error.
const NEGLIGIBLE: f64 = 1e-9;

/// The last of these values, each as a block whose height lies between the lowest and the highest of them; a space where one
/// is missing.
pub(super) fn sparkline(values: &[Option<f64>]) -> String {
    let shown = &values[values.len().saturating_sub(MOST)..];
    let mut least = f64::INFINITY;
    let mut most = f64::NEG_INFINITY;
    for value in shown.iter().flatten() {
        least = least.min(*value);
        most = most.max(*value);
    }
    let range = most - least;
    let mut line = String::new();
    for value in shown {
        line.push(match value {
            None => ' ',
            // All alike: neither high nor low.
            Some(_) if range <= NEGLIGIBLE * most.abs() => BLOCKS[3],
            Some(value) => {
                let height = (value - least) / range * (BLOCKS.len() - 1) as f64;
                BLOCKS[height.round() as usize]
            }
        });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_and_the_highest_value_decide_the_heights() {
        // 2 is half of the way from 1 to 3: 3.5 of 7 steps, rounded up.
        assert_eq!(sparkline(&[Some(1.0), Some(2.0), None, Some(3.0)]), "▁▅ █");
        assert_eq!(sparkline(&[Some(5.0); 3]), "▄▄▄");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn only_the_last_values_are_shown() {
        let mut values = vec![Some(100.0)];
        values.extend([Some(1.0); 29]);
        values.push(Some(2.0));
        assert_eq!(sparkline(&values), format!("{}█", "▁".repeat(29)));
    }
}
