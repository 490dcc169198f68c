//! What hosts were promised, kept outside of the nodes. Checks that every end keeps it.

use std::collections::BTreeMap;

use crate::id::GenerationId;

/// Not begun.
const NOT_BEGUN: u32 = u32::MAX;

/// What was promised about each block at each node, by the number of a write. What is there has to be that write or
/// one that came after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ghost {
    /// Of each write, by its number, what was in its block when it began. Write 0 is the empty disk.
    before: Vec<u32>,
    /// By node and block: survives a crash.
    durable: Vec<Vec<u32>>,
    /// By node and block: survives as long as the node runs.
    acknowledged: Vec<Vec<u32>>,
    /// What had been promised when a generation began: whoever takes it later promises that.
    at_generation: BTreeMap<GenerationId, Promised>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Promised {
    source: usize,
    durable: Vec<u32>,
    acknowledged: Vec<u32>,
}

impl Ghost {
    pub(super) fn new(nodes: usize, blocks: usize) -> Self {
        Self {
            before: vec![0],
            durable: vec![vec![0; blocks]; nodes],
            acknowledged: vec![vec![0; blocks]; nodes],
            at_generation: BTreeMap::new(),
        }
    }

    /// The number of a new write; [`Self::begins`] follows.
    pub(super) fn number(&mut self) -> u32 {
        self.before.push(NOT_BEGUN);
        u32::try_from(self.before.len() - 1).unwrap()
    }

    /// The number that a new write will have.
    pub(super) fn next(&self) -> u32 {
        u32::try_from(self.before.len()).unwrap()
    }

    /// The write begins in a block that holds this. It counts the first time, which is at the source.
    pub(super) fn begins(&mut self, number: u32, before: u32) {
        let it = &mut self.before[number as usize];
        if *it == NOT_BEGUN && number != 0 {
            *it = before;
        }
    }

    /// Whether a write is another one or came after it.
    fn follows(&self, mut number: u32, other: u32) -> bool {
        while number != other {
            if number == 0 {
                return false;
            }
            number = self.before[number as usize];
        }
        true
    }

    /// A write was acknowledged by a node together with others.
    pub(super) fn acknowledged(&mut self, at: &[usize], block: usize, number: u32, durable: bool) {
        for node in at {
            self.acknowledged[*node][block] = number;
            if durable {
                self.durable[*node][block] = number;
            }
        }
    }

    /// What was acknowledged at a node, to be handed in when a flush that begins now is done.
    pub(super) fn acknowledged_at(&self, node: usize) -> Vec<u32> {
        self.acknowledged[node].clone()
    }

    /// A flush was acknowledged.
    pub(super) fn flushed(&mut self, at: &[usize], promised: &[u32]) {
        for node in at {
            for (block, number) in promised.iter().enumerate() {
                if self.follows(*number, self.durable[*node][block]) {
                    self.durable[*node][block] = *number;
                }
            }
        }
    }

    pub(super) fn crashed(&mut self, node: usize) {
        self.acknowledged[node] = self.durable[node].clone();
        // What it had acknowledged and not flushed may be lost, and is lost for those who get it from there.
        for promised in self
            .at_generation
            .values_mut()
            .filter(|it| it.source == node)
        {
            promised.acknowledged.clone_from(&promised.durable);
        }
    }

    /// A source has begun a generation.
    pub(super) fn begun(&mut self, source: usize, generation: GenerationId) {
        let promised = Promised {
            source,
            durable: self.durable[source].clone(),
            acknowledged: self.acknowledged[source].clone(),
        };
        self.at_generation.insert(generation, promised);
    }

    /// A node is what its source was, from now on. What was promised of it before has to be there, unless the
    /// operator has dropped it.
    pub(super) fn adopts(
        &mut self,
        node: usize,
        generation: GenerationId,
        content: &[u32],
        dropped: bool,
    ) -> Result<(), String> {
        let Some(begun) = self.at_generation.get(&generation).cloned() else {
            return Err(format!(
                "node {node} has generation {generation}, which its source doesn't have durably"
            ));
        };
        for (block, number) in content.iter().enumerate() {
            let promised = self.durable[node][block];
            if !dropped && !self.follows(*number, promised) {
                return Err(format!(
                    "node {node} had write {promised} in block {block}, flushed and acknowledged, and it was \
                     overwritten by {number} without anybody having said so"
                ));
            }
        }
        let Promised {
            durable,
            acknowledged,
            ..
        } = begun;
        for block in 0..content.len() {
            let own = self.durable[node][block];
            let newer = |promised: u32| dropped || self.follows(promised, own);
            let durable = if newer(durable[block]) {
                durable[block]
            } else {
                own
            };
            let acknowledged = if newer(acknowledged[block]) {
                acknowledged[block]
            } else {
                own
            };
            self.durable[node][block] = durable;
            self.acknowledged[node][block] = acknowledged;
        }
        Ok(())
    }

    /// A node goes back to what it was before a resync.
    pub(super) fn rolls_back(&mut self, node: usize) {
        self.acknowledged[node] = self.durable[node].clone();
    }

    /// An image of a node keeps what was promised.
    pub(super) fn check(
        &self,
        node: usize,
        what: &str,
        image: &[u32],
        durable: bool,
    ) -> Result<(), String> {
        let promised = if durable {
            &self.durable
        } else {
            &self.acknowledged
        };
        for (block, number) in image.iter().enumerate() {
            let promised = promised[node][block];
            if !self.follows(*number, promised) {
                return Err(format!(
                    "node {node}, {what}: block {block} holds write {number}, and write {promised} was promised"
                ));
            }
        }
        Ok(())
    }
}
