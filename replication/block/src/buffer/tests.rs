//! Buffers are aligned, counted, bounded and come back.

use std::thread;

use super::*;

const KIB: usize = 1024;

#[test]
fn buffers_are_aligned_and_have_the_length_that_was_asked_for() {
    let pool = BufferPool::new(16 << 20);
    for len in [
        0,
        1,
        512,
        4096,
        4097,
        100_000,
        1 << 20,
        (1 << 20) + 1,
        5 << 20,
    ] {
        let buffer = pool.try_take(len).unwrap();
        assert_eq!(buffer.len(), len);
        assert_eq!(buffer.as_ptr().addr() % ALIGNMENT, 0, "of {len}");
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn the_ceiling_holds_and_memory_that_comes_back_can_be_had_again() {
    let pool = BufferPool::new(16 * KIB);
    let first = pool.try_take(8 * KIB).unwrap();
    let second = pool.try_take(5 * KIB).unwrap();
    assert_eq!(pool.in_use(), 16 * KIB);
    assert!(pool.try_take(1).is_none());
    drop(second);
    let third = pool.try_take(8 * KIB).unwrap();
    assert!(pool.try_take(1).is_none());
    drop((first, third));
    assert_eq!(pool.in_use(), 0);
    assert!(pool.reserved() <= 16 * KIB);
    assert!(pool.try_take(16 * KIB).is_some());
}

#[test]
fn sizes_that_can_never_be_had_are_known_beforehand() {
    let pool = BufferPool::new(16 * KIB);
    assert!(pool.could_ever_take(16 * KIB));
    assert!(!pool.could_ever_take(16 * KIB + 1));
    assert!(!pool.could_ever_take(usize::MAX));
    assert!(pool.try_take(usize::MAX).is_none());
}

#[test]
fn frozen_memory_comes_back_when_its_last_slice_is_dropped() {
    let pool = BufferPool::new(64 * KIB);
    let mut buffer = pool.try_take(8 * KIB).unwrap();
    buffer.fill(7);
    let bytes = buffer.freeze();
    let slice = bytes.slice(100..200);
    drop(bytes);
    assert_eq!(pool.in_use(), 8 * KIB);
    assert_eq!(&slice[..], &[7; 100]);
    thread::spawn(move || drop(slice)).join().unwrap();
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn what_a_sibling_keeps_idle_is_taken_from_it_at_the_ceiling() {
    let pool = BufferPool::new(64 * KIB);
    let sibling = pool.sibling();
    drop((
        sibling.try_take(8 * KIB).unwrap(),
        sibling.try_take(8 * KIB).unwrap(),
    ));
    assert_eq!(pool.reserved(), 16 * KIB);
    let all = pool.try_take(64 * KIB).unwrap();
    assert_eq!(pool.reserved(), 64 * KIB);
    assert!(sibling.try_take(1).is_none());
    drop(all);
    assert!(sibling.try_take(1).is_some());
}

#[test]
fn memory_of_a_pool_that_is_gone_is_given_back() {
    let pool = BufferPool::new(64 * KIB);
    let sibling = pool.sibling();
    let buffer = sibling.try_take(4 * KIB).unwrap();
    drop(sibling);
    assert_eq!(pool.reserved(), 4 * KIB);
    drop(buffer);
    assert_eq!(pool.reserved(), 0);
}

#[test]
fn whoever_waits_is_woken_once_when_memory_comes_back() {
    let pool = BufferPool::new(4 * KIB);
    let sibling = pool.sibling();
    let buffer = pool.try_take(1).unwrap();
    let waker = Waker::new().unwrap();
    sibling.wake_when_returned(waker.clone());
    sibling.wake_when_returned(waker.clone());
    assert!(sibling.try_take(1).is_none());
    assert!(!is_readable(&waker));
    drop(buffer);
    assert!(is_readable(&waker));
    waker.reset();
    drop(pool.try_take(1).unwrap());
    assert!(!is_readable(&waker), "only once");
}

fn is_readable(waker: &Waker) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(waker, PollFlags::IN)], Some(&now)).unwrap() > 0
}

