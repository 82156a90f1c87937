//! Uploads as an operation: files by weight, tokens renewed beside the load.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::drive::Operation;
use super::mix::Mix;
use crate::auth::Token;
use crate::client::{Client, UploadBody, is_unreadable};
use crate::recording::{Performed, Sent};

/// What one worker uploads.
pub struct UploadOperation {
    /// Every user is made like this one.
    user: Client,
    /// One for each size of the mix.
    files: Arc<[UploadBody]>,
    mix: Mix,
    seed: u64,
    /// Where a new token appears before the last one expires.
    tokens: RefCell<watch::Receiver<Option<Token>>>,
    token: RefCell<Option<Token>>,
    /// Bytes of file that may still be sent.
    left: Cell<u64>,
    /// Uploads that were begun, and bytes of their files.
    begun: Cell<(u64, u64)>,
    shared: Arc<Shared>,
}

/// What all workers of a command tell.
#[derive(Debug, Default)]
pub struct Shared {
    /// What was sent.
    pub sent: Sent,
    /// Why a file could not be read. All that follows would fail too, so the runs end.
    pub unreadable: OnceLock<String>,
}

impl UploadOperation {
    /// The `files` in the proportions of `mix`, which the seed distributes, up to `allowance` bytes.
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

    fn file(&self, index: u64) -> &UploadBody {
        &self.files[self.mix.pick(self.seed, index)]
    }

    /// Takes over a new token: a look at a flag, unless there is one.
    fn look_for_token(&self) {
        let mut tokens = self.tokens.borrow_mut();
        if tokens.has_changed().unwrap_or(false) {
            *self.token.borrow_mut() = tokens.borrow_and_update().clone();
        }
    }
}

impl Drop for UploadOperation {
    fn drop(&mut self) {
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
        // A token that no header may hold is refused where it is read: the service will say what is wrong with the old.
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
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }
}
