//! Whether every block of a family has exactly one owner, and nothing is in use without one.
//!
//! A check goes node by node, and reads its pages from disk: what a family has in memory says nothing
//! about what the next start will find. [`Check`] keeps its place between two steps, and takes a bit of
//! memory for each block in use.
//!
//! What it looks at has to stay as it is: nothing is deleted between [`Family::begin_check`] and
//! [`Family::end_check`], and of a family that is in use snapshots of all heads are looked at, not the heads.

use std::collections::HashMap;
use std::fmt;

use super::address::{Address, DatasetId};
use super::dataset::{Floor, level_for};
use super::entry::{Entries, Entry, Place, decode_node};
use super::family::{Family, FamilyError};
use super::format::allocation::{Bits, WORDS};
use super::format::dead::{self, Dead, DeadPlace};
use super::format::record::GROUP_MAX;
use super::format::{Damage, Id, chain, crc};
use super::nodes::{Missing, PageKind};

/// Findings that are named; more are counted.
const NAMED_MAX: usize = 100;

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Blocks of segments that have an owner.
    pub owned: u64,
    /// What is wrong; empty if nothing is. At most some hundred findings are named.
    pub findings: Vec<Finding>,
    /// How many things are wrong.
    pub damaged: u64,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Two entries own one block.
    OwnedTwice(Address, DatasetId),
    /// A block has an owner but doesn't count as in use.
    NotInUse(Address, DatasetId),
    /// Blocks are in use and have no owner.
    Leaked(u64),
    /// Something is older or younger than it can be.
    Birth(DatasetId),
    /// A node can't be read: nobody knows where these blocks of a dataset are.
    Node {
        /// Where it is.
        address: Address,
        /// Whose it is; those who come from it may share it.
        dataset: DatasetId,
        /// The first block below it.
        first: u64,
        /// How many there are.
        count: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A page of a dead list can't be read: what the dataset doesn't have any more stays in use.
    DeadList {
        /// Where it is.
        address: Address,
        /// Whose it is.
        dataset: DatasetId,
        /// What is wrong with it.
        why: String,
    },
}

impl Finding {
    /// The block that it is about, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::OwnedTwice(address, _)
            | Self::NotInUse(address, _)
            | Self::Node { address, .. }
            | Self::DeadList { address, .. } => Some(*address),
            Self::Leaked(_) | Self::Birth(_) => None,
        }
    }

    /// The dataset that it is about, if it is one.
    #[must_use]
    pub fn dataset(&self) -> Option<DatasetId> {
        match self {
            Self::OwnedTwice(_, dataset)
            | Self::NotInUse(_, dataset)
            | Self::Birth(dataset)
            | Self::Node { dataset, .. }
            | Self::DeadList { dataset, .. } => Some(*dataset),
            Self::Leaked(_) => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnedTwice(address, by) => write!(f, "{address} has two owners; {by} is one"),
            Self::NotInUse(address, by) => {
                write!(f, "{address} belongs to {by} but counts as free")
            }
            Self::Leaked(blocks) => write!(f, "{blocks} blocks are in use by nobody"),
            Self::Birth(dataset) => write!(f, "{dataset} has something born at an impossible time"),
            Self::Node {
                address,
                dataset,
                first,
                count,
                why,
            } => write!(
                f,
                "the map of {dataset} is damaged from its block {first} on, {count} blocks: the node at \
                 {address} can't be read: {why}"
            ),
            Self::DeadList {
                address,
                dataset,
                why,
            } => write!(
                f,
                "what {dataset} doesn't have any more can't be told, and stays in use: the page at \
                 {address} can't be read: {why}"
            ),
        }
    }
}

/// A block of data that has a checksum, for those who read them as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where it is.
    pub address: Address,
    /// CRC32C that it should have.
    pub crc: u32,
    /// Whose it is.
    pub dataset: DatasetId,
    /// Which block of it.
    pub block: u64,
}

