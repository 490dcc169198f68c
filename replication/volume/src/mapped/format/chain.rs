//! Pages of chains: a pointer to the next page, then payload.

use super::superblock::{decode_pointer, encode_pointer};
use super::{Damage, bytes_at, put};
use crate::mapped::address::BLOCK_BYTES;
use crate::mapped::entry::{ENTRY_BYTES, Entry};

/// Bytes of payload in a page.
pub const PAYLOAD_BYTES: usize = BLOCK_BYTES - ENTRY_BYTES;

/// A page whose payload is at most [`PAYLOAD_BYTES`] long; the rest is zeros.
#[must_use]
pub fn encode(next: Option<Entry>, payload: &[u8]) -> Vec<u8> {
    let mut page = vec![0; BLOCK_BYTES];
    put(&mut page, 0, &encode_pointer(next));
    let payload = payload.get(..PAYLOAD_BYTES).unwrap_or(payload);
    put(&mut page, ENTRY_BYTES, payload);
    page
}

/// The next page, and the payload with its zeros, of a page whose CRC has been checked.
///
/// # Errors
/// It isn't a whole block, or its pointer points to no page.
pub fn decode(page: &[u8]) -> Result<(Option<Entry>, &[u8]), Damage> {
    if page.len() != BLOCK_BYTES {
        return Err(Damage::new("a chain's page", "it isn't a whole block"));
    }
    let next = decode_pointer(&bytes_at(page, 0)?)?;
    Ok((next, page.get(ENTRY_BYTES..).unwrap_or_default()))
}
