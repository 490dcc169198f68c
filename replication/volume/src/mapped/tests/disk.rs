//! A disk in memory whose unsynced sectors may each be lost, or come back in any state that they had.

use std::collections::{BTreeMap, HashMap};

/// Bytes that are written or lost together.
pub(super) const SECTOR: usize = 512;

/// A sequence of numbers that a seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The files of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum File {
    Superblock,
    Journal,
    Allocation,
    Segments,
    Home,
}

/// The disk has lost its power: nothing works until it is on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PowerCut;

type Sector = Box<[u8; SECTOR]>;

/// Files as sectors, with what was written since the last sync.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    durable: HashMap<(File, u64), Sector>,
    /// In order of writing.
    unsynced: BTreeMap<(File, u64), Vec<Sector>>,
    /// Writes and syncs so far.
    pub(super) operations: u64,
    /// The operation at which the power goes.
    pub(super) cut_at: Option<u64>,
}

impl Disk {
    fn operate(&mut self) -> Result<(), PowerCut> {
        if self.cut_at.is_some_and(|at| self.operations >= at) {
            return Err(PowerCut);
        }
        self.operations += 1;
        Ok(())
    }

    pub(super) fn write(&mut self, file: File, at: u64, bytes: &[u8]) -> Result<(), PowerCut> {
        assert!(at.is_multiple_of(SECTOR as u64) && bytes.len().is_multiple_of(SECTOR));
        self.operate()?;
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            let key = (file, at / SECTOR as u64 + index as u64);
            let sector = Box::new(sector.try_into().unwrap());
            self.unsynced.entry(key).or_default().push(sector);
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, file: File) -> Result<(), PowerCut> {
        self.operate()?;
        let keys: Vec<_> = self
            .unsynced
            .keys()
            .copied()
            .filter(|(it, _)| *it == file)
            .collect();
        for key in keys {
            let mut written = self.unsynced.remove(&key).unwrap();
            self.durable.insert(key, written.pop().unwrap());
        }
        Ok(())
    }

    pub(super) fn read(&self, file: File, at: u64, length: usize) -> Vec<u8> {
        let first = at / SECTOR as u64;
        let mut bytes = Vec::with_capacity(length);
        for key in (first..first + (length / SECTOR) as u64).map(|sector| (file, sector)) {
            let latest = self.unsynced.get(&key).and_then(|written| written.last());
            match latest.or_else(|| self.durable.get(&key)) {
                Some(sector) => bytes.extend_from_slice(&sector[..]),
                None => bytes.resize(bytes.len() + SECTOR, 0),
            }
        }
        bytes
    }

    /// The power goes and comes back: each sector is in any state since it was last synced.
    pub(super) fn crash(&mut self, random: &mut Random) {
        // Sometimes all of it is there, sometimes nothing.
        let mood = random.below(4);
        for (key, written) in std::mem::take(&mut self.unsynced) {
            let kept = match mood {
                0 => written.len() as u64,
                1 => 0,
                _ => random.below(written.len() as u64 + 1),
            };
            if kept > 0 {
                let sector = written.into_iter().nth(kept as usize - 1).unwrap();
                self.durable.insert(key, sector);
            }
        }
        self.cut_at = None;
    }
}
