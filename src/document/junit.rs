//! Checks as a JUnit file, the XML of Ant's `junit` task that every CI reads: a test for each check.
//!
//! A check that was missed is a failure. One that is undecided is an error, and not skipped: CIs pass over skipped tests, and
//! a run that says nothing must not look like one in which everything held.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::check::{Check, CheckOutcome};
use super::{Document, Part};

/// Spaces that each level is indented by.
const INDENT: usize = 2;
/// What stands for a character that XML 1.0 has no way to write (section 2.2): the mark for what cannot be shown.
const REPLACED: char = char::REPLACEMENT_CHARACTER;

/// The checks of one group, which become a suite.
struct Suite<'a> {
    name: &'a str,
    checks: Vec<&'a Check>,
}

/// How many checks there are of each kind.
#[derive(Debug, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

/// A suite for each group, in the order of the checks. A document that judges nothing has one test, which is skipped: some
/// CIs refuse a file without tests.
pub fn render(document: &Document) -> String {
    // Indented, as people read it, too, when a CI refuses it.
    let mut xml = Xml { writer: Writer::new_with_indent(Vec::new(), b' ', INDENT) };
    xml.write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let all = Counts::of(&document.checks);
    xml.begin(
        "testsuites",
        &[
            ["name", &document.title],
            ["tests", &all.tests.to_string()],
            ["failures", &all.failures.to_string()],
            ["errors", &all.errors.to_string()],
        ],
    );
    if document.checks.is_empty() {
        write_nothing_judged(&mut xml, document);
    }
    for suite in suites(&document.checks) {
        write_suite(&mut xml, &suite, document);
    }
    xml.end("testsuites");
    xml.into_text()
}

/// The checks by their groups, both in the order in which they are met first.
fn suites(checks: &[Check]) -> Vec<Suite<'_>> {
    let mut suites: Vec<Suite<'_>> = Vec::new();
    for check in checks {
        // A few groups at most: looking through them is as quick as a map, which would forget their order.
        match suites.iter_mut().find(|suite| suite.name == check.group) {
            Some(suite) => suite.checks.push(check),
            None => suites.push(Suite { name: &check.group, checks: vec![check] }),
        }
    }
    suites
}

fn write_suite(xml: &mut Xml, suite: &Suite<'_>, document: &Document) {
    begin_suite(xml, suite.name, &Counts::of(suite.checks.iter().copied()));
    for check in &suite.checks {
        write_check(xml, check);
    }
    write_said(xml, document);
    xml.end("testsuite");
}

/// A suite whose one test says that there was nothing to judge.
fn write_nothing_judged(xml: &mut Xml, document: &Document) {
    begin_suite(xml, &document.title, &Counts { tests: 1, skipped: 1, ..Counts::default() });
    xml.begin("testcase", &[["name", "nothing is judged"], ["classname", &document.title]]);
    xml.empty("skipped", &[["message", "this shows what was measured, and has no verdict"]]);
    xml.end("testcase");
    write_said(xml, document);
    xml.end("testsuite");
}

fn begin_suite(xml: &mut Xml, name: &str, counts: &Counts) {
    xml.begin(
        "testsuite",
        &[
            ["name", name],
            ["tests", &counts.tests.to_string()],
            ["failures", &counts.failures.to_string()],
            ["errors", &counts.errors.to_string()],
            ["skipped", &counts.skipped.to_string()],
        ],
    );
}

fn write_check(xml: &mut Xml, check: &Check) {
    xml.begin("testcase", &[["name", &check.name], ["classname", &check.group]]);
    match check.outcome {
        CheckOutcome::Held => xml.element("system-out", &[], &check.measured),
        CheckOutcome::Missed => write_problem(xml, "failure", "missed", check),
        CheckOutcome::Undecided => write_problem(xml, "error", "undecided", check),
    }
    xml.end("testcase");
}

/// Both in an attribute and as text: of GitLab and Jenkins, the one shows this and the other that.
fn write_problem(xml: &mut Xml, element: &str, kind: &str, check: &Check) {
    let measured = check.measured.as_str();
    xml.element(element, &[["type", kind], ["message", measured]], measured);
}

/// The conclusion and the lines of a document, which say what no check has room for.
fn write_said(xml: &mut Xml, document: &Document) {
    // In every suite: a CI that shows one of them alone shows this with it.
    let mut said: Vec<&str> = Vec::new();
    said.extend(document.about.as_deref());
    said.extend(document.conclusion.as_deref());
    for part in &document.parts {
        if let Part::Line(line) = part {
            said.push(line);
        }
    }
    if !said.is_empty() {
        xml.element("system-out", &[], &said.join("\n"));
    }
}

/// XML that is being written. What is not allowed in it is replaced, and what means something is escaped.
struct Xml {
    writer: Writer<Vec<u8>>,
}

impl Xml {
    /// Begins an element with these attributes: names and values.
    fn begin(&mut self, element: &str, attributes: &[[&str; 2]]) {
        self.write(Event::Start(start(element, attributes)));
    }

    fn end(&mut self, element: &str) {
        self.write(Event::End(BytesEnd::new(element)));
    }

