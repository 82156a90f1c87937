//! The gate: did this change make a case slower? Two builds, or two running ingesters, in lock-step on the same cores.

pub mod build;
