//! A commit, as git and as people name it.

/// A commit with git's name for it and people's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its whole hash.
    pub id: String,
    /// What people call it: `main (1a2b3c4)`.
    pub name: String,
    /// Notes for the user: why it was chosen, what is not part of it. Mostly none.
    pub notes: Vec<String>,
}

impl Commit {
    pub(super) fn new(id: String, called: &str) -> Self {
        // Seven digits, as git abbreviates a hash.
        let short = id.get(..7).unwrap_or(&id);
        // Where it was given by its hash, that is its name already.
        let name = if called.len() >= 7 && id.starts_with(called) {
            short.to_owned()
        } else {
            format!("{called} ({short})")
        };
        Self { id, name, notes: Vec::new() }
    }
}
