//! SAM, SPC and SBC device server, sans-I/O: a CDB in, a plan out.
//!
//! A [`LogicalUnit`] looks at one [`Command`] at a time and answers with a [`Plan`]: a finished
//! reply, a wish for data-out, or one operation on the medium. Whoever executes the operation hands
//! its [`Outcome`] to [`LogicalUnit::finish`] and gets the next plan, which is nearly always the
//! reply. The crate has no files, sockets, clocks or threads, and knows nothing of iSCSI: a LUN is
//! eight bytes, a target port is a name and two numbers.
//!
//! What is supported stands in one table, [`opcodes::TABLE`]. It drives the dispatch, REPORT
//! SUPPORTED OPERATION CODES and the table in the documentation, so the three can't disagree.
#![forbid(unsafe_code)]

mod alua;
mod attention;
mod cdb;
mod command;
mod commands;
mod config;
mod copy;
mod fuzzing;
mod identifying;
mod lun;
mod mode;
mod nexus;
mod no_lun;
pub mod opcodes;
mod plan;
mod renewal;
mod reply;
mod reservation;
pub mod sense;
mod status;
mod unit;

#[cfg(test)]
mod tests;

pub use alua::{AccessState, AlteredBy, GroupAccess, GroupAccesses, InTransition, TargetPortGroup};
pub use attention::UnitAttention;
pub use command::{Command, TaskAttribute};
pub use config::{BlockSize, Identity, Limits, LogicalUnitConfig, UnsupportedBlockSize};
pub use copy::{
    Chunk, CopyEnd, CopyEndpoint, CopyFailure, CopyJob, CopySide, Designation,
    MAX_CONCURRENT_COPIES, MAX_CSCDS, MAX_DESCRIPTORS_LENGTH, MAX_RANGES, MAX_ROD_BYTES,
    MAX_SEGMENT_LENGTH, MAX_SEGMENTS, PopulateToken, ROD_RANDOM_LENGTH, ROD_TOKEN_LENGTH, RodToken,
    RodTokenKind, RodTokenProblem, ThirdPartyRefusal, Transfer, WriteUsingToken,
};
pub use fuzzing::fuzz_commands;
pub use identifying::{IdentifyingInformation, IdentifyingInformationType};
pub use lun::{decode_lun, encode_lun};
pub use mode::{ModeParameters, ModeSaving};
pub use nexus::{LuNexus, NexusId, NexusInfo, TargetPort, Underway};
pub use no_lun::no_logical_unit;
pub use plan::{Completion, Extent, LbaExtent, Operation, Outcome, PendingData, Plan};
pub use renewal::{MediumCondition, Renewal};
pub use reply::{DataPieces, Reply};
pub use reservation::{
    InvalidRecord, PreparedReservations, RecordUpdate, Registrant, ReservationChange,
    ReservationReport, ReservationType, ReservationsRefused,
};
pub use sense::Sense;
pub use status::Status;
pub use unit::{EarlierThirdParties, LogicalUnit, ThirdPartyUnderway, UnitState};
