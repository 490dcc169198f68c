//! What capabilities need to know of mirrors.

use tidelock_capabilities::facts::{Association, ElementId};
use tidelock_catalog::{MirrorSide, PeerName, VolumeName};

use super::Mirrors;

/// The mirror that a volume is in.
pub(in crate::registry) struct Mirrored {
    /// As it is now.
    pub(in crate::registry) association: Association,
    /// The other end, and its name.
    pub(in crate::registry) other: (ElementId, String),
    /// Whether the volume is the target.
    pub(in crate::registry) is_target: bool,
}

/// The end that a peer has of a mirror.
pub(in crate::registry) struct FarEnd {
    /// The mirror as it is now.
    pub(in crate::registry) association: Association,
    /// Who has it.
    pub(in crate::registry) peer: PeerName,
    /// What it is called.
    pub(in crate::registry) name: String,
    /// The volume here.
    pub(in crate::registry) near: VolumeName,
}

impl Mirrors {
    /// The end of that identity, if a peer has it.
    pub(in crate::registry) fn far_end(&self, id: ElementId) -> Option<FarEnd> {
        self.all().iter().find_map(|running| {
            running.look(|state| {
                let record = state.record();
                let (side, elsewhere) = record.remote()?;
                let end = record.end(side);
                (end.node.as_u128() == id.0).then(|| FarEnd {
                    association: *state.association(),
                    peer: elsewhere.peer.clone(),
                    name: end.to_string(),
                    near: record.end(side.opposite()).volume.clone(),
                })
            })
        })
    }

    /// What is known of the mirror that a volume is in.
    pub(in crate::registry) fn facts_of(&self, volume: &str, id: ElementId) -> Option<Mirrored> {
        let (running, side) = self.of(volume)?;
        let other = running.look(|state| state.record().end(side.opposite()).to_string());
        let association = running.look(|state| *state.association());
        let key = association.key;
        let is_target = key.synced_element == id;
        let other_id = match is_target {
            true => key.system_element,
            false => key.synced_element,
        };
        Some(Mirrored {
            association,
            other: (other_id, other),
            is_target,
        })
    }

    /// How many there are.
    pub(in crate::registry) fn count(&self) -> u64 {
        self.running.read().len() as u64
    }

    /// A number that is another one whenever a mirror isn't as it was.
    pub(in crate::registry) fn generation(&self) -> u64 {
        let running = self.running.read();
        let counts = running.values().map(|it| *it.changes().borrow());
        counts.fold(running.len() as u64, u64::wrapping_add)
    }
}

/// Both sides.
pub(super) const SIDES: [MirrorSide; 2] = [MirrorSide::First, MirrorSide::Second];
