//! Reservations as an operator is told of them.

use crate::reservation::ReservationType;

/// Who reserved a logical unit, and who is registered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReservationReport {
    /// The type of the persistent reservation.
    pub kind: Option<ReservationType>,
    /// Everybody who is registered, in the order in which they came.
    pub registrants: Vec<Registrant>,
    /// All of it outlives the daemon (APTPL).
    pub persists: bool,
    /// The initiator port that holds an SPC-2 reservation (RESERVE).
    pub reserved_by: Option<String>,
    /// What was kept can't be read, so that nothing is served.
    pub lost: bool,
}

/// An I_T nexus that is registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registrant {
    /// The initiator port: `iqn...,i,0xISID`.
    pub initiator_port: String,
    /// The relative target port identifier.
    pub relative_port: u16,
    /// The reservation key.
    pub key: u64,
    /// It holds the reservation.
    pub holder: bool,
}
