//! The command that repeats a run: what was typed and set, as a shell takes it, without secrets.

use crate::api::Secret;
use crate::auth::Redactor;
use crate::units::printable;

/// What people type.
const PROGRAM: &str = "ingester-perf";
/// What the names of all variables begin with.
const PREFIX: &str = "INGESTER_";
/// The same of those that this program sets for its own processes.
const OWN: &str = "INGESTER_PERF_";
/// Variables whose values are shown: none of them can hold a secret once a run has begun. A URL with a password in it is
/// refused, and so is a token where the name of its file belongs.
const SHOWN: [&str; 12] = [
    "INGESTER_CONFIG",
    "INGESTER_EVEN_IF_FAILING",
    "INGESTER_FAULTS",
    "INGESTER_MAX_BYTES",
    "INGESTER_NETWORK",
    "INGESTER_PLACEMENT",
    "INGESTER_REPORT_DIR",
    "INGESTER_STORAGE",
    "INGESTER_TARGETS",
    "INGESTER_TIMEOUT",
    "INGESTER_TOKEN_FILE",
    "INGESTER_URL",
];
/// Variables that are secrets, and may be repeated in what is shown.
const SECRETS: [&str; 2] = ["INGESTER_TOKEN", "INGESTER_CLIENT_SECRET"];
/// A key may be given by its file's name, or itself.
const PRIVATE_KEY: &str = "INGESTER_PRIVATE_KEY";
/// Flag in place of that variable.
const PRIVATE_KEY_FLAG: &str = "--private-key";
/// What is in a key and in no name of a file.
const BEGINS: &str = "-----BEGIN";
/// Flags whose values may hold a password, with what stands for these: a command of the user's own, and a URL with a user.
const HIDDEN: [[&str; 2]; 2] = [["--cleanup", "\"$CLEANUP\""], ["--push-url", "\"$PUSH_URL\""]];

/// A variable of the environment.
struct Variable {
    name: String,
    value: String,
}

/// The command that repeats what this process was asked to do. `secrets` are those of the service's API.
pub(super) fn command(secrets: &[Secret]) -> String {
    let mut variables = Vec::new();
    // Read as they were typed and set: what was made of them would be as right, and nobody would know it again.
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && !name.starts_with(OWN) {
            variables.push(Variable { name, value: value.to_string_lossy().into_owned() });
        }
    }
    let mut arguments = Vec::new();
    for argument in std::env::args_os().skip(1) {
        arguments.push(argument.to_string_lossy().into_owned());
    }
    shell_command(&arguments, variables, secrets)
}

fn shell_command(arguments: &[String], mut variables: Vec<Variable>, secrets: &[Secret]) -> String {
    let redactor = redactor(&variables, secrets);
    // The system keeps them in any order.
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    let mut words = Vec::new();
    for Variable { name, value } in &variables {
        let is_shown = SHOWN.contains(&name.as_str());
        // The others have to be set when it is repeated; the shell says so by name.
        let value = if is_shown { quoted(&redactor.clean(value)) } else { format!("\"${name}\"") };
        words.push(format!("{name}={value}"));
    }
    words.push(PROGRAM.to_owned());
    let mut arguments = arguments.iter();
    // The value of a flag may be the next argument, or behind an equals sign.
    while let Some(argument) = arguments.next() {
        words.push(word(argument, &redactor));
        if let Some(value) = stand_in(argument)
            && arguments.next().is_some()
        {
            words.push(value.to_owned());
        }
    }
    printable(&words.join(" "))
}

/// Recognises what must not be shown wherever it is repeated.
fn redactor(variables: &[Variable], secrets: &[Secret]) -> Redactor {
    let mut hidden: Vec<&str> = secrets.iter().map(Secret::as_str).collect();
    for Variable { name, value } in variables {
        // Not the name of a key's file: half of all paths would seem to repeat it.
        let is_key = name == PRIVATE_KEY && value.contains(BEGINS);
        if is_key || SECRETS.contains(&name.as_str()) {
            hidden.push(value);
        }
    }
    Redactor::of_all(hidden)
}

