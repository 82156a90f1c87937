//! `[api]` and `[cleanup]`: how to speak to the service.
//!
//! Without the table it is the ingester's own API. Where the table is there, what it does not say is not assumed: no fields
//! beside the file, no checksum.

use std::collections::BTreeMap;

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::file::{ApiTable, BodyKind, CleanupTable, Problem};
use crate::api::{Api, Checksum, Cleanup, PathTemplate, Place, Pointer, Says, Secret, Where};
use crate::payload::{BodyFormat, Form};

/// Statuses of a success unless told otherwise.
const SUCCESS: [StatusCode; 3] = [StatusCode::OK, StatusCode::CREATED, StatusCode::NO_CONTENT];
/// Largest status of a success: a redirect is not followed, and so may be what a success looks like.
pub(super) const LARGEST_SUCCESS: u16 = 399;
/// What stands in place of a header where the service wants no token.
const NO_TOKEN: &str = "none";

/// The API that these tables describe.
pub fn api(table: Option<&ApiTable>, cleanup: Option<&CleanupTable>) -> Result<Api, Problem> {
    let mut api = match table {
        Some(table) => described(table)?,
        None => Api::default(),
    };
    if let Some(table) = cleanup {
        api.cleanup = Some(removal(table, &api)?);
    }
    Ok(api)
}

fn described(table: &ApiTable) -> Result<Api, Problem> {
    let raw = table.body == Some(BodyKind::Raw);
    let method = match &table.method {
        Some(text) => method("api", text)?,
        // A raw body is the file itself, as it is to stand under this path: that is what PUT means (RFC 9110, 9.3.4).
        None if raw => Method::PUT,
        None => Method::POST,
    };
    let Some(path) = &table.path else {
        return Err(wrong("path", "is missing; write where files are uploaded, like \"/upload\""));
    };
    let path = PathTemplate::parse(path, &[Place::Uuid, Place::Name]).map_err(|e| wrong("path", e))?;
    let headers = headers(table.headers.as_ref())?;
    Ok(Api {
        method,
        path,
        body: if raw { raw_body(table)? } else { BodyFormat::Multipart(form(table)) },
        headers: headers.all,
        secrets: headers.secrets,
        token: token(table.token.as_deref())?,
        success: success(table.success.as_deref())?,
        says: says(table)?,
        ready: None,
        cleanup: None,
    })
}

fn form(table: &ApiTable) -> Form {
    let mut form = Form::with_file_as(table.file_field.as_deref().unwrap_or("file"));
    for (name, value) in table.fields.iter().flatten() {
        form = form.with(name, value);
    }
    form
}

/// A raw body has room for the file only.
fn raw_body(table: &ApiTable) -> Result<BodyFormat, Problem> {
    if table.file_field.is_some() {
        return Err(wrong("file_field", "is of body = \"multipart\"; a raw body is the file alone"));
    }
    if table.fields.is_some() {
        return Err(wrong("fields", "are of body = \"multipart\"; a raw body is the file alone"));
    }
    Ok(BodyFormat::Raw)
}

fn token(text: Option<&str>) -> Result<Option<HeaderName>, Problem> {
    match text {
        None => Ok(Some(AUTHORIZATION)),
        Some(text) if text.eq_ignore_ascii_case(NO_TOKEN) => Ok(None),
        Some(text) => match text.parse() {
            Ok(name) => Ok(Some(name)),
            Err(_) => {
                Err(wrong("token", format!("\"{text}\" is not the name of a header; write one, or \"none\"")))
            }
        },
    }
}

fn success(statuses: Option<&[u16]>) -> Result<Vec<StatusCode>, Problem> {
    match statuses {
        None => Ok(SUCCESS.to_vec()),
        Some(statuses) => parse_statuses(statuses, LARGEST_SUCCESS).map_err(|what| wrong("success", what)),
    }
}

