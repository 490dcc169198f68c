//! A WBEM server without sockets: CIM operations in CIM-XML (DSP0200, DSP0201) in, answers out, over what a
//! daemon tells of itself ([`Model`]). Pure: no I/O, no clock, no threads.
//!
//! The classes are those of the replication model and of what it takes to find it ([`schema`]); of each only
//! what is filled in. What a request may cost is bounded: bytes, depth, elements and attributes of a document
//! ([`Limits`]), open enumerations, objects in one answer.
//!
//! The methods of CIM_ReplicationServiceCapabilities are those of `tidelock-capabilities`, and what the service
//! makes is admitted where it is made, by the same function. No rule is here.
#![forbid(unsafe_code)]

mod datetime;
pub mod error;
mod errors;
pub mod given;
mod indications;
mod instance;
pub mod message;
mod methods;
pub mod model;
pub mod path;
pub mod schema;
mod server;
mod value;
mod view;
mod write;
pub mod xml;

pub use indications::Delivery;
pub use instance::Instance;
pub use model::Model;
pub use server::{Incoming, Outgoing, Server};
pub use value::{Type, Value};
pub use view::{INTEROP, NAMESPACE};
pub use xml::Limits;

#[cfg(test)]
mod tests;
