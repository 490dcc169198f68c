//! The JSON of mirrors.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::Catalog;
use crate::encoding::DecodeError;
use crate::encoding::body::inconsistent;
use crate::mirror::{
    Elsewhere, Mirror, MirrorCompression, MirrorEnd, MirrorFailover, MirrorId, MirrorMode,
    MirrorRest, MirrorSide, OnFailure,
};
use crate::snapshot::PeerName;
use crate::volume::VolumeName;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MirrorBody {
    id: Uuid,
    first: EndBody,
    second: EndBody,
    source: SideBody,
    on_failure: OnFailureBody,
    /// Of an asynchronous one; absent for a synchronous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rpo_ms: Option<u64>,
    rest: RestBody,
    /// Absent where an operator lets hosts use the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failover: Option<FailoverBody>,
    /// Absent where nobody has said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resync_limit: Option<u64>,
    /// Absent where the content goes as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compression: Option<CompressionBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EndBody {
    volume: String,
    node: Uuid,
    /// Absent for a volume that is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elsewhere: Option<ElsewhereBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ElsewhereBody {
    peer: String,
    dials: bool,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum SideBody {
    First,
    Second,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum OnFailureBody {
    Continue,
    Halt,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum FailoverBody {
    Automatic,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum CompressionBody {
    Zstd,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum RestBody {
    Linked,
    Suspended,
    Fractured,
    Split,
    FailedOver,
    RestoringFractured,
    RestoringSplit,
}

impl From<&MirrorEnd> for EndBody {
    fn from(end: &MirrorEnd) -> Self {
        Self {
            volume: end.volume.to_string(),
            node: end.node,
            elsewhere: end.elsewhere.as_ref().map(|it| ElsewhereBody {
                peer: it.peer.to_string(),
                dials: it.dials,
            }),
        }
    }
}

impl EndBody {
    fn into_end(self) -> Result<MirrorEnd, DecodeError> {
        let elsewhere = match self.elsewhere {
            None => None,
            Some(ElsewhereBody { peer, dials }) => Some(Elsewhere {
                peer: PeerName::new(&peer).map_err(inconsistent)?,
                dials,
            }),
        };
        Ok(MirrorEnd {
            volume: VolumeName::new(&self.volume).map_err(inconsistent)?,
            node: self.node,
            elsewhere,
        })
    }
}

impl From<&Mirror> for MirrorBody {
    fn from(mirror: &Mirror) -> Self {
        Self {
            id: mirror.id.0,
            first: (&mirror.first).into(),
            second: (&mirror.second).into(),
            source: match mirror.source {
                MirrorSide::First => SideBody::First,
                MirrorSide::Second => SideBody::Second,
            },
            on_failure: match mirror.on_failure {
                OnFailure::Continue => OnFailureBody::Continue,
                OnFailure::Halt => OnFailureBody::Halt,
            },
            rpo_ms: mirror.mode.rpo_ms(),
            rest: match mirror.rest {
                MirrorRest::Linked => RestBody::Linked,
                MirrorRest::Suspended => RestBody::Suspended,
                MirrorRest::Fractured => RestBody::Fractured,
                MirrorRest::Split => RestBody::Split,
                MirrorRest::FailedOver => RestBody::FailedOver,
                MirrorRest::RestoringFractured => RestBody::RestoringFractured,
                MirrorRest::RestoringSplit => RestBody::RestoringSplit,
            },
            failover: match mirror.failover {
                MirrorFailover::Manual => None,
                MirrorFailover::Automatic => Some(FailoverBody::Automatic),
            },
            resync_limit: mirror.resync_limit,
            compression: match mirror.compression {
                MirrorCompression::None => None,
                MirrorCompression::Zstd => Some(CompressionBody::Zstd),
            },
        }
    }
}

impl MirrorBody {
    fn into_mirror(self) -> Result<Mirror, DecodeError> {
        Ok(Mirror {
            id: MirrorId(self.id),
            first: self.first.into_end()?,
            second: self.second.into_end()?,
            source: match self.source {
                SideBody::First => MirrorSide::First,
                SideBody::Second => MirrorSide::Second,
            },
            on_failure: match self.on_failure {
                OnFailureBody::Continue => OnFailure::Continue,
                OnFailureBody::Halt => OnFailure::Halt,
            },
            mode: match self.rpo_ms {
                None => MirrorMode::Synchronous,
                Some(rpo_ms) => MirrorMode::Asynchronous { rpo_ms },
            },
            rest: match self.rest {
                RestBody::Linked => MirrorRest::Linked,
                RestBody::Suspended => MirrorRest::Suspended,
                RestBody::Fractured => MirrorRest::Fractured,
                RestBody::Split => MirrorRest::Split,
                RestBody::FailedOver => MirrorRest::FailedOver,
                RestBody::RestoringFractured => MirrorRest::RestoringFractured,
                RestBody::RestoringSplit => MirrorRest::RestoringSplit,
            },
            failover: match self.failover {
                None => MirrorFailover::Manual,
                Some(FailoverBody::Automatic) => MirrorFailover::Automatic,
            },
            resync_limit: self.resync_limit,
            compression: match self.compression {
                None => MirrorCompression::None,
                Some(CompressionBody::Zstd) => MirrorCompression::Zstd,
            },
        })
    }
}

pub(super) fn into_catalog(
    catalog: &mut Catalog,
    bodies: Vec<MirrorBody>,
) -> Result<(), DecodeError> {
    for body in bodies {
        let mirror = body.into_mirror()?;
        if let Some(twice) = catalog.mirrors.insert(mirror.id, mirror) {
            return Err(inconsistent(format!("mirror {} is there twice", twice.id)));
        }
    }
    Ok(())
}
