//! How the two ends of a connection prove who they are (RFC 7143 §12): CHAP, its secrets and its binary
//! values. Knows no PDU and no stage; the security stage of `login` asks it.

mod binary;
mod chap;
mod secret;

pub use chap::{ChapAlgorithm, ChapPolicy};
pub use secret::Secret;

pub(crate) use binary::{decode_binary, encode_hex};

/// The longest CHAP challenge in bytes, in either direction (RFC 7143 §12.1.3).
pub const MAX_CHALLENGE_LENGTH: usize = 1_024;
