//! The hidden snapshots of volumes that are in mirrors, as far as the catalog and the families have to do with them: how
//! a volume gets a family when it needs one, which snapshots are hidden, and how people get one that has what was
//! dropped. Knows nothing of what ends do with them.

use std::sync::{Arc, Weak};

use tidelock_catalog::snapshots::Cause;
use tidelock_catalog::{
    Backing, Catalog, CatalogError, Change, DatasetId, ListChange, MirrorEnd, MirrorId, Snapshot,
    SnapshotRef, VolumeName, schedule,
};
use tidelock_mirror::id::NodeId;
use tidelock_replication::Id;
use tidelock_replication::mirror::{Hidden, SnapshotKeeper, Untaken, take_hidden};
use uuid::Uuid;

use super::Registry;
use super::facts::SIDES;
use crate::events::unix_ms;
use crate::mirrors::end::Which;
use crate::registry::Writer;
use crate::registry::changes::{ChangeError, run_blocking};
use crate::registry::families::OpenFamily;
use crate::registry::snapshots::free_name;

/// Where the ends of mirrors get snapshots from.
#[derive(Debug)]
pub(super) struct Albums {
    registry: Weak<Registry>,
    runtime: tokio::runtime::Handle,
}

/// The snapshots of one end's volume.
struct Album {
    registry: Weak<Registry>,
    runtime: tokio::runtime::Handle,
    mirror: MirrorId,
    node: Uuid,
}

impl crate::mirrors::end::Albums for Albums {
    fn of(&self, which: Which) -> Arc<dyn SnapshotKeeper> {
        Arc::new(Album {
            registry: self.registry.clone(),
            runtime: self.runtime.clone(),
            mirror: MirrorId(Uuid::from_u128(which.mirror.0)),
            node: Uuid::from_u128(which.me.0),
        })
    }
}

impl Album {
    /// The registry, and the volume that is this end there.
    fn find(&self) -> Result<(Arc<Registry>, VolumeName), String> {
        let registry = self.registry.upgrade();
        let registry = registry.ok_or("the daemon is about to end")?;
        let catalog = registry.catalog();
        let end = end_of(&catalog, |it| it.node == self.node, self.mirror);
        let volume = end.ok_or("the mirror isn't there any more")?.volume.clone();
        Ok((registry, volume))
    }
}

impl SnapshotKeeper for Album {
    fn take(&self, id: Id) -> Result<(), Untaken> {
        let (registry, volume) = self.find().map_err(Untaken::Failed)?;
        let taken = registry.take_hidden(self.mirror, volume, id);
        match self.runtime.block_on(taken) {
            Ok(changes) => {
                registry.tell_changes(&changes);
                Ok(())
            }
            Err(ChangeError::Loading) => Err(Untaken::NotYet),
            Err(error) => Err(Untaken::Failed(error.to_string())),
        }
    }

    fn keep(&self, id: Id) -> Result<(), String> {
        let (registry, volume) = self.find()?;
        registry.keep_dropped(volume.as_str(), id)
    }

    fn has(&self, id: Id) -> bool {
        // What nobody knows isn't deleted.
        self.find().map_or(true, |(registry, volume)| {
            registry.has_snapshot(volume.as_str(), id)
        })
    }
}

/// Whether a dataset is a hidden snapshot of a mirror.
pub(in crate::registry) fn is_hidden(catalog: &Catalog, dataset: DatasetId) -> bool {
    let mut ends = catalog.mirrors().flat_map(|it| [&it.first, &it.second]);
    ends.any(|end| {
        let node = NodeId(end.node.as_u128());
        Hidden::of(*dataset.0.as_bytes(), node).is_some()
    })
}

fn end_of(
    catalog: &Catalog,
    is_it: impl Fn(&MirrorEnd) -> bool,
    mirror: MirrorId,
) -> Option<&MirrorEnd> {
    let mirror = catalog.mirrors().find(|it| it.id == mirror)?;
    let mut ends = SIDES.into_iter().map(|side| mirror.end(side));
    ends.find(|end| end.is_here() && is_it(end))
}

impl Registry {
    /// Says who has the snapshots, from now on.
    pub(super) fn know_albums(self: &Arc<Self>) {
        self.mirrors.albums.get_or_init(|| {
            Arc::new(Albums {
                registry: Arc::downgrade(self),
                runtime: tokio::runtime::Handle::current(),
            })
        });
    }

    /// Makes heads of families of volumes that are files: the ends of an asynchronous mirror need snapshots all the time.
    pub(super) async fn have_families(
        &self,
        writer: &Writer,
        volumes: &[&VolumeName],
    ) -> Result<Vec<Change>, ChangeError> {
        let mut changes = Vec::new();
        for volume in volumes {
            let (_, joined) = self.member_or_new(writer, volume).await?;
            changes.extend(joined);
        }
        Ok(changes)
    }

