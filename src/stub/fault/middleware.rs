//! Doing to a request what the faults say.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

use super::super::answer;
use super::super::hangup::Hangup;
use super::flipped::flipped;
use super::halved::{Middle, halved};
use super::set::Faults;
use super::spec::FaultKind;
use crate::units::Bytes;

/// How long the part of a body that is read before a reset may take to come.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Hands a request on, or does what the faults that hit it say.
pub(super) async fn suffer(Shared(faults): Shared<Arc<Faults>>, request: Request, next: Next) -> Response {
    let hits = faults.hits(request.uri().path());
    for hit in &hits {
        match hit.kind {
            FaultKind::Delay(time) => tokio::time::sleep(time.at(hit.how_hard)).await,
            FaultKind::Leak(size) => keep(size),
            FaultKind::Status(status) => {
                let status = StatusCode::from_u16(status).expect("a fault's status is from 400 to 599");
                return answer::detail_of(status, "A fault was asked for");
            }
            FaultKind::Reset => return reset(request, hit.how_hard).await,
            // These act on the answer.
            FaultKind::Stall(_) | FaultKind::Truncate | FaultKind::Flip => {}
            FaultKind::Storage(_) => unreachable!("those of the storage are drawn apart"),
        }
    }
    let mut response = next.run(request).await;
    for hit in &hits {
        match hit.kind {
            FaultKind::Stall(time) => response = halved(response, Middle::Stall(time)),
            FaultKind::Truncate => response = halved(response, Middle::Cut),
            FaultKind::Flip => response = flipped(response),
            _ => {}
        }
    }
    response
}

/// Keeps so much memory for ever.
fn keep(size: Bytes) {
    // Not zeros: those the system would hand out without taking memory for them. And looked at, as a compiler may leave out
    // what nobody reads.
    let kept = vec![1_u8; size.0 as usize].leak();
    std::hint::black_box(kept);
}

/// Reads this share of the body, and has the connection reset.
async fn reset(request: Request, share: f64) -> Response {
    let (head, mut body) = request.into_parts();
    let hangup = head.extensions.get::<Hangup>().expect("a server with faults puts one into every request");
    // Of a body of unknown length the first piece is read.
    let length = body.size_hint().exact().unwrap_or(1);
    let part = (share * length as f64).ceil() as u64;
    // A client that sends nothing more is reset all the same.
    let _ = tokio::time::timeout(READ_WITHIN, read(&mut body, part)).await;
    hangup.hang_up();
    // Never sent: the attempt to send it is where the connection ends.
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Reads at least so many bytes, or to the end.
async fn read(body: &mut Body, part: u64) {
    let mut read = 0;
    while read < part {
        let Some(Ok(frame)) = body.frame().await else { return };
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}
