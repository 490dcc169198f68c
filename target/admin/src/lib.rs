//! Admin API: versioned types, OpenAPI, and a client over the Unix socket.
//!
//! [`v1`] is what goes over the socket, as JSON; [`openapi`] describes what can be asked, for people
//! and for other tools; [`client`] asks. The server is the daemon's.
#![forbid(unsafe_code)]

pub mod client;
pub mod openapi;
pub mod v1;
