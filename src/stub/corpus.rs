//! The cases of two other implementations' tests, with their verdicts and ours: python-multipart (0.0.32: its tests'
//! `test_data/http` and `test_multipart.py`) and werkzeug (3.2.0.dev: `tests/sansio/test_multipart.py`,
//! `tests/test_formparser.py` and `tests/multipart`). Each case is told in bytes of our own, with the boundary `b`
//! unless it is about boundaries.

use super::broken::Broken;
use super::fuzzing::{ReadPart, read_in_pieces};

/// A part as a row has it: name, file name, content.
type Expected = (&'static str, Option<&'static str>, &'static str);

/// What another implementation makes of a body.
enum Theirs {
    Reads(&'static [Expected]),
    Refuses,
}

/// What we make of it.
enum Ours {
    /// The same parts.
    Same,
    /// A refusal, as theirs, with this error.
    RefusesToo(Broken),
    /// A refusal of what they read, and why.
    Stricter(Broken, &'static str),
    /// Other parts than theirs, or parts where they refuse, and why.
    Reads(&'static [Expected], &'static str),
}

/// One body.
struct Row {
    /// The case's name there.
    case: &'static str,
    boundary: &'static str,
    /// Line breaks are CR LF in it. A lone carriage return is written ␍, a lone line feed ␊, a NUL ␀, and the beginning of
    /// the usual header {form-data}.
    body: &'static str,
    theirs: Theirs,
    ours: Ours,
}

fn row(case: &'static str, body: &'static str, theirs: Theirs, ours: Ours) -> Row {
    Row { case, boundary: "b", body, theirs, ours }
}

impl Row {
    /// The same with another boundary.
    fn bounded_by(self, boundary: &'static str) -> Self {
        Self { boundary, ..self }
    }
}

/// The bytes that a row's notation stands for.
fn bytes(text: &str) -> Vec<u8> {
    let text = text.replace("{form-data}", "Content-Disposition: form-data");
    text.replace('\n', "\r\n").replace('␍', "\r").replace('␊', "\n").replace('␀', "\0").into_bytes()
}

/// The parts that a row's notation stands for.
fn parts(expected: &[Expected]) -> Vec<ReadPart> {
    let mut parts = Vec::new();
    for (name, file_name, content) in expected {
        parts.push(ReadPart {
            name: (*name).to_owned(),
            file_name: file_name.map(str::to_owned),
            content: bytes(content),
        });
    }
    parts
}

/// Checks every row, its body arriving in pieces of every size.
fn check(rows: &[Row]) {
    for Row { case, boundary, body, theirs, ours } in rows {
        let theirs = match theirs {
            Theirs::Reads(expected) => Some(parts(expected)),
            Theirs::Refuses => None,
        };
        let expected = match ours {
            Ours::Same => Ok(theirs.clone().unwrap_or_else(|| panic!("{case}: they read nothing"))),
            Ours::RefusesToo(error) | Ours::Stricter(error, _) => Err(error.clone()),
            Ours::Reads(expected, _) => Ok(parts(expected)),
        };
        let why = match ours {
            Ours::Same | Ours::RefusesToo(_) => "as they do",
            Ours::Stricter(_, why) | Ours::Reads(_, why) => *why,
        };
        // A row that claims a difference has to show one.
        let claims_difference = matches!(ours, Ours::Stricter(..) | Ours::Reads(..));
        assert_eq!(expected.clone().ok() != theirs, claims_difference, "{case}: the row contradicts itself");
        let body = bytes(body);
        for size in 1..=body.len() {
            assert_eq!(
                read_in_pieces(boundary, &body, size),
                expected,
                "{case}, in pieces of {size} ({why})"
            );
        }
    }
}

const FIELD: Theirs = Theirs::Reads(&[("field", None, "text")]);
const FILE: Theirs = Theirs::Reads(&[("file", Some("a.txt"), "text")]);

const RFC_2046: &str = "RFC 2046 (5.1.1): a line that begins with the boundary is a boundary, and only padding, a line \
                        break or two hyphens may follow; they take it for content";
const CRLF_ONLY: &str =
    "RFC 7578 and 2046 know no other line break than CR LF; a proxy in front may see other parts";
const NO_DECODING: &str =
    "RFC 7578 (4.7): Content-Transfer-Encoding is not used in forms; what is stored is what was sent";
const HEADER_LIMIT: &str = "our limits are higher: 16 headers of 16 KB together";

fn python_multipart() -> Vec<Row> {
    vec![
        row(
            "single_field, single_field_longer",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--b--",
            FIELD,
            Ours::Same,
        ),
        row(
            "single_file",
            "--b\n{form-data}; name=\"file\"; filename=\"a.txt\"\nContent-Type: text/plain\n\ntext\n--b--\n",
            FILE,
            Ours::Same,
        ),
        row(
            "single_field_blocks: the last line break is cut off",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--b--␍",
            FIELD,
            Ours::Same,
        ),
        row(
            "single_field_with_leading_newlines",
            "\n\n--b\n{form-data}; name=\"field\"\n\ntext\n--b--",
            FIELD,
            Ours::Same,
        ),
        row(
            "single_field_with_trailer",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--b--\nan epilogue\nof two lines",
            FIELD,
            Ours::Same,
        ),
        row(
            "single_field_single_file",
            "--b\n{form-data}; name=\"field\"\n\ntext\n\
             --b\n{form-data}; name=\"file\"; filename=\"a.txt\"\nContent-Type: text/plain\n\nmore\n--b--",
            Theirs::Reads(&[("field", None, "text"), ("file", Some("a.txt"), "more")]),
            Ours::Same,
        ),
        row(
            "multiple_fields",
            "--b\n{form-data}; name=\"one\"\n\n1\n\
             --b\n{form-data}; name=\"two\"\n\n2\n--b--\n",
            Theirs::Reads(&[("one", None, "1"), ("two", None, "2")]),
            Ours::Same,
        ),
        row(
            "multiple_files: which of them a service takes is its own affair",
            "--b\n{form-data}; name=\"one\"; filename=\"1.txt\"\nContent-Type: text/plain\n\n1\n\
             --b\n{form-data}; name=\"two\"; filename=\"2.txt\"\nContent-Type: text/plain\n\n2\n--b--\n",
            Theirs::Reads(&[("one", Some("1.txt"), "1"), ("two", Some("2.txt"), "2")]),
            Ours::Same,
        ),
        row(
            "case_insensitive_headers, mixed_case_headers",
            "--b\nCONTENT-DISPOSITION: form-data; name=\"one\"\n\n1\n\
             --b\ncontent-disposition: form-data; name=two\n\n2\n\
             --b\ncOnTenT-DiSpOsItiOn: form-data; name=Three\n\n3\n--b--\n",
            Theirs::Reads(&[("one", None, "1"), ("two", None, "2"), ("Three", None, "3")]),
            Ours::Same,
        ),
        row(
            "header_with_number: all characters of a header's name",
            "--b\n{form-data}; filename=\"a.txt\"; name=\"file\"\nX-1: 1\n0123456789abcxyz: 2\n\
             other!#$%&'*+-.^_`|~: 3\nContent-Length: 4\n\ntext\n--b--",
            FILE,
            Ours::Same,
        ),
        row(
            "utf8_filename",
            "--b\n{form-data}; name=\"file\"; filename=\"héé.txt\"\nContent-Type: text/plain\n\nこれ\n--b--\n",
            Theirs::Reads(&[("file", Some("héé.txt"), "これ")]),
            Ours::Same,
        ),
        row(
            "almost_match_boundary: lines that begin like it",
            "---boundary\n{form-data}; name=\"field\"\n\n\
             --boundari\n--boundaryq--boundary␍q--boundarq\n--bounaryd--\n--mismatch--\n---boundar-Q\n\n---boundary--\n",
            Theirs::Reads(&[(
                "field",
                None,
                "--boundari\n--boundaryq--boundary␍q--boundarq\n--bounaryd--\n--mismatch--\n---boundar-Q\n",
            )]),
            Ours::Same,
        )
        .bounded_by("-boundary"),
        row(
            "almost_match_boundary_without_CR",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--bQQQQ\n--b--",
            Theirs::Reads(&[("field", None, "text\n--bQQQQ")]),
            Ours::Stricter(Broken::Boundary, RFC_2046),
        ),
        row(
            "almost_match_boundary_without_LF",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--b␍QQQQ\n--b--",
            Theirs::Reads(&[("field", None, "text\n--b␍QQQQ")]),
            Ours::Stricter(Broken::Boundary, RFC_2046),
        ),
        row(
            "almost_match_boundary_without_final_hyphen",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--b-QQQQ\n--b--",
            Theirs::Reads(&[("field", None, "text\n--b-QQQQ")]),
            Ours::Stricter(Broken::Boundary, RFC_2046),
        ),
        row(
            "crlf_dense_part_data",
            "--boundary\n{form-data}; name=\"file\"; filename=\"a.txt\"\n\n\n\n\n\n\n--boundar\n\n\n--bound\n\n\
             --boundary--\n",
            Theirs::Reads(&[("file", Some("a.txt"), "\n\n\n\n\n--boundar\n\n\n--bound\n")]),
            Ours::Same,
        )
        .bounded_by("boundary"),
        row(
            "base64_encoding, mixed_plain_and_base64_encoding, content_transfer_encoding_is_case_insensitive: it decodes",
            "--b\n{form-data}; name=\"file\"; filename=\"a.txt\"\nContent-Transfer-Encoding: BASE64\n\n\
             dGV4dA==\n--b--",
            FILE,
            Ours::Reads(&[("file", Some("a.txt"), "dGV4dA==")], NO_DECODING),
        ),
        row(
            "quoted_printable_encoding: it decodes",
            "--b\n{form-data}; name=\"file\"; filename=\"a.txt\"\n\
             Content-Transfer-Encoding: quoted-printable\n\nte=78t\n--b--",
            FILE,
            Ours::Reads(&[("file", Some("a.txt"), "te=78t")], NO_DECODING),
        ),
        row(
            "bad_content_transfer_encoding, with its option to refuse one",
            "--b\n{form-data}; name=\"file\"; filename=\"a.txt\"\nContent-Transfer-Encoding: bad\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::Reads(&[("file", Some("a.txt"), "text")], NO_DECODING),
        ),
        row("empty_message", "--b--\n", Theirs::Reads(&[]), Ours::Same),
        row("empty_message_with_bad_end", "--b-X\n", Theirs::Refuses, Ours::RefusesToo(Broken::Boundary)),
        row(
            "bad_initial_boundary: the first is misspelt",
            "--c\n{form-data}; name=\"field\"\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::Reads(
                &[],
                "all of it is a preamble, which RFC 2046 (5.1.1) allows; a form without its file is refused later (422)",
            ),
        ),
        row(
            "bad_start_boundary: a carriage return alone",
            "--b␍foobar\n",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Boundary),
        ),
        row(
            "bad_start_boundary: its line goes on",
            "--bfoobar\n",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Boundary),
        ),
        row(
            "bad_start_boundary: in the other case",
            "--B\nfoobar\n",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::CutOff),
        ),
        row(
            "bad_end_of_headers",
            "--b\n{form-data}; name=\"field\"\n␍Qtext\n--b--",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::CutOff),
        ),
        row(
            "bad_header_char",
            "--b\nContent-<<<position: form-data; name=\"field\"\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Header),
        ),
        row(
            "empty_header",
            "--b\n: form-data; name=\"field\"\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Header),
        ),
        row(
            "CR_in_header",
            "--b\nContent-␍isposition: form-data; name=\"field\"\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Header),
        ),
        row(
            "CRLF_in_header",
            "--b\nContent-\nisposition: form-data; name=\"field\"\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Header),
        ),
        row(
            "CR_in_header_value",
            "--b\n{form-data}; n␍me=\"field\"\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Header),
        ),
        row(
            "bad_content_disposition: it names nothing",
            "--b\n{form-data};\nContent-Type: text/plain\n\ntext\n--b--\n",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Disposition),
        ),
        row(
            "multipart_header_count_limit: more than its eight headers",
            "--b\n{form-data}; name=\"field\"\nX: 1\nX: 2\nX: 3\nX: 4\nX: 5\nX: 6\nX: 7\nX: 8\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::Reads(&[("field", None, "text")], HEADER_LIMIT),
        ),
        row(
            "preamble_before_first_boundary",
            "\nignored preamble\n--b\n{form-data}; name=\"field\"\n\ntext\n--b--",
            FIELD,
            Ours::Same,
        ),
        row(
            "data_after_last_boundary: its line goes on",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--b-----\n",
            FIELD,
            Ours::Stricter(Broken::Boundary, RFC_2046),
        ),
        row(
            "ignores_epilogue: something like a part in it",
            "--b\n{form-data}; name=\"field\"\n\ntext\n--b--\n--b\nthis is not a header\n\nnot a part",
            FIELD,
            Ours::Same,
        ),
        row(
            "quoted_param_with_semicolon, quoted_param_with_escapes",
            "--b\n{form-data}; name=\"a;b;\\\"c\\\"\"\n\ntext\n--b--",
            Theirs::Reads(&[("a;b;\"c\"", None, "text")]),
            Ours::Same,
        ),
        row(
            "handles_ie6_bug: a path as the name of a file",
            "--b\n{form-data}; name=\"file\"; filename=\"C:\\this\\is\\a.txt\"\n\ntext\n--b--",
            FILE,
            Ours::Reads(
                &[("file", Some("C:\\this\\is\\a.txt"), "text")],
                "the API echoes names as they were sent, and never uses one as a path",
            ),
        ),
        row(
            "plain_param_authoritative_over_extended, ignores_rfc_2231_extended_param",
            "--b\n{form-data}; name=\"field\"; name*=utf-8''other; filename*=utf-8''b.txt\n\ntext\n--b--",
            FIELD,
            Ours::Same,
        ),
        row(
            "ignores_rfc_2231_continuation_filename",
            "--b\n{form-data}; name=\"field\"; filename*0=\"a\"; filename*1=\"b.txt\"\n\ntext\n--b--",
            FIELD,
            Ours::Same,
        ),
    ]
}

