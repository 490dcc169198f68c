//! What is done with mirrors that are there: every operation is admitted by the table of DMTF's states, and by what
//! the two ends say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidelock_capabilities::Reason;
use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::machine::{Modification, OperationRefusal, Transition, modify};
use tidelock_capabilities::values::{Operation, ReturnCode};
use tidelock_catalog::{
    CatalogError, Change, Command, DatasetRef, Mirror, MirrorId, MirrorMode, MirrorRest, MirrorSide,
};

use super::facts::SIDES;
use super::restoring::{check_can_give, check_can_go_back, check_restoring};
use super::{EndName, Registry};
use crate::mirrors::running::Running;
use crate::mirrors::state::State;
use crate::registry::Writer;
use crate::registry::capabilities::{ElementName, Refused, built};
use crate::registry::changes::{ChangeError, run_blocking};
use crate::registry::shared_units::SharedRole;

/// How long a change of roles is waited for. It goes on if that isn't enough.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// After Reset To Async the target is to be so far behind at most, in milliseconds.
pub(super) const RPO_MS: u64 = 5_000;

/// What is to be done with a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorChange {
    /// The name of a volume in it, or its id.
    pub mirror: String,
    /// What.
    pub operation: Operation,
    /// Though data may be lost.
    pub force: bool,
    /// The volume whose changes are dropped, after both were changed.
    pub discard: Option<EndName>,
}

