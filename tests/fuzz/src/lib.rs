//! What must hold for any input whatsoever, one module per fuzz target. Each `check` panics when it
//! doesn't; nothing here knows how inputs are made.

pub mod catalog;
pub mod cdb;
mod input;
pub mod login;
pub mod mirror;
pub mod pdu;
pub mod session;
pub mod snapshots;
pub mod stream;
pub mod text_keys;
pub mod wbem;
mod wire;
