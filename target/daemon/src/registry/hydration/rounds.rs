//! The rounds of a hydration, and the moment in which the clone becomes its file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_catalog::{Change, Command, DatasetId, Hydration, HydrationProgress, VolumeId};
use tidelock_replication::{CopyOut, CopyOutOptions, Family, Volume, VolumeError};
use uuid::Uuid;

use super::Halt;
use super::copying::{self, Manner, Watcher};
use super::pacing::{Next, Rest, Rounds};
use super::parting::{Ended, Ending};
use crate::registry::Registry;
use crate::registry::changes::{ChangeError, run_blocking};
use crate::registry::removal::delete_datasets;
use crate::registry::snapshots::Member;

/// How long is copied before it is made durable and written down how far it is.
const NOTE: Duration = Duration::from_secs(10);

/// A round: a snapshot, or what differs from the one before.
struct Round {
    member: Member,
    to: Arc<Volume>,
    /// As it is written down.
    progress: HydrationProgress,
    /// Bytes that were copied, of those that are known by now.
    done: u64,
    total: u64,
}

/// How trying to end it went.
enum Last {
    Parted(Vec<Change>),
    TooMuch,
}

impl Registry {
    /// All rounds. What is returned has changed by it.
    pub(super) async fn go_through(
        &self,
        id: VolumeId,
        watcher: &Watcher,
    ) -> Result<Vec<Change>, Halt> {
        let (member, hydration) = self.hydrating(id)?;
        let to = self.own_target(&member, &hydration).await?;
        let (progress, to) = match to {
            Some(to) => (hydration.progress, to),
            None => {
                // Somebody has removed it: all of it once more.
                let progress = HydrationProgress::default();
                self.note(id, progress).await?;
                self.forget_snapshots(&member, &hydration.progress).await?;
                let fresh = Hydration {
                    progress,
                    ..hydration.clone()
                };
                let to = self.own_target(&member, &fresh).await?;
                (progress, to.ok_or(Halt::Gone)?)
            }
        };
        let mut round = Round {
            member,
            to,
            progress,
            done: 0,
            total: 0,
        };
        let rest = Rest {
            bytes_per_second: hydration.bytes_per_second,
        };
        let mut manner = Manner { rest, hold: None };
        let mut rounds = Rounds::default();
        loop {
            self.one_round(id, &mut round, &manner, watcher).await?;
            let mut next = rounds.after(left(&round, watcher).await?);
            if next == Next::Last {
                match self.last(id, &mut round, watcher).await? {
                    Last::Parted(changes) => return Ok(changes),
                    Last::TooMuch => next = rounds.was_too_much(),
                }
            }
            match next {
                Next::GiveUp => {
                    let text = "hosts write faster to it than it can be copied, also while they are held back; \
                                try again when they have less to do";
                    return Err(Halt::Failed(text.to_owned()));
                }
                Next::Last => {}
                Next::Round {
                    limited,
                    held_percent,
                } => {
                    manner.rest.bytes_per_second = hydration.bytes_per_second.filter(|_| limited);
                    let store = Arc::clone(&round.member.store);
                    manner.hold = (held_percent > 0).then_some((store, held_percent));
                }
            }
        }
    }

    /// The file that the clone gets; `None` if it should be there and isn't.
    async fn own_target(
        &self,
        member: &Member,
        hydration: &Hydration,
    ) -> Result<Option<Arc<Volume>>, Halt> {
        let options = self.own_file(&member.record, hydration);
        let size = member.store.size();
        let HydrationProgress {
            base, from_bytes, ..
        } = hydration.progress;
        let is_begun = base.is_some() || from_bytes > 0;
        Ok(run_blocking(move || copying::target(&options, size, is_begun)).await??)
    }

