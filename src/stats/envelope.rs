//! The lower envelope of a series that rises and falls: what is left of it when all that comes and goes has gone.

use super::slope::Point;

/// The lowest point of each of so many windows of equal numbers of points, in order. A window without a point has none.
///
/// Of several that are as low, the first one is taken: where a series only rises, that is the window's first point.
pub fn lowest_of_windows(points: &[Point], windows: usize) -> Vec<Point> {
    let mut lowest = Vec::with_capacity(windows);
    for window in 0..windows {
        let from = window * points.len() / windows;
        let to = (window + 1) * points.len() / windows;
        let found = points[from..to].iter().min_by(|a, b| a.y.total_cmp(&b.y));
        lowest.extend(found.copied());
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lowest of windows of points at x of 0, 1, 2 and so on.
    fn lowest(values: &[f64], windows: usize) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for (x, y) in values.iter().enumerate() {
            points.push(Point { x: x as f64, y: *y });
        }
        lowest_of_windows(&points, windows).iter().map(|point| (point.x, point.y)).collect()
    }

    #[test]
    fn the_first_of_the_lowest_of_each_window_is_taken() {
        // Windows of two, three, two and three: ten points over four.
        let values = [5.0, 4.0, 7.0, 6.0, 6.0, 1.0, 1.0, 9.0, 8.0, 7.0];
        assert_eq!(lowest(&values, 4), [(1.0, 4.0), (3.0, 6.0), (5.0, 1.0), (9.0, 7.0)]);
    }

    #[test]
    fn a_window_without_points_has_no_lowest() {
        assert_eq!(lowest(&[3.0, 2.0], 4), [(0.0, 3.0), (1.0, 2.0)]);
        assert_eq!(lowest(&[], 4), []);
    }
}
