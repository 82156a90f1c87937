//! Elements of a drawing. Every attribute and every text is escaped here, so that no caller can forget it.

use std::fmt::{self, Display, Write as _};

use super::super::escape::escape_markup;

/// An element with all that is in it.
#[derive(Debug, Clone)]
pub(super) struct SvgElement {
    name: &'static str,
    attributes: String,
    content: String,
}

impl SvgElement {
    /// An element without attributes and content.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, attributes: String::new(), content: String::new() }
    }

    /// A group of this class.
    pub(super) fn group(class: &str) -> Self {
        Self::new("g").with("class", class)
    }

    /// Sets an attribute.
    pub(super) fn with(mut self, attribute: &'static str, value: impl Display) -> Self {
        let value = escape_markup(&value.to_string());
        // Writing to a string cannot fail.
        let _ = write!(self.attributes, " {attribute}=\"{value}\"");
        self
    }

    /// Sets an attribute that is a place or a length.
    pub(super) fn at(self, attribute: &'static str, place: f64) -> Self {
        self.with(attribute, coordinate(place))
    }

    /// Adds a text.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.content.push_str(&escape_markup(text));
        self
    }

    /// Adds several lines of text. A line break within one of them is shown as its escape.
    pub(super) fn lines(mut self, lines: &[String]) -> Self {
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                self.content.push('\n');
            }
            self.content.push_str(&escape_markup(line));
        }
        self
    }

    /// Adds an element.
    pub(super) fn child(mut self, child: &Self) -> Self {
        // Writing to a string cannot fail.
        let _ = write!(self.content, "{child}");
        self
    }

    /// Adds several.
    pub(super) fn children(self, children: &[Self]) -> Self {
        children.iter().fold(self, Self::child)
    }
}

impl Display for SvgElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, attributes, content } = self;
        if content.is_empty() {
            write!(f, "<{name}{attributes}/>")
        } else {
            write!(f, "<{name}{attributes}>{content}</{name}>")
        }
    }
}

/// A place in the drawing, to a tenth of its unit: finer than a screen shows, and short in a path of 600 points.
pub(super) fn coordinate(place: f64) -> String {
    let written = format!("{place:.1}");
    match written.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_texts_are_escaped() {
        let line = SvgElement::new("line").at("x1", 12.04).at("x2", 3.26).with("class", "a\"b");
        let group = SvgElement::group("g").child(&line).text("<&");
        let expected = "<g class=\"g\"><line x1=\"12\" x2=\"3.3\" class=\"a&quot;b\"/>&lt;&amp;</g>";
        assert_eq!(group.to_string(), expected);
    }

    #[test]
    fn only_the_writer_breaks_lines() {
        let title = SvgElement::new("title").lines(&["a\nb".to_owned(), "c".to_owned()]);
        assert_eq!(title.to_string(), "<title>a\\u{a}b\nc</title>");
    }

    #[test]
    fn children_keep_their_order() {
        let group = SvgElement::group("g").children(&[SvgElement::new("a"), SvgElement::new("b")]);
        assert_eq!(group.to_string(), "<g class=\"g\"><a/><b/></g>");
    }
}
