//! Clones of all volumes of a group, at one point in time. The catalog is told of all of them at once, so that
//! all are there or none; what a crash leaves in the families before that is deleted at the next start.

use std::sync::Arc;

use tidelock_catalog::{
    CatalogError, Change, Command, DatasetId, GroupName, NewClone, Origin, Place, SnapshotName,
    VolumeId, VolumeName,
};
use tidelock_replication::{Family, MappedOptions, Volume, VolumeError};
use uuid::Uuid;

use super::capabilities::Wanted;
use super::changes::{ChangeError, run_blocking};
use super::clones::FullClone;
use super::removal::delete_datasets;
use super::snapshots::Member;
use super::{Registry, Writer};

/// Clones of a group that are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupCloneRequest {
    /// Which group.
    pub group: GroupName,
    /// The snapshots that were taken of it; `None`: the volumes as they are now.
    pub snapshot: Option<SnapshotName>,
    /// The new group in which the clones are, if one is to be made.
    pub name: Option<GroupName>,
    /// Behind the name of each volume in that of its clone.
    pub suffix: String,
    /// They get blocks of their own, in the background.
    pub full: Option<FullClone>,
}

/// A volume that is to be cloned.
#[derive(Clone, Debug)]
struct Source {
    member: Member,
    /// What the snapshot is called, if people know of it.
    snapshot: SnapshotName,
    dataset: DatasetId,
    size_bytes: u64,
    /// The clone.
    name: VolumeName,
    head: DatasetId,
}

impl Registry {
    /// Makes clones of all volumes of a group.
    ///
    /// # Errors
    /// A rule, a volume or the disk stands against it; then there is none.
    pub async fn clone_group(
        self: &Arc<Self>,
        request: GroupCloneRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            this.clone_group_now(&writer, &request).await
        })
        .await
    }

    async fn clone_group_now(
        &self,
        writer: &Writer,
        request: &GroupCloneRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        let volumes = self.volumes_to_clone(request)?;
        // What can be known to be wrong is known before anything is done.
        let mut named = Vec::with_capacity(volumes.len());
        for volume in volumes {
            let text = format!("{volume}{}", request.suffix);
            let clone = VolumeName::new(&text).map_err(|error| CatalogError::CloneName {
                name: text.chars().take(200).collect(),
                reason: error.to_string(),
            })?;
            if self.catalog().volume(&clone).is_ok() {
                return Err(CatalogError::VolumeExists { volume: clone }.into());
            }
            named.push((volume, clone));
        }
        if let Some(group) = &request.name
            && self.catalog().group(group).is_ok()
        {
            let group = group.clone();
            return Err(CatalogError::GroupExists { group }.into());
        }
        let mut changes = Vec::new();
        let mut sources = Vec::with_capacity(named.len());
        for (volume, name) in named {
            let (source, joined) = self.source_of(writer, request, &volume, name).await?;
            changes.extend(joined);
            sources.push(source);
        }
        let made = self.clone_all(writer, request, &sources).await;
        if request.snapshot.is_none() {
            let gone = sources.clone();
            run_blocking(move || {
                for source in &gone {
                    forget(source, source.dataset);
                }
            })
            .await?;
        }
        changes.extend(made?);
        Ok(changes)
    }

    fn volumes_to_clone(
        &self,
        request: &GroupCloneRequest,
    ) -> Result<Vec<VolumeName>, ChangeError> {
        let group = request.group.clone();
        if let Some(name) = &request.snapshot {
            return self.volumes_of_set(&group, name);
        }
        self.admit_group(Wanted::GROUP_CLONE, &group)?;
        let catalog = self.catalog();
        Ok(catalog.group(&group)?.members.iter().cloned().collect())
    }

    async fn source_of(
        &self,
        writer: &Writer,
        request: &GroupCloneRequest,
        volume: &VolumeName,
        name: VolumeName,
    ) -> Result<(Source, Vec<Change>), ChangeError> {
        let head = DatasetId(Uuid::new_v4());
        if let Some(snapshot) = &request.snapshot {
            let member = self.member(volume)?;
            let found = member.find(snapshot)?;
            let source = Source {
                member,
                snapshot: found.name,
                dataset: found.id,
                size_bytes: found.size_bytes,
                name,
                head,
            };
            return Ok((source, Vec::new()));
        }
        let (member, changes) = self.member_or_new(writer, volume).await?;
        // Names of volumes and of snapshots follow the same rules.
        let snapshot = SnapshotName::new(name.as_str())
            .map_err(|error| ChangeError::Defect(error.to_string()))?;
        let source = Source {
            size_bytes: member.store.size(),
            member,
            snapshot,
            dataset: DatasetId(Uuid::new_v4()),
            name,
            head,
        };
        Ok((source, changes))
    }

    async fn clone_all(
        &self,
        writer: &Writer,
        request: &GroupCloneRequest,
        sources: &[Source],
    ) -> Result<Vec<Change>, ChangeError> {
        let mut commands = Vec::with_capacity(sources.len() + 1);
        let mut files = Vec::new();
        for source in sources {
            let clone = self.new_clone(request, source, &files).await?;
            let file = clone.hydration.as_ref().map(|hydration| &hydration.file);
            files.extend(file.cloned());
            commands.push(Command::CreateClone(clone));
        }
        if let Some(group) = &request.name {
            commands.push(Command::CreateGroup {
                group: group.clone(),
                volumes: sources.iter().map(|source| source.name.clone()).collect(),
            });
        }
        // The rules first: blocks aren't shared for what can't be told of.
        let mut next = (*self.catalog()).clone();
        for command in commands.clone() {
            next.apply(command)?;
        }
        let (all, is_now) = (sources.to_vec(), request.snapshot.is_none());
        let stores = run_blocking(move || engine_clones(&all, is_now)).await??;
        let saved = self.save_all(writer, commands).await;
        let (catalog, changes) = match saved {
            Ok(saved) => saved,
            Err(error) => {
                // If nobody knows whether the catalog tells of them, they have to stay until the start.
                if !writer.file.is_poisoned() {
                    drop(stores);
                    let all = sources.to_vec();
                    run_blocking(move || all.iter().for_each(|one| forget(one, one.head))).await?;
                }
                return Err(error);
            }
        };
        self.install(catalog, &changes, None);
        for (source, store) in sources.iter().zip(stores) {
            if let Some(served) = self.volume(&source.name) {
                served.set_store(store);
            }
        }
        self.begin_hydrating(&changes);
        Ok(changes)
    }

    async fn new_clone(
        &self,
        request: &GroupCloneRequest,
        source: &Source,
        files: &[String],
    ) -> Result<NewClone, ChangeError> {
        let id = VolumeId(Uuid::new_v4());
        let hydration = match request.full {
            None => None,
            Some(full) => {
                let rate = full.bytes_per_second;
                Some(
                    self.new_hydration(&source.name, id, false, rate, files)
                        .await?,
                )
            }
        };
        let record = &source.member.record;
        Ok(NewClone {
            name: source.name.clone(),
            id,
            place: Place {
                family: source.member.family.id(),
                dataset: source.head,
            },
            size_bytes: source.size_bytes,
            block_size: record.block_size,
            write_cache: record.write_cache,
            origin: Origin {
                volume: record.name.clone(),
                snapshot: source.snapshot.clone(),
                dataset: source.dataset,
                linked: false,
                copied: false,
            },
            hydration,
        })
    }
}