    fn empty(&mut self, element: &str, attributes: &[[&str; 2]]) {
        self.write(Event::Empty(start(element, attributes)));
    }

    /// An element that has nothing in it but this text.
    fn element(&mut self, element: &str, attributes: &[[&str; 2]], text: &str) {
        self.begin(element, attributes);
        self.write(Event::Text(BytesText::new(&legal(text))));
        self.end(element);
    }

    fn write(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("a buffer in memory takes everything");
    }

    fn into_text(self) -> String {
        String::from_utf8(self.writer.into_inner()).expect("it was made of texts") + "\n"
    }
}

fn start<'a>(element: &'a str, attributes: &[[&str; 2]]) -> BytesStart<'a> {
    let mut start = BytesStart::new(element);
    for [name, value] in attributes {
        start.push_attribute((*name, legal(value).as_str()));
    }
    start
}

impl Counts {
    fn of<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Self {
        let mut counts = Self::default();
        for check in checks {
            counts.tests += 1;
            match check.outcome {
                CheckOutcome::Held => {}
                CheckOutcome::Missed => counts.failures += 1,
                CheckOutcome::Undecided => counts.errors += 1,
            }
        }
        counts
    }
}

/// The text with nothing in it that XML 1.0 does not allow, not even escaped: one such character, and a CI reads none of it.
fn legal(text: &str) -> String {
    let mut legal = String::with_capacity(text.len());
    for character in text.chars() {
        // What is left out are control characters, halves of surrogate pairs, which no text of Rust's has, and U+FFFE and U+FFFF.
        let is_allowed = matches!(character,
            '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}');
        legal.push(if is_allowed { character } else { REPLACED });
    }
    legal
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;

    use super::super::Format;
    use super::*;

    fn check(group: &str, name: &str, outcome: CheckOutcome, measured: &str) -> Check {
        Check { group: group.to_owned(), name: name.to_owned(), outcome, measured: measured.to_owned() }
    }

    fn document(checks: Vec<Check>) -> Document {
        let mut document = Document { checks, ..Document::new("Load") };
        document.conclusion = Some("FAILED".to_owned());
        document
    }

    #[test]
    fn each_check_is_a_test_of_its_groups_suite() {
        let checks = vec![
            check("small", "p95 < 100 ms", CheckOutcome::Held, "61 ms"),
            check("large", "p95 < 1 s", CheckOutcome::Missed, "1.20 s"),
            check("small", "avg < 50 ms", CheckOutcome::Undecided, "not to be trusted"),
        ];
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="Load" tests="3" failures="1" errors="1">
  <testsuite name="small" tests="2" failures="0" errors="1" skipped="0">
    <testcase name="p95 &lt; 100 ms" classname="small">
      <system-out>61 ms</system-out>
    </testcase>
    <testcase name="avg &lt; 50 ms" classname="small">
      <error type="undecided" message="not to be trusted">not to be trusted</error>
    </testcase>
    <system-out>FAILED</system-out>
  </testsuite>
  <testsuite name="large" tests="1" failures="1" errors="0" skipped="0">
    <testcase name="p95 &lt; 1 s" classname="large">
      <failure type="missed" message="1.20 s">1.20 s</failure>
    </testcase>
    <system-out>FAILED</system-out>
  </testsuite>
</testsuites>
"#;
        assert_eq!(document(checks).render(Format::Junit), expected);
    }

    #[test]
    fn what_is_undecided_is_never_a_success_nor_skipped() {
        let xml = document(vec![check("a", "b", CheckOutcome::Undecided, "c")]).render(Format::Junit);
        assert!(xml.contains(r#"tests="1" failures="0" errors="1""#), "{xml}");
        assert!(xml.contains("<error ") && !xml.contains("<skipped"), "{xml}");
    }

    #[test]
    fn a_document_without_checks_passes_nothing() {
        let xml = document(Vec::new()).render(Format::Junit);
        assert!(xml.contains(r#"<testsuites name="Load" tests="0" failures="0" errors="0">"#), "{xml}");
        assert!(xml.contains(r#"skipped="1""#) && xml.contains("<skipped message="), "{xml}");
    }

    #[test]
    fn what_xml_does_not_allow_is_replaced_and_the_rest_escaped() {
        let outcome = CheckOutcome::Missed;
        let checks = vec![check("a&b", "\u{1b}[31m\u{0}", outcome, "<\"x\">\u{ffff}\u{7f} 日本 \u{1F600}\n")];
        let xml = document(checks).render(Format::Junit);
        assert!(xml.contains("classname=\"a&amp;b\""), "{xml}");
        assert!(xml.contains("name=\"\u{fffd}[31m\u{fffd}\""), "{xml}");
        // DEL is discouraged, and allowed.
        assert!(xml.contains("message=\"&lt;&quot;x&quot;&gt;\u{fffd}\u{7f} 日本 \u{1F600}\n\""), "{xml}");
        let mut reader = Reader::from_str(&xml);
        while reader.read_event().expect("is well-formed") != Event::Eof {}
    }
}
