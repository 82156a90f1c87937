//! Uploads as an operation: files by weight, and tokens that are renewed by another thread.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::drive::Operation;
use super::mix::Mix;
use crate::auth::Token;
use crate::client::{Client, UploadBody, is_unreadable};
use crate::recording::{Performed, Sent};

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
        }
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
        let performed = user.upload(file).await;
        if let Err(failure) = &performed.finished.outcome
            && is_unreadable(failure)
        {
            // The first one's message is as good as any other.
            let _ = self.shared.unreadable.set(failure.message.clone());
        }
        performed
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
