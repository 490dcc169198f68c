//! The mode parameters that initiators can change, shared by all I_T nexuses of a logical unit.

use std::sync::atomic::{AtomicU8, Ordering};

/// The changeable mode parameters (SBC-4 Caching mode page, SPC-5 Control mode page).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ModeParameters {
    /// WCE of the Caching mode page: acknowledged writes may wait in a volatile cache.
    pub write_cache: bool,
    /// D_SENSE of the Control mode page: sense data in descriptor format.
    pub descriptor_sense: bool,
    /// SWP of the Control mode page: writes are refused until it is cleared.
    pub software_write_protect: bool,
}

/// Whether MODE SELECT can save what it sets (the SP and PS bits).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ModeSaving {
    /// It can't: what was set is lost with a reset or a restart, and SP is refused.
    #[default]
    NotSupported,
    /// It can: [`crate::Operation::SaveModeParameters`] is planned for SP. Holds what was saved
    /// before, if anything was.
    Supported(Option<ModeParameters>),
}

const WRITE_CACHE: u8 = 0x01;
const DESCRIPTOR_SENSE: u8 = 0x02;
const SOFTWARE_WRITE_PROTECT: u8 = 0x04;

impl ModeParameters {
    fn to_bits(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        bit(self.write_cache, WRITE_CACHE)
            | bit(self.descriptor_sense, DESCRIPTOR_SENSE)
            | bit(self.software_write_protect, SOFTWARE_WRITE_PROTECT)
    }

    fn from_bits(bits: u8) -> Self {
        Self {
            write_cache: bits & WRITE_CACHE != 0,
            descriptor_sense: bits & DESCRIPTOR_SENSE != 0,
            software_write_protect: bits & SOFTWARE_WRITE_PROTECT != 0,
        }
    }
}

/// The current mode parameters in one atomic byte, so that a command sees all of them at once.
#[derive(Debug)]
pub(crate) struct CurrentMode(AtomicU8);

impl CurrentMode {
    pub(crate) fn new(parameters: ModeParameters) -> Self {
        Self(AtomicU8::new(parameters.to_bits()))
    }

    pub(crate) fn get(&self) -> ModeParameters {
        ModeParameters::from_bits(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, parameters: ModeParameters) {
        self.0.store(parameters.to_bits(), Ordering::Release);
    }
}
