//! Variables that stand above the file, key by key: `INGESTER_SERVICE_SERVE` is `serve` in `[service]`. An empty one takes the
//! key away.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::file::{Problem, Tables};
use crate::error::Error;

/// A variable, and the table and key in whose place it stands.
struct Override {
    variable: &'static str,
    table: &'static str,
    key: &'static str,
    /// Whether its text is the value itself, or TOML, like `[200, 201]`.
    is_text: bool,
}

const fn text(variable: &'static str, table: &'static str, key: &'static str) -> Override {
    Override { variable, table, key, is_text: true }
}

const fn toml(variable: &'static str, table: &'static str, key: &'static str) -> Override {
    Override { variable, table, key, is_text: false }
}

const OVERRIDES: [Override; 26] = [
    text("INGESTER_SERVICE_URL", "service", "url"),
    text("INGESTER_SERVICE_BUILD", "service", "build"),
    text("INGESTER_SERVICE_SERVE", "service", "serve"),
    text("INGESTER_SERVICE_READY", "service", "ready"),
    text("INGESTER_SERVICE_READY_TIMEOUT", "service", "ready_timeout"),
    toml("INGESTER_SERVICE_ENV", "service", "env"),
    text("INGESTER_SERVICE_DIR", "service", "dir"),
    toml("INGESTER_SERVICE_KEEP", "service", "keep"),
    text("INGESTER_SERVICE_RESTART", "service", "restart"),
    text("INGESTER_SERVICE_LOG", "service", "log"),
    text("INGESTER_API_METHOD", "api", "method"),
    text("INGESTER_API_PATH", "api", "path"),
    text("INGESTER_API_BODY", "api", "body"),
    text("INGESTER_API_FILE_FIELD", "api", "file_field"),
    toml("INGESTER_API_FIELDS", "api", "fields"),
    toml("INGESTER_API_HEADERS", "api", "headers"),
    text("INGESTER_API_TOKEN", "api", "token"),
    toml("INGESTER_API_SUCCESS", "api", "success"),
    text("INGESTER_API_SIZE", "api", "size"),
    text("INGESTER_API_CHECKSUM", "api", "checksum"),
    text("INGESTER_API_CHECKSUM_ALGORITHM", "api", "checksum_algorithm"),
    text("INGESTER_API_CHECKSUM_ENCODING", "api", "checksum_encoding"),
    text("INGESTER_API_CHECKSUM_PREFIX", "api", "checksum_prefix"),
    text("INGESTER_API_ID", "api", "id"),
    text("INGESTER_CLEANUP_METHOD", "cleanup", "method"),
    text("INGESTER_CLEANUP_PATH", "cleanup", "path"),
];

/// Set to `none`, it leaves the whole table `[service]` out, for a worker that is to measure what it brings itself.
pub const SERVICE: &str = "INGESTER_SERVICE";
/// That value.
pub const NONE: &str = "none";

/// The tables of a file that was read before, with the variables of this process above them.
pub fn apply(text: &str) -> Result<Tables, Error> {
    apply_from(text, |name| std::env::var(name).ok())
}

