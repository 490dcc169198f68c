//! The commands themselves: one file per family, each a set of handlers that the opcode table names.
//!
//! A handler runs after the checks that all commands share ([`crate::LogicalUnit::begin`]) and turns
//! a CDB into a plan or a refusal. What must wait for data-out is kept as [`AwaitingData`], what
//! must wait for the medium as [`Stage`].

use bytes::Bytes;

use crate::cdb::Cdb;
use crate::command::Command;
use crate::copy::CopyTicket;
use crate::copy::list::ListFormat;
use crate::identifying::IdentifyingInformationType;
use crate::mode::ModeParameters;
use crate::nexus::LuNexus;
use crate::opcodes::{self, Access, Class, ServedIn};
use crate::plan::{Completion, Extent, Operation, PendingData, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::{AdditionalSense, Sense};
use crate::unit::LogicalUnit;

pub(crate) mod capacity;
pub(crate) mod compare_and_write;
pub(crate) mod diagnostic;
pub(crate) mod extended_copy;
pub(crate) mod format_unit;
pub(crate) mod identifying_information;
pub(crate) mod inquiry;
pub(crate) mod lba_status;
pub(crate) mod log_sense;
pub(crate) mod mode_pages;
pub(crate) mod mode_select;
pub(crate) mod mode_sense;
pub(crate) mod or_write;
pub(crate) mod persistent_in;
pub(crate) mod persistent_out;
pub(crate) mod prefetch;
pub(crate) mod read;
pub(crate) mod read_defect_data;
pub(crate) mod receive_copy;
pub(crate) mod report_luns;
pub(crate) mod report_opcodes;
pub(crate) mod report_target_port_groups;
pub(crate) mod report_task_management;
pub(crate) mod report_timestamp;
pub(crate) mod request_sense;
pub(crate) mod reserve;
pub(crate) mod rod_token;
pub(crate) mod sanitize;
pub(crate) mod set_target_port_groups;
pub(crate) mod start_stop;
pub(crate) mod synchronize_cache;
pub(crate) mod test_unit_ready;
pub(crate) mod unmap;
pub(crate) mod verify;
pub(crate) mod write;
pub(crate) mod write_atomic;
pub(crate) mod write_same;
pub(crate) mod write_verify;

/// One command on its way through a handler.
pub(crate) struct Request<'a> {
    pub(crate) cdb: Cdb,
    pub(crate) command: &'a Command<'a>,
}

/// A handler: a checked CDB in, a plan out.
pub(crate) type Handler = fn(&LogicalUnit, &LuNexus, &Request<'_>) -> Result<Plan, Refusal>;

/// Why a command ends with CHECK CONDITION and without having done anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// What was wrong.
    pub(crate) sense: Sense,
    /// How many bytes the CDB asked to move, where the residual count has to tell.
    pub(crate) transfer_length: u64,
}

impl From<Sense> for Refusal {
    fn from(sense: Sense) -> Self {
        Self {
            sense,
            transfer_length: 0,
        }
    }
}

/// A command that waits for its data-out.
#[derive(Debug)]
pub(crate) enum AwaitingData {
    /// COMPARE AND WRITE.
    CompareAndWrite(compare_and_write::PendingCompareAndWrite),
    /// FORMAT UNIT with a parameter list.
    Format(format_unit::PendingFormat),
    /// EXTENDED COPY.
    ExtendedCopy(ListFormat),
    /// POPULATE TOKEN with this list identifier.
    PopulateToken(u32),
    /// WRITE USING TOKEN with this list identifier.
    WriteUsingToken(u32),
    /// MODE SELECT.
    ModeSelect(mode_select::PendingModeSelect),
    /// ORWRITE.
    OrWrite(or_write::PendingOrWrite),
    /// SANITIZE with the OVERWRITE service action.
    Overwrite(sanitize::PendingOverwrite),
    /// PERSISTENT RESERVE OUT.
    PersistentOut(persistent_out::PendingPersistentOut),
    /// SET IDENTIFYING INFORMATION.
    SetIdentifyingInformation(IdentifyingInformationType),
    /// SET TARGET PORT GROUPS.
    SetTargetPortGroups,
    /// UNMAP.
    Unmap,
    /// VERIFY with something to compare.
    Verify(verify::PendingVerify),
    /// WRITE.
    Write(write::PendingWrite),
    /// WRITE ATOMIC.
    WriteAtomic(write_atomic::PendingWriteAtomic),
    /// WRITE SAME.
    WriteSame(write_same::PendingWriteSame),
    /// WRITE AND VERIFY.
    WriteVerify(write_verify::PendingWriteVerify),
}

