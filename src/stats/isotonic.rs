//! Isotonic regression: of ratios that can only rise from place to place, those nearest to what was measured.
//!
//! Neighbours that fall are pooled until none do (pool adjacent violators: Ayer, Brunk, Ewing, Reid and Silverman, Annals of
//! Mathematical Statistics 26, 1955). What was pooled stands in the middle of the places that it came from, and not as a
//! step over all of them: that is less biased where the ratio really rises (centered isotonic regression: Oron and
//! Flournoy, Statistics in Biopharmaceutical Research 9, 2017).

/// A ratio that was measured at a place: so much above the line, over so much below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioAt {
    /// Where it was measured.
    pub x: f64,
    /// What stands above the line.
    pub above: f64,
    /// What stands below it: more than 0. It is also the weight of the ratio.
    pub below: f64,
}

impl RatioAt {
    /// The ratio itself.
    pub fn ratio(&self) -> f64 {
        self.above / self.below
    }

    /// Both as one, between them by their weights.
    fn pooled_with(self, other: Self) -> Self {
        let below = self.below + other.below;
        let x = (self.x * self.below + other.x * other.below) / below;
        Self { x, above: self.above + other.above, below }
    }
}

/// The ratios in ascending order of their places, pooled so that none is below the one before it.
pub fn pool_violators(points: &[RatioAt]) -> Vec<RatioAt> {
    let mut pooled: Vec<RatioAt> = Vec::with_capacity(points.len());
    for point in points {
        let mut last = *point;
        // What was pooled may be below the one before it in turn.
        while let Some(before) = pooled.last().copied()
            && before.ratio() > last.ratio()
        {
            pooled.pop();
            last = before.pooled_with(last);
        }
        pooled.push(last);
    }
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many of ten at each of the places 0, 1, 2 and so on.
    fn of_ten(counts: &[u32]) -> Vec<RatioAt> {
        let mut points = Vec::new();
        for (x, count) in (0_u32..).zip(counts) {
            points.push(RatioAt { x: f64::from(x), above: f64::from(*count), below: 10.0 });
        }
        points
    }

    #[test]
    fn what_rises_stays_as_it_is() {
        let rising = of_ten(&[0, 0, 2, 2, 9]);
        assert_eq!(pool_violators(&rising), rising);
        assert_eq!(pool_violators(&[]), []);
    }

    #[test]
    fn two_that_fall_are_one_in_the_middle() {
        // 4 and 2 of ten each are 6 of 20, midway between places 1 and 2.
        let pooled = pool_violators(&of_ten(&[1, 4, 2, 9]));
        let middle = RatioAt { x: 1.5, above: 6.0, below: 20.0 };
        assert_eq!(pooled, [of_ten(&[1])[0], middle, RatioAt { x: 3.0, above: 9.0, below: 10.0 }]);
    }

    #[test]
    fn pooling_goes_back_as_far_as_it_has_to() {
        // 3 and 1 are pooled to 2 of ten, which is below the 2.5 of ten before: in the end there is one ratio, 10 of 40.
        let pooled = pool_violators(&of_ten(&[4, 3, 2, 1]));
        assert_eq!(pooled, [RatioAt { x: 1.5, above: 10.0, below: 40.0 }]);
    }

    #[test]
    fn the_heavier_one_draws_the_place_to_it() {
        let light = RatioAt { x: 0.0, above: 5.0, below: 10.0 };
        let heavy = RatioAt { x: 4.0, above: 6.0, below: 30.0 };
        // (0 x 10 + 4 x 30) / 40.
        assert_eq!(pool_violators(&[light, heavy]), [RatioAt { x: 3.0, above: 11.0, below: 40.0 }]);
    }
}
