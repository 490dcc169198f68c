//! Restoring a group: all of its volumes at one moment, and all or none over a crash.
//!
//! The safety snapshots are told of as pending first, in all families; then the catalog says what is intended, and
//! from then on a crash leads forward: what isn't restored yet is at the next start. Without it, the safety
//! snapshots aren't there and are forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_catalog::snapshots::{Cause, SetMember};
use tidelock_catalog::{
    Change, Command, FamilyId, GroupName, Intent, IntentKind, ListChange, RestoreMember, Snapshot,
    SnapshotName, SnapshotRef, schedule,
};
use tidelock_replication::{Family, Restoring};
use tidelock_scsi::UnitAttention;
use uuid::Uuid;

use super::changes::{ChangeError, run_blocking};
use super::families::OpenFamily;
use super::removal::delete_datasets;
use super::snapshots::Member;
use super::{Registry, Writer};
use tidelock_catalog::DatasetId;

/// Names that are tried for what is there before.
const NAMES_MAX: u32 = 1_000;

/// A volume that is to be restored.
#[derive(Clone, Debug)]
struct Volume {
    member: Member,
    to: Snapshot,
    safety: Snapshot,
}

impl Registry {
    /// Lets the volumes of a group be as the snapshots of a set, all at one moment.
    ///
    /// # Errors
    /// A rule or the disk stands against it; then none is restored, or a restart finishes it if the error says that
    /// something couldn't be made durable.
    pub async fn restore_group(
        self: &Arc<Self>,
        group: GroupName,
        name: SnapshotName,
        at_unix_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let volumes = this.to_restore(&group, &name, at_unix_ms).await?;
            this.restore_all(&writer, volumes).await
        })
        .await
    }

    async fn to_restore(
        &self,
        group: &GroupName,
        name: &SnapshotName,
        at_unix_ms: u64,
    ) -> Result<Vec<Volume>, ChangeError> {
        let set = self.set(group, name)?;
        let mut found = Vec::with_capacity(set.volumes.len());
        for volume in &set.volumes {
            self.check_not_mirrored(volume)?;
            let member = self.member(volume)?;
            member.adopt().await?;
            let to = member.find(name)?;
            found.push((member, to));
        }
        let safety_name = safety_name(&found, at_unix_ms)?;
        let together = SetMember {
            set: Uuid::new_v4(),
            group: group.clone(),
            members: u32::try_from(found.len()).unwrap_or(u32::MAX),
        };
        let volumes = found.into_iter().map(|(member, to)| {
            let safety = Snapshot {
                id: DatasetId(Uuid::new_v4()),
                volume: member.record.id,
                name: safety_name.clone(),
                at_unix_ms,
                size_bytes: member.store.size(),
                cause: Cause::Restore { to: to.id },
                set: Some(together.clone()),
                quiesced: false,
                pending: true,
            };
            Volume { member, to, safety }
        });
        Ok(volumes.collect())
    }

    async fn restore_all(
        &self,
        writer: &Writer,
        volumes: Vec<Volume>,
    ) -> Result<Vec<Change>, ChangeError> {
        let volumes = Arc::new(volumes);
        let telling = Arc::clone(&volumes);
        run_blocking(move || {
            let told = tell(&telling, |safety| ListChange::Add(safety.clone()));
            if told.is_err() {
                forget(&telling);
            }
            told
        })
        .await??;
        let intent = Intent {
            id: Uuid::new_v4(),
            what: IntentKind::Restore {
                members: volumes.iter().map(Volume::intended).collect(),
            },
        };
        let id = intent.id;
        match self.save(writer, Command::Intend(intent)).await {
            Ok((catalog, changes)) => self.install(catalog, &changes, None),
            Err(error) => {
                // It may be intended all the same, for whoever starts the next time.
                run_blocking(move || give_up(&volumes)).await?;
                return Err(error);
            }
        }
        let restoring = Arc::clone(&volumes);
        let restored = run_blocking(move || restore(&restoring)).await?;
        if let Err(error) = restored {
            let is_fenced = volumes
                .iter()
                .any(|one| one.member.store.is_fenced().is_some());
            if !is_fenced {
                // Not one of them is restored.
                run_blocking(move || give_up(&volumes)).await?;
                self.fulfil(writer, id).await;
            }
            return Err(error);
        }
        for one in volumes.iter() {
            let unit = one.member.served.unit();
            unit.raise(UnitAttention::MediumMayHaveChanged, None);
        }
        let telling = Arc::clone(&volumes);
        run_blocking(move || tell(&telling, |safety| ListChange::Confirm(safety.id))).await??;
        self.fulfil(writer, id).await;
        let mut changes = Vec::with_capacity(volumes.len() * 2);
        for one in volumes.iter() {
            let safety = one.member.called(&one.safety.name);
            changes.push(Change::SnapshotCreated(safety.clone()));
            changes.push(Change::VolumeRestored {
                snapshot: SnapshotRef {
                    volume: one.member.record.name.clone(),
                    snapshot: one.to.name.clone(),
                },
                safety,
            });
        }
        Ok(changes)
    }

    /// Forgets what was intended. Where it stays a start finds that it is done, or was given up.
    async fn fulfil(&self, writer: &Writer, intent: Uuid) {
        match self.save(writer, Command::Fulfil { intent }).await {
            Ok((catalog, changes)) => self.install(catalog, &changes, None),
            Err(error) => {
                tracing::warn!(%intent, %error, "what was intended stays noted until a restart");
            }
        }
    }
}

