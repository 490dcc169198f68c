//! The fields of messages, little-endian, one after the other. Reading checks every length before it is used.

use bytes::{Buf, Bytes};
use thiserror::Error;

use crate::generation::{Generation, LINEAGE_MAX, Lineage, Receiving, Role, View, Why};
use crate::id::{GenerationId, Incarnation, NodeId};
use crate::region::RegionSet;

/// How many runs of regions one message may name.
pub(crate) const RUNS_MAX: usize = 16_384;

/// Why the fields of a message aren't right. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FieldError {
    /// There are too few bytes.
    #[error("a message of kind {0} is too short")]
    Short(u8),
    /// There are too many.
    #[error("a message of kind {0} is too long")]
    Long(u8),
    /// A value that has no meaning.
    #[error("a message of kind {kind} has a wrong value: {what}")]
    Value {
        /// Of the message.
        kind: u8,
        /// What is wrong.
        what: &'static str,
    },
    /// A kind that isn't known.
    #[error("a message of kind {0} isn't known: update the older of the two daemons")]
    Kind(u8),
}

/// Reads fields.
pub(crate) struct Reader {
    pub(crate) kind: u8,
    bytes: Bytes,
}

impl Reader {
    pub(crate) const fn new(kind: u8, bytes: Bytes) -> Self {
        Self { kind, bytes }
    }

    pub(crate) const fn wrong(&self, what: &'static str) -> FieldError {
        FieldError::Value {
            kind: self.kind,
            what,
        }
    }

    fn need(&self, bytes: usize) -> Result<(), FieldError> {
        if self.bytes.len() < bytes {
            return Err(FieldError::Short(self.kind));
        }
        Ok(())
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FieldError> {
        self.need(1)?;
        Ok(self.bytes.get_u8())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FieldError> {
        self.need(4)?;
        Ok(self.bytes.get_u32_le())
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FieldError> {
        self.need(8)?;
        Ok(self.bytes.get_u64_le())
    }

    pub(crate) fn u128(&mut self) -> Result<u128, FieldError> {
        self.need(16)?;
        Ok(self.bytes.get_u128_le())
    }

    pub(crate) fn flag(&mut self) -> Result<bool, FieldError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.wrong("a flag is neither 0 nor 1")),
        }
    }

    pub(crate) fn bytes(&mut self, max: usize) -> Result<Bytes, FieldError> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > max {
            return Err(self.wrong("a text is too long"));
        }
        self.need(length)?;
        Ok(self.bytes.split_to(length))
    }

    /// A count of things of so many bytes each, all of which have to be there.
    fn count(&mut self, max: usize, bytes_each: usize) -> Result<usize, FieldError> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > max {
            return Err(self.wrong("a list is too long"));
        }
        self.need(count.saturating_mul(bytes_each))?;
        Ok(count)
    }

    pub(crate) fn nodes(&mut self, max: usize) -> Result<Vec<NodeId>, FieldError> {
        let count = self.count(max, 16)?;
        (0..count).map(|_| Ok(NodeId(self.u128()?))).collect()
    }

    pub(crate) fn regions(&mut self) -> Result<RegionSet, FieldError> {
        self.regions_within(RUNS_MAX)
    }

    /// As [`Self::regions`], with another limit.
    pub(crate) fn regions_within(&mut self, runs_max: usize) -> Result<RegionSet, FieldError> {
        let count = self.count(runs_max, 16)?;
        let mut set = RegionSet::default();
        let mut behind = 0;
        for at in 0..count {
            let (first, end) = (self.u64()?, self.u64()?);
            if first >= end || (at > 0 && first <= behind) {
                return Err(self.wrong("runs of regions aren't in order"));
            }
            set.insert_run(first, end);
            behind = end;
        }
        Ok(set)
    }

    pub(crate) fn lineage(&mut self) -> Result<Lineage, FieldError> {
        let count = self.count(LINEAGE_MAX, 33)?;
        let mut generations: Vec<Generation> = Vec::with_capacity(count);
        for _ in 0..count {
            let id = GenerationId(self.u128()?);
            let by = NodeId(self.u128()?);
            let why = self.why()?;
            if generations.iter().any(|it| it.id == id) {
                return Err(self.wrong("a generation is in the lineage twice"));
            }
            generations.push(Generation { id, by, why });
        }
        Ok(Lineage::new(generations))
    }

    fn why(&mut self) -> Result<Why, FieldError> {
        Ok(match self.u8()? {
            1 => Why::Created,
            2 => Why::PeerLost,
            3 => Why::Joined,
            4 => Why::Promoted,
            5 => Why::HandedOver,
            6 => Why::Cut,
            _ => return Err(self.wrong("why a generation was begun")),
        })
    }

    pub(crate) fn view(&mut self) -> Result<View, FieldError> {
        let lineage = self.lineage()?;
        let role = match self.u8()? {
            2 => Role::Source,
            3 => Role::Target,
            _ => return Err(self.wrong("the role")),
        };
        let receiving = if self.flag()? {
            Some(Receiving {
                from: NodeId(self.u128()?),
                incarnation: Incarnation(self.u128()?),
                generation: GenerationId(self.u128()?),
                snapshot: self.flag()?,
            })
        } else {
            None
        };
        let yielded = self.flag()?;
        Ok(View {
            lineage,
            role,
            receiving,
            yielded,
        })
    }

    /// All has been read.
    pub(crate) fn end(self) -> Result<(), FieldError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(FieldError::Long(self.kind))
        }
    }
}

/// Writes fields.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// A length or count; what is longer than that is longer than a frame, and refused there.
    fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend(bytes);
    }

    pub(crate) fn nodes(&mut self, nodes: &[NodeId]) {
        self.count(nodes.len());
        for node in nodes {
            self.u128(node.0);
        }
    }

    pub(crate) fn regions(&mut self, regions: &RegionSet) {
        self.count(regions.run_count());
        for (first, end) in regions.runs() {
            self.u64(first);
            self.u64(end);
        }
    }

    pub(crate) fn lineage(&mut self, lineage: &Lineage) {
        self.count(lineage.generations().len());
        for generation in lineage.generations() {
            self.u128(generation.id.0);
            self.u128(generation.by.0);
            self.u8(match generation.why {
                Why::Created => 1,
                Why::PeerLost => 2,
                Why::Joined => 3,
                Why::Promoted => 4,
                Why::HandedOver => 5,
                Why::Cut => 6,
            });
        }
    }

    pub(crate) fn view(&mut self, view: &View) {
        self.lineage(&view.lineage);
        self.u8(match view.role {
            Role::Source => 2,
            Role::Target => 3,
        });
        self.flag(view.receiving.is_some());
        if let Some(receiving) = &view.receiving {
            self.u128(receiving.from.0);
            self.u128(receiving.incarnation.0);
            self.u128(receiving.generation.0);
            self.flag(receiving.snapshot);
        }
        self.flag(view.yielded);
    }
}
