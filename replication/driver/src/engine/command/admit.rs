//! Whether an operation may start at all, and the work that it is.

use bytes::Bytes;
use smallvec::SmallVec;
use tidelock_block::BufferPool;
use tidelock_volume::{Piece, Range};

use super::compare_and_write::CompareAndWrite;
use super::copy_from::CopyFrom;
use super::or_write::OrWrite;
use super::write_atomic::WriteAtomic;
use super::{Work, fill::Fill, scan::Scan, write::Write, zero::Zero};
use crate::journal::record_length;
use crate::op::{VolumeFaultKind, VolumeOp, VolumeOutcome};
use crate::volume::Volume;

/// The work of an operation, or its outcome if there is nothing to do or it is refused.
pub(in crate::engine) fn admit(
    volume: &Volume,
    op: VolumeOp,
    pool: &BufferPool,
) -> Result<Work, VolumeOutcome> {
    if !volume.has_room_for(&op) {
        return Err(no_space(&op));
    }
    match op {
        VolumeOp::Read { offset, length } => {
            let Some(offset) = locate(volume, offset, length, false)? else {
                return Err(VolumeOutcome::Read(Bytes::new()));
            };
            Ok(Work::Read {
                offset,
                length: affordable(pool, length)?,
            })
        }
        VolumeOp::Write { offset, data, fua } => {
            let length = total(&data);
            let offset = located(volume, offset, length, true)?;
            let write = Write::new(offset, data, fua);
            if write.needs_copy(volume) {
                affordable(pool, length)?;
            }
            Ok(Work::Write(write))
        }
        // What is opened for reading only has nothing to flush.
        VolumeOp::Flush if volume.is_read_only() => Err(VolumeOutcome::Done),
        VolumeOp::Flush => Ok(Work::Flush),
        VolumeOp::Unmap { ranges } => {
            let mut places = SmallVec::new();
            for Range { offset, length } in ranges {
                if let Some(offset) = locate(volume, offset, length, true)? {
                    places.push(Range { offset, length });
                }
            }
            if places.is_empty() {
                return Err(VolumeOutcome::Done);
            }
            Ok(Work::Zero(Zero::new(places, true, false)))
        }
        VolumeOp::WriteSame {
            offset,
            length,
            block,
            unmap,
            fua,
        } => {
            let offset = located(volume, offset, length, true)?;
            let repeats = u64::try_from(block.len()).unwrap_or(u64::MAX);
            if length.checked_rem(repeats) != Some(0) {
                return Err(VolumeFaultKind::OutOfRange.into());
            }
            if block.iter().all(|byte| *byte == 0) {
                let place = SmallVec::from_slice(&[Range { offset, length }]);
                return Ok(Work::Zero(Zero::new(place, unmap, fua)));
            }
            let fill = Fill::new(offset, length, block, fua);
            affordable(pool, fill.pattern_length())?;
            Ok(Work::Fill(fill))
        }
        VolumeOp::Verify { offset, length } => {
            let offset = located(volume, offset, length, false)?;
            scan(pool, Scan::new(offset, length, None))
        }
        VolumeOp::Compare { offset, data } => {
            let length = total(&data);
            let offset = located(volume, offset, length, false)?;
            scan(pool, Scan::new(offset, length, Some(data)))
        }
        VolumeOp::CopyFrom { .. } => copy_from(volume, op),
        VolumeOp::CompareAndWrite { .. }
        | VolumeOp::OrWrite { .. }
        | VolumeOp::WriteAtomic { .. } => exclusive(volume, op, pool),
    }
}

fn no_space(op: &VolumeOp) -> VolumeOutcome {
    match op {
        // What is zeros there needs none: whoever reads it finds out.
        VolumeOp::CopyFrom { .. } => VolumeOutcome::NotCopied,
        _ => VolumeFaultKind::NoSpace.into(),
    }
}

