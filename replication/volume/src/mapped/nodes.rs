//! The nodes that are in memory: those that have changed since the last checkpoint, and a cache of
//! the others. What isn't here has to be read by whoever asks: [`Missing`] says what.

use thiserror::Error;

use super::address::{Address, AddressMap, BLOCK_BYTES};
use super::entry::{Entries, Entry, Place, decode_node, encode_node};
use super::format::{Damage, chain, crc};

/// What a page is that has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// A node of this level, from 1.
    Node(u8),
    /// A page of a chain.
    Chain,
}

/// A page that has to be read and supplied before the same call can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{address} is not in memory")]
pub struct Missing {
    /// Which block.
    pub address: Address,
    /// CRC32C that its bytes must have.
    pub crc: u32,
    /// What it is.
    pub kind: PageKind,
}

impl Missing {
    /// The page that follows this one in its chain.
    #[must_use]
    pub fn following(&self, page: &[u8]) -> Option<Self> {
        if self.kind != PageKind::Chain {
            return None;
        }
        match chain::decode(page).ok()?.0?.place {
            Place::Node { address, crc } => Some(Self {
                address,
                crc,
                kind: PageKind::Chain,
            }),
            _ => None,
        }
    }
}

/// A block to be written.
pub(crate) type Page = (Address, Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not on disk yet: it may be changed.
    Dirty,
    /// On its way to disk, or there: a change makes another node.
    Fixed {
        /// Of the checkpoint that is being written.
        writing: bool,
    },
}

#[derive(Debug)]
struct Node {
    entries: Box<Entries>,
    /// Of its page; 0 while it has none, as in the entries that point to it.
    crc: u32,
    level: u8,
    state: State,
    touched: u64,
}

/// The nodes in memory.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: AddressMap<Node>,
    /// Pages of chains that were supplied and not yet used.
    chains: AddressMap<(u32, Vec<u8>)>,
    clock: u64,
    /// Nodes that are not on disk yet.
    dirty: usize,
    /// Nodes that are on their way.
    writing: usize,
}

impl Nodes {
    /// Nodes in memory.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Of these, nodes that the next checkpoint has to write.
    pub(crate) fn to_write(&self) -> usize {
        self.dirty
    }

    /// Nodes that can't be forgotten: the next checkpoint has to write them, or one is writing them.
    pub(crate) fn unforgettable(&self) -> usize {
        self.dirty + self.writing
    }

    /// The entries of a node, if it is here.
    pub(crate) fn get(&self, address: Address, crc: u32, level: u8) -> Result<&Entries, Missing> {
        match self.nodes.get(&address) {
            // A page that took long to read may be of a node that was here before this one.
            Some(node) if node.crc == crc || node.crc == 0 || crc == 0 => Ok(&node.entries),
            _ => Err(Missing {
                address,
                crc,
                kind: PageKind::Node(level),
            }),
        }
    }

    /// The entries of a node that isn't on disk yet.
    pub(crate) fn unwritten(&self, address: Address) -> Option<&Entries> {
        let node = self.nodes.get(&address)?;
        (node.state != State::Fixed { writing: false }).then_some(&*node.entries)
    }

    /// Notes that a node is used, so that it stays longer than others.
    pub(crate) fn touch(&mut self, address: Address) {
        self.clock += 1;
        if let Some(node) = self.nodes.get_mut(&address) {
            node.touched = self.clock;
        }
    }

    /// The entries of a node for changing; `None` if it has to be copied first, or isn't here.
    pub(crate) fn change(&mut self, address: Address) -> Option<&mut Entries> {
        let node = self.nodes.get_mut(&address)?;
        (node.state == State::Dirty).then_some(&mut node.entries)
    }

    /// A new node, to be written by the next checkpoint.
    pub(crate) fn insert(&mut self, address: Address, level: u8, entries: Box<Entries>) {
        self.clock += 1;
        let node = Node {
            entries,
            crc: 0,
            level,
            state: State::Dirty,
            touched: self.clock,
        };
        self.dirty += 1;
        self.nodes.insert(address, node);
    }

    /// The node is no longer pointed to.
    pub(crate) fn remove(&mut self, address: Address) {
        match self.nodes.remove(&address).map(|node| node.state) {
            Some(State::Dirty) => self.dirty -= 1,
            Some(State::Fixed { writing: true }) => self.writing -= 1,
            Some(State::Fixed { writing: false }) | None => {}
        }
    }

    /// Takes a page that was asked for.
    pub(crate) fn supply(&mut self, missing: Missing, page: &[u8]) -> Result<(), Damage> {
        if page.len() != BLOCK_BYTES || crc(page) != missing.crc {
            return Err(Damage::new(
                "a node or chain page",
                format!("{}: its checksum is wrong", missing.address),
            ));
        }
        match missing.kind {
            PageKind::Chain => {
                self.chains
                    .insert(missing.address, (missing.crc, page.to_vec()));
            }
            PageKind::Node(level) => {
                let entries = decode_node(page, level)?;
                self.clock += 1;
                let clean = State::Fixed { writing: false };
                let node = Node {
                    entries,
                    crc: missing.crc,
                    level,
                    state: clean,
                    touched: self.clock,
                };
                let here = self.nodes.get(&missing.address);
                if here.is_none_or(|here| here.state == clean) {
                    self.nodes.insert(missing.address, node);
                }
            }
        }
        Ok(())
    }

