//! Why a combination isn't possible, as values. How lasting each reason is stands here too; the rules that
//! find them are elsewhere, and the words in [`crate::sentence`].

use crate::facts::{
    AssociationKey, ElementId, GroupId, Lock, PeerFault, PeerId, ReservedAs, Store,
};
use crate::values::{
    Component, CopyState, MethodName, Operation, ReplicationType, ReturnCode, SyncType,
};

/// How lasting a reason is, from the least to the most. Of several reasons the most lasting is given;
/// of several combinations the least lasting decides the return code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obstacle {
    /// All that is known here allows it, and a peer has not answered.
    NoPeer,
    /// Possible at another time, or once something else was done.
    NotNow,
    /// The state can't be known at the moment.
    Unknown,
    /// Something is broken.
    Fault,
    /// Not for this element or pair.
    Never,
}

/// Why a combination isn't possible. Their order says which one is told if several are equally lasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    // --- NoPeer
    /// The peer was not asked.
    PeerNotAsked(PeerId),
    /// The peer doesn't answer.
    PeerSilent(PeerId),

    // --- NotNow
    /// The service would have to make the target and there is no space for it.
    NoSpace {
        /// Of what.
        element: ElementId,
        /// Where the space is missing, if it isn't here.
        at: Option<PeerId>,
    },
    /// A limit is reached.
    LimitReached {
        /// Which.
        component: Component,
        /// Its value.
        maximum: u64,
    },
    /// Copies need a source that is offline.
    MustBeOffline(ElementId),
    /// Writes to it are refused by configuration.
    ReadOnly(ElementId),
    /// Hosts use it.
    InUseByHosts {
        /// Which element.
        element: ElementId,
        /// Sessions that see it.
        sessions: u32,
        /// Whether a reservation is held.
        reserved: bool,
    },
    /// The group is empty.
    GroupEmpty(GroupId),
    /// The group has too few members to be a source.
    GroupTooSmall(GroupId),
    /// The groups don't have the same number of members.
    GroupsUnequal {
        /// Members of the source group.
        source: u64,
        /// Members of the target group.
        target: u64,
    },
    /// The group is reserved for being the other end.
    GroupReserved {
        /// Which group.
        group: GroupId,
        /// For what.
        reserved_as: ReservedAs,
    },
    /// The group has a relation, and can have only one.
    GroupInRelation(GroupId),
    /// It is the source of an association, so it can't be overwritten.
    IsSource(AssociationKey),
    /// It can't go while there are copies of it.
    HasCopies(ElementId),
    /// What is written to the source would go on to the target of another mirror.
    FlowsOn(AssociationKey),
    /// It is the target of an association already.
    IsTarget(AssociationKey),
    /// The element that is to be the target comes before the source in a chain of copies.
    WouldBeCycle {
        /// The source.
        source: ElementId,
        /// The target.
        target: ElementId,
    },
    /// The pair has an association already.
    Exists(AssociationKey),
    /// A copy is running.
    Copying(AssociationKey),
    /// The target's content isn't an image of the source at any moment.
    NoConsistentImage {
        /// The association.
        key: AssociationKey,
        /// Its state.
        copy_state: CopyState,
    },
    /// The state of the snapshot has to change first.
    SnapshotState {
        /// The association.
        key: AssociationKey,
        /// Its state.
        copy_state: CopyState,
    },
    /// Failover or failback is under way.
    ChangingOver(AssociationKey),
    /// Hosts use the target instead.
    FailedOver(AssociationKey),
    /// An operation was done that has to be followed by another one first.
    Unfinished {
        /// The association.
        key: AssociationKey,
        /// What has to be done, if it is one thing.
        next: Option<Operation>,
    },
    /// It was being overwritten from a replica, and that was given up half-way.
    HalfRestored(AssociationKey),
    /// It is being restored from a replica.
    BeingRestored(AssociationKey),
    /// Something runs on it.
    Locked {
        /// Which element.
        element: ElementId,
        /// What runs.
        lock: Lock,
    },

    // --- Unknown
    /// The state of the association isn't known.
    StateUnknown {
        /// The association.
        key: AssociationKey,
        /// Its state.
        copy_state: CopyState,
    },

    // --- Fault
    /// The association is broken.
    Broken(AssociationKey),
    /// Something is wrong between the peer and this daemon.
    PeerFaulty(PeerId, PeerFault),
    /// The element's store doesn't work.
    StoreFault {
        /// Which element.
        element: ElementId,
        /// What is wrong.
        store: Store,
    },

    // --- Never
    /// The two are one.
    SameElement(ElementId),
    /// The target is smaller than the source.
    TargetTooSmall {
        /// Size of the source in bytes.
        source_bytes: u64,
        /// Size of the target in bytes.
        target_bytes: u64,
    },
    /// The target is larger than the source, and they have to be alike.
    SizesDiffer {
        /// Size of the source in bytes.
        source_bytes: u64,
        /// Size of the target in bytes.
        target_bytes: u64,
    },
    /// Their logical blocks differ.
    BlockSizesDiffer {
        /// Of the source, in bytes.
        source_bytes: u32,
        /// Of the target, in bytes.
        target_bytes: u32,
    },
    /// Copies of a group, or several of one element, go to a group.
    TargetIsNoGroup(ElementId),
    /// One source can't have a group of targets.
    OneToManyNotBuilt,
    /// Groups can't be copied to groups.
    ManyToManyNotBuilt,
    /// Aspects are made of elements, not of groups.
    GroupAspectsNotBuilt,
    /// A chain of copies would be longer than is allowed.
    ChainTooLong(ElementId),
    /// It is a snapshot, which isn't written, mirrored or frozen again.
    IsSnapshot(ElementId),
    /// Its format can't be the source of such a copy.
    FormatCannot(ElementId, SyncType),
    /// It is of a kind that isn't replicated.
    NotReplicated(ElementId),
    /// The service makes the targets of such copies itself.
    TargetIsCreated(SyncType),
    /// An aspect has no target.
    AspectHasNoTarget,
    /// The peer speaks no version that this daemon speaks.
    PeerIncompatible(PeerId),
    /// The peer can't be the other end of this type.
    PeerLacksType(PeerId, ReplicationType),
    /// Built, but not for this method.
    NotByMethod(ReplicationType, MethodName),
    /// The type isn't built or configured.
    NotBuilt(ReplicationType),
}

