//! Mirrors whose other end is at a peer, in the catalog and between daemons: made so that the source's daemon knows of a mirror before the target's does,
//! and ended at both if both can be reached. The target's daemon makes the connection, so it hears of a mirror that the
//! other one has forgotten, or never kept.

use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidelock_capabilities::machine::{OperationRefusal, Scope, Transition, transition};
use tidelock_capabilities::values::{Operation, ReplicationType};
use tidelock_capabilities::{BuiltType, TargetSupply};
use tidelock_catalog::{
    BlockSize, Change, Command, Elsewhere, Integrity, Mirror, MirrorEnd, MirrorId, MirrorRest,
    MirrorSide, OnFailure, Peer, PeerName, SpaceLimits, VolumeId, VolumeName,
};
use uuid::Uuid;

use super::beginning::{key, make};
use super::facts::SIDES;
use super::operations::refuse;
use super::{Mirrors, Registry};
use crate::admin_server::{VolumeRequest, VolumeSource};
use crate::mirrors::running::Running;
use crate::mirrors::state::State;
use crate::peers::{AskError, Ends, LinkEnd, Peers};
use crate::registry::Writer;
use crate::registry::changes::{ChangeError, run_blocking};

/// A mirror of a volume here that is to be made at a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMirrorRequest {
    /// The volume whose content counts.
    pub source: VolumeName,
    /// Who gets the copy.
    pub peer: PeerName,
    /// What it is called there: a volume of the same size that is mapped nowhere, or one that is made.
    pub target: VolumeName,
    /// What is done with hosts while the copy is away.
    pub on_failure: OnFailure,
}

/// What daemons ask each other for about mirrors.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    /// Be the target of a mirror. Asked again for one that is there, it is there.
    CreateTarget {
        mirror: Uuid,
        source: EndWords,
        target: EndWords,
        bytes: u64,
        block_bytes: u32,
        halts: bool,
    },
    /// The mirror is no more at the side that asks.
    Detached { mirror: Uuid },
    /// The end there is the source: let the other one be it.
    HandOver { mirror: Uuid },
    /// The end there has changes that are dropped.
    GiveUp { mirror: Uuid },
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct EndWords {
    volume: String,
    node: Uuid,
}

