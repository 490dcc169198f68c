//! A clone that becomes a raw file of its own.

use super::*;
use crate::{Committed, CopyOutOptions};

/// What the clone is to become.
fn raw(bench: &Bench, name: &str, size: u64) -> Arc<Volume> {
    let options = CreateOptions {
        open: OpenOptions::new(&bench.path().join(name)),
        size,
        preallocate: false,
    };
    Volume::create(&options).unwrap()
}

/// A clone of the head as it is, with the id 3.
fn with_clone() -> (Bench, Arc<Volume>) {
    let bench = Bench::mapped();
    bench.zero(1, 300, 100);
    bench.write(1, 0, &[7; 40]);
    bench.snapshot(1, 2);
    bench.family().clone_of(id(2), id(3)).unwrap();
    let options = MappedOptions {
        block_size: 512,
        size: SIZE,
        read_only: false,
    };
    let clone = bench.family().volume(id(3), &options).unwrap();
    (bench, clone)
}

/// Copies a dataset, after the first `turns` steps with new hands each time. Returns bytes copied.
fn copy(bench: &Bench, what: u8, since: Option<u8>, to: &Arc<Volume>, turns: usize) -> u64 {
    let (mut from, mut copied) = (0, 0);
    for turn in 0.. {
        let options = CopyOutOptions {
            what: id(what),
            since: since.map(id),
            to: Arc::clone(to),
            from,
        };
        let mut copy = bench.family().copy_out(options).unwrap();
        let (before, all) = copy.measure(from, || true).unwrap();
        assert!(before <= all && copied <= all, "{before} {copied} {all}");
        loop {
            match copy.step().unwrap() {
                None => {
                    assert_eq!(copy.position(), to.size());
                    return copied;
                }
                Some(bytes) => copied += bytes,
            }
            if turn < turns {
                from = copy.position();
                break;
            }
        }
    }
    unreachable!("it has an end")
}

fn first_bytes(path: &Path) -> Vec<u8> {
    let content = std::fs::read(path).unwrap();
    let blocks = content.chunks(BLOCK_BYTES).map(|block| {
        assert!(block.iter().all(|byte| *byte == block[0]));
        block[0]
    });
    blocks.collect()
}

#[test]
fn what_differs_is_copied_until_the_clone_is_a_file_of_its_own() {
    for turns in [0, 3] {
        let (bench, clone) = with_clone();
        let to = raw(&bench, "own", SIZE);
        bench.write(3, 100, &[9; 20]);
        bench.snapshot(3, 4);
        let copied = copy(&bench, 4, None, &to, turns);
        let holes = 100 * BLOCK_BYTES as u64;
        // Whoever begins in the middle of something may copy a piece of it once more.
        assert!((SIZE - holes..=SIZE - holes + 4 * (1 << 20)).contains(&copied));
        assert_eq!(first_bytes(&bench.path().join("own")), bench.read(4));
        bench.write(3, 5, &[11; 3]);
        bench.zero(3, 500, 30);
        bench.write(3, 310, &[12; 2]);
        bench.snapshot(3, 5);
        let copied = copy(&bench, 5, Some(4), &to, turns);
        assert!(copied <= 5 * BLOCK_BYTES as u64, "{copied}");
        assert_eq!(first_bytes(&bench.path().join("own")), bench.read(5));
        bench.write(3, 599, &[13]);
        let expected = bench.read(3);
        let held = clone.hold().unwrap();
        copy(&bench, 3, Some(5), &to, turns);
        assert!(!held.part(&to, || Committed::No).unwrap());
        assert!(clone.family().is_some(), "it wasn't to be");
        assert!(held.part(&to, || Committed::Yes).unwrap());
        drop(held);
        assert!(clone.family().is_none());
        assert_eq!(clone.path(), bench.path().join("own"));
        assert_eq!(first_bytes(&bench.path().join("own")), expected);
        // Nothing of the family is needed any more, and nothing that happens to it matters.
        for dataset in [3, 4, 5, 2] {
            bench.delete(dataset);
        }
        bench.settle();
        bench.assert_sound();
        bench.family().raise_fence("the disk is gone");
        assert!(clone.is_fenced().is_none());
        assert!(bench.volume.as_ref().unwrap().is_fenced().is_some());
        clone.flush_blocking().unwrap();
        clone.resize(SIZE + 512).unwrap();
        let present = std::fs::metadata(bench.path().join("own")).unwrap().len();
        assert_eq!(present, SIZE + 512);
        assert!(clone.hold().unwrap().part(&to, || Committed::Yes).is_err());
    }
}

