//! The pieces on a command's way, each as something that can be set up once and then run again and again.
//! Knows nothing of how it is measured: `benches/time.rs` takes the time, `benches/instructions.rs` counts.

pub mod answers;
pub mod commands;
pub mod maps;
pub mod wire;