/// Statuses from 200 to the largest one that may be a success.
pub(super) fn parse_statuses(statuses: &[u16], largest: u16) -> Result<Vec<StatusCode>, String> {
    if statuses.is_empty() {
        return Err("is empty; write the statuses of a success, like [201]".to_owned());
    }
    let mut success = Vec::new();
    for status in statuses {
        match StatusCode::from_u16(*status) {
            Ok(status) if (200..=largest).contains(&status.as_u16()) => success.push(status),
            _ => return Err(format!("{status} is not a status from 200 to {largest}")),
        }
    }
    Ok(success)
}

fn says(table: &ApiTable) -> Result<Says, Problem> {
    let size = match &table.size {
        Some(text) => vec![pointer("size", text)?],
        None => Vec::new(),
    };
    let checksum = match &table.checksum {
        Some(text) => {
            let at: Where = text.parse().map_err(|e| wrong("checksum", e))?;
            Some(Checksum {
                at,
                algorithm: table.checksum_algorithm.unwrap_or_default(),
                encoding: table.checksum_encoding.unwrap_or_default(),
                prefix: table.checksum_prefix.clone().unwrap_or_default(),
            })
        }
        None => {
            // Without the place these would change nothing, and nothing would be checked.
            let of_a_checksum = [
                ("checksum_algorithm", table.checksum_algorithm.is_some()),
                ("checksum_encoding", table.checksum_encoding.is_some()),
                ("checksum_prefix", table.checksum_prefix.is_some()),
            ];
            for (key, is_given) in of_a_checksum {
                if is_given {
                    return Err(wrong(key, "is set without checksum, which says where the checksum stands"));
                }
            }
            None
        }
    };
    let id = match &table.id {
        Some(text) => Some(pointer("id", text)?),
        None => None,
    };
    Ok(Says { size, checksum, id })
}

fn pointer(key: &'static str, text: &str) -> Result<Pointer, Problem> {
    text.parse().map_err(|e| wrong(key, e))
}

/// Headers of every request.
#[derive(Default)]
struct Headers {
    all: Vec<(HeaderName, HeaderValue)>,
    /// What came from the environment.
    secrets: Vec<Secret>,
}

fn headers(table: Option<&BTreeMap<String, String>>) -> Result<Headers, Problem> {
    let mut headers = Headers::default();
    for (name, text) in table.into_iter().flatten() {
        let parsed: Result<HeaderName, _> = name.parse();
        let Ok(parsed) = parsed else {
            return Err(wrong("headers", format!("\"{name}\" is not the name of a header")));
        };
        let expanded = expand(text, |variable| std::env::var(variable).ok());
        let expanded = expanded.map_err(|problem| wrong("headers", format!("{name}: {problem}")))?;
        let Ok(mut value) = HeaderValue::from_str(&expanded.text) else {
            // The value itself is not told: it may be a secret.
            return Err(wrong(
                "headers",
                format!("{name}: its value has characters that no header may hold"),
            ));
        };
        // Also where nothing in it is a variable: the file itself may hold a key.
        value.set_sensitive(true);
        headers.all.push((parsed, value));
        headers.secrets.extend(expanded.secrets);
    }
    Ok(headers)
}

struct Expanded {
    text: String,
    secrets: Vec<Secret>,
}

/// Replaces each `${NAME}` by the variable of that name.
fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Expanded, String> {
    let mut expanded = Expanded { text: String::new(), secrets: Vec::new() };
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        expanded.text += &rest[..start];
        let named = &rest[start + 2..];
        let Some(end) = named.find('}') else { return Err("${ has no } behind it".to_owned()) };
        let name = &named[..end];
        // An empty variable is mostly a secret that a job was not given.
        let Some(value) = lookup(name).filter(|value| !value.is_empty()) else {
            return Err(format!("the variable {name} is not set"));
        };
        expanded.text += &value;
        expanded.secrets.push(Secret::new(value));
        rest = &named[end + 1..];
    }
    expanded.text += rest;
    Ok(expanded)
}

