//! An upload, and the requests that follow it.
//!
//! A step begins where the one before it ends. What the client does in between (it reads what an answer says, and makes the next
//! request) is part of the next step, so that the times of the steps add up to that of the whole.

use std::time::{Duration, Instant};

use bytes::Bytes as Buffer;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request};

use super::answer;
use super::connection::{Answer, Fetched, retry_after};
use super::upload::{Sending, UploadBody};
use super::user::{Client, Uploaded, received};
use crate::api::{Flow, FlowStep, Goal, Json, PlaceValues, StepEnd, Take, UPLOAD_STEP, Until};
use crate::auth::Redactor;
use crate::recording::{Class, Failure, Finished, Outcome, Performed, PerformedStep};

/// A step that has ended.
struct StepEnded {
    at: Instant,
    requests: u64,
    outcome: Outcome,
}

/// What an answer says to somebody who waits.
#[derive(Debug, PartialEq)]
enum Look {
    Ready,
    /// Not yet; in words, what it said in place of that.
    NotYet(String),
    /// It never will be; likewise.
    Failed(String),
}

impl Client {
    /// Performs an upload and all steps behind it, until one fails.
    pub async fn flow(&mut self, upload: &UploadBody, flow: &Flow) -> Performed {
        let Uploaded { performed, uuid, answer } = self.upload_with_answer(upload).await;
        let began = performed.began;
        let Finished { latency, mut outcome } = performed.finished;
        let mut values = PlaceValues::default();
        values.set("name", upload.name.as_str());
        values.set("uuid", uuid);
        if outcome.is_ok()
            && let Some(answer) = &answer
        {
            outcome = self.keep(&flow.takes, answer, &mut values);
        }
        let mut ended = began + latency;
        let mut failed_in = UPLOAD_STEP;
        let of_upload = Finished { latency, outcome: outcome.clone() };
        let mut steps = vec![PerformedStep { finished: of_upload, requests: 1 }];
        for step in &flow.steps {
            if outcome.is_err() {
                break;
            }
            let StepEnded { at, requests, outcome: of_step } = self.step(step, &mut values, upload).await;
            let latency = at - ended;
            ended = at;
            outcome = of_step.clone();
            failed_in = &step.name;
            steps.push(PerformedStep { finished: Finished { latency, outcome: of_step }, requests });
        }
        let outcome = outcome.map_err(|failure| in_step(failed_in, failure));
        Performed { steps, ..Performed::new(began, ended - began, outcome) }
    }

    async fn step(&mut self, step: &FlowStep, values: &mut PlaceValues, upload: &UploadBody) -> StepEnded {
        match &step.ends {
            StepEnd::Answer => {
                let answer = self.answer_to(step, values, self.timeout()).await;
                let at = Instant::now();
                let outcome = match answer {
                    Ok(answer) => self.judge_step(step, &answer, values),
                    Err(failure) => Err(failure),
                };
                StepEnded { at, requests: 1, outcome }
            }
            StepEnd::Until(until) => self.ask_until(step, until, values).await,
            StepEnd::SameContent => {
                let fetched = self.content_at(step, values, upload).await;
                let at = Instant::now();
                let outcome = match fetched {
                    Ok(Fetched::Content { size, sha256 }) => compare(upload, size, &sha256),
                    Ok(Fetched::TooLong) => Err(differs(upload, "more bytes".to_owned())),
                    Ok(Fetched::Other(answer)) => self.judge_status_of(step, &answer),
                    Err(failure) => Err(failure),
                };
                StepEnded { at, requests: 1, outcome }
            }
        }
    }

