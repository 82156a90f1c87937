//! One storage element as text, as `--storage` and `INGESTER_STORAGE` have it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use super::record::Policy;
use crate::bucket::{self, SCHEMES};

/// Longest name of an element.
const MAX_NAME: usize = 64;
/// What there is, for those who wrote something else.
const FORMS: &str = "write discard, dir:PATH, s3://bucket/prefix or element:URL";

/// Where a stub stores files: `discard`, `dir:PATH`, the URL of an object store, or `element:URL`; `,mode=edit` or
/// `,mode=rw`, and `,name=ID` may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSpec {
    pub(super) backend: Backend,
    mode: Option<Mode>,
    name: Option<String>,
}

/// What keeps the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Backend {
    /// Nothing.
    Discard,
    /// A folder.
    Dir(PathBuf),
    /// An object store.
    #[cfg(feature = "s3")]
    Object(Url),
    /// A storage element with an API of its own.
    Element(Url),
}

/// Which files an element takes; all, where it has no mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Temporary ones.
    Edit,
    /// Permanent ones.
    Rw,
}

/// Error for a text that is not a storage element. It quotes no URL, as there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAStorage(String);

impl Default for StorageSpec {
    /// Keeps nothing.
    fn default() -> Self {
        Self { backend: Backend::Discard, mode: None, name: None }
    }
}

impl StorageSpec {
    /// Whether it keeps nothing.
    pub fn is_discard(&self) -> bool {
        self.backend == Backend::Discard
    }

    /// The folder of `dir:`.
    pub fn folder(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Dir(path) => Some(path),
            _ => None,
        }
    }

    /// The same element with another folder.
    pub fn in_folder(self, path: &Path) -> Self {
        Self { backend: Backend::Dir(path.to_owned()), ..self }
    }

    /// Whether it takes files of this policy.
    pub(super) fn serves(&self, policy: Policy) -> bool {
        match self.mode {
            None => true,
            Some(Mode::Edit) => policy == Policy::Temporary,
            Some(Mode::Rw) => policy == Policy::Permanent,
        }
    }

    /// Its name as one of several elements, counted from 0.
    pub(super) fn name_at(&self, position: usize) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let kind = match &self.backend {
            // The name that this one had when there was no other.
            Backend::Discard if position == 0 => return "discard".to_owned(),
            Backend::Discard => "discard",
            Backend::Dir(_) => "dir",
            #[cfg(feature = "s3")]
            Backend::Object(url) => url.scheme(),
            Backend::Element(_) => "element",
        };
        format!("{kind}-{}", position + 1)
    }
}

impl FromStr for StorageSpec {
    type Err = NotAStorage;

    fn from_str(text: &str) -> Result<Self, NotAStorage> {
        let mut backend = text.trim();
        let mut mode: Option<Mode> = None;
        let mut name: Option<String> = None;
        // From the end: a path may have commas of its own.
        while let Some((before, key, value)) = option(backend) {
            let twice = match key {
                "mode" => mode.replace(value.parse()?).is_some(),
                "name" => name.replace(checked_name(value)?).is_some(),
                // Else a slip would become a part of the path.
                _ => return Err(NotAStorage(format!("{key}= is not an option; there are mode= and name="))),
            };
            if twice {
                return Err(NotAStorage(format!("{key}= is there twice; keep one of them")));
            }
            backend = before;
        }
        Ok(Self { backend: backend.parse()?, mode, name })
    }
}

/// What stands before a last `,key=value`, the key and the value.
fn option(text: &str) -> Option<(&str, &str, &str)> {
    let (before, last) = text.rsplit_once(',')?;
    let (key, value) = last.split_once('=')?;
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_key { Some((before, key, value)) } else { None }
}

fn checked_name(name: &str) -> Result<String, NotAStorage> {
    // It stands in answers, in URLs and in the labels of metrics.
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !plain || name.is_empty() || name.len() > MAX_NAME {
        let problem = format!(
            "name={} is not a name; write 1 to {MAX_NAME} letters, digits, _ - and .",
            name.escape_debug()
        );
        return Err(NotAStorage(problem));
    }
    Ok(name.to_owned())
}

impl FromStr for Mode {
    type Err = NotAStorage;

    fn from_str(text: &str) -> Result<Self, NotAStorage> {
        match text {
            "edit" => Ok(Self::Edit),
            "rw" => Ok(Self::Rw),
            _ => Err(NotAStorage(format!(
                "mode={} is not a mode; write mode=edit (for temporary files) or mode=rw (for permanent ones)",
                text.escape_debug()
            ))),
        }
    }
}

impl FromStr for Backend {
    type Err = NotAStorage;

    fn from_str(text: &str) -> Result<Self, NotAStorage> {
        if text == "discard" {
            return Ok(Self::Discard);
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(NotAStorage(format!("is not a storage element; {FORMS}")));
        };
        match scheme {
            "dir" if rest.is_empty() => {
                Err(NotAStorage("dir: needs a path, like dir:/var/tmp/files".to_owned()))
            }
            "dir" => Ok(Self::Dir(rest.into())),
            "element" => element(rest),
            scheme if SCHEMES.contains(&scheme) => object(&plain_url(text)?),
            _ => Err(NotAStorage(format!("is not a storage element; {FORMS}"))),
        }
    }
}

