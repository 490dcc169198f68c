//! Why a stream isn't received or sent. Each says what to do about it.

use thiserror::Error;
use tidelock_catalog::{SnapshotName, VolumeName, WordError};
use tidelock_replication::stream::StreamError;
use uuid::Uuid;

/// Why a stream isn't received or sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It isn't one, or was damaged.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// It ended before its end.
    #[error("the stream ended early; everything before byte {position} of the volume has come")]
    CutShort {
        /// Byte of the volume.
        position: u64,
    },
    /// The name in it is none here.
    #[error("the snapshot can't be called what it is called in the stream: {0}")]
    Name(#[from] WordError),
    /// A difference, for a volume that isn't there.
    #[error("there is no volume {volume}, and the stream only has what differs from a snapshot")]
    NoVolume {
        /// Which one.
        volume: VolumeName,
    },
    /// A whole snapshot, for a volume that is there.
    #[error("volume {volume} is there already, and the stream would replace all that it has")]
    Replaces {
        /// Which one.
        volume: VolumeName,
    },
    /// The snapshot that it goes on from isn't there.
    #[error("the stream goes on from snapshot {since}, which {volume} doesn't have{}", newest_text(newest.as_ref()))]
    NoBase {
        /// Of which volume.
        volume: VolumeName,
        /// What streams call it.
        since: Uuid,
        /// The newest that it has.
        newest: Option<(SnapshotName, Uuid)>,
    },
    /// The volume isn't what that snapshot is.
    #[error("volume {volume} has changed since {volume}@{base}, which the stream goes on from")]
    Changed {
        /// Which one.
        volume: VolumeName,
        /// The snapshot.
        base: SnapshotName,
    },
    /// Initiators may write to it.
    #[error("volume {volume} is in use: {}", at.join(", "))]
    InUse {
        /// Which one.
        volume: VolumeName,
        /// The targets, and how many sessions each has.
        at: Vec<String>,
    },
    /// It has another size.
    #[error("volume {volume} has {found} bytes, and the snapshot in the stream {wanted}")]
    Size {
        /// Which one.
        volume: VolumeName,
        /// Its bytes.
        found: u64,
        /// The snapshot's.
        wanted: u64,
    },
    /// It has other logical blocks.
    #[error(
        "volume {volume} has blocks of {found} bytes, and the snapshot in the stream of {wanted}"
    )]
    Blocks {
        /// Which one.
        volume: VolumeName,
        /// Bytes of one of its blocks.
        found: u32,
        /// Of the snapshot's.
        wanted: u32,
    },
    /// Another one is coming.
    #[error("a stream is being received for volume {volume} right now")]
    Busy {
        /// Which one.
        volume: VolumeName,
    },
    /// A part of something else has come.
    #[error("a part of another snapshot, {name}, has been received for volume {volume}")]
    Other {
        /// Which volume.
        volume: VolumeName,
        /// The other one's name.
        name: String,
    },
    /// It begins behind what has come.
    #[error(
        "the stream begins at byte {from} of the volume, and only what is before byte {position} has \
         come"
    )]
    Gap {
        /// Where it begins.
        from: u64,
        /// What is there.
        position: u64,
    },
    /// Nothing has been left half-way.
    #[error("nothing has been received for volume {volume} that isn't complete")]
    NothingPending {
        /// Which one.
        volume: VolumeName,
    },
    /// What a token is about isn't here.
    #[error("no volume here has the snapshots that this resume token is about")]
    UnknownToken,
    /// It is the volume of a snapshot.
    #[error("{volume} is a snapshot, which never changes")]
    IsSnapshot {
        /// Which one.
        volume: VolumeName,
    },
}

fn newest_text(newest: Option<&(SnapshotName, Uuid)>) -> String {
    match newest {
        Some((name, id)) => format!("; its newest snapshot is {name} ({id})"),
        None => "; it has no snapshots".into(),
    }
}

impl ReceiveError {
    /// Whether the stream or the request is wrong, whatever is here.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(
            self,
            Self::Stream(_) | Self::CutShort { .. } | Self::Name(_)
        )
    }

    /// Whether what is asked for isn't here.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::NothingPending { .. } | Self::UnknownToken)
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Stream(StreamError::Damaged { .. }) | Self::CutShort { .. } => {
                "`tidelock snapshot receive VOLUME --status` prints a token; `tidelock snapshot send \
                 --resume TOKEN` goes on from there"
            }
            Self::Stream(_) => "only what `tidelock snapshot send` writes can be received",
            Self::Name(_) => "give it another name with --name",
            Self::NoVolume { .. } => "send a whole snapshot first, without --since",
            Self::Replaces { .. } => {
                "receive into a volume that isn't there yet; or say --force (force=true), and what is \
                 there is kept as a snapshot"
            }
            Self::NoBase { .. } => {
                "send the difference from a snapshot that both have: compare stream_id in \
                 `tidelock snapshot show --json`"
            }
            Self::Changed { .. } => {
                "restore that snapshot first; or say --force (force=true), and what is there is kept as \
                 a snapshot"
            }
            Self::InUse { .. } => {
                "log the initiators out, or map the volume read-only; or say --force (force=true): hosts \
                 that have the volume mounted must forget what they have cached"
            }
            Self::Size { found, wanted, .. } if found < wanted => "resize the volume first",
            Self::Size { .. } | Self::Blocks { .. } => "receive into another volume",
            Self::Busy { .. } => "wait for it, or end the command that sends it",
            Self::Other { .. } => {
                "go on with that one (`tidelock snapshot receive VOLUME --status`), or drop it with \
                 `tidelock snapshot receive VOLUME --abort`"
            }
            Self::Gap { .. } => {
                "send it from its beginning, or with the token that `tidelock snapshot receive VOLUME \
                 --status` prints"
            }
            Self::NothingPending { .. } | Self::IsSnapshot { .. } => "",
            Self::UnknownToken => {
                "send from the daemon that has them, and look whether they were deleted"
            }
        }
    }
}
