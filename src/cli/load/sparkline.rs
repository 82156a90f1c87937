//! The last seconds in a few characters.

use std::collections::VecDeque;

/// Characters from the lowest to the highest.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Seconds that are shown.
const SHOWN: usize = 20;

/// A figure over the last twenty seconds, as a row of blocks. The largest of them fills its place, and nothing is empty.
#[derive(Debug, Default)]
pub struct Sparkline {
    /// `None` for a second that has no such figure.
    figures: VecDeque<Option<f64>>,
}

impl Sparkline {
    /// Adds a second. The oldest one makes room for it.
    pub fn add(&mut self, figure: Option<f64>) {
        if self.figures.len() == SHOWN {
            self.figures.pop_front();
        }
        self.figures.push_back(figure);
    }

    /// A character a second, oldest first.
    pub fn draw(&self) -> String {
        let largest = self.figures.iter().flatten().copied().fold(0.0, f64::max);
        let mut drawn = String::new();
        for figure in &self.figures {
            drawn.push(match figure {
                // Where all are 0 there is nothing to divide by.
                Some(figure) if largest > 0.0 => {
                    let steps = (BLOCKS.len() - 1) as f64;
                    BLOCKS[(figure / largest * steps).round() as usize]
                }
                Some(_) => BLOCKS[0],
                None => ' ',
            });
        }
        drawn
    }
}

/// Whether a terminal shows more than ASCII, by the variables of the locale: the first one that is set decides
/// (setlocale(3)).
pub fn shows_blocks(all: &str, characters: &str, language: &str) -> bool {
    let locale = [all, characters, language].into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_the_last_seconds_fills_its_place() {
        let mut line = Sparkline::default();
        assert_eq!(line.draw(), "");
        for figure in [Some(0.0), Some(25.0), Some(50.0), None, Some(100.0)] {
            line.add(figure);
        }
        // Of seven steps: 0, 1.75, 3.5 and 7, rounded.
        assert_eq!(line.draw(), "▁▃▅ █");
        for _ in 0..20 {
            line.add(Some(3.0));
        }
        assert_eq!(line.draw(), "█".repeat(20));
    }

    #[test]
    fn seconds_of_nothing_are_flat() {
        let mut line = Sparkline::default();
        line.add(Some(0.0));
        line.add(Some(0.0));
        assert_eq!(line.draw(), "▁▁");
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        for (all, characters, language, shows) in [
            ("", "", "en_US.UTF-8", true),
            ("C", "en_US.UTF-8", "en_US.UTF-8", false),
            ("", "C.utf8", "C", true),
            ("", "", "POSIX", false),
            ("", "", "", false),
        ] {
            assert_eq!(shows_blocks(all, characters, language), shows, "{all} {characters} {language}");
        }
    }
}
