//! Reservations of volumes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who reserved a volume, and who is registered with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Reservations {
    /// The type of the persistent reservation; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationType>,
    /// The initiator port that reserved the volume by RESERVE, the command of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_by: Option<String>,
    /// All who are registered, in the order in which they came.
    pub registrants: Vec<Registrant>,
    /// Persistent reservations and registrations outlive the daemon (APTPL).
    pub persistent: bool,
}

/// The type of a persistent reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReservationType {
    /// Only the holder writes.
    WriteExclusive,
    /// Only the holder reads and writes.
    ExclusiveAccess,
    /// Only who is registered writes.
    WriteExclusiveRegistrantsOnly,
    /// Only who is registered reads and writes.
    ExclusiveAccessRegistrantsOnly,
    /// Only who is registered writes, and everybody who is holds it.
    WriteExclusiveAllRegistrants,
    /// Only who is registered reads and writes, and everybody who is holds it.
    ExclusiveAccessAllRegistrants,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// A path from an initiator to a target that is registered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Registrant {
    /// The initiator port: `iqn...,i,0xISID`.
    pub initiator_port: String,
    /// The relative target port identifier, as `target show` has it.
    pub relative_port: u16,
    /// The reservation key: `0x` and 16 hexadecimal digits.
    pub key: String,
    /// It holds the reservation.
    pub holder: bool,
}
