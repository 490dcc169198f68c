//! The way back to a plain file: a volume that shares its blocks with nobody any more has them brought home
//! while hosts go on, and is a file of its own again. Until that is so the catalog says otherwise, and a
//! crash at any instant leaves one of both.
//!
//! A volume that was opened as a head has no file of its own to go on with; it is a plain file when the
//! daemon starts the next time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidelock_catalog::{Backing, Catalog, Change, Command, DatasetId, Integrity, VolumeName};
use tidelock_replication::{MappedOptions, Progress, Volume, VolumeError};

use super::changes::{ChangeError, run_blocking};
use super::families::{OpenFamily, ServedFamily, remove_folder};
use super::served::ServedVolume;
use super::{Registry, Writer};

/// How long bringing blocks home may hold up the start, for each volume.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// The longest pause between two steps.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// A volume that shares its blocks with nobody any more.
struct Lonely {
    name: VolumeName,
    family: Arc<ServedFamily>,
    open: Arc<OpenFamily>,
    head: DatasetId,
    block_size: u32,
    size: u64,
}

impl Registry {
    /// Brings the blocks of one volume home that shares them with nobody any more, if there is one. Returns
    /// when that is done, or is to be done no longer.
    pub async fn fold_back(self: &Arc<Self>) -> Vec<Change> {
        if !self.is_loaded() || self.stopping.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let catalog = self.catalog();
        let lonely = self.lonely(&catalog).into_iter().find_map(|lonely| {
            let served = self.volume(&lonely.name)?;
            let store = served.store().filter(|store| store.is_fenced().is_none())?;
            (!served.is_folded()).then_some((lonely, served, store))
        });
        let Some((lonely, served, store)) = lonely else {
            return Vec::new();
        };
        let name = lonely.name.clone();
        let done = self
            .detached(async move |this| this.fold(lonely, served, store).await)
            .await;
        done.unwrap_or_else(|error| {
            tracing::warn!(volume = %name, %error, "its blocks can't be brought home");
            Vec::new()
        })
    }

