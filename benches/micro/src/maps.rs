//! Where blocks are, under any number of snapshots.

use tidelock_volume::mapped::{BlockRange, DatasetId, Family, Run, Stretches};

const BLOCKS: u64 = 1 << 28;
/// Blocks that are written between two snapshots, far apart.
const WRITES: u64 = 16;
/// Places that are ever written.
const PLACES: u64 = 256;

/// A family, its head, and where to look next.
pub struct Mapped {
    family: Family,
    head: DatasetId,
    found: Stretches,
    next: u64,
}

/// The head of 1 TiB that was written all over, under `snapshots` snapshots, with some blocks written after each.
///
/// # Panics
/// There is no room in an empty family: a defect of the bench.
#[must_use]
pub fn mapped(snapshots: u32) -> Mapped {
    let made = Family::create([1; 16], [2; 16], BLOCKS, 0, 1 << 30);
    let (family, head) = made.expect("1 TiB is a size that there can be");
    let mut mapped = Mapped {
        family,
        head,
        found: Stretches::new(),
        next: 1,
    };
    for _ in 0..PLACES {
        update(&mut mapped);
    }
    for number in 0..snapshots {
        snapshot(&mut mapped, number);
        for _ in 0..WRITES {
            update(&mut mapped);
        }
    }
    // The same places again, whatever the depth.
    mapped.next = 1;
    mapped
}

fn place(mapped: &mut Mapped) -> u64 {
    // An LCG: the places of all rounds are the same ones, all over the volume.
    mapped.next = (mapped.next * 5 + 1) % PLACES;
    mapped.next * (BLOCKS / PLACES)
}

/// Writes one block: allocated, mapped.
///
/// # Panics
/// There is no room: a defect of the bench.
pub fn update(mapped: &mut Mapped) {
    let first = place(mapped);
    let run = mapped.family.allocate(1).expect("there is room");
    let done = mapped
        .family
        .map(mapped.head, first, run.address, &[0x1234_5678]);
    done.expect("the head is there");
}

fn snapshot(mapped: &mut Mapped, number: u32) {
    let mut id = [3; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    let done = mapped.family.snapshot(&[(mapped.head, id)]);
    done.expect("there is room for a snapshot");
}

/// Looks one block up.
///
/// # Panics
/// A page is missing, though all are in memory: a defect of the bench.
pub fn lookup(mapped: &mut Mapped) -> usize {
    let range = BlockRange {
        first: place(mapped),
        count: 1,
    };
    let found = mapped
        .family
        .lookup_into(mapped.head, range, &mut mapped.found);
    found.expect("all pages are in memory");
    mapped.found.len()
}

/// Takes a block from the bitmap and gives it back.
///
/// # Panics
/// There is no room: a defect of the bench.
pub fn bitmap(mapped: &mut Mapped) -> Run {
    let run = mapped.family.allocate(1).expect("there is room");
    mapped.family.give_back(run);
    run
}