impl Registry {
    /// Does an operation on a mirror. What takes long has begun when it returns.
    ///
    /// # Errors
    /// The state, a volume or the disk stands against it; then nothing has changed.
    pub async fn modify_mirror(
        self: &Arc<Self>,
        change: MirrorChange,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.modify_now(change).await)
            .await
    }

    pub(super) async fn modify_now(
        self: &Arc<Self>,
        change: MirrorChange,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.mirror_named(&change.mirror)?;
        let running = self.mirrors.get(record.id).ok_or(ChangeError::Loading)?;
        if record.remote().is_some() {
            drop(writer);
            // What the ends have agreed on may be on its way to the catalog.
            let record = running.look(|state| state.record().clone());
            return self.modify_remote(&record, &running, &change).await;
        }
        if let Some(dropped) = &change.discard {
            return self.discard(&writer, &record, &running, dropped).await;
        }
        let transition = self.admit_change(&record, &running, &change)?;
        if matches!(
            change.operation,
            Operation::Resume | Operation::ResyncReplica | Operation::Failback
        ) {
            let (mirrors, running) = (Arc::clone(&self.mirrors), Arc::clone(&running));
            run_blocking(move || mirrors.ends().and_then(|ends| running.reattach(ends)))
                .await?
                .map_err(ChangeError::Mirror)?;
        }
        if let Operation::ResetToSync | Operation::ResetToAsync = change.operation {
            return self
                .set_mode(&writer, &record, &running, change.operation)
                .await;
        }
        let words = running.look(|state| state.words(change.operation));
        let changes = self.keep_words(&writer, record.id, words).await?;
        running.change(|state| state.begin(change.operation, &transition));
        drop(writer);
        match change.operation {
            Operation::RestoreFromReplica => self.begins_to_restore(&running).await?,
            _ => wait(&running).await?,
        }
        Ok(changes)
    }

    /// Reset To Sync, Reset To Async.
    async fn set_mode(
        &self,
        writer: &Writer,
        record: &Mirror,
        running: &Running,
        operation: Operation,
    ) -> Result<Vec<Change>, ChangeError> {
        let (mode, joined) = match operation {
            Operation::ResetToSync => (MirrorMode::Synchronous, Vec::new()),
            _ => {
                super::beginning::check_hosts_go_on(record.on_failure)?;
                let volumes = [&record.first.volume, &record.second.volume];
                let joined = self.have_families(writer, &volumes).await?;
                (MirrorMode::Asynchronous { rpo_ms: RPO_MS }, joined)
            }
        };
        let mirror = record.id;
        let set = Command::SetMirrorMode { mirror, mode };
        let (catalog, mut changes) = self.save(writer, set).await?;
        self.install(catalog, &changes, None);
        changes.extend(joined);
        super::asynchronous::begin_mode(running, mode);
        Ok(changes)
    }

    /// What is wanted of a mirror becomes durable, before its ends are asked for it.
    pub(super) async fn keep_words(
        &self,
        writer: &Writer,
        mirror: MirrorId,
        (source, rest): (MirrorSide, MirrorRest),
    ) -> Result<Vec<Change>, ChangeError> {
        let set = Command::SetMirror {
            mirror,
            source,
            rest,
        };
        let (catalog, changes) = self.save(writer, set).await?;
        self.install(catalog, &changes, None);
        Ok(changes)
    }

    /// What a mirror has come to becomes what is wanted of it: what it is by now, as it may have been asked for something
    /// else since that was said.
    pub(super) async fn keep_agreed(
        self: &Arc<Self>,
        mirror: MirrorId,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let Some(running) = this.mirrors.get(mirror) else {
                return Ok(Vec::new());
            };
            let words = running.look(|state| (state.record().source, state.record().rest));
            this.keep_words(&writer, mirror, words).await
        })
        .await
    }

    /// Both ends have changes: those of one are dropped.
    async fn discard(
        &self,
        writer: &Writer,
        record: &Mirror,
        running: &Arc<Running>,
        dropped: &EndName,
    ) -> Result<Vec<Change>, ChangeError> {
        let side = end_called(record, dropped)?;
        if running.look(|state| state.conflict().is_none()) {
            return Err(refuse(
                "the ends of the mirror don't contradict each other: there is nothing to discard"
                    .into(),
            ));
        }
        let words = running.look(|state| state.words_without(side));
        let changes = self.keep_words(writer, record.id, words).await?;
        running.change(|state| state.give_up(side));
        Ok(changes)
    }

    /// Whether an operation is possible now, and what it does to the association.
    pub(super) fn admit_change(
        &self,
        record: &Mirror,
        running: &Running,
        change: &MirrorChange,
    ) -> Result<Transition, ChangeError> {
        let key = running.look(|state| state.association().key);
        // What is being overwritten is taken back first.
        let goes_back = change.operation == Operation::Failover && running.goes_back();
        let force = change.force || goes_back;
        let transition = self.admit_mirror_operation(record, key, change.operation, force)?;
        check_restoring(running, change.operation, change.force)?;
        running.look(|state| {
            let contradiction = state.conflict().is_some();
            let needs_one = matches!(
                change.operation,
                Operation::ResyncReplica | Operation::Failback | Operation::ReverseRoles
            );
            if contradiction && needs_one {
                return Err(refuse(format!(
                    "both volumes were changed: say whose changes are dropped, with \
                     `tidelock mirror resync {} --discard VOLUME`",
                    record.first.volume
                )));
            }
            if change.operation == Operation::Failback && state.has_two_sources() {
                return Err(refuse(format!(
                    "volume {} hasn't got what volume {} has yet: wait until both can be read and it is copied",
                    record.system().volume,
                    record.synced().volume
                )));
            }
            let target = state.record().source.opposite();
            if let (Operation::Failover, Some(problem)) = (change.operation, state.problem(target))
            {
                return Err(refuse(format!(
                    "volume {} can't take over: {problem}",
                    record.end(target).volume
                )));
            }
            if change.operation == Operation::RestoreFromReplica {
                check_can_give(state)?;
            }
            Ok(transition)
        })
    }

    fn admit_mirror_operation(
        &self,
        record: &Mirror,
        synchronization: AssociationKey,
        operation: Operation,
        force: bool,
    ) -> Result<Transition, ChangeError> {
        let name = |side| {
            let volume = record.end(side).volume.clone();
            ElementName::Dataset(DatasetRef::from(volume))
        };
        let (first, second) = (name(MirrorSide::First), name(MirrorSide::Second));
        let gathered = self.gather(&first, Some(&second));
        let modification = Modification {
            operation,
            synchronization,
            force,
        };
        let outcome = gathered.with_facts(built(), |facts| modify(&modification, facts));
        outcome.map_err(|refusal| {
            let said = match &refusal {
                OperationRefusal::End(reason) => {
                    let hint = match (operation, reason) {
                        (Operation::RestoreFromReplica, Reason::InUseByHosts { .. }) => {
                            ": log them out first, or use --force (force=true)"
                        }
                        _ => "",
                    };
                    Some(format!("{}{hint}", reason.sentence(&gathered)))
                }
                _ => None,
            };
            not_admitted(&refusal, said)
        })
    }

    /// Makes two independent volumes of a mirror.
    ///
    /// # Errors
    /// The state or the disk stands against it; then it is there.
    pub async fn detach_mirror(
        self: &Arc<Self>,
        mirror: String,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.detach_now(&mirror, force).await)
            .await
    }

    pub(super) async fn detach_now(
        self: &Arc<Self>,
        mirror: &str,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let (record, running) = self.admit_detach(mirror, force)?;
        check_restoring(&running, Operation::Detach, force)?;
        if record.remote().is_none() {
            self.take_back(&running).await?;
            return self.end_mirror(&writer, &record, running).await;
        }
        // Nobody waits for this daemon meanwhile: the other one may be asking it for the same.
        drop(writer);
        self.leave_failover(&record, &running, force).await?;
        self.detach_there(&record, force).await?;
        let writer = self.writer.lock().await;
        let changes = match self.catalog().mirror(record.id) {
            Some(_) => {
                self.take_restored_back(&running).await?;
                self.end_mirror(&writer, &record, running).await?
            }
            None => Vec::new(),
        };
        drop(writer);
        self.forget_ended(&record).await;
        Ok(changes)
    }

    /// A target that is being overwritten is what it was again, before it is a volume of its own.
    async fn take_back(self: &Arc<Self>, running: &Arc<Running>) -> Result<(), ChangeError> {
        if !running.goes_back() {
            return Ok(());
        }
        let (running, this) = (Arc::clone(running), Arc::clone(self));
        let taken = move || running.take_back(|volume, id| this.has_snapshot(volume, id));
        run_blocking(taken).await?.map_err(ChangeError::Mirror)
    }

    /// The same, of a source that isn't restored completely.
    pub(super) async fn take_restored_back(
        self: &Arc<Self>,
        running: &Arc<Running>,
    ) -> Result<(), ChangeError> {
        check_can_go_back(running)?;
        let is_it = |state: &State| state.is_restoring() && state.record().system().is_here();
        match running.look(is_it) {
            true => self.take_back(running).await,
            false => Ok(()),
        }
    }

    /// Whether a mirror may be ended, as far as this daemon knows.
    pub(super) fn admit_detach(
        &self,
        mirror: &str,
        force: bool,
    ) -> Result<(Mirror, Arc<Running>), ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.mirror_named(mirror)?;
        let running = self.mirrors.get(record.id).ok_or(ChangeError::Loading)?;
        if record.remote().is_some() {
            super::remote::admit_detach(&running, force)?;
            self.commands_of_ending(&record, &running)?;
        } else {
            let key = running.look(|state| state.association().key);
            // What is being overwritten is taken back first.
            let goes_back = running.goes_back();
            self.admit_mirror_operation(&record, key, Operation::Detach, force || goes_back)?;
        }
        Ok((record, running))
    }

    /// What the catalog is to be told, if that is possible.
    pub(super) fn commands_of_ending(
        &self,
        record: &Mirror,
        running: &Running,
    ) -> Result<Vec<Command>, ChangeError> {
        let mut commands = vec![Command::DeleteMirror { mirror: record.id }];
        commands.extend(self.commands_of_parting(record, running));
        let mut next = (*self.catalog()).clone();
        for command in &commands {
            next.apply(command.clone()).map_err(|error| match error {
                CatalogError::VolumeIsMapped { volume, .. } => refuse(format!(
                    "hosts use the other volume of the mirror: volume {volume} becomes another disk when it is detached, and \
                     is mapped. Unmap it first (`tidelock lun unmap`)"
                )),
                other => other.into(),
            })?;
        }
        Ok(commands)
    }

    /// Makes independent volumes of its ends that are here.
    pub(super) async fn end_mirror(
        self: &Arc<Self>,
        writer: &Writer,
        record: &Mirror,
        running: Arc<Running>,
    ) -> Result<Vec<Change>, ChangeError> {
        let commands = self.commands_of_ending(record, &running)?;
        // Before the mirror is gone: what nobody knows after a crash is deleted. None is taken while this one has the turn.
        let (this, ending) = (Arc::clone(self), Arc::clone(&running));
        run_blocking(move || ending.keep_dropped(|volume, id| this.keep_dropped(volume, id)))
            .await?
            .map_err(ChangeError::Mirror)?;
        let (catalog, changes) = self.save_all(writer, commands).await?;
        self.install(catalog, &changes, None);
        self.mirrors.running.write().remove(&record.id);
        self.mirrors.hang_up(record);
        self.end_reservations(&running).await;
        let folder = self.mirrors.folder_of(record.id);
        let this = Arc::clone(self);
        run_blocking(move || {
            running.close();
            running.release_volumes();
            running.remove_hidden(|volume, id| this.has_snapshot(volume, id));
            remove_folder(&folder);
        })
        .await?;
        match record.remote() {
            Some((remote, _)) => {
                self.show_role(&record.end(remote.opposite()).volume, SharedRole::Source);
            }
            // Hosts were kept away from it, if it was to be restored.
            None if record.rest.is_restoring() => self.show_again(&record.system().volume),
            None => {}
        }
        Ok(changes)
    }
}

