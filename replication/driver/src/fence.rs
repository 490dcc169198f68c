//! The fence of a volume: up after a failed flush, until an operator takes it down.
//!
//! After a failed `fdatasync` Linux marks the lost pages clean and reports the failure once, so a
//! second attempt would "succeed" over lost data. Hence no attempt, no retry: everything after the
//! failure is refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;

/// Why and since when a volume is fenced.
#[derive(Clone, Debug)]
pub struct FenceReason {
    /// What failed.
    pub what: String,
    /// When.
    pub since: SystemTime,
}

/// State of the fence.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    /// Odd while the fence is up; counts every raising and lowering.
    epoch: AtomicU64,
    reason: Mutex<Option<FenceReason>>,
}

impl Fence {
    /// A number that changes whenever the fence goes up or down.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.epoch() % 2 == 1
    }

    pub(crate) fn reason(&self) -> Option<FenceReason> {
        self.reason.lock().clone()
    }

    /// Raises it; true if it was down. The first reason stays.
    pub(crate) fn raise(&self, what: String) -> bool {
        let mut reason = self.reason.lock();
        if reason.is_some() {
            return false;
        }
        *reason = Some(FenceReason {
            what,
            since: SystemTime::now(),
        });
        self.epoch.fetch_add(1, Ordering::AcqRel);
        true
    }

    pub(crate) fn lower(&self) {
        let mut reason = self.reason.lock();
        if reason.take().is_some() {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }
}
