//! Snapshots: taking, deleting, restoring and showing them. What was answered with success is found again
//! after a crash at any instant: what is made is made by the engine first and told of then; what is deleted
//! is told of no more first.

mod steps;

use std::sync::Arc;

use tidelock_catalog as catalog;
use tidelock_catalog::snapshots::{Cause, SetMember};
use tidelock_catalog::{
    Backing, Catalog, CatalogError, Change, Command, DatasetId, FamilyId, GroupName, IscsiName,
    ListChange, LunNumber, Place, Snapshot, SnapshotName, SnapshotRef, VolumeName, schedule,
};
use tidelock_replication::{Family, FamilyOptions, MappedOptions, OpenOptions, Volume};
use tidelock_scsi::{MediumCondition, UnitAttention};
use uuid::Uuid;

use super::capabilities::Wanted;
use super::changes::{ChangeError, run_blocking};
use super::families::{OpenFamily, ServedFamily};
use super::removal::delete_datasets;
use super::served::ServedVolume;
use super::{Registry, Writer};

/// A volume in its family, ready for something to be done with it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) record: catalog::Volume,
    pub(super) served: Arc<ServedVolume>,
    pub(super) store: Arc<Volume>,
    pub(super) family: Arc<ServedFamily>,
    pub(super) open: Arc<OpenFamily>,
    pub(super) head: DatasetId,
}

impl Member {
    /// A snapshot of it, by what people call it.
    pub(super) fn called(&self, name: &SnapshotName) -> SnapshotRef {
        SnapshotRef {
            volume: self.record.name.clone(),
            snapshot: name.clone(),
        }
    }

    /// Sees to it that what hosts write goes to the head. A volume may have been interrupted when it should
    /// have begun to be one, or when it should have become a file again. The writer's lock is held: nobody
    /// is about to make it a file.
    pub(super) async fn adopt(&self) -> Result<(), ChangeError> {
        if self.store.family().is_none() {
            let (engine, store) = (Arc::clone(&self.open.engine), Arc::clone(&self.store));
            let head = *self.head.0.as_bytes();
            run_blocking(move || {
                engine.adopt(&store, head)?;
                // What was written in place until now is at no one moment after a power cut.
                engine.settle_all()
            })
            .await??;
        }
        Ok(())
    }

    /// The snapshot of that name.
    pub(super) fn find(&self, name: &SnapshotName) -> Result<Snapshot, ChangeError> {
        let called = self.called(name);
        let found = self
            .open
            .look(|list| list.named(self.record.id, &called).cloned())?;
        Ok(found?)
    }
}

/// What a snapshot is taken for.
#[derive(Clone, Debug)]
pub(super) struct Occasion {
    pub(super) cause: Cause,
    /// The group whose snapshots are taken together.
    pub(super) group: Option<GroupName>,
    /// Applications were told.
    pub(super) quiesced: bool,
    /// In milliseconds since 1970-01-01 UTC.
    pub(super) at_unix_ms: u64,
}

impl Registry {
    /// Takes a snapshot; `at_unix_ms` is what time it is.
    ///
    /// # Errors
    /// A rule, the volume or the disk stands against it; then there is none.
    pub async fn create_snapshot(
        self: &Arc<Self>,
        snapshot: SnapshotRef,
        quiesced: bool,
        at_unix_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        let occasion = Occasion {
            cause: Cause::Operator,
            group: None,
            quiesced,
            at_unix_ms,
        };
        self.detached(async move |this| {
            this.flush_files([&snapshot.volume]).await;
            let writer = this.writer.lock().await;
            let SnapshotRef { volume, snapshot } = snapshot;
            let wanted = [(volume, snapshot)];
            Ok(this.take(&writer, &wanted, &occasion).await?.0)
        })
        .await
    }

    /// Makes durable what is in files that are about to become heads, so that the lock of all changes isn't
    /// held for it. What fails here fails again later, where it counts.
    pub(super) async fn flush_files(&self, volumes: impl IntoIterator<Item = &VolumeName>) {
        let stores: Vec<_> = volumes
            .into_iter()
            .filter_map(|name| self.volume(name)?.store())
            .filter(|store| store.family().is_none())
            .collect();
        for store in stores {
            if let Ok(Err(error)) = run_blocking(move || store.flush_blocking()).await {
                tracing::warn!(%error, "a volume can't be flushed for its first snapshot");
            }
        }
    }

