//! Keeps what a service repeats of a token out of messages and reports, however it is written.

use std::collections::HashSet;
use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// From this length on, a part of a secret says something.
const TELLING: usize = 12;
/// A shorter secret would be found in every other text.
const SHORTEST: usize = 6;
/// Runs of more digits than this hold a telling part by themselves.
const GROUP: usize = 2 * (TELLING - 1);
/// What stands for a text that repeats a secret.
const REDACTED: &str = "[redacted: it repeats a part of the token]";
/// A service that cuts base64 anywhere leaves bits over at the end.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Recognises parts of secrets in a text. To be shared, as it holds every part of them.
pub struct Redactor {
    /// Every run of [`TELLING`] characters of the secret.
    parts: HashSet<Vec<u8>>,
    /// Every such run of its letters and digits only, in lower case.
    letters: HashSet<Vec<u8>>,
    /// Secrets that are too short to have telling parts: they are recognised as a whole.
    short: Vec<Vec<u8>>,
}

impl Redactor {
    /// For this secret.
    pub fn of(secret: &str) -> Self {
        Self::of_all([secret])
    }

    /// For all of these secrets.
    pub fn of_all<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut redactor = Self { parts: HashSet::new(), letters: HashSet::new(), short: Vec::new() };
        for secret in secrets.into_iter().map(str::as_bytes) {
            if (SHORTEST..TELLING).contains(&secret.len()) {
                redactor.short.push(secret.to_vec());
            }
            redactor.parts.extend(runs(secret));
            redactor.letters.extend(runs(&letters(secret)));
        }
        redactor
    }

    /// The text, or what stands for it if it repeats a part of the secret: as it is, with other characters between, in
    /// another case, backwards, or in one of the encodings that services use.
    pub fn clean(&self, text: &str) -> String {
        let repeats = decodings(text).iter().any(|decoded| self.is_repeated_in(decoded));
        if repeats { REDACTED.to_owned() } else { text.to_owned() }
    }

    fn is_repeated_in(&self, decoded: &[u8]) -> bool {
        decoded.windows(TELLING).any(|run| self.parts.contains(run))
            || letters(decoded).windows(TELLING).any(|run| self.letters.contains(run))
            || self.short.iter().any(|secret| decoded.windows(secret.len()).any(|run| run == secret))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor([redacted])")
    }
}

/// Every run of [`TELLING`] of these.
fn runs(bytes: &[u8]) -> HashSet<Vec<u8>> {
    bytes.windows(TELLING).map(<[u8]>::to_vec).collect()
}

/// Letters and digits, in lower case: whatever stands between them is the writer's.
fn letters(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
}

/// What the text may mean.
fn decodings(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut reversed = bytes.to_vec();
    reversed.reverse();
    let mut found = vec![
        bytes.to_vec(),
        reversed,
        // %41 and %u0041 (URLs), =41 (quoted-printable), \x41 and \101 (many languages), \u0041 (JSON), \u{41} (Rust,
        // JavaScript), &#65; and &#x41; (HTML).
        escaped(bytes, b"%", 16, 2),
        escaped(bytes, b"%u", 16, 4),
        escaped(bytes, b"=", 16, 2),
        escaped(bytes, b"\\x", 16, 2),
        escaped(bytes, b"\\", 8, 3),
        escaped(bytes, b"\\u", 16, 4),
        escaped(bytes, b"\\u{", 16, 6),
        escaped(bytes, b"&#x", 16, 6),
        escaped(bytes, b"&#", 10, 7),
    ];
    found.extend(numbers(text));
    let mut bytes_apart = String::new();
    for run in text.split(|c: char| !c.is_ascii_hexdigit()) {
        // The run may begin in the middle of a byte, so it is read from its second digit as well.
        found.extend([hex(run), hex(run.get(1..).unwrap_or_default())]);
        // 65:79:4A, as fingerprints are written, and 6579 4a68, as dumps are.
        if run.len() <= GROUP && run.len().is_multiple_of(2) {
            bytes_apart.push_str(run);
        }
    }
    found.push(hex(&bytes_apart));
    for run in text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c))) {
        // The run may begin anywhere within four characters of base64.
        found.extend((0..4).filter_map(|skipped| base64(run.get(skipped..)?)));
    }
    found
}

/// The text with escapes of this kind decoded: `mark`, then up to `most` digits.
fn escaped(bytes: &[u8], mark: &[u8], radix: u32, most: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if let Some(digits) = rest.strip_prefix(mark) {
            let len = digits.iter().take(most).take_while(|byte| (**byte as char).is_digit(radix)).count();
            let number = std::str::from_utf8(&digits[..len]).ok();
            if let Some(code) = number.and_then(|number| u32::from_str_radix(number, radix).ok()) {
                // A code above 255 is not one of a token's characters: nothing takes its place.
                decoded.extend(u8::try_from(code));
                rest = &digits[len..];
                continue;
            }
        }
        decoded.push(first);
        rest = after;
    }
    decoded
}

