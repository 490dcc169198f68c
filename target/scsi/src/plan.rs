//! Plans: what is to be done for a command, and what to make of how it went.
//!
//! A plan speaks of bytes of the logical unit's image, never of files.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::alua::AccessState;
use crate::commands::{AwaitingData, Stage};
use crate::copy::{CopyFailure, CopyJob, PopulateToken, RodToken, WriteUsingToken};
use crate::identifying::IdentifyingInformationType;
use crate::mode::ModeParameters;
use crate::nexus::NexusId;
use crate::renewal::{MediumCondition, Renewal};
use crate::reply::{DataPieces, Reply};
use crate::reservation::{ReservationChange, ReservationsRefused};

/// A range of the logical unit in bytes, checked to lie inside it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Number of bytes; zero only where a plan says so.
    pub length: u64,
}

impl Extent {
    /// The first byte behind the extent.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// What to do next for a command.
#[derive(Debug)]
pub enum Plan {
    /// Nothing more: this is the answer.
    Done(Reply),
    /// Collect `length` bytes of data-out (never zero, never more than the initiator expects to
    /// send) and call [`crate::LogicalUnit::data_out`].
    NeedData {
        /// How many bytes.
        length: u32,
        /// To be handed back with the data.
        pending: PendingData,
    },
    /// Execute `operation` and call [`crate::LogicalUnit::finish`].
    Execute {
        /// What to do with the medium.
        operation: Operation,
        /// To be handed back with the outcome.
        completion: Completion,
    },
}

/// One operation on the medium. Extents lie inside the logical unit and are whole blocks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Read `extent`: answer with [`Outcome::Read`].
    Read {
        /// What to read: at most the transfer limit.
        extent: Extent,
        /// The blocks are unlikely to be read again soon: a hint for caches.
        dpo: bool,
    },
    /// Write `data` to `extent`.
    Write {
        /// Where to; as long as `data`.
        extent: Extent,
        /// The bytes.
        data: DataPieces,
        /// The data must be on stable storage before [`Outcome::Done`].
        fua: bool,
    },
    /// Check that `extent` can be read; its bytes go nowhere.
    Verify {
        /// What to check.
        extent: Extent,
    },
    /// Compare `extent` with `data`: [`Outcome::Done`] or [`Outcome::Miscompare`].
    Compare {
        /// What to compare; as long as `data`.
        extent: Extent,
        /// The bytes that are expected there.
        data: DataPieces,
    },
    /// Compare `extent` with `expected` and write `data` to it if nothing differs, with nothing that
    /// overlaps in between and nobody seeing half of it: [`Outcome::Done`] or
    /// [`Outcome::Miscompare`].
    CompareAndWrite {
        /// Where; as long as `expected`, and as `data`.
        extent: Extent,
        /// The bytes that are expected there.
        expected: DataPieces,
        /// The bytes to write.
        data: DataPieces,
        /// The data must be on stable storage before [`Outcome::Done`].
        fua: bool,
    },
    /// Set the bits of `extent` that are set in `data`, with nothing that overlaps in between and
    /// nobody seeing half of it.
    OrWrite {
        /// Where; as long as `data`.
        extent: Extent,
        /// The bits to set.
        data: DataPieces,
        /// The result must be on stable storage before [`Outcome::Done`].
        fua: bool,
    },
    /// Write all of `data` to `extent` or nothing, whatever happens, with nobody seeing half of it, on
    /// stable storage before [`Outcome::Done`].
    WriteAtomic {
        /// Where to; as long as `data`.
        extent: Extent,
        /// The bytes.
        data: DataPieces,
    },
    /// Put everything that was written to `extent` on stable storage; more is allowed.
    Flush {
        /// What to flush.
        extent: Extent,
    },
    /// Give the space of `extents` back; they read as zeros afterwards. They may overlap.
    Unmap {
        /// Where; never empty.
        extents: SmallVec<[Extent; 4]>,
    },
    /// Write `block` to every block of `extent`.
    WriteSame {
        /// Where to; a multiple of the block's length.
        extent: Extent,
        /// One logical block.
        block: Bytes,
        /// The initiator likes the space given back; set only when `block` is all zeros.
        unmap: bool,
        /// The result must be on stable storage before [`Outcome::Done`].
        fua: bool,
    },
    /// Say which blocks of `extent` are mapped: answer with [`Outcome::LbaStatus`].
    LbaStatus {
        /// What is asked about: whole blocks, to the end of the logical unit.
        extent: Extent,
        /// How many pieces the initiator has room for, 1 to 256: more are left out.
        most: u32,
    },
    /// Make the whole medium anew. The unit refuses everything else already; what it let pass before
    /// must have ended first ([`crate::LogicalUnit::has_commands_under_way`]). Whoever executes it
    /// makes it durable that it has begun, before the first block is touched, and goes on with it
    /// whatever becomes of the command, over restarts too. When it ends, that is made durable, and
    /// [`crate::LogicalUnit::set_medium_condition`] says how.
    Renew {
        /// What to do.
        renewal: Renewal,
        /// [`Outcome::Done`] when it is durable that it has begun, instead of when it has ended.
        immediate: bool,
        /// What the medium was before: when it can't even be begun, the unit is told so.
        before: MediumCondition,
    },
    /// A renewal failed, and the medium is to be used as it is: durably before [`Outcome::Done`], and
    /// [`crate::LogicalUnit::set_medium_condition`] before that, too.
    AcceptFailedRenewal,
    /// Say how much space the unit takes and how much its pool has left: answer with
    /// [`Outcome::Resources`].
    Resources,
    /// Make a change of reservations: [`crate::LogicalUnit::prepare_reservations`], then keep the
    /// record that it speaks of, then [`crate::LogicalUnit::commit_reservations`], with no other
    /// change of the same logical unit in between; at last end the tasks of the nexuses that it
    /// names. Answer with [`Outcome::Done`] or [`Outcome::ReservationsRefused`]. Needs no medium.
    ChangeReservations {
        /// What to change.
        change: ReservationChange,
    },
    /// Keep `parameters` over restarts, durably before [`Outcome::Done`]. Only planned when the
    /// configuration says that saving is supported.
    SaveModeParameters {
        /// What to keep for the logical unit.
        parameters: ModeParameters,
    },
    /// Carry out the segments of a copy operation, in order: answer with [`Outcome::Done`] or
    /// [`Outcome::CopyFailed`]. It may take as long as it takes, and reaches other logical units.
    Copy {
        /// What to copy, and whom to tell how far it is.
        job: Arc<CopyJob>,
    },
    /// Change the access states of target port groups, durably before [`Outcome::Done`], by
    /// [`crate::LogicalUnit::begin_transition`] and what follows it. All of it or nothing.
    SetAccessStates {
        /// Groups that the unit has, each once, and their new states, which last. Never empty.
        states: SmallVec<[(u16, AccessState); 4]>,
        /// Who asks: the one that needn't be told.
        nexus: NexusId,
    },
    /// Make a ROD token for what `wish` names, which is inside the logical unit: answer with
    /// [`Outcome::TokenMade`], or with [`Outcome::Done`] if there is nothing to make one of.
    PopulateToken {
        /// What the token is to stand for.
        wish: Arc<PopulateToken>,
    },
    /// Write to the logical unit what a ROD token stands for: answer with [`Outcome::Done`] or
    /// [`Outcome::CopyFailed`]. It may take as long as it takes.
    WriteUsingToken {
        /// What to write, and whom to tell how far it is.
        job: Arc<WriteUsingToken>,
    },
    /// Change one piece of identifying information: make what the unit has with it durable, then put
    /// it in force by [`crate::LogicalUnit::set_identifying_information`], with no other such change
    /// of the same logical unit in between. Then [`Outcome::Done`]. Needs no medium.
    SetIdentifyingInformation {
        /// Which piece.
        kind: IdentifyingInformationType,
        /// What it becomes, which is of that type; empty for none.
        information: Bytes,
        /// Who asks: the one that needn't be told.
        nexus: NexusId,
    },
    /// Read the device clock: answer with [`Outcome::Timestamp`]. Needs no medium.
    Timestamp,
}

