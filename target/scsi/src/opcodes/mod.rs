//! The one table of supported commands, and what is derived from it: the dispatch, the check of
//! reserved bits, REPORT SUPPORTED OPERATION CODES and the table in the documentation.
//!
//! A command that is not in [`TABLE`] is not supported, and one that is in it has a handler.

use crate::alua::AccessState;
use crate::cdb::{Cdb, invalid_field};
use crate::commands::Handler;
use crate::config::LogicalUnitConfig;
use crate::sense::{AdditionalSense, Sense};

mod access;
mod fields;
mod markdown;
mod table;

pub use access::Access;
pub(crate) use access::AccessBits;
pub use markdown::markdown_table;
pub use table::TABLE;

/// TEST UNIT READY.
pub(crate) const TEST_UNIT_READY: u8 = 0x00;
/// FORMAT UNIT.
pub(crate) const FORMAT_UNIT: u8 = 0x04;
/// MODE SENSE (6).
pub(crate) const MODE_SENSE_6: u8 = 0x1a;
/// READ CAPACITY (10).
pub(crate) const READ_CAPACITY_10: u8 = 0x25;
/// SANITIZE.
pub(crate) const SANITIZE: u8 = 0x48;
/// MODE SENSE (10).
pub(crate) const MODE_SENSE_10: u8 = 0x5a;
/// SERVICE ACTION IN (16).
pub(crate) const SERVICE_ACTION_IN_16: u8 = 0x9e;
/// The service action of READ CAPACITY (16).
pub(crate) const READ_CAPACITY_16: u8 = 0x10;
/// MAINTENANCE IN.
pub(crate) const MAINTENANCE_IN: u8 = 0xa3;
/// The service action of REPORT SUPPORTED OPERATION CODES.
pub(crate) const REPORT_SUPPORTED_OPERATION_CODES: u8 = 0x0c;
/// The service action of REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.
pub(crate) const REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS: u8 = 0x0d;
/// INQUIRY.
pub(crate) const INQUIRY: u8 = 0x12;
/// REPORT LUNS.
pub(crate) const REPORT_LUNS: u8 = 0xa0;
/// THIRD-PARTY COPY OUT: EXTENDED COPY and its relatives.
pub(crate) const THIRD_PARTY_COPY_OUT: u8 = 0x83;
/// THIRD-PARTY COPY IN: RECEIVE COPY STATUS and its relatives.
pub(crate) const THIRD_PARTY_COPY_IN: u8 = 0x84;
/// REQUEST SENSE.
pub(crate) const REQUEST_SENSE: u8 = 0x03;

/// The answer to an operation code that is not supported.
pub(crate) const INVALID_OPERATION_CODE: Sense =
    Sense::illegal_request(AdditionalSense::INVALID_COMMAND_OPERATION_CODE);

/// The bits of byte 1 that hold a service action (SPC-5, "Service action").
const SERVICE_ACTION_MASK: u8 = 0x1f;

/// What a command needs of the logical unit, and what may come before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Works in any state and leaves unit attentions pending: INQUIRY, REPORT LUNS, REQUEST SENSE.
    Always,
    /// Works while the unit isn't ready, but reports unit attentions first.
    Control,
    /// Needs a unit that is ready.
    Ready,
    /// Reads the medium.
    MediumRead,
    /// Changes the medium: refused when it is write protected.
    MediumWrite,
}

/// In which asymmetric access states (SPC-5) a command is processed, besides the active ones, in which
/// all are. Each includes the ones before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd, Ord)]
pub enum ServedIn {
    /// In none: it needs the medium, or is about it.
    Active,
    /// In standby.
    Standby,
    /// In unavailable.
    Unavailable,
    /// Even during a transition.
    Transitioning,
}

impl ServedIn {
    /// Where the commands of a class are processed unless the table says otherwise.
    pub(crate) const fn of_class(class: Class) -> Self {
        match class {
            Class::Always => Self::Transitioning,
            Class::Control => Self::Standby,
            Class::Ready | Class::MediumRead | Class::MediumWrite => Self::Active,
        }
    }

    /// Whether a state is one of them.
    #[must_use]
    pub const fn includes(self, state: AccessState) -> bool {
        let least = match state {
            AccessState::ActiveOptimized | AccessState::ActiveNonOptimized => Self::Active,
            AccessState::Standby => Self::Standby,
            AccessState::Unavailable => Self::Unavailable,
            AccessState::Transitioning => Self::Transitioning,
        };
        self as u8 >= least as u8
    }
}

/// What a logical unit must have for a command to be supported by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requires {
    /// Every unit has it.
    Nothing,
    /// Thin provisioning.
    Thin,
    /// A store with atomic writes.
    AtomicWrites,
    /// Blocks that it shares with no snapshot and no clone, which can be made unreadable for good.
    OwnBlocks,
    /// Both thin provisioning and blocks of its own.
    ThinOwnBlocks,
    /// Access states that it has for itself, and not together with a unit of another daemon.
    OwnAccessStates,
}

/// Command timeouts in seconds (SPC-5, "Command timeouts descriptor"), for initiators that ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// How long the command usually takes at most.
    pub nominal: u32,
    /// When an initiator should start to worry.
    pub recommended: u32,
}

