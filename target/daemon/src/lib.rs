//! The daemon: the one crate that knows everybody.