/// Decimal codes with something between them, as debuggers print bytes: `[97, 98, 99]`.
fn numbers(text: &str) -> Option<Vec<u8>> {
    let numbers: Vec<u8> =
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    if numbers.len() >= TELLING { Some(numbers) } else { None }
}

fn hex(run: &str) -> Vec<u8> {
    let digits: Vec<u32> = run.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).filter_map(|pair| u8::try_from(16 * pair[0] + pair[1]).ok()).collect()
}

fn base64(run: &str) -> Option<Vec<u8>> {
    let standard = run.replace('-', "+").replace('_', "/");
    // One character alone at the end decodes to nothing.
    let whole = if standard.len() % 4 == 1 { &standard[..standard.len() - 1] } else { &standard };
    GeneralPurpose::new(&STANDARD, LENIENT).decode(whole).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};

    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSIsImV4cCI6OTk5OX0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";

    fn each(text: &str, of: impl Fn(u8) -> String) -> String {
        each_of(text.as_bytes(), of)
    }

    fn each_of(bytes: &[u8], of: impl Fn(u8) -> String) -> String {
        bytes.iter().map(|byte| of(*byte)).collect()
    }

    /// As dumps are written: so many bytes together.
    fn in_groups(text: &str, of: usize) -> String {
        text.as_bytes().chunks(of).map(|group| each_of(group, |b| format!("{b:02x}")) + " ").collect()
    }

    #[test]
    fn twelve_characters_are_a_part_though_few_of_them_are_letters() {
        // `ab-_c-_d-_e-` has twelve characters, and only five letters.
        let redactor = Redactor::of("eyJhbGci.ab-_c-_d-_e-_f");
        assert_eq!(redactor.clean("it was ab-_c-_d-_e-"), REDACTED);
        assert_eq!(redactor.clean("it was b-_c-_d"), "it was b-_c-_d");
    }

    #[test]
    fn a_part_of_a_token_is_recognised_however_it_is_written() {
        let redactor = Redactor::of(TOKEN);
        for part in [TOKEN, &TOKEN[..40], &TOKEN[TOKEN.len() - 30..], &TOKEN[30..46]] {
            let written = [
                part.to_owned(),
                part.to_uppercase(),
                part.chars().rev().collect(),
                each(part, |b| format!("%{b:02X}")),
                each(part, |b| format!("={b:02x}")),
                each(part, |b| format!("\\x{b:02x}")),
                each(part, |b| format!("\\u{b:04x}")),
                each(part, |b| format!("\\u{{{b:x}}}")),
                each(part, |b| format!("%u{b:04x}")),
                each(part, |b| format!("\\{b:03o}")),
                in_groups(part, 2),
                in_groups(part, 4),
                in_groups(part, 8),
                in_groups(part, 11),
                each(part, |b| format!("&#{b};")),
                each(part, |b| format!("&#x{b:X};")),
                each(part, |b| format!("{b:02x}")),
                each(part, |b| format!("{b:02X}:")),
                each(part, |b| format!("{b}, ")),
                each(part, |b| format!("{} ", b as char)),
                BASE64.encode(part),
                URL_SAFE_NO_PAD.encode(part),
                // One or two bytes in front shift all that follows within the groups of base64.
                BASE64.encode(format!("a{part}")),
                BASE64.encode(format!("ab{part}")),
                part.as_bytes().chunks(8).map(|chunk| String::from_utf8_lossy(chunk) + "\r\n").collect(),
            ];
            for text in written {
                let said = redactor.clean(&format!("bad token: {text} (see the manual)"));
                assert_eq!(said, REDACTED, "{text}");
            }
        }
    }

    #[test]
    fn what_has_nothing_of_the_token_stays_as_it_is() {
        let redactor = Redactor::of(TOKEN);
        for text in [
            "",
            "no storage element is available; retry in 30 s",
            // Ten characters are too few to tell anything.
            &TOKEN[..10],
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "{\"detail\": [{\"loc\": [\"body\", \"file\"], \"msg\": \"field required\"}]}",
            "%zz &#; \\u \\x == ====",
        ] {
            assert_eq!(redactor.clean(text), text);
        }
    }

    #[test]
    fn a_short_secret_has_no_telling_part() {
        assert_eq!(Redactor::of("a.b.c").clean("a.b.c"), "a.b.c");
    }

    #[test]
    fn a_short_secret_is_found_as_a_whole() {
        let redactor = Redactor::of_all(["hush-1", "header.payload.signature"]);
        assert_eq!(redactor.clean("bad key hush-1!"), REDACTED);
        assert_eq!(redactor.clean("bad key hush-2!"), "bad key hush-2!");
        assert_eq!(Redactor::of_all(["abcde"]).clean("abcde"), "abcde");
    }
}
