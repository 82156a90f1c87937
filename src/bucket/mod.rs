//! Places in object stores, by their URLs: S3, and whatever else `object_store` speaks to.

#[cfg(feature = "s3")]
mod store;

use url::Url;

#[cfg(feature = "s3")]
pub use store::{Bucket, told};

/// Schemes of object stores, as `object_store` knows them.
pub const SCHEMES: [&str; 10] = ["s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "file", "memory"];

/// Whether a text means a place in an object store, and not a path.
pub fn is_bucket(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

/// The same URL, if it holds no secret and so may be printed. The error quotes nothing of it.
pub fn without_secret(url: Url) -> Result<Url, String> {
    if url.password().is_some() {
        return Err("must not hold a password; credentials come from the environment".to_owned());
    }
    // A signature of Azure's stands in the query.
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must be a URL without ? or #; credentials come from the environment".to_owned());
    }
    Ok(url)
}

/// What is said where a build cannot speak to object stores.
#[cfg(not(feature = "s3"))]
pub fn not_in_this_build(url: &Url) -> String {
    format!("{}: object stores are not in this build; build it with --features s3", url.scheme())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_told_from_a_path() {
        assert!(is_bucket("s3://bucket/prefix") && is_bucket("file:///tmp/x"));
        assert!(!is_bucket("shards/run-7") && !is_bucket("s3:") && !is_bucket("ftp://host/x"));
    }

    #[test]
    fn no_error_repeats_a_secret() {
        for text in ["s3://u:hush@b/p", "gs://b/p?k=hush", "gs://b/p#hush"] {
            let url = Url::parse(text).expect("is a URL");
            let error = without_secret(url).expect_err("is refused");
            assert!(error.contains("credentials come from the environment"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        let plain = Url::parse("s3://b/p").expect("is a URL");
        assert_eq!(without_secret(plain.clone()), Ok(plain));
    }
}