fn apply_from(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Tables, Error> {
    let mut root: Table = text.parse().expect("the file was read before");
    // Limits are read elsewhere.
    root.remove("targets");
    let without_service = lookup(SERVICE).is_some_and(|text| text == NONE);
    if without_service {
        root.remove("service");
    }
    for Override { variable, table, key, is_text } in OVERRIDES {
        let Some(given) = lookup(variable) else { continue };
        if without_service && table == "service" {
            continue;
        }
        if given.trim().is_empty() {
            // A table that has lost its last key says no more than one that was never there.
            let of_table = root.get_mut(table).and_then(Value::as_table_mut);
            let is_empty = of_table.is_some_and(|of_table| {
                of_table.remove(key);
                of_table.is_empty()
            });
            if is_empty {
                root.remove(table);
            }
            continue;
        }
        // A variable may begin a table that the file does not have.
        let of_table = root.entry(table).or_insert_with(|| Value::Table(Table::new()));
        let of_table = of_table.as_table_mut().expect("the file was read before");
        let value = if is_text {
            Value::String(given)
        } else {
            parsed(&given).map_err(|problem| wrong(variable, problem))?
        };
        of_table.insert(key.to_owned(), value);
        // One after the other, so that it is clear which of them is wrong.
        if let Err(error) = Tables::deserialize(root.clone()) {
            return Err(wrong(variable, error.message().to_owned()));
        }
    }
    Ok(Tables::deserialize(root).expect("it was right after every step"))
}

fn wrong(variable: &'static str, problem: String) -> Error {
    Error::Setting { name: variable, problem }
}

/// A value in TOML.
fn parsed(text: &str) -> Result<Value, String> {
    let parsed: Result<Table, _> = format!("value = {text}").parse();
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    // The text is not quoted: it may hold a secret, as headers do.
    value.ok_or_else(|| "is not a value in TOML, like [200, 201] or { name = \"value\" }".to_owned())
}

/// An error of the variable that stands above a key, or else of the file.
pub fn blame(path: &Path, problem: &Problem) -> Error {
    for Override { variable, table, key, .. } in OVERRIDES {
        let is_set = std::env::var(variable).is_ok_and(|text| !text.trim().is_empty());
        if (table, key) == (problem.table.0, problem.key) && is_set {
            return Error::Setting { name: variable, problem: problem.what.clone() };
        }
    }
    Error::malformed(path, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(text: &str, variable: &str, value: &str) -> Result<Tables, String> {
        let tables = apply_from(text, |name| if name == variable { Some(value.to_owned()) } else { None });
        tables.map_err(|e| e.to_string())
    }

    #[test]
    fn a_variable_stands_above_its_key() {
        let text = "[service]\nserve = \"old\"\ndir = \"here\"\n";
        let service =
            apply(text, "INGESTER_SERVICE_SERVE", "new").expect("is fine").service.expect("is there");
        assert_eq!((service.serve.as_deref(), service.dir.as_deref()), (Some("new"), Some("here")));
        let service = apply(text, "INGESTER_SERVICE_SERVE", "").expect("is fine").service.expect("is there");
        assert_eq!(service.serve, None);
        let api = apply("", "INGESTER_API_SUCCESS", "[200]").expect("is fine").api.expect("is there");
        assert_eq!(api.success, Some(vec![200]));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = apply("", "INGESTER_API_BODY", "form").expect_err("is wrong");
        assert!(error.starts_with("INGESTER_API_BODY: unknown variant `form`"), "{error}");
        let error = apply("", "INGESTER_API_SUCCESS", "all").expect_err("is wrong");
        assert!(error.starts_with("INGESTER_API_SUCCESS: is not a value in TOML"), "{error}");
        let error = apply("", "INGESTER_API_HEADERS", "{ X = hush }").expect_err("is wrong");
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn an_empty_variable_begins_no_table_and_ends_one_that_has_nothing_left() {
        assert!(apply("", "INGESTER_API_TOKEN", "").expect("is fine").api.is_none());
        let cleanup = "[cleanup]\npath = \"/{id}\"\n";
        assert!(apply(cleanup, "INGESTER_CLEANUP_PATH", "").expect("is fine").cleanup.is_none());
    }

    #[test]
    fn the_service_can_be_left_out_as_a_whole() {
        let text = "[service]\nserve = \"x\"\nready_timeout = \"9s\"\n";
        assert!(apply(text, SERVICE, NONE).expect("is fine").service.is_none());
        assert!(apply(text, SERVICE, "").expect("is fine").service.is_some());
    }

    #[test]
    fn every_variable_stands_above_a_key_that_there_is() {
        for Override { variable, table, key, is_text } in OVERRIDES {
            // A wrong type is told as such; a key that there is not would be told otherwise.
            let error = apply("", variable, if is_text { "x" } else { "1979-05-27" });
            let unknown = error.is_err_and(|error| error.contains("unknown field"));
            assert!(!unknown, "{table}.{key}");
        }
    }
}
