//! A disk that loses what isn't durable.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::id::GenerationId;

/// Bytes of a block, which holds the number of the write that it was last written by.
pub(super) const BLOCK: u64 = 4;
/// The same, in memory.
pub(super) const BLOCK_BYTES: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    current: Vec<u32>,
    durable: Vec<u32>,
    snapshot: Option<Vec<u32>>,
    cuts: BTreeMap<GenerationId, Vec<u32>>,
    /// Snapshots that are kept because their changes are nowhere else.
    pub(super) kept: Vec<Vec<u32>>,
}

impl Disk {
    pub(super) fn new(blocks: usize) -> Self {
        Self {
            current: vec![0; blocks],
            durable: vec![0; blocks],
            snapshot: None,
            cuts: BTreeMap::new(),
            kept: Vec::new(),
        }
    }

    pub(super) fn current(&self) -> &[u32] {
        &self.current
    }

    pub(super) fn durable(&self) -> &[u32] {
        &self.durable
    }

    pub(super) fn snapshot(&self) -> Option<&[u32]> {
        self.snapshot.as_deref()
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8], durable: bool) {
        let first = usize::try_from(offset / BLOCK).unwrap();
        for (at, number) in data.chunks_exact(BLOCK_BYTES).enumerate() {
            let number = u32::from_le_bytes(number.try_into().unwrap());
            self.current[first + at] = number;
            if durable {
                self.durable[first + at] = number;
            }
        }
    }

    pub(super) fn read(&self, offset: u64, length: u64) -> Bytes {
        bytes(&self.current, offset, length)
    }

    pub(super) fn take_cut(&mut self, generation: GenerationId) {
        self.flush();
        self.cuts.insert(generation, self.current.clone());
    }

    pub(super) fn read_cut(&self, generation: GenerationId, offset: u64, length: u64) -> Bytes {
        // It may have been dropped since the read began.
        match self.cuts.get(&generation) {
            Some(cut) => bytes(cut, offset, length),
            None => Bytes::from(vec![0xFF; usize::try_from(length).unwrap()]),
        }
    }

    pub(super) fn has_cut(&self, generation: GenerationId) -> bool {
        self.cuts.contains_key(&generation)
    }

    pub(super) fn drop_cut(&mut self, generation: GenerationId) {
        self.cuts
            .remove(&generation)
            .expect("a cut that is dropped was taken");
    }

    pub(super) fn flush(&mut self) {
        self.durable = self.current.clone();
    }

    pub(super) fn take_snapshot(&mut self) {
        self.flush();
        self.snapshot = Some(self.current.clone());
    }

    pub(super) fn roll_back(&mut self) {
        let snapshot = self.snapshot.clone().expect("a snapshot to go back to");
        self.current.clone_from(&snapshot);
        self.durable = snapshot;
    }

    pub(super) fn drop_snapshot(&mut self) {
        self.snapshot = None;
    }

    pub(super) fn keep_snapshot(&mut self) {
        self.kept.extend(self.snapshot.take());
    }

    /// Each block is what is durable or what was written last.
    pub(super) fn crash(&mut self, mut keeps: impl FnMut() -> bool) {
        for (current, durable) in self.current.iter_mut().zip(&mut self.durable) {
            if keeps() {
                *durable = *current;
            } else {
                *current = *durable;
            }
        }
        self.cuts.clear();
    }
}

fn bytes(blocks: &[u32], offset: u64, length: u64) -> Bytes {
    let first = usize::try_from(offset / BLOCK).unwrap();
    let count = usize::try_from(length / BLOCK).unwrap();
    let numbers = blocks[first..first + count].iter();
    numbers.flat_map(|it| it.to_le_bytes()).collect()
}