/// Makes all clones in their families, or none. Blocks.
fn engine_clones(sources: &[Source], is_now: bool) -> Result<Vec<Arc<Volume>>, VolumeError> {
    if is_now {
        let members: Vec<_> = sources
            .iter()
            .map(|source| {
                let engine = Arc::clone(&source.member.open.engine);
                let (head, id) = (source.member.head, source.dataset);
                (engine, *head.0.as_bytes(), *id.0.as_bytes())
            })
            .collect();
        Family::snapshot(&members)?;
    }
    let made = engine_heads(sources);
    if made.is_err() {
        sources
            .iter()
            .for_each(|source| forget(source, source.head));
    }
    made
}

fn engine_heads(sources: &[Source]) -> Result<Vec<Arc<Volume>>, VolumeError> {
    let mut stores = Vec::with_capacity(sources.len());
    for source in sources {
        let engine = &source.member.open.engine;
        let (dataset, head) = (*source.dataset.0.as_bytes(), *source.head.0.as_bytes());
        // The clone has from its first moment on what it will have after a crash.
        engine.settle(dataset)?;
        engine.clone_of(dataset, head)?;
        let options = MappedOptions {
            block_size: source.member.record.block_size.bytes(),
            size: source.size_bytes,
            read_only: false,
        };
        stores.push(engine.volume(head, &options)?);
    }
    Ok(stores)
}

/// Deletes what was made and isn't told of. Blocks.
fn forget(source: &Source, dataset: DatasetId) {
    let open = &source.member.open;
    if open.datasets().contains_key(&dataset) {
        delete_datasets(open, &[dataset]);
    }
}
