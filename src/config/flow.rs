//! `[flow]`: what follows an upload.
//!
//! Without the table, it is what the ingester's own API has; a service with another API has no flow unless it is described.

use std::collections::BTreeSet;
use std::time::Duration;

use hyper::Method;
use toml::Value;

use super::api::{LARGEST_SUCCESS, parse_method, parse_statuses};
use super::cases::is_name;
use super::file::{FlowTable, Problem, StepTable, UntilTable};
use crate::api::{
    ASK_EVERY, ASK_FOR, Api, Flow, FlowStep, Goal, Place, Pointer, STEP_SUCCESS, Scalar, StepEnd, Take,
    Template, UPLOAD_STEP, Until, is_place_name,
};

/// Largest status that may be a success of a step that waits: 404 often means "not yet".
const LARGEST_WHILE_WAITING: u16 = 499;
/// Most steps of a flow: each has histograms of its own, in every thread.
const MOST_STEPS: usize = 32;
/// Shortest pause that a timer can keep.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longest pause and longest time limit.
const LONGEST: Duration = Duration::from_secs(3600);
/// Where the steps stand in the file.
const TABLE: &str = "flow.step";
/// Places that are filled without a word in `take`.
const GIVEN_PLACES: [&str; 3] = ["id", "uuid", "name"];

/// A key of a step, and what is wrong with its value.
struct WrongKey {
    key: &'static str,
    what: String,
}

fn wrong(key: &'static str, what: impl std::fmt::Display) -> WrongKey {
    WrongKey { key, what: what.to_string() }
}

/// The flow that this table describes, for a service with this API. `is_described` says whether the file describes the API: then
/// it has no flow but that of the table.
pub fn flow(table: Option<&FlowTable>, is_described: bool, api: &Api) -> Result<Option<Flow>, Problem> {
    let Some(table) = table else {
        return Ok(if is_described { None } else { Some(Flow::default()) });
    };
    let steps = table.step.as_deref().unwrap_or_default();
    if steps.len() > MOST_STEPS {
        let what = format!("{} are more than {MOST_STEPS}", steps.len());
        return Err(Problem::new("flow", "step", what));
    }
    let Some((first, others)) = steps.split_first() else {
        let what = "is missing; write [[flow.step]] with name = \"upload\", and one more for each request that follows";
        return Err(Problem::new("flow", "step", what));
    };
    let mut known = places_of_uploads(api);
    let mut takes = upload(first, &mut known).map_err(|problem| at(0, problem))?;
    let mut names = BTreeSet::from([UPLOAD_STEP]);
    let mut following = Vec::new();
    for (table, number) in others.iter().zip(1..) {
        let step = step(table, api, &mut known).map_err(|problem| at(number, problem))?;
        // Borrowed from the table, as reports name steps by it.
        if !names.insert(table.name.as_deref().unwrap_or_default()) {
            let what = format!("{} is there twice; limits and reports could not tell them apart", step.name);
            return Err(at(number, wrong("name", what)));
        }
        following.push(step);
    }
    // An answer that does not say it fails an upload only where a step needs it.
    if following.iter().any(|step| needs(step, "id"))
        && let Some(from) = &api.says.id
    {
        takes.push(Take { place: "id".to_owned(), from: from.clone() });
    }
    Ok(Some(Flow { takes, steps: following }))
}

/// The problem of the step with this number, counted from 0.
fn at(number: usize, WrongKey { key, what }: WrongKey) -> Problem {
    Problem { table: (TABLE, number), key, what }
}

/// Places that an upload fills: the file's name, its UUID if the path has one, and what the service calls it if that is said.
fn places_of_uploads(api: &Api) -> Vec<String> {
    let mut known = vec!["name".to_owned()];
    if api.path.has(Place::Uuid) {
        known.push("uuid".to_owned());
    }
    if api.says.id.is_some() {
        known.push("id".to_owned());
    }
    known
}

fn needs(step: &FlowStep, place: &str) -> bool {
    step.path.has(place) || step.body.as_ref().is_some_and(|body| body.has(place))
}

