//! Copies inside a file system: what arrives, what stays a hole, and what is told about it.

use super::*;

const SIZE: usize = 1 << 18;

/// Another file beside that of the rig, with this content; pages of zeros are holes.
fn other(rig: &Rig, content: &[u8], direct: bool) -> Arc<BlockFile> {
    let Some(folder) = &rig._folder else {
        panic!("no folder");
    };
    if rig.file.memory().is_some() {
        let file = BlockFile::in_memory(MemoryFile::new(content.len()));
        let filled = file.perform(write(0, content));
        filled.result.unwrap();
        return file;
    }
    let path = folder.path().join("other");
    let file = fs::File::create(&path).unwrap();
    file.set_len(content.len() as u64).unwrap();
    for (page, at) in content.chunks(4096).zip((0_u64..).step_by(4096)) {
        if page.iter().any(|byte| *byte != 0) {
            std::os::unix::fs::FileExt::write_all_at(&file, page, at).unwrap();
        }
    }
    BlockFile::open(&FileOptions {
        direct,
        ..FileOptions::new(path)
    })
    .unwrap()
}

/// Bytes that differ from place to place, and pages of zeros in between.
fn content() -> Vec<u8> {
    let byte = |at: usize| match at / 4096 {
        3..=9 | 20 | 40..=47 => 0,
        page => u8::try_from((at / 3 + page) % 251 + 1).unwrap(),
    };
    (0..SIZE).map(byte).collect()
}

fn copy(source: &Arc<BlockFile>, from: usize, to: usize, length: usize, sums: bool) -> OpKind {
    OpKind::CopyFrom {
        source: Arc::clone(source),
        source_offset: from as u64,
        offset: to as u64,
        length: length as u64,
        sums: if sums {
            Sums::Wanted {
                found: Vec::new(),
                stable: false,
            }
        } else {
            Sums::Unwanted
        },
    }
}

