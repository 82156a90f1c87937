//! The page of a run, and how it is renewed: server-sent events, each with the whole `<main>` of the page. So the charts of a
//! running page are drawn by what draws those of a report, and not a second time in the browser.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::fmt::Write as _;

use crate::document::{Document, html};

/// Puts what is sent in its place.
const SCRIPT: &str = include_str!("page.js");
/// Time after which a browser that has lost its connection asks again, in ms.
const RETRY_MS: u32 = 1_000;

/// The page as it is when somebody opens it.
pub(super) fn page(document: &Document) -> String {
    html::page(document, Some(SCRIPT))
}

/// The event that renews it; the last one where the run has ended.
pub(super) fn event(document: &Document, has_ended: bool) -> String {
    let mut event = String::new();
    if has_ended {
        event.push_str("event: ended\n");
    }
    // Writing to a string cannot fail.
    let _ = writeln!(event, "retry: {RETRY_MS}");
    // Each end of a line, of either kind, would end the field.
    for line in html::main(document).split(['\n', '\r']) {
        let _ = writeln!(event, "data: {line}");
    }
    event.push('\n');
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser makes of an event: its name, and its data.
    fn received(event: &str) -> (Option<&str>, String) {
        let fields = event.strip_suffix("\n\n").expect("ends with an empty line");
        let mut name = None;
        let mut data = Vec::new();
        for line in fields.split('\n') {
            match line.split_once(": ").expect("has a name") {
                ("event", value) => name = Some(value),
                ("data", value) => data.push(value),
                (field, _) => assert_eq!(field, "retry"),
            }
        }
        (name, data.join("\n"))
    }

    #[test]
    fn an_event_has_the_whole_of_what_it_replaces() {
        let mut document = Document::new("Load");
        document.line("one\rtwo");
        document.line("three");
        let sent = event(&document, false);
        let (name, data) = received(&sent);
        assert_eq!((name, data), (None, html::main(&document).replace('\r', "\n")));
        assert_eq!(received(&event(&document, true)).0, Some("ended"));
    }

    #[test]
    fn a_page_has_its_script_and_what_the_script_replaces() {
        let page = page(&Document::new("Load"));
        assert!(page.contains("new EventSource(\"events\")") && page.contains("<main"), "{page}");
    }
}
