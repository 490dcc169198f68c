//! The state against a model of its own, and records against damage.

mod model;
mod records;
mod shared;

use super::state::NexusName;

/// Number `number` of the nexuses of a test.
fn nexus(number: u8) -> NexusName {
    NexusName {
        initiator_port: format!("iqn.2026-11.test:host{number},i,0x{number:012x}"),
        relative_port: u16::from(number) % 2 + 1,
    }
}