#[test]
fn holes_stay_holes() {
    use std::os::unix::fs::MetadataExt;
    let mut bench = Bench::raw();
    let home = std::fs::OpenOptions::new()
        .write(true)
        .open(bench.path().join("home"))
        .unwrap();
    home.set_len(0).unwrap();
    home.set_len(SIZE).unwrap();
    let volume = bench.volume.clone().unwrap();
    write(
        volume.file(),
        64 * BLOCK_BYTES as u64,
        vec![1; BLOCK_BYTES].into(),
    )
    .unwrap();
    let family = Family::create(&bench.options(), &volume, id(1)).unwrap();
    family.adopt(&volume, id(1)).unwrap();
    bench.family = Some(family);
    bench.write(1, 128, &[2]);
    bench.snapshot(1, 2);
    let to = raw(&bench, "own", SIZE);
    let copied = copy(&bench, 2, None, &to, 0);
    assert_eq!(copied, 2 * BLOCK_BYTES as u64);
    assert_eq!(first_bytes(&bench.path().join("own")), bench.read(2));
    let taken = std::fs::metadata(bench.path().join("own"))
        .unwrap()
        .blocks()
        * 512;
    assert!(taken <= 16 * BLOCK_BYTES as u64, "{taken}");
}

#[test]
fn what_is_damaged_is_never_copied() {
    use std::os::unix::fs::FileExt;
    let (bench, _clone) = with_clone();
    bench.write(3, 90, &[1, 2, 3]);
    bench.snapshot(3, 4);
    let dataset = bench.family().find(id(4)).unwrap();
    let range = BlockRange {
        first: 91,
        count: 1,
    };
    let found = bench.family().state.lock().maps.lookup(dataset, range);
    let Place::Block { address, .. } = found.unwrap()[0].entry.place else {
        panic!("it was written");
    };
    let (file, offset) = bench.family().place(address).unwrap();
    let data = std::fs::OpenOptions::new()
        .write(true)
        .open(file.path())
        .unwrap();
    data.write_all_at(&[99], offset + 5).unwrap();
    let to = raw(&bench, "own", SIZE);
    let options = CopyOutOptions {
        what: id(4),
        since: None,
        to: Arc::clone(&to),
        from: 0,
    };
    let mut copy = bench.family().copy_out(options).unwrap();
    let error = loop {
        match copy.step() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was copied"),
            Err(error) => break error.to_string(),
        }
    };
    let at = 91 * BLOCK_BYTES;
    assert!(
        error.contains(&format!("byte {at}: ")) && error.contains("checksum is wrong"),
        "{error}"
    );
    assert!(copy.position() <= 91 * BLOCK_BYTES as u64);
}

#[test]
fn only_a_raw_volume_of_the_same_size_can_be_what_it_becomes() {
    let (bench, clone) = with_clone();
    let held = clone.hold().unwrap();
    let never = || -> Committed { panic!("it was refused") };
    let other = raw(&bench, "other", SIZE + 512);
    assert!(held.part(&other, never).is_err());
    assert!(held.part(bench.volume.as_ref().unwrap(), never).is_err());
    let own = raw(&bench, "own", SIZE);
    assert!(!held.part(&own, || Committed::Unknown).unwrap());
    drop(held);
    assert!(clone.is_fenced().unwrap().what.contains("nobody knows"));
    assert!(clone.family().is_some());
    let small = CopyOutOptions {
        what: id(2),
        since: None,
        to: raw(&bench, "small", SIZE - 4096),
        from: 0,
    };
    assert!(bench.family().copy_out(small).is_err());
}
