//! Names of frames: a function's, as a symbol has it, and a thread's role, which is the outermost frame of its stacks.

use crate::units::printable;

/// Hex digits of the hash behind a name in Rust's older mangling.
const HASH_DIGITS: usize = 16;
/// What LLVM puts behind the name of a function that it made several of.
const COPY: &str = ".llvm.";

/// The name of a function without what compilers add to it, and without what would break a folded stack.
pub(super) fn clean(symbol: &str) -> String {
    let name = symbol.trim().split(COPY).next().unwrap_or_default();
    // A semicolon separates frames; one in a name is that of an array type, like `[u8; 8]`.
    let name = without_hash(name).replace(';', ",");
    printable(&name)
}

/// The name without `::h` and 16 hex digits at its end.
fn without_hash(name: &str) -> &str {
    let Some((path, hash)) = name.rsplit_once("::h") else { return name };
    let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { path } else { name }
}

/// What a thread of this name does, in the words of reports. A thread that was given no name has that of the thread that
/// started it, which mostly is the main one.
pub(super) fn role<'a>(thread: &'a str, main: &str) -> &'a str {
    if thread == main {
        return "main";
    }
    match thread.split_whitespace().next() {
        // Workers of a load run have numbers: `load 0`.
        Some("load") => "generator",
        Some(role) => role,
        None => "unnamed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compilers_add_to_a_name_is_cut() {
        assert_eq!(clean("hyper::proto::poll::h0123456789abcdef"), "hyper::proto::poll");
        assert_eq!(clean("core::ptr::drop_in_place<T>.llvm.1234567890"), "core::ptr::drop_in_place<T>");
        // Not a hash: 15 digits, and 16 that are not all hex.
        assert_eq!(clean("a::h0123456789abcde"), "a::h0123456789abcde");
        assert_eq!(clean("a::h0123456789abcdeg"), "a::h0123456789abcdeg");
        assert_eq!(clean("sha256_block_data_order_hw"), "sha256_block_data_order_hw");
    }

    #[test]
    fn what_would_break_a_stack_or_a_terminal_is_replaced() {
        assert_eq!(clean("<[u8; 8] as Debug>::fmt"), "<[u8, 8] as Debug>::fmt");
        assert_eq!(clean("a\u{1b}[31m\nb "), r"a\u{1b}[31m\u{a}b");
    }

    #[test]
    fn a_threads_role_is_told_by_its_name() {
        let main = "ingester-perf";
        assert_eq!(role("client upload/10MB", main), "client");
        assert_eq!(role("load 12", main), "generator");
        assert_eq!(role("stub", main), "stub");
        assert_eq!(role("ingester-perf", main), "main");
        assert_eq!(role("", main), "unnamed");
    }
}