/// The work of a copy.
fn copy_from(volume: &Volume, op: VolumeOp) -> Result<Work, VolumeOutcome> {
    let VolumeOp::CopyFrom {
        source,
        source_offset,
        offset,
        length,
        watch,
    } = op
    else {
        return Err(VolumeFaultKind::Hardware.into());
    };
    let offset = located(volume, offset, length, true)?;
    let from = Range {
        offset: located(&source, source_offset, length, false)?,
        length,
    };
    let copy = CopyFrom::new(source, from, offset, watch);
    if copy.is_of_blocks() {
        Ok(Work::CopyFrom(copy))
    } else {
        Err(VolumeOutcome::NotCopied)
    }
}

/// The work of an operation that needs its range for itself.
fn exclusive(volume: &Volume, op: VolumeOp, pool: &BufferPool) -> Result<Work, VolumeOutcome> {
    match op {
        VolumeOp::CompareAndWrite {
            offset,
            expected,
            data,
            fua,
        } => {
            let length = total(&expected);
            if total(&data) != length {
                return Err(VolumeFaultKind::OutOfRange.into());
            }
            let offset = located(volume, offset, length, true)?;
            let scan = Scan::new(offset, length, Some(expected));
            let write = Write::new(offset, data, fua);
            affordable(pool, scan.chunk_length())?;
            if write.needs_copy(volume) {
                affordable(pool, length)?;
            }
            Ok(Work::CompareAndWrite(CompareAndWrite::new(scan, write)))
        }
        VolumeOp::OrWrite { offset, data, fua } => {
            let offset = located(volume, offset, total(&data), true)?;
            let work = OrWrite::new(offset, data, fua);
            affordable(pool, work.chunk_length())?;
            Ok(Work::OrWrite(work))
        }
        VolumeOp::WriteAtomic { offset, data } => {
            let length = total(&data);
            let offset = located(volume, offset, length, true)?;
            if length > volume.atomic_write_max() {
                return Err(VolumeFaultKind::TooLarge.into());
            }
            affordable(pool, record_length(length))?;
            Ok(Work::WriteAtomic(WriteAtomic::new(offset, data)))
        }
        _ => Err(VolumeFaultKind::Hardware.into()),
    }
}

fn scan(pool: &BufferPool, scan: Scan) -> Result<Work, VolumeOutcome> {
    affordable(pool, scan.chunk_length())?;
    Ok(Work::Scan(scan))
}

fn total(data: &[Bytes]) -> u64 {
    data.iter().map(|piece| piece.len() as u64).sum()
}

/// As [`locate`], for operations that are done if there is nothing to move.
fn located(volume: &Volume, offset: u64, length: u64, write: bool) -> Result<u64, VolumeOutcome> {
    locate(volume, offset, length, write)?.ok_or(VolumeOutcome::Done)
}

/// Where in the file a range of the image is; `None` if it is empty.
fn locate(
    volume: &Volume,
    offset: u64,
    length: u64,
    write: bool,
) -> Result<Option<u64>, VolumeOutcome> {
    let map = volume.map().ok_or(VolumeFaultKind::Hardware)?;
    let range = Range { offset, length };
    let plan = if write {
        map.plan_write(range)
    } else {
        map.plan_read(range)
    };
    // A raw volume's plan has one piece at most.
    match plan.map_err(|_| VolumeFaultKind::OutOfRange)?.first() {
        None => Ok(None),
        Some(Piece::Home { offset, .. }) => Ok(Some(*offset)),
        Some(_) => Err(VolumeFaultKind::Hardware.into()),
    }
}

/// `length` as a size in memory, if the pool could ever give that much.
fn affordable(pool: &BufferPool, length: u64) -> Result<usize, VolumeOutcome> {
    usize::try_from(length)
        .ok()
        .filter(|length| pool.could_ever_take(*length))
        .ok_or_else(|| VolumeFaultKind::TooLarge.into())
}
