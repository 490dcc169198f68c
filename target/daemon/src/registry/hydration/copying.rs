//! The copying itself, piece by piece, with rests for the hosts. Everything here blocks.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tidelock_replication::{CopyOut, CreateOptions, OpenOptions, Volume, VolumeError};

use super::pacing::Rest;
use crate::directory::Directory;
use crate::jobs::RunningJob;

/// How long is copied before somebody looks what is to be done next.
const BURST: Duration = Duration::from_millis(500);
/// How long hosts are held back at a time.
const HELD: Duration = Duration::from_millis(40);
/// The longest piece of a rest, after which is looked whether it is still wanted.
const NAP: Duration = Duration::from_millis(50);
/// The part of the file system that is left to the hosts: one of so many.
const SPARE_PART: u64 = 50;
/// Bytes that are left to them at the most.
const SPARE_MAX: u64 = 1 << 30;

/// What a copy looks at while it is under way.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    pub(super) job: Arc<RunningJob>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) directory: Arc<Directory>,
}

impl Watcher {
    pub(super) fn is_wanted(&self) -> bool {
        !self.job.is_cancelled() && !self.stopping.load(Ordering::SeqCst)
    }

    /// Rests, unless it isn't wanted any more.
    pub(super) fn rest(&self, long: Duration) {
        let until = Instant::now() + long;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.is_wanted() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    fn commands(&self) -> u64 {
        self.directory.totals().0
    }
}

/// How is copied now.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) rest: Rest,
    /// The volume, and for so many of a hundred parts of the time hosts are kept off it.
    pub(super) hold: Option<(Arc<Volume>, u8)>,
}

/// Copies for a while: how many bytes, and whether that was all.
pub(super) fn burst(
    copy: &mut CopyOut,
    to: &Volume,
    manner: &Manner,
    watcher: &Watcher,
) -> Result<(u64, bool), VolumeError> {
    let until = Instant::now() + BURST;
    let mut copied = 0;
    let mut commands = watcher.commands();
    while Instant::now() < until && watcher.is_wanted() {
        if let Some((volume, percent)) = &manner.hold {
            let held = volume.hold()?;
            let (bytes, done) = for_a_while(copy, to, HELD)?;
            drop(held);
            copied += bytes;
            if done {
                return Ok((copied, true));
            }
            let percent = u32::from(*percent).clamp(1, 99);
            // Hosts have their part of the time, and the copy goes on meanwhile.
            let (bytes, done) = for_a_while(copy, to, HELD * (100 - percent) / percent)?;
            copied += bytes;
            if done {
                return Ok((copied, true));
            }
            continue;
        }
        let begun = Instant::now();
        check_space(to)?;
        let Some(bytes) = copy.step()? else {
            return Ok((copied, true));
        };
        copied += bytes;
        let now = watcher.commands();
        let rest = manner.rest.after(bytes, begun.elapsed(), now != commands);
        commands = now;
        watcher.rest(rest);
    }
    Ok((copied, false))
}

fn for_a_while(
    copy: &mut CopyOut,
    to: &Volume,
    long: Duration,
) -> Result<(u64, bool), VolumeError> {
    let until = Instant::now() + long;
    let mut copied = 0;
    loop {
        check_space(to)?;
        let Some(bytes) = copy.step()? else {
            return Ok((copied, true));
        };
        copied += bytes;
        if Instant::now() >= until {
            return Ok((copied, false));
        }
    }
}

/// Copies all that is left.
pub(super) fn to_the_end(copy: &mut CopyOut) -> Result<(), VolumeError> {
    while copy.step()?.is_some() {}
    Ok(())
}

/// The last of the space is for what hosts write: it would be taken from them.
fn check_space(to: &Volume) -> Result<(), VolumeError> {
    let Some(space) = to.pool_space()? else {
        return Ok(());
    };
    let spare = (space.total / SPARE_PART).min(SPARE_MAX);
    if space.available > spare {
        return Ok(());
    }
    Err(VolumeError::NoSpace {
        path: to.path().to_path_buf(),
        needed: spare,
        free: Some(space.available),
    })
}

/// The file that a clone gets: the one that is there, or a new one.
pub(super) fn target(
    options: &OpenOptions,
    size: u64,
    is_begun: bool,
) -> Result<Option<Arc<Volume>>, VolumeError> {
    let is_there = options.path.exists();
    if is_begun {
        if !is_there {
            return Ok(None);
        }
        let to = Volume::open(options)?;
        to.resize(size)?;
        return Ok(Some(to));
    }
    if is_there {
        // A crash came before it was written down that there is something in it.
        remove(options)?;
    }
    let create = CreateOptions {
        open: options.clone(),
        size,
        preallocate: false,
    };
    let created = Volume::create(&create)?;
    crate::steps::reached(&options.path);
    Ok(Some(created))
}

/// Removes an unfinished file, durably. Only ever through the open, locked file: another daemon may have it open,
/// after a state folder was copied.
pub(super) fn remove(options: &OpenOptions) -> Result<(), VolumeError> {
    if !options.path.exists() {
        return Ok(());
    }
    let size = std::fs::metadata(&options.path).map_or(0, |file| file.len());
    if size == 0 {
        // It was made and hadn't its size yet: a volume has one.
        return remove_empty(&options.path);
    }
    Volume::open(options)?.remove_file()?;
    crate::steps::reached(&options.path);
    Ok(())
}

fn remove_empty(path: &Path) -> Result<(), VolumeError> {
    let removed = std::fs::remove_file(path);
    let durable = removed.and_then(|()| match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    });
    durable.map_err(|error| VolumeError::Family {
        folder: path.to_path_buf(),
        what: format!("what was left of it can't be removed: {error}"),
    })
}
