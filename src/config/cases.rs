//! `[[case]]`: what is measured.

use std::collections::BTreeSet;

use super::file::{CaseTable, Problem};
use crate::case::{Kind, Spec};
use crate::load::Closed;
use crate::payload::Mix;
use crate::units::Bytes;

/// Requests of each user in a pass, unless told otherwise: as in the usual suite.
const REQUESTS_OF_A_USER: u64 = 10;
/// Largest file of a case: it is held in memory, in each process of a gate.
const LARGEST_FILE: Bytes = Bytes::gb(1);
/// Most users of a case.
const MOST_USERS: u32 = 10_000;
/// Most uploads in one iteration of a case.
const MOST_REQUESTS: u64 = 1_000_000;
/// Group of the bench of lower bounds, which no case may have.
const RESERVED: &str = "floor";

/// The cases that these tables describe.
pub fn specs(tables: &[CaseTable]) -> Result<Vec<Spec>, Problem> {
    let mut specs: Vec<Spec> = Vec::new();
    let mut operations = BTreeSet::new();
    for (number, table) in tables.iter().enumerate() {
        for (key, text) in [("group", &table.group), ("name", &table.name)] {
            if !is_name(text) {
                let what = format!("\"{text}\" must be letters, digits, _, - and ., 64 at most");
                return Err(problem(number, key, what));
            }
        }
        if table.group == RESERVED {
            let what = format!("{RESERVED} is the bench of lower bounds; choose another name");
            return Err(problem(number, "group", what));
        }
        let operation = match &table.operation {
            Some(operation) => operation.clone(),
            None => format!("{}_{}", table.group, table.name),
        };
        if !is_name(&operation) {
            let what = format!("\"{operation}\" must be letters, digits, _, - and ., 64 at most");
            return Err(problem(number, "operation", what));
        }
        let files = files(table).map_err(|(key, what)| problem(number, key, what))?;
        let kind = kind(table, files).map_err(|(key, what)| problem(number, key, what))?;
        let spec = Spec::new(&table.group, &table.name, &operation, kind);
        if specs.iter().any(|other| other.id() == spec.id()) {
            return Err(problem(number, "name", format!("{} is there twice", spec.id())));
        }
        // Different ids can lead to one operation: `a_b/c` and `a/b_c`.
        if !operations.insert(operation.clone()) {
            let what = format!("{operation} is there twice; reports would overwrite each other");
            return Err(problem(number, "operation", what));
        }
        specs.push(spec);
    }
    Ok(specs)
}

/// A problem in the case of this number, counted from 0.
fn problem(number: usize, key: &'static str, what: String) -> Problem {
    Problem { table: ("case", number), key, what }
}

/// Names become parts of ids, of Criterion's folders, and of the names of files.
pub(super) fn is_name(text: &str) -> bool {
    // Criterion cuts off what lies beyond 64 bytes. A leading dot would hide a folder, or leave it.
    !text.is_empty() && text.len() <= 64 && text.chars().all(is_allowed_in_a_name) && !text.starts_with('.')
}

fn is_allowed_in_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.".contains(c)
}

fn files(table: &CaseTable) -> Result<Mix, (&'static str, String)> {
    let (key, files) = match (&table.file_size, &table.mix) {
        (Some(size), None) => {
            let size: Bytes = size.parse().map_err(|e| ("file_size", format!("{e}")))?;
            ("file_size", Mix::only(size))
        }
        (None, Some(mix)) => ("mix", mix.parse().map_err(|e| ("mix", format!("{e}")))?),
        (Some(_), Some(_)) => {
            return Err(("mix", "is set together with file_size; keep one of them".to_owned()));
        }
        (None, None) => {
            return Err(("file_size", "is missing; write one, like \"100KB\", or a mix".to_owned()));
        }
    };
    let too_large = files.sizes().find(|size| *size > LARGEST_FILE);
    match too_large {
        Some(size) => {
            Err((key, format!("{size} is more than {LARGEST_FILE}, as the files of a case are in memory")))
        }
        None => Ok(files),
    }
}

fn kind(table: &CaseTable, files: Mix) -> Result<Kind, (&'static str, String)> {
    let Some(users) = table.users else {
        return match table.requests {
            None => Ok(Kind::Upload { files }),
            Some(_) => Err(("requests", "is set without users, who would send them".to_owned())),
        };
    };
    if !(1..=MOST_USERS).contains(&users) {
        return Err(("users", format!("{users} is not from 1 to {MOST_USERS}")));
    }
    let requests = table.requests.unwrap_or(REQUESTS_OF_A_USER * u64::from(users));
    if !(u64::from(users)..=MOST_REQUESTS).contains(&requests) {
        return Err((
            "requests",
            format!("{requests} is not from {users}, one for each user, to {MOST_REQUESTS}"),
        ));
    }
    Ok(Kind::Load { plan: Closed { users, requests }, files })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> CaseTable {
        CaseTable {
            group: "upload".to_owned(),
            name: name.to_owned(),
            operation: None,
            file_size: Some("10KB".to_owned()),
            mix: None,
            users: None,
            requests: None,
        }
    }

    fn error(tables: &[CaseTable]) -> String {
        specs(tables).expect_err("is wrong").to_string()
    }

    #[test]
    fn a_case_is_an_upload_or_a_pass_of_users() {
        let users =
            CaseTable { users: Some(5), mix: Some("1KB=1,2KB=3".to_owned()), file_size: None, ..table("b") };
        let specs = specs(&[table("a"), users]).expect("are fine");
        assert_eq!(specs[0].sends(), Some((1, Bytes::kb(10))));
        // 5 users with 10 requests each; (1 x 1024 + 3 x 2048) / 4 = 1792 bytes on average.
        assert_eq!((specs[1].users(), specs[1].sends()), (5, Some((50, Bytes(1792)))));
        assert_eq!(specs[0].operation, "upload_a");
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert!(error(&[table("a/b")]).starts_with("case.name: \"a/b\" must be letters"));
        assert!(error(&[table("a"), table("a")]).contains("upload/a is there twice"));
        assert!(error(&[CaseTable { file_size: None, ..table("a") }]).contains("file_size: is missing"));
        let large = CaseTable { file_size: Some("2GB".to_owned()), ..table("a") };
        assert!(error(&[large]).contains("file_size: 2 GB is more than 1 GB"));
        assert!(error(&[CaseTable { users: Some(0), ..table("a") }]).contains("0 is not from 1"));
        assert!(error(&[CaseTable { requests: Some(1), ..table("a") }]).contains("without users"));
        let few = CaseTable { users: Some(5), requests: Some(4), ..table("a") };
        assert!(error(&[few]).contains("4 is not from 5"));
        assert!(error(&[CaseTable { group: "floor".to_owned(), ..table("a") }]).contains("lower bounds"));
    }
}