    /// Copies what the next snapshot has that the file hasn't.
    async fn one_round(
        &self,
        id: VolumeId,
        round: &mut Round,
        manner: &Manner,
        watcher: &Watcher,
    ) -> Result<(), Halt> {
        let next = match round.progress.next {
            Some(next) => next,
            None => self.next_snapshot(id, round).await?,
        };
        let size = round.member.store.size();
        let (to, family) = (Arc::clone(&round.to), Arc::clone(&round.member.open.engine));
        let since = round.progress.base;
        let from = round.progress.from_bytes;
        let wanted = watcher.clone();
        let (mut copy, before, all) = run_blocking(move || -> Result<_, VolumeError> {
            to.resize(size)?;
            // What is copied must not be something else after a crash.
            family.settle(*next.0.as_bytes())?;
            let copy = begin(&family, next, since, &to, from)?;
            let (before, all) = copy.measure(from, || wanted.is_wanted())?;
            Ok((copy, before, all))
        })
        .await??;
        round.total += all;
        round.done += before;
        watcher.job.progress(round.done, round.total);
        let mut noted = Instant::now();
        loop {
            let (to, manner, wanted) = (Arc::clone(&round.to), manner.clone(), watcher.clone());
            let (returned, burst) = run_blocking(move || {
                let burst = copying::burst(&mut copy, &to, &manner, &wanted);
                (copy, burst)
            })
            .await?;
            copy = returned;
            let is_over = !watcher.is_wanted() || burst.is_err();
            let (bytes, done) = burst.as_ref().copied().unwrap_or_default();
            round.done += bytes;
            if burst.is_ok() {
                watcher
                    .job
                    .progress(round.done.min(round.total), round.total);
            }
            if done {
                break;
            }
            if noted.elapsed() >= NOTE || (is_over && !watcher.job.is_cancelled()) {
                self.note_position(id, round, copy.position()).await?;
                noted = Instant::now();
            }
            burst?;
            if !watcher.is_wanted() {
                return Err(match watcher.job.is_cancelled() {
                    true => Halt::Cancelled,
                    false => Halt::Stopping,
                });
            }
        }
        let old = round.progress.base;
        let has_all = HydrationProgress {
            base: Some(next),
            next: None,
            from_bytes: 0,
        };
        self.note_durably(id, round, has_all).await?;
        let open = Arc::clone(&round.member.open);
        run_blocking(move || delete_datasets(&open, old.as_slice())).await?;
        Ok(())
    }

    async fn note_position(
        &self,
        id: VolumeId,
        round: &mut Round,
        from_bytes: u64,
    ) -> Result<(), Halt> {
        let progress = HydrationProgress {
            from_bytes,
            ..round.progress
        };
        self.note_durably(id, round, progress).await
    }

    async fn note_durably(
        &self,
        id: VolumeId,
        round: &mut Round,
        progress: HydrationProgress,
    ) -> Result<(), Halt> {
        let to = Arc::clone(&round.to);
        run_blocking(move || to.flush_blocking()).await??;
        self.note(id, progress).await?;
        round.progress = progress;
        Ok(())
    }

    /// A snapshot of the clone that nobody is told of.
    async fn next_snapshot(&self, id: VolumeId, round: &mut Round) -> Result<DatasetId, Halt> {
        let writer = self.writer.lock().await;
        let (member, _) = self.hydrating(id)?;
        let next = DatasetId(Uuid::new_v4());
        let (engine, head) = (Arc::clone(&member.open.engine), *member.head.0.as_bytes());
        run_blocking(move || Family::snapshot(&[(engine, head, *next.0.as_bytes())])).await??;
        let progress = HydrationProgress {
            next: Some(next),
            from_bytes: 0,
            ..round.progress
        };
        let command = Command::NoteHydration {
            volume: member.record.name.clone(),
            progress,
        };
        match self.save(&writer, command).await {
            Ok((catalog, changes)) => self.install(catalog, &changes, None),
            Err(error) => {
                let open = Arc::clone(&member.open);
                run_blocking(move || delete_datasets(&open, &[next])).await?;
                return Err(error.into());
            }
        }
        round.progress = progress;
        round.member = member;
        Ok(next)
    }

