//! What daemons ask each other for about mirrors. Whoever asks has an end of the mirror, or is about to have one.

use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{
    Mirror, MirrorCompression, MirrorId, MirrorRest, MirrorSide, Peer, PeerName,
};
use uuid::Uuid;

use super::asynchronous::{check_rpo, mode_of};
use super::automatic::Terms;
use super::groups::Room;
use super::limits::Setting;
use super::operations::refuse;
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::State;
use crate::peers::{Ends, LinkEnd};

/// See the module.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    /// Be the target of a mirror. Asked again for one that is there, it is there.
    CreateTarget(Box<CreateTarget>),
    /// The mirror is to be no more. Of one that isn't there, it is none.
    Detached { mirror: Uuid },
    /// The end there is the source: let the other one be it.
    HandOver { mirror: Uuid },
    /// The end there has changes that are dropped.
    GiveUp { mirror: Uuid },
    /// The end there is the source: do this.
    Operate {
        mirror: Uuid,
        operation: Wanted,
        /// Though hosts may use it, where that matters.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// The end of the one that asks is the source, and is restored: let it have what the one there has. Asked again, it is
    /// the same.
    Restore { mirror: Uuid, split: bool },
    /// The ends there are the sources: do this with all of them at one instant.
    OperateTogether {
        mirrors: Vec<Uuid>,
        operation: Wanted,
    },
    /// Targets of mirrors are about to be made there, and a group of them: whether that could be.
    MayMake { group: String, targets: Vec<Room> },
    /// The targets there of mirrors are to be a group.
    MakeGroup { group: String, volumes: Vec<String> },
    /// The end of the one that asks is the source, and this is wanted of the mirror.
    Words {
        mirror: Uuid,
        source: Side,
        rest: Rest,
        /// An older daemon says nothing of it.
        #[serde(default)]
        terms: Option<Terms>,
        /// How far the other end may be behind; absent if hosts wait for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rpo_ms: Option<u64>,
        /// An older daemon says nothing of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copying: Option<Copying>,
    },
    /// The end there is the source: let the ends fail over by themselves, or not.
    TurnFailover {
        mirror: Uuid,
        automatic: bool,
        force: bool,
    },
    /// The end of the one that asks is the source, and this is so of the mirror.
    FollowFailover { mirror: Uuid, terms: Terms },
    /// The end of the one that asks is the source, which is about to be in this mode: be ready for it.
    Mode { mirror: Uuid, rpo_ms: Option<u64> },
    /// The end there is the source: let the other one be so far behind at most.
    Rpo { mirror: Uuid, rpo_ms: u64 },
    /// The end there is the source: copy so many bytes a second at most; absent: as many as hosts have no use for.
    ResyncLimit {
        mirror: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes_per_s: Option<u64>,
    },
    /// Whether there is such a mirror, which the one that asks has an end of.
    Known { mirror: Uuid },
    /// The end there is the source: compress what goes over the link, or not.
    Compression { mirror: Uuid, zstd: bool },
    /// What a part of the volume there amounts to.
    Digest {
        mirror: Uuid,
        offset: u64,
        length: u64,
        piece: u64,
    },
    /// A host has asked this of the logical unit through the end of the one that asks; the end there decides.
    Reserve { mirror: Uuid, change: String },
    /// The end of the one that asks decides about reservations, and they are so.
    Reservations { mirror: Uuid, replica: String },
}

/// A target that is to be made.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CreateTarget {
    pub(super) mirror: Uuid,
    pub(super) source: EndWords,
    pub(super) target: EndWords,
    pub(super) bytes: u64,
    pub(super) block_bytes: u32,
    pub(super) halts: bool,
    /// Of a mirror that fails over by itself: how long leases are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease_ms: Option<u64>,
    /// How far it may be behind; absent if hosts wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rpo_ms: Option<u64>,
    /// How many bytes a second are copied at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resync_limit: Option<u64>,
    /// Whether what goes over the link is compressed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) zstd: bool,
    /// As which logical unit hosts see both.
    pub(super) naa: String,
    pub(super) serial: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct EndWords {
    pub(super) volume: String,
    pub(super) node: Uuid,
}

/// That it is done.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Done {}

/// How the ends of a mirror copy to each other.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Copying {
    /// So many bytes a second at most; absent: as many as hosts have no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bytes_per_s: Option<u64>,
    /// Whether what goes over the link is compressed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) zstd: bool,
}

/// In words that daemons tell each other.
pub(super) const fn compression_of(zstd: bool) -> MirrorCompression {
    match zstd {
        true => MirrorCompression::Zstd,
        false => MirrorCompression::None,
    }
}

/// How far it is that an end gives what it has.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Gives {
    /// It is the source of what is copied.
    pub(super) is_source: bool,
    /// Why it never will be, if so. Whatever else an answer says may be otherwise later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) never: Option<String>,
}

/// A CRC32C of each piece.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Digests {
    pub(super) digests: Vec<u32>,
}

