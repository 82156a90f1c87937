//! What tells series apart: a colour, and for those who do not tell colours apart a dash and a mark.

use super::super::Drawn;
use super::element::{SvgElement, coordinate};

/// Colours in the style sheet, and dashes and marks here.
const KINDS: usize = 8;
/// Lengths of dashes and gaps. The first line is whole.
const DASHES: [&str; KINDS] = ["", "7 4", "2 3", "10 3 2 3", "5 2", "13 5", "8 3 2 3 2 3", "3 7"];
/// Circle, square, triangle, diamond, triangle on its head, beam, post, cross: outlines around a place.
const MARKS: [&str; KINDS] = [
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "m-3-3h6v6h-6z",
    "m0-4l4 7h-8z",
    "m0-4l4 4l-4 4l-4-4z",
    "m0 4l-4-7h8z",
    "m-5-1.5h10v3h-10z",
    "m-1.5-5h3v10h-3z",
    "m-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
];

/// How a series looks, by its place among the series.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesLook {
    index: usize,
}

impl SeriesLook {
    /// The look of the series with this index.
    pub(super) fn of(index: usize) -> Self {
        Self { index }
    }

    /// The class that has its colour.
    pub(super) fn class(self) -> String {
        format!("s{}", self.index % KINDS + 1)
    }

    /// A path of this class in its colour.
    pub(super) fn path(self, class: &str, outline: &str) -> SvgElement {
        SvgElement::new("path").with("class", format_args!("{class} {}", self.class())).with("d", outline)
    }

    /// The same with its dash.
    pub(super) fn line(self, outline: &str) -> SvgElement {
        let line = self.path("line", outline);
        let dash = DASHES[self.kind()];
        // An attribute without a value would be an error, and a whole line needs none.
        if dash.is_empty() { line } else { line.with("stroke-dasharray", dash) }
    }

    /// The outline of its mark at a place.
    pub(super) fn mark(self, x: f64, y: f64) -> String {
        format!("M{} {}{}", coordinate(x), coordinate(y), MARKS[self.kind()])
    }

    /// A small picture of it for the legend.
    pub(super) fn swatch(self, drawn: Drawn) -> String {
        // As the series is drawn, so that a line is not looked for among bars.
        let mark = self.path("mark", &self.mark(16.0, 6.0));
        let picture = match drawn {
            Drawn::Line => empty_swatch().child(&self.line("M0 6H32")).child(&mark),
            Drawn::Bars => empty_swatch().child(&self.path("bar", "M8 1h16v10h-16z")),
            Drawn::Marks => empty_swatch().child(&mark),
            Drawn::Intervals => empty_swatch().child(&self.path("interval", "M16 0V12")).child(&mark),
        };
        picture.to_string()
    }

    /// The ninth series has the first one's colour, and another dash and another mark.
    fn kind(self) -> usize {
        (self.index + self.index / KINDS) % KINDS
    }
}

/// The picture of a limit for the legend.
pub(super) fn limit_swatch() -> String {
    empty_swatch().child(&SvgElement::new("path").with("class", "limit").with("d", "M0 6H32")).to_string()
}

/// The picture of a stretch of the x axis for the legend.
pub(super) fn span_swatch() -> String {
    let band = SvgElement::new("rect")
        .with("class", "span")
        .at("x", 8.0)
        .at("y", 0.0)
        .at("width", 16.0)
        .at("height", 12.0);
    let line = SvgElement::new("path").with("class", "found").with("d", "M16 0V12");
    empty_swatch().child(&band).child(&line).to_string()
}

/// The name beside it says what it is: a reader that reads aloud skips it.
fn empty_swatch() -> SvgElement {
    SvgElement::new("svg")
        .with("class", "swatch")
        .with("viewBox", "0 0 32 12")
        .with("width", 32)
        .with("height", 12)
        .with("aria-hidden", "true")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_of_many_series_look_the_same() {
        let mut looks = HashSet::new();
        for index in 0..56 {
            let look = SeriesLook::of(index);
            assert!(looks.insert(look.line("M0 0H1").to_string()), "line {index} looks like another");
            assert!(looks.insert(look.swatch(Drawn::Marks)), "mark {index} looks like another");
        }
    }

    #[test]
    fn a_mark_is_an_outline_around_its_place() {
        assert_eq!(SeriesLook::of(1).mark(10.0, 20.26), "M10 20.3m-3-3h6v6h-6z");
    }
}
