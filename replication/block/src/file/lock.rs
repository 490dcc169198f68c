//! One daemon per file: the advisory lock, and who has it if we don't get it.
//!
//! `flock` belongs to the open file description, not to the process: a second opening in this very
//! process conflicts too, and an operation that a killed daemon left in the kernel keeps the lock
//! until it has landed.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::error::{BlockError, BlockErrorKind, OpName};

/// A child that another process has just made has all that is open there, for the moment until it becomes
/// another program: so the lock of a daemon that was killed may still be held by it.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

pub(super) fn take(fd: BorrowedFd<'_>, path: &Arc<Path>, shared: bool) -> Result<(), BlockError> {
    let operation = if shared {
        FlockOperation::NonBlockingLockShared
    } else {
        FlockOperation::NonBlockingLockExclusive
    };
    let mut tries = TRIES;
    let taken = loop {
        tries -= 1;
        match rustix::fs::flock(fd, operation) {
            Err(rustix::io::Errno::WOULDBLOCK) if tries > 0 => std::thread::sleep(BETWEEN_TRIES),
            taken => break taken,
        }
    };
    match taken {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let why = match holder(fd) {
                Some(pid) => format!("in use by process {pid}"),
                None => "in use by another process".to_owned(),
            };
            let kind = BlockErrorKind::InUse;
            Err(BlockError::with_kind(
                kind,
                OpName::Lock,
                path,
                None,
                io::Error::other(why),
            ))
        }
        Err(source) => Err(BlockError::new(OpName::Lock, path, None, source.into())),
    }
}

/// Frees the lock now, whoever else has the description: it is the description's, not the descriptor's.
pub(super) fn free(fd: BorrowedFd<'_>) {
    // What was never locked, such as a device of a test, has nothing to free; all else is freed by closing.
    let _ = rustix::fs::flock(fd, FlockOperation::Unlock);
}

/// Process that holds a lock on the file, as far as the kernel tells.
fn holder(fd: BorrowedFd<'_>) -> Option<u32> {
    let stat = rustix::fs::fstat(fd).ok()?;
    let (major, minor) = (
        rustix::fs::major(stat.st_dev),
        rustix::fs::minor(stat.st_dev),
    );
    let file = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    holder_in(&fs::read_to_string("/proc/locks").ok()?, &file)
}

/// Finds `MAJOR:MINOR:INODE` in lines such as `1: FLOCK  ADVISORY  WRITE 123 08:01:77 0 EOF`.
fn holder_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let flock = words.next()? == "FLOCK";
        let pid = words.nth(2)?;
        let found = flock && words.next()? == file;
        found.then(|| pid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_by_device_and_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:7 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 22 fe:00:7 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 33 fe:00:8 0 EOF\n\
                     3: -> FLOCK  ADVISORY  READ 44 fe:00:9 0 EOF\n";
        assert_eq!(holder_in(locks, "fe:00:7"), Some(22));
        assert_eq!(holder_in(locks, "fe:00:8"), Some(33));
        // A process that only waits doesn't hold it.
        assert_eq!(holder_in(locks, "fe:00:9"), None);
        assert_eq!(holder_in("nonsense\n", "fe:00:7"), None);
    }
}
