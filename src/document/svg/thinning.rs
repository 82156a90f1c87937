//! Fewer points that look like all of them.

use super::points::PlotPoint;

/// At most so many points: of each part of the series the lowest and the highest, so that peaks stay, and one that is missing,
/// so that a gap stays a gap.
pub(super) fn envelope<'a>(points: &[PlotPoint<'a>], most: usize) -> Vec<PlotPoint<'a>> {
    if points.len() <= most {
        return points.to_vec();
    }
    let parts = part_count(most);
    let mut kept = Vec::with_capacity(most);
    for part in 0..parts {
        let from = part * points.len() / parts;
        let to = (part + 1) * points.len() / parts;
        kept.extend(telling(&points[from..to]));
    }
    kept
}

/// Points in each part that [`envelope`] makes of so many; 1 where it leaves them as they are.
pub(super) fn part_size(points: usize, most: usize) -> usize {
    if points <= most { 1 } else { points.div_ceil(part_count(most)) }
}

/// Each part keeps up to three points.
fn part_count(most: usize) -> usize {
    (most / 3).max(1)
}

/// The lowest, the highest and the first missing point, in their order.
fn telling<'a>(part: &[PlotPoint<'a>]) -> Vec<PlotPoint<'a>> {
    let mut lowest: Option<usize> = None;
    let mut highest: Option<usize> = None;
    let mut missing: Option<usize> = None;
    for (index, point) in part.iter().enumerate() {
        if point.y.is_none() {
            missing = missing.or(Some(index));
            continue;
        }
        // Both sides have a y: these are points that were measured.
        if lowest.is_none_or(|lowest| point.y < part[lowest].y) {
            lowest = Some(index);
        }
        if highest.is_none_or(|highest| point.y > part[highest].y) {
            highest = Some(index);
        }
    }
    let mut indices: Vec<usize> = [lowest, highest, missing].into_iter().flatten().collect();
    indices.sort_unstable();
    // In a part of equal figures the lowest is the highest.
    indices.dedup();
    indices.into_iter().map(|index| part[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::Drawn;
    use super::super::fixture::chart;
    use super::super::points::plottable;
    use super::*;

    /// What is left of points at 0, 1, 2 and so on: their places.
    fn places(values: &[f64], most: usize) -> Vec<f64> {
        let chart = chart(Drawn::Line, values);
        let plotted = plottable(&chart);
        envelope(&plotted[0].points, most).iter().map(|point| point.x).collect()
    }

    #[test]
    fn peaks_and_gaps_stay() {
        let nothing = f64::NAN;
        // Two parts of five: the lowest, the highest and the gap of each, as far as it has them.
        let values = [3.0, 9.0, 1.0, nothing, 2.0, 5.0, 5.0, 4.0, 5.0, 5.0];
        assert_eq!(places(&values, 6), [1.0, 2.0, 3.0, 5.0, 7.0]);
    }

    #[test]
    fn equal_figures_leave_one_of_each_part() {
        assert_eq!(places(&[2.0; 8], 6), [0.0, 4.0]);
        assert_eq!(places(&[f64::NAN; 8], 6), [0.0, 4.0]);
    }

    #[test]
    fn few_points_stay_as_they_are() {
        assert_eq!(places(&[1.0, 2.0, 3.0], 3), [0.0, 1.0, 2.0]);
        assert_eq!((part_size(3, 3), part_size(86_400, 600), part_size(7, 6)), (1, 432, 4));
    }

    #[test]
    fn a_day_of_seconds_becomes_at_most_so_many() {
        let mut values = vec![1.0; 86_400];
        values[40_000] = 7.0;
        let chart = chart(Drawn::Line, &values);
        let thinned = envelope(&plottable(&chart)[0].points, 600);
        assert!(thinned.len() <= 600, "{}", thinned.len());
        assert!(thinned.iter().any(|point| point.y == Some(7.0)), "the peak is gone");
    }
}
