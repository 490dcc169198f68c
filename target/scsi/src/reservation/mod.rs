//! Reservations of one logical unit as pure state: who is registered, who holds what, and what each
//! service action makes of that. Knows no commands, nexuses that are logged in, clocks or files.

mod action;
mod change;
mod kind;
mod preempt;
pub(crate) mod record;
mod report;
pub(crate) mod shared;
mod state;
pub(crate) mod transport_id;

pub(crate) use action::{Effects, Known, Refused, Register, ServiceAction};
pub(crate) use change::{Change, Prepared, RefusedOrStale, Requester};
pub use change::{PreparedReservations, RecordUpdate, ReservationChange, ReservationsRefused};
pub use kind::ReservationType;
pub(crate) use preempt::valid_type;
pub use record::InvalidRecord;
pub use report::{Registrant, ReservationReport};
pub(crate) use state::{NexusName, PersistentState};

#[cfg(test)]
mod tests;
