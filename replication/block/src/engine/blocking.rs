//! One operation by blocking system calls, on whatever thread this is.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use bytes::Bytes;
use rustix::fs::FallocateFlags;
use rustix::io::{Errno, ReadWriteFlags};
use smallvec::SmallVec;

use crate::engine::{Completion, OpKind, Request, copying};
use crate::error::BlockError;

/// Pieces per call; the system's limit (`IOV_MAX`) is 1024.
const PIECES_MAX: usize = 64;

/// Does it and waits for it.
pub(crate) fn run(mut request: Request, lane: usize) -> Completion {
    let file = request.file.clone();
    let Some(fd) = file.lane(lane) else {
        let why = io::Error::from(io::ErrorKind::Unsupported);
        let error = request.error(0, why);
        return request.finish(Err(error));
    };
    let done = match request.op {
        OpKind::CopyFrom { .. } => copying::run(&mut request, lane).map_err(at_start),
        _ => perform(&mut request.op, fd),
    };
    match done {
        Ok(()) => request.finish(Ok(())),
        Err(Failure { done, source }) => {
            let error = failure(&request, done, source);
            request.finish(Err(error))
        }
    }
}

pub(super) struct Failure {
    done: u64,
    /// `None`: the file ended.
    pub(super) source: Option<Errno>,
}

fn failure(request: &Request, done: u64, source: Option<Errno>) -> BlockError {
    match source {
        Some(source) => request.error(done, source.into()),
        None => crate::engine::ended(request, done),
    }
}

fn perform(op: &mut OpKind, fd: BorrowedFd<'_>) -> Result<(), Failure> {
    let fallocate = |flags, offset, length| {
        again(|| rustix::fs::fallocate(fd, flags, offset, length)).map_err(at_start)
    };
    match op {
        OpKind::Read { offset, buffer } => read(fd, *offset, buffer),
        OpKind::Write {
            offset,
            data,
            dsync,
        } => write(fd, *offset, data, *dsync),
        OpKind::DataSync => again(|| rustix::fs::fdatasync(fd)).map_err(at_start),
        OpKind::PunchHole { offset, length } => fallocate(
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            *offset,
            *length,
        ),
        OpKind::ZeroRange { offset, length } => fallocate(
            FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
            *offset,
            *length,
        ),
        OpKind::Allocate { offset, length } => fallocate(FallocateFlags::empty(), *offset, *length),
        // It takes two files.
        OpKind::CopyFrom { .. } => Err(at_start(Errno::INVAL)),
    }
}

fn at_start(source: Errno) -> Failure {
    Failure {
        done: 0,
        source: Some(source),
    }
}

pub(super) fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

pub(super) fn read(fd: BorrowedFd<'_>, offset: u64, buffer: &mut [u8]) -> Result<(), Failure> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = done as u64;
        match again(|| rustix::io::pread(fd, &mut *rest, offset + at)) {
            Ok(0) => {
                return Err(Failure {
                    done: at,
                    source: None,
                });
            }
            Ok(read) => done += read,
            Err(source) => {
                return Err(Failure {
                    done: at,
                    source: Some(source),
                });
            }
        }
    }
    Ok(())
}

fn write(fd: BorrowedFd<'_>, offset: u64, data: &[Bytes], dsync: bool) -> Result<(), Failure> {
    let length = data.iter().map(Bytes::len).sum::<usize>();
    let flags = if dsync {
        ReadWriteFlags::DSYNC
    } else {
        ReadWriteFlags::empty()
    };
    let mut done = 0;
    while done < length {
        let at = done as u64;
        let written = match data {
            // Most writes are in one piece, which needs no list of them.
            [piece] if !dsync => {
                let rest = piece.get(done..).unwrap_or_default();
                again(|| rustix::io::pwrite(fd, rest, offset + at))
            }
            _ => {
                let slices: SmallVec<[IoSlice<'_>; 8]> = crate::engine::remaining(data, done)
                    .take(PIECES_MAX)
                    .map(IoSlice::new)
                    .collect();
                again(|| rustix::io::pwritev2(fd, &slices, offset + at, flags))
            }
        };
        match written {
            Ok(0) => {
                return Err(Failure {
                    done: at,
                    source: None,
                });
            }
            Ok(written) => done += written,
            Err(source) => {
                return Err(Failure {
                    done: at,
                    source: Some(source),
                });
            }
        }
    }
    Ok(())
}
