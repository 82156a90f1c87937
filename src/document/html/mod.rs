//! Documents as pages: one file each, that needs no network and runs no script.
//!
//! What a page shows comes from services, from the names of files and of cases, and from files that others wrote. Three things
//! keep it text: the formatter below escapes whatever a template writes, the policy in the page's head allows no script and
//! no style but those that were hashed when the page was written, and links lead to files beside the page only.

mod link;
mod view;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{Environment, Output, UndefinedBehavior, Value};
use serde::Serialize;

use super::Document;
use super::escape::escape_markup;
use view::MainView;

const PAGE: &str = "page.html";
const MAIN: &str = "main.html";
const STYLE: &str = include_str!("style.css");

/// What stands around the main element of a page.
#[derive(Serialize)]
struct PageView<'a> {
    title: &'a str,
    policy: String,
    style: &'static str,
    main: String,
    version: &'static str,
    script: Option<&'a str>,
}

/// The document as a page. A script is for pages that are served while they change: it may fetch from where the page came
/// from, and is the only one that runs there. It is written as it is, so it must not hold `</script`.
pub(crate) fn page(document: &Document, script: Option<&str>) -> String {
    let page = PageView {
        title: &document.title,
        policy: policy(script),
        style: STYLE,
        main: main(document),
        version: env!("CARGO_PKG_VERSION"),
        script,
    };
    render(PAGE, page) + "\n"
}

/// The `<main>` element of a page, for a script that puts it in place of the one before.
pub(crate) fn main(document: &Document) -> String {
    render(MAIN, MainView::of(document))
}

/// What a browser may load for the page, and run: nothing but what is in it, told by its hash.
fn policy(script: Option<&str>) -> String {
    // An empty icon in the head keeps browsers from asking a server for one.
    let mut policy = format!(
        "default-src 'none'; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    );
    if let Some(script) = script {
        policy += &format!("; script-src {}; connect-src 'self'", hash(script));
    }
    policy
}

/// A text as such a policy names it (CSP level 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// The text of a template with these values.
fn render(template: &str, values: impl Serialize) -> String {
    let templates = templates();
    let template = templates.get_template(template).expect("the template was added");
    // What can fail is a template that asks for what a view does not have.
    let text = template.render(Serde(values));
    text.expect("templates use what views have, and tests render every part")
}

fn templates() -> Environment<'static> {
    let mut templates = Environment::new();
    // A value that is misspelt in a template is an error, and not an empty text.
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_formatter(|out, _, value| write_value(out, value));
    templates.add_template(PAGE, include_str!("page.html")).expect("the template is valid");
    templates.add_template(MAIN, include_str!("main.html")).expect("the template is valid");
    templates
}

