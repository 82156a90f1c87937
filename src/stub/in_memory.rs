//! The stub without a socket: its router and its reader of forms are called in this thread, with bodies that arrive in
//! pieces of one size. For what is to be counted and not timed: nothing here depends on how fast a connection delivers.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::{Bytes as Buffer, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::Service;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Runtime;

use super::app::{self, UPLOAD_ROUTE};
use super::broken::Broken;
use super::multipart::{self, Multipart};
use super::server::StubError;
use super::state::State;
use super::storage::Storage;
use crate::auth::{Policy, PublicKey, Token, Verifier};
use crate::machine::AllocationMeter;
use crate::payload::EncodedBody;

/// Bytes of a piece: about what a server reads from a fast connection at once.
const PIECE: usize = 64 << 10;
/// Where answers say that the storage is. Always the same, as it is a part of what is counted.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8020);

/// A stub without a socket, with an event loop of its own. It keeps no files.
pub(crate) struct InMemory {
    service: TowerToHyperService<Router>,
    runtime: Runtime,
    /// The last answer. Kept, so that reading one allocates nothing.
    answer: Vec<u8>,
}

/// An upload that is sent again and again.
pub(crate) struct PreparedUpload {
    authorization: HeaderValue,
    content_type: HeaderValue,
    body: Buffer,
}

impl PreparedUpload {
    /// The upload of this body with this token.
    pub fn new(body: &EncodedBody, token: &Token) -> Self {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.as_str()))
            .expect("a token has only characters that a header may have");
        authorization.set_sensitive(true);
        let content_type = HeaderValue::try_from(&body.content_type)
            .expect("a boundary has only characters that a header may have");
        Self { authorization, content_type, body: body.bytes.clone() }
    }

    fn request(&self, meter: &Arc<AllocationMeter>) -> Request<Pieces> {
        let mut request = Request::new(Pieces::of(&self.body, meter));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(UPLOAD_ROUTE);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        request
    }
}

impl InMemory {
    /// A stub that takes tokens of this key, as the policy has it.
    pub fn new(key: &PublicKey, policy: Policy) -> Result<Self, StubError> {
        let storage = Storage::open(&[], SocketAddr::from(ADDRESS), None)?;
        let state = State::new(Verifier::new(key, policy), Arc::new(storage));
        let service = TowerToHyperService::new(app::app(Arc::new(state)));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StubError::Thread)?;
        Ok(Self { service, runtime, answer: Vec::new() })
    }

    /// Uploads once: through the router, as a request that has come from a connection, and reads the answer to its end.
    /// The meter leaves out what making the request costs.
    pub fn upload(
        &mut self,
        upload: &PreparedUpload,
        meter: &Arc<AllocationMeter>,
    ) -> Result<StatusCode, io::Error> {
        let Self { service, runtime, answer } = self;
        answer.clear();
        let request = meter.leave_out(|| upload.request(meter));
        meter.begin_iteration();
        runtime.block_on(answered(service, request, answer, meter))
    }

    /// The body of the last answer.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Reads a form to its end, as an upload's is read, and drops what is in it. Returns how many bytes of content it
    /// had. The meter leaves out what making the body costs.
    pub fn read_form(&self, form: &EncodedBody, meter: &Arc<AllocationMeter>) -> Result<u64, String> {
        let mut body = meter.leave_out(|| Body::new(Pieces::of(&form.bytes, meter)));
        meter.begin_iteration();
        let boundary = multipart::boundary(&form.content_type).ok_or("its type names no boundary")?;
        let read = self.runtime.block_on(content_of(&mut body, &boundary));
        read.map_err(|broken| broken.to_string())
    }
}

/// Has a request answered, and reads the answer to its end.
async fn answered(
    service: &TowerToHyperService<Router>,
    request: Request<Pieces>,
    answer: &mut Vec<u8>,
    meter: &AllocationMeter,
) -> Result<StatusCode, io::Error> {
    let Ok(response) = service.call(request).await;
    meter.look();
    let status = response.status();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        // Trailers say nothing about the file.
        if let Ok(bytes) = frame.into_data() {
            meter.leave_out(|| answer.extend_from_slice(&bytes));
        }
    }
    Ok(status)
}

