//! HTTP/2 by hand, for clients that behave as no library would: frames as bytes (RFC 9113), fields as literals (RFC 7541).

use std::io::{Read, Result};

/// How a connection begins.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

// Flags of HEADERS and DATA.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The setting that says how much of each answer's body may come before it is asked for.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame that was read.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("fits into 24 bits").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Preface and settings: all that has to come before requests.
pub fn beginning(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (setting, value) in settings {
        payload.extend(setting.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    [PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()
}

/// The fields of a GET.
pub fn get(path: &str) -> Vec<u8> {
    // 2 is `:method: GET` in the static table (RFC 7541, appendix A), 6 is `:scheme: http`.
    [&[0x82_u8, 0x86][..], &field(4, path), &field(1, "stub")].concat()
}

/// The fields of an upload that announces no length.
pub fn upload(authorization: &str) -> Vec<u8> {
    let path = field(4, "/api/v1/files/upload");
    let kind = field(31, "multipart/form-data; boundary=b");
    // 3 is `:method: POST`.
    [&[0x83_u8, 0x86][..], &path, &field(1, "stub"), &field(23, authorization), &kind].concat()
}

/// A field with its name from the static table and its value as it is, not to be remembered (RFC 7541, 6.2.2).
fn field(name: u8, value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Four bits are left for the name; larger numbers go on in the next byte.
    match name.checked_sub(15) {
        None => bytes.push(name),
        Some(more) => bytes.extend([15, more]),
    }
    // Seven bits are left for the length; larger numbers go on in further bytes, seven bits in each.
    if value.len() < 127 {
        bytes.push(u8::try_from(value.len()).expect("is less than 127"));
    } else {
        bytes.push(127);
        let mut more = value.len() - 127;
        while more >= 128 {
            bytes.push((more % 128) as u8 | 128);
            more /= 128;
        }
        bytes.push(more as u8);
    }
    bytes.extend(value.as_bytes());
    bytes
}

/// Reads one frame.
pub fn read_frame(stream: &mut impl Read) -> Result<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload)?;
    Ok(Frame { kind: head[3], payload })
}
