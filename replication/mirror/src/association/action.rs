//! What goes into an engine and what comes out of it, as plain values.

use bytes::Bytes;
use thiserror::Error;
use tidelock_capabilities::values::Mode;

use crate::data::Data;
use crate::generation::{Record, Refusal, Verdict};
use crate::id::{CommandId, GenerationId, NodeId, OperationId};
use crate::link::Message;
use crate::region::{Range, RegionSet};
use crate::region_log::{LogEntry, RegionLog};

/// How safe something has to be before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// It may be in a cache.
    Cached,
    /// It survives a loss of power.
    Durable,
    /// It survives a loss of power, and before that all of it does or nothing.
    Atomic,
}

/// What happens to an engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A host writes.
    Write {
        /// Answered by [`Action::Complete`].
        command: CommandId,
        /// First byte.
        offset: u64,
        /// What is written; at most what [`Data`] says.
        data: Data,
        /// FUA, or a unit without a write cache.
        durability: Durability,
    },
    /// A host flushes: everything that was completed before becomes durable at both ends.
    Flush {
        /// Answered by [`Action::Complete`].
        command: CommandId,
    },
    /// Nobody waits for a command any more. One that hasn't begun never will, and is answered.
    Cancel(CommandId),
    /// Something that was asked of the disk is done, or has failed. Reading brings its bytes.
    Done {
        /// Which.
        operation: OperationId,
        /// How.
        outcome: Outcome,
    },
    /// The oldest [`Action::Journal`] that isn't durable yet is now.
    Journaled,
    /// What was to be made durable isn't, and never will be: nothing is done any more.
    JournalFailed,
    /// There is a connection to a peer, on which both ends have introduced themselves.
    Connected(NodeId),
    /// It is gone. Nothing more comes from it.
    Disconnected(NodeId),
    /// A message came.
    Received(NodeId, Message),
    /// [`Action::StartTimer`] is over.
    TimeOut,
    /// The answer to the [`Action::AskToGoOnAlone`] of this number: no peer can take over any more. Nothing follows from
    /// it if the peers have come back since.
    MayGoOnAlone(u64),
    /// A cut for an asynchronous peer is due, see [`crate::epochs`].
    CutDue(NodeId),
    /// So many bytes more may be copied in resyncs.
    CopyBudget(u64),
    /// Somebody wants something.
    Wish(Wish),
}

/// How an operation of the disk ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Done.
    Done,
    /// Read.
    Read(Bytes),
    /// A write of a host wasn't done, or in part, for want of space: all else goes on. The peers get what is there. A
    /// snapshot wasn't taken, since the disk can't have one.
    Refused,
    /// It has failed; the disk isn't used any more.
    Failed,
}

/// What an operator, or the daemon for one, wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wish {
    /// Hand over to a peer that is in step: nothing acknowledged is lost.
    HandOver(NodeId),
    /// Become the source with the consent of a peer, while none is.
    TakeOver(NodeId),
    /// Become the source without asking: what isn't here is lost.
    Promote,
    /// Drop this end's own changes after a split brain. They are kept as a snapshot.
    GiveUp,
    /// Don't wait for absent peers any longer.
    GoOnAlone,
    /// Whether hosts wait for a peer from now on: Reset To Sync, Reset To Async. All peers are synchronous after a
    /// start.
    SetMode(NodeId, Mode),
    /// Send nothing to a peer until [`Self::Release`]: Suspend, Fracture, Split.
    Hold(NodeId),
    /// Meet the peer again.
    Release(NodeId),
}

