//! Mirrors whose other end is at a peer, in the catalog and between daemons: made so that the source's daemon knows of a mirror before the target's does,
//! and ended at both if both can be reached. The target's daemon makes the connection, so it hears of a mirror that the
//! other one has forgotten, or never kept.
//!
//! To hosts the two volumes are one disk, so a target is made for its mirror: what a volume has is never replaced by who
//! doesn't own it, and no host knows it as something else.

use std::sync::{Arc, Weak};

use tidelock_capabilities::machine::{Scope, Transition, transition};
use tidelock_capabilities::values::{Operation, ReturnCode};
use tidelock_catalog::{
    BlockSize, CatalogError, Change, Command, Elsewhere, Integrity, Mirror, MirrorCompression,
    MirrorEnd, MirrorFailover, MirrorId, MirrorMode, MirrorRest, MirrorSide, OnFailure, Peer,
    PeerName, SharedIdentity, SpaceLimits, VolumeId, VolumeName,
};
use uuid::Uuid;

use super::asking::{Ask, CreateTarget, Done, EndWords, compression_of};
use super::automatic::Terms;
use super::beginning::{key, make, mirror_type, mode_of};
use super::facts::SIDES;
use super::operations::{not_admitted, refuse};
use super::{EndName, Mirrors, Registry};
use crate::admin_server::{VolumeRequest, VolumeSource};
use crate::mirrors::running::Running;
use crate::mirrors::state::State;
use crate::peers::{AskError, Peers};
use crate::registry::Writer;
use crate::registry::capabilities::Refused;
use crate::registry::changes::{ChangeError, run_blocking};
use crate::registry::shared_units::{SharedRole, states};

/// A mirror of a volume here that is to be made at a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMirrorRequest {
    /// The volume whose content counts.
    pub source: VolumeName,
    /// Who gets the copy.
    pub peer: PeerName,
    /// What it is called there; it is made.
    pub target: VolumeName,
    /// What is done with hosts while the copy is away.
    pub on_failure: OnFailure,
    /// Who lets hosts use the copy when the source is gone.
    pub failover: MirrorFailover,
    /// When writes of hosts are answered.
    pub mode: MirrorMode,
    /// How many bytes a second are copied at most.
    pub resync_limit: Option<u64>,
    /// What becomes of the content on the link.
    pub compression: MirrorCompression,
}

impl Mirrors {
    /// Connects a mirror with its other end, if that is this daemon's part.
    pub(super) fn dial(&self, running: &Running) {
        self.with_dialled(running, Peers::dial);
    }

    /// Its end here is open, which it has to be before there can be a connection.
    pub(super) fn dial_again(&self, running: &Running) {
        self.with_dialled(running, Peers::nudge_link);
    }

    fn with_dialled(
        &self,
        running: &Running,
        call: impl FnOnce(&Peers, &PeerName, tidelock_mirror::id::MirrorId),
    ) {
        let Some(peers) = self.peers.get().and_then(Weak::upgrade) else {
            // All are connected when there are peers.
            return;
        };
        let remote = running.look(|state| {
            let (_, elsewhere) = state.record().remote()?;
            Some(elsewhere.clone())
        });
        if let Some(Elsewhere { peer, dials: true }) = remote {
            call(&peers, &peer, in_the_core(running.id()));
        }
    }

    pub(super) fn hang_up(&self, record: &Mirror) {
        let peers = self.peers.get().and_then(Weak::upgrade);
        if let (Some(peers), Some((_, elsewhere))) = (peers, record.remote()) {
            peers.hang_up(&elsewhere.peer, in_the_core(record.id));
        }
    }

    pub(in crate::registry) fn peers(&self) -> Result<Arc<Peers>, ChangeError> {
        let peers = self.peers.get().and_then(Weak::upgrade);
        peers.ok_or_else(|| ChangeError::Mirror("this daemon has no peers".into()))
    }
}

