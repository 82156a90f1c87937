//! Promise: a page is one file that needs nothing else, the same for the same run, and whatever a service says stays text.

mod common;

use common::load::{Load, alone};
use common::server::{Manner, Server};

/// A run of few uploads.
const FEW: [&str; 6] = ["--users", "1", "--requests", "4", "--file-size", "1KB"];
/// What would run code, load something or hide what it says if it were not escaped.
const HOSTILE: &str = "\"><script src=\"//evil\"></script><img src=x onerror=\"a\">\u{202e}b";

/// The page that this command writes, whatever its verdict.
fn page(load: &Load) -> String {
    let run = load.run();
    // 1 where nothing succeeds, and 3 where the generator was late, beside other tests.
    assert!(matches!(run.code, Some(0 | 1 | 3)), "{}", run.output());
    std::fs::read_to_string(load.file("page.html")).expect("the page was written")
}

#[test]
fn a_page_needs_nothing_else() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let page = page(&Load::against(&server.url(), &[&FEW[..], &["--export", "html=page.html"]].concat()));
    assert!(page.starts_with("<!DOCTYPE html>\n") && page.ends_with("</html>\n"), "{page}");
    assert!(page.contains("content=\"default-src &#39;none&#39;; style-src &#39;sha256-"), "{page}");
    // Nothing that a browser would fetch, and no script that could.
    for loads in
        ["<script", "<iframe", "<object", "<embed", "<base", " src=", "@import", "url(", "href=\"http"]
    {
        assert!(!page.contains(loads), "{loads}: {page}");
    }
    // What a terminal shows is there too.
    assert!(page.contains("<th scope=\"col\">operation</th>") && page.contains("4 scheduled = "), "{page}");
}

#[test]
fn what_a_service_says_stays_text() {
    let _alone = alone();
    let server =
        Server::scripted(|exchange| exchange.answer().is_some() && exchange.respond("500 Oops", HOSTILE));
    let page = page(&Load::against(&server.url(), &[&FEW[..], &["--export", "html=page.html"]].concat()));
    assert!(page.contains("&lt;script src=&quot;//evil&quot;&gt;"), "{page}");
    assert!(page.contains("\\u{202e}b") && !page.contains('\u{202e}'), "{page}");
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
}

#[test]
fn the_same_run_makes_the_same_page() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let first = Load::against(&server.url(), &FEW);
    let run = first.run();
    assert!(matches!(run.code, Some(0 | 1 | 3)), "{}", run.output());
    let record = first.file("load.run.json");
    let record = record.to_str().expect("is UTF-8");
    let replay = ["--replay", record, "--export", "html=page.html"];
    let once = page(&Load::new(&replay));
    let again = page(&Load::new(&replay));
    assert_eq!(once, again);
}