impl Volume {
    fn intended(&self) -> RestoreMember {
        RestoreMember {
            volume: self.member.record.id,
            to: self.to.id,
            safety: self.safety.id,
        }
    }
}

/// One name that none of the volumes has a snapshot of. Somebody may restore twice in a second.
fn safety_name(
    volumes: &[(Member, Snapshot)],
    at_unix_ms: u64,
) -> Result<SnapshotName, ChangeError> {
    let none = || ChangeError::Defect("no name is left for what is there".into());
    let first = schedule::safety_name(at_unix_ms).ok_or_else(none)?;
    for number in 1..NAMES_MAX {
        let name = match number {
            1 => first.clone(),
            number => SnapshotName::new(&format!("{first}-{number}")).map_err(|_| none())?,
        };
        let mut is_free = true;
        for (member, _) in volumes {
            let id = member.record.id;
            is_free &= member.open.look(|list| list.find(id, &name).is_none())?;
        }
        if is_free {
            return Ok(name);
        }
    }
    Err(none())
}

/// Changes the lists of all families, one after the other. Blocks.
fn tell(volumes: &[Volume], change: impl Fn(&Snapshot) -> ListChange) -> Result<(), ChangeError> {
    let mut families: HashMap<FamilyId, (Arc<OpenFamily>, Vec<ListChange>)> = HashMap::new();
    for one in volumes {
        let entry = families
            .entry(one.member.family.id())
            .or_insert_with(|| (Arc::clone(&one.member.open), Vec::new()));
        entry.1.push(change(&one.safety));
    }
    for (open, changes) in families.values() {
        open.add(changes)?;
    }
    Ok(())
}

/// Nothing was restored: nobody is told of what was to be kept, and what was made of it goes. Blocks.
fn forget(volumes: &[Volume]) {
    for one in volumes {
        let (open, id) = (&one.member.open, one.safety.id);
        let is_listed = open.look(|list| list.get(id).is_some());
        if is_listed.is_ok_and(|listed| listed)
            && let Err(error) = open.add(&[ListChange::Remove(id)])
        {
            tracing::error!(%error, "a snapshot that wasn't taken stays until a restart");
        }
        if open.datasets().contains_key(&id) {
            delete_datasets(open, &[id]);
        }
    }
}

/// The same, after it was intended: a start that finds that so restores nothing of which the list doesn't tell. If a
/// list can't be made to forget, nothing is written any more that the next start would take back. Blocks.
fn give_up(volumes: &[Volume]) {
    forget(volumes);
    for one in volumes {
        let listed = one
            .member
            .open
            .look(|list| list.get(one.safety.id).is_some());
        if listed.unwrap_or(true) {
            let what = "its group couldn't be restored, and the next start may do it";
            one.member.store.raise_fence(what.to_owned());
        }
    }
}

/// The engine's part. Blocks.
fn restore(volumes: &[Volume]) -> Result<(), ChangeError> {
    let members: Vec<_> = volumes
        .iter()
        .map(|one| Restoring {
            family: Arc::clone(&one.member.open.engine),
            head: *one.member.head.0.as_bytes(),
            snapshot: *one.to.id.0.as_bytes(),
            safety: *one.safety.id.0.as_bytes(),
            undo: *Uuid::new_v4().as_bytes(),
        })
        .collect();
    Family::restore_together(&members)?;
    // What was there before is kept as it was, whatever comes.
    for one in volumes {
        one.member.store.flush_blocking()?;
    }
    Ok(())
}
