//! RFC 7143 as sans-I/O state machines: PDUs, text keys, login, CHAP, sessions, tasks and digests.
//!
//! To this crate a CDB is bytes, sense data is bytes, and a LUN is eight bytes: it knows nothing of
//! SCSI. It has no sockets, clocks, threads or files: input is passed in, time is an argument,
//! random bytes are an argument, and what is to be done comes back as values.
#![forbid(unsafe_code)]

pub mod auth;
pub mod digest;
pub mod framing;
pub mod login;
pub mod negotiation;
pub mod parameters;
pub mod pdu;
pub mod serial;
pub mod session;
pub mod text;
pub mod transmit;