/// Reads the first step, and returns what later ones take of its answer.
fn upload(table: &StepTable, known: &mut Vec<String>) -> Result<Vec<Take>, WrongKey> {
    let name = table.name.as_deref().unwrap_or_default();
    if name != UPLOAD_STEP {
        let what = format!(
            "\"{name}\" must be \"{UPLOAD_STEP}\" in the first step, which sends the file as [api] says"
        );
        return Err(wrong("name", what));
    }
    let of_others = [
        ("method", table.method.is_some()),
        ("path", table.path.is_some()),
        ("body", table.body.is_some()),
        ("success", table.success.is_some()),
        ("until", table.until.is_some()),
        ("every", table.every.is_some()),
        ("timeout", table.timeout.is_some()),
        ("compare", table.compare.is_some()),
    ];
    for (key, is_given) in of_others {
        if is_given {
            return Err(wrong(key, "is of the steps behind the upload; how files are sent is said in [api]"));
        }
    }
    takes(table, known)
}

fn step(table: &StepTable, api: &Api, known: &mut Vec<String>) -> Result<FlowStep, WrongKey> {
    let Some(name) = &table.name else {
        return Err(wrong("name", "is missing; write what reports call the step, like \"finalize\""));
    };
    if !is_name(name) {
        let what = format!("\"{name}\" must be letters, digits, _, - and ., 64 at most");
        return Err(wrong("name", what));
    }
    let Some(path) = &table.path else {
        return Err(wrong("path", "is missing; write what is asked for, like \"/files/{id}/status\""));
    };
    let body = match &table.body {
        Some(text) => Some(template("body", text, api, known)?),
        None => None,
    };
    let path = template("path", path, api, known)?;
    let method = match &table.method {
        Some(text) => parse_method(text).map_err(|what| wrong("method", what))?,
        None if body.is_some() => Method::POST,
        None => Method::GET,
    };
    let largest = if table.until.is_some() { LARGEST_WHILE_WAITING } else { LARGEST_SUCCESS };
    let mut success = match &table.success {
        Some(statuses) => parse_statuses(statuses, largest).map_err(|what| wrong("success", what))?,
        None => STEP_SUCCESS.to_vec(),
    };
    let ends = ends(table)?;
    // What is waited for is a success, too.
    if let StepEnd::Until(Until { goal: Goal::Status(status), .. }) = &ends
        && !success.contains(status)
    {
        success.push(*status);
    }
    let takes = takes(table, known)?;
    if ends == StepEnd::SameContent && !takes.is_empty() {
        return Err(wrong(
            "take",
            "is set together with compare; the file's own bytes are nothing to take from",
        ));
    }
    Ok(FlowStep { name: name.clone(), method, path, body, success, takes, ends })
}

/// Reads a text with places.
fn template(key: &'static str, text: &str, api: &Api, known: &[String]) -> Result<Template, WrongKey> {
    if text.contains("{id}") && api.says.id.is_none() && !known.iter().any(|place| place == "id") {
        return Err(wrong(key, "has {id}, and api.id does not say where that stands in an answer"));
    }
    let template = match key {
        "body" => Template::json(text, known),
        _ => Template::path(text, known),
    };
    template.map_err(|e| wrong(key, e))
}

/// What makes a step end.
fn ends(table: &StepTable) -> Result<StepEnd, WrongKey> {
    let compares = table.compare == Some(true);
    let Some(until) = &table.until else {
        // These keys mean nothing without it: it was forgotten.
        for (key, is_given) in [("every", table.every.is_some()), ("timeout", table.timeout.is_some())] {
            if is_given {
                return Err(wrong(key, "is set without until, which says what is waited for"));
            }
        }
        return Ok(if compares { StepEnd::SameContent } else { StepEnd::Answer });
    };
    if compares {
        return Err(wrong(
            "compare",
            "is set together with until; wait in one step, and compare in the next",
        ));
    }
    let goal = goal(until).map_err(|what| wrong("until", what))?;
    let every = match &table.every {
        Some(text) => time(text).map_err(|what| wrong("every", what))?,
        None => ASK_EVERY,
    };
    let timeout = match &table.timeout {
        Some(text) => time(text).map_err(|what| wrong("timeout", what))?,
        None => ASK_FOR,
    };
    Ok(StepEnd::Until(Until { goal, every, timeout }))
}

