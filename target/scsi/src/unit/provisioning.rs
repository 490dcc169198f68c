//! Thin provisioning as initiators count it: threshold sets, and the soft threshold for what is left.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::attention::UnitAttention;
use crate::unit::LogicalUnit;

/// Bytes of one threshold set, whatever the block size: small enough to tell, and large enough that any
/// volume's fit into 32 bits.
pub(crate) const SET_BYTES: u64 = 1 << SET_SHIFT;
const SET_SHIFT: u32 = 20;

/// The threshold of a unit, and whether passing it is news.
#[derive(Debug)]
pub(super) struct SoftThreshold {
    /// In threshold sets; zero when there is none.
    count: AtomicU32,
    armed: AtomicBool,
}

impl Default for SoftThreshold {
    fn default() -> Self {
        Self {
            count: AtomicU32::new(0),
            armed: AtomicBool::new(true),
        }
    }
}

impl LogicalUnit {
    /// A threshold set is `1 << threshold_exponent()` blocks (SBC-4, Logical Block Provisioning VPD
    /// page).
    pub(crate) fn threshold_exponent(&self) -> u8 {
        let exponent = SET_SHIFT - self.config.block_size.shift();
        u8::try_from(exponent).unwrap_or(0)
    }

    /// THRESHOLD COUNT of the one soft threshold; zero when there is none.
    pub(crate) fn soft_threshold(&self) -> u32 {
        self.soft_threshold.count.load(Ordering::Relaxed)
    }

    /// Sets how many bytes may be left in the pool that the unit's blocks come from before initiators
    /// are warned; none for no warning. Rounded to threshold sets.
    pub fn set_soft_threshold(&self, available_bytes: Option<u64>) {
        let sets = available_bytes.unwrap_or(0) / SET_BYTES;
        let count = u32::try_from(sets).unwrap_or(u32::MAX);
        self.soft_threshold.count.store(count, Ordering::Relaxed);
    }

    /// Says how many bytes are left in the pool. Falling below the threshold raises THIN PROVISIONING
    /// SOFT THRESHOLD REACHED on all nexuses, once until it is above again (SBC-4, "Logical block
    /// provisioning thresholds"); true if it was raised.
    pub fn note_available(&self, bytes: u64) -> bool {
        let count = u64::from(self.soft_threshold());
        if count == 0 || !self.config.thin {
            return false;
        }
        let middle = count * SET_BYTES;
        if bytes > middle + SET_BYTES / 2 {
            self.soft_threshold.armed.store(true, Ordering::Relaxed);
            false
        } else if bytes < middle - SET_BYTES / 2
            && self.soft_threshold.armed.swap(false, Ordering::Relaxed)
        {
            self.raise(UnitAttention::ThinProvisioningThreshold, None);
            true
        } else {
            false
        }
    }
}