/// What an engine wants done. Actions are begun in their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make it durable. Entries become durable in their order; each is answered by [`Event::Journaled`].
    Journal(JournalEntry),
    /// Write here.
    Write {
        /// Answered by [`Event::Done`].
        operation: OperationId,
        /// The host's write that it is; `None`: it is a peer's.
        command: Option<CommandId>,
        /// First byte.
        offset: u64,
        /// What.
        data: Data,
        /// How safe it has to be before it is answered.
        durability: Durability,
    },
    /// Make everything durable that was written and answered.
    Flush {
        /// Answered by [`Event::Done`].
        operation: OperationId,
        /// The host's flush that it is, if it is one's.
        command: Option<CommandId>,
    },
    /// Read.
    Read(OperationId, Range),
    /// Keep the content as it is now, durably, as the safety snapshot. An older one goes.
    TakeSnapshot {
        /// Answered by [`Event::Done`]; [`Outcome::Refused`]: there can't be one, and there is no image to go back to.
        operation: OperationId,
        /// It holds changes that the operator has dropped: [`Self::KeepSnapshot`] will follow, and if a crash comes in
        /// between it is kept all the same.
        drops_ours: bool,
    },
    /// Keep the content as it is now, durably, as the cut of this generation, beside any others.
    TakeCut(OperationId, GenerationId),
    /// Read from a cut.
    ReadCut(OperationId, GenerationId, Range),
    /// A cut isn't needed any more. Reads of it that are under way may bring anything.
    DropCut(GenerationId),
    /// The content becomes the safety snapshot, durably. It stays.
    RollBack(OperationId),
    /// The safety snapshot isn't needed any more.
    DropSnapshot,
    /// The safety snapshot holds changes that the other end doesn't have: it is kept under a name of its own.
    KeepSnapshot,
    /// Send it.
    Send(NodeId, Message),
    /// End the connection. No [`Event::Disconnected`] follows. Connect again after a while.
    Disconnect(NodeId),
    /// Answer a host.
    Complete(CommandId, Result<(), CommandError>),
    /// Hosts wait for peers that are away, for the so many-th time; see [`super::Config::asks_before_alone`].
    AskToGoOnAlone(u64),
    /// Call [`Event::TimeOut`] when the time that commands may wait for a peer is over.
    StartTimer,
    /// Don't.
    StopTimer,
    /// What an operator would want to know.
    Report(Report),
}

/// What is made durable beside the data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JournalEntry {
    /// The record, and what is tracked from then on, in one.
    Record {
        /// Replaces the one before.
        record: Record,
        /// Begin to track changes since this generation.
        track: Option<GenerationId>,
    },
    /// A change of the log of regions.
    Log(LogEntry),
}

/// What is durable of an end beside the data: the beginning, with all entries applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durable {
    /// The record.
    pub record: Record,
    /// The log of regions.
    pub log: RegionLog,
}

impl Durable {
    /// With a record and nothing else.
    #[must_use]
    pub fn new(record: Record) -> Self {
        Self {
            record,
            log: RegionLog::default(),
        }
    }

    /// Applies the next entry.
    pub fn apply(&mut self, entry: &JournalEntry) {
        match entry {
            JournalEntry::Record { record, track } => {
                if let Some(generation) = track {
                    self.log.apply(&LogEntry::Track(*generation));
                }
                self.record = record.clone();
            }
            JournalEntry::Log(entry) => self.log.apply(entry),
        }
    }
}

/// Why a command of a host isn't done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum CommandError {
    /// This end isn't the source (any more): the host has another path.
    #[error("this end of the mirror isn't its source")]
    NotSource,
    /// FailedCopyStopsHostIO: the peer is away, and that stops hosts.
    #[error("the mirror's other end is away, and it is configured to stop hosts then")]
    Halted,
    /// The disk has failed.
    #[error("the disk below this end of the mirror has failed")]
    DiskFailed,
    /// Behind the end of the volume, or too much at once.
    #[error("the command goes beyond the end of the volume")]
    OutOfRange,
    /// Nobody waited for it any more, before it began.
    #[error("the command was given up before it began")]
    Cancelled,
    /// There is no space for it here; see [`Outcome::Refused`].
    #[error("this end of the mirror has no space for the write")]
    Refused,
}

/// What an operator would want to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// The ends have met; what follows.
    Met(NodeId, Verdict),
    /// A resync to the peer has begun, of so many bytes.
    ResyncBegun(NodeId, u64),
    /// The peer is in step.
    InStep(NodeId),
    /// We are in step with the peer, which is the source.
    Following(NodeId),
    /// A cut for an asynchronous peer was taken, and is being sent.
    CutTaken(NodeId),
    /// An asynchronous peer has it.
    CutConfirmed(NodeId),
    /// The connection is gone.
    Lost(NodeId),
    /// Hosts are served without peers that were in step.
    Alone,
    /// Hosts are stopped until a peer is back.
    Halted,
    /// This end is the source now.
    Serving,
    /// This end is a target now.
    Resigned,
    /// A wish can't be done.
    Refused(Wish, Refusal),
    /// The peer broke the rules; the connection was ended.
    Misbehaved(NodeId, &'static str),
    /// The disk has failed: nothing is done any more.
    DiskFailed,
}

/// Regions that may differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Differing {
    /// These.
    Regions(RegionSet),
    /// It isn't known: any.
    All,
}
