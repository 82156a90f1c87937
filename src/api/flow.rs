//! A flow: an operation that is an upload and the requests that follow it, as data.

use std::time::Duration;

use hyper::{Method, StatusCode};

use super::pointer::{Json, Pointer};
use super::template::Template;

/// The step that every flow begins with.
pub const UPLOAD_STEP: &str = "upload";
/// How often a step asks again unless told otherwise.
pub const ASK_EVERY: Duration = Duration::from_millis(100);
/// For how long it asks unless told otherwise: as long as one request may take by default.
pub const ASK_FOR: Duration = Duration::from_secs(30);
/// Statuses of a step's success unless told otherwise.
pub const STEP_SUCCESS: [StatusCode; 4] =
    [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];

/// An upload, and what follows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// What the steps need of the answer to the upload.
    pub takes: Vec<Take>,
    /// The requests behind the upload, in their order.
    pub steps: Vec<FlowStep>,
}

/// A value of an answer that a place in later requests stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Take {
    /// The name of the place.
    pub place: String,
    /// Where it stands in the answer.
    pub from: Pointer,
}

/// One request of a flow, or several that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowStep {
    /// Its name in reports and limits.
    pub name: String,
    /// The method.
    pub method: Method,
    /// The path below the base URL.
    pub path: Template,
    /// The body, as JSON.
    pub body: Option<Template>,
    /// Statuses of its success.
    pub success: Vec<StatusCode>,
    /// What later steps need of its answer.
    pub takes: Vec<Take>,
    /// What makes it end.
    pub ends: StepEnd,
}

/// What makes a step end.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEnd {
    /// The answer to its one request.
    Answer,
    /// The answer that it waits for; until then it asks again.
    Until(Until),
    /// The whole content of the file, which has to be what was sent.
    SameContent,
}

/// Asking until an answer says what is waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Until {
    /// What is waited for.
    pub goal: Goal,
    /// Time from one request to the next.
    pub every: Duration,
    /// Time limit of all of it.
    pub timeout: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// An answer with this status.
    Status(StatusCode),
    /// An answer with this value at this place.
    Value {
        /// Where.
        at: Pointer,
        /// The value.
        equals: Scalar,
        /// The value that stands there where it has failed, if there is one: nobody waits any longer then.
        fails: Option<Scalar>,
    },
}

/// A value in an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
}

impl Default for Flow {
    /// The ingester's: the file is moved to an element for permanent files, which is waited for, and read back.
    fn default() -> Self {
        let transaction =
            Take { place: "transaction_id".to_owned(), from: Pointer::of_member("transaction_id") };
        let until = Until {
            goal: Goal::Value {
                at: Pointer::of_member("status"),
                equals: Scalar::Text("completed".to_owned()),
                fails: Some(Scalar::Text("failed".to_owned())),
            },
            // Shorter than usual: the stub moves a small file at once, and with long pauses the step would be a pause.
            every: Duration::from_millis(10),
            timeout: ASK_FOR,
        };
        Self {
            takes: vec![Take { place: "id".to_owned(), from: Pointer::of_member("file_id") }],
            steps: vec![
                FlowStep {
                    method: Method::POST,
                    success: vec![StatusCode::ACCEPTED],
                    takes: vec![transaction],
                    ..built_in("finalize", "/api/v1/finalize/{id}")
                },
                FlowStep {
                    ends: StepEnd::Until(until),
                    ..built_in("ready", "/api/v1/finalize/{transaction_id}/status")
                },
                FlowStep {
                    ends: StepEnd::SameContent,
                    ..built_in("download", "/api/v1/files/{id}/download")
                },
            ],
        }
    }
}

/// A step of the built-in flow, which gets a path.
fn built_in(name: &str, path: &str) -> FlowStep {
    let known = ["id", "transaction_id"].map(str::to_owned);
    FlowStep {
        name: name.to_owned(),
        method: Method::GET,
        path: Template::path(path, &known).expect("a built-in path has only these places"),
        body: None,
        success: vec![StatusCode::OK],
        takes: Vec::new(),
        ends: StepEnd::Answer,
    }
}

impl Flow {
    /// The names of all steps, the upload first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(UPLOAD_STEP).chain(self.steps.iter().map(|step| step.name.as_str()))
    }

    /// Whether a step reads the file back and compares it with what was sent.
    pub fn compares(&self) -> bool {
        self.steps.iter().any(|step| step.ends == StepEnd::SameContent)
    }
}

impl Scalar {
    /// Whether an answer's value is this one.
    pub fn is(&self, value: &Json) -> bool {
        match (self, value) {
            (Self::Text(text), Json::Text(said)) => text == said,
            (Self::Number(number), Json::Number(said)) => said.as_f64() == Some(*number),
            (Self::Flag(flag), Json::Bool(said)) => flag == said,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::PlaceValues;
    use super::*;

    #[test]
    fn the_built_in_flow_speaks_to_the_ingesters_routes() {
        let flow = Flow::default();
        let names: Vec<&str> = flow.names().collect();
        assert_eq!(names, ["upload", "finalize", "ready", "download"]);
        assert!(flow.compares());
        let mut values = PlaceValues::default();
        values.set("id", "f1");
        values.set("transaction_id", "t2");
        let paths: Vec<String> = flow.steps.iter().map(|step| step.path.fill(&values)).collect();
        assert_eq!(paths, ["api/v1/finalize/f1", "api/v1/finalize/t2/status", "api/v1/files/f1/download"]);
    }

    #[test]
    fn a_value_is_compared_with_its_kind() {
        let json: Json = serde_json::from_str(r#"["done", 1, 1.0, true, null]"#).expect("is JSON");
        let Json::Array(values) = json else { panic!("is an array") };
        let scalars = [Scalar::Text("done".to_owned()), Scalar::Number(1.0), Scalar::Flag(true)];
        let mut found = Vec::new();
        for scalar in &scalars {
            found.push(values.iter().map(|value| scalar.is(value)).collect::<Vec<bool>>());
        }
        assert_eq!(found[0], [true, false, false, false, false]);
        assert_eq!(found[1], [false, true, true, false, false]);
        assert_eq!(found[2], [false, false, false, true, false]);
    }
}