    /// Makes durable how far it is.
    pub(super) async fn note(&self, id: VolumeId, progress: HydrationProgress) -> Result<(), Halt> {
        let writer = self.writer.lock().await;
        let (member, _) = self.hydrating(id)?;
        let volume = member.record.name.clone();
        let command = Command::NoteHydration { volume, progress };
        let (catalog, changes) = self.save(&writer, command).await?;
        self.install(catalog, &changes, None);
        Ok(())
    }

    /// Copies what is left while hosts wait, and lets the clone be its file.
    ///
    /// What is copied is a snapshot here as well, and written down before the file gets anything of it: if this
    /// comes to nothing, the file must not have blocks of which the next difference knows nothing, as those are
    /// that hosts unmap until then.
    async fn last(&self, id: VolumeId, round: &mut Round, watcher: &Watcher) -> Result<Last, Halt> {
        let writer = self.writer.lock().await;
        let (member, hydration) = self.hydrating(id)?;
        let Some(base) = hydration.progress.base else {
            return Ok(Last::TooMuch);
        };
        let next = DatasetId(Uuid::new_v4());
        let progress = HydrationProgress {
            base: Some(base),
            next: Some(next),
            from_bytes: 0,
        };
        let volume = member.record.name.clone();
        let mut noted = (*self.catalog()).clone();
        let note = Command::NoteHydration {
            volume: volume.clone(),
            progress,
        };
        let noting = noted.apply(note).map_err(ChangeError::from)?;
        let mut catalog = noted.clone();
        let part = Command::PartClone { volume };
        let changes = catalog.apply(part).map_err(ChangeError::from)?;
        let is_last = changes
            .iter()
            .any(|change| matches!(change, Change::FamilyDeleted(_)));
        let ending = Ending {
            left: is_last.then(|| member.family.folder().to_path_buf()),
            member: member.clone(),
            to: Arc::clone(&round.to),
            file: Arc::clone(&writer.file),
            base,
            next,
            noted: noted.encode(),
            parted: catalog.encode(),
        };
        let ended = run_blocking(move || ending.run()).await??;
        let parted = match ended {
            Ended::TooMuch => return Ok(Last::TooMuch),
            Ended::NotNoted(error) => return Err(ChangeError::from(error).into()),
            Ended::Noted(parted) => parted,
        };
        round.progress = progress;
        let hydration = Hydration {
            progress,
            ..hydration
        };
        let failed = match parted {
            Ok(None) => {
                watcher.job.progress(round.total, round.total);
                self.has_parted(&member, &hydration, catalog, &changes)
                    .await?;
                return Ok(Last::Parted(changes));
            }
            Ok(Some(reason)) => Halt::Failed(reason),
            Err(error) => error.into(),
        };
        self.install(noted, &noting, None);
        Err(failed)
    }
}

/// What the file hasn't by now.
async fn left(round: &Round, watcher: &Watcher) -> Result<u64, Halt> {
    let Some(base) = round.progress.base else {
        return Ok(u64::MAX);
    };
    let (family, to) = (Arc::clone(&round.member.open.engine), Arc::clone(&round.to));
    let (head, size, wanted) = (
        round.member.head,
        round.member.store.size(),
        watcher.clone(),
    );
    let (_, left) = run_blocking(move || {
        to.resize(size)?;
        let copy = begin(&family, head, Some(base), &to, 0)?;
        copy.measure(0, || wanted.is_wanted())
    })
    .await??;
    Ok(left)
}

pub(super) fn begin(
    family: &Arc<Family>,
    what: DatasetId,
    since: Option<DatasetId>,
    to: &Arc<Volume>,
    from: u64,
) -> Result<CopyOut, VolumeError> {
    family.copy_out(CopyOutOptions {
        what: *what.0.as_bytes(),
        since: since.map(|id| *id.0.as_bytes()),
        to: Arc::clone(to),
        from,
    })
}
