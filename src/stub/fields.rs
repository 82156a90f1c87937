//! The text fields beside a file, checked as the service documents them.

use time::{Duration, OffsetDateTime};

use super::storage::Policy;

/// Longest `description`, in characters.
const MAX_DESCRIPTION: usize = 1000;
/// Most `tags`.
const MAX_TAGS: usize = 100;
/// Days a temporary file is kept unless it says otherwise.
const DEFAULT_TTL_DAYS: u16 = 30;

/// Error for a field whose value is not allowed. Says which one, and what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrongField(pub String);

/// Values of the fields that change an answer, with the service's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    permanent: bool,
    ttl_days: u16,
    description: String,
    tags: Vec<String>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { permanent: false, ttl_days: DEFAULT_TTL_DAYS, description: String::new(), tags: Vec::new() }
    }
}

impl Fields {
    /// Takes one field; names that mean nothing here are ignored, as the service does.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), WrongField> {
        // An arm that accepts the value returns; one that ends in a text refuses it.
        let problem = match name {
            "description" if value.chars().count() > MAX_DESCRIPTION => "at most 1000 characters",
            "description" => {
                value.clone_into(&mut self.description);
                return Ok(());
            }
            "retention_policy" => match value {
                "temporary" | "permanent" => {
                    self.permanent = value == "permanent";
                    return Ok(());
                }
                _ => "must be temporary or permanent",
            },
            "ttl_days" => match value.parse() {
                Ok(days @ 1..=365) => {
                    self.ttl_days = days;
                    return Ok(());
                }
                _ => "must be a whole number from 1 to 365",
            },
            "metadata" if !is_object(value) => "must be a JSON object",
            "tags" => match serde_json::from_str(value) {
                Ok(tags) => {
                    self.tags = tags;
                    if self.tags.len() <= MAX_TAGS {
                        return Ok(());
                    }
                    "must be at most 100 strings"
                }
                Err(_) => "must be a JSON array of strings",
            },
            "compress" if !matches!(value, "true" | "false") => "must be true or false",
            "compression_algorithm" if !matches!(value, "gzip" | "brotli" | "none") => {
                "must be gzip, brotli or none"
            }
            _ => return Ok(()),
        };
        Err(WrongField(format!("{name}: {problem}")))
    }

    pub fn policy(&self) -> Policy {
        if self.permanent { Policy::Permanent } else { Policy::Temporary }
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// For how many days a temporary file is kept; `None` for a permanent one.
    pub fn ttl_days(&self) -> Option<u16> {
        if self.permanent { None } else { Some(self.ttl_days) }
    }

    pub fn retention_policy(&self) -> &'static str {
        self.policy().as_str()
    }

    /// When a temporary file expires; `None` for a permanent one.
    pub fn expires(&self, uploaded: OffsetDateTime) -> Option<OffsetDateTime> {
        if self.permanent {
            return None;
        }
        Some(uploaded + Duration::days(self.ttl_days.into()))
    }
}

fn is_object(value: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Result<(), WrongField> {
        Fields::default().set(name, value)
    }

    #[test]
    fn documented_values_pass() {
        for (name, value) in [
            ("ttl_days", "1"),
            ("ttl_days", "365"),
            ("retention_policy", "permanent"),
            ("metadata", "{\"a\": 1}"),
            ("tags", "[\"a\"]"),
            ("compress", "true"),
            ("compression_algorithm", "brotli"),
            // 1000 characters in 2000 bytes: characters are what is counted.
            ("description", &"é".repeat(1000)),
            ("unknown", "anything"),
        ] {
            assert_eq!(set(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn wrong_values_are_refused_by_field() {
        for (name, value) in [
            ("ttl_days", "0"),
            ("ttl_days", "366"),
            ("ttl_days", "many"),
            ("retention_policy", "forever"),
            ("metadata", "[1]"),
            ("metadata", "{"),
            ("tags", "[1]"),
            ("compress", "1"),
            ("compression_algorithm", "zip"),
            ("description", &"é".repeat(1001)),
        ] {
            let Err(WrongField(detail)) = set(name, value) else { panic!("{name}={value} passed") };
            assert!(detail.starts_with(name), "{detail}");
        }
    }

    #[test]
    fn a_permanent_file_never_expires() {
        let mut fields = Fields::default();
        let uploaded = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(fields.expires(uploaded), Some(uploaded + Duration::days(30)));
        fields.set("retention_policy", "permanent").expect("is valid");
        assert_eq!((fields.expires(uploaded), fields.policy()), (None, Policy::Permanent));
    }
}
