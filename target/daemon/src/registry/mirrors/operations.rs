//! What is done with mirrors that are there: every operation is admitted by the table of DMTF's states, and by what
//! the two ends say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::machine::{Modification, OperationRefusal, Transition, modify};
use tidelock_capabilities::values::{Operation, ReturnCode};
use tidelock_catalog::{Change, Command, DatasetRef, Mirror, MirrorSide, VolumeName};

use super::Registry;
use crate::mirrors::running::Running;
use crate::registry::Writer;
use crate::registry::capabilities::{ElementName, Refused, built};
use crate::registry::changes::{ChangeError, run_blocking};

/// How long a change of roles is waited for. It goes on if that isn't enough.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

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
    pub discard: Option<VolumeName>,
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

    async fn modify_now(
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
        let (source, rest) = running.look(|state| state.words(change.operation));
        let set = Command::SetMirror {
            mirror: record.id,
            source,
            rest,
        };
        let (catalog, changes) = self.save(&writer, set).await?;
        self.install(catalog, &changes, None);
        running.change(|state| state.begin(change.operation, &transition));
        drop(writer);
        wait(&running).await?;
        Ok(changes)
    }

    /// Both ends have changes: those of one are dropped.
    async fn discard(
        &self,
        writer: &Writer,
        record: &Mirror,
        running: &Arc<Running>,
        dropped: &VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some(side) = record.side_of(dropped) else {
            return Err(refuse(format!(
                "volume {dropped} is no end of this mirror: name {} or {}",
                record.first.volume, record.second.volume
            )));
        };
        if running.look(|state| state.conflict().is_none()) {
            return Err(refuse(
                "the ends of the mirror don't contradict each other: there is nothing to discard"
                    .into(),
            ));
        }
        let (source, rest) = running.look(|state| state.words_without(side));
        let set = Command::SetMirror {
            mirror: record.id,
            source,
            rest,
        };
        let (catalog, changes) = self.save(writer, set).await?;
        self.install(catalog, &changes, None);
        running.change(|state| state.give_up(side));
        Ok(changes)
    }

    /// Whether an operation is possible now, and what it does to the association.
    fn admit_change(
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
            let reason = match &refusal {
                OperationRefusal::End(reason) => reason.sentence(&gathered).to_string(),
                OperationRefusal::NeedsForce { .. } => {
                    format!("{refusal}, with --force (force=true)")
                }
                other => other.to_string(),
            };
            ChangeError::Refused(Refused {
                return_code: refusal.return_code(),
                reason,
            })
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
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let record = this.mirror_named(&mirror).ok();
            let changes = this.detach_now(&writer, &mirror, force).await?;
            drop(writer);
            if let Some(record) = record {
                this.tell_detached(&record).await;
            }
            Ok(changes)
        })
        .await
    }

    async fn detach_now(
        self: &Arc<Self>,
        writer: &Writer,
        mirror: &str,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.mirror_named(mirror)?;
        let running = self.mirrors.get(record.id).ok_or(ChangeError::Loading)?;
        if record.remote().is_some() {
            super::remote::admit_detach(&running, force)?;
        } else {
            let key = running.look(|state| state.association().key);
            self.admit_mirror_operation(&record, key, Operation::Detach, force)?;
        }
        self.end_mirror(writer, &record, running).await
    }

    /// Makes independent volumes of its ends that are here.
    pub(super) async fn end_mirror(
        self: &Arc<Self>,
        writer: &Writer,
        record: &Mirror,
        running: Arc<Running>,
    ) -> Result<Vec<Change>, ChangeError> {
        let delete = Command::DeleteMirror { mirror: record.id };
        let (catalog, changes) = self.save(writer, delete).await?;
        self.install(catalog, &changes, None);
        self.mirrors.running.write().remove(&record.id);
        self.mirrors.hang_up(record);
        let folder = self.mirrors.folder_of(record.id);
        let this = Arc::clone(self);
        run_blocking(move || {
            running.close();
            running.release_volumes();
            running.remove_hidden(|volume, id| this.has_snapshot(volume, id));
            remove_folder(&folder);
        })
        .await?;
        Ok(changes)
    }
}

/// Waits until a change of roles is done.
pub(super) async fn wait(running: &Running) -> Result<(), ChangeError> {
    let mut changes = running.changes();
    let done = async {
        while running.look(|state| state.is_pending()) {
            if changes.changed().await.is_err() {
                break;
            }
        }
    };
    // What takes longer is told by what the mirror shows.
    let _ = tokio::time::timeout(PATIENCE, done).await;
    match running.look(|state| state.failure().map(str::to_owned)) {
        Some(reason) => Err(refuse(reason)),
        None => Ok(()),
    }
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