    /// Makes sure that snapshots of several volumes are one moment of all of them over a power cut, too, and tells of
    /// them then: who finds a set finds one moment. The lock of all changes isn't held for the first part, which takes
    /// as long as the disks do.
    pub(super) async fn confirm_together(
        &self,
        taking: Vec<(Member, Snapshot)>,
    ) -> Result<(), ChangeError> {
        let taking = Arc::new(taking);
        let all = Arc::clone(&taking);
        let settled = run_blocking(move || steps::settle_together(&all)).await?;
        let _writer = self.writer.lock().await;
        run_blocking(move || {
            let confirmed = settled.and_then(|()| steps::confirm(&taking));
            if confirmed.is_err() {
                steps::give_up(&taking);
            }
            confirmed
        })
        .await?
    }

    /// Removes a snapshot that isn't shown.
    ///
    /// # Errors
    /// A rule or the disk stands against it; then it is still there.
    pub async fn delete_snapshot(
        self: &Arc<Self>,
        snapshot: SnapshotRef,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            this.delete_snapshot_now(&writer, &snapshot).await
        })
        .await
    }

    /// Lets a volume be as one of its snapshots again.
    ///
    /// # Errors
    /// A rule or the disk stands against it; then it is as before.
    pub async fn restore_snapshot(
        self: &Arc<Self>,
        snapshot: SnapshotRef,
        at_unix_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let _writer = this.writer.lock().await;
            this.check_not_mirrored(&snapshot.volume)?;
            this.restore_now(&snapshot, at_unix_ms).await
        })
        .await
    }

    /// Shows a snapshot in a target, read-only.
    ///
    /// # Errors
    /// A rule or the disk stands against it; then nothing has changed.
    pub async fn map_snapshot(
        self: &Arc<Self>,
        target: IscsiName,
        snapshot: SnapshotRef,
        number: Option<LunNumber>,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let member = this.member(&snapshot.volume)?;
            let found = member.find(&snapshot.snapshot)?;
            let place = Place {
                family: member.family.id(),
                dataset: found.id,
            };
            let store = open_snapshot(&member, &found).await?;
            let command = Command::MapSnapshot {
                target,
                snapshot,
                place,
                size_bytes: found.size_bytes,
                number,
            };
            let (catalog, changes) = this.save(&writer, command).await?;
            this.install(catalog, &changes, Some(&store));
            Ok(changes)
        })
        .await
    }

    /// A volume that has snapshots, or had some.
    pub(super) fn member(&self, name: &VolumeName) -> Result<Member, ChangeError> {
        let (record, served, store) = self.ready(name)?;
        let Some((family, head)) = served.place() else {
            return Err(CatalogError::NotInFamily {
                volume: name.clone(),
            }
            .into());
        };
        let open = family.open_family().map_err(|reason| {
            let volume = name.clone();
            ChangeError::NotReady { volume, reason }
        })?;
        Ok(Member {
            record,
            served,
            store,
            family,
            open,
            head,
        })
    }

    /// A volume that can be worked with.
    pub(super) fn ready(
        &self,
        name: &VolumeName,
    ) -> Result<(catalog::Volume, Arc<ServedVolume>, Arc<Volume>), ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.catalog().volume(name)?.clone();
        if let Backing::Snapshot(_) = record.backing {
            let volume = name.clone();
            return Err(CatalogError::IsSnapshot { volume }.into());
        }
        let not_ready = |reason: String| ChangeError::NotReady {
            volume: name.clone(),
            reason,
        };
        let served = self
            .volume(name)
            .ok_or_else(|| not_ready("it isn't served".into()))?;
        let store = served
            .store()
            .ok_or_else(|| not_ready(served.problem().unwrap_or_default()))?;
        if let Some(fence) = store.is_fenced() {
            return Err(not_ready(format!("it is fenced: {}", fence.what)));
        }
        Ok((record, served, store))
    }

    /// The same for one that is about to have a snapshot: with its first one it becomes a head of a
    /// family of its own.
    pub(super) async fn member_or_new(
        &self,
        writer: &Writer,
        name: &VolumeName,
    ) -> Result<(Member, Vec<Change>), ChangeError> {
        let (record, served, store) = self.ready(name)?;
        // From now on none is begun that the snapshot would keep from its end.
        served.unit().set_shares_blocks(true);
        let begun = self.begin_if_raw(writer, &record, &served, &store).await;
        if begun.is_err() {
            served.unit().set_shares_blocks(served.place().is_some());
        }
        let changes = begun?;
        let member = self.member(name)?;
        member.adopt().await?;
        Ok((member, changes))
    }

    async fn begin_if_raw(
        &self,
        writer: &Writer,
        record: &catalog::Volume,
        served: &ServedVolume,
        store: &Arc<Volume>,
    ) -> Result<Vec<Change>, ChangeError> {
        if served.unit().medium_condition() != MediumCondition::Sound {
            let reason = "it is being sanitized or formatted, or that has failed".into();
            let volume = record.name.clone();
            return Err(ChangeError::NotReady { volume, reason });
        }
        match record.backing {
            Backing::Raw => self.begin_family(writer, &record.name, served, store).await,
            _ => Ok(Vec::new()),
        }
    }

    async fn begin_family(
        &self,
        writer: &Writer,
        name: &VolumeName,
        served: &ServedVolume,
        store: &Arc<Volume>,
    ) -> Result<Vec<Change>, ChangeError> {
        let place = self
            .make_family(store, served.open_options(), false)
            .await?;
        let command = Command::JoinFamily {
            volume: name.clone(),
            place,
        };
        match self.save(writer, command).await {
            Ok((catalog, changes)) => {
                self.install(catalog, &changes, None);
                Ok(changes)
            }
            Err(error) => {
                self.give_up_family(place.family).await?;
                Err(error)
            }
        }
    }

    /// Makes a family of a raw volume, of which the catalog doesn't know yet; with `all_checksums` it takes
    /// nothing over of the volume, which is new.
    pub(super) async fn make_family(
        &self,
        store: &Arc<Volume>,
        home: OpenOptions,
        all_checksums: bool,
    ) -> Result<Place, ChangeError> {
        let family = FamilyId(Uuid::new_v4());
        let dataset = DatasetId(Uuid::new_v4());
        let folder = self.families.folder_of(family);
        let volume = Arc::clone(store);
        let open = run_blocking(move || -> Result<OpenFamily, ChangeError> {
            let options = FamilyOptions {
                all_checksums,
                ..FamilyOptions::new(&folder, *family.0.as_bytes())
            };
            let engine = Family::create(&options, &volume, *dataset.0.as_bytes())?;
            // What this leaves behind is removed at the next start.
            OpenFamily::new(engine, &folder, family)
                .map_err(|error| super::families::ListTrouble::from(error).into())
        })
        .await??;
        self.families.insert(family, home, open);
        Ok(Place { family, dataset })
    }

    /// The catalog couldn't be told of a family. It may name it after all: its folder stays until the next start
    /// tells.
    pub(super) async fn give_up_family(&self, id: FamilyId) -> Result<(), ChangeError> {
        if let Some(family) = self.families.remove(id) {
            run_blocking(move || family.close()).await?.ok();
        }
        Ok(())
    }

    /// Takes snapshots of volumes, all at one moment. Those of a group are pending, and not told of, until
    /// [`Self::confirm_together`].
    pub(super) async fn take(
        &self,
        writer: &Writer,
        wanted: &[(VolumeName, SnapshotName)],
        occasion: &Occasion,
    ) -> Result<(Vec<Change>, Vec<(Member, Snapshot)>), ChangeError> {
        // What can be known to be wrong is known before anything is done.
        match &occasion.group {
            Some(group) => self.admit_group(Wanted::GROUP_SNAPSHOT, group)?,
            None => {
                for (volume, _) in wanted {
                    self.admit(Wanted::SNAPSHOT, &volume.clone().into())?;
                }
            }
        }
        let (mut changes, mut taking) = (Vec::new(), Vec::with_capacity(wanted.len()));
        let set = occasion.group.as_ref().map(|group| SetMember {
            set: Uuid::new_v4(),
            group: group.clone(),
            members: u32::try_from(wanted.len()).unwrap_or(u32::MAX),
        });
        for (volume, name) in wanted {
            let (member, joined) = self.member_or_new(writer, volume).await?;
            changes.extend(joined);
            let record = &member.record;
            member
                .open
                .look(|list| list.check_new(record.id, &record.name, name))??;
            let snapshot = Snapshot {
                id: DatasetId(Uuid::new_v4()),
                volume: record.id,
                name: name.clone(),
                at_unix_ms: occasion.at_unix_ms,
                size_bytes: member.store.size(),
                cause: occasion.cause,
                set: set.clone(),
                pending: set.is_some(),
                quiesced: occasion.quiesced,
            };
            changes.push(Change::SnapshotCreated(member.called(name)));
            taking.push((member, snapshot));
        }
        run_blocking(move || {
            match set {
                None => steps::take_alone(&taking),
                Some(_) => steps::take_together(&taking),
            }?;
            Ok((changes, taking))
        })
        .await?
    }

    pub(super) async fn delete_snapshot_now(
        &self,
        writer: &Writer,
        called: &SnapshotRef,
    ) -> Result<Vec<Change>, ChangeError> {
        let member = self.member(&called.volume)?;
        let found = member.find(&called.snapshot)?;
        let catalog = self.catalog();
        let clones = linked_clones(&catalog, found.id);
        if !clones.is_empty() {
            let snapshot = called.clone();
            return Err(CatalogError::SnapshotHasClones { snapshot, clones }.into());
        }
        let shown = VolumeName::of_snapshot(called);
        let mut changes = Vec::new();
        if catalog.volume(&shown).is_ok() {
            let (catalog, deleted, gone) = self.delete_records(writer, shown).await?;
            self.install(catalog, &deleted, None);
            self.forget(gone).await?;
            changes.extend(deleted);
        }
        let open = Arc::clone(&member.open);
        run_blocking(move || -> Result<(), ChangeError> {
            open.add(&[ListChange::Remove(found.id)])?;
            delete_datasets(&open, &[found.id]);
            Ok(())
        })
        .await??;
        changes.push(Change::SnapshotDeleted(called.clone()));
        Ok(changes)
    }

    /// The writer's lock is held.
    pub(super) async fn restore_now(
        &self,
        called: &SnapshotRef,
        at_unix_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        let member = self.member(&called.volume)?;
        member.adopt().await?;
        let found = member.find(&called.snapshot)?;
        let name = member
            .open
            .look(|list| safety_name(list, member.record.id, at_unix_ms))?
            .ok_or_else(|| ChangeError::Defect("no name is left for what is there".into()))?;
        let safety = Snapshot {
            id: DatasetId(Uuid::new_v4()),
            volume: member.record.id,
            name: name.clone(),
            at_unix_ms,
            size_bytes: member.store.size(),
            cause: Cause::Restore { to: found.id },
            set: None,
            pending: true,
            quiesced: false,
        };
        let (restoring, to) = (member.clone(), found.id);
        run_blocking(move || steps::restore(&restoring, to, safety)).await??;
        let unit = member.served.unit();
        unit.raise(UnitAttention::MediumMayHaveChanged, None);
        let safety = member.called(&name);
        Ok(vec![
            Change::SnapshotCreated(safety.clone()),
            Change::VolumeRestored {
                snapshot: called.clone(),
                safety,
            },
        ])
    }
}