fn goal(table: &UntilTable) -> Result<Goal, String> {
    let (at, equals) = match (&table.status, &table.pointer, &table.equals) {
        (Some(_), Some(_), _) => return Err("has status and pointer; keep one of them".to_owned()),
        (Some(status), None, None) => {
            if table.fails.is_some() {
                return Err("has fails without a pointer, which says where that stands".to_owned());
            }
            let statuses = parse_statuses(&[*status], LARGEST_SUCCESS)?;
            let status = statuses.first().copied().expect("one status was read as one");
            return Ok(Goal::Status(status));
        }
        (None, Some(at), Some(equals)) => (at, equals),
        (None, Some(_), None) => {
            return Err("has a pointer without equals, the value that is waited for".to_owned());
        }
        (_, None, Some(_)) => {
            return Err("has equals without a pointer, which says where that stands".to_owned());
        }
        (None, None, None) => {
            return Err(
                "says nothing that is waited for; write { pointer = \"/status\", equals = \"done\" } or { status = 200 }"
                    .to_owned(),
            );
        }
    };
    let at: Pointer = at.parse().map_err(|e| format!("pointer: {e}"))?;
    let equals = scalar(equals).ok_or("equals: must be a text, a number, true or false")?;
    let fails = match &table.fails {
        Some(value) => Some(scalar(value).ok_or("fails: must be a text, a number, true or false")?),
        None => None,
    };
    Ok(Goal::Value { at, equals, fails })
}

fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Integer(number) => Some(Scalar::Number(*number as f64)),
        // JSON has neither infinite numbers nor NaN.
        Value::Float(number) if number.is_finite() => Some(Scalar::Number(*number)),
        Value::Boolean(flag) => Some(Scalar::Flag(*flag)),
        _ => None,
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| (SHORTEST..=LONGEST).contains(time));
    time.ok_or_else(|| format!("\"{text}\" is not a time from 1ms to 1h, like 100ms or 30s"))
}

