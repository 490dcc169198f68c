//! What a world is made of, what can happen in it, and what can be done wrong on purpose.

use crate::association::OnFailure;

/// Something that is done wrong on purpose, around the engine, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mutant {
    /// What is written to the journal counts as durable before it is.
    JournalLies,
    /// A target's flush makes nothing durable.
    TargetFlushLies,
    /// A source's flush makes nothing durable.
    SourceFlushLies,
    /// It isn't noted durably which regions are hot.
    HeatIsNotLogged,
    /// It isn't noted durably what changes while a peer is away.
    ChangesAloneAreNotLogged,
    /// What a resync copies isn't written.
    CopiesAreLost,
    /// What was overwritten by half a resync isn't taken back.
    RollBackDoesNothing,
    /// A write is taken as done at the target when it is sent.
    WritesAreAnsweredAtOnce,
    /// Going on alone doesn't begin a new generation.
    GoesOnInTheSameGeneration,
    /// An end that was restarted says that it wasn't.
    ClaimsToBeTheSameRun,
    /// Node 0 drops its changes after a split brain without having been asked to.
    ResolvesSilently,
    /// A confirmation is sent at once.
    ConfirmsTooEarly,
    /// A link swaps two messages.
    LinkReorders,
    /// A durable write goes to the target's cache only.
    FuaIsIgnoredAtTheTarget,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Setup {
    pub(super) nodes: usize,
    pub(super) regions: usize,
    pub(super) blocks_per_region: usize,
    /// Only writes and the journal take time.
    pub(super) instant: bool,
    pub(super) alone_after_restart: bool,
    pub(super) asks_before_alone: bool,
    pub(super) keeps_snapshots: bool,
    pub(super) on_failure: OnFailure,
    pub(super) hot_max: u64,
    pub(super) hot_kept: u64,
    pub(super) window: u64,
    /// By node: hosts of the others don't wait for it.
    pub(super) asynchronous: Vec<bool>,
    pub(super) mutant: Option<Mutant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Write {
        node: usize,
        block: usize,
        blocks: usize,
        durable: bool,
    },
    Flush(usize),
    DiskDone {
        node: usize,
        at: usize,
    },
    /// There is no space for the write, or for all of it.
    DiskRefuses {
        node: usize,
        at: usize,
        partly: bool,
    },
    /// A host gives its oldest command up.
    Cancel(usize),
    JournalDone(usize),
    Deliver {
        from: usize,
        to: usize,
    },
    Connect(usize, usize),
    /// The node notices that the connection is gone.
    Cut {
        node: usize,
        from: usize,
    },
    Crash {
        node: usize,
        keeps: u64,
    },
    Restart(usize),
    TimeOut(usize),
    /// Whoever has to be asked says that the node may go on alone.
    Permit(usize),
    Promote(usize),
    HandOver {
        from: usize,
        to: usize,
    },
    TakeOver {
        node: usize,
        from: usize,
    },
    GiveUp(usize),
    Budget(usize),
    CutDue {
        node: usize,
        to: usize,
    },
    SetMode {
        node: usize,
        asynchronous: bool,
    },
}
