//! The ring: set up, announced, full, dropped with operations in flight.

use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::buffer::BufferPool;
use crate::error::BlockErrorKind;
use crate::file::BlockFile;

fn read_of(file: &Arc<BlockFile>, pool: &BufferPool, len: usize) -> Request {
    let buffer = pool.try_take(len).unwrap();
    Request {
        tag: 1,
        file: Arc::clone(file),
        op: OpKind::Read { offset: 0, buffer },
    }
}

fn slot(pool: &BufferPool) -> Slot {
    let memory = crate::engine::memory::MemoryFile::new(4096);
    Slot::new(read_of(&BlockFile::in_memory(memory), pool, 4096))
}

#[test]
fn short_results_are_continued_and_an_early_end_is_an_error() {
    let pool = BufferPool::new(1 << 20);
    let mut slot = slot(&pool);
    assert!(matches!(slot.judge(1000), Verdict::Continue));
    assert!(matches!(slot.judge(3000), Verdict::Continue));
    let Verdict::Finished(Err(error)) = slot.judge(0) else {
        panic!("more than there is")
    };
    assert_eq!(error.kind(), BlockErrorKind::UnexpectedEnd);
    assert_eq!(error.context().offset, Some(4000));
    assert!(matches!(slot.judge(96), Verdict::Finished(Ok(()))));
}

#[test]
fn interrupted_and_postponed_operations_are_tried_again_but_not_for_ever() {
    let pool = BufferPool::new(1 << 20);
    let mut slot = slot(&pool);
    for _ in 1..ATTEMPTS_MAX {
        assert!(matches!(slot.judge(-libc::EAGAIN), Verdict::Continue));
    }
    let Verdict::Finished(Err(error)) = slot.judge(-libc::EAGAIN) else {
        panic!("for ever")
    };
    assert_eq!(error.kind(), BlockErrorKind::Exhausted);
    let Verdict::Finished(Err(error)) = slot.judge(-libc::EIO) else {
        panic!("EIO is final")
    };
    assert_eq!(error.kind(), BlockErrorKind::Medium);
}

#[test]
fn an_operation_that_hangs_is_cancelled_when_the_engine_is_dropped() {
    let Ok(mut io) = UringIo::new(4) else {
        eprintln!("NOT TESTED on this host: no io_uring");
        return;
    };
    let pool = BufferPool::new(1 << 20);
    // Nobody will ever write into this pipe.
    let (reader, _writer) = io::pipe().unwrap();
    let file = BlockFile::of_descriptor(reader.into());
    io.push(read_of(&file, &pool, 4096)).unwrap();
    io.submit();
    assert!(io.next_completion().is_none());
    assert_eq!(io.in_flight(), 1);
    drop(io);
    assert_eq!(pool.in_use(), 0, "the kernel has let go of the buffer");
    assert_eq!(Arc::strong_count(&file), 1);
}

#[test]
fn a_sleeper_is_woken_when_an_operation_finishes_later() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let Ok(mut io) = UringIo::new(4) else {
        eprintln!("NOT TESTED on this host: no io_uring");
        return;
    };
    let (reader, mut writer) = io::pipe().unwrap();
    let pool = BufferPool::new(1 << 20);
    io.push(read_of(&BlockFile::of_descriptor(reader.into()), &pool, 3))
        .unwrap();
    io.submit();
    assert!(io.next_completion().is_none());
    let thread = std::thread::spawn(move || writer.write_all(b"abc").unwrap());
    let patience = Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    assert_eq!(
        poll(&mut [PollFd::new(&io, PollFlags::IN)], Some(&patience)).unwrap(),
        1
    );
    io.submit();
    assert!(io.next_completion().unwrap().result.is_ok());
    thread.join().unwrap();
}
