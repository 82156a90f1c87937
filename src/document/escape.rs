//! Text that is safe in HTML and SVG, whoever wrote it.

use crate::units::printable;

/// The text as content of an element, or as the value of an attribute in double quotes. Control characters and marks of
/// direction become their escapes; what means something in markup becomes an entity.
pub(super) fn escape_markup(text: &str) -> String {
    let shown = printable(text);
    let mut escaped = String::with_capacity(shown.len());
    for character in shown.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_markup_is_an_entity() {
        assert_eq!(
            escape_markup("<a b=\"c\" d='e'>&amp;"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;"
        );
        assert_eq!(escape_markup("1.15 ms, µs, 日本"), "1.15 ms, µs, 日本");
    }

    #[test]
    fn what_hides_what_a_text_says_is_shown() {
        assert_eq!(escape_markup("a\u{202e}b\u{0}\n"), r"a\u{202e}b\u{0}\u{a}");
    }
}