fn element(text: &str) -> Result<Backend, NotAStorage> {
    let url = plain_url(text)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(NotAStorage(
            "element: needs the base URL of a storage element, like http://host:8010".to_owned(),
        ));
    }
    if !url.username().is_empty() {
        return Err(NotAStorage("must not hold a user; a storage element wants a bearer token".to_owned()));
    }
    Ok(Backend::Element(url))
}

#[cfg(feature = "s3")]
fn object(url: &Url) -> Result<Backend, NotAStorage> {
    Ok(Backend::Object(url.clone()))
}

#[cfg(not(feature = "s3"))]
fn object(url: &Url) -> Result<Backend, NotAStorage> {
    Err(NotAStorage(bucket::not_in_this_build(url)))
}

/// A URL that holds no secret, so that it may be printed.
fn plain_url(text: &str) -> Result<Url, NotAStorage> {
    let url = Url::parse(text).map_err(|e| NotAStorage(format!("is not a URL ({e}); {FORMS}")))?;
    bucket::without_secret(url).map_err(NotAStorage)
}

impl fmt::Display for StorageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.backend {
            Backend::Discard => f.write_str("discard")?,
            Backend::Dir(path) => write!(f, "dir:{}", path.display())?,
            #[cfg(feature = "s3")]
            Backend::Object(url) => f.write_str(url.as_str())?,
            Backend::Element(url) => write!(f, "element:{}", url.as_str().trim_end_matches('/'))?,
        }
        match self.mode {
            Some(Mode::Edit) => f.write_str(",mode=edit")?,
            Some(Mode::Rw) => f.write_str(",mode=rw")?,
            None => {}
        }
        match &self.name {
            Some(name) => write!(f, ",name={name}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> StorageSpec {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn refused(text: &str) -> String {
        let error = text.parse::<StorageSpec>().map(|spec| spec.to_string()).expect_err(text);
        error.to_string()
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        for text in [
            "discard",
            "discard,mode=edit",
            "dir:/var/tmp/files",
            "dir:relative/with,comma,mode=rw,name=disk_1.a",
            "element:http://127.0.0.1:8010",
            "element:https://host/base,mode=edit",
        ] {
            assert_eq!(spec(text).to_string(), text);
            assert_eq!(spec(&spec(text).to_string()), spec(text));
        }
        // The order of the options does not matter.
        assert_eq!(spec("dir:x,name=a,mode=rw"), spec("dir:x,mode=rw,name=a"));
    }

    #[test]
    fn a_mode_says_which_files_are_taken() {
        use Policy::{Permanent, Temporary};
        for (text, temporary, permanent) in
            [("dir:x", true, true), ("dir:x,mode=edit", true, false), ("dir:x,mode=rw", false, true)]
        {
            let spec = spec(text);
            assert_eq!((spec.serves(Temporary), spec.serves(Permanent)), (temporary, permanent), "{text}");
        }
    }

    #[test]
    fn names_are_given_by_kind_and_position() {
        assert_eq!(spec("discard").name_at(0), "discard");
        assert_eq!(spec("discard").name_at(2), "discard-3");
        assert_eq!(spec("dir:x").name_at(0), "dir-1");
        assert_eq!(spec("element:http://h").name_at(1), "element-2");
        assert_eq!(spec("dir:x,name=disk").name_at(1), "disk");
    }

    #[test]
    fn wrong_texts_are_refused_and_told_what_to_write() {
        for (text, says) in [
            ("", "write discard, dir:PATH"),
            ("tape", "write discard, dir:PATH"),
            ("tape:x", "write discard, dir:PATH"),
            ("dir:", "needs a path"),
            ("dir:x,mode=ro", "mode=edit"),
            ("dir:x,mod=rw", "mod= is not an option"),
            ("dir:x,mode=rw,mode=edit", "mode= is there twice"),
            ("dir:x,name=a/b", "is not a name"),
            ("dir:x,name=", "is not a name"),
            ("element:here", "is not a URL"),
            ("element:ftp://host", "like http://host:8010"),
            ("element:http://me@host", "must not hold a user"),
        ] {
            let error = refused(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for text in
            ["element:http://u:hush@host", "element:http://h/?sig=hush", "s3://u:hush@b/p", "gs://b/p?k=hush"]
        {
            let error = refused(text);
            assert!(error.contains("credentials come from the environment"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "s3"))]
    fn a_build_without_object_stores_says_how_to_get_them() {
        let says = "object stores are not in this build; build it with --features s3";
        assert_eq!(refused("s3://bucket/prefix"), format!("s3: {says}"));
        assert_eq!(refused("memory:///"), format!("memory: {says}"));
    }

    #[test]
    #[cfg(feature = "s3")]
    fn urls_of_object_stores_are_elements() {
        assert_eq!(spec("s3://bucket/prefix,mode=rw").to_string(), "s3://bucket/prefix,mode=rw");
        assert_eq!(spec("s3://bucket/prefix").name_at(0), "s3-1");
        assert_eq!(spec("memory:///").name_at(1), "memory-2");
    }
}
