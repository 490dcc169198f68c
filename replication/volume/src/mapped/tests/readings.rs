//! Somebody reads blocks where a map has shown them, long after: nothing may have happened to them.

use super::disk::File;
use super::rig::{Rig, Tag, place, tag_of};
use crate::mapped::address::{BLOCK_BYTES, DatasetId};
use crate::mapped::entry::Place;
use crate::mapped::maps::BlockRange;
use crate::mapped::readings::Reading;

/// A reading, and what is to be found where.
#[derive(Debug)]
pub(super) struct Read {
    number: (Reading, Reading),
    expected: Vec<(File, u64, Tag)>,
}

impl Rig {
    /// Begins to read a range.
    pub(super) fn begin_reading(&mut self, id: DatasetId, first: u64, count: u64) {
        let number = self.family.begin_reading();
        let found = self.look(id, BlockRange { first, count });
        let home = self.family.home_bytes() / BLOCK_BYTES as u64;
        let mut expected = Vec::new();
        for stretch in found {
            let blocks = stretch.first..stretch.first + stretch.count;
            for (block, behind) in blocks.zip(0..) {
                let (file, at) = match stretch.entry.place {
                    Place::Block { address, .. } => (File::Segments, place(address.plus(behind))),
                    Place::Home if block < home => (File::Home, block * BLOCK_BYTES as u64),
                    _ => continue,
                };
                let tag = tag_of(&self.disk.read(file, at, BLOCK_BYTES));
                expected.push((file, at, tag));
            }
        }
        self.readings.push(Read { number, expected });
    }

    /// Reads at last, and ends that.
    pub(super) fn end_reading(&mut self, index: usize) {
        let Read { number, expected } = self.readings.remove(index);
        for (file, at, tag) in expected {
            let found = tag_of(&self.disk.read(file, at, BLOCK_BYTES));
            assert_eq!(found, tag, "byte {at} of {file:?} while somebody reads it");
        }
        self.family.end_reading(number);
    }
}

#[test]
fn what_is_freed_while_somebody_reads_is_used_again_only_afterwards() {
    let (mut rig, head) = Rig::new(40, 20).unwrap();
    rig.write(head, 20, 10).unwrap();
    rig.flush().unwrap();
    let before = rig.family.blocks_in_use();
    rig.begin_reading(head, 0, 40);
    rig.write(head, 0, 40).unwrap();
    for _ in 0..3 {
        rig.flush().unwrap();
        rig.checkpoint().unwrap();
    }
    assert!(rig.family.blocks_in_use() >= before + 40);
    let home = BlockRange {
        first: 0,
        count: 20,
    };
    assert!(!rig.family.may_bring_home(home));
    // A later one holds nothing of that up.
    rig.begin_reading(head, 0, 40);
    rig.end_reading(0);
    rig.scribble().unwrap();
    assert!(rig.family.may_bring_home(home));
    rig.verify();
    rig.end_reading(0);
    rig.verify();
}
