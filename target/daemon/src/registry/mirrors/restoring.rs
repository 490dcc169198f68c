//! Restore from Replica: the source gets what the target has, and what it had is kept as a snapshot. The daemon of the source sees to it
//! that one step follows the other, also after a restart; that of the target is asked to give. What is wanted is durable at
//! both before anything is changed, and hosts come back when it is durable that it is over.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::values::{Operation, ReturnCode};
use tidelock_catalog::{DatasetId, Mirror, MirrorId, MirrorRest, MirrorSide, Peer, VolumeName};
use tidelock_mirror::generation::Role;
use tidelock_scsi::UnitAttention;
use tokio::sync::watch;

use super::asking::{Ask, Gives};
use super::facts::SIDES;
use super::operations::{PATIENCE, refuse};
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::{State, Step};
use crate::registry::asymmetric_access::group_accesses;
use crate::registry::capabilities::Refused;
use crate::registry::changes::run_blocking;

/// What couldn't be done is tried again after so long.
const AGAIN: Duration = Duration::from_millis(200);
/// An end that isn't there for so long is said to be away.
const AWAY: Duration = Duration::from_secs(2);

impl Registry {
    /// Takes one step after the other, until the source of a mirror is restored.
    pub(super) fn go_on_restoring(self: &Arc<Self>, running: &Arc<Running>) {
        let is_here = running.look(|state| state.record().system().is_here());
        if is_here {
            tokio::spawn(go_on(Arc::downgrade(self), Arc::downgrade(running)));
        }
    }

    /// Waits until a restore that has begun is known to be possible.
    pub(super) async fn begins_to_restore(
        self: &Arc<Self>,
        running: &Arc<Running>,
    ) -> Result<(), ChangeError> {
        self.go_on_restoring(running);
        running.until(PATIENCE, State::has_begun_to_restore).await;
        match running.look(|state| state.failure().map(str::to_owned)) {
            Some(reason) => Err(refuse(reason)),
            None => Ok(()),
        }
    }

