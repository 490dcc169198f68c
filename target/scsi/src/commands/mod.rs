//! The commands themselves: one file per family, each a set of handlers that the opcode table names.
//!
//! A handler runs after the checks that all commands share ([`crate::LogicalUnit::begin`]) and turns
//! a CDB into a plan or a refusal. What must wait for data-out is kept as [`AwaitingData`], what
//! must wait for the medium as [`Stage`].

use crate::cdb::Cdb;
use crate::command::Command;
use crate::nexus::LuNexus;
use crate::plan::{Completion, Extent, Operation, PendingData, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::{AdditionalSense, Sense};
use crate::unit::LogicalUnit;

pub(crate) mod capacity;
pub(crate) mod inquiry;
pub(crate) mod read;
pub(crate) mod report_luns;
pub(crate) mod test_unit_ready;
pub(crate) mod write;

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
    /// WRITE.
    Write(write::PendingWrite),
}

/// What comes after an operation on the medium.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The reply.
    Reply(Finish),
    /// Another operation, when the one before it succeeded.
    Then(Box<(Operation, Self)>),
}

impl Stage {
    /// What the last reply needs to know, whatever comes before it.
    pub(crate) fn last(&self) -> Finish {
        match self {
            Self::Reply(finish) => *finish,
            Self::Then(next) => next.1.last(),
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
    /// The operation writes, which decides how its failure is named.
    pub(crate) writes: bool,
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