/// That it is done.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Done {}

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

    fn asked<'a>(&'a self, peer: &'a Peer, request: Value) -> BoxFuture<'a, Result<Value, String>> {
        async move {
            let registry = self.0.upgrade().ok_or("this daemon ends")?;
            let ask = serde_json::from_value(request).map_err(|error| {
                let error: String = error.to_string().chars().take(200).collect();
                format!("what is asked about a mirror isn't understood: {error}")
            })?;
            let done = match ask {
                Ask::Detached { mirror } => registry.detached_there(peer, MirrorId(mirror)).await,
                Ask::HandOver { mirror } => registry.hand_over(peer, MirrorId(mirror)).await,
                Ask::GiveUp { mirror } => registry.give_up(peer, MirrorId(mirror)).await,
                create @ Ask::CreateTarget { .. } => registry.create_target(peer, create).await,
            };
            done.map_err(|error| error.to_string())?;
            serde_json::to_value(Done {}).map_err(|error| error.to_string())
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

impl Mirrors {
    /// Connects a mirror with its other end, if that is this daemon's part.
    pub(super) fn dial(&self, running: &Running) {
        let Some(peers) = self.peers.get().and_then(Weak::upgrade) else {
            // All are connected when there are peers.
            return;
        };
        let remote = running.look(|state| {
            let (_, elsewhere) = state.record().remote()?;
            Some(elsewhere.clone())
        });
        if let Some(Elsewhere { peer, dials: true }) = remote {
            peers.dial(&peer, in_the_core(running.id()));
        }
    }

    pub(super) fn hang_up(&self, record: &Mirror) {
        let peers = self.peers.get().and_then(Weak::upgrade);
        if let (Some(peers), Some((_, elsewhere))) = (peers, record.remote()) {
            peers.hang_up(&elsewhere.peer, in_the_core(record.id));
        }
    }

    pub(super) fn peers(&self) -> Result<Arc<Peers>, ChangeError> {
        let peers = self.peers.get().and_then(Weak::upgrade);
        peers.ok_or_else(|| ChangeError::Mirror("this daemon has no peers".into()))
    }
}

impl Registry {
    /// From now on mirrors with peers are connected; only once, after [`Self::load`] or before it.
    pub fn set_peers(self: &Arc<Self>, peers: &Arc<Peers>) {
        peers.set_ends(Arc::new(MirrorEnds::of(self)));
        if self.mirrors.peers.set(Arc::downgrade(peers)).is_err() {
            tracing::error!("the peers of mirrors were set already");
        }
        for running in self.mirrors.all() {
            self.mirrors.dial(&running);
        }
    }

    /// Keeps a volume of a peer equal to one here from now on. The first copy goes on in the background.
    ///
    /// # Errors
    /// A rule, a volume or the peer stands against it; then there is no mirror. If the peer can't be reached, it isn't
    /// known whether it has made its end, and there is a mirror that can be detached.
    pub async fn create_remote_mirror(
        self: &Arc<Self>,
        request: RemoteMirrorRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.create_remote_now(request).await)
            .await
    }

    async fn create_remote_now(
        self: &Arc<Self>,
        request: RemoteMirrorRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        let peers = self.mirrors.peers()?;
        let (volume, ..) = self.ready(&request.source)?;
        let end = |volume: &VolumeName, elsewhere| MirrorEnd {
            volume: volume.clone(),
            node: Uuid::new_v4(),
            elsewhere,
        };
        let peer = request.peer.clone();
        let record = Mirror {
            id: MirrorId(Uuid::new_v4()),
            first: end(&request.source, None),
            second: end(&request.target, Some(Elsewhere { peer, dials: false })),
            source: MirrorSide::First,
            on_failure: request.on_failure,
            rest: MirrorRest::Linked,
        };
        let words = |end: &MirrorEnd| EndWords {
            volume: end.volume.to_string(),
            node: end.node,
        };
        let ask = Ask::CreateTarget {
            mirror: record.id.0,
            source: words(&record.first),
            target: words(&record.second),
            bytes: volume.size_bytes,
            block_bytes: volume.block_size.bytes(),
            halts: request.on_failure == OnFailure::Halt,
        };
        let id = record.id;
        let changes = {
            let writer = self.writer.lock().await;
            self.begin_end(&writer, record).await?
        };
        // Nobody waits for this daemon meanwhile: the other one may be asking it for the same.
        let asked: Result<Done, _> = peers.ask(&request.peer, &ask).await;
        let error = match asked {
            Ok(Done {}) => return Ok(changes),
            Err(error) => error,
        };
        if !matches!(error, AskError::Refused { .. }) {
            let source = &request.source;
            return Err(ChangeError::Mirror(format!(
                "{error}. Whether it has made its end isn't known: `tidelock mirror show {source}` says whether it \
                 is there, `tidelock mirror detach {source} --force` ends the mirror"
            )));
        }
        let writer = self.writer.lock().await;
        let record = self.catalog().mirror(id).cloned();
        if let (Some(record), Some(running)) = (record, self.mirrors.get(id)) {
            self.end_mirror(&writer, &record, running).await?;
        }
        Err(ChangeError::Mirror(error.to_string()))
    }

    /// Makes the end here of a mirror with a peer, durably, and lets it run.
    async fn begin_end(
        self: &Arc<Self>,
        writer: &Writer,
        record: Mirror,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, _)) = record.remote() else {
            return Err(refuse("both ends of the mirror are here".into()));
        };
        let side = remote.opposite();
        let (_, served, store) = self.ready(&record.end(side).volume)?;
        let runtime = self.mirrors.runtime()?;
        let command = Command::CreateMirror(record.clone());
        // The rules first: nothing is made for what can't be.
        (*self.catalog()).clone().apply(command.clone())?;
        let folder = self.mirrors.folder_of(record.id);
        let (of, bytes) = (record.clone(), store.size());
        run_blocking(move || make(&folder, &of, bytes)).await??;
        let (catalog, changes) = self.save(writer, command).await?;
        self.install(catalog, &changes, None);
        let volumes = SIDES.map(|it| (it == side).then(|| Arc::clone(&served)));
        let state = State::new(record.clone(), key(&record, &volumes), mirror_type());
        let running = self.mirrors.begin(state, volumes, &runtime);
        let mirrors = Arc::clone(&self.mirrors);
        run_blocking(move || {
            let attached = mirrors
                .ends()
                .and_then(|ends| running.attach(ends, side, &store));
            if let Err(reason) = attached {
                tracing::error!(mirror = %running.id(), %reason, "a new mirror isn't complete");
            }
        })
        .await?;
        Ok(changes)
    }

    /// A peer wants a volume here to be the target of a mirror.
    async fn create_target(self: &Arc<Self>, peer: &Peer, ask: Ask) -> Result<(), ChangeError> {
        let Ask::CreateTarget {
            mirror,
            source,
            target,
            bytes,
            block_bytes,
            halts,
        } = ask
        else {
            return Ok(());
        };
        let elsewhere = Elsewhere {
            peer: peer.name.clone(),
            dials: true,
        };
        let record = Mirror {
            id: MirrorId(mirror),
            first: MirrorEnd {
                elsewhere: Some(elsewhere),
                ..end_of(source)?
            },
            second: end_of(target)?,
            source: MirrorSide::First,
            on_failure: match halts {
                true => OnFailure::Halt,
                false => OnFailure::Continue,
            },
            rest: MirrorRest::Linked,
        };
        let block_size = BlockSize::from_bytes(block_bytes);
        let block_size = block_size.ok_or_else(|| {
            refuse(format!(
                "no volume here can have blocks of {block_bytes} bytes"
            ))
        })?;
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let known = this.catalog().mirror(record.id).cloned();
            if known.is_some_and(|known| known == record) {
                return Ok(Vec::new());
            }
            let volume = &record.second.volume;
            let existing = this.catalog().volume(volume).ok().cloned();
            match existing {
                None => this.make_target(&writer, volume, bytes, block_size).await?,
                Some(_) if this.catalog().mappings(volume).next().is_some() => {
                    return Err(refuse(format!(
                        "volume {volume} is mapped: unmap it first, as its content is replaced"
                    )));
                }
                Some(it) if (it.size_bytes, it.block_size) != (bytes, block_size) => {
                    return Err(refuse(format!(
                        "volume {volume} has {} bytes in blocks of {}, and volume {} at {} has {bytes} in blocks of \
                         {block_bytes}: the ends of a mirror are alike",
                        it.size_bytes,
                        it.block_size.bytes(),
                        record.first.volume,
                        this.said_of(&record.first),
                    )));
                }
                Some(_) => {}
            }
            this.begin_end(&writer, record).await
        })
        .await
        .map(drop)
    }

    /// What a peer that has an end is called.
    fn said_of(&self, end: &MirrorEnd) -> String {
        let elsewhere = end.elsewhere.as_ref();
        elsewhere.map_or_else(String::new, |it| it.peer.to_string())
    }

    /// A new volume that can become a copy. If nothing comes of the mirror it stays, as an empty volume.
    async fn make_target(
        &self,
        writer: &Writer,
        name: &VolumeName,
        size_bytes: u64,
        block_size: BlockSize,
    ) -> Result<(), ChangeError> {
        let request = VolumeRequest {
            name: name.clone(),
            source: VolumeSource::New { size_bytes },
            block_size,
            preallocate: false,
            direct: false,
            write_cache: true,
            integrity: Integrity::Usual,
            limits: SpaceLimits::default(),
        };
        let id = VolumeId(Uuid::new_v4());
        self.create_volume_as(writer, request, id).await.map(drop)
    }

    /// A peer has detached a mirror: it is none here either.
    async fn detached_there(
        self: &Arc<Self>,
        peer: &Peer,
        mirror: MirrorId,
    ) -> Result<(), ChangeError> {
        let peer = peer.name.clone();
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let record = this
                .catalog()
                .mirrors_with(&peer)
                .find(|it| it.id == mirror)
                .cloned();
            let Some(record) = record else {
                return Ok(Vec::new());
            };
            let running = this.mirrors.get(mirror).ok_or(ChangeError::Loading)?;
            this.end_mirror(&writer, &record, running).await
        })
        .await
        .map(drop)
    }

    /// Lets the other end know that the mirror is no more. If it doesn't hear of it, it shows that, and can be
    /// detached there.
    pub(super) async fn tell_detached(&self, record: &Mirror) {
        let Some((_, elsewhere)) = record.remote() else {
            return;
        };
        let Ok(peers) = self.mirrors.peers() else {
            return;
        };
        let detached = Ask::Detached {
            mirror: record.id.0,
        };
        let told: Result<Done, _> = peers.ask(&elsewhere.peer, &detached).await;
        if let Err(error) = told {
            tracing::warn!(mirror = %record.id, %error, "the other end doesn't know that the mirror is detached");
        }
    }
}

