//! Finds the last release: the nearest tag that leads to a commit and is one of a release.

use super::error::BuildError;
use super::git::Git;

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its tag.
    pub tag: String,
    /// Hash of its commit.
    pub commit: String,
}

/// What the name of a tag says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TagName {
    /// A version: `v1.2.3`, `1.2`, `name-1.2.3`.
    Version,
    /// A version that was to be tried before it was out: `v1.2.0-rc.1`.
    Candidate,
    /// Something else.
    Other,
}

impl Git {
    /// The nearest release that leads to this commit and is not the commit itself.
    pub fn release_before(&self, commit: &str) -> Result<Option<Release>, BuildError> {
        // The last field is there for annotated tags only: the commit that the tag object leads to.
        let format = "--format=%(refname:strip=2) %(objecttype) %(objectname) %(*objectname)";
        let merged = format!("--merged={commit}");
        let tags = self.run(&["for-each-ref", &merged, format, "refs/tags"])?;
        let mut matches = Vec::new();
        for line in tags.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [tag, kind, object, of_annotated] = fields[..] else { continue };
            let is_annotated = kind == "tag";
            let leads_to = if is_annotated { of_annotated } else { object };
            // Compared with itself, a release would never be slower.
            if is_release(tag, is_annotated) && leads_to != commit {
                matches.push(format!("--match={tag}"));
            }
        }
        if matches.is_empty() {
            return Ok(None);
        }
        // The nearest by git's own reckoning: the one from which the fewest commits have been made since.
        let mut command: Vec<&str> = vec!["describe", "--tags", "--abbrev=0"];
        command.extend(matches.iter().map(String::as_str));
        command.push(commit);
        let tag = self.run(&command)?;
        // A branch may have the same name.
        let found = self.commit_of(&format!("refs/tags/{tag}"))?;
        Ok(found.map(|commit| Release { tag, commit }))
    }
}

/// Whether a tag is of a release: by its name, or because somebody took the trouble to annotate it.
fn is_release(tag: &str, is_annotated: bool) -> bool {
    match tag_name(tag) {
        TagName::Version => true,
        TagName::Candidate => false,
        TagName::Other => is_annotated,
    }
}

/// A version has two to four numbers. What follows a dash makes a candidate of it, what follows a plus does not (Semantic
/// Versioning 2.0.0, sections 9 and 10).
fn tag_name(tag: &str) -> TagName {
    let last = tag.rsplit('/').next().unwrap_or(tag);
    let version = last.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = version.find(['-', '+']).unwrap_or(version.len());
    let numbers: Vec<&str> = version[..end].split('.').collect();
    let are_numbers = numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit()));
    if !(2..=4).contains(&numbers.len()) || !are_numbers {
        TagName::Other
    } else if version[end..].starts_with('-') {
        TagName::Candidate
    } else {
        TagName::Version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_candidates_and_from_other_names() {
        for tag in ["v1.2.3", "1.2", "0.10.0", "ingester-perf-1.2.3", "crates/a/v1.2.3", "v1.2.3+build.7"] {
            assert_eq!(tag_name(tag), TagName::Version, "{tag}");
        }
        for tag in ["v1.2.0-rc.1", "1.2-beta"] {
            assert_eq!(tag_name(tag), TagName::Candidate, "{tag}");
        }
        for tag in ["latest", "v1", "2026-11-26", "v1.2.3.4.5", "v1..2", "", "v1.x"] {
            assert_eq!(tag_name(tag), TagName::Other, "{tag}");
        }
    }

    #[test]
    fn an_annotation_makes_a_release_of_any_name_but_a_candidate() {
        assert!(is_release("v1.2.3", false) && is_release("autumn", true));
        assert!(!is_release("autumn", false) && !is_release("v1.2.0-rc.1", true));
    }
}