    async fn fold(
        &self,
        lonely: Lonely,
        served: Arc<ServedVolume>,
        store: Arc<Volume>,
    ) -> Result<Vec<Change>, ChangeError> {
        let _one_at_a_time = self.folding.lock().await;
        let (open, head) = (Arc::clone(&lonely.open), *lonely.head.0.as_bytes());
        let (stopping, told) = (Arc::clone(&self.stopping), Arc::clone(&served));
        let folded = run_blocking(move || {
            let mut begun = Instant::now();
            let mut done = false;
            let folded = open.engine.fold(head, &mut |progress| {
                told.set_folding(Some(percent(progress)));
                done = progress.done >= progress.total;
                // Hosts come first: at most half of the time is taken from them.
                std::thread::sleep(begun.elapsed().min(PAUSE_MAX));
                begun = Instant::now();
                let is_wanted = is_alone(&open) && !stopping.load(Ordering::SeqCst);
                match is_wanted {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
            told.set_folding(None);
            folded.map(|()| done)
        })
        .await??;
        if !folded {
            return Ok(Vec::new());
        }
        if !served.is_of_file() {
            // The next start does the rest, which is little by then.
            served.set_folded();
            return Ok(Vec::new());
        }
        let writer = self.writer.lock().await;
        let is_still = |other: &Lonely| other.name == lonely.name && other.head == lonely.head;
        let catalog = self.catalog();
        if !self.lonely(&catalog).iter().any(is_still) {
            return Ok(Vec::new());
        }
        let (open, released) = (Arc::clone(&lonely.open), Arc::clone(&store));
        run_blocking(move || open.engine.release(&released, head)).await??;
        tracing::info!(volume = %lonely.name, "shares nothing any more: it is a plain file again");
        self.leave(&writer, &lonely).await
    }

    /// Makes volumes plain files that share nothing any more and have all or nearly all of their blocks at
    /// home, before anybody can see them.
    pub(super) async fn fold_at_start(&self, writer: &Writer) {
        let catalog = self.catalog();
        for lonely in self.lonely(&catalog) {
            if self
                .volume(&lonely.name)
                .is_some_and(|served| served.store().is_some())
            {
                continue;
            }
            let (open, head) = (Arc::clone(&lonely.open), lonely.head);
            let options = MappedOptions {
                block_size: lonely.block_size,
                size: lonely.size,
                read_only: false,
            };
            let folded = run_blocking(move || come_home(&open, head, &options)).await;
            let left = match folded {
                Ok(Ok(true)) => self.leave(writer, &lonely).await.map(drop),
                Ok(Ok(false)) => Ok(()),
                Ok(Err(error)) => Err(error.into()),
                Err(error) => Err(error),
            };
            if let Err(error) = left {
                tracing::warn!(volume = %lonely.name, %error, "it isn't a plain file yet");
            }
        }
    }

    /// The volumes that share their blocks with nobody any more and have a file to go back to. One of which
    /// snapshots are taken again and again will share them soon.
    fn lonely(&self, catalog: &Catalog) -> Vec<Lonely> {
        let lonely = catalog.volumes().filter_map(|volume| {
            let Backing::Head(place) = volume.backing else {
                return None;
            };
            let record = catalog.family(place.family)?;
            if volume.integrity == Integrity::Full {
                return None;
            }
            let of_mirror = catalog.mirror_of(&volume.name);
            if of_mirror.is_some_and(|it| it.mode.rpo_ms().is_some()) {
                return None;
            }
            let is_home = volume.path.as_ref() == Some(&record.home.path);
            let is_only = catalog.heads(place.family).count() == 1;
            if !is_home || !is_only || catalog.schedule(&volume.name).is_some() {
                return None;
            }
            let family = self.families.get(place.family)?;
            let open = family.open_family().ok()?;
            is_alone(&open).then(|| Lonely {
                name: volume.name.clone(),
                family,
                open,
                head: place.dataset,
                block_size: volume.block_size.bytes(),
                size: volume.size_bytes,
            })
        });
        lonely.collect()
    }

    /// The catalog says so now, and what is left of the family goes.
    async fn leave(&self, writer: &Writer, lonely: &Lonely) -> Result<Vec<Change>, ChangeError> {
        let command = Command::LeaveFamily {
            volume: lonely.name.clone(),
        };
        let (catalog, changes) = self.save(writer, command).await?;
        self.families.remove(lonely.family.id());
        self.install(catalog, &changes, None);
        let family = Arc::clone(&lonely.family);
        run_blocking(move || {
            if let Err(error) = family.close() {
                tracing::warn!(family = %family.id(), %error, "closing what isn't needed any more");
            }
            remove_folder(family.folder());
        })
        .await?;
        Ok(changes)
    }
}

/// Whether a family has one head and nothing else, not even something that is being deleted.
fn is_alone(open: &OpenFamily) -> bool {
    let no_snapshot = open.look(tidelock_catalog::SnapshotList::is_empty);
    no_snapshot.unwrap_or(false) && open.engine.datasets().len() == 1
}

fn percent(progress: Progress) -> u8 {
    let total = u128::from(progress.total.max(1));
    let percent = u128::from(progress.done) * 100 / total;
    u8::try_from(percent).unwrap_or(100).min(100)
}

/// Brings everything home; false if that takes too long. Blocks.
fn come_home(
    open: &OpenFamily,
    head: DatasetId,
    options: &MappedOptions,
) -> Result<bool, VolumeError> {
    let (until, head) = (Instant::now() + START_PATIENCE, *head.0.as_bytes());
    // Only so that the family knows how large it is: it is never served.
    let volume = open.engine.volume(head, options)?;
    let mut done = false;
    open.engine.fold(head, &mut |progress| {
        done = progress.done >= progress.total;
        match Instant::now() < until {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    if done {
        open.engine.release(&volume, head)?;
    }
    Ok(done)
}