/// What is still to be looked at of a dataset.
#[derive(Debug)]
struct Todo {
    id: DatasetId,
    floor: Floor,
    /// What is before this block has been given back.
    released: u64,
    /// The next page of its dead list.
    dead: Option<Entry>,
    root: Option<(Entry, u8)>,
}

/// A node that is being gone through.
#[derive(Debug)]
struct Frame {
    entries: Box<Entries>,
    /// Of its entries.
    level: u8,
    /// First block of the first one.
    base: u64,
    /// The next one to be looked at.
    next: usize,
}

/// A page that is wanted, and what it is.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Node { level: u8, base: u64 },
    Dead,
}

/// A check under way.
#[derive(Debug)]
pub struct Check {
    /// The next one is the last.
    left: Vec<Todo>,
    stack: Vec<Frame>,
    /// The page that the next step needs.
    wanted: Option<(Missing, Wanted)>,
    /// It, or why there is none.
    supplied: Option<Result<Vec<u8>, String>>,
    owned: HashMap<u32, Box<Bits>>,
    /// Blocks in use that should have an owner.
    expected: u64,
    /// Something couldn't be looked at, so that what is in use by nobody isn't known.
    blind: bool,
    collect: bool,
    data: Vec<Checked>,
    report: Report,
    /// Snapshots that were made for it.
    pins: Vec<DatasetId>,
}

impl Check {
    /// Has [`Self::take_data`] tell of the blocks of data.
    #[must_use]
    pub fn with_data(mut self) -> Self {
        self.collect = true;
        self
    }

    /// The blocks of data that the last steps went past.
    pub fn take_data(&mut self) -> Vec<Checked> {
        std::mem::take(&mut self.data)
    }

    /// Takes the page that the last step wanted; an error is why it can't be read.
    pub fn supply(&mut self, page: Result<&[u8], String>) {
        let Some((missing, _)) = &self.wanted else {
            return;
        };
        self.supplied = Some(page.and_then(|page| {
            if crc(page) == missing.crc {
                Ok(page.to_vec())
            } else {
                Err("its checksum is wrong".to_owned())
            }
        }));
    }

