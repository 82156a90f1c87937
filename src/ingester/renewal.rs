//! Tokens renewed beside a load that lasts longer than one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::Ingester;
use crate::auth::Token;
use crate::console::note;
use crate::error::Error;

/// How often a look is taken whether there is a new token. A token lives for seconds at least, and is renewed at half
/// of its life.
const LOOK: Duration = Duration::from_millis(100);

/// A thread that keeps a token fresh. Dropping it ends the thread.
#[derive(Debug)]
pub struct Renewal {
    token: watch::Receiver<Option<Token>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Renewal {
    /// Gets the first token, and every further one before the last expires. Where that fails the last one stays in use,
    /// and what the service says of it is counted.
    pub fn start(ingester: Arc<Ingester>) -> Result<Self, Error> {
        let (sender, token) = watch::channel(ingester.token()?);
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let thread = std::thread::Builder::new().name("token".to_owned()).spawn(move || {
            // A failure is told once, and not ten times a second for as long as it lasts.
            let mut told = false;
            while !flag.load(Ordering::Relaxed) {
                std::thread::park_timeout(LOOK);
                match ingester.token() {
                    Ok(token) => {
                        // The same token again is not news to those who wait for another one.
                        sender.send_if_modified(|current| {
                            let new = *current != token;
                            *current = token;
                            new
                        });
                        told = false;
                    }
                    Err(error) if !told => {
                        note(format_args!(
                            "The token could not be renewed, the last one stays in use: {error}"
                        ));
                        told = true;
                    }
                    Err(_) => {}
                }
            }
        });
        Ok(Self { token, ended, thread: Some(thread.map_err(Error::Thread)?) })
    }

    /// Where the newest token is.
    pub fn token(&self) -> watch::Receiver<Option<Token>> {
        self.token.clone()
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Else it would sleep on for up to a tenth of a second.
            thread.thread().unpark();
            // A panic there has been printed by its own thread.
            let _ = thread.join();
        }
    }
}
