//! One operation on its way through the ring: the entry for what is left of it, and what a result
//! from the kernel means.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{opcode, squeue, types};
use smallvec::SmallVec;

use super::{ATTEMPTS_MAX, OpKind, Request, Verdict};
use crate::engine::{ended, remaining};

/// Pieces in one vectored write; the kernel's limit (`UIO_MAXIOV`) is 1024.
const PIECES_MAX: usize = 256;

/// An operation that the kernel may know.
pub(super) struct Slot {
    pub(super) request: Request,
    /// Bytes to move, of reads and writes.
    length: usize,
    /// Bytes moved so far.
    done: usize,
    attempts: u8,
    /// The kernel reads these while it takes the entry, so they live as long as the slot.
    iovecs: SmallVec<[libc::iovec; 4]>,
}

impl Slot {
    pub(super) fn new(request: Request) -> Self {
        let length = request.op.transfer_length();
        Self {
            request,
            length,
            done: 0,
            attempts: 0,
            iovecs: SmallVec::new(),
        }
    }

    /// The entry for what is left to do.
    pub(super) fn entry(&mut self, lane: usize) -> squeue::Entry {
        let Self {
            request,
            done,
            iovecs,
            ..
        } = self;
        // `push` has refused files without descriptors; -1 is answered with EBADF.
        let fd = request
            .file
            .lane(lane)
            .map_or(-1, |fd: BorrowedFd<'_>| fd.as_raw_fd());
        let fd = types::Fd(fd);
        match &mut request.op {
            OpKind::Read { offset, buffer } => {
                let left = clamp(buffer.len() - *done);
                // In bounds: `done` never exceeds the length.
                let start = buffer.as_mut_ptr().wrapping_add(*done);
                opcode::Read::new(fd, start, left)
                    .offset(*offset + *done as u64)
                    .build()
            }
            OpKind::Write {
                offset,
                data,
                dsync,
            } => {
                let offset = *offset + *done as u64;
                let flags = if *dsync { libc::RWF_DSYNC } else { 0 };
                iovecs.clear();
                iovecs.extend(
                    remaining(data, *done)
                        .take(PIECES_MAX)
                        .map(|piece| libc::iovec {
                            iov_base: piece.as_ptr().cast_mut().cast(),
                            iov_len: piece.len(),
                        }),
                );
                match iovecs.as_slice() {
                    [one] => opcode::Write::new(fd, one.iov_base.cast(), clamp(one.iov_len))
                        .offset(offset)
                        .rw_flags(flags)
                        .build(),
                    many => opcode::Writev::new(fd, many.as_ptr(), clamp(many.len()))
                        .offset(offset)
                        .rw_flags(flags)
                        .build(),
                }
            }
            OpKind::DataSync => opcode::Fsync::new(fd)
                .flags(types::FsyncFlags::DATASYNC)
                .build(),
            OpKind::PunchHole { offset, length } => {
                let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                opcode::Fallocate::new(fd, *length)
                    .offset(*offset)
                    .mode(mode)
                    .build()
            }
            OpKind::ZeroRange { offset, length } => {
                let mode = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
                opcode::Fallocate::new(fd, *length)
                    .offset(*offset)
                    .mode(mode)
                    .build()
            }
            OpKind::Allocate { offset, length } => opcode::Fallocate::new(fd, *length)
                .offset(*offset)
                .mode(0)
                .build(),
            // Threads do these; no file at all is answered with EBADF.
            OpKind::CopyFrom { .. } => opcode::Fsync::new(types::Fd(-1)).build(),
        }
    }

    pub(super) fn judge(&mut self, result: i32) -> Verdict {
        let done = self.done as u64;
        let moved = match usize::try_from(result) {
            Ok(moved) => moved,
            Err(_) if matches!(-result, libc::EINTR | libc::EAGAIN) => {
                self.attempts += 1;
                if self.attempts < ATTEMPTS_MAX {
                    return Verdict::Continue;
                }
                let source = io::Error::from_raw_os_error(-result);
                return Verdict::Finished(Err(self.request.error(done, source)));
            }
            Err(_) => {
                let source = io::Error::from_raw_os_error(-result);
                return Verdict::Finished(Err(self.request.error(done, source)));
            }
        };
        if !matches!(self.request.op, OpKind::Read { .. } | OpKind::Write { .. }) {
            return Verdict::Finished(Ok(()));
        }
        self.done += moved.min(self.length - self.done);
        if self.done == self.length {
            return Verdict::Finished(Ok(()));
        }
        if moved == 0 {
            return Verdict::Finished(Err(ended(&self.request, done)));
        }
        self.attempts = 0;
        Verdict::Continue
    }
}

/// The kernel moves less than 2 GiB at once anyway; what is cut off here is continued.
fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(1 << 30)
}
