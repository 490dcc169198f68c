//! States of an association: CopyState and ProgressStatus, and the older SyncState, which shares words
//! with the first and means other numbers by them.

use super::map::value_map;

value_map! {
    /// CopyState of CIM_Synchronized.
    CopyState, "CopyState" {
        /// Made; no data has flowed.
        Initialized = 2 "Initialized",
        /// Not all of the data is at the target.
        Unsynchronized = 3 "Unsynchronized",
        /// The target is what it is meant to be.
        Synchronized = 4 "Synchronized",
        /// Known not to work: an error in source, target or path, or no space.
        Broken = 5 "Broken",
        /// Taken apart; the target may not be consistent.
        Fractured = 6 "Fractured",
        /// Taken apart at a consistent moment.
        Split = 7 "Split",
        /// Switched off.
        Inactive = 8 "Inactive",
        /// The flow of data is held; changes are remembered.
        Suspended = 9 "Suspended",
        /// Hosts use the target instead of the source.
        Failedover = 10 "Failedover",
        /// Ready for data to flow.
        Prepared = 11 "Prepared",
        /// The copy was given up.
        Aborted = 12 "Aborted",
        /// The target was written by a host.
        Skewed = 13 "Skewed",
        /// Of a group: its members differ.
        Mixed = 14 "Mixed",
        NotApplicable = 15 "Not Applicable",
        /// The state can't be determined, as when the link is down.
        Partitioned = 16 "Partitioned",
        /// The link is there, and the state of an end isn't known.
        Invalid = 17 "Invalid",
        /// The source was restored from the target.
        Restored = 18 "Restored" V2_49,
    }
}

value_map! {
    /// ProgressStatus of CIM_Synchronized: what is being done.
    ProgressStatus, "ProgressStatus" {
        Unknown = 0 "Unknown",
        Completed = 2 "Completed",
        Dormant = 3 "Dormant",
        Initializing = 4 "Initializing",
        Preparing = 5 "Preparing",
        Synchronizing = 6 "Synchronizing",
        Resyncing = 7 "Resyncing",
        Restoring = 8 "Restoring",
        Fracturing = 9 "Fracturing",
        Splitting = 10 "Splitting",
        FailingOver = 11 "Failing over",
        FailingBack = 12 "Failing back",
        Aborting = 13 "Aborting",
        Mixed = 14 "Mixed",
        NotApplicable = 15 "Not Applicable",
        Suspending = 16 "Suspending",
        RequiresFracture = 17 "Requires fracture",
        RequiresResync = 18 "Requires resync",
        RequiresActivate = 19 "Requires activate",
        /// The flow has stopped for a moment, for want of bandwidth.
        Pending = 20 "Pending",
        Detaching = 21 "Detaching",
        RequiresDetach = 22 "Requires detach" V2_49,
        Terminating = 23 "Terminating" V2_49,
        RequiresSplit = 24 "Requires split" V2_49,
        RequiresResume = 25 "Requires resume" V2_49,
    }
}

value_map! {
    /// SyncState of CIM_StorageSynchronized, of the older Copy Services model. Not CopyState.
    SyncState, "SyncState" {
        Unknown = 0 "Unknown" V2_49,
        Initialized = 2 "Initialized",
        PrepareInProgress = 3 "PrepareInProgress",
        Prepared = 4 "Prepared",
        ResyncInProgress = 5 "ResyncInProgress",
        Synchronized = 6 "Synchronized",
        FractureInProgress = 7 "Fracture In Progress",
        QuiesceInProgress = 8 "QuiesceInProgress",
        Quiesced = 9 "Quiesced",
        RestoreInProgress = 10 "Restore In Progress",
        Idle = 11 "Idle",
        Broken = 12 "Broken",
        Fractured = 13 "Fractured",
        Frozen = 14 "Frozen",
        CopyInProgress = 15 "Copy In Progress",
    }
}