/// Waits until a change of roles is done.
pub(super) async fn wait(running: &Running) -> Result<(), ChangeError> {
    running.until(PATIENCE, |state| !state.is_pending()).await;
    match running.look(|state| state.failure().map(str::to_owned)) {
        Some(reason) => Err(refuse(reason)),
        None => Ok(()),
    }
}

/// The end that an operator names.
pub(super) fn end_called(record: &Mirror, name: &EndName) -> Result<MirrorSide, ChangeError> {
    let mut sides = SIDES.into_iter();
    let found = sides.find(|side| name.is_of(record.end(*side)));
    found.ok_or_else(|| {
        refuse(format!(
            "volume {name} is no end of this mirror: name {} or {}",
            record.first, record.second
        ))
    })
}

/// Why an operation isn't done; `said` with the names of elements, if it is about them.
pub(super) fn not_admitted(refusal: &OperationRefusal, said: Option<String>) -> ChangeError {
    let reason = said.unwrap_or_else(|| match refusal {
        OperationRefusal::NeedsForce { .. } => format!("{refusal}, with --force (force=true)"),
        other => other.to_string(),
    });
    ChangeError::Refused(Refused {
        return_code: refusal.return_code(),
        reason,
    })
}

pub(super) fn refuse(reason: String) -> ChangeError {
    ChangeError::Refused(Refused {
        return_code: ReturnCode::InUse,
        reason,
    })
}

/// What is durable of the ends of a mirror that is no more. What stays behind is removed at the next start.
pub(super) fn remove_folder(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::warn!(path = %folder.display(), %error, "what is left of a mirror stays behind");
    }
}