    /// A page of a chain that was supplied.
    pub(crate) fn chain(&self, address: Address, crc: u32) -> Result<&[u8], Missing> {
        // One that came late may be of another time.
        match self.chains.get(&address) {
            Some((found, page)) if *found == crc => Ok(page),
            _ => Err(Missing {
                address,
                crc,
                kind: PageKind::Chain,
            }),
        }
    }

    /// The pages of chains are no longer needed.
    pub(crate) fn forget_chains(&mut self) {
        self.chains.clear();
    }

    /// Fixes all that have changed, and gives them as they are to be written, with the CRC of every
    /// node in the entry that points to it; and the CRCs, for those who point to them from elsewhere.
    pub(crate) fn freeze(&mut self) -> (Vec<Page>, AddressMap<u32>) {
        let mut dirty: Vec<(u8, Address)> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.state == State::Dirty)
            .map(|(address, node)| (node.level, *address))
            .collect();
        dirty.sort_unstable();
        self.dirty = 0;
        let mut crcs: AddressMap<u32> = AddressMap::default();
        let mut pages = Vec::with_capacity(dirty.len());
        for (_, address) in dirty {
            let Some(node) = self.nodes.get_mut(&address) else {
                continue;
            };
            for entry in node.entries.iter_mut() {
                *entry = with_crc(*entry, &crcs);
            }
            node.state = State::Fixed { writing: true };
            self.writing += 1;
            let page = encode_node(&node.entries);
            node.crc = crc(&page);
            crcs.insert(address, node.crc);
            pages.push((address, page));
        }
        (pages, crcs)
    }

    /// What [`Self::freeze`] gave is durable.
    pub(crate) fn written(&mut self) {
        self.writing = 0;
        for node in self.nodes.values_mut() {
            if node.state == (State::Fixed { writing: true }) {
                node.state = State::Fixed { writing: false };
            }
        }
    }

    /// Forgets the nodes that were used longest ago until there are at most `most`; what isn't on disk
    /// stays.
    pub(crate) fn shrink(&mut self, most: usize) {
        let excess = self.nodes.len().saturating_sub(most);
        if excess == 0 {
            return;
        }
        let mut clean: Vec<(u64, Address)> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.state == State::Fixed { writing: false })
            .map(|(address, node)| (node.touched, *address))
            .collect();
        clean.sort_unstable();
        for (_, address) in clean.into_iter().take(excess) {
            self.nodes.remove(&address);
        }
    }
}

/// The entry with the CRC that its node has got.
pub(crate) fn with_crc(entry: Entry, crcs: &AddressMap<u32>) -> Entry {
    match entry.place {
        Place::Node { address, .. } => match crcs.get(&address) {
            Some(crc) => Entry {
                place: Place::Node { address, crc: *crc },
                ..entry
            },
            None => entry,
        },
        _ => entry,
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Epoch;
    use super::*;

    fn page(birth: u32) -> (Vec<u8>, u32) {
        let entry = Entry {
            place: Place::Hole,
            birth: Epoch(birth),
        };
        let page = encode_node(&[entry; 256]);
        let checksum = crc(&page);
        (page, checksum)
    }

    #[test]
    fn a_page_that_was_read_too_late_is_not_taken_for_the_node_that_is_there_now() {
        let mut nodes = Nodes::default();
        let address = Address::new(7).unwrap();
        let (before, old) = page(1);
        let (after, new) = page(2);
        let birth = |nodes: &Nodes, crc| nodes.get(address, crc, 1).map(|node| node[0].birth);
        let missing = |crc| Missing {
            address,
            crc,
            kind: PageKind::Node(1),
        };
        // Asked for when it was the old node's.
        nodes.supply(missing(old), &before).unwrap();
        assert_eq!(birth(&nodes, new), Err(missing(new)));
        nodes.supply(missing(new), &after).unwrap();
        assert_eq!(birth(&nodes, new), Ok(Epoch(2)));
        nodes.supply(missing(old), &before).unwrap();
        assert_eq!(birth(&nodes, new), Err(missing(new)));
        // One that is not on disk yet is never replaced.
        let entries = decode_node(&after, 1).unwrap();
        nodes.insert(address, 1, entries);
        nodes.supply(missing(old), &before).unwrap();
        assert_eq!(birth(&nodes, 0), Ok(Epoch(2)));
        nodes.freeze();
        nodes.supply(missing(old), &before).unwrap();
        assert_eq!(birth(&nodes, new), Ok(Epoch(2)), "on its way to disk");
    }
}
