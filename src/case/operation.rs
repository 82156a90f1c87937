//! Uploads as an operation: files by weight, and tokens that are renewed by another thread.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::suite::step_operations;
use crate::api::Flow;
use crate::auth::Token;
use crate::client::{Client, Sent, UploadBody, is_unreadable};
use crate::load::Operation;
use crate::payload::Mix;
use crate::recording::Performed;

/// The uploads of one worker.
pub struct UploadOperation {
    /// The user that all others are copied from.
    user: Client,
    /// One file for each size of the mix.
    files: Arc<[UploadBody]>,
    mix: Mix,
    seed: u64,
    /// Channel on which a new token comes before the last one expires.
    tokens: RefCell<watch::Receiver<Option<Token>>>,
    token: RefCell<Option<Token>>,
    /// Bytes of file that may still be sent.
    left: Cell<u64>,
    /// Uploads that were begun, and bytes of their files.
    begun: Cell<(u64, u64)>,
    shared: Arc<Shared>,
    /// What follows each upload, if anything does.
    flow: Option<Arc<Flow>>,
    /// What reports call the steps of that; empty where nothing follows.
    steps: Vec<String>,
}

/// State that all workers of a command share.
#[derive(Debug, Default)]
pub struct Shared {
    /// What was sent.
    pub sent: Sent,
    /// Message about a file that could not be read. All further uploads would fail too, so the run ends.
    pub unreadable: OnceLock<String>,
}

impl UploadOperation {
    /// Uploads of `files` in the proportions of `mix`, drawn by the seed, up to `allowance` bytes.
    pub fn new(
        user: Client,
        (files, mix, seed): (Arc<[UploadBody]>, Mix, u64),
        tokens: watch::Receiver<Option<Token>>,
        allowance: u64,
        shared: Arc<Shared>,
    ) -> Self {
        let token = RefCell::new(tokens.borrow().clone());
        Self {
            user,
            files,
            mix,
            seed,
            tokens: RefCell::new(tokens),
            token,
            left: Cell::new(allowance),
            begun: Cell::new((0, 0)),
            shared,
            flow: None,
            steps: Vec::new(),
        }
    }

    /// The same, with these steps behind each upload. An operation then ends with its last step.
    pub fn followed_by(mut self, flow: &Arc<Flow>) -> Self {
        self.steps = step_operations(flow);
        self.flow = Some(Arc::clone(flow));
        self
    }

    /// The file of the request `index`.
    fn file(&self, index: u64) -> &UploadBody {
        &self.files[self.mix.pick(self.seed, index)]
    }

    /// Takes over a new token if there is one; if not, this costs a look at a flag.
    fn look_for_token(&self) {
        let mut tokens = self.tokens.borrow_mut();
        if tokens.has_changed().unwrap_or(false) {
            *self.token.borrow_mut() = tokens.borrow_and_update().clone();
        }
    }
}

impl Drop for UploadOperation {
    fn drop(&mut self) {
        // Told once and not by every upload: no counter is shared between threads while they send.
        let (uploads, bytes) = self.begun.get();
        self.shared.sent.add(uploads, bytes);
    }
}

impl Operation for UploadOperation {
    type User = Client;

    fn user(&self) -> Client {
        self.user.another()
    }

    async fn perform(&self, user: &mut Client, index: u64) -> Performed {
        self.look_for_token();
        // An error means a token that no header may hold. Such a one is refused where it is read; here the old one stays,
        // and the service says what is wrong with it.
        let _ = user.renew(self.token.borrow().as_ref());
        let file = self.file(index);
        let (uploads, bytes) = self.begun.get();
        self.begun.set((uploads + 1, bytes + file.size().0));
        let performed = match &self.flow {
            None => user.upload(file).await,
            // Boxed, so that an upload alone has no room for it in its future.
            Some(flow) => Box::pin(user.flow(file, flow)).await,
        };
        // Of several steps, the upload is the first.
        let of_upload = performed.steps.first().map_or(&performed.finished, |step| &step.finished);
        if let Err(failure) = &of_upload.outcome
            && is_unreadable(failure)
        {
            // The first one's message is as good as any other.
            let _ = self.shared.unreadable.set(failure.message.clone());
        }
        performed
    }

    fn steps(&self) -> &[String] {
        &self.steps
    }

    fn allows(&self, index: u64) -> bool {
        if self.shared.unreadable.get().is_some() {
            return false;
        }
        let left = self.left.get().checked_sub(self.file(index).size().0);
        // The first file that does not fit ends the run: what is left is not spent on smaller ones.
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::Api;
    use crate::client::{Endpoint, Http};
    use crate::payload::generate_test_file;
    use crate::units::Bytes;

    #[test]
    fn a_request_is_sent_once_whatever_comes_of_it() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("has one")).parse().expect("is a URL");
        let answers = std::thread::spawn(move || answer_503(&listener));
        let api = Arc::new(Api::default());
        let endpoint = Endpoint::resolve(&url, Http::One).expect("resolves");
        let client = Client::new(endpoint, &api, Some(Token::new("a.b.c")), Duration::from_secs(10));
        let file = UploadBody::whole(&generate_test_file(Bytes(10)), &api);
        let shared = Arc::new(Shared::default());
        let (_sender, tokens) = watch::channel(None);
        let files: (Arc<[UploadBody]>, Mix, u64) = (Arc::new([file]), Mix::only(Bytes(10)), 1);
        let operation =
            UploadOperation::new(client.expect("is a token"), files, tokens, 100, Arc::clone(&shared));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let performed = runtime.block_on(operation.perform(&mut operation.user(), 0));
        let failure = performed.finished.outcome.expect_err("was refused");
        assert_eq!((failure.status, failure.retry_after), (Some(503), Some(Duration::from_secs(1))));
        drop(operation);
        assert_eq!(shared.sent.bytes(), 10);
        assert_eq!(answers.join().expect("does not panic"), 1, "asked once");
    }

    /// Answers 503 to every request of the first connection, and returns how many there were.
    fn answer_503(listener: &std::net::TcpListener) -> usize {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().expect("accepts");
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        let mut answered = 0;
        // A multipart body ends with two dashes and the end of a line; and the connection when the client goes.
        loop {
            let n = stream.read(&mut buffer).unwrap_or(0);
            if n == 0 {
                return answered;
            }
            received.extend_from_slice(&buffer[..n]);
            if received.ends_with(b"--\r\n") {
                received.clear();
                answered += 1;
                let answer = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer.as_bytes()).expect("writes");
            }
        }
    }
}