/// What stands for the value of this flag, if that must not be shown.
fn stand_in(flag: &str) -> Option<&'static str> {
    for [hidden, value] in HIDDEN {
        if hidden == flag {
            return Some(value);
        }
    }
    None
}

/// An argument as a shell takes it.
fn word(argument: &str, redactor: &Redactor) -> String {
    if let Some((flag, _)) = argument.split_once('=')
        && let Some(value) = stand_in(flag)
    {
        return format!("{flag}={value}");
    }
    if argument.contains(BEGINS) {
        let flag = if argument.starts_with(PRIVATE_KEY_FLAG) { "--private-key=" } else { "" };
        return format!("{flag}\"${PRIVATE_KEY}\"");
    }
    quoted(&redactor.clean(argument))
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c));
    if is_plain && !text.is_empty() {
        return text.to_owned();
    }
    // Within single quotes only a single quote means something.
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";

    fn command_of(arguments: &[&str], variables: &[[&str; 2]]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut set = Vec::new();
        for [name, value] in variables {
            set.push(Variable { name: (*name).to_owned(), value: (*value).to_owned() });
        }
        shell_command(&arguments, set, &[Secret::new("hush-hush-hush")])
    }

    #[test]
    fn what_was_typed_and_set_is_quoted_for_a_shell() {
        let said = command_of(
            &["load", "--users", "10", "--name", "it's mine", "--mix", "10KB=9,10MB=1"],
            &[["INGESTER_URL", "http://h:8020/a b"], ["INGESTER_NETWORK", "lte"]],
        );
        let expected = "INGESTER_NETWORK=lte INGESTER_URL='http://h:8020/a b' ingester-perf load --users 10 --name \
                        'it'\\''s mine' --mix 10KB=9,10MB=1";
        assert_eq!(said, expected);
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn secrets_have_to_be_set_again() {
        let said = command_of(
            &["load", "--cleanup", "curl -u me:pa55word h", "--users", "1"],
            &[["INGESTER_TOKEN", TOKEN], ["INGESTER_API_HEADERS", "{X-Key = 's3cret'}"]],
        );
        let expected = "INGESTER_API_HEADERS=\"$INGESTER_API_HEADERS\" INGESTER_TOKEN=\"$INGESTER_TOKEN\" ingester-perf load \
                        --cleanup \"$CLEANUP\" --users 1";
        assert_eq!(said, expected);
        let joined = command_of(&["load", "--cleanup=rm s3cret"], &[]);
        assert_eq!(joined, "ingester-perf load --cleanup=\"$CLEANUP\"");
        for pushed in
            [&["--push-url", "http://me:pa55word@h/write"][..], &["--push-url=http://me:pa55word@h/write"]]
        {
            let said = command_of(&[&["load"][..], pushed].concat(), &[]);
            assert!(said.ends_with("\"$PUSH_URL\"") && !said.contains("pa55word"), "{said}");
        }
    }

    #[test]
    fn a_key_in_an_argument_and_a_secret_repeated_are_not_shown() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n";
        let apart = command_of(&["load", "--private-key", pem], &[]);
        assert_eq!(apart, "ingester-perf load --private-key \"$INGESTER_PRIVATE_KEY\"");
        let joined = command_of(&["load", &format!("--private-key={pem}")], &[]);
        assert_eq!(joined, "ingester-perf load --private-key=\"$INGESTER_PRIVATE_KEY\"");
        // In whatever argument a part of the token, or a secret of the API, is repeated.
        let variables = [["INGESTER_TOKEN", TOKEN], ["INGESTER_STORAGE", "dir:/hush-hush-hush"]];
        let repeated = command_of(&["load", "--name", &TOKEN[..30]], &variables);
        assert!(!repeated.contains(&TOKEN[..12]) && !repeated.contains("hush-hush"), "{repeated}");
        assert!(repeated.contains("INGESTER_STORAGE='[redacted"), "{repeated}");
    }

    #[test]
    fn control_characters_cannot_rule_a_terminal() {
        assert!(command_of(&["load", "--name", "\u{1b}[2J"], &[]).ends_with(r"'\u{1b}[2J'"));
    }
}