/// A snapshot, to be read.
async fn open_snapshot(member: &Member, snapshot: &Snapshot) -> Result<Arc<Volume>, ChangeError> {
    let options = MappedOptions {
        block_size: member.record.block_size.bytes(),
        size: snapshot.size_bytes,
        read_only: true,
    };
    let (open, id) = (Arc::clone(&member.open), snapshot.id);
    Ok(run_blocking(move || {
        let id = *id.0.as_bytes();
        // What a host has seen of it stays as it is.
        open.engine.settle(id)?;
        open.engine.volume(id, &options)
    })
    .await??)
}

/// The clones because of which a snapshot can't go.
pub(super) fn linked_clones(catalog: &Catalog, snapshot: DatasetId) -> Vec<VolumeName> {
    let linked = catalog.volumes().filter(|volume| {
        let origin = volume.origin.as_ref();
        origin.is_some_and(|origin| origin.linked && origin.dataset == snapshot)
    });
    linked.map(|volume| volume.name.clone()).collect()
}

/// A name for what is there before a restore. Somebody may restore twice in a second.
pub(super) fn safety_name(
    list: &catalog::SnapshotList,
    volume: catalog::VolumeId,
    at_unix_ms: u64,
) -> Option<SnapshotName> {
    free_name(list, volume, schedule::safety_name(at_unix_ms)?)
}

/// A name that no snapshot of the volume has: this one, or this one with a number.
pub(super) fn free_name(
    list: &catalog::SnapshotList,
    volume: catalog::VolumeId,
    first: SnapshotName,
) -> Option<SnapshotName> {
    if list.find(volume, &first).is_none() {
        return Some(first);
    }
    (2..1_000).find_map(|number| {
        let name = SnapshotName::new(&format!("{first}-{number}")).ok()?;
        list.find(volume, &name).is_none().then_some(name)
    })
}