/// What later steps need of the answer. Its places are known from then on.
fn takes(table: &StepTable, known: &mut Vec<String>) -> Result<Vec<Take>, WrongKey> {
    let mut takes = Vec::new();
    for (place, from) in table.take.iter().flatten() {
        if !is_place_name(place) {
            let what = format!("\"{place}\" must be lower-case letters, digits and _");
            return Err(wrong("take", what));
        }
        if GIVEN_PLACES.contains(&place.as_str()) || known.contains(place) {
            return Err(wrong("take", format!("{{{place}}} is filled already; choose another name")));
        }
        let from: Pointer = from.parse().map_err(|e| wrong("take", format!("{place}: {e}")))?;
        takes.push(Take { place: place.clone(), from });
    }
    known.extend(takes.iter().map(|take| take.place.clone()));
    Ok(takes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Says;

    fn step_named(name: &str) -> StepTable {
        StepTable { name: Some(name.to_owned()), ..StepTable::default() }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    /// A step that asks for this path.
    fn asking(name: &str, path: &str) -> StepTable {
        StepTable { path: some(path), ..step_named(name) }
    }

    /// The flow of an upload and these steps, to a service that tells an id.
    fn read(steps: Vec<StepTable>) -> Result<Flow, String> {
        let says = Says { id: Some(Pointer::of_member("id")), ..Says::default() };
        let api = Api { says, ..Api::default() };
        let mut all = vec![step_named(UPLOAD_STEP)];
        all.extend(steps);
        let table = FlowTable { step: Some(all) };
        match flow(Some(&table), true, &api) {
            Ok(flow) => Ok(flow.expect("a table makes one")),
            Err(problem) => Err(problem.to_string()),
        }
    }

    fn error(steps: Vec<StepTable>) -> String {
        read(steps).expect_err("is wrong")
    }

    #[test]
    fn a_step_says_what_it_is_by_its_keys() {
        let finalize = StepTable {
            body: some(r#"{"file": "{id}"}"#),
            take: Some([("job".to_owned(), "/job/id".to_owned())].into()),
            ..asking("finalize", "/files/{id}/finalize")
        };
        let equals = Some(Value::Boolean(true));
        let until = UntilTable { pointer: some("/done"), equals, ..UntilTable::default() };
        let ready = StepTable { until: Some(until), every: some("50ms"), ..asking("ready", "/jobs/{job}") };
        let download = StepTable { compare: Some(true), ..asking("download", "/files/{id}") };
        let flow = read(vec![finalize, ready, download]).expect("is fine");
        assert_eq!(flow.takes, [Take { place: "id".to_owned(), from: Pointer::of_member("id") }]);
        let methods: Vec<&str> = flow.steps.iter().map(|step| step.method.as_str()).collect();
        assert_eq!(methods, ["POST", "GET", "GET"]);
        assert_eq!(flow.steps[0].takes.len(), 1);
        let goal = Goal::Value { at: Pointer::of_member("done"), equals: Scalar::Flag(true), fails: None };
        let until = Until { goal, every: Duration::from_millis(50), timeout: ASK_FOR };
        assert_eq!(flow.steps[1].ends, StepEnd::Until(until));
        assert!(flow.compares());
    }

    #[test]
    fn a_status_that_is_waited_for_is_a_success() {
        let until = UntilTable { status: Some(204), ..UntilTable::default() };
        let asking = StepTable { success: Some(vec![404]), ..asking("ready", "/files/{id}") };
        // As an answer to somebody who waits for another status, 404 is no failure.
        let waiting = StepTable { until: Some(until), ..asking.clone() };
        let flow = read(vec![waiting]).expect("is fine");
        let statuses: Vec<u16> = flow.steps[0].success.iter().map(|status| status.as_u16()).collect();
        assert_eq!(statuses, [404, 204]);
        assert!(error(vec![asking]).contains("success: 404 is not a status from 200 to 399"));
    }

    #[test]
    fn an_id_is_taken_only_where_a_step_needs_it() {
        assert!(read(vec![asking("list", "/files")]).expect("is fine").takes.is_empty());
    }

    #[test]
    fn what_cannot_be_performed_is_refused() {
        let until = UntilTable { status: Some(200), ..UntilTable::default() };
        let waiting = StepTable { until: Some(until.clone()), ..asking("a", "/a") };
        for (step, problem) in [
            (step_named("a"), "flow.step.path: is missing"),
            (asking("a b", "/a"), "flow.step.name: \"a b\" must be letters"),
            (asking("upload", "/a"), "flow.step.name: upload is there twice"),
            (
                asking("a", "/{job}"),
                "flow.step.path: \"/{job}\" has {job}, which nothing before this step fills",
            ),
            (StepTable { body: some("x=1"), ..asking("a", "/a") }, "flow.step.body: \"x=1\" is not JSON"),
            (StepTable { every: some("1s"), ..asking("a", "/a") }, "flow.step.every: is set without until"),
            (StepTable { every: some("0s"), ..waiting.clone() }, "flow.step.every: \"0s\" is not a time"),
            (StepTable { timeout: some("2h"), ..waiting.clone() }, "flow.step.timeout: \"2h\" is not a time"),
            (StepTable { compare: Some(true), ..waiting }, "flow.step.compare: is set together with until"),
            (
                StepTable { method: some("get"), ..asking("a", "/a") },
                "flow.step.method: \"get\" is not a method",
            ),
            (
                StepTable { take: Some([("Job".to_owned(), "/j".to_owned())].into()), ..asking("a", "/a") },
                "flow.step.take: \"Job\" must be lower-case",
            ),
            (
                StepTable { take: Some([("id".to_owned(), "/j".to_owned())].into()), ..asking("a", "/a") },
                "flow.step.take: {id} is filled already",
            ),
        ] {
            let error = error(vec![step]);
            assert!(error.starts_with(problem), "{error}");
        }
        for (until, problem) in [
            (UntilTable::default(), "says nothing that is waited for"),
            (UntilTable { pointer: some("/a"), ..UntilTable::default() }, "has a pointer without equals"),
            (UntilTable { pointer: some("/a"), ..until.clone() }, "has status and pointer"),
            (UntilTable { fails: Some(Value::Boolean(true)), ..until }, "has fails without a pointer"),
            (
                UntilTable {
                    pointer: some("a"),
                    equals: Some(Value::Boolean(true)),
                    ..UntilTable::default()
                },
                "pointer: \"a\" is not a JSON pointer",
            ),
            (
                UntilTable {
                    pointer: some("/a"),
                    equals: Some(Value::Array(Vec::new())),
                    ..UntilTable::default()
                },
                "equals: must be a text",
            ),
        ] {
            let error = error(vec![StepTable { until: Some(until), ..asking("a", "/a") }]);
            assert!(error.starts_with(&format!("flow.step.until: {problem}")), "{error}");
        }
    }

    #[test]
    fn without_a_table_only_the_ingester_has_a_flow() {
        let api = Api::default();
        assert_eq!(flow(None, false, &api), Ok(Some(Flow::default())));
        assert_eq!(flow(None, true, &api), Ok(None));
        let empty = flow(Some(&FlowTable::default()), true, &api).expect_err("has no steps");
        assert!(empty.to_string().starts_with("flow.step: is missing"), "{empty}");
        let other = FlowTable { step: Some(vec![asking("send", "/a")]) };
        let error = flow(Some(&other), true, &api).expect_err("does not begin with an upload").to_string();
        assert!(error.contains("\"send\" must be \"upload\" in the first step"), "{error}");
    }
}
