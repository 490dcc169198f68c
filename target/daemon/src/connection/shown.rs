//! The volumes that one session may reach: those that its target shows to it, at this moment. Knows
//! no I/O.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidelock_scsi::{Designation, NexusInfo};

use crate::registry::{Lun, ServedVolume, Target};

/// What a session is shown.
#[derive(Debug)]
pub struct Shown {
    target: Option<Arc<Target>>,
    nexus: NexusInfo,
}

/// A volume that a session sees.
#[derive(Debug)]
pub struct Visible {
    /// The volume.
    pub volume: Arc<ServedVolume>,
    /// The session's nexus with it.
    pub nexus: NexusInfo,
}

impl Shown {
    /// What `target` shows through `nexus`; nothing to a discovery session.
    #[must_use]
    pub fn new(target: Option<Arc<Target>>, nexus: NexusInfo) -> Self {
        Self { target, nexus }
    }

    /// Changes whenever something may be shown or not that was not or was before.
    #[must_use]
    pub fn generation(&self) -> u64 {
        let target = self.target.as_ref();
        target.map_or(0, |target| target.generation().load(Ordering::Acquire))
    }

    /// The volume under a number.
    #[must_use]
    pub fn number(&self, number: u16) -> Option<Visible> {
        let luns = self.target.as_ref()?.luns();
        luns.get(&number).map(|lun| self.visible(lun))
    }

    /// The volume that shows that designator; under the number where it can be written, if there is
    /// one.
    #[must_use]
    pub fn named(&self, designation: &Designation) -> Option<Visible> {
        let luns = self.target.as_ref()?.luns();
        let named = luns
            .values()
            .filter(|lun| lun.volume.unit().is_named(designation));
        named
            .min_by_key(|lun| lun.read_only)
            .map(|lun| self.visible(lun))
    }

    fn visible(&self, lun: &Lun) -> Visible {
        Visible {
            volume: Arc::clone(&lun.volume),
            nexus: NexusInfo {
                read_only: lun.read_only,
                ..self.nexus.clone()
            },
        }
    }
}
