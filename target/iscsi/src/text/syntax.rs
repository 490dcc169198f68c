//! The grammar of `key=value` text, as nom parsers over bytes (RFC 7143 §6.1). Knows no key by name.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::{tag, take_till, take_while, take_while_m_n};
use nom::combinator::{opt, recognize};
use nom::sequence::{pair, preceded, terminated};

use super::MAX_KEY_LENGTH;

/// One pair: the key name, and the value without its delimiter.
pub(super) fn key_value(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    pair(
        key_name,
        preceded(tag("="), terminated(value, opt(tag("\0")))),
    )
    .parse(input)
}

/// Any number of delimiters. An empty pair means nothing; some initiators pad with them.
pub(super) fn delimiters(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(|byte| byte == 0).parse(input)
}

/// A standard-label: a letter, then up to 62 of the allowed characters. RFC 7143 §6.1 asks for a
/// capital letter first, and then §13.24 defines `iSCSIProtocolLevel`: any letter will do.
fn key_name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize((
        take_while_m_n(1, 1, |byte: u8| byte.is_ascii_alphabetic()),
        take_while_m_n(0, MAX_KEY_LENGTH - 1, is_label),
    ))
    .parse(input)
}

fn value(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till(|byte| byte == 0).parse(input)
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'@' | b'_')
}