impl Registry {
    /// From now on mirrors with peers are connected; only once, after [`Self::load`] or before it.
    pub fn set_peers(self: &Arc<Self>, peers: &Arc<Peers>) {
        peers.set_ends(Arc::new(super::MirrorEnds::of(self)));
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
        self.detached(async move |this| {
            let (id, node) = (MirrorId(Uuid::new_v4()), Uuid::new_v4());
            if request.failover == MirrorFailover::Manual {
                return this.create_remote_now(request, id, node).await;
            }
            this.claim(id, (node, request.source.as_str())).await?;
            let created = this.create_remote_now(request, id, node).await;
            if created.is_err()
                && this.catalog().mirror(id).is_none()
                && let Err(error) = this.forget_mirror(id).await
            {
                tracing::warn!(mirror = %id, %error, "keys in etcd of a mirror that wasn't made are left");
            }
            created
        })
        .await
    }

    pub(super) async fn create_remote_now(
        self: &Arc<Self>,
        request: RemoteMirrorRequest,
        id: MirrorId,
        node: Uuid,
    ) -> Result<Vec<Change>, ChangeError> {
        let target = EndName {
            peer: Some(request.peer.clone()),
            volume: request.target.clone(),
        };
        let (changes, ask) = {
            let writer = self.writer.lock().await;
            self.admit_mirror(&request.source, &target, mode_of(request.mode))?;
            let how = (request.mode, request.on_failure);
            let joined = self.prepare_for(&writer, &request.source, how).await?;
            let (volume, ..) = self.ready(&request.source)?;
            let record = record_of(&request, id, node);
            let words = |end: &MirrorEnd| EndWords {
                volume: end.volume.to_string(),
                node: end.node,
            };
            let identity = self.shown_identity(&request.source)?;
            let ask = CreateTarget {
                mirror: id.0,
                source: words(&record.first),
                target: words(&record.second),
                bytes: volume.size_bytes,
                block_bytes: volume.block_size.bytes(),
                halts: request.on_failure == OnFailure::Halt,
                lease_ms: self.mirrors.terms(&record).lease_ms,
                rpo_ms: request.mode.rpo_ms(),
                resync_limit: request.resync_limit,
                zstd: request.compression == MirrorCompression::Zstd,
                naa: identity.naa_text(),
                serial: identity.serial.clone(),
            };
            let mut changes = self.begin_end(&writer, record, identity).await?;
            changes.extend(joined);
            (changes, Ask::CreateTarget(Box::new(ask)))
        };
        // Nobody waits for this daemon meanwhile: the other one may be asking it for the same.
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&request.peer, &ask).await;
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
        identity: SharedIdentity,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, _)) = record.remote() else {
            return Err(refuse("both ends of the mirror are here".into()));
        };
        let side = remote.opposite();
        let volume = &record.end(side).volume;
        let role = match side == record.source {
            true => SharedRole::Source,
            false => SharedRole::Target,
        };
        let (_, served, store) = self.ready(volume)?;
        let runtime = self.mirrors.runtime()?;
        let commands = [
            Command::ShareIdentity {
                volume: volume.clone(),
                identity,
            },
            states(volume, role),
            Command::CreateMirror(record.clone()),
        ];
        // The rules first: nothing is made for what can't be.
        let mut catalog = (*self.catalog()).clone();
        for command in &commands {
            catalog.apply(command.clone())?;
        }
        let folder = self.mirrors.folder_of(record.id);
        let (of, bytes) = (record.clone(), store.size());
        run_blocking(move || make(&folder, &of, bytes)).await??;
        let (catalog, changes) = self.save_all(writer, commands).await?;
        self.install(catalog, &changes, None);
        let volumes = SIDES.map(|it| (it == side).then(|| Arc::clone(&served)));
        let state = State::new(record.clone(), key(&record, &volumes), mirror_type(&record));
        let running = self.mirrors.begin(state, volumes, &runtime);
        self.look_for(&running, &runtime);
        let mirrors = Arc::clone(&self.mirrors);
        run_blocking(move || {
            let attached = mirrors
                .ends()
                .and_then(|ends| running.attach(ends, side, &store));
            match attached {
                Ok(()) => mirrors.dial_again(&running),
                Err(reason) => {
                    tracing::error!(mirror = %running.id(), %reason, "a new mirror isn't complete");
                }
            }
        })
        .await?;
        Ok(changes)
    }

    /// A peer wants a volume here to be the target of a mirror.
    pub(super) async fn create_target(
        self: &Arc<Self>,
        peer: &Peer,
        wanted: CreateTarget,
    ) -> Result<(), ChangeError> {
        let record = record_wanted(peer, &wanted)?;
        let terms = Terms {
            lease_ms: wanted.lease_ms,
        };
        if record.is_automatic() {
            self.check_terms(record.id, terms, record.first.node)
                .await?;
        }
        let (bytes, block_bytes) = (wanted.bytes, wanted.block_bytes);
        let block_size = BlockSize::from_bytes(block_bytes);
        let block_size = block_size.ok_or_else(|| {
            refuse(format!(
                "no volume here can have blocks of {block_bytes} bytes"
            ))
        })?;
        let identity = SharedIdentity::parse(&wanted.naa, &wanted.serial);
        let identity = identity
            .ok_or_else(|| refuse("no volume can be shown to hosts by that identity".into()))?;
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let known = this.catalog().mirror(record.id).cloned();
            if let Some(known) = known {
                return match known == record {
                    true => Ok(Vec::new()),
                    false => Err(CatalogError::MirrorIdentityInUse { mirror: record.id }.into()),
                };
            }
            let volume = record.second.volume.clone();
            if this.catalog().volume(&volume).is_ok() {
                return Err(refuse(format!(
                    "there is a volume {volume} already, and what it has isn't replaced by a peer: choose another name, or \
                     delete it there first"
                )));
            }
            this.make_target(&writer, &volume, bytes, block_size).await?;
            let how = (record.mode, record.on_failure);
            let joined = this.prepare_for(&writer, &volume, how).await;
            let begun = match joined {
                Ok(_) => this.begin_end(&writer, record.clone(), identity).await,
                Err(error) => Err(error),
            };
            // Of a mirror that the catalog may have after all the next start knows more.
            if begun.is_err() && this.catalog().mirror(record.id).is_none() {
                let removed = this.delete_volume_now(&writer, volume, false).await;
                if let Err(error) = removed {
                    tracing::warn!(%error, "the volume of a mirror that wasn't made stays behind");
                }
            }
            begun
        })
        .await
        .map(drop)
    }

    /// A new volume that can become a copy.
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

    /// A peer detaches a mirror: it is none here either.
    pub(super) async fn detached_there(
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
            this.take_restored_back(&running).await?;
            this.end_mirror(&writer, &record, running).await
        })
        .await
        .map(drop)
    }

    /// Ends the other end first, so that nobody has half a mirror who wasn't told so. By force it doesn't matter what comes
    /// of that: the other end shows then that the mirror is none here, and can be detached there.
    pub(super) async fn detach_there(
        &self,
        record: &Mirror,
        force: bool,
    ) -> Result<(), ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(());
        };
        let detached = Ask::Detached {
            mirror: record.id.0,
        };
        let told: Result<Done, _> = match self.mirrors.peers() {
            Ok(peers) => peers.ask(&elsewhere.peer, &detached).await,
            Err(_) if force => return Ok(()),
            Err(error) => return Err(error),
        };
        match told {
            Ok(Done {}) => Ok(()),
            Err(error) if force => {
                tracing::warn!(mirror = %record.id, %error, "the other end doesn't know that the mirror is detached");
                Ok(())
            }
            Err(error) => Err(not_done(&error, |error| {
                format!(
                    "{} can't be detached there: {error}. With --force (force=true) the mirror is ended here alone, and has \
                     to be detached there as well",
                    record.end(remote)
                )
            })),
        }
    }

    /// What becomes of the disk that hosts see, when the volume here isn't one with the other one any more. The one that
    /// they use stays what it is; the other one is another disk from then on.
    pub(super) fn commands_of_parting(&self, record: &Mirror, running: &Running) -> Vec<Command> {
        let Some((remote, _)) = record.remote() else {
            return Vec::new();
        };
        let catalog = self.catalog();
        let volume = record.end(remote.opposite()).volume.clone();
        let (Ok(kept), Some(shared)) = (catalog.volume(&volume), catalog.shared_identity(&volume))
        else {
            return Vec::new();
        };
        let is_own = SharedIdentity::of(kept) == *shared;
        let is_mapped = catalog.mappings(&volume).next().is_some();
        match (running.serves_hosts(), is_own) {
            (true, false) if is_mapped => vec![states(&volume, SharedRole::Source)],
            // The other one may still be seen as what this one was.
            (false, true) => {
                let id = VolumeId(Uuid::new_v4());
                let identity = SharedIdentity {
                    naa: id.to_naa(),
                    serial: id.to_serial(),
                };
                let other = Command::ShareIdentity {
                    volume: volume.clone(),
                    identity,
                };
                vec![other, states(&volume, SharedRole::Source)]
            }
            _ => vec![Command::UnshareIdentity { volume }],
        }
    }
}