    /// Blocks that an owner was found for, and of how many.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let owned = self.report.owned;
        (owned, self.expected.max(owned))
    }

    /// What was found so far; after the last step: all.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    fn find(&mut self, finding: Finding) {
        self.report.damaged += 1;
        if self.report.findings.len() < NAMED_MAX {
            self.report.findings.push(finding);
        }
    }

    fn own(&mut self, family: &Family, address: Address, dataset: DatasetId) {
        let bits = self.owned.entry(address.segment());
        let bits = bits.or_insert_with(|| Box::new([0; WORDS]));
        let (at, bit) = (address.index() as usize / 64, 1 << (address.index() % 64));
        let is_new = bits.get_mut(at).is_some_and(|word| {
            let before = std::mem::replace(word, *word | bit);
            before & bit == 0
        });
        if is_new {
            self.report.owned += 1;
        } else {
            self.find(Finding::OwnedTwice(address, dataset));
        }
        if !family.maps.allocator.is_used(address) {
            self.find(Finding::NotInUse(address, dataset));
        }
    }

    /// Looks at an entry; true if what is below it is wanted next.
    fn visit(&mut self, family: &Family, entry: Entry, level: u8, base: u64) -> bool {
        let Some(now) = self.left.last() else {
            return false;
        };
        let (id, floor, released) = (now.id, now.floor, now.released);
        let end = base.saturating_add(Entry::span(level));
        if !floor.owns(entry.birth) || end <= released {
            return false;
        }
        if entry.birth > family.epoch() {
            self.find(Finding::Birth(id));
        }
        match entry.place {
            Place::Hole | Place::Home => false,
            Place::Block { address, crc } => {
                self.own(family, address, id);
                if self.collect {
                    self.data.push(Checked {
                        address,
                        crc,
                        dataset: id,
                        block: base,
                    });
                }
                false
            }
            Place::Node { address, crc } => {
                self.own(family, address, id);
                let kind = PageKind::Node(level);
                let missing = Missing { address, crc, kind };
                self.wanted = Some((missing, Wanted::Node { level, base }));
                true
            }
        }
    }

    /// Takes the page that was wanted.
    fn enter(&mut self, family: &Family) -> Result<(), Missing> {
        let Some((missing, wanted)) = self.wanted else {
            return Ok(());
        };
        let id = self.left.last().map_or(DatasetId(0), |now| now.id);
        match wanted {
            Wanted::Node { level, base } => {
                let here = family.maps.nodes.unwritten(missing.address).copied();
                let entries = match (here, self.supplied.take()) {
                    (Some(entries), _) => Ok(Box::new(entries)),
                    (None, Some(page)) => {
                        page.and_then(|page| decode_node(&page, level).map_err(text))
                    }
                    (None, None) => return Err(missing),
                };
                match entries {
                    Ok(entries) => self.stack.push(Frame {
                        entries,
                        level: level - 1,
                        base,
                        next: 0,
                    }),
                    Err(why) => {
                        self.blind = true;
                        self.find(Finding::Node {
                            address: missing.address,
                            dataset: id,
                            first: base,
                            count: Entry::span(level),
                            why,
                        });
                    }
                }
            }
            Wanted::Dead => {
                let page = self.supplied.take().ok_or(missing)?;
                self.take_dead(family, missing.address, id, page);
            }
        }
        self.wanted = None;
        Ok(())
    }

    fn take_dead(
        &mut self,
        family: &Family,
        address: Address,
        id: DatasetId,
        page: Result<Vec<u8>, String>,
    ) {
        self.own(family, address, id);
        let decoded = page.and_then(|page| {
            let (next, payload) = chain::decode(&page).map_err(text)?;
            Ok((next, dead::decode(payload).map_err(text)?))
        });
        let (next, records) = decoded.unwrap_or_else(|why| {
            self.blind = true;
            let dataset = id;
            self.find(Finding::DeadList {
                address,
                dataset,
                why,
            });
            (None, Vec::new())
        });
        let deleting = family.datasets.get(id).is_none_or(|it| it.record.deleting);
        let Some(now) = self.left.last_mut() else {
            return;
        };
        now.dead = next;
        let floor = now.floor;
        if !deleting && records.iter().any(|dead| is_wrong(dead, floor)) {
            self.find(Finding::Birth(id));
        }
    }
}

fn text(damage: Damage) -> String {
    damage.to_string()
}

fn is_wrong(dead: &Dead, floor: Floor) -> bool {
    floor.owns(dead.birth) || matches!(dead.what, DeadPlace::Home { count: 0, .. })
}

impl Family {
    /// Begins a check of a family that nobody uses.
    ///
    /// # Errors
    /// A checkpoint is being written: its pages can't be read yet.
    pub fn begin_check(&mut self) -> Result<Check, FamilyError> {
        self.can_read_lists()?;
        Ok(self.new_check(false))
    }

    /// Begins a check of a family that is in use, as it is at this moment: with snapshots of all heads, whose
    /// ids `id` makes of their numbers. A checkpoint has to be made before the first step.
    ///
    /// # Errors
    /// A checkpoint is being written, or there is no room for so many snapshots. There are none then.
    pub fn begin_check_in_use(&mut self, id: impl Fn(u32) -> Id) -> Result<Check, FamilyError> {
        self.can_read_lists()?;
        let heads: Vec<DatasetId> = self
            .datasets
            .iter()
            .filter(|dataset| dataset.is_head() && !dataset.record.deleting)
            .map(|dataset| dataset.record.id)
            .collect();
        let mut pins = Vec::new();
        for heads in heads.chunks(GROUP_MAX) {
            let numbers = self.next_dataset..;
            let named: Vec<_> = heads.iter().copied().zip(numbers.map(&id)).collect();
            match self.snapshot(&named) {
                Ok(made) => pins.extend(made),
                Err(error) => {
                    self.unpin(&pins);
                    return Err(error);
                }
            }
        }
        let mut check = self.new_check(true);
        check.pins = pins;
        Ok(check)
    }

