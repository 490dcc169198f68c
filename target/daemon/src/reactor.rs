//! One thread, one tokio runtime, one I/O engine: everything of a session happens on its reactor.

pub mod receive;