fn end_of(words: EndWords) -> Result<MirrorEnd, ChangeError> {
    let volume = VolumeName::new(&words.volume);
    Ok(MirrorEnd {
        volume: volume.map_err(|error| refuse(error.to_string()))?,
        node: words.node,
        elsewhere: None,
    })
}

fn in_the_core(id: MirrorId) -> tidelock_mirror::id::MirrorId {
    tidelock_mirror::id::MirrorId(id.0.as_u128())
}

/// How mirrors with peers are built.
pub(super) fn mirror_type() -> BuiltType {
    let built = super::beginning::mirror_type();
    BuiltType {
        replication_type: ReplicationType::SynchronousMirrorRemote,
        target_supply: TargetSupply::Supplied,
        operations: Operation::set(&[Operation::Detach, Operation::Failover, Operation::Failback]),
        ..built
    }
}

/// Refuses what reads both volumes.
pub(super) fn check_both_here(record: &Mirror) -> Result<(), ChangeError> {
    match record.remote() {
        None => Ok(()),
        Some((side, _)) => Err(refuse(format!(
            "one end of the mirror is at a peer ({}): this needs both here",
            record.end(side)
        ))),
    }
}

/// Whether a mirror with a peer may be ended now.
pub(super) fn admit_detach(running: &Running, force: bool) -> Result<(), ChangeError> {
    admit(running, Operation::Detach, force).map(drop)
}

/// Whether the state that is shown here allows an operation, and what it does.
pub(super) fn admit(
    running: &Running,
    operation: Operation,
    force: bool,
) -> Result<Transition, ChangeError> {
    let association = running.look(|state| *state.association());
    let admitted = transition(
        operation,
        &association,
        Scope::Element,
        &mirror_type(),
        force,
    );
    admitted.map_err(|refusal| match &refusal {
        OperationRefusal::NeedsForce { .. } => {
            refuse(format!("{refusal}, with --force (force=true)"))
        }
        other => refuse(other.to_string()),
    })
}