/// One supported command.
#[derive(Clone, Copy, Debug)]
pub struct OpCode {
    /// Byte 0 of the CDB.
    pub operation_code: u8,
    /// The service action, for commands that have them.
    pub service_action: Option<u16>,
    /// The name in the standard, which is also the title of the clause that it implements.
    pub name: &'static str,
    /// The standard. Clauses are cited by title here, as their numbers change with every revision.
    pub standard: &'static str,
    /// The CDB usage data of REPORT SUPPORTED OPERATION CODES: the bits that are looked at. Its
    /// length is the CDB's.
    pub usage: &'static [u8],
    /// Bits that are not looked at but may be set: they are obsolete, or a hint that is ignored.
    pub tolerated: u128,
    /// What it needs of the unit's state.
    pub class: Class,
    /// How it is treated in the presence of reservations, where its class doesn't tell.
    pub reservations: Option<Access>,
    /// In which asymmetric access states it is processed; `None` for what its class says.
    pub access_states: Option<ServedIn>,
    /// What the unit must have.
    pub requires: Requires,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// What is and isn't done, in a few words for the documentation.
    pub notes: &'static str,
    pub(crate) handler: Handler,
}

impl OpCode {
    /// The length of the CDB in bytes.
    #[must_use]
    pub const fn cdb_length(&self) -> usize {
        self.usage.len()
    }

    /// How the command is treated in the presence of reservations.
    #[must_use]
    pub const fn access(&self) -> Access {
        match self.reservations {
            Some(access) => access,
            None => Access::of_class(self.class),
        }
    }

    /// In which asymmetric access states it is processed.
    #[must_use]
    pub const fn served_in(&self) -> ServedIn {
        match self.access_states {
            Some(served_in) => served_in,
            None => ServedIn::of_class(self.class),
        }
    }

    /// Whether a unit made like `config` supports the command.
    #[must_use]
    pub const fn is_supported_by(&self, config: &LogicalUnitConfig) -> bool {
        match self.requires {
            Requires::Nothing | Requires::OwnBlocks | Requires::OwnAccessStates => true,
            Requires::Thin | Requires::ThinOwnBlocks => config.thin,
            Requires::AtomicWrites => config.limits.max_atomic_bytes > 0,
        }
    }

    /// All bits that may be set in the CDB.
    const fn allowed(&self) -> u128 {
        let mut mask = self.tolerated;
        let mut at = 0;
        while at < 16 {
            let usage = match at {
                0 => 0xff,
                1 if self.service_action.is_some() => usage_at(self.usage, 1) | SERVICE_ACTION_MASK,
                _ if at < self.usage.len() => usage_at(self.usage, at),
                // Transports pad a CDB with whatever they like.
                _ => 0xff,
            };
            mask |= (usage as u128) << (8 * (15 - at));
            at += 1;
        }
        mask
    }
}

#[allow(
    clippy::indexing_slicing,
    reason = "const evaluation: a wrong index does not compile"
)]
const fn usage_at(usage: &[u8], at: usize) -> u8 {
    usage[at]
}

/// The table's index of the first entry of every operation code, `NONE` where there is none.
static FIRST: [u8; 256] = first_entries();
const NONE: u8 = u8::MAX;

#[allow(
    clippy::indexing_slicing,
    reason = "const evaluation: a wrong index does not compile"
)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the table has fewer than 255 entries"
)]
const fn first_entries() -> [u8; 256] {
    assert!(TABLE.len() < NONE as usize, "the index is one byte");
    let mut first = [NONE; 256];
    let mut at = TABLE.len();
    while at > 0 {
        at -= 1;
        first[TABLE[at].operation_code as usize] = at as u8;
    }
    first
}

/// [`OpCode::allowed`] of every entry, worked out once.
static ALLOWED: [u128; TABLE.len()] = allowed_bits();

#[allow(
    clippy::indexing_slicing,
    reason = "const evaluation: a wrong index does not compile"
)]
const fn allowed_bits() -> [u128; TABLE.len()] {
    let mut allowed = [0; TABLE.len()];
    let mut at = 0;
    while at < TABLE.len() {
        allowed[at] = TABLE[at].allowed();
        at += 1;
    }
    allowed
}

/// A command that is supported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) opcode: &'static OpCode,
    allowed: u128,
}

impl Found {
    /// Refuses a CDB with a reserved bit set, and points at the first such bit.
    pub(crate) fn check_fields(self, cdb: Cdb) -> Result<(), Sense> {
        let wrong = cdb.as_u128() & !self.allowed;
        if wrong == 0 {
            return Ok(());
        }
        let leading = wrong.leading_zeros();
        let byte = u16::try_from(leading / 8).unwrap_or(0);
        let bit = u8::try_from(7 - leading % 8).unwrap_or(0);
        Err(invalid_field(byte, bit))
    }
}

/// All entries of one operation code, in order of their service actions.
pub(crate) fn entries(operation_code: u8) -> impl Iterator<Item = &'static OpCode> {
    found(operation_code).map(|found| found.opcode)
}

fn found(operation_code: u8) -> impl Iterator<Item = Found> {
    let first = FIRST
        .get(usize::from(operation_code))
        .copied()
        .unwrap_or(NONE);
    let entries = TABLE.iter().zip(&ALLOWED).skip(usize::from(first));
    entries
        .take_while(move |(opcode, _)| opcode.operation_code == operation_code)
        .map(|(opcode, allowed)| Found {
            opcode,
            allowed: *allowed,
        })
}

/// The entry for a CDB: INVALID COMMAND OPERATION CODE when there is none, INVALID FIELD IN CDB when
/// only the service action is not supported.
pub(crate) fn find(cdb: Cdb) -> Result<Found, Sense> {
    let mut known = false;
    for found in found(cdb.u8(0)) {
        match found.opcode.service_action {
            None => return Ok(found),
            Some(action) if action == u16::from(cdb.u8(1) & SERVICE_ACTION_MASK) => {
                return Ok(found);
            }
            Some(_) => known = true,
        }
    }
    Err(if known {
        invalid_field(1, 4)
    } else {
        INVALID_OPERATION_CODE
    })
}

#[cfg(test)]
mod tests;