impl AwaitingData {
    /// What the command needs of the unit.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::ModeSelect(_)
            | Self::PersistentOut(_)
            | Self::SetIdentifyingInformation(_)
            | Self::SetTargetPortGroups => Class::Control,
            Self::ExtendedCopy(_) => Class::Ready,
            Self::PopulateToken(_) | Self::Verify(_) => Class::MediumRead,
            Self::CompareAndWrite(_)
            | Self::Format(_)
            | Self::OrWrite(_)
            | Self::Overwrite(_)
            | Self::Unmap
            | Self::Write(_)
            | Self::WriteAtomic(_)
            | Self::WriteSame(_)
            | Self::WriteUsingToken(_)
            | Self::WriteVerify(_) => Class::MediumWrite,
        }
    }

    /// The operation code of a command that makes the whole medium anew, so that it may find it
    /// unusable; zero for all others.
    pub(crate) fn renewing_operation_code(&self) -> u8 {
        match self {
            Self::Format(_) => opcodes::FORMAT_UNIT,
            Self::Overwrite(_) => opcodes::SANITIZE,
            _ => 0,
        }
    }

    /// How the command is treated in the presence of reservations.
    pub(crate) fn access(&self) -> Access {
        match self {
            // The change itself looks at what is reserved when it is made.
            Self::PersistentOut(_) => Access::Always,
            Self::ExtendedCopy(_) | Self::SetTargetPortGroups => Access::Writes,
            _ => Access::of_class(self.class()),
        }
    }

    /// In which access states it goes on.
    pub(crate) fn served_in(&self) -> ServedIn {
        match self {
            Self::SetTargetPortGroups => ServedIn::Unavailable,
            _ => ServedIn::of_class(self.class()),
        }
    }

    /// Goes on with the command now that its data is there.
    pub(crate) fn data_out(
        self,
        unit: &LogicalUnit,
        nexus: &LuNexus,
        data: DataPieces,
    ) -> Result<Plan, Refusal> {
        match self {
            Self::CompareAndWrite(pending) => compare_and_write::data_out(unit, pending, data),
            Self::OrWrite(pending) => or_write::data_out(unit, pending, data),
            Self::Format(pending) => format_unit::data_out(unit, pending, &data),
            Self::Overwrite(pending) => sanitize::overwrite_data_out(unit, pending, &data),
            Self::PopulateToken(identifier) => rod_token::populate(unit, nexus, identifier, &data),
            Self::WriteUsingToken(identifier) => rod_token::write(unit, nexus, identifier, &data),
            Self::ExtendedCopy(format) => extended_copy::data_out(unit, nexus, format, &data),
            Self::ModeSelect(pending) => mode_select::data_out(unit, nexus, pending, &data),
            Self::PersistentOut(pending) => persistent_out::data_out(nexus, pending, &data),
            Self::SetIdentifyingInformation(kind) => {
                identifying_information::data_out(nexus, kind, &data)
            }
            Self::SetTargetPortGroups => set_target_port_groups::data_out(unit, nexus, &data),
            Self::Unmap => unmap::data_out(unit, &data),
            Self::Verify(pending) => verify::data_out(unit, pending, data),
            Self::Write(pending) => write::data_out(unit, pending, data),
            Self::WriteAtomic(pending) => write_atomic::data_out(unit, pending, data),
            Self::WriteSame(pending) => write_same::data_out(unit, pending, &data),
            Self::WriteVerify(pending) => write_verify::data_out(unit, pending, data),
        }
    }
}

/// What comes after an operation on the medium.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The reply.
    Reply(Finish),
    /// Another operation, when the one before it succeeded.
    Then(Box<(Operation, Self)>),
    /// The end of a copy operation.
    Copy(Box<CopyTicket>),
}

impl Stage {
    /// What the last reply needs to know, whatever comes before it.
    pub(crate) fn last(&self) -> Finish {
        match self {
            Self::Reply(finish) => *finish,
            Self::Then(next) => next.1.last(),
            Self::Copy(ticket) => Finish::writing(Extent::default(), ticket.transfer_length),
        }
    }
}

/// What the last reply of a command needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish {
    /// What the command works on.
    pub(crate) extent: Extent,
    /// How many bytes the CDB asked to move.
    pub(crate) transfer_length: u64,
    /// What success means, and how a failure is named.
    pub(crate) effect: Effect,
}

