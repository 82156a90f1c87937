//! Which rate to try next: up after a step that held, down after one that missed.
//!
//! The stride begins with a doubling of the rate. At each turn it is halved, so that the search grows by factors, then halves
//! the range that is left, and then goes up and down around the edge in the smallest stride. Several steps in the same
//! direction double it again: a step that was wrong about a rate far from the edge costs a few more, and not the answer
//! (PEST: Taylor and Creelman, Journal of the Acoustical Society of America 41, 1967).
//!
//! In the smallest stride it goes down by two levels and up by one. So it stays where one step in three misses (the weighted
//! up-down method: Kaernbach, Perception & Psychophysics 49, 1991), and not where half of them do. At the edge itself fewer
//! than half of the steps miss, as slow requests come in clusters: most steps have fewer of them than the mean, and some
//! have many.

use super::plan::LEVELS_PER_DOUBLING;

/// Levels by which a miss leads down in the smallest stride.
const DOWN: i32 = 2;
/// Steps upwards in a row after which the stride grows. In the smallest stride, four that hold are not rare.
const PATIENCE_UP: u32 = 4;
/// Steps downwards in a row after which it grows.
const PATIENCE_DOWN: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// The place of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Staircase {
    level: i32,
    stride: i32,
    last: Option<Direction>,
    /// Steps in the last direction without a turn.
    in_a_row: u32,
    /// Whether the stride has been the smallest.
    fine: bool,
    lowest: i32,
    /// The highest level that was asked for.
    highest: Option<i32>,
    /// A level at which the generator did not keep up.
    blocked: Option<i32>,
}

impl Staircase {
    /// At level 0, between these two.
    pub fn new(lowest: i32, highest: Option<i32>) -> Self {
        Self {
            level: 0,
            stride: LEVELS_PER_DOUBLING,
            last: None,
            in_a_row: 0,
            fine: false,
            lowest,
            highest,
            blocked: None,
        }
    }

    /// The level to try.
    pub fn level(&self) -> i32 {
        self.level
    }

    /// Whether the stride has been the smallest: from then on, steps count as those near the edge.
    pub fn is_fine(&self) -> bool {
        self.fine
    }

    /// Whether no higher level may be tried.
    pub fn is_at_top(&self) -> bool {
        self.above() <= self.level
    }

    /// Whether no lower level may be tried.
    pub fn is_at_bottom(&self) -> bool {
        self.level <= self.lowest
    }

    /// Whether the top is where the generator did not keep up, and not what was asked for.
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// The step held.
    pub fn held(&mut self) {
        self.turn(Direction::Up, PATIENCE_UP);
        self.level = self.above();
    }

    /// The step missed.
    pub fn missed(&mut self) {
        self.turn(Direction::Down, PATIENCE_DOWN);
        let stride = if self.stride == 1 { DOWN } else { self.stride };
        self.level = (self.level - stride).max(self.lowest);
    }

    /// The generator cannot keep up at this level: neither this nor a higher one is tried again.
    pub fn block(&mut self) {
        self.blocked = Some(self.level);
        self.missed();
    }

    /// The level that a step upwards leads to.
    fn above(&self) -> i32 {
        let mut above = self.level + self.stride;
        if let Some(highest) = self.highest {
            above = above.min(highest);
        }
        if let Some(blocked) = self.blocked {
            // Half of the way, since the way is only known to be blocked at its end.
            above = above.min(self.level + (blocked - self.level) / 2);
        }
        above
    }

    /// Takes this direction, which halves the stride if it is a turn, and doubles it after so many steps without one.
    fn turn(&mut self, direction: Direction, patience: u32) {
        if self.last.is_some_and(|last| last != direction) {
            self.in_a_row = 1;
            self.stride = (self.stride / 2).max(1);
        } else {
            self.in_a_row += 1;
            if self.in_a_row > patience {
                self.stride = (2 * self.stride).min(LEVELS_PER_DOUBLING);
            }
        }
        self.last = Some(direction);
        self.fine |= self.stride == 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The levels that are tried where everything up to this one holds.
    fn levels(staircase: &mut Staircase, edge: i32, steps: usize) -> Vec<i32> {
        let mut levels = Vec::new();
        for _ in 0..steps {
            let level = staircase.level();
            levels.push(level);
            if level <= edge { staircase.held() } else { staircase.missed() }
        }
        levels
    }

    #[test]
    fn it_grows_and_halves_and_stays_at_the_edge() {
        let mut staircase = Staircase::new(-160, None);
        // Doublings up to the first miss; then strides of 8, 4, 2 and 1, a turn each.
        assert_eq!(levels(&mut staircase, 42, 8), [0, 16, 32, 48, 40, 44, 42, 43]);
        assert!(staircase.is_fine());
        // Down by two, up by one.
        assert_eq!(levels(&mut staircase, 42, 7), [41, 42, 43, 41, 42, 43, 41]);
    }

    #[test]
    fn it_finds_an_edge_below_the_first_rate() {
        let mut staircase = Staircase::new(-160, None);
        assert_eq!(levels(&mut staircase, -20, 6), [0, -16, -32, -24, -16, -20]);
    }

    #[test]
    fn a_wrong_step_far_from_the_edge_costs_a_few_more() {
        let mut staircase = Staircase::new(-160, None);
        // The first step misses by accident, and the edge is three doublings above.
        staircase.missed();
        let path = levels(&mut staircase, 50, 14);
        assert_eq!(path, [-16, -8, 0, 8, 16, 32, 48, 64, 56, 48, 52, 50, 51, 49]);
    }

    #[test]
    fn nothing_beyond_the_limits_is_tried() {
        let mut staircase = Staircase::new(-3, Some(20));
        assert_eq!(levels(&mut staircase, 100, 4), [0, 16, 20, 20]);
        assert!(staircase.is_at_top() && !staircase.is_blocked());
        let mut staircase = Staircase::new(-3, Some(20));
        assert_eq!(levels(&mut staircase, -100, 3), [0, -3, -3]);
        assert!(staircase.is_at_bottom());
    }

    #[test]
    fn a_level_that_is_blocked_is_approached_by_halves() {
        let mut staircase = Staircase::new(-160, None);
        assert_eq!(levels(&mut staircase, 100, 3), [0, 16, 32]);
        // The generator does not keep up at 48.
        assert_eq!(staircase.level(), 48);
        staircase.block();
        assert_eq!(levels(&mut staircase, 100, 5), [40, 44, 46, 47, 47]);
        assert!(staircase.is_at_top() && staircase.is_blocked());
    }
}