fn removal(table: &CleanupTable, api: &Api) -> Result<Cleanup, Problem> {
    let method = match &table.method {
        Some(text) => method("cleanup", text)?,
        None => Method::DELETE,
    };
    let Some(path) = &table.path else {
        return Err(Problem::new(
            "cleanup",
            "path",
            "is missing; write how an upload is removed, like \"/files/{id}\"",
        ));
    };
    let path = PathTemplate::parse(path, &[Place::Id, Place::Uuid, Place::Name])
        .map_err(|e| Problem::new("cleanup", "path", e))?;
    // Each place has to have something that fills it.
    if path.has(Place::Id) && api.says.id.is_none() {
        return Err(Problem::new(
            "cleanup",
            "path",
            "has {id}, and api.id does not say where that stands in an answer",
        ));
    }
    if path.has(Place::Uuid) && !api.path.has(Place::Uuid) {
        return Err(Problem::new("cleanup", "path", "has {uuid}, and api.path has none"));
    }
    if path.is_fixed() {
        return Err(Problem::new(
            "cleanup",
            "path",
            "is the same for every upload; say which one by {id}, {uuid} or {name}",
        ));
    }
    Ok(Cleanup { method, path })
}

fn method(table: &'static str, text: &str) -> Result<Method, Problem> {
    parse_method(text).map_err(|what| Problem::new(table, "method", what))
}

/// A method as it is written in capitals.
pub(super) fn parse_method(text: &str) -> Result<Method, String> {
    let method: Option<Method> = text.parse().ok();
    // Methods have a case (RFC 9110, 9.1): `post` would be one that no service knows.
    let method = method.filter(|method| !method.as_str().chars().any(|c| c.is_ascii_lowercase()));
    method.ok_or_else(|| format!("\"{text}\" is not a method in capitals, like POST or PUT"))
}

fn wrong(key: &'static str, what: impl std::fmt::Display) -> Problem {
    Problem::new("api", key, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An environment with one variable.
    fn lookup(name: &str) -> Option<String> {
        if name == "KEY" { Some("s3cret".to_owned()) } else { None }
    }

    /// The removal that this path makes, with the ingester's own API.
    fn cleanup(path: &str) -> Result<Option<Cleanup>, String> {
        let table = CleanupTable { method: None, path: Some(path.to_owned()) };
        api(None, Some(&table)).map(|api| api.cleanup).map_err(|e| e.to_string())
    }

    #[test]
    fn a_raw_put_says_no_more_than_it_was_told() {
        let table = ApiTable {
            path: Some("/files/{uuid}".to_owned()),
            body: Some(BodyKind::Raw),
            token: Some("none".to_owned()),
            ..ApiTable::default()
        };
        let api = api(Some(&table), None).expect("is fine");
        assert_eq!((api.method, api.body, api.token), (Method::PUT, BodyFormat::Raw, None));
        assert_eq!((api.success, api.says), (SUCCESS.to_vec(), Says::default()));
    }

    #[test]
    fn variables_are_expanded_and_kept_secret() {
        let expanded = expand("Key ${KEY}!", lookup).expect("is set");
        assert_eq!((expanded.text.as_str(), expanded.secrets), ("Key s3cret!", vec![Secret::new("s3cret")]));
        assert_eq!(expand("${NONE}", lookup).err().as_deref(), Some("the variable NONE is not set"));
        assert_eq!(expand("${KEY", lookup).err().as_deref(), Some("${ has no } behind it"));
        assert_eq!(expand("plain", lookup).expect("is fine").text, "plain");
    }

    #[test]
    fn a_removal_has_to_say_which_file() {
        let removal = cleanup("/files/{id}").expect("is fine").expect("is there");
        assert_eq!((removal.method, removal.path.to_string()), (Method::DELETE, "files/{id}".to_owned()));
        assert!(cleanup("/files").expect_err("is fixed").contains("the same for every upload"));
        assert!(cleanup("/files/{uuid}").expect_err("has none").contains("api.path has none"));
    }
}