/// Bytes of content in all parts of a form.
async fn content_of(body: &mut Body, boundary: &str) -> Result<u64, Broken> {
    let mut multipart = Multipart::new(body, boundary);
    let mut bytes = 0;
    while multipart.next().await?.is_some() {
        while let Some(chunk) = multipart.chunk().await? {
            bytes += chunk.len() as u64;
        }
    }
    Ok(bytes)
}

/// A body that arrives in pieces, each in a buffer of its own, as a server hands them on.
struct Pieces {
    rest: Buffer,
    meter: Arc<AllocationMeter>,
}

impl Pieces {
    fn of(body: &Buffer, meter: &Arc<AllocationMeter>) -> Self {
        Self { rest: body.clone(), meter: Arc::clone(meter) }
    }
}

impl HttpBody for Pieces {
    type Data = Buffer;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Buffer>, Infallible>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = this.rest.len().min(PIECE);
        let piece = this.rest.split_to(length);
        // A copy, as from a socket: a service that holds on to pieces holds on to memory, and the meter sees it.
        let arrived = this.meter.leave_out(|| arrived(&piece));
        this.meter.look();
        Poll::Ready(Some(Ok(Frame::data(arrived))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// The bytes in a buffer such as hyper hands on: a part of one that it has split, which can be split further without
/// allocating.
fn arrived(piece: &[u8]) -> Buffer {
    let mut buffer = BytesMut::with_capacity(piece.len());
    buffer.extend_from_slice(piece);
    buffer.split().freeze()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::{KeyPair, Minter};
    use crate::payload::{BodyFormat, Form, TestFile, generate_test_file};
    use crate::units::Bytes;

    /// A file that arrives in three pieces.
    fn file() -> TestFile {
        generate_test_file(Bytes::kb(130))
    }

    fn encoded(file: &TestFile) -> EncodedBody {
        BodyFormat::Multipart(Form::default()).encode(file)
    }

    #[test]
    fn an_upload_goes_through_the_router_and_is_answered() {
        let key = KeyPair::generate().expect("makes one");
        let mut stub = InMemory::new(key.public(), Policy::default()).expect("starts");
        let meter = Arc::default();
        let file = file();
        let good = Minter::new(key).mint(Duration::from_secs(60)).expect("mints");
        let upload = PreparedUpload::new(&encoded(&file), &good);
        for _ in 0..2 {
            assert_eq!(stub.upload(&upload, &meter).expect("is answered"), StatusCode::CREATED);
            let answer: serde_json::Value = serde_json::from_slice(stub.answer()).expect("is JSON");
            assert_eq!(answer["checksum"], file.sha256);
        }
        let unknown = PreparedUpload::new(&encoded(&file), &Token::new("a.b.c"));
        assert_eq!(stub.upload(&unknown, &meter).expect("is answered"), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn a_form_is_read_to_its_end() {
        let key = KeyPair::generate().expect("makes one");
        let stub = InMemory::new(key.public(), Policy::default()).expect("starts");
        let meter = Arc::default();
        let form = encoded(&file());
        // 130 KB of 1024 bytes.
        assert_eq!(stub.read_form(&form, &meter), Ok(133_120));
        let cut = EncodedBody { bytes: form.bytes.slice(..form.bytes.len() - 10), ..form };
        assert_eq!(stub.read_form(&cut, &meter), Err("it ends before its last boundary".to_owned()));
    }

    #[test]
    fn a_body_arrives_in_pieces_of_one_size() {
        let body = Buffer::from(vec![7_u8; 2 * PIECE + 5]);
        let mut pieces = Pieces::of(&body, &Arc::default());
        assert_eq!(pieces.size_hint().exact(), Some(131_077));
        let mut sizes = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
        while let Some(Ok(frame)) = runtime.block_on(pieces.frame()) {
            sizes.push(frame.into_data().expect("is no trailer").len());
        }
        assert_eq!(sizes, [65_536, 65_536, 5]);
    }
}
