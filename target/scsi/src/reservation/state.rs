//! Registrations and the persistent reservation (SPC-5, "Persistent reservations").

use crate::nexus::NexusInfo;
use crate::opcodes::{Access, AccessBits};
use crate::reservation::ReservationType;

/// Most registrations of one logical unit: 128 hosts with 8 paths each.
pub(crate) const MAX_REGISTRATIONS: usize = 1024;

/// The longest name of an initiator port that can be registered, in bytes; those of iSCSI have 240 at
/// most.
pub(crate) const NAME_MAX: usize = 512;

/// An I_T nexus as registrations know it: it is the same one when the initiator port comes back.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct NexusName {
    /// The initiator port: `iqn...,i,0xISID`.
    pub(crate) initiator_port: String,
    /// The relative identifier of the target port.
    pub(crate) relative_port: u16,
}

impl NexusName {
    /// The name of a nexus.
    pub(crate) fn of(nexus: &NexusInfo) -> Self {
        Self {
            initiator_port: nexus.initiator_port.clone(),
            relative_port: nexus.target_port.relative_port_identifier,
        }
    }
}

/// An I_T nexus that is registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Registration {
    pub(crate) nexus: NexusName,
    /// Its reservation key, never 0.
    pub(crate) key: u64,
}

/// The persistent reservation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reservation {
    pub(crate) kind: ReservationType,
    /// Who holds it; `None` for the all registrants types, which everybody holds who is registered.
    pub(crate) holder: Option<NexusName>,
}

/// Everything that PERSISTENT RESERVE OUT changes.
///
/// A holder is always registered, and an all registrants reservation has at least one registrant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PersistentState {
    /// In the order in which they were made.
    pub(crate) registrations: Vec<Registration>,
    pub(crate) reservation: Option<Reservation>,
    /// PRGENERATION: counts changes of registrations since power on.
    pub(crate) generation: u32,
    /// The last valid APTPL bit: all of this outlives a loss of power.
    pub(crate) aptpl: bool,
}

impl PersistentState {
    /// The key under which a nexus is registered.
    pub(crate) fn key_of(&self, nexus: &NexusName) -> Option<u64> {
        let mut all = self.registrations.iter();
        all.find(|one| one.nexus == *nexus).map(|one| one.key)
    }

    /// Whether a nexus is a persistent reservation holder.
    pub(crate) fn is_holder(&self, nexus: &NexusName) -> bool {
        self.reservation.as_ref().is_some_and(|reservation| {
            reservation
                .holder
                .as_ref()
                .map_or_else(|| self.key_of(nexus).is_some(), |holder| holder == nexus)
        })
    }

    /// Whether one registration is a persistent reservation holder's.
    pub(crate) fn holds(&self, registration: &Registration) -> bool {
        self.reservation.as_ref().is_some_and(|reservation| {
            let holder = reservation.holder.as_ref();
            holder.is_none_or(|holder| *holder == registration.nexus)
        })
    }

    /// What a nexus may do that is or isn't registered, and is or isn't a holder.
    pub(crate) fn access(&self, registered: bool, holder: bool) -> AccessBits {
        let Some(reservation) = &self.reservation else {
            return AccessBits::ALL;
        };
        if holder {
            return AccessBits::ALL;
        }
        let kind = reservation.kind;
        let mut access = AccessBits::NONE
            .and(Access::Allowed)
            .and(Access::Persistent);
        let shares = registered && kind.is_shared();
        if shares || kind.is_write_exclusive() {
            access = access.and(Access::Reads);
        }
        if shares {
            access = access.and(Access::Writes);
        }
        if registered {
            access = access.and(Access::Registrants);
        }
        access
    }

    /// Whether anything differs that outlives a loss of power: PRGENERATION doesn't.
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        self.registrations != other.registrations
            || self.reservation != other.reservation
            || self.aptpl != other.aptpl
    }

    pub(super) fn count_change(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Registers a nexus, or gives it another key. False if there is no room for another one.
    pub(super) fn set_key(&mut self, nexus: &NexusName, key: u64) -> bool {
        let mut all = self.registrations.iter_mut();
        if let Some(known) = all.find(|one| one.nexus == *nexus) {
            known.key = key;
            return true;
        }
        let name = nexus.initiator_port.len();
        let room = self.registrations.len() < MAX_REGISTRATIONS && (1..=NAME_MAX).contains(&name);
        if room {
            self.registrations.push(Registration {
                nexus: nexus.clone(),
                key,
            });
        }
        room
    }

    /// Takes a registration away; a reservation that nobody holds any more goes with it. Returns the
    /// type of a reservation that went.
    pub(super) fn unregister(&mut self, nexus: &NexusName) -> Option<ReservationType> {
        self.registrations.retain(|one| one.nexus != *nexus);
        self.drop_orphan()
    }

    /// Releases a reservation without a registered holder.
    pub(super) fn drop_orphan(&mut self) -> Option<ReservationType> {
        let reservation = self.reservation.as_ref()?;
        let held = match &reservation.holder {
            Some(holder) => self.key_of(holder).is_some(),
            None => !self.registrations.is_empty(),
        };
        if held {
            return None;
        }
        self.reservation.take().map(|gone| gone.kind)
    }
}
