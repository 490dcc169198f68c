//! The JSON of hydrations and of what is intended.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::encoding::DecodeError;
use crate::encoding::body::inconsistent;
use crate::family::{DatasetId, FamilyId};
use crate::hydration::{Hydration, HydrationProgress, Intent, IntentKind, RestoreMember};
use crate::volume::VolumeId;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HydrationBody {
    file: String,
    job: u64,
    split: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
    from_bytes: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntentBody {
    id: Uuid,
    what: KindBody,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum KindBody {
    MoveSnapshots {
        family: Uuid,
        to: Uuid,
        snapshots: Vec<Uuid>,
    },
    Restore {
        members: Vec<MemberBody>,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MemberBody {
    volume: Uuid,
    to: Uuid,
    safety: Uuid,
}

impl From<&Hydration> for HydrationBody {
    fn from(hydration: &Hydration) -> Self {
        let HydrationProgress {
            base,
            next,
            from_bytes,
        } = hydration.progress;
        Self {
            file: hydration.file.clone(),
            job: hydration.job,
            split: hydration.split,
            bytes_per_second: hydration.bytes_per_second,
            base: base.map(|id| id.0),
            next: next.map(|id| id.0),
            from_bytes,
        }
    }
}

impl HydrationBody {
    pub(super) fn into_hydration(self) -> Hydration {
        Hydration {
            file: self.file,
            job: self.job,
            split: self.split,
            bytes_per_second: self.bytes_per_second,
            progress: HydrationProgress {
                base: self.base.map(DatasetId),
                next: self.next.map(DatasetId),
                from_bytes: self.from_bytes,
            },
        }
    }
}

impl From<&Intent> for IntentBody {
    fn from(intent: &Intent) -> Self {
        let what = match &intent.what {
            IntentKind::MoveSnapshots {
                family,
                to,
                snapshots,
            } => KindBody::MoveSnapshots {
                family: family.0,
                to: to.0,
                snapshots: snapshots.iter().map(|id| id.0).collect(),
            },
            IntentKind::Restore { members } => KindBody::Restore {
                members: members
                    .iter()
                    .map(|member| MemberBody {
                        volume: member.volume.0,
                        to: member.to.0,
                        safety: member.safety.0,
                    })
                    .collect(),
            },
        };
        Self {
            id: intent.id,
            what,
        }
    }
}

impl IntentBody {
    fn into_intent(self) -> Intent {
        let what = match self.what {
            KindBody::MoveSnapshots {
                family,
                to,
                snapshots,
            } => IntentKind::MoveSnapshots {
                family: FamilyId(family),
                to: VolumeId(to),
                snapshots: snapshots.into_iter().map(DatasetId).collect(),
            },
            KindBody::Restore { members } => IntentKind::Restore {
                members: members
                    .into_iter()
                    .map(|member| RestoreMember {
                        volume: VolumeId(member.volume),
                        to: DatasetId(member.to),
                        safety: DatasetId(member.safety),
                    })
                    .collect(),
            },
        };
        Intent { id: self.id, what }
    }
}

pub(super) fn into_intents(bodies: Vec<IntentBody>) -> Result<Vec<Intent>, DecodeError> {
    let mut ids = BTreeSet::new();
    let mut intents = Vec::with_capacity(bodies.len());
    for body in bodies {
        if !ids.insert(body.id) {
            return Err(inconsistent(format!("intent {} is there twice", body.id)));
        }
        intents.push(body.into_intent());
    }
    Ok(intents)
}