/// A command that waits for its data-out; hand it back to [`crate::LogicalUnit::data_out`].
#[derive(Debug)]
pub struct PendingData(pub(crate) AwaitingData);

/// A command whose operation is being executed; hand it back to [`crate::LogicalUnit::finish`].
#[derive(Debug)]
pub struct Completion(pub(crate) Stage);

/// A piece of an [`Operation::LbaStatus`] extent: all of it is mapped, or none of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LbaExtent {
    /// In bytes, not necessarily whole blocks. A block that is mapped in part counts as mapped.
    pub length: u64,
    /// Whether it takes up space; what nobody knows counts as mapped.
    pub mapped: bool,
}

/// How an operation went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The bytes of an [`Operation::Read`], exactly as many as it asked for.
    Read(DataPieces),
    /// The pieces of an [`Operation::LbaStatus`] extent, in order and without gaps from its start.
    /// They may end before the extent does; neighbours may be alike.
    LbaStatus(SmallVec<[LbaExtent; 8]>),
    /// The answer to [`Operation::Resources`].
    Resources {
        /// Bytes that the unit takes.
        used: u64,
        /// Bytes that are left where new ones come from, which other units may take as well; `None`
        /// if nobody can tell.
        available: Option<u64>,
    },
    /// The token that an [`Operation::PopulateToken`] asked for.
    TokenMade(RodToken),
    /// The answer to [`Operation::Timestamp`]: a clock that was set once, from the host's, and never
    /// since.
    Timestamp {
        /// Since 1970-01-01 00:00 UTC.
        milliseconds: u64,
    },
    /// Any other operation succeeded.
    Done,
    /// An [`Operation::ChangeReservations`] was refused.
    ReservationsRefused(ReservationsRefused),
    /// The first byte that differs, counted from the start of the compared extent.
    Miscompare {
        /// In bytes from the start of the extent.
        offset: u64,
    },
    /// The medium failed.
    MediumError {
        /// The first byte of the logical unit that could not be read or written.
        offset: u64,
    },
    /// The store failed, or is fenced after a failed flush, in a way that a retry doesn't cure.
    HardwareError,
    /// No room for new blocks.
    SpaceExhausted,
    /// The store can't take the operation now; the initiator should try again.
    Busy,
    /// The operation took too long, or the store is on its way up: the initiator should try again.
    NotReady,
    /// The unit is the part of a mirror that doesn't serve hosts now: the initiator has another path, or will have.
    Standby,
    /// An [`Operation::Renew`] has begun and failed: the medium is unusable now.
    RenewalFailed,
    /// The operation was given up because the command was aborted.
    Aborted,
    /// A step of a copy: the store can't do it by itself, and whoever carries the copy out has to move the data.
    NotCopied,
    /// An [`Operation::Copy`] ended before its end; what was copied before stays copied.
    CopyFailed(Box<CopyFailure>),
}

impl Outcome {
    /// Whether the operation did what it was asked for.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(
            self,
            Self::Read(_)
                | Self::LbaStatus(_)
                | Self::Resources { .. }
                | Self::TokenMade(_)
                | Self::Timestamp { .. }
                | Self::Done
        )
    }
}
