//! `upload/...`: one upload through the stub's router, its answer read to the end.

use std::sync::Arc;

use hyper::StatusCode;
use memchr::memmem;

use super::work::Work;
use crate::api::Api;
use crate::auth::{Policy, PublicKey, Token};
use crate::error::Error;
use crate::machine::AllocationMeter;
use crate::payload::generate_test_file;
use crate::stub::{InMemory, PreparedUpload};
use crate::units::Bytes;

pub(super) struct Upload {
    stub: InMemory,
    upload: PreparedUpload,
    sha256: String,
    meter: Arc<AllocationMeter>,
}

impl Upload {
    pub fn new(
        key: &PublicKey,
        policy: Policy,
        token: &Token,
        size: Bytes,
        meter: &Arc<AllocationMeter>,
    ) -> Result<Self, Error> {
        let file = generate_test_file(size);
        // The form that the timed uploads are sent as.
        let upload = PreparedUpload::new(&Api::default().body.encode(&file), token);
        let stub = InMemory::new(key, policy)?;
        Ok(Self { stub, upload, sha256: file.sha256, meter: Arc::clone(meter) })
    }
}

impl Work for Upload {
    fn once(&mut self) -> Result<(), String> {
        let answered = self.stub.upload(&self.upload, &self.meter);
        let status = answered.map_err(|e| format!("its answer broke off: {e}"))?;
        if status != StatusCode::CREATED {
            return Err(format!("answered {status}"));
        }
        // Searched and not parsed: nothing is to be allocated here.
        if memmem::find(self.stub.answer(), self.sha256.as_bytes()).is_none() {
            return Err("the answer does not have the file's checksum".to_owned());
        }
        Ok(())
    }
}
