//! What is under way and must be gone on with after a restart: clones that get blocks of their own, and changes
//! that concern the catalog and the lists of snapshots together. Only values.

use uuid::Uuid;

use crate::family::{DatasetId, FamilyId};
use crate::volume::VolumeId;

/// Most changes that are under way at a time.
pub const INTENTS_MAX: usize = 4_096;

/// A clone that gets a file of its own, with all that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hydration {
    /// Absolute path of the file, which the daemon makes. Nothing else is in it, and nobody else's.
    pub file: String,
    /// The number of the job.
    pub job: u64,
    /// It was a linked clone before, and is listed as a clone afterwards until it is detached.
    pub split: bool,
    /// How many bytes are copied a second, if that is limited.
    pub bytes_per_second: Option<u64>,
    /// How far it is.
    pub progress: HydrationProgress,
}

/// How far a hydration is, durably.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HydrationProgress {
    /// The snapshot that the file has, all of it. Nobody is told of it, nor of the next one.
    pub base: Option<DatasetId>,
    /// The one that is being copied on top of it.
    pub next: Option<DatasetId>,
    /// Byte up to which that is done.
    pub from_bytes: u64,
}

/// What of the catalog and the lists of snapshots is to be, and may not be so everywhere yet: it is finished
/// before anybody can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What tells it from every other one.
    pub id: Uuid,
    /// What.
    pub what: IntentKind,
}

/// What is intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentKind {
    /// Snapshots are another volume's than before.
    MoveSnapshots {
        /// Of which family.
        family: FamilyId,
        /// Whose they are.
        to: VolumeId,
        /// Which.
        snapshots: Vec<DatasetId>,
    },
    /// Volumes have the content of snapshots.
    Restore {
        /// Each of them.
        members: Vec<RestoreMember>,
    },
}

/// A volume that is to have the content of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreMember {
    /// Which volume.
    pub volume: VolumeId,
    /// Which snapshot.
    pub to: DatasetId,
    /// What the volume had before: if it is there, the volume is restored.
    pub safety: DatasetId,
}
