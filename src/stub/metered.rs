//! A limit on what may stand between two files' contents. multer keeps everything it has not yet recognised and
//! searches it again at each read, so an endless preamble or part header would cost memory and quadratic time.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes as Buffer;
use futures_util::Stream;

/// Most bytes read in search of a part's end of headers. It has to hold the file bytes that one read brings along.
const MOST_BEFORE_CONTENT: u64 = 4 << 20;

/// Tells how much may still be read.
pub(super) struct Meter(AtomicU64);

impl Default for Meter {
    fn default() -> Self {
        Self(AtomicU64::new(MOST_BEFORE_CONTENT))
    }
}

impl Meter {
    /// What is read next is a boundary and headers: little.
    pub fn expect_head(&self) {
        self.0.store(MOST_BEFORE_CONTENT, Ordering::Relaxed);
    }

    /// What is read next is content, which is counted where it is used.
    pub fn expect_content(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// The body's bytes, up to the limit in force.
    pub fn read<'a>(
        &'a self,
        body: &'a mut Body,
    ) -> impl Stream<Item = Result<Buffer, multer::Error>> + Send + 'a {
        Metered { body, meter: self }
    }

    fn spend(&self, bytes: usize) -> Result<(), multer::Error> {
        let left = self.0.load(Ordering::Relaxed);
        let rest = left.checked_sub(bytes as u64).ok_or(multer::Error::IncompleteHeaders)?;
        self.0.store(rest, Ordering::Relaxed);
        Ok(())
    }
}

struct Metered<'a> {
    body: &'a mut Body,
    meter: &'a Meter,
}

impl Stream for Metered<'_> {
    type Item = Result<Buffer, multer::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(frame) = std::task::ready!(Pin::new(&mut *self.body).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            let frame = frame.map_err(|e| multer::Error::StreamReadFailed(e.into()))?;
            // Trailers say nothing about the form.
            if let Ok(bytes) = frame.into_data() {
                self.meter.spend(bytes.len())?;
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }
}
