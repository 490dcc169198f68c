//! What is done to a volume as a whole. Everything here **blocks**.

use std::sync::atomic::Ordering;

use tidelock_block::{FileKind, PoolSpace};
use tidelock_volume::Geometry;

use super::Volume;
use crate::error::VolumeError;
use crate::journal::Journal;

impl Volume {
    /// Grows the volume, durably, while it is in use. For a block device it takes over a size that
    /// the device already has. Growing to the present size does nothing. **Blocks.**
    ///
    /// # Errors
    /// A smaller size, a size that isn't of whole blocks, no space, ...
    pub fn resize(&self, new_size: u64) -> Result<(), VolumeError> {
        let _one_at_a_time = self.resizing.lock();
        let path = || self.path().to_path_buf();
        let refuse = |error| VolumeError::from_block(error, new_size.saturating_sub(self.size()));
        let old_size = self.size();
        if new_size < old_size {
            return Err(VolumeError::Shrink {
                path: path(),
                from: old_size,
                to: new_size,
            });
        }
        Geometry::new(self.block_size, new_size).map_err(|source| VolumeError::Size {
            path: path(),
            source,
        })?;
        if new_size == old_size {
            return Ok(());
        }
        if self.is_read_only() {
            return Err(VolumeError::ReadOnly { path: path() });
        }
        if self.mirrored().is_mirrored() {
            return Err(VolumeError::Mirrored { path: path() });
        }
        if let Some(mapped) = self.mapped() {
            mapped.family.grow(mapped.dataset, new_size)?;
            self.size.store(new_size, Ordering::Release);
            return Ok(());
        }
        let present = self.file().size().map_err(refuse)?;
        if self.file().kind() == FileKind::BlockDevice {
            if present < new_size {
                let (device, wanted) = (present, new_size);
                return Err(VolumeError::DeviceTooSmall {
                    path: path(),
                    device,
                    wanted,
                });
            }
        } else {
            if self.preallocate {
                let allocated = self.file().allocate(old_size, new_size - old_size);
                if allocated.is_err() {
                    // Gives back what it got; nobody can have written there.
                    self.file().set_size(present).map_err(refuse)?;
                }
                allocated.map_err(refuse)?;
            }
            // A file that is longer already (a resize that was cut short) isn't made shorter.
            if present < new_size {
                self.file().set_size(new_size).map_err(refuse)?;
            }
            self.file().sync_all().map_err(refuse)?;
        }
        self.size.store(new_size, Ordering::Release);
        Ok(())
    }

    /// Bytes of storage that it takes. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn allocated_bytes(&self) -> Result<u64, VolumeError> {
        self.file()
            .allocated_bytes()
            .map_err(|error| VolumeError::from_block(error, 0))
    }

    /// The space of the file system that new blocks come from; `None` for a device. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn pool_space(&self) -> Result<Option<PoolSpace>, VolumeError> {
        self.file()
            .pool_space()
            .map_err(|error| VolumeError::from_block(error, 0))
    }

    /// Makes everything durable that was written before, as on the way out. A failure raises the
    /// fence. **Blocks.**
    ///
    /// # Errors
    /// It failed, or the volume is fenced: acknowledged writes may be lost.
    pub fn flush_blocking(&self) -> Result<(), VolumeError> {
        if let Some(reason) = self.is_fenced() {
            let path = self.path().to_path_buf();
            return Err(VolumeError::StillFailing {
                path,
                reason: reason.what,
            });
        }
        if self.is_read_only() {
            return Ok(());
        }
        if let Some(mapped) = self.mapped() {
            return mapped.family.flush_blocking();
        }
        self.count_data_sync();
        self.file().data_sync().map_err(|error| {
            self.raise_fence(error.to_string());
            VolumeError::from_block(error, 0)
        })
    }

    /// Writes out the record of an atomic write that failed half-way, and gives its range free.
    fn finish_unfinished(&self) -> Result<(), VolumeError> {
        let mut unfinished = self.unfinished.lock();
        let Some((ticket, journal)) = unfinished.zip(self.journal()) else {
            return Ok(());
        };
        let geometry =
            Geometry::new(self.block_size, self.size()).map_err(|source| VolumeError::Size {
                path: self.path().to_path_buf(),
                source,
            })?;
        journal.replay(self.file(), geometry)?;
        *unfinished = None;
        drop(unfinished);
        // It is in one of them.
        self.locks.leave(ticket);
        self.locks_below.leave(ticket);
        Ok(())
    }

    /// Overwrites what atomic writes have left in the journal. No atomic write may be under way.
    /// **Blocks.**
    ///
    /// # Errors
    /// The journal can't be written.
    pub fn clear_journal(&self) -> Result<(), VolumeError> {
        self.journal().map_or(Ok(()), Journal::clear)
    }

    /// Takes the fence down, at an operator's word, if the file can be flushed again. What was lost
    /// stays lost: the initiators' file systems must be checked. **Blocks.**
    ///
    /// # Errors
    /// The file still fails: the fence stays up.
    pub fn unfence(&self) -> Result<(), VolumeError> {
        if self.is_fenced().is_none() {
            return Ok(());
        }
        if let Some(mapped) = self.mapped()
            && let Some(reason) = mapped.family.fenced()
        {
            return Err(VolumeError::StillFailing {
                path: self.path().to_path_buf(),
                reason: format!(
                    "{reason}; what is on disk is known again when the daemon has been restarted"
                ),
            });
        }
        // Each description reports the old failure once more; that is not a new one.
        self.file().take_reported_errors();
        self.file()
            .data_sync()
            .map_err(|error| VolumeError::StillFailing {
                path: self.path().to_path_buf(),
                reason: error.to_string(),
            })?;
        // What is lost here its mirror's other end may have. The end is opened anew, and then they are made equal
        // wherever that could be.
        if let Some(end) = self.mirror_end() {
            end.disk_failed();
        }
        self.finish_unfinished()?;
        self.fence.lower();
        tracing::warn!(file = %self.path().display(), "the fence is down");
        Ok(())
    }

    /// Removes the volume's file, durably. The space comes back when the last reference to the
    /// volume goes. **Blocks.**
    ///
    /// # Errors
    /// A block device; a file that isn't under its name any more; no permission.
    pub fn remove_file(&self) -> Result<(), VolumeError> {
        if self.content().is_mapped() {
            return Err(VolumeError::Mapped {
                path: self.path().to_path_buf(),
                what: "shares blocks with snapshots or clones; delete it in its family",
            });
        }
        if self.file().kind() == FileKind::BlockDevice {
            return Err(VolumeError::NotRemovable {
                path: self.path().to_path_buf(),
            });
        }
        self.file()
            .remove()
            .map_err(|error| VolumeError::from_block(error, 0))
    }
}