    /// Asks again and again, until an answer says what is waited for.
    async fn ask_until(&mut self, step: &FlowStep, until: &Until, values: &mut PlaceValues) -> StepEnded {
        let deadline = Instant::now() + until.timeout;
        let mut requests = 0;
        let mut last = "nothing was asked".to_owned();
        loop {
            let asked = Instant::now();
            let left = deadline.saturating_duration_since(asked);
            if left.is_zero() {
                return StepEnded { at: asked, requests, outcome: Err(not_ready(until, requests, &last)) };
            }
            requests += 1;
            let answer = self.answer_to(step, values, self.timeout().min(left)).await;
            let at = Instant::now();
            let answer = match answer {
                Ok(answer) => answer,
                // The step's own time is over, and not only that of one request.
                Err(failure) if failure.class == Class::Timeout && at >= deadline => {
                    return StepEnded { at, requests, outcome: Err(not_ready(until, requests, &last)) };
                }
                Err(failure) => return StepEnded { at, requests, outcome: Err(failure) },
            };
            if let Err(failure) = self.judge_status_of(step, &answer) {
                return StepEnded { at, requests, outcome: Err(failure) };
            }
            match look(&until.goal, &answer, self.redactor()) {
                Look::Ready => {
                    let outcome = self.keep(&step.takes, &answer, values);
                    return StepEnded { at, requests, outcome };
                }
                Look::Failed(said) => {
                    let failure =
                        Failure::new(Class::Other, format!("the service says that it failed: {said}"));
                    return StepEnded { at, requests, outcome: Err(failure) };
                }
                Look::NotYet(said) => last = said,
            }
            // At the deadline, the turn above ends it. An answer that took longer than the pause is followed by the next
            // request at once.
            let next = (asked + until.every).min(deadline);
            tokio::time::sleep_until(next.into()).await;
        }
    }

    /// The answer to a step's request.
    async fn answer_to(
        &mut self,
        step: &FlowStep,
        values: &PlaceValues,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let request = self.step_request(step, values)?;
        self.ask(request, limit).await
    }

    /// The hash of the content that is to be compared.
    async fn content_at(
        &mut self,
        step: &FlowStep,
        values: &PlaceValues,
        upload: &UploadBody,
    ) -> Result<Fetched, Failure> {
        let mut request = self.step_request(step, values)?;
        // The file is of any type, unlike what says something of it.
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
        self.fetch(request, &step.success, upload.size()).await
    }

