//! What a logical unit is made of: identity, geometry, limits.

use thiserror::Error;

use crate::mode::{ModeParameters, ModeSaving};

/// Who the logical unit says it is. All of it must be the same after every restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// T10 VENDOR IDENTIFICATION, up to 8 ASCII characters.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION, up to 16 ASCII characters.
    pub product: String,
    /// PRODUCT REVISION LEVEL, up to 4 ASCII characters.
    pub revision: String,
    /// Unit serial number, 1 to 32 ASCII characters, unique to the volume.
    pub serial: String,
    /// The NAA designator, locally assigned (first half byte 3h), unique to the volume.
    pub naa: [u8; 8],
}

impl Identity {
    /// An identity of this product: `unique` is 60 bits or more that belong to the volume alone.
    #[must_use]
    pub fn new(unique: u64, serial: impl Into<String>) -> Self {
        const LOCALLY_ASSIGNED: u64 = 0x3 << 60;
        Self {
            vendor: "TIDELOCK".to_owned(),
            product: "VOLUME".to_owned(),
            revision: "0001".to_owned(),
            serial: serial.into(),
            naa: (LOCALLY_ASSIGNED | (unique & !(0xf << 60))).to_be_bytes(),
        }
    }
}

/// The logical block length.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BlockSize {
    /// 512 bytes.
    #[default]
    B512,
    /// 4096 bytes.
    B4096,
}

/// A logical block length that is neither 512 nor 4096.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{0} is not a supported block size: use 512 or 4096")]
pub struct UnsupportedBlockSize(pub u32);

impl BlockSize {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        1 << self.shift()
    }

    /// The exponent: a block is `1 << shift` bytes.
    #[must_use]
    pub const fn shift(self) -> u32 {
        match self {
            Self::B512 => 9,
            Self::B4096 => 12,
        }
    }
}

impl TryFrom<u32> for BlockSize {
    type Error = UnsupportedBlockSize;

    fn try_from(bytes: u32) -> Result<Self, Self::Error> {
        match bytes {
            512 => Ok(Self::B512),
            4096 => Ok(Self::B4096),
            other => Err(UnsupportedBlockSize(other)),
        }
    }
}

/// Limits that the Block Limits VPD page announces and the device server enforces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Largest transfer of one command in bytes, at least one block and at most 1 GiB.
    pub max_transfer_bytes: u32,
    /// The transfer size that works best, in bytes.
    pub optimal_transfer_bytes: u32,
    /// Most blocks of one UNMAP command, all its descriptors together.
    pub max_unmap_blocks: u32,
    /// Most descriptors of one UNMAP command.
    pub max_unmap_descriptors: u32,
    /// Most blocks of one WRITE SAME command.
    pub max_write_same_blocks: u32,
    /// Largest atomic write in bytes; 0 where the store has none.
    pub max_atomic_bytes: u32,
    /// The unit in which the volume can give space back, in bytes: what the file system below uses.
    pub unmap_granularity_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_transfer_bytes: 16 << 20,
            optimal_transfer_bytes: 1 << 20,
            max_unmap_blocks: 1 << 20,
            max_unmap_descriptors: 256,
            max_write_same_blocks: 1 << 15,
            max_atomic_bytes: 0,
            unmap_granularity_bytes: 4096,
        }
    }
}

/// Everything that a logical unit is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogicalUnitConfig {
    /// Who it says it is.
    pub identity: Identity,
    /// The logical block length.
    pub block_size: BlockSize,
    /// Capacity in logical blocks.
    pub blocks: u64,
    /// A physical block is `1 << physical_block_exponent` logical blocks, 0 to 15: 3 is 512e.
    pub physical_block_exponent: u8,
    /// Writes are refused with DATA PROTECT.
    pub read_only: bool,
    /// Blocks are allocated when they are written, and UNMAP gives them back.
    pub thin: bool,
    /// The default of WCE: acknowledged writes may be in a volatile cache until they are flushed.
    pub write_cache: bool,
    /// Whether MODE SELECT can save, and what it saved before.
    pub mode_saving: ModeSaving,
    /// Limits of single commands.
    pub limits: Limits,
}

impl LogicalUnitConfig {
    /// A writable thin unit with a write cache and default limits.
    #[must_use]
    pub fn new(identity: Identity, block_size: BlockSize, blocks: u64) -> Self {
        Self {
            identity,
            block_size,
            blocks,
            physical_block_exponent: match block_size {
                BlockSize::B512 => 3,
                BlockSize::B4096 => 0,
            },
            read_only: false,
            thin: true,
            write_cache: true,
            mode_saving: ModeSaving::default(),
            limits: Limits::default(),
        }
    }
}

impl LogicalUnitConfig {
    /// The largest transfer of one command in blocks, at least one.
    #[must_use]
    pub fn max_transfer_blocks(&self) -> u32 {
        const GIB: u32 = 1 << 30;
        (self.limits.max_transfer_bytes.min(GIB) >> self.block_size.shift()).max(1)
    }

    /// The mode parameters that nobody has changed.
    #[must_use]
    pub fn default_mode(&self) -> ModeParameters {
        ModeParameters {
            write_cache: self.write_cache,
            ..ModeParameters::default()
        }
    }

    /// The mode parameters after a reset: the saved ones, or the defaults.
    #[must_use]
    pub fn saved_mode(&self) -> ModeParameters {
        match self.mode_saving {
            ModeSaving::Supported(Some(saved)) => saved,
            ModeSaving::Supported(None) | ModeSaving::NotSupported => self.default_mode(),
        }
    }
}