#[test]
fn threads_that_take_and_return_never_exceed_the_ceiling() {
    let pool = BufferPool::new(256 * KIB);
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let pool = pool.sibling();
            scope.spawn(move || {
                let mut held = Vec::new();
                for step in 0..5_000_usize {
                    let len = 1 + (step * 7919 + seed * 104_729) % (64 * KIB);
                    match pool.try_take(len) {
                        Some(mut buffer) => {
                            buffer.fill(u8::try_from(seed).unwrap());
                            held.push(buffer);
                        }
                        None => held.clear(),
                    }
                    if step % 3 == 0 && !held.is_empty() {
                        let buffer = held.swap_remove(step % held.len());
                        let seed = u8::try_from(seed).unwrap();
                        assert!(buffer.iter().all(|byte| *byte == seed), "memory is shared");
                    }
                    assert!(pool.reserved() <= 256 * KIB);
                }
            });
        }
    });
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn parts_are_filled_on_their_own_and_joined_in_order() {
    let pool = BufferPool::new(64 * KIB);
    let buffer = pool.try_take(10_000).unwrap();
    let (mut first, rest) = buffer.split_off(4096);
    let (mut second, mut third) = rest.split_off(4096);
    let filler = thread::spawn(move || {
        second.fill(2);
        second
    });
    first.fill(1);
    third.fill(3);
    let second = filler.join().unwrap();
    assert_eq!((first.len(), second.len(), third.len()), (4096, 4096, 1808));
    let (first, third) = *first.join(third).err().unwrap();
    let (third, second) = *third.join(second).err().unwrap();
    let joined = first.join(second).ok().unwrap().join(third).ok().unwrap();
    let expected = [vec![1; 4096], vec![2; 4096], vec![3; 1808]].concat();
    assert_eq!(*joined, expected[..]);
    assert_eq!(pool.in_use(), 16 * KIB);
    drop(joined);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn memory_comes_back_with_the_last_of_its_parts() {
    let pool = BufferPool::new(64 * KIB);
    let (first, second) = pool.try_take(8 * KIB).unwrap().split_off(4 * KIB);
    drop(first);
    assert_eq!(pool.in_use(), 8 * KIB);
    drop(second.freeze());
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn parts_of_different_buffers_are_not_joined() {
    let pool = BufferPool::new(64 * KIB);
    let (one, _rest) = pool.try_take(8 * KIB).unwrap().split_off(4 * KIB);
    let (_first, other) = pool.try_take(8 * KIB).unwrap().split_off(4 * KIB);
    let (one, other) = *one.join(other).err().unwrap();
    let whole = pool.try_take(KIB).unwrap();
    assert!(whole.join(one).is_err());
    assert_eq!(other.len(), 4 * KIB);
}

#[test]
fn a_window_is_anywhere_in_the_memory_unless_others_have_parts_of_it() {
    let pool = BufferPool::new(64 * KIB);
    let mut buffer = pool.try_take(8 * KIB).unwrap();
    for (index, byte) in buffer.iter_mut().enumerate() {
        *byte = u8::try_from(index / 1024).unwrap();
    }
    assert!(buffer.window(1024, 2048));
    assert_eq!(*buffer, [vec![1; 1024], vec![2; 1024]].concat()[..]);
    buffer.fill(9);
    assert!(!buffer.window(8 * KIB, 1) && !buffer.window(usize::MAX, 2));
    assert_eq!(buffer.len(), 2048, "as before");
    assert!(buffer.window(0, 8 * KIB));
    assert_eq!(
        (buffer[1023], buffer[1024], buffer[3071], buffer[3072]),
        (0, 9, 9, 3)
    );
    let (mut first, second) = buffer.split_off(KIB);
    assert!(!first.window(0, 2 * KIB), "that would be somebody else's");
    let mut whole = first.join(second).ok().unwrap();
    assert!(whole.window(KIB, KIB), "all of it is here again");
}
