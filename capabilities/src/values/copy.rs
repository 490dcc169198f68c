//! What sort of copy: SyncType, Mode, locality, role, and the ReplicationType that codes the first three.

use super::map::value_map;

value_map! {
    /// SyncType of CIM_Synchronized: what is made of the source.
    SyncType, "SyncType" {
        /// A copy that is created and maintained.
        Mirror = 6 "Mirror",
        /// A point in time that shares blocks with its source.
        Snapshot = 7 "Snapshot",
        /// A point in time that is a full copy.
        Clone = 8 "Clone",
    }
}

value_map! {
    /// Mode of CIM_Synchronized: what the writer waits for. The newer Adaptive and Active aren't among
    /// the modes of any engine here.
    Mode, "Mode" {
        /// The writer waits for the source and the target, or for the source and what the target depends on.
        Synchronous = 2 "Synchronous",
        /// The writer waits for the source only.
        Asynchronous = 3 "Asynchronous",
    }
}

value_map! {
    /// Where the other end is.
    LocalOrRemote, "LocalOrRemote" {
        /// Served by the same service.
        Local = 2 "Local",
        /// Served by a peer.
        Remote = 3 "Remote",
    }
}

value_map! {
    /// Which key of CIM_StorageSynchronized the local element would be.
    LocalElementRole, "LocalElementRole" {
        /// The source.
        SystemElement = 2 "SystemElement",
        /// The target.
        SyncedElement = 3 "SyncedElement",
    }
}

value_map! {
    /// ReplicationType: SyncType, Mode and locality in one number. Without the types that need a newer
    /// SyncType or Mode.
    ReplicationType, "ReplicationType" {
        SynchronousMirrorLocal = 2 "Synchronous Mirror Local",
        AsynchronousMirrorLocal = 3 "Asynchronous Mirror Local",
        SynchronousMirrorRemote = 4 "Synchronous Mirror Remote",
        AsynchronousMirrorRemote = 5 "Asynchronous Mirror Remote",
        SynchronousSnapshotLocal = 6 "Synchronous Snapshot Local",
        AsynchronousSnapshotLocal = 7 "Asynchronous Snapshot Local",
        SynchronousSnapshotRemote = 8 "Synchronous Snapshot Remote",
        AsynchronousSnapshotRemote = 9 "Asynchronous Snapshot Remote",
        SynchronousCloneLocal = 10 "Synchronous Clone Local",
        AsynchronousCloneLocal = 11 "Asynchronous Clone Local",
        SynchronousCloneRemote = 12 "Synchronous Clone Remote",
        AsynchronousCloneRemote = 13 "Asynchronous Clone Remote",
    }
}

impl LocalElementRole {
    /// The role of the other end.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::SystemElement => Self::SyncedElement,
            Self::SyncedElement => Self::SystemElement,
        }
    }
}

impl ReplicationType {
    /// The type of a copy: ConvertSyncTypeToReplicationType.
    #[must_use]
    pub const fn of(sync_type: SyncType, mode: Mode, locality: LocalOrRemote) -> Self {
        use LocalOrRemote::{Local, Remote};
        use Mode::{Asynchronous, Synchronous};
        use SyncType::{Clone, Mirror, Snapshot};
        match (sync_type, locality, mode) {
            (Mirror, Local, Synchronous) => Self::SynchronousMirrorLocal,
            (Mirror, Local, Asynchronous) => Self::AsynchronousMirrorLocal,
            (Mirror, Remote, Synchronous) => Self::SynchronousMirrorRemote,
            (Mirror, Remote, Asynchronous) => Self::AsynchronousMirrorRemote,
            (Snapshot, Local, Synchronous) => Self::SynchronousSnapshotLocal,
            (Snapshot, Local, Asynchronous) => Self::AsynchronousSnapshotLocal,
            (Snapshot, Remote, Synchronous) => Self::SynchronousSnapshotRemote,
            (Snapshot, Remote, Asynchronous) => Self::AsynchronousSnapshotRemote,
            (Clone, Local, Synchronous) => Self::SynchronousCloneLocal,
            (Clone, Local, Asynchronous) => Self::AsynchronousCloneLocal,
            (Clone, Remote, Synchronous) => Self::SynchronousCloneRemote,
            (Clone, Remote, Asynchronous) => Self::AsynchronousCloneRemote,
        }
    }

    /// The inverse: ConvertReplicationTypeToSyncType.
    #[must_use]
    pub const fn parts(self) -> (SyncType, Mode, LocalOrRemote) {
        (self.sync_type(), self.mode(), self.locality())
    }

    /// Its SyncType.
    #[must_use]
    pub const fn sync_type(self) -> SyncType {
        match self.value() {
            ..=5 => SyncType::Mirror,
            6..=9 => SyncType::Snapshot,
            10.. => SyncType::Clone,
        }
    }

    /// Its Mode.
    #[must_use]
    pub const fn mode(self) -> Mode {
        if self.value().is_multiple_of(2) {
            Mode::Synchronous
        } else {
            Mode::Asynchronous
        }
    }

    /// Where its other end is.
    #[must_use]
    pub const fn locality(self) -> LocalOrRemote {
        if (self.value() - 2) % 4 < 2 {
            LocalOrRemote::Local
        } else {
            LocalOrRemote::Remote
        }
    }
}