    /// The source has what the target had: that is over, durably, and hosts may use it.
    async fn keep_restored(self: &Arc<Self>, running: &Arc<Running>) -> Result<(), ChangeError> {
        let id = running.id();
        let running = Arc::clone(running);
        let kept = self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let record = running.look(|state| state.is_restoring().then(|| state.record().clone()));
            let (Some(record), Some(_)) = (record, this.catalog().mirror(id)) else {
                return Ok(Vec::new());
            };
            // By its name people find what they had.
            let (registry, ending) = (Arc::clone(&this), Arc::clone(&running));
            run_blocking(move || ending.keep_dropped(|volume, id| registry.keep_dropped(volume, id)))
                .await?
                .map_err(ChangeError::Mirror)?;
            let words = (record.source, record.rest.restored());
            let changes = this.keep_words(&writer, id, words).await?;
            if let Some(served) = this.volume(&record.system().volume) {
                served.unit().raise(UnitAttention::MediumMayHaveChanged, None);
            }
            tracing::info!(mirror = %id, volume = %record.system().volume, "a volume is restored from its mirror");
            running.change(State::restored);
            Ok(changes)
        });
        kept.await?;
        self.tell_words_soon(id).await;
        Ok(())
    }

    /// Asks the peer to give what its end has; false if that isn't known to be so.
    async fn ask_to_give(&self, running: &Running) -> bool {
        // What was wanted before has been told, or is given up.
        let _turn = running.telling().lock().await;
        let record = running.look(|state| state.record().clone());
        let (Some((_, elsewhere)), Ok(peers)) = (record.remote(), self.mirrors.peers()) else {
            return false;
        };
        let ask = Ask::Restore {
            mirror: record.id.0,
            split: record.rest == MirrorRest::RestoringSplit,
        };
        let asked: Result<Gives, _> = peers.ask(&elsewhere.peer, &ask).await;
        match asked {
            Ok(Gives {
                never: Some(reason),
                ..
            }) => {
                let error = format!("peer {} refuses: {reason}", elsewhere.peer);
                tracing::warn!(mirror = %record.id, %error, "the source isn't restored");
                running.change(|state| state.peer_never_gives(error));
                false
            }
            Ok(Gives {
                is_source: true, ..
            }) => {
                running.change(|state| {
                    state.peer_gives();
                    Vec::new()
                });
                true
            }
            Ok(Gives { .. }) => false,
            // Also a refusal: that peer may be starting.
            Err(error) => {
                tracing::warn!(mirror = %record.id, %error, "the source isn't restored yet");
                false
            }
        }
    }

    /// A peer restores its end, the source, from the one here.
    pub(super) async fn give_to_peer(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        split: bool,
    ) -> Result<Gives, ChangeError> {
        let running = self.mirror_of_peer(peer, id)?;
        let rest = match split {
            true => MirrorRest::RestoringSplit,
            false => MirrorRest::RestoringFractured,
        };
        let giving = Arc::clone(&running);
        let never = Arc::new(OnceLock::new());
        let refused = Arc::clone(&never);
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let side = match check_gives(&giving, rest) {
                Ok(side) => side,
                Err(error) => {
                    let _ = refused.set(error.to_string());
                    return Ok(Vec::new());
                }
            };
            let source = side.opposite();
            let changes = this.keep_words(&writer, id, (source, rest)).await?;
            giving.change(|state| state.give(rest));
            Ok(changes)
        })
        .await?;
        if let Some(reason) = never.get() {
            return Ok(Gives {
                is_source: false,
                never: Some(reason.clone()),
            });
        }
        let own = |state: &State| {
            let side = state.record().source.opposite();
            state.role(side) == Some(Role::Source)
        };
        running.until(AWAY, own).await;
        Ok(Gives {
            is_source: running.look(own),
            never: None,
        })
    }

    /// Whether hosts use a volume that is about to be another one.
    pub(super) fn check_unused(&self, volume: &VolumeName) -> Result<(), ChangeError> {
        let catalog = self.catalog();
        let shown = catalog.mappings(volume).filter_map(|(target, _)| {
            let count = self.directory.sessions_of(target.name.as_str());
            (count > 0).then(|| format!("{} has {count} session(s)", target.name))
        });
        let at: Vec<_> = shown.collect();
        match at.is_empty() {
            true => Ok(()),
            false => Err(refuse(format!(
                "hosts may use volume {volume}, whose content is replaced: {}. Log them out first, or use --force \
                 (force=true)",
                at.join(", ")
            ))),
        }
    }

    /// What stands against an operation on a mirror whose ends are here beside the rules, as far as its source gets what the
    /// target has.
    pub(in crate::registry) fn admit_of_mirror(
        &self,
        association: AssociationKey,
        operation: Operation,
        force: bool,
    ) -> Result<(), ChangeError> {
        let Some(running) = self.mirror_between(association) else {
            return Ok(());
        };
        check_restoring(&running, operation, force)?;
        match operation {
            Operation::RestoreFromReplica => running.look(check_can_give),
            _ => Ok(()),
        }
    }

    /// Shows hosts a volume as it was before they were kept away from it.
    pub(super) fn show_again(&self, volume: &VolumeName) {
        let catalog = self.catalog();
        if let (Ok(record), Some(served)) = (catalog.volume(volume), self.volume(volume)) {
            let accesses = group_accesses(&record.access);
            served.unit().complete_transition(accesses, None);
        }
    }

    /// What a source had before it was restored is called so, if it is that.
    pub(super) fn restored_from(&self, volume: &VolumeName) -> Option<DatasetId> {
        let catalog = self.catalog();
        let mirror = catalog.mirror_of(volume)?;
        let is_it = mirror.rest.is_restoring() && mirror.system().is_here();
        (is_it && mirror.system().volume == *volume).then(|| DatasetId(target_id(&catalog, mirror)))
    }
}

/// The volume that a source is restored from; of a peer's, its end.
fn target_id(catalog: &tidelock_catalog::Catalog, mirror: &Mirror) -> uuid::Uuid {
    let target = mirror.synced();
    match (target.is_here(), catalog.volume(&target.volume)) {
        (true, Ok(record)) => record.id.0,
        _ => target.node,
    }
}

