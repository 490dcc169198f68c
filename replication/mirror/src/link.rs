//! What goes over the connection of two ends: frames, messages, the introduction, and how much may be under way.
//! Knows no sockets and no data.
//!
//! ```text
//! bytes ── Decoder ── Frame ── Message ── engine
//!                       └───── Introduction, until both ends know each other
//! ```
//!
//! `docs/mirror-protocol.md` has all bytes.

mod codec;
mod compression;
mod fields;
mod frame;
mod introduction;
mod message;

pub use codec::{decode, encode};
pub use compression::{COMPRESSION_SINCE, Compressor};
pub use fields::FieldError;
pub(crate) use fields::{RUNS_MAX, Reader, Writer};
pub use frame::{
    BODY_MAX, DATA_MAX, Decoder, Encoder, Frame, FrameError, HEADER_BYTES, INTRODUCTION_MAX, Kind,
    VERSION,
};
pub use introduction::{
    ALIVE, Introduced, Introduction, Ours, Refusal, Step, close_reason, introduces,
};
pub use message::Message;

#[cfg(test)]
mod tests;
