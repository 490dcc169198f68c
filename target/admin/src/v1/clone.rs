//! Clones: made from what, how far they are, and what is done to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Origin;

/// A clone that is to be made: a volume of its own, at once, that shares the blocks of a snapshot until
/// they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateClone {
    /// What it is made from: `VOLUME@SNAPSHOT`, or `VOLUME` as it is now.
    pub source: String,
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit.
    pub name: String,
    /// Keep the snapshot for as long as the clone is there. One that is taken for the clone is called
    /// like it then, and is listed; otherwise it isn't.
    #[serde(default)]
    pub linked: bool,
    /// Give it blocks of its own in the background. When it has all of them it is a file that shares nothing, and
    /// isn't a clone any more. It has no snapshots until then.
    #[serde(default)]
    pub full: bool,
    /// How many bytes of a full clone are copied a second, at most; not limited if absent. The limit is lifted when
    /// hosts write faster to the clone than that, as it would have no end otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// How a linked clone is to be made a full one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitClone {
    /// How many bytes are copied a second, at most; not limited if absent. The limit is lifted when hosts write
    /// faster to the clone than that, as it would have no end otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// How the volumes of a group are to be cloned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneGroup {
    /// The name of the new group, in which the clones are; no group is made if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Each clone is called like its volume with this behind it; `-` and the new group's name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// The name of snapshots that were taken of the group; the group as it is now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// As for a single full clone.
    #[serde(default)]
    pub full: bool,
    /// As for a single full clone, for each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// All clones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct CloneList {
    /// By name.
    pub clones: Vec<CloneOf>,
}

/// A clone, and what it was made from. `GET /v1/volumes/{volume}` has the rest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct CloneOf {
    /// The clone.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What it was made from.
    pub origin: Origin,
    /// What sort of copy it is.
    pub sync_type: SyncType,
    /// How it is.
    pub copy_state: CopyState,
    /// What is being done about that.
    pub progress_status: ProgressStatus,
    /// How much of a full clone is in its own file, of a hundred; 100 is a promise that it shares nothing. Hosts that
    /// write to it may make it less for a while. Absent for a linked one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_synced: Option<u8>,
    /// The number of the job that makes it a full clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
    /// What that waits for, or why it has failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// One that this client doesn't know.
            #[serde(other)]
            Unknown,
        }

        impl $name {
            /// In the words of DMTF.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$word => stringify!($word),)*
                    Self::Unknown => "Unknown",
                }
            }
        }
    };
}

words! {
    /// `SyncType` of `CIM_Synchronized`.
    SyncType {
        /// 7: it shares blocks with what it was made from.
        Snapshot,
        /// 8: it is a full copy, or about to be one.
        Clone,
    }
}

words! {
    /// `CopyState` of `CIM_Synchronized`, as far as clones are in it.
    CopyState {
        /// 3: not all of it is in its own file.
        Unsynchronized,
        /// 4: it is what it is meant to be.
        Synchronized,
        /// 5: making it a full clone has failed; it is a linked one.
        Broken,
    }
}

words! {
    /// `ProgressStatus` of `CIM_Synchronized`, as far as clones are in it.
    ProgressStatus {
        /// 2: nothing is to be done.
        Completed,
        /// 3: nothing is done, and something should be.
        Dormant,
        /// 6: blocks are copied.
        Synchronizing,
        /// 13: it was cancelled.
        Aborting,
        /// 20: it waits, and goes on by itself.
        Pending,
    }
}
