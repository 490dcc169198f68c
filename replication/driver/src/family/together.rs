//! Restoring several heads at one moment. **Blocks**, as what is in [`super::control`].

use std::sync::Arc;

use tidelock_volume::mapped::{DatasetId, Id};

use super::Family;
use crate::error::VolumeError;
use crate::volume::{Held, Volume};

/// A head that is to have the content of a snapshot.
#[derive(Clone, Debug)]
pub struct Restoring {
    /// Its family.
    pub family: Arc<Family>,
    /// The head.
    pub head: Id,
    /// The snapshot.
    pub snapshot: Id,
    /// The new snapshot of what the head has now.
    pub safety: Id,
    /// An id that is needed only if it can't be done after all.
    pub undo: Id,
}

/// Keeps hosts off volumes. **Blocks.**
pub(super) fn hold(volumes: &[Arc<Volume>]) -> Result<Vec<Held<'_>>, VolumeError> {
    volumes.iter().map(|volume| volume.hold()).collect()
}

/// The same, found.
struct Found<'a> {
    member: &'a Restoring,
    head: DatasetId,
    snapshot: DatasetId,
}

impl Family {
    /// Gives heads the content of snapshots, all at one moment, and keeps what they had as new snapshots, which are
    /// of that one moment as well. Durable when it returns. A crash leaves, in each family for itself, both or
    /// neither. **Blocks.**
    ///
    /// # Errors
    /// One can't be restored, or hosts' commands don't end in time: then none is, but some of the new snapshots may be there. One couldn't be made
    /// durable: its family is fenced.
    pub fn restore_together(members: &[Restoring]) -> Result<(), VolumeError> {
        let mut families: Vec<&Arc<Self>> = Vec::new();
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let family = &member.family;
            if !families.iter().any(|known| Arc::ptr_eq(known, family)) {
                families.push(family);
            }
            found.push(Found {
                member,
                head: family.find(member.head)?,
                snapshot: family.find(member.snapshot)?,
            });
        }
        // One order for everybody, or two groups could wait for each other.
        families.sort_by_key(|family| Arc::as_ptr(family));
        let volumes: Vec<_> = found
            .iter()
            .flat_map(|one| one.member.family.volumes_of(one.head))
            .collect();
        // Who changes a part of a block would put the rest of it back as it was before.
        let _alone = hold(&volumes)?;
        // Before it is so, as with every change.
        for volume in &volumes {
            volume.watches().change_everything();
        }
        let mut states: Vec<_> = families.iter().map(|family| family.state.lock()).collect();
        // From here to the end of the loop no write of any of them is acknowledged.
        let mut restored: Vec<(&Found<'_>, DatasetId)> = Vec::with_capacity(found.len());
        let mut failed = None;
        for one in &found {
            let family = &one.member.family;
            let place = families.iter().position(|known| Arc::ptr_eq(known, family));
            let Some(state) = place.and_then(|place| states.get_mut(place)) else {
                continue;
            };
            let maps = &mut state.maps;
            match maps.restore(one.head, one.snapshot, one.member.safety) {
                Ok(kept) => {
                    state.unsettled.insert(kept);
                    restored.push((one, kept));
                }
                Err(error) => {
                    failed = Some(family.wrong(&error));
                    break;
                }
            }
        }
        if failed.is_some() {
            for (one, kept) in restored {
                let family = &one.member.family;
                let place = families.iter().position(|known| Arc::ptr_eq(known, family));
                let Some(state) = place.and_then(|place| states.get_mut(place)) else {
                    continue;
                };
                let undone = state.maps.restore(one.head, kept, one.member.undo);
                let undone = undone.and_then(|other| state.maps.delete(other));
                if let Err(error) = undone {
                    failed = Some(family.wrong(&error));
                }
            }
        }
        drop(states);
        let durable = Self::events_durable(&families);
        for family in &families {
            family.desk.ask_tidy();
        }
        failed.map_or(durable, Err)
    }
}