/// Which end is here, if it is the target, and can give what it has.
fn check_gives(running: &Running, rest: MirrorRest) -> Result<MirrorSide, ChangeError> {
    let record = running.look(|state| state.record().clone());
    let own = record.remote().map(|(remote, _)| remote.opposite());
    let Some(side) = own.filter(|side| *side == record.source.opposite()) else {
        return Err(refuse(
            "the end here isn't the target, or both are here".into(),
        ));
    };
    if record.rest.restoring() != Some(rest) {
        return Err(refuse(
            "the mirror isn't known here to be fractured or split: try again".into(),
        ));
    }
    let volume = &record.end(side).volume;
    let facts = running.end(side).map(|end| end.facts());
    let role = running.look(|state| state.role(side));
    match facts {
        Some(_) if role == Some(Role::Source) && record.rest != rest => Err(refuse(format!(
            "volume {volume} was made the source meanwhile"
        ))),
        Some(facts) if facts.has_image || facts.goes_back => Ok(side),
        Some(_) => Err(refuse(format!(
            "volume {volume} has no consistent content: its first copy isn't complete"
        ))),
        None => Err(refuse(format!("volume {volume} can't be used now"))),
    }
}

/// What may be done with a mirror whose source is restored, when that can't go on: it is detached. By force alone, if the source would
/// be left with a half of each.
pub(super) fn check_restoring(
    running: &Running,
    operation: Operation,
    force: bool,
) -> Result<(), ChangeError> {
    let Some(record) = running.look(|state| state.is_restoring().then(|| state.record().clone()))
    else {
        return Ok(());
    };
    let (source, target) = (record.system(), record.synced());
    if operation != Operation::Detach {
        return Err(ChangeError::Refused(Refused {
            return_code: ReturnCode::InUse,
            reason: format!(
                "{source} is being restored from {target}, which goes on by itself when both can be used; if they never \
                 will be, the mirror can be detached"
            ),
        }));
    }
    check_can_go_back(running)?;
    let facts = running.end(record.source).map(|end| end.facts());
    let is_half = facts.is_some_and(|it| !it.has_image && !it.goes_back);
    if is_half && !force {
        return Err(refuse(format!(
            "{source} has a part of what {target} has, and can't go back to what it was: with --force (force=true) it stays \
             like that"
        )));
    }
    Ok(())
}

/// Whether a source that is here and isn't restored completely can be what it was: what says how is read by its end.
pub(super) fn check_can_go_back(running: &Running) -> Result<(), ChangeError> {
    let source = running.look(|state| {
        let record = state.record();
        let is_it = state.is_restoring() && record.system().is_here();
        is_it.then(|| (record.source, record.system().volume.clone()))
    });
    match source {
        Some((side, volume)) if running.end(side).is_none() => Err(refuse(format!(
            "volume {volume} may have a part of what it is restored from, and can't go back to what it was as it can't be \
             used now: put the volume right first, and unfence it if it is fenced"
        ))),
        _ => Ok(()),
    }
}

/// Whether both ends, which are here, can be used for a restore.
pub(super) fn check_can_give(state: &State) -> Result<(), ChangeError> {
    for side in SIDES {
        if let Some(problem) = state.problem(side) {
            let volume = &state.record().end(side).volume;
            return Err(refuse(format!("volume {volume} can't be used: {problem}")));
        }
    }
    Ok(())
}

/// See [`Registry::go_on_restoring`].
async fn go_on(registry: Weak<Registry>, mirror: Weak<Running>) {
    let Some(mut changes) = mirror.upgrade().map(|it| it.changes()) else {
        return;
    };
    loop {
        changes.borrow_and_update();
        let Some(running) = mirror.upgrade() else {
            return;
        };
        let step = running.restore_step();
        if step == Step::Over {
            return;
        }
        if step == Step::Wait {
            drop(running);
            match something_happens(&mut changes).await {
                Happened::Something => {}
                Happened::Nothing => {
                    if let Some(running) = mirror.upgrade() {
                        running.is_restoring_still();
                    }
                }
                Happened::Ended => return,
            }
            continue;
        }
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let is_done = match step {
            Step::AskPeer => registry.ask_to_give(&running).await,
            _ => {
                let kept = registry.keep_restored(&running).await;
                if let Err(error) = &kept {
                    tracing::error!(mirror = %running.id(), %error, "that a volume is restored can't be kept, so hosts wait");
                }
                kept.is_ok()
            }
        };
        drop((registry, running));
        if !is_done {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

enum Happened {
    Something,
    Nothing,
    Ended,
}

async fn something_happens(changes: &mut watch::Receiver<u64>) -> Happened {
    match tokio::time::timeout(AWAY, changes.changed()).await {
        Ok(Ok(())) => Happened::Something,
        Ok(Err(_)) => Happened::Ended,
        Err(_) => Happened::Nothing,
    }
}
