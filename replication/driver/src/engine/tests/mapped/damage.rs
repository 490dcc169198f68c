//! Bytes on disk that are not what was written.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::*;

const BLOCKS: u64 = 40;

fn flip(path: &Path, at: u64) {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

fn fill(rig: &mut Rig) {
    for block in 0..BLOCKS {
        let fill = u8::try_from(block).unwrap() + 1;
        done(rig.run(write(block * BLOCK_BYTES, 4096, fill)));
    }
}

fn medium_error(outcome: VolumeOutcome) -> u64 {
    match fault(outcome).kind {
        VolumeFaultKind::MediumError { offset } => offset,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flipped_bit_is_a_medium_error_where_it_is_and_never_data() {
    on_each_mapped(
        BLOCKS * BLOCK_BYTES,
        |_| {},
        |bench| {
            fill(&mut bench.rig);
            let (file, at) = bench.place(7).unwrap();
            flip(&file, at + 1234);
            let rig = &mut bench.rig;
            let read = |offset, length| VolumeOp::Read { offset, length };
            let at = 7 * BLOCK_BYTES;
            assert_eq!(medium_error(rig.run(read(at, 4096))), at);
            assert_eq!(medium_error(rig.run(read(0, BLOCKS * BLOCK_BYTES))), at);
            // Its block begins before what was asked for.
            assert_eq!(medium_error(rig.run(read(at + 512, 512))), at + 512);
            let verify = VolumeOp::Verify {
                offset: 0,
                length: BLOCKS * BLOCK_BYTES,
            };
            assert_eq!(medium_error(rig.run(verify)), at);
            assert_eq!(
                rig.read(0, at),
                [1, 2, 3, 4, 5, 6, 7].map(|fill| [fill; 4096]).concat()
            );
            assert_eq!(rig.read(at + 4096, 4096), [9; 4096].as_slice());
            // What is left of it can't be kept, so it isn't changed in part, but as a whole.
            assert_eq!(medium_error(rig.run(write(at + 512, 512, 99))), at + 512);
            assert_eq!(medium_error(rig.run(read(at, 4096))), at);
            done(rig.run(write(at, 4096, 99)));
            assert_eq!(rig.read(at, 4096), [99; 4096].as_slice());
        },
    );
}

#[test]
fn a_flipped_bit_in_a_map_is_a_medium_error_too() {
    on_each_mapped(
        BLOCKS * BLOCK_BYTES,
        |_| {},
        |bench| {
            fill(&mut bench.rig);
            bench.reopen();
            let mapped = bench.rig.volume.mapped().unwrap();
            let range = BlockRange { first: 0, count: 1 };
            let missing = match mapped
                .family
                .locate(mapped.dataset, range, &mut Stretches::new())
            {
                Err(crate::family::Trouble::Missing(missing)) => missing,
                other => panic!("{other:?}"),
            };
            let (file, at) = mapped.family.place(missing.address).unwrap();
            let path = file.path().to_path_buf();
            flip(&path, at + 16);
            let rig = &mut bench.rig;
            let read = VolumeOp::Read {
                offset: 8192,
                length: 4096,
            };
            assert_eq!(medium_error(rig.run(read.clone())), 8192);
            assert_eq!(medium_error(rig.run(write(4096, 4096, 1))), 4096);
            flip(&path, at + 16);
            assert_eq!(rig.read(8192, 4096), [3; 4096].as_slice());
            done(rig.run(write(4096, 4096, 1)));
            bench.assert_sound();
        },
    );
}

#[test]
fn a_data_file_that_is_shorter_is_a_medium_error_at_the_byte_of_the_image() {
    on_each_mapped(
        BLOCKS * BLOCK_BYTES,
        |_| {},
        |bench| {
            fill(&mut bench.rig);
            let (file, at) = bench.place(20).unwrap();
            let data = std::fs::OpenOptions::new().write(true).open(file).unwrap();
            data.set_len(at + 512).unwrap();
            let read = VolumeOp::Read {
                offset: 20 * BLOCK_BYTES,
                length: 4096,
            };
            assert_eq!(medium_error(bench.rig.run(read)), 20 * BLOCK_BYTES + 512);
        },
    );
}
