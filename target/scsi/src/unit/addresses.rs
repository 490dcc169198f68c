//! Addresses: from blocks, as initiators count, to bytes, as the store does.

use crate::cdb::invalid_field;
use crate::commands::read::BlockRange;
use crate::plan::Extent;
use crate::sense::{AdditionalSense, Sense};
use crate::unit::LogicalUnit;

impl LogicalUnit {
    /// The address of the last block.
    pub(crate) fn last_lba(&self) -> u64 {
        self.blocks().saturating_sub(1)
    }

    /// The extent of a transfer: within the limit of one command and inside the unit.
    pub(crate) fn transfer_extent(&self, range: BlockRange) -> Result<Extent, Sense> {
        if range.blocks > self.config.max_transfer_blocks() {
            return Err(invalid_field(range.length_at, None));
        }
        self.extent(range.lba, u64::from(range.blocks))
    }

    /// The extent of `blocks` blocks from `lba`, or LOGICAL BLOCK ADDRESS OUT OF RANGE. The address
    /// must be one of the unit's even where the length is zero.
    pub(crate) fn extent(&self, lba: u64, blocks: u64) -> Result<Extent, Sense> {
        let capacity = self.blocks();
        let fits = lba < capacity && blocks <= capacity - lba;
        if !fits {
            let additional = AdditionalSense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE;
            return Err(Sense::illegal_request(additional));
        }
        let shift = self.config.block_size.shift();
        Ok(Extent {
            offset: lba << shift,
            length: blocks << shift,
        })
    }

    /// From `lba` to the last block.
    pub(crate) fn extent_to_end(&self, lba: u64) -> Result<Extent, Sense> {
        let blocks = self.blocks().saturating_sub(lba).max(1);
        self.extent(lba, blocks)
    }

    /// `extent` again, if it is still inside.
    pub(crate) fn still_inside(&self, extent: Extent) -> Result<Extent, Sense> {
        let shift = self.config.block_size.shift();
        self.extent(extent.offset >> shift, extent.length >> shift)
    }

    /// The whole unit.
    pub(crate) fn whole(&self) -> Extent {
        Extent {
            offset: 0,
            length: self.blocks() << self.config.block_size.shift(),
        }
    }

    /// The limit of one transfer.
    pub(crate) fn max_transfer_bytes(&self) -> u64 {
        u64::from(self.config.max_transfer_blocks()) << self.config.block_size.shift()
    }

    /// Whether `bytes` are blocks without a rest.
    pub(crate) fn is_whole_blocks(&self, bytes: u64) -> bool {
        bytes.is_multiple_of(u64::from(self.config.block_size.bytes()))
    }

    /// The blocks that `bytes` touch, in bytes.
    pub(crate) fn round_up_to_block(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(u64::from(self.config.block_size.bytes()))
    }
}