/// Writes what stands between double braces in a template: escaped, unless the template calls it safe.
fn write_value(out: &mut Output<'_>, value: &Value) -> Result<(), minijinja::Error> {
    // Here and nowhere else: a template that forgets to escape does not exist.
    let text = value.to_string();
    let written = if value.is_safe() { text } else { escape_markup(&text) };
    out.write_str(&written)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quick_xml::Reader;
    use quick_xml::escape::unescape;
    use quick_xml::events::Event;

    use super::super::{
        Axis, Chart, ChartLimit, ChartPoint, ChartSeries, ChartSpan, Drawn, Link, Part, Quantity, Section,
        Table,
    };
    use super::*;
    use crate::units::printable;
    use crate::verdict::Verdict;

    /// What services and names of files might say to become more than text.
    const HOSTILE: [&str; 20] = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</title>",
        "</style>",
        "</svg>",
        "<!--",
        "-->",
        "]]>",
        "<![CDATA[",
        "&lt;b&gt;",
        "&#60;b&#62;",
        "\u{202e}evil",
        "a\0b",
        "\u{1b}[31m",
        "a\r\nb",
        "javascript:alert(1)",
        "{{ 7 * 7 }}{% raw %}",
        "\u{2028}\u{200b}\u{feff}",
        "<?php ?>",
    ];
    /// What may follow it.
    const ENDS: [&str; 15] =
        ["", "a", " ", "\"", "'", "<", ">", "&", "/", "\\", "=", "--", "%0d", "\u{7f}", "日本"];

    /// A document that has this text wherever it may have one.
    fn everywhere(text: &str) -> Document {
        let mut table = Table::new([text, text]);
        table.row([text, text]);
        let series = ChartSeries {
            name: text.to_owned(),
            drawn: Drawn::Line,
            points: vec![ChartPoint::new(0.0, 1.0), ChartPoint::new(1.0, 2.0)],
            labels: vec![text.to_owned(); 2],
        };
        let chart = Chart {
            title: text.to_owned(),
            x: Axis::linear(text, Quantity::Place),
            y: Axis::linear(text, Quantity::Count),
            series: vec![series],
            limits: vec![ChartLimit { name: text.to_owned(), y: 2.0 }],
            spans: vec![ChartSpan { name: text.to_owned(), x: 0.0, interval: Some([0.0, 1.0]) }],
        };
        let parts = vec![
            Part::Line(text.to_owned()),
            Part::Table(table),
            Part::Chart(chart),
            Part::Link(Link { text: text.to_owned(), path: format!("a/{text}") }),
            Part::Link(Link { text: text.to_owned(), path: format!("/{text}") }),
        ];
        // Four sections have a table of contents.
        let mut sections = vec![Part::Section(Section { heading: text.to_owned(), parts })];
        for _ in 0..3 {
            let parts = vec![Part::Line(text.to_owned())];
            sections.push(Part::Section(Section { heading: text.to_owned(), parts }));
        }
        Document {
            title: text.to_owned(),
            about: Some(text.to_owned()),
            conclusion: Some(text.to_owned()),
            verdict: Some(Verdict::Missed),
            checks: Vec::new(),
            parts: sections,
        }
    }

    /// A page as a strict reader sees it.
    struct ReadPage {
        /// Each element with the names of its attributes, and each end of one.
        shape: Vec<String>,
        /// All texts and values of attributes, without entities.
        texts: String,
    }

    impl ReadPage {
        fn of(page: &str) -> Self {
            let mut shape = Vec::new();
            let mut texts = String::new();
            let mut reader = Reader::from_str(page);
            loop {
                match reader.read_event().expect("a page is well-formed") {
                    Event::Start(element) | Event::Empty(element) => {
                        let mut names = text_of(element.name().as_ref());
                        for attribute in element.attributes() {
                            let attribute = attribute.expect("an attribute has a name and a value in quotes");
                            names = format!("{names} {}", text_of(attribute.key.as_ref()));
                            texts += &text_of(&attribute.value);
                        }
                        shape.push(names);
                    }
                    Event::End(element) => shape.push(format!("/{}", text_of(element.name().as_ref()))),
                    Event::Text(text) => texts += &text_of(&text),
                    // An entity, or a character by its number.
                    Event::GeneralRef(name) => texts += &format!("&{};", text_of(&name)),
                    Event::DocType(_) => {}
                    Event::Eof => break,
                    other => panic!("a page has no {other:?}"),
                }
            }
            let texts = unescape(&texts).expect("a page has only entities that everybody knows").into_owned();
            Self { shape, texts }
        }
    }

    fn text_of(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn no_text_becomes_anything_but_text() {
        let plain = ReadPage::of(&page(&everywhere("text"), None));
        assert!(plain.shape.iter().any(|element| element.starts_with("svg ")), "{:?}", plain.shape);
        for element in &plain.shape {
            assert!(!element.starts_with("script") && !element.contains(" on"), "{element}");
            assert!(!element.contains(" style") && !element.contains(" src"), "{element}");
        }
        for begin in HOSTILE {
            for end in ENDS {
                let text = format!("{begin}{end}");
                let hostile = page(&everywhere(&text), None);
                let read = ReadPage::of(&hostile);
                assert!(read.shape == plain.shape, "{text:?} changes what the page is made of");
                assert!(read.texts.contains(&printable(&text)), "{text:?} is not shown");
                for line in hostile.lines() {
                    assert_eq!(printable(line), line, "{text:?} hides what it says");
                }
            }
        }
    }

    #[test]
    fn the_main_element_says_the_verdict_first() {
        let mut document = Document::new("Load <b>");
        document.verdict = Some(Verdict::Missed);
        document.conclusion = Some("p99 < 5 ms was missed".to_owned());
        document.line("one");
        let mut table = Table::new(["", "p99"]);
        table.row(["jwt", "6 ms"]);
        document.table(table);
        let expected = r#"<main id="page">
<h1>Load &lt;b&gt;</h1>
<p class="verdict missed"><span class="sign" aria-hidden="true">✗</span> <strong>Missed</strong> <span class="conclusion">p99 &lt; 5 ms was missed</span></p>
<div id="results" tabindex="-1">
<div class="lines">
<p>one</p>
</div>
<div class="scroll" role="group" tabindex="0" aria-labelledby="table-1">
<table>
<caption id="table-1" class="hidden">Table 1</caption>
<thead>
<tr><td></td><th scope="col">p99</th></tr>
</thead>
<tbody>
<tr><th scope="row">jwt</th><td>6 ms</td></tr>
</tbody>
</table>
</div>
</div>
</main>"#;
        assert_eq!(main(&document), expected);
    }

    #[test]
    fn a_page_allows_its_own_style_and_no_script() {
        let mut document = Document::new("Load");
        document.line("one");
        let page = page(&document, None);
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n") && page.ends_with("</html>\n"));
        let policy = policy(None);
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        let texts = ReadPage::of(&page).texts;
        assert!(texts.contains(&policy), "{texts}");
        // What was hashed is what stands between the tags.
        let (_, after) = page.split_once("<style>").expect("a page has a style");
        let (style, _) = after.split_once("</style>").expect("the style ends");
        assert_eq!(style, STYLE);
        assert!(page.contains(&main(&document)), "{page}");
    }

    #[test]
    fn a_script_runs_only_if_it_was_hashed() {
        let page = page(&Document::new("Load"), Some("fetch('/main')"));
        assert!(page.contains("<script>fetch('/main')</script>"), "{page}");
        // SHA-256 of the script, as `printf %s "fetch('/main')" | openssl dgst -sha256 -binary | base64` has it.
        let policy = policy(Some("fetch('/main')"));
        let expected =
            "; script-src 'sha256-1BJHuvM0dSWtphqBeNLFpgPmRMZgW5x1Y03ClF1sFLM='; connect-src 'self'";
        assert!(policy.ends_with(expected), "{policy}");
    }

    #[test]
    fn a_day_of_seconds_makes_a_small_page() {
        let mut document = Document::new("Load");
        let mut series = Vec::new();
        for name in ["p50", "p95", "p99", "p99.9"] {
            // 0.0 ms to 99.9 ms, again and again.
            let points =
                (0..86_400).map(|second| ChartPoint::new(f64::from(second), f64::from(second % 1000) / 1e4));
            series.push(ChartSeries {
                name: name.to_owned(),
                drawn: Drawn::Line,
                points: points.collect(),
                labels: Vec::new(),
            });
        }
        document.parts.push(Part::Chart(Chart {
            title: "Latency".to_owned(),
            x: Axis::linear("time", Quantity::Elapsed),
            y: Axis::linear("latency", Quantity::Duration),
            series,
            limits: Vec::new(),
            spans: Vec::new(),
        }));
        // With ten such charts it stays below 2 MB.
        let bytes = page(&document, None).len();
        assert!(bytes < 200_000, "{bytes} bytes");
    }

    /// Colours by name.
    fn colours(style: &str) -> BTreeMap<&str, &str> {
        let mut colours = BTreeMap::new();
        for line in style.lines() {
            let found = line.trim().strip_prefix("--").and_then(|line| line.split_once(": #"));
            if let Some((name, colour)) = found {
                colours.insert(name, colour.trim_end_matches(';'));
            }
        }
        colours
    }

    /// Relative luminance, as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let mut luminance = 0.0;
        for (channel, weight) in [0.2126, 0.7152, 0.0722].into_iter().enumerate() {
            let digits = &colour[2 * channel..2 * channel + 2];
            let value =
                f64::from(u8::from_str_radix(digits, 16).expect("a colour has six hex digits")) / 255.0;
            let linear = if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
            luminance += weight * linear;
        }
        luminance
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let one = luminance(one) + 0.05;
        let other = luminance(other) + 0.05;
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_text_stands_out_from_its_ground() {
        assert!((contrast("000000", "ffffff") - 21.0).abs() < 1e-9);
        let (light, dark) =
            STYLE.split_once("@media (prefers-color-scheme: dark)").expect("has dark colours");
        for colours in [colours(light), colours(dark)] {
            for ground in ["ground", "stripe"] {
                for ink in ["ink", "quiet", "link", "limit"] {
                    let contrast = contrast(colours[ink], colours[ground]);
                    assert!(contrast >= 4.5, "{ink} on {ground}: {contrast}");
                }
            }
            for verdict in ["held", "missed", "untrusted"] {
                let ink = colours[format!("{verdict}-ink").as_str()];
                let ground = colours[format!("{verdict}-ground").as_str()];
                assert!(contrast(ink, ground) >= 4.5, "{verdict}");
            }
            for series in 1..=8 {
                let contrast = contrast(colours[format!("s{series}").as_str()], colours["ground"]);
                assert!(contrast >= 4.5, "series {series}: {contrast}");
            }
        }
    }
}
