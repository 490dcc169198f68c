//! What can be asked of a volume, and how it went.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use tidelock_block::BlockError;
use tidelock_volume::Range;

use crate::volume::Volume;
use crate::watch::Watch;

/// One operation on a volume. Offsets and lengths are bytes of the image, in whole blocks.
#[derive(Clone, Debug)]
pub enum VolumeOp {
    /// Reads.
    Read {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// Writes; done when a later read sees it, with `fua` when it is durable.
    Write {
        /// First byte.
        offset: u64,
        /// The pieces, one after the other.
        data: SmallVec<[Bytes; 2]>,
        /// Durable before it is done.
        fua: bool,
    },
    /// Makes every write durable that was done before this started.
    Flush,
    /// Frees space; the ranges read as zeros afterwards.
    Unmap {
        /// What to free.
        ranges: SmallVec<[Range; 4]>,
    },
    /// Fills a range with copies of one block.
    WriteSame {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// What to repeat; its length divides `length`.
        block: Bytes,
        /// If the block is all zeros, free the space instead of writing.
        unmap: bool,
        /// Durable before it is done.
        fua: bool,
    },
    /// Reads and forgets: is the range readable?
    Verify {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// Reads and compares.
    Compare {
        /// First byte.
        offset: u64,
        /// What should be there.
        data: SmallVec<[Bytes; 2]>,
    },
    /// Reads and compares, and writes if nothing differs; nothing that overlaps happens in between,
    /// and nobody sees half of it.
    CompareAndWrite {
        /// First byte.
        offset: u64,
        /// What should be there.
        expected: SmallVec<[Bytes; 2]>,
        /// What is written then: as many bytes.
        data: SmallVec<[Bytes; 2]>,
        /// Durable before it is done.
        fua: bool,
    },
    /// Sets the bits that are set in `data` and leaves the others as they are; nothing that overlaps
    /// happens in between, and nobody sees half of it. A crash may leave a part of it.
    OrWrite {
        /// First byte.
        offset: u64,
        /// The bits to set.
        data: SmallVec<[Bytes; 2]>,
        /// Durable before it is done.
        fua: bool,
    },
    /// Writes all or nothing, whatever happens: nobody sees half of it, and neither does a crash or a
    /// full disk leave a part. Durable when it is done. Only where
    /// [`crate::Volume::atomic_write_max`] isn't 0.
    WriteAtomic {
        /// First byte.
        offset: u64,
        /// The pieces, one after the other; no more than [`crate::Volume::atomic_write_max`] bytes.
        data: SmallVec<[Bytes; 2]>,
    },
    /// Makes a range what another volume (or another range of the same one) has, inside the file system: the two
    /// share the space where that can, and holes stay holes. Of whole blocks of 4 KiB, at most 4 MiB. Where the
    /// store can't, or not at once, it ends as [`VolumeOutcome::NotCopied`].
    CopyFrom {
        /// The other volume.
        source: Arc<Volume>,
        /// First byte there.
        source_offset: u64,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// A watch of the source: nothing is copied if it has seen a change, and what is copied is what was there
        /// when it began. Nobody else uses that range of the source meanwhile.
        watch: Option<Arc<Watch>>,
    },
}

impl VolumeOp {
    /// Whether it changes the image.
    #[must_use]
    pub fn changes(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Unmap { .. }
                | Self::WriteSame { .. }
                | Self::CompareAndWrite { .. }
                | Self::OrWrite { .. }
                | Self::WriteAtomic { .. }
                | Self::CopyFrom { .. }
        )
    }
}

/// How an operation went.
#[derive(Debug)]
pub enum VolumeOutcome {
    /// The bytes that were asked for, all of them.
    Read(Bytes),
    /// Anything else went well.
    Done,
    /// What is there differs from what should be.
    Miscompare {
        /// Byte of the compared data, counted from its start, that differs first.
        offset: u64,
    },
    /// The store can't do this copy by itself: it has to be read and written. A part of it may have been done.
    NotCopied,
    /// It didn't go well. A write may have been done in part.
    Failed(VolumeFault),
}

/// Why an operation failed.
#[derive(Debug)]
pub struct VolumeFault {
    /// What it means.
    pub kind: VolumeFaultKind,
    /// The error of the file that led to it, if one did; for logs.
    pub error: Option<Box<BlockError>>,
}

/// What a failure means for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VolumeFaultKind {
    /// The medium can't be read or written here.
    MediumError {
        /// Byte of the image.
        offset: u64,
    },
    /// The file failed in another way.
    Hardware,
    /// No space for this write; reads, unmapping and other writes may still work.
    NoSpace,
    /// A flush has failed: acknowledged writes may be lost, and nothing is written until an
    /// operator has looked at it.
    Fenced,
    /// Not now: an abandoned write hasn't landed yet, or the host is short of resources. Trying
    /// again later may work.
    Busy,
    /// The volume or its file can only be read.
    ReadOnly,
    /// Not whole blocks inside the volume.
    OutOfRange,
    /// More bytes at once than the memory ceiling allows.
    TooLarge,
    /// This end of a mirror isn't its source: the host has another path.
    NotSource,
    /// The mirror's other end is away, and it is configured to stop hosts then.
    Halted,
    /// This end of a mirror has failed and does nothing any more.
    MirrorFailed,
}

impl VolumeFault {
    pub(crate) fn new(kind: VolumeFaultKind) -> Self {
        Self { kind, error: None }
    }

    pub(crate) fn of(kind: VolumeFaultKind, error: BlockError) -> Self {
        Self {
            kind,
            error: Some(Box::new(error)),
        }
    }
}

impl fmt::Display for VolumeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            VolumeFaultKind::MediumError { offset } => write!(f, "medium error at byte {offset}")?,
            VolumeFaultKind::Hardware => f.write_str("the file failed")?,
            VolumeFaultKind::NoSpace => f.write_str("no space left")?,
            VolumeFaultKind::Fenced => f.write_str("fenced after a failed flush")?,
            VolumeFaultKind::Busy => f.write_str("busy")?,
            VolumeFaultKind::ReadOnly => f.write_str("read-only")?,
            VolumeFaultKind::OutOfRange => f.write_str("not whole blocks inside the volume")?,
            VolumeFaultKind::TooLarge => f.write_str("more than the memory ceiling allows")?,
            VolumeFaultKind::NotSource => f.write_str("not the source of its mirror")?,
            VolumeFaultKind::Halted => f.write_str("stopped until the mirror's peer is back")?,
            VolumeFaultKind::MirrorFailed => f.write_str("its end of the mirror has failed")?,
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

impl From<VolumeFaultKind> for VolumeOutcome {
    fn from(kind: VolumeFaultKind) -> Self {
        Self::Failed(VolumeFault::new(kind))
    }
}
