//! A whole volume for one thread alone, while hosts wait: to make it something else. Everything here
//! **blocks**.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidelock_volume::Range;

use super::Volume;
use crate::error::VolumeError;
use crate::ranges::Alone;

/// How long operations under way may take to end; hosts' commands wait meanwhile.
const QUIET: Duration = Duration::from_secs(5);

/// A volume on which no operation is at work and none begins, until this is dropped.
#[derive(Debug)]
pub struct Held<'a> {
    volume: &'a Volume,
    _below: Alone<'a>,
    _alone: Alone<'a>,
}

/// Whether what was to be made durable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is.
    Yes,
    /// It isn't, and won't be found by a restart.
    No,
    /// Nobody knows what a restart will find.
    Unknown,
}

impl Volume {
    /// Keeps hosts off the whole volume. Waits for the operations under way.
    ///
    /// # Errors
    /// They don't end in time.
    pub fn hold(&self) -> Result<Held<'_>, VolumeError> {
        let whole = Range {
            offset: 0,
            length: u64::MAX,
        };
        let not_quiet = || VolumeError::NotQuiet {
            path: self.path().to_path_buf(),
            seconds: QUIET.as_secs(),
        };
        // Commands of hosts may wait for what is done below their mirror, which waits for nobody.
        let alone = self.locks().lock_waiting(whole, QUIET);
        let alone = alone.ok_or_else(not_quiet)?;
        let below = self.locks_below().lock_waiting(whole, QUIET);
        let below = below.ok_or_else(not_quiet)?;
        Ok(Held {
            volume: self,
            _below: below,
            _alone: alone,
        })
    }
}

impl Held<'_> {
    /// The head of a family becomes a raw volume: what `to` is, which has all that the head has. That is made
    /// durable, then `commit` makes it durable that it is so, and from that instant on what hosts write goes to the
    /// file of `to`, which nobody else may use. True if it has come to that; otherwise the volume is as it was, and
    /// fenced if nobody knows what a restart would find.
    ///
    /// # Errors
    /// `to` isn't raw or has another size, the volume isn't a head, or the file can't be made durable.
    pub fn part(
        &self,
        to: &Arc<Volume>,
        commit: impl FnOnce() -> Committed,
    ) -> Result<bool, VolumeError> {
        let volume = self.volume;
        let wrong = |what| VolumeError::Mapped {
            path: volume.path().to_path_buf(),
            what,
        };
        let mapped = volume.mapped();
        let mapped = mapped.ok_or_else(|| wrong("has a file of its own already"))?;
        let is_new = volume.own.get().is_none() && to.own.get().is_none();
        let is_like = to.size() == volume.size() && to.block_size() == volume.block_size();
        if !is_new || !is_like || to.content().is_mapped() || volume.is_read_only() {
            return Err(wrong("can't become the file that was made for it"));
        }
        to.flush_blocking()?;
        match commit() {
            Committed::Yes => {}
            Committed::No => return Ok(false),
            Committed::Unknown => {
                volume.raise_fence(
                    "nobody knows whether it has a file of its own now: what is written could be lost \
                     with a restart"
                        .to_owned(),
                );
                return Ok(false);
            }
        }
        // Its file is there before anybody is sent to it.
        if volume.own.set(Arc::clone(to)).is_err() {
            volume.raise_fence("it has two files of its own".to_owned());
            return Ok(false);
        }
        let can_punch = to.file.can_punch();
        volume.cannot_punch.store(!can_punch, Ordering::Relaxed);
        volume.cannot_zero.store(false, Ordering::Relaxed);
        volume.content().set(None);
        mapped.family.forget(volume);
        Ok(true)
    }
}
