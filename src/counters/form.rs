//! `multipart/...`: one form read, without what the stub does with the file in it.

use std::sync::Arc;

use super::work::Work;
use crate::auth::{Policy, PublicKey};
use crate::error::Error;
use crate::machine::AllocationMeter;
use crate::payload::{BodyFormat, EncodedBody, Form, generate_test_file};
use crate::stub::InMemory;
use crate::units::Bytes;

pub(super) struct FormReading {
    stub: InMemory,
    form: EncodedBody,
    size: Bytes,
    meter: Arc<AllocationMeter>,
}

impl FormReading {
    pub fn new(
        key: &PublicKey,
        policy: Policy,
        size: Bytes,
        meter: &Arc<AllocationMeter>,
    ) -> Result<Self, Error> {
        // The file alone, so that all content is the file's.
        let form = BodyFormat::Multipart(Form::default()).encode(&generate_test_file(size));
        Ok(Self { stub: InMemory::new(key, policy)?, form, size, meter: Arc::clone(meter) })
    }
}

impl Work for FormReading {
    fn once(&mut self) -> Result<(), String> {
        let read = Bytes(self.stub.read_form(&self.form, &self.meter)?);
        self.meter.look();
        if read == self.size { Ok(()) } else { Err(format!("of a file of {}, {read} were read", self.size)) }
    }
}