    /// Takes a hidden snapshot of a volume in a mirror, which becomes the head of a family first if it is a file.
    async fn take_hidden(
        self: &Arc<Self>,
        mirror: MirrorId,
        volume: VolumeName,
        id: Id,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let catalog = this.catalog();
            let still = end_of(&catalog, |it| it.volume == volume, mirror).is_some();
            if !still {
                return Err(CatalogError::NotMirrored { volume }.into());
            }
            if catalog.volume(&volume)?.backing == Backing::Raw {
                this.check_room(&volume, id)?;
            }
            let (member, changes) = this.member_or_new(&writer, &volume).await?;
            let store = Arc::clone(&member.store);
            run_blocking(move || take_hidden(&store, id)).await??;
            Ok(changes)
        })
        .await
    }

    /// Whoever watches hears of it.
    fn tell_changes(&self, changes: &[Change]) {
        if !changes.is_empty() {
            let _ = self.mirrors.changes.send(changes.to_vec());
        }
    }

    /// A file whose blocks are shared with a snapshot from now on is written where families are: there has to be room for
    /// all of it, or the resync would end for want of space, which matters more than an image meanwhile.
    fn check_room(&self, volume: &VolumeName, id: Id) -> Result<(), ChangeError> {
        let (_, _, store) = self.ready(volume)?;
        let is_dropped = self.catalog().mirrors().any(|mirror| {
            let of = |end: &MirrorEnd| Hidden::of(id, NodeId(end.node.as_u128()));
            [&mirror.first, &mirror.second]
                .map(of)
                .contains(&Some(Hidden::Dropped))
        });
        let free = self.families.free_bytes();
        if !is_dropped && free.is_none_or(|free| free < store.size()) {
            return Err(ChangeError::Mirror(format!(
                "volume {volume} is a plain file, and where families are kept there is less room than it has bytes"
            )));
        }
        Ok(())
    }

    /// Whether people have a snapshot.
    pub(super) fn has_snapshot(&self, volume: &str, id: Id) -> bool {
        let id = DatasetId(Uuid::from_bytes(id));
        let has = self.family_of(volume).map(|open| {
            let found = open.look(|list| list.get(id).is_some());
            found.unwrap_or(true)
        });
        has.unwrap_or(true)
    }

    fn family_of(&self, volume: &str) -> Option<Arc<OpenFamily>> {
        let catalog = self.catalog();
        let name = VolumeName::new(volume).ok()?;
        let place = catalog.volume(&name).ok()?.backing.place()?;
        self.families.get(place.family)?.open_family().ok()
    }

    /// Lets people have what was dropped after a split brain, or by a restore. Blocks.
    pub(super) fn keep_dropped(&self, volume: &str, id: Id) -> Result<(), String> {
        let volume = &VolumeName::new(volume).map_err(|error| error.to_string())?;
        let catalog = self.catalog();
        let record = catalog.volume(volume).map_err(|error| error.to_string())?;
        let open = self
            .family_of(volume.as_str())
            .ok_or("its family isn't open")?;
        let id = DatasetId(Uuid::from_bytes(id));
        let at_unix_ms = unix_ms(std::time::SystemTime::now());
        let restored = self.restored_from(volume);
        let first = match restored {
            Some(_) => schedule::safety_name(at_unix_ms),
            None => schedule::dropped_name(at_unix_ms),
        };
        let name = open.look(|list| match list.get(id) {
            Some(_) => Ok(None),
            None => first
                .and_then(|first| free_name(list, record.id, first))
                .map(Some)
                .ok_or("no name is left for it"),
        });
        let Some(name) = name.map_err(|error| error.to_string())?? else {
            return Ok(());
        };
        let snapshot = Snapshot {
            id,
            volume: record.id,
            name: name.clone(),
            at_unix_ms,
            size_bytes: record.size_bytes,
            cause: restored.map_or(Cause::SplitBrain, |to| Cause::Restore { to }),
            set: None,
            pending: false,
            quiesced: false,
        };
        open.add(&[ListChange::Add(snapshot)])
            .map_err(|error| error.to_string())?;
        match restored {
            Some(_) => {
                tracing::info!(%volume, snapshot = %name, "what was there before a restore is kept as a snapshot");
            }
            None => {
                tracing::warn!(%volume, snapshot = %name, "what was dropped after a split brain is kept as a snapshot");
            }
        }
        self.tell_changes(&[Change::SnapshotCreated(SnapshotRef {
            volume: volume.clone(),
            snapshot: name,
        })]);
        Ok(())
    }
}