    fn step_request(&self, step: &FlowStep, values: &PlaceValues) -> Result<Request<Sending>, Failure> {
        let mut request = self.bare_request(&step.method, &step.path.fill(values))?;
        if let Some(body) = &step.body {
            *request.body_mut() = Sending::whole(Buffer::from(body.fill(values)));
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        } else if matches!(step.method, Method::POST | Method::PUT | Method::PATCH) {
            // hyper leaves the length of an empty body out, and some servers wait for it or refuse the request (RFC 9110,
            // section 8.6).
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    fn judge_step(&self, step: &FlowStep, answer: &Answer, values: &mut PlaceValues) -> Outcome {
        self.judge_status_of(step, answer)?;
        self.keep(&step.takes, answer, values)
    }

    fn judge_status_of(&self, step: &FlowStep, answer: &Answer) -> Outcome {
        let judged = answer::judge_status(&received(answer), &step.success, self.redactor());
        judged.map_err(|failure| Failure { retry_after: retry_after(&answer.headers), ..failure })
    }

    /// Keeps what later steps need of an answer. An answer that lacks it fails its step: the next one could not be asked for.
    fn keep(&self, takes: &[Take], answer: &Answer, values: &mut PlaceValues) -> Outcome {
        if takes.is_empty() {
            return Ok(());
        }
        let body: Json = serde_json::from_slice(&answer.body).unwrap_or(Json::Other);
        for Take { place, from } in takes {
            let Some(value) = answer::name_at(&body, from) else {
                let came = answer::quote(&received(answer), self.redactor());
                let message = format!("wanted an answer with {from}, which later steps need; got {came}");
                return Err(Failure::new(Class::Protocol, message));
            };
            values.set(place, value);
        }
        Ok(())
    }
}

/// The failure of an operation that failed in this step.
fn in_step(name: &str, failure: Failure) -> Failure {
    Failure { message: format!("{name}: {}", failure.message), ..failure }
}

fn not_ready(until: &Until, requests: u64, last: &str) -> Failure {
    let limit = until.timeout;
    Failure::new(
        Class::Timeout,
        format!("not ready within {limit:?} ({requests} requests); the last answer: {last}"),
    )
}

/// Whether the content is what was sent.
fn compare(upload: &UploadBody, size: u64, sha256: &str) -> Outcome {
    if size != upload.size().0 {
        return Err(differs(upload, format!("{size} bytes")));
    }
    if sha256 != upload.sha256 {
        return Err(differs(upload, "as many, with another SHA-256".to_owned()));
    }
    Ok(())
}

fn differs(upload: &UploadBody, came: String) -> Failure {
    let sent = upload.size().0;
    Failure::new(Class::ContentDiffers, format!("the content differs: sent {sent} bytes, read back {came}"))
}

/// What an answer says to somebody who waits for this.
fn look(goal: &Goal, answer: &Answer, secrets: &Redactor) -> Look {
    match goal {
        Goal::Status(status) if answer.status == *status => Look::Ready,
        Goal::Status(_) => Look::NotYet(answer.status.to_string()),
        Goal::Value { at, equals, fails } => {
            let body: Json = serde_json::from_slice(&answer.body).unwrap_or(Json::Other);
            let found = body.at(at);
            let Some(value) = found.first() else {
                return Look::NotYet(format!("nothing at {at}"));
            };
            if equals.is(value) {
                return Look::Ready;
            }
            let said = format!("{at} is {}", shown(value, secrets));
            let has_failed = fails.as_ref().is_some_and(|fails| fails.is(value));
            if has_failed { Look::Failed(said) } else { Look::NotYet(said) }
        }
    }
}

/// A value of an answer, for people.
fn shown(value: &Json, secrets: &Redactor) -> String {
    match value {
        Json::Text(text) => format!("\"{}\"", answer::shortened(&secrets.clean(text))),
        Json::Number(number) => number.to_string(),
        Json::Bool(flag) => flag.to_string(),
        Json::Other => "null".to_owned(),
        Json::Object(_) | Json::Array(_) => "an object or an array".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::header::HeaderMap;

    use super::*;
    use crate::api::{Api, Pointer, Scalar};
    use crate::payload::generate_test_file;
    use crate::units::Bytes;

    fn answered(status: StatusCode, body: &'static str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Buffer::from_static(body.as_bytes()),
            whole: true,
            head_at: Instant::now(),
        }
    }

    /// What an answer with this body says to somebody who waits until its `status` is `done`.
    fn said(body: &'static str) -> Look {
        let goal = Goal::Value {
            at: Pointer::of_member("status"),
            equals: Scalar::Text("done".to_owned()),
            fails: Some(Scalar::Text("failed".to_owned())),
        };
        look(&goal, &answered(StatusCode::OK, body), &Redactor::of("a-token-that-is-secret"))
    }

    #[test]
    fn an_answer_is_ready_failed_or_neither() {
        assert_eq!(said(r#"{"status": "done"}"#), Look::Ready);
        assert_eq!(said(r#"{"status": "failed"}"#), Look::Failed("status is \"failed\"".to_owned()));
        for (body, says) in [
            (r#"{"status": "copying"}"#, "status is \"copying\""),
            (r#"{"status": false}"#, "status is false"),
            (r#"{"status": null}"#, "status is null"),
            (r#"{"state": "done"}"#, "nothing at status"),
            ("done", "nothing at status"),
        ] {
            assert_eq!(said(body), Look::NotYet(says.to_owned()), "{body}");
        }
    }

    #[test]
    fn what_is_quoted_of_an_answer_holds_no_secret() {
        let Look::NotYet(said) = said(r#"{"status": "a-token-that-is-secret"}"#) else {
            panic!("is not ready")
        };
        assert!(said.contains("[redacted") && !said.contains("secret"), "{said}");
    }

    #[test]
    fn a_status_can_be_what_is_waited_for() {
        let goal = Goal::Status(StatusCode::OK);
        let secrets = Redactor::of("");
        assert_eq!(look(&goal, &answered(StatusCode::OK, ""), &secrets), Look::Ready);
        let waits = look(&goal, &answered(StatusCode::ACCEPTED, ""), &secrets);
        assert_eq!(waits, Look::NotYet("202 Accepted".to_owned()));
    }

    #[test]
    fn content_differs_by_its_length_or_its_hash() {
        let file = generate_test_file(Bytes(10));
        let upload = UploadBody::whole(&file, &Api::default());
        assert_eq!(compare(&upload, 10, &file.sha256), Ok(()));
        let shorter = compare(&upload, 9, &file.sha256).expect_err("is shorter");
        let says = "the content differs: sent 10 bytes, read back 9 bytes";
        assert_eq!((shorter.class, shorter.message.as_str()), (Class::ContentDiffers, says));
        let other = compare(&upload, 10, &"0".repeat(64)).expect_err("has other bytes");
        assert!(other.message.ends_with("read back as many, with another SHA-256"), "{other}");
    }

    #[test]
    fn a_failure_of_the_whole_names_its_step() {
        let failure = in_step("finalize", Failure::status(404, "404 Not Found: no"));
        assert_eq!((failure.class, failure.status), (Class::Http4xx, Some(404)));
        assert_eq!(failure.message, "finalize: 404 Not Found: no");
    }
}