impl Reason {
    /// How lasting it is.
    #[must_use]
    pub const fn obstacle(self) -> Obstacle {
        match self {
            Self::PeerNotAsked(_) | Self::PeerSilent(_) => Obstacle::NoPeer,
            Self::NoSpace { .. }
            | Self::LimitReached { .. }
            | Self::MustBeOffline(_)
            | Self::ReadOnly(_)
            | Self::InUseByHosts { .. }
            | Self::GroupEmpty(_)
            | Self::GroupTooSmall(_)
            | Self::GroupsUnequal { .. }
            | Self::GroupReserved { .. }
            | Self::GroupInRelation(_)
            | Self::IsSource(_)
            | Self::HasCopies(_)
            | Self::FlowsOn(_)
            | Self::IsTarget(_)
            | Self::WouldBeCycle { .. }
            | Self::Exists(_)
            | Self::Copying(_)
            | Self::NoConsistentImage { .. }
            | Self::SnapshotState { .. }
            | Self::ChangingOver(_)
            | Self::FailedOver(_)
            | Self::Unfinished { .. }
            | Self::HalfRestored(_)
            | Self::BeingRestored(_)
            | Self::Locked { .. } => Obstacle::NotNow,
            Self::StateUnknown { .. } => Obstacle::Unknown,
            Self::Broken(_) | Self::PeerFaulty(..) | Self::StoreFault { .. } => Obstacle::Fault,
            Self::SameElement(_)
            | Self::TargetTooSmall { .. }
            | Self::SizesDiffer { .. }
            | Self::BlockSizesDiffer { .. }
            | Self::TargetIsNoGroup(_)
            | Self::OneToManyNotBuilt
            | Self::ManyToManyNotBuilt
            | Self::GroupAspectsNotBuilt
            | Self::ChainTooLong(_)
            | Self::IsSnapshot(_)
            | Self::FormatCannot(..)
            | Self::NotReplicated(_)
            | Self::TargetIsCreated(_)
            | Self::AspectHasNoTarget
            | Self::PeerIncompatible(_)
            | Self::PeerLacksType(..)
            | Self::NotByMethod(..)
            | Self::NotBuilt(_) => Obstacle::Never,
        }
    }

    /// The association that stands in the way, if it is one.
    #[must_use]
    pub const fn blocker(self) -> Option<AssociationKey> {
        match self {
            Self::IsSource(key)
            | Self::FlowsOn(key)
            | Self::IsTarget(key)
            | Self::Exists(key)
            | Self::Copying(key)
            | Self::NoConsistentImage { key, .. }
            | Self::SnapshotState { key, .. }
            | Self::ChangingOver(key)
            | Self::FailedOver(key)
            | Self::Unfinished { key, .. }
            | Self::HalfRestored(key)
            | Self::BeingRestored(key)
            | Self::StateUnknown { key, .. }
            | Self::Broken(key) => Some(key),
            _ => None,
        }
    }
}

impl Obstacle {
    /// What is returned if this is the least lasting obstacle of all combinations.
    #[must_use]
    pub const fn return_code(self) -> ReturnCode {
        match self {
            Self::NoPeer => ReturnCode::Timeout,
            Self::NotNow => ReturnCode::InUse,
            Self::Unknown => ReturnCode::Unknown,
            Self::Fault => ReturnCode::Failed,
            Self::Never => ReturnCode::NotSupported,
        }
    }
}
