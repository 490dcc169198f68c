//! Clones: writable volumes that share the blocks of a snapshot until they are written.

use std::sync::Arc;

use tidelock_catalog::snapshots::Cause;
use tidelock_catalog::{
    CatalogError, Change, Command, DatasetId, DatasetRef, NewClone, Origin, Place, SnapshotName,
    VolumeId, VolumeName,
};
use tidelock_replication::{Family, MappedOptions, Volume, VolumeError};
use uuid::Uuid;

use super::capabilities::Wanted;
use super::changes::{ChangeError, run_blocking};
use super::removal::delete_datasets;
use super::snapshots::{Member, Occasion};
use super::{Registry, Writer};

/// A clone that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneRequest {
    /// What it is made from: a snapshot, or a volume as it is now.
    pub source: DatasetRef,
    /// Its name.
    pub name: VolumeName,
    /// The snapshot can't be deleted while the clone is there; one that is taken for it is told of.
    pub linked: bool,
    /// It gets blocks of its own, in the background.
    pub full: Option<FullClone>,
}

/// How a clone gets blocks of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FullClone {
    /// How many bytes are copied a second, if that is limited.
    pub bytes_per_second: Option<u64>,
}

/// What a clone is made from.
struct Source {
    member: Member,
    snapshot: SnapshotName,
    dataset: DatasetId,
    size_bytes: u64,
    /// Nobody is told of it: it goes as soon as the clone is there, which keeps its blocks.
    unlisted: bool,
}

impl Registry {
    /// Makes a clone; `at_unix_ms` is what time it is.
    ///
    /// # Errors
    /// A rule, the volume or the disk stands against it; then there is none.
    pub async fn create_clone(
        self: &Arc<Self>,
        request: CloneRequest,
        at_unix_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            this.create_clone_now(&writer, request, at_unix_ms).await
        })
        .await
    }

    async fn create_clone_now(
        &self,
        writer: &Writer,
        request: CloneRequest,
        at_unix_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        if self.catalog().volume(&request.name).is_ok() {
            let volume = request.name;
            return Err(CatalogError::VolumeExists { volume }.into());
        }
        self.admit(Wanted::CLONE, &request.source)?;
        let (source, mut changes) = self.source(writer, &request, at_unix_ms).await?;
        let made = self.clone_from(writer, &source, &request).await;
        if source.unlisted {
            let (open, dataset) = (Arc::clone(&source.member.open), source.dataset);
            run_blocking(move || delete_datasets(&open, &[dataset])).await?;
        }
        changes.extend(made?);
        Ok(changes)
    }

    /// The snapshot that a clone is made from, which may have to be taken.
    async fn source(
        &self,
        writer: &Writer,
        request: &CloneRequest,
        at_unix_ms: u64,
    ) -> Result<(Source, Vec<Change>), ChangeError> {
        let volume = &request.source.volume;
        if let Some(name) = &request.source.snapshot {
            let member = self.member(volume)?;
            let found = member.find(name)?;
            let source = Source {
                member,
                snapshot: found.name,
                dataset: found.id,
                size_bytes: found.size_bytes,
                unlisted: false,
            };
            return Ok((source, Vec::new()));
        }
        // Names of volumes and of snapshots follow the same rules.
        let name = SnapshotName::new(request.name.as_str())
            .map_err(|error| ChangeError::Defect(error.to_string()))?;
        if request.linked {
            let occasion = Occasion {
                cause: Cause::Clone,
                group: None,
                quiesced: false,
                at_unix_ms,
            };
            let wanted = [(volume.clone(), name.clone())];
            let (changes, _) = self.take(writer, &wanted, &occasion).await?;
            let member = self.member(volume)?;
            let found = member.find(&name)?;
            let source = Source {
                member,
                snapshot: name,
                dataset: found.id,
                size_bytes: found.size_bytes,
                unlisted: false,
            };
            return Ok((source, changes));
        }
        let (member, changes) = self.member_or_new(writer, volume).await?;
        let dataset = DatasetId(Uuid::new_v4());
        let cut = member.clone();
        run_blocking(move || -> Result<(), VolumeError> {
            let (engine, head) = (Arc::clone(&cut.open.engine), *cut.head.0.as_bytes());
            Family::snapshot(&[(engine, head, *dataset.0.as_bytes())])?;
            // The clone has from its first moment on what it will have after a crash.
            cut.store.flush_blocking()
        })
        .await??;
        let source = Source {
            snapshot: name,
            dataset,
            size_bytes: member.store.size(),
            unlisted: true,
            member,
        };
        Ok((source, changes))
    }

    async fn clone_from(
        &self,
        writer: &Writer,
        source: &Source,
        request: &CloneRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        let member = &source.member;
        let head = DatasetId(Uuid::new_v4());
        let id = VolumeId(Uuid::new_v4());
        let hydration = match request.full {
            None => None,
            Some(full) => {
                let rate = full.bytes_per_second;
                Some(
                    self.new_hydration(&request.name, id, false, rate, &[])
                        .await?,
                )
            }
        };
        let new = NewClone {
            name: request.name.clone(),
            id,
            place: Place {
                family: member.family.id(),
                dataset: head,
            },
            size_bytes: source.size_bytes,
            block_size: member.record.block_size,
            write_cache: member.record.write_cache,
            origin: Origin {
                volume: member.record.name.clone(),
                snapshot: source.snapshot.clone(),
                dataset: source.dataset,
                linked: request.linked,
                copied: false,
            },
            hydration,
        };
        let command = Command::CreateClone(new);
        // The rules first: blocks aren't shared for a name that is taken.
        (*self.catalog()).clone().apply(command.clone())?;
        let options = MappedOptions {
            block_size: member.record.block_size.bytes(),
            size: source.size_bytes,
            read_only: false,
        };
        let (open, dataset) = (Arc::clone(&member.open), source.dataset);
        let store = run_blocking(move || -> Result<Arc<Volume>, ChangeError> {
            let head = *head.0.as_bytes();
            open.engine.clone_of(*dataset.0.as_bytes(), head)?;
            Ok(open.engine.volume(head, &options)?)
        })
        .await??;
        match self.save(writer, command).await {
            Ok((catalog, changes)) => {
                self.install(catalog, &changes, Some(&store));
                self.begin_hydrating(&changes);
                Ok(changes)
            }
            // Nothing tells of the head, so the next start deletes it; the catalog may after all.
            Err(error) => Err(error),
        }
    }
}
