//! The tables of the file, read as they stand, and where in it each key is.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, Deserializer};
use toml::{Spanned, Value};

use crate::api::{Algorithm, Encoding};
use crate::case::Suite;
use crate::targets::Targets;

/// The key whose table has a form of its own.
const TARGETS: &str = "targets";

/// All tables but that of the limits.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    pub service: Option<ServiceTable>,
    pub api: Option<ApiTable>,
    pub cleanup: Option<CleanupTable>,
    pub case: Option<Vec<CaseTable>>,
    pub flow: Option<FlowTable>,
}

/// `[service]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTable {
    pub url: Option<String>,
    pub build: Option<String>,
    pub serve: Option<String>,
    pub ready: Option<String>,
    pub ready_timeout: Option<String>,
    pub env: Option<BTreeMap<String, String>>,
    pub dir: Option<String>,
    pub keep: Option<Vec<String>>,
    pub restart: Option<String>,
    pub log: Option<String>,
}

/// `[api]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTable {
    pub method: Option<String>,
    pub path: Option<String>,
    pub body: Option<BodyKind>,
    pub file_field: Option<String>,
    pub fields: Option<BTreeMap<String, String>>,
    pub headers: Option<BTreeMap<String, String>>,
    pub token: Option<String>,
    pub success: Option<Vec<u16>>,
    pub size: Option<String>,
    pub checksum: Option<String>,
    pub checksum_algorithm: Option<Algorithm>,
    pub checksum_encoding: Option<Encoding>,
    pub checksum_prefix: Option<String>,
    pub id: Option<String>,
}

/// How a file is put into the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    Multipart,
    Raw,
}

/// `[cleanup]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanupTable {
    pub method: Option<String>,
    pub path: Option<String>,
}

/// `[[case]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTable {
    pub group: String,
    pub name: String,
    pub operation: Option<String>,
    pub file_size: Option<String>,
    pub mix: Option<String>,
    pub users: Option<u32>,
    pub requests: Option<u64>,
}

/// `[flow]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowTable {
    pub step: Option<Vec<StepTable>>,
}

/// `[[flow.step]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepTable {
    pub name: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub body: Option<String>,
    pub success: Option<Vec<u16>>,
    pub take: Option<BTreeMap<String, String>>,
    pub until: Option<UntilTable>,
    pub every: Option<String>,
    pub timeout: Option<String>,
    pub compare: Option<bool>,
}

/// `until` of a step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UntilTable {
    pub status: Option<u16>,
    pub pointer: Option<String>,
    pub equals: Option<Value>,
    pub fails: Option<Value>,
}

/// A value that cannot be used, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The table, with dots where it stands in another one, and for one of several its place among them.
    pub table: (&'static str, usize),
    /// The key in it.
    pub key: &'static str,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl Problem {
    /// Of a key in a table that is there once.
    pub fn new(table: &'static str, key: &'static str, what: impl fmt::Display) -> Self {
        Self { table: (table, 0), key, what: what.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}: {}", self.table.0, self.key, self.what)
    }
}

/// The file with the place of every key.
#[derive(Debug)]
pub struct Located<'a> {
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Located<'a> {
    /// Reads it as TOML.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { text, root }),
            Err(error) => {
                let line = line_of(text, error.span().map_or(0, |span| span.start));
                Err(format!("line {line}: {}", error.message()))
            }
        }
    }

    /// The tables. An error names the line and the key.
    pub fn file(&self) -> Result<Tables, String> {
        // The limits have a reader of their own, as their keys are the operations of the cases.
        let mut root = self.root.clone();
        root.get_mut().remove(TARGETS);
        self.read(root)
    }

    /// The tables of another file than that of the service. An error names the line and the key.
    pub fn tables<T: DeserializeOwned>(&self) -> Result<T, String> {
        self.read(self.root.clone())
    }

    fn read<T: DeserializeOwned>(&self, root: Spanned<DeTable<'a>>) -> Result<T, String> {
        T::deserialize(Deserializer::from(root)).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let key = key_at(self.root.get_ref(), &span).map(|key| format!("{key}: ")).unwrap_or_default();
            format!("line {}: {key}{}", line_of(self.text, span.start), error.message())
        })
    }

    /// The limits, if the file has some.
    pub fn targets(&self, suite: &Suite) -> Result<Option<Targets>, String> {
        let Some(targets) = self.root.get_ref().get(TARGETS) else { return Ok(None) };
        let DeValue::Table(table) = targets.get_ref() else {
            let line = line_of(self.text, targets.span().start);
            return Err(format!("line {line}: {TARGETS}: must be a table of limits, [{TARGETS}.OPERATION]"));
        };
        let read = suite.read_targets(self.text, table.clone());
        read.map(Some).map_err(|e| format!("line {}: {TARGETS}.{}", e.line, e.problem))
    }

    /// The problem with the line on which its key stands, or else its table.
    pub fn at(&self, problem: &Problem) -> String {
        format!("line {}: {problem}", self.line(problem))
    }

    /// The line on which the problem's key stands, or else its table.
    pub fn line(&self, problem: &Problem) -> usize {
        line_of(self.text, self.place(problem).unwrap_or(0))
    }

    fn place(&self, problem: &Problem) -> Option<usize> {
        let (path, number) = problem.table;
        let mut table = self.root.get_ref();
        // Where the innermost table begins that was found.
        let mut begin = None;
        for name in path.split('.') {
            let Some((key, value)) = table.get_key_value(name) else { return begin };
            begin = Some(key.span().start);
            // What is not a table has no keys: the line of its name is shown.
            table = match value.get_ref() {
                DeValue::Table(table) => table,
                DeValue::Array(tables) => match tables.get(number)?.get_ref() {
                    DeValue::Table(table) => table,
                    _ => return begin,
                },
                _ => return begin,
            };
        }
        match table.get_key_value(problem.key) {
            Some((key, _)) => Some(key.span().start),
            // The key is missing: its table's first one is near.
            None => table.keys().map(|key| key.span().start).min().or(begin),
        }
    }
}

/// Counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

/// The innermost key whose name or value stands there: `api.method`.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    for (key, value) in table {
        let is_key = key.span().contains(&span.start);
        let inner = match value.get_ref() {
            DeValue::Table(inner) => key_at(inner, span),
            DeValue::Array(elements) => elements.iter().find_map(|element| match element.get_ref() {
                DeValue::Table(inner) => key_at(inner, span),
                _ => None,
            }),
            _ => None,
        };
        let name = key.get_ref();
        // A key further in says more than the table that it is in.
        if let Some(inner) = inner {
            return Some(format!("{name}.{inner}"));
        }
        if is_key || value.span().contains(&span.start) {
            return Some(name.to_string());
        }
    }
    None
}