/// What a command does to the medium.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    /// It reads.
    Reads,
    /// It reports what is mapped, in as many bytes as the CDB has room for.
    ReportsLbaStatus {
        /// ALLOCATION LENGTH, not zero.
        allocation_length: u32,
    },
    /// It reports the Logical Block Provisioning log page, in as many bytes as the CDB has room for.
    ReportsResources {
        /// PARAMETER POINTER.
        from: u16,
        /// ALLOCATION LENGTH.
        allocation_length: u16,
    },
    /// It reports the device clock, in as many bytes as the CDB has room for.
    ReportsTimestamp {
        /// ALLOCATION LENGTH.
        allocation_length: u32,
    },
    /// It writes, but nothing says yet that the result outlives a power loss.
    WritesToCache,
    /// It writes durably, or makes durable what was written.
    Writes,
    /// It makes the whole medium anew.
    Renews {
        /// By a sanitize operation, not by a format operation.
        sanitize: bool,
    },
    /// It writes if a comparison finds no difference; a difference is reported by where in the
    /// data-out it is.
    ComparesAndWrites {
        /// What is written outlives a power loss.
        durable: bool,
    },
    /// It sets access states of target port groups.
    SetsAccessStates,
    /// It takes registrations away, and aborts the tasks of those who had them.
    PreemptsAndAborts,
    /// It keeps these mode parameters for the next reset.
    SavesMode(ModeParameters),
}

impl Effect {
    /// Whether success may leave something in a volatile cache.
    pub(crate) fn leaves_in_cache(self) -> bool {
        matches!(
            self,
            Self::WritesToCache | Self::ComparesAndWrites { durable: false }
        )
    }
}

impl Finish {
    /// The end of something that writes durably.
    pub(crate) fn writing(extent: Extent, transfer_length: u64) -> Self {
        Self {
            extent,
            transfer_length,
            effect: Effect::Writes,
        }
    }

    /// The end of something that writes, durably only when `durable`.
    pub(crate) fn caching(extent: Extent, transfer_length: u64, durable: bool) -> Self {
        let effect = if durable {
            Effect::Writes
        } else {
            Effect::WritesToCache
        };
        Self {
            extent,
            transfer_length,
            effect,
        }
    }

    /// The end of something that reads.
    pub(crate) fn reading(extent: Extent, transfer_length: u64) -> Self {
        Self {
            extent,
            transfer_length,
            effect: Effect::Reads,
        }
    }
}

impl Plan {
    /// A finished command.
    pub(crate) fn reply(reply: Reply) -> Result<Self, Refusal> {
        Ok(Self::Done(reply))
    }

    /// One operation, then the reply.
    pub(crate) fn execute(operation: Operation, finish: Finish) -> Self {
        Self::Execute {
            operation,
            completion: Completion(Stage::Reply(finish)),
        }
    }

    /// Two operations, then the reply.
    pub(crate) fn execute_then(first: Operation, second: Operation, finish: Finish) -> Self {
        let then = Stage::Then(Box::new((second, Stage::Reply(finish))));
        Self::Execute {
            operation: first,
            completion: Completion(then),
        }
    }

    /// A wish for data-out.
    pub(crate) fn need_data(length: u32, pending: AwaitingData) -> Self {
        Self::NeedData {
            length,
            pending: PendingData(pending),
        }
    }
}

/// Less data-out than the CDB needs, in a way that can't be served: nothing is transferred, and the
/// residual count tells how much was missing.
pub(crate) fn data_out_too_short(transfer_length: u64) -> Refusal {
    let additional = AdditionalSense::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT;
    Refusal {
        sense: Sense::illegal_request(additional),
        transfer_length,
    }
}

/// The length of `data` in bytes.
pub(crate) fn length_of(data: &DataPieces) -> u64 {
    data.iter()
        .map(|piece| u64::try_from(piece.len()).unwrap_or(u64::MAX))
        .sum()
}

/// The bytes of `data` in one piece; copies only when there are several.
pub(crate) fn contiguous(data: &DataPieces) -> Bytes {
    match data.as_slice() {
        [one] => one.clone(),
        pieces => pieces.iter().flatten().copied().collect(),
    }
}

/// A wish for a parameter list of `length` bytes, which must arrive in full.
pub(crate) fn parameter_list(
    request: &Request<'_>,
    length: u32,
    awaiting: AwaitingData,
) -> Result<Plan, Refusal> {
    if request.command.data_out_available() < length {
        return Err(data_out_too_short(u64::from(length)));
    }
    Ok(Plan::need_data(length, awaiting))
}

/// PARAMETER LIST LENGTH ERROR: the list ends in the middle of something.
pub(crate) fn parameter_list_length_error() -> Sense {
    Sense::illegal_request(AdditionalSense::PARAMETER_LIST_LENGTH_ERROR)
}
