//! The server over a real Unix socket, with a fake daemon behind it.

mod capabilities;
mod conversation;
mod fake;
mod harness;
mod hostile;
mod jobs;
mod mirrors;
mod openapi;
mod snapshots;
mod streams;