    fn unpin(&mut self, pins: &[DatasetId]) {
        for pin in pins {
            // Whoever tidied up after a crash may have taken it for a leftover.
            if let Err(error) = self.delete(*pin) {
                debug_assert_eq!(error, FamilyError::NoSuchDataset(*pin));
            }
        }
    }

    fn new_check(&mut self, in_use: bool) -> Check {
        let mut wrong = Vec::new();
        let mut left: Vec<Todo> = Vec::new();
        for dataset in self.datasets.iter() {
            let record = &dataset.record;
            if in_use && dataset.is_head() && !record.deleting {
                continue;
            }
            let floor = self.floor(record.id);
            if !record.deleting && dataset.dying.iter().any(|dead| is_wrong(dead, floor)) {
                wrong.push(Finding::Birth(record.id));
            }
            left.push(Todo {
                id: record.id,
                floor,
                released: record.released,
                dead: record.dead,
                root: Some((record.root, level_for(record.blocks))),
            });
        }
        let waiting = self.maps.allocator.waiting() + self.maps.allocator.reserved();
        let mut check = Check {
            left,
            stack: Vec::new(),
            wanted: None,
            supplied: None,
            owned: HashMap::new(),
            expected: self.blocks_in_use().saturating_sub(waiting),
            blind: false,
            collect: false,
            data: Vec::new(),
            report: Report::default(),
            pins: Vec::new(),
        };
        wrong.into_iter().for_each(|finding| check.find(finding));
        for page in self.table_pages() {
            check.own(self, *page, DatasetId(0));
        }
        self.checks += 1;
        check
    }

    /// The check has ended, or is given up: its snapshots go, and deletions go on.
    pub fn end_check(&mut self, check: &Check) {
        self.checks = self.checks.saturating_sub(1);
        self.unpin(&check.pins);
    }

    /// Goes on with a check, by one node or one page of a list; false if that was all.
    ///
    /// # Errors
    /// A page has to be read: [`Check::supply`] it, or say why it can't be, and try again.
    pub fn check_step(&self, check: &mut Check) -> Result<bool, Missing> {
        check.enter(self)?;
        while let Some(frame) = check.stack.last_mut() {
            let (level, span) = (frame.level, Entry::span(frame.level));
            let at = frame.next;
            let Some(entry) = frame.entries.get(at).copied() else {
                check.stack.pop();
                return Ok(true);
            };
            frame.next += 1;
            let base = frame.base + at as u64 * span;
            if check.visit(self, entry, level, base) {
                return Ok(true);
            }
        }
        let Some(now) = check.left.last_mut() else {
            return Ok(false);
        };
        if let Some(Place::Node { address, crc }) = now.dead.map(|entry| entry.place) {
            let kind = PageKind::Chain;
            check.wanted = Some((Missing { address, crc, kind }, Wanted::Dead));
            return Ok(true);
        }
        // A snapshot's root gets its checksum with the first checkpoint; nothing else of it changes.
        if let Some((root, level)) = now.root.take() {
            let root = self.datasets.get(now.id).map_or(root, |it| it.record.root);
            check.visit(self, root, level, 0);
            return Ok(true);
        }
        check.left.pop();
        if !check.left.is_empty() {
            return Ok(true);
        }
        let leaked = check.expected.saturating_sub(check.report.owned);
        if leaked > 0 && !check.blind {
            check.find(Finding::Leaked(leaked));
        }
        Ok(false)
    }
}