/// A mirror that is to be made here, with a peer that doesn't know of it yet.
fn record_of(request: &RemoteMirrorRequest, id: MirrorId, node: Uuid) -> Mirror {
    let end = |volume: &VolumeName, node, elsewhere| MirrorEnd {
        volume: volume.clone(),
        node,
        elsewhere,
    };
    let elsewhere = Elsewhere {
        peer: request.peer.clone(),
        dials: false,
    };
    Mirror {
        id,
        first: end(&request.source, node, None),
        second: end(&request.target, Uuid::new_v4(), Some(elsewhere)),
        source: MirrorSide::First,
        on_failure: request.on_failure,
        mode: request.mode,
        rest: MirrorRest::Linked,
        failover: request.failover,
        resync_limit: request.resync_limit,
        compression: request.compression,
    }
}

/// The same mirror, as its peer knows it.
fn record_wanted(peer: &Peer, wanted: &CreateTarget) -> Result<Mirror, ChangeError> {
    let elsewhere = Elsewhere {
        peer: peer.name.clone(),
        dials: true,
    };
    Ok(Mirror {
        id: MirrorId(wanted.mirror),
        first: MirrorEnd {
            elsewhere: Some(elsewhere),
            ..end_of(&wanted.source)?
        },
        second: end_of(&wanted.target)?,
        source: MirrorSide::First,
        on_failure: match wanted.halts {
            true => OnFailure::Halt,
            false => OnFailure::Continue,
        },
        mode: super::asynchronous::mode_of(wanted.rpo_ms)?,
        rest: MirrorRest::Linked,
        failover: match wanted.lease_ms {
            None => MirrorFailover::Manual,
            Some(_) => MirrorFailover::Automatic,
        },
        resync_limit: wanted.resync_limit,
        compression: compression_of(wanted.zstd),
    })
}

fn end_of(words: &EndWords) -> Result<MirrorEnd, ChangeError> {
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

/// Why a peer hasn't done what it was asked for.
pub(super) fn not_done(error: &AskError, reason: impl FnOnce(&AskError) -> String) -> ChangeError {
    ChangeError::Refused(Refused {
        return_code: match error {
            AskError::Refused { .. } => ReturnCode::InUse,
            _ => ReturnCode::Timeout,
        },
        reason: reason(error),
    })
}

/// Whether a mirror with a peer may be ended now.
pub(super) fn admit_detach(running: &Running, force: bool) -> Result<(), ChangeError> {
    match admit(running, Operation::Detach, force) {
        // What waits for an end that nobody reaches may do so for ever.
        Err(_) if force && !running.is_connected() => Ok(()),
        admitted => admitted.map(drop),
    }
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
        &running.look(|state| mirror_type(state.record())),
        force,
    );
    admitted.map_err(|refusal| not_admitted(&refusal, None))
}
