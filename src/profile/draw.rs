//! Stacks as a picture.

use inferno::flamegraph::color::MultiPalette;
use inferno::flamegraph::{Options, Palette, from_lines};

use super::stacks::Stacks;
use crate::units::printable;

/// Stacks hold nanoseconds; the picture tells milliseconds.
const MS: f64 = 1e-6;

/// An SVG that can be searched and zoomed in a browser. `None` where there is nothing to draw.
pub(super) fn svg(stacks: &Stacks, title: &str, subtitle: &str) -> Option<String> {
    if stacks.is_empty() {
        return None;
    }
    let mut options = Options::default();
    // Control characters are not allowed in XML; all else is escaped where it is written.
    options.title = printable(title);
    options.subtitle = Some(printable(subtitle));
    options.colors = Palette::Multi(MultiPalette::Rust);
    // A function has the same colour in every picture.
    options.deterministic = true;
    options.count_name = "ms of CPU time".to_owned();
    options.factor = MS;
    let mut svg = Vec::new();
    from_lines(&mut options, stacks.folded().lines(), &mut svg).expect("stacks are drawn in memory");
    Some(String::from_utf8(svg).expect("SVG is text"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn one(frames: &[&str]) -> Stacks {
        let frames: Vec<String> = frames.iter().map(|frame| (*frame).to_owned()).collect();
        let mut stacks = Stacks::default();
        stacks.add(&frames, 1, Duration::from_millis(1500));
        stacks
    }

    #[test]
    fn frames_are_drawn_with_their_time_and_share() {
        let svg = svg(&one(&["stub", "hash"]), "upload/10MB", "999 Hz").expect("has a stack");
        assert!(svg.contains("<title>hash (1,500 ms of CPU time, 100.00%)</title>"), "{svg}");
        assert!(svg.contains(">upload/10MB</text>") && svg.contains(">999 Hz</text>"), "{svg}");
        assert!(svg.starts_with("<?xml") && svg.ends_with("</svg>"));
    }

    #[test]
    fn names_of_cases_and_functions_are_escaped() {
        let svg = svg(&one(&["stub", "<T as A&B>::f"]), "<script>\u{7}", "a & b").expect("has a stack");
        assert!(svg.contains(">&lt;script&gt;\\u{7}</text>") && svg.contains(">a &amp; b</text>"), "{svg}");
        assert!(svg.contains("<title>&lt;T as A&amp;B&gt;::f (1,500"), "{svg}");
    }

    #[test]
    fn equal_stacks_make_equal_pictures() {
        let stacks = one(&["client", "send"]);
        assert_eq!(svg(&stacks, "a", "b"), svg(&stacks, "a", "b"));
        assert_eq!(svg(&Stacks::default(), "a", "b"), None);
    }
}