/// What has come of a change of reservations.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Reserved {
    /// Why nothing has, if so: for the host.
    #[serde(default)]
    pub(super) refused: Option<String>,
}

/// Operations that the source does.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wanted {
    Fracture,
    Split,
    Suspend,
    Resume,
    Resync,
    Reverse,
    ResetToSync,
    ResetToAsync,
    Restore,
}

impl Wanted {
    pub(super) const fn of(operation: Operation) -> Option<Self> {
        Some(match operation {
            Operation::Fracture => Self::Fracture,
            Operation::Split => Self::Split,
            Operation::Suspend => Self::Suspend,
            Operation::Resume => Self::Resume,
            Operation::ResyncReplica => Self::Resync,
            Operation::ReverseRoles => Self::Reverse,
            Operation::ResetToSync => Self::ResetToSync,
            Operation::ResetToAsync => Self::ResetToAsync,
            Operation::RestoreFromReplica => Self::Restore,
            _ => return None,
        })
    }

    const fn operation(self) -> Operation {
        match self {
            Self::Fracture => Operation::Fracture,
            Self::Split => Operation::Split,
            Self::Suspend => Operation::Suspend,
            Self::Resume => Operation::Resume,
            Self::Resync => Operation::ResyncReplica,
            Self::Reverse => Operation::ReverseRoles,
            Self::ResetToSync => Operation::ResetToSync,
            Self::ResetToAsync => Operation::ResetToAsync,
            Self::Restore => Operation::RestoreFromReplica,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    First,
    Second,
}

impl From<MirrorSide> for Side {
    fn from(side: MirrorSide) -> Self {
        match side {
            MirrorSide::First => Self::First,
            MirrorSide::Second => Self::Second,
        }
    }
}

impl From<Side> for MirrorSide {
    fn from(side: Side) -> Self {
        match side {
            Side::First => Self::First,
            Side::Second => Self::Second,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rest {
    Linked,
    Suspended,
    Fractured,
    Split,
    FailedOver,
}

impl From<MirrorRest> for Rest {
    fn from(rest: MirrorRest) -> Self {
        match rest {
            MirrorRest::Linked => Self::Linked,
            MirrorRest::Suspended => Self::Suspended,
            // That the source is restored is asked for by itself.
            MirrorRest::Fractured | MirrorRest::RestoringFractured => Self::Fractured,
            MirrorRest::Split | MirrorRest::RestoringSplit => Self::Split,
            MirrorRest::FailedOver => Self::FailedOver,
        }
    }
}

impl From<Rest> for MirrorRest {
    fn from(rest: Rest) -> Self {
        match rest {
            Rest::Linked => Self::Linked,
            Rest::Suspended => Self::Suspended,
            Rest::Fractured => Self::Fractured,
            Rest::Split => Self::Split,
            Rest::FailedOver => Self::FailedOver,
        }
    }
}

/// The mirrors of a registry, as its peers see them.
#[derive(Debug)]
pub struct MirrorEnds(Weak<Registry>);

impl MirrorEnds {
    /// Those of a registry, for as long as that is there.
    #[must_use]
    pub fn of(registry: &Arc<Registry>) -> Self {
        Self(Arc::downgrade(registry))
    }
}

impl Ends for MirrorEnds {
    fn end(&self, mirror: tidelock_mirror::id::MirrorId) -> Option<Arc<dyn LinkEnd>> {
        let id = MirrorId(Uuid::from_u128(mirror.0));
        self.0.upgrade()?.mirrors.get(id)?.door()
    }

    fn lacks(&self, mirror: tidelock_mirror::id::MirrorId) -> bool {
        let id = MirrorId(Uuid::from_u128(mirror.0));
        let registry = self.0.upgrade();
        registry.is_some_and(|it| it.is_loaded() && it.catalog().mirror(id).is_none())
    }

    fn asked<'a>(&'a self, peer: &'a Peer, request: Value) -> BoxFuture<'a, Result<Value, String>> {
        async move {
            let registry = self.0.upgrade().ok_or("this daemon ends")?;
            let ask = serde_json::from_value(request).map_err(|error| {
                let error: String = error.to_string().chars().take(200).collect();
                format!("what is asked about a mirror isn't understood: {error}")
            })?;
            if !registry.is_loaded() {
                return Err(
                    "this daemon is still opening its volumes: ask again in a moment".into(),
                );
            }
            let answered = match ask {
                Ask::Digest {
                    mirror,
                    offset,
                    length,
                    piece,
                } => {
                    let digests = registry.digest(peer, MirrorId(mirror), offset, length, piece);
                    let digests = digests.await.map_err(|error| error.to_string())?;
                    serde_json::to_value(digests)
                }
                Ask::TurnFailover {
                    mirror,
                    automatic,
                    force,
                } => {
                    let mirror = MirrorId(mirror);
                    let turned = registry.turn_for_peer(peer, mirror, automatic, force);
                    let turned = turned.await.map_err(|error| error.to_string())?;
                    serde_json::to_value(turned)
                }
                Ask::Restore { mirror, split } => {
                    let given = registry.give_to_peer(peer, MirrorId(mirror), split);
                    serde_json::to_value(given.await.map_err(|error| error.to_string())?)
                }
                Ask::Reserve { mirror, change } => {
                    let reserved = registry.reserve_for_peer(peer, MirrorId(mirror), &change);
                    serde_json::to_value(reserved.await.map_err(|error| error.to_string())?)
                }
                other => {
                    let done = registry.do_for_peer(peer, other).await;
                    done.map_err(|error| error.to_string())?;
                    serde_json::to_value(Done {})
                }
            };
            answered.map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn users(&self, peer: &PeerName) -> Vec<String> {
        let Some(registry) = self.0.upgrade() else {
            return Vec::new();
        };
        let catalog = registry.catalog();
        let own = |mirror: &Mirror| {
            let (side, _) = mirror.remote()?;
            Some(format!("mirror {}", mirror.end(side.opposite()).volume))
        };
        catalog.mirrors_with(peer).filter_map(own).collect()
    }
}

impl Registry {
    async fn do_for_peer(self: &Arc<Self>, peer: &Peer, ask: Ask) -> Result<(), ChangeError> {
        match ask {
            Ask::CreateTarget(wanted) => self.create_target(peer, *wanted).await,
            Ask::Detached { mirror } => self.detached_there(peer, MirrorId(mirror)).await,
            Ask::HandOver { mirror } => self.hand_over(peer, MirrorId(mirror)).await,
            Ask::GiveUp { mirror } => self.give_up(peer, MirrorId(mirror)).await,
            Ask::Operate {
                mirror,
                operation,
                force,
            } => {
                let wanted = (operation.operation(), force);
                self.operate_for_peer(peer, MirrorId(mirror), wanted).await
            }
            Ask::MayMake { group, targets } => self.check_rooms(&group, &targets),
            Ask::MakeGroup { group, volumes } => {
                self.make_group_for_peer(peer, &group, &volumes).await
            }
            Ask::OperateTogether { mirrors, operation } => {
                let operation = operation.operation();
                self.operate_together_for_peer(peer, mirrors, operation)
                    .await
            }
            Ask::Words {
                mirror,
                source,
                rest,
                terms,
                rpo_ms,
                copying,
            } => {
                let (words, mode) = ((source.into(), rest.into()), mode_of(rpo_ms)?);
                let so = (terms, mode, copying);
                self.told_words(peer, MirrorId(mirror), words, so).await
            }
            Ask::Mode { mirror, rpo_ms } => {
                let mode = mode_of(rpo_ms)?;
                self.told_mode(peer, MirrorId(mirror), mode).await
            }
            Ask::Rpo { mirror, rpo_ms } => {
                let rpo_ms = check_rpo(rpo_ms)?;
                self.set_rpo_for_peer(peer, MirrorId(mirror), rpo_ms).await
            }
            Ask::ResyncLimit {
                mirror,
                bytes_per_s,
            } => {
                let set = Setting::ResyncLimit(bytes_per_s);
                self.set_for_peer(peer, MirrorId(mirror), set).await
            }
            Ask::Compression { mirror, zstd } => {
                let set = Setting::Compression(compression_of(zstd));
                self.set_for_peer(peer, MirrorId(mirror), set).await
            }
            Ask::Known { mirror } => self.knows(peer, MirrorId(mirror)),
            Ask::FollowFailover { mirror, terms } => {
                self.follow_terms(peer, MirrorId(mirror), terms).await
            }
            Ask::Reservations { mirror, replica } => {
                self.take_reservations(peer, MirrorId(mirror), &replica)
                    .await
            }
            // Answered by themselves.
            Ask::Digest { .. }
            | Ask::TurnFailover { .. }
            | Ask::Reserve { .. }
            | Ask::Restore { .. } => Ok(()),
        }
    }

    /// The mirror that a peer has an end of.
    pub(super) fn mirror_of_peer(
        &self,
        peer: &Peer,
        id: MirrorId,
    ) -> Result<Arc<Running>, ChangeError> {
        let catalog = self.catalog();
        let known = catalog.mirrors_with(&peer.name).any(|it| it.id == id);
        let running = self.mirrors.get(id).filter(|_| known);
        running.ok_or_else(|| refuse(format!("there is no mirror {id} here with that peer")))
    }

    /// The same, if the source is here.
    pub(super) fn source_for_peer(
        &self,
        peer: &Peer,
        id: MirrorId,
    ) -> Result<Arc<Running>, ChangeError> {
        let running = self.mirror_of_peer(peer, id)?;
        match running.look(State::is_source_here) {
            true => Ok(running),
            false => Err(refuse(
                "the end there isn't the source either: try again".into(),
            )),
        }
    }
}