fn werkzeug() -> Vec<Row> {
    vec![
        row(
            "decoder_simple, with its boundary that ends in $, and an epilogue of spaces",
            "\n--b$\n{form-data}; name=\"one\"\n\nß∑œß\n\
             --b$\n{form-data}; name=\"two\"; filename=\"bob\"\n\ntext\n--b$--\n    ",
            Theirs::Reads(&[("one", None, "ß∑œß"), ("two", Some("bob"), "text")]),
            Ours::Same,
        )
        .bounded_by("b$"),
        row(
            "empty_field: its boundary follows the empty line at once",
            "--b\n{form-data}; name=\"one\"\nContent-Type: text/plain; charset=\"UTF-8\"\n\ntext\n\
             --b\n{form-data}; name=\"empty\"\nContent-Type: text/plain; charset=\"UTF-8\"\n\n--b--\n    ",
            Theirs::Reads(&[("one", None, "text"), ("empty", None, "")]),
            Ours::Same,
        ),
        row(
            "data_start_with_different_newline_positions: line breaks of all kinds at both ends",
            "\n--b\n{form-data}; name=\"one\"; filename=\"a\"\n\n␊\nBCDE\n\
             --b\n{form-data}; name=\"two\"; filename=\"a\"\n\n␊␍\nBCDE\n\
             --b\n{form-data}; name=\"three\"; filename=\"a\"\n\nA␊␍\nBCDE␍\n--b--",
            Theirs::Reads(&[
                ("one", Some("a"), "␊\nBCDE"),
                ("two", Some("a"), "␊␍\nBCDE"),
                ("three", Some("a"), "A␊␍\nBCDE␍"),
            ]),
            Ours::Same,
        ),
        row(
            "chunked_boundaries",
            "---boundary\n{form-data};name=\"field\"\n\nlonger than the boundary, with a line\n--\n\
             ---boundary--\n",
            Theirs::Reads(&[("field", None, "longer than the boundary, with a line\n--")]),
            Ours::Same,
        )
        .bounded_by("-boundary"),
        row(
            "chunk_split_on_line_break_before_epilogue, parse_form_post_data_trailing_CR",
            "--b\n{form-data}; name=field\n\n␍␍␍␍␊␍␍␍␍␊yyyy\n␍␍␍␊xxx␍␍\n--b--",
            Theirs::Reads(&[("field", None, "␍␍␍␍␊␍␍␍␍␊yyyy\n␍␍␍␊xxx␍␍")]),
            Ours::Same,
        ),
        row(
            "basic (firefox, opera, webkit): two binary files and a text",
            "--b\n{form-data}; name=\"file1\"; filename=\"1.png\"\nContent-Type: image/png\n\n\
             PNG\n␀␀␀␊␍␊␍\nIEND\n\
             --b\n{form-data}; name=\"file2\"; filename=\"2.png\"\nContent-Type: image/png\n\n␀␀\n\
             --b\n{form-data}; name=\"text\"\n\ntext with ümläüts\n--b--\n",
            Theirs::Reads(&[
                ("file1", Some("1.png"), "PNG\n␀␀␀␊␍␊␍\nIEND"),
                ("file2", Some("2.png"), "␀␀"),
                ("text", None, "text with ümläüts"),
            ]),
            Ours::Same,
        ),
        row(
            "basic (firefox3-2pnglongtext): lines that look like boundaries",
            "--b\n{form-data}; name=\"text\"\n\n--long text\n--with a boundary\n--lookalikes--\n--b--\n",
            Theirs::Reads(&[("text", None, "--long text\n--with a boundary\n--lookalikes--")]),
            Ours::Same,
        ),
        row(
            "ie7_unc_path: lines that end with a line feed alone",
            "--b␊{form-data}; name=\"field\"␊␊text␊--b--␊",
            FIELD,
            Ours::Stricter(Broken::Boundary, CRLF_ONLY),
        ),
        row(
            "nonstandard_line_endings: line feeds",
            "--b␊{form-data}; name=one␊␊1␊--b␊{form-data}; name=two␊␊2␊--b--",
            Theirs::Reads(&[("one", None, "1"), ("two", None, "2")]),
            Ours::Stricter(Broken::Boundary, CRLF_ONLY),
        ),
        row(
            "nonstandard_line_endings: carriage returns",
            "--b␍{form-data}; name=one␍␍1␍--b␍{form-data}; name=two␍␍2␍--b--",
            Theirs::Reads(&[("one", None, "1"), ("two", None, "2")]),
            Ours::Stricter(Broken::CutOff, CRLF_ONLY),
        ),
        row(
            "premature_end_of_file: it drops what has no end, and says nothing",
            "--b\n{form-data}; name=\"file\"; filename=\"a.txt\"\n\ntext and no end",
            Theirs::Reads(&[]),
            Ours::Stricter(
                Broken::CutOff,
                "a truncated upload must never become a success, not even an empty one",
            ),
        ),
        row(
            "file_no_content_type",
            "--b\n{form-data}; name=\"file\"; filename=\"a.txt\"\n\ntext\n--b--",
            FILE,
            Ours::Same,
        ),
        row("extra_newline", "\n\n--b\n{form-data}; name=\"field\"\n\ntext\n--b--", FIELD, Ours::Same),
        row(
            "headers",
            "--b\n{form-data}; name=\"file\"; filename=\"a.txt\"\nX-Custom-Header: blah\n\
             Content-Type: text/plain; charset=utf-8\n\ntext\n--b--",
            FILE,
            Ours::Same,
        ),
        row(
            "failures: no headers",
            "--b\n\ntext\n--b--",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::Dispositions(0)),
        ),
        row(
            "failures: no last boundary",
            "--b\n{form-data}; name=field\n\ntext\n",
            Theirs::Refuses,
            Ours::RefusesToo(Broken::CutOff),
        ),
        row(
            "limiting, without limits: a disposition that is not form-data",
            "--b\nContent-Disposition: form-field; name=field\n\ntext\n--b--",
            FIELD,
            Ours::Stricter(
                Broken::Disposition,
                "RFC 7578 (4.2): the disposition type of a part is form-data",
            ),
        ),
        row("empty_multipart", "--b--", Theirs::Reads(&[]), Ours::Same),
        row(
            "file_rfc2231_filename_continuations: a header on several lines, and a name in pieces",
            "--b\nContent-Type: text/plain; charset=utf-8\n{form-data}; name=file;\n\
             \tfilename*0*=ascii''a%20b%20;\n\tfilename*1=\"c.txt\"\n\ntext\n--b--",
            Theirs::Reads(&[("file", Some("a b c.txt"), "text")]),
            Ours::Stricter(
                Broken::Header,
                "RFC 9112 (5.2) ends continued lines; and RFC 7578 (4.2) forbids extended names in forms, which we ignore",
            ),
        ),
        row(
            "multipart_max_form_memory_size: more than its limit of ten bytes",
            "--b\n{form-data}; name=a\n\naaaaaaaaaaaaaaa\n--b--",
            Theirs::Refuses,
            Ours::Reads(
                &[("a", None, "aaaaaaaaaaaaaaa")],
                "our limit is higher: 64 KB a field, which the upload checks",
            ),
        ),
    ]
}

#[test]
fn python_multiparts_cases_agree_or_differ_for_a_reason() {
    check(&python_multipart());
}

#[test]
fn werkzeugs_cases_agree_or_differ_for_a_reason() {
    check(&werkzeug());
}
