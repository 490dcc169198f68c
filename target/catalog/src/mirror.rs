//! Mirrors as the catalog knows them: which volumes are kept equal, and what an operator has said of them. Knows
//! nothing of what flows between them.

use std::fmt;

use uuid::Uuid;

use crate::snapshot::PeerName;
use crate::volume::VolumeName;

/// Most mirrors of one catalog.
pub const MIRRORS_MAX: usize = 4_096;

/// The lowest limit of a resync, in bytes per second: a region has to be copied in a few seconds.
pub const RESYNC_LIMIT_MIN: u64 = 64 << 10;

/// What is mirrored: the same at both ends, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MirrorId(pub Uuid);

impl fmt::Display for MirrorId {
    /// Thirty-two hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// One end: a volume's copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorEnd {
    /// The volume, as its own daemon calls it.
    pub volume: VolumeName,
    /// What the end is called in the protocol of mirrors: random, given once.
    pub node: Uuid,
    /// Where it is; `None`: here.
    pub elsewhere: Option<Elsewhere>,
}

/// Where an end is that isn't here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The daemon that has it.
    pub peer: PeerName,
    /// Whether this daemon makes the connection. If it doesn't, the other one does.
    pub dials: bool,
}

impl MirrorEnd {
    /// Whether it is a volume of this daemon.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        self.elsewhere.is_none()
    }
}

impl fmt::Display for MirrorEnd {
    /// The volume's name, after `PEER:` if it isn't here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Elsewhere { peer, .. }) = &self.elsewhere {
            write!(f, "{peer}:")?;
        }
        self.volume.fmt(f)
    }
}

/// Which of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MirrorSide {
    /// The one that was named first when the mirror was made.
    First,
    /// The other one.
    Second,
}

impl MirrorSide {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// What is done with hosts while the target is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are served, and what they change is noted.
    #[default]
    Continue,
    /// They are stopped (FailedCopyStopsHostIO).
    Halt,
}

/// What an operator wants of the ends, for as long as nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MirrorRest {
    /// The target gets what the source has.
    #[default]
    Linked,
    /// Nothing is sent: Suspend.
    Suspended,
    /// Nothing is sent: Fracture.
    Fractured,
    /// Nothing is sent: Split.
    Split,
    /// Hosts use the target, and the source gets what it has: Failover.
    FailedOver,
    /// The source gets what the target has, and then nothing is sent, as before: Restore from Replica after Fracture.
    RestoringFractured,
    /// The same after Split.
    RestoringSplit,
}

impl MirrorRest {
    /// Whether nothing is sent.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Suspended | Self::Fractured | Self::Split)
    }

    /// Whether the source gets what the target has, to go on with it.
    #[must_use]
    pub const fn is_restoring(self) -> bool {
        matches!(self, Self::RestoringFractured | Self::RestoringSplit)
    }

    /// What is wanted while the source is restored; `None`: it isn't restored in this state.
    #[must_use]
    pub const fn restoring(self) -> Option<Self> {
        match self {
            Self::Fractured | Self::RestoringFractured => Some(Self::RestoringFractured),
            Self::Split | Self::RestoringSplit => Some(Self::RestoringSplit),
            _ => None,
        }
    }

    /// What is wanted once the source is restored, or if it can't be.
    #[must_use]
    pub const fn restored(self) -> Self {
        match self {
            Self::RestoringFractured => Self::Fractured,
            Self::RestoringSplit => Self::Split,
            other => other,
        }
    }
}

/// When a write of a host is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MirrorMode {
    /// When both ends have it.
    #[default]
    Synchronous,
    /// When the source has it.
    Asynchronous {
        /// The target should never be further behind, in milliseconds.
        rpo_ms: u64,
    },
}

impl MirrorMode {
    /// How far the target may be behind, in milliseconds; `None`: not at all.
    #[must_use]
    pub const fn rpo_ms(self) -> Option<u64> {
        match self {
            Self::Synchronous => None,
            Self::Asynchronous { rpo_ms } => Some(rpo_ms),
        }
    }
}

/// Who lets hosts use the target when the source is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MirrorFailover {
    /// An operator.
    #[default]
    Manual,
    /// The ends, by leases that a third party gives.
    Automatic,
}

/// What becomes of the volume's content on the link with a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MirrorCompression {
    /// It goes as it is.
    #[default]
    None,
    /// It is compressed, if both daemons can.
    Zstd,
}

/// A mirror of two volumes, of which at least one is this daemon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Which one.
    pub id: MirrorId,
    /// The volume that was there.
    pub first: MirrorEnd,
    /// The one that became its copy.
    pub second: MirrorEnd,
    /// Which one is the source (SystemElement). Another one after Reverse Roles.
    pub source: MirrorSide,
    /// What is done with hosts while the target is away.
    pub on_failure: OnFailure,
    /// When writes of hosts are answered.
    pub mode: MirrorMode,
    /// What an operator wants.
    pub rest: MirrorRest,
    /// Who lets hosts use the target when the source is gone.
    pub failover: MirrorFailover,
    /// How many bytes a second are copied at most; `None`: as many as hosts have no use for.
    pub resync_limit: Option<u64>,
    /// What becomes of the content on the link with a peer.
    pub compression: MirrorCompression,
}

impl Mirror {
    /// One of its ends.
    #[must_use]
    pub const fn end(&self, side: MirrorSide) -> &MirrorEnd {
        match side {
            MirrorSide::First => &self.first,
            MirrorSide::Second => &self.second,
        }
    }

    /// The source: SystemElement.
    #[must_use]
    pub const fn system(&self) -> &MirrorEnd {
        self.end(self.source)
    }

    /// The target: SyncedElement.
    #[must_use]
    pub const fn synced(&self) -> &MirrorEnd {
        self.end(self.source.opposite())
    }

    /// The end that is to serve hosts: the source, or after a failover the target.
    #[must_use]
    pub const fn serving(&self) -> MirrorSide {
        match self.rest {
            MirrorRest::FailedOver => self.source.opposite(),
            _ => self.source,
        }
    }

    /// Whether its ends fail over by themselves.
    #[must_use]
    pub const fn is_automatic(&self) -> bool {
        matches!(self.failover, MirrorFailover::Automatic)
    }

    /// Which end a volume of this daemon is.
    #[must_use]
    pub fn side_of(&self, volume: &VolumeName) -> Option<MirrorSide> {
        let sides = [MirrorSide::First, MirrorSide::Second];
        sides.into_iter().find(|side| {
            let end = self.end(*side);
            end.is_here() && end.volume == *volume
        })
    }

    /// The end that isn't here, and where it is; `None`: both are here.
    #[must_use]
    pub fn remote(&self) -> Option<(MirrorSide, &Elsewhere)> {
        let sides = [MirrorSide::First, MirrorSide::Second];
        sides
            .into_iter()
            .find_map(|side| Some((side, self.end(side).elsewhere.as_ref()?)))
    }
}
