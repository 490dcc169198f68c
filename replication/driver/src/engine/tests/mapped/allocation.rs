//! What a mapped volume says is allocated.

use tidelock_block::AllocationExtent;

use super::*;

const BLOCKS: u64 = 64;

fn extent(first: u64, count: u64, allocated: bool) -> AllocationExtent {
    AllocationExtent {
        offset: first * BLOCK_BYTES,
        length: count * BLOCK_BYTES,
        allocated,
    }
}

#[test]
fn what_is_allocated_is_told_from_the_map_and_the_home_file() {
    // The raw file has 8 blocks at its start, and then a hole.
    let fill = |rig: &mut Rig| {
        done(rig.run(write(0, 32_768, 1)));
        done(rig.run(VolumeOp::Flush));
    };
    on_each_mapped(BLOCKS * BLOCK_BYTES - 512, fill, |bench| {
        let rig = &mut bench.rig;
        done(rig.run(write(16 * BLOCK_BYTES, 4096, 2)));
        done(rig.run(write(18 * BLOCK_BYTES + 512, 512, 3)));
        done(rig.run(VolumeOp::Unmap {
            ranges: smallvec![Range {
                offset: 2 * BLOCK_BYTES,
                length: 2 * BLOCK_BYTES
            }],
        }));
        bench.snapshot(2);
        bench.reopen();
        let whole = Range {
            offset: 0,
            length: BLOCKS * BLOCK_BYTES - 512,
        };
        let expected = [
            extent(0, 2, true),
            extent(2, 2, false),
            extent(4, 4, true),
            extent(8, 8, false),
            extent(16, 1, true),
            extent(17, 1, false),
            extent(18, 1, true),
            AllocationExtent {
                length: 45 * BLOCK_BYTES - 512,
                ..extent(19, 45, false)
            },
        ];
        for volume in [bench.dataset(HEAD), bench.dataset(2)] {
            assert_eq!(volume.allocation(whole, 100).unwrap(), expected);
            for most in 1..expected.len() {
                assert_eq!(volume.allocation(whole, most).unwrap(), expected[..most]);
            }
            let part = Range {
                offset: BLOCK_BYTES + 512,
                length: 2 * BLOCK_BYTES,
            };
            let [first, second] = volume.allocation(part, 9).unwrap()[..] else {
                panic!("an allocated piece and a hole");
            };
            assert_eq!(
                (first.offset, first.length),
                (part.offset, BLOCK_BYTES - 512)
            );
            assert_eq!(
                (second.offset, second.length),
                (2 * BLOCK_BYTES, BLOCK_BYTES + 512)
            );
        }
    });
}
