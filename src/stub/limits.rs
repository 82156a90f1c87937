//! What the stub takes of a body at most. What exceeds one of these is refused at once, before the rest of it is read.

use crate::units::Bytes;

/// Largest file that is taken, as the service has it; exactly this much passes.
pub(super) const MAX_FILE: Bytes = Bytes::gb(1);
/// Largest body: the largest file, and 1 MB for all that stands around it.
pub(super) const MAX_BODY: Bytes = Bytes(MAX_FILE.0 + Bytes::mb(1).0);
/// Most parts in one body: each costs a parse of its headers, however little it holds. A form with every documented field
/// has eight.
pub(super) const MAX_PARTS: usize = 32;
/// Most bytes of a boundary's line and the headers behind it. A browser's have 200.
pub(super) const MAX_HEAD: usize = 16 << 10;
/// Most headers of a part. RFC 7578 (section 4.8) knows three.
pub(super) const MAX_HEADERS: usize = 16;
/// Most bytes before the first boundary, and after the last. Clients send none; RFC 2046 allows any number.
pub(super) const MAX_ASIDE: usize = 16 << 10;
/// Longest text field. The longest documented one, a description of 1000 characters, has at most 4000 bytes.
pub(super) const MAX_FIELD: usize = 64 << 10;