fn sums(completion: Completion) -> Vec<BlockSum> {
    completion.result.unwrap();
    match completion.op {
        OpKind::CopyFrom {
            sums: Sums::Wanted { found, .. },
            ..
        } => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_range_of_another_file_arrives_as_it_is_with_its_holes() {
    on_each(SIZE, |rig| {
        let expected = content();
        let source = other(rig, &expected, false);
        rig.run(write(0, &vec![9; SIZE])).result.unwrap();
        rig.run(copy(&source, 4096, 8192, 30 * 4096, false))
            .result
            .unwrap();
        let arrived = bytes({
            let read = rig.read(0, SIZE);
            rig.run(read)
        });
        assert_eq!(arrived[..8192], [9; 8192]);
        assert_eq!(arrived[8192..32 * 4096], expected[4096..31 * 4096]);
        assert_eq!(arrived[32 * 4096..], vec![9; SIZE - 32 * 4096]);
        if rig.file.memory().is_none() {
            let extents = rig.file.allocation(4 * 4096, 7 * 4096, 2).unwrap();
            assert!(!extents[0].allocated, "a hole stays a hole: {extents:?}");
        }
        assert_eq!(bytes(source.perform(rig.read(0, SIZE))), expected);
    });
}

#[test]
fn the_checksums_are_of_what_has_arrived() {
    on_each(SIZE, |rig| {
        let expected = content();
        let source = other(rig, &expected, false);
        let blocks: Vec<_> = expected.chunks(SUM_BYTES).map(BlockSum::of).collect();
        // Read where they were, or where they have arrived.
        for is_stable in [true, false] {
            let mut op = copy(&source, 0, 0, SIZE, true);
            if let OpKind::CopyFrom {
                sums: Sums::Wanted { stable, .. },
                ..
            } = &mut op
            {
                *stable = is_stable;
            }
            rig.run(write(0, &vec![9; SIZE])).result.unwrap();
            assert_eq!(sums(rig.run(op)), blocks);
            let read = rig.read(0, SIZE);
            assert_eq!(bytes(rig.run(read)), expected);
        }
        assert!(blocks[3].is_zero && !blocks[2].is_zero);
        let read = rig.read(0, SIZE);
        assert_eq!(bytes(rig.run(read)), expected);
        // Only a hole: nothing has to be written.
        rig.run(write(0, &vec![9; SIZE])).result.unwrap();
        let empty = sums_of_hole(rig, &source);
        assert_eq!(empty, vec![BlockSum::of(&[0; SUM_BYTES]); 4]);
    });
}

fn sums_of_hole(rig: &mut Rig, source: &Arc<BlockFile>) -> Vec<BlockSum> {
    sums(rig.run(copy(source, 4 * 4096, 0, 4 * 4096, true)))
}

#[test]
fn a_range_goes_to_another_place_in_the_same_file() {
    on_each(SIZE, |rig| {
        rig.run(write(0, &[5; 65_536])).result.unwrap();
        let file = Arc::clone(&rig.file);
        rig.run(copy(&file, 0, 131_072, 65_536, false))
            .result
            .unwrap();
        let read = rig.read(131_072, 65_536);
        assert_eq!(bytes(rig.run(read)), [5; 65_536]);
    });
}

#[test]
fn a_source_that_ends_too_early_is_an_error_and_not_zeros() {
    on_each(SIZE, |rig| {
        for (length, wanted) in [(8192, false), (8192, true), (5000, false)] {
            let source = other(rig, &vec![3; length], false);
            assert!(
                rig.run(copy(&source, 4096, 0, 8192, wanted))
                    .result
                    .is_err()
            );
            assert!(
                rig.run(copy(&source, 65_536, 0, 8192, wanted))
                    .result
                    .is_err()
            );
        }
    });
}

#[test]
fn what_goes_past_the_page_cache_is_copied_or_refused_but_never_wrong() {
    on_each(SIZE, |rig| {
        if rig.file.memory().is_some() || rig.is_tmpfs {
            return;
        }
        let expected = content();
        let source = other(rig, &expected, true);
        if rig.run(copy(&source, 0, 0, SIZE, false)).result.is_ok() {
            let read = rig.read(0, SIZE);
            assert_eq!(bytes(rig.run(read)), expected);
        }
    });
}

#[test]
fn a_copy_and_other_operations_go_on_at_once() {
    on_each(SIZE, |rig| {
        let source = other(rig, &content(), false);
        for tag in 0..20 {
            rig.push(tag, copy(&source, 0, 0, 65_536, true));
            rig.push(100 + tag, write(SIZE as u64 - 4096, &[1; 4096]));
        }
        let mut tags: Vec<_> = (0..40).map(|_| rig.next()).collect();
        assert!(tags.iter().all(|completion| completion.result.is_ok()));
        tags.sort_by_key(|completion| completion.tag);
        assert_eq!(tags[39].tag, 119);
        assert_eq!(rig.io.in_flight(), 0);
    });
}

#[test]
fn a_source_that_is_not_what_it_should_be_is_not_copied() {
    on_each(SIZE, |rig| {
        let content = content();
        let source = other(rig, &content, false);
        let mut crcs: Vec<u32> = content
            .chunks(SUM_BYTES)
            .map(|block| BlockSum::of(block).crc32c)
            .collect();
        let all = |crcs: &[u32]| OpKind::CopyFrom {
            source: Arc::clone(&source),
            source_offset: 0,
            offset: 0,
            length: SIZE as u64,
            sums: Sums::Expected(crcs.to_vec()),
        };
        crcs[30] ^= 1;
        assert!(rig.run(all(&crcs)).result.is_err());
        assert!(rig.run(all(&crcs[..30])).result.is_err());
        let read = rig.read(0, SIZE);
        assert_eq!(bytes(rig.run(read)), vec![0; SIZE]);
        crcs[30] ^= 1;
        rig.run(all(&crcs)).result.unwrap();
        let read = rig.read(0, SIZE);
        assert_eq!(bytes(rig.run(read)), content);
    });
}
