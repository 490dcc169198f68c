//! Reservations of the logical unit: changing them in two steps, and what they leave to each nexus.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::nexus::{LuNexus, NexusId, NexusInfo, NexusState, TargetPort};
use crate::opcodes::{Access, AccessBits};
use crate::reply::Reply;
use crate::reservation::{
    Change, Effects, InvalidRecord, Known, NexusName, PersistentState, Prepared,
    PreparedReservations, RecordUpdate, Refused, RefusedOrStale, Registrant, Requester,
    ReservationChange, ReservationReport, ReservationsRefused, record,
    shared::{self, Replica},
};
use crate::sense::{AdditionalSense, Sense, SenseKey};
use crate::status::Status;
use crate::unit::LogicalUnit;

/// Who reserved the logical unit. The lock on it is taken before the one on the nexuses.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    persistent: PersistentState,
    /// The holder of an SPC-2 reservation. Only while nobody is registered.
    spc2: Option<Requester>,
    /// What was kept can't be read: nobody knows who may do what, so nobody may do anything.
    lost: bool,
    /// Relative identifiers of the target ports that show the unit.
    target_ports: Vec<u16>,
    /// Counts the states.
    number: u64,
}

impl Reservations {
    fn access(
        &self,
        id: NexusId,
        name: &NexusName,
        keys: &HashMap<&NexusName, bool>,
    ) -> AccessBits {
        if self.lost {
            return AccessBits::NONE;
        }
        if let Some(holder) = &self.spc2 {
            let own = AccessBits::NONE
                .and(Access::Allowed)
                .and(Access::Reads)
                .and(Access::Writes);
            return if holder.id == id {
                own
            } else {
                AccessBits::NONE
            };
        }
        let holder = keys.get(name).copied();
        self.persistent
            .access(holder.is_some(), holder.unwrap_or(false))
    }

    /// Of every registered nexus, whether it is a holder.
    fn keys(&self) -> HashMap<&NexusName, bool> {
        let all = self.persistent.registrations.iter();
        all.map(|one| (&one.nexus, self.persistent.holds(one)))
            .collect()
    }

    fn known(&self, nexuses: &[Arc<NexusState>]) -> Known {
        let ports = nexuses
            .iter()
            .map(|nexus| nexus.name.initiator_port.clone());
        Known {
            target_ports: self.target_ports.clone(),
            initiator_ports: ports.collect(),
        }
    }

    /// Whether RESERVE and RELEASE of a nexus leave its persistent reservation alone and end with
    /// GOOD (SPC-5, "Exceptions to SPC-2 RESERVE and RELEASE behavior").
    fn is_compatible(&self, nexus: &NexusName) -> bool {
        let shared = |kind: crate::ReservationType| kind.is_shared();
        let reservation = self.persistent.reservation.as_ref();
        self.persistent.is_holder(nexus)
            || (reservation.is_some_and(|there| shared(there.kind))
                && self.persistent.key_of(nexus).is_some())
    }

    fn prepare(
        &self,
        change: &ReservationChange,
        known: &Known,
    ) -> Result<(Prepared, RecordUpdate), Refused> {
        let unchanged = |outcome| Ok((outcome, RecordUpdate::Keep));
        match &change.0 {
            Change::Persistent { from, action } => {
                if self.spc2.is_some() {
                    return Err(Refused::Conflict);
                }
                let mut next = self.persistent.clone();
                let effects = next.apply(&from.name, action, known)?;
                let record = RecordUpdate::Keep;
                Ok((Prepared::Persistent { next, effects }, record))
            }
            Change::Reserve(from) | Change::Release(from) if self.is_compatible(&from.name) => {
                unchanged(Prepared::Nothing)
            }
            Change::Reserve(_) | Change::Release(_)
                if !self.persistent.registrations.is_empty() =>
            {
                Err(Refused::Conflict)
            }
            Change::Reserve(from) => match &self.spc2 {
                Some(holder) if holder.id != from.id => Err(Refused::Conflict),
                _ => unchanged(Prepared::Reserved(Some(from.clone()))),
            },
            Change::Release(from) => match &self.spc2 {
                Some(holder) if holder.id == from.id => unchanged(Prepared::Reserved(None)),
                _ => unchanged(Prepared::Nothing),
            },
            Change::OperatorClear => {
                let mut next = self.persistent.clone();
                let effects = next.clear();
                next.aptpl = false;
                Ok((Prepared::Cleared { next, effects }, RecordUpdate::Remove))
            }
        }
    }
}

impl LogicalUnit {
    /// Looks whether a change of reservations is allowed, and what it leads to. Nothing has changed
    /// yet; see [`crate::Operation::ChangeReservations`].
    ///
    /// # Errors
    /// It isn't allowed.
    pub fn prepare_reservations(
        &self,
        change: &ReservationChange,
    ) -> Result<PreparedReservations, ReservationsRefused> {
        let reservations = self.reservations.lock();
        if reservations.lost && change.0 != Change::OperatorClear {
            return Err(Refused::Sense(LOST).into());
        }
        let known = reservations.known(&self.nexuses.lock());
        let (outcome, mut record) = reservations.prepare(change, &known)?;
        if let Prepared::Persistent { next, .. } = &outcome {
            record = self.record_of(&reservations.persistent, next);
        }
        Ok(PreparedReservations {
            based_on: reservations.number,
            record,
            outcome,
        })
    }

    /// All that is in force, for the daemon that has another part of the same unit.
    #[must_use]
    pub fn reservations_replica(&self) -> Vec<u8> {
        shared::encode(&self.reservations.lock().persistent, None)
    }

    /// Looks at what the daemon that decides about reservations has made of them: it is to be so here as well. Nothing
    /// has changed yet.
    ///
    /// # Errors
    /// It isn't a state of reservations.
    pub fn prepare_replica(&self, replica: &[u8]) -> Result<PreparedReservations, InvalidRecord> {
        let Replica {
            state: next,
            effects,
        } = shared::decode(replica)?;
        let reservations = self.reservations.lock();
        let now = &reservations.persistent;
        let is_as_it_was = !reservations.lost && *now == next;
        let record = match (reservations.lost, next.aptpl) {
            (false, _) => self.record_of(now, &next),
            // What was kept can't be read.
            (true, true) => RecordUpdate::Replace(record::encode(&next, self.config.identity.naa)),
            (true, false) => RecordUpdate::Remove,
        };
        let outcome = if is_as_it_was {
            Prepared::Nothing
        } else {
            let effects = effects.unwrap_or_else(|| gone(now, &next));
            Prepared::Cleared { next, effects }
        };
        Ok(PreparedReservations {
            based_on: reservations.number,
            record,
            outcome,
        })
    }

    /// What the record becomes when `next` takes the place of `now`.
    fn record_of(&self, now: &PersistentState, next: &PersistentState) -> RecordUpdate {
        match (now.aptpl, next.aptpl) {
            (_, true) if next.differs_from(now) => {
                RecordUpdate::Replace(record::encode(next, self.config.identity.naa))
            }
            (true, false) => RecordUpdate::Remove,
            _ => RecordUpdate::Keep,
        }
    }

    /// Puts a prepared change in force: from now on commands are treated by it, and whoever has to
    /// know finds a unit attention. Returns the nexuses whose tasks must end before the command is
    /// answered.
    ///
    /// # Errors
    /// Another change came in between: this one has no effect.
    pub fn commit_reservations(
        &self,
        prepared: PreparedReservations,
    ) -> Result<Vec<NexusId>, ReservationsRefused> {
        let aborted = self.commit_reservations_quietly(prepared)?;
        let nexuses = self.nexuses.lock();
        for nexus in nexuses.iter().filter(|nexus| aborted.contains(&nexus.id)) {
            nexus.attention.raise(PREEMPTED);
        }
        Ok(aborted)
    }

    /// The same, but those nexuses find no unit attention yet: it is for the shell to raise
    /// [`UnitAttention::RegistrationsPreempted`](crate::UnitAttention::RegistrationsPreempted) on each
    /// once it has aborted its commands, as none of them may be answered after it (RFC 7143 §4.2.3.6).
    ///
    /// # Errors
    /// As above.
    pub fn commit_reservations_quietly(
        &self,
        prepared: PreparedReservations,
    ) -> Result<Vec<NexusId>, ReservationsRefused> {
        let mut reservations = self.reservations.lock();
        if prepared.based_on != reservations.number {
            return Err(ReservationsRefused(RefusedOrStale::Stale));
        }
        let nexuses = self.nexuses.lock();
        let effects = match prepared.outcome {
            Prepared::Nothing => return Ok(Vec::new()),
            Prepared::Persistent { next, effects } => {
                reservations.persistent = next;
                effects
            }
            Prepared::Reserved(holder) => {
                // One that has gone meanwhile holds nothing.
                let there = |one: &Requester| nexuses.iter().any(|nexus| nexus.id == one.id);
                reservations.spc2 = holder.filter(there);
                Effects::default()
            }
            Prepared::Cleared { next, mut effects } => {
                reservations.persistent = next;
                reservations.spc2 = None;
                if std::mem::take(&mut reservations.lost) {
                    // Any of them may have been registered.
                    let tell = crate::UnitAttention::ReservationsPreempted;
                    effects.attentions = nexuses
                        .iter()
                        .map(|nexus| (nexus.name.clone(), tell))
                        .collect();
                }
                effects
            }
        };
        reservations.number += 1;
        self.reservations_changed(&reservations, &nexuses);
        let mut aborted = Vec::new();
        let told: HashMap<_, _> = effects.attentions.into_iter().collect();
        for nexus in nexuses.iter() {
            if effects.aborted.contains(&nexus.name) {
                aborted.push(nexus.id);
            } else if let Some(attention) = told.get(&nexus.name) {
                nexus.attention.raise(*attention);
            }
        }
        Ok(aborted)
    }

    /// Takes over what was kept from before a loss of power: nobody is attached yet.
    ///
    /// # Errors
    /// The record can't be used. Then nobody knows who may do what: commands that reservations could
    /// stand against end with NOT READY, MANUAL INTERVENTION REQUIRED, until an operator clears them.
    pub fn restore_reservations(&self, kept: &[u8]) -> Result<(), InvalidRecord> {
        match record::decode(kept, self.config.identity.naa) {
            Ok(persistent) => {
                let mut reservations = self.reservations.lock();
                reservations.persistent = persistent;
                reservations.number += 1;
                self.reservations_changed(&reservations, &self.nexuses.lock());
                Ok(())
            }
            Err(error) => {
                self.lose_reservations();
                Err(error)
            }
        }
    }

    /// What was kept can't be read at all; see [`LogicalUnit::restore_reservations`].
    pub fn lose_reservations(&self) {
        let mut reservations = self.reservations.lock();
        reservations.lost = true;
        reservations.number += 1;
        self.reservations_changed(&reservations, &self.nexuses.lock());
    }

    /// Whether a reservation is held, of either kind. Waits for nobody.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.is_reserved.load(Ordering::Acquire)
    }

    fn reservations_changed(&self, reservations: &Reservations, nexuses: &[Arc<NexusState>]) {
        let is_held = reservations.persistent.reservation.is_some() || reservations.spc2.is_some();
        self.is_reserved.store(is_held, Ordering::Release);
        update(reservations, nexuses);
    }

    /// Says through which target ports the unit can be reached: what ALL_TG_PT stands for.
    pub(super) fn reserve_through(&self, ports: &[TargetPort]) {
        let ports = ports.iter().map(|port| port.relative_port_identifier);
        self.reservations.lock().target_ports = ports.collect();
    }

    /// Who reserved the unit and who is registered.
    #[must_use]
    pub fn reservations(&self) -> ReservationReport {
        let reservations = self.reservations.lock();
        let persistent = &reservations.persistent;
        let registrants = persistent.registrations.iter().map(|one| Registrant {
            initiator_port: one.nexus.initiator_port.clone(),
            relative_port: one.nexus.relative_port,
            key: one.key,
            holder: persistent.holds(one),
        });
        let spc2 = reservations.spc2.as_ref();
        ReservationReport {
            kind: persistent.reservation.as_ref().map(|there| there.kind),
            registrants: registrants.collect(),
            persists: persistent.aptpl,
            reserved_by: spc2.map(|holder| holder.name.initiator_port.clone()),
            lost: reservations.lost,
        }
    }

    /// PRGENERATION.
    pub(crate) fn reservations_generation(&self) -> u32 {
        self.reservations.lock().persistent.generation
    }

    /// What RESERVATION CONFLICT or worse stands against a command that the bits of its nexus don't
    /// allow; `None` if it is allowed after all.
    pub(super) fn conflict(&self, nexus: &LuNexus, access: Access) -> Result<Option<Reply>, Sense> {
        if access == Access::Always {
            return Ok(None);
        }
        // Off the fast path: the lock settles what the bits say just now.
        let reservations = self.reservations.lock();
        if reservations.lost {
            return Err(LOST);
        }
        let conflict = !nexus.state.access().has(access);
        Ok(conflict.then(|| Reply::with_status(Status::RESERVATION_CONFLICT)))
    }

    /// Whether reservations leave a nexus something that isn't one of its own commands here: what a
    /// copy manager does on its behalf.
    pub(super) fn reservations_allow(&self, nexus: &NexusInfo, access: Access) -> bool {
        let reservations = self.reservations.lock();
        reservations
            .access(nexus.id, &NexusName::of(nexus), &reservations.keys())
            .has(access)
    }

    pub(super) fn attach_to_reservations(&self, nexus: &Arc<NexusState>) {
        let reservations = self.reservations.lock();
        let mut nexuses = self.nexuses.lock();
        nexus.set_access(reservations.access(nexus.id, &nexus.name, &reservations.keys()));
        nexuses.push(Arc::clone(nexus));
    }

    /// An SPC-2 reservation doesn't outlive the nexus that holds it.
    pub(super) fn nexus_lost(&self, id: NexusId) {
        let mut reservations = self.reservations.lock();
        let nexuses = self.nexuses.lock();
        let still_there = nexuses.iter().any(|nexus| nexus.id == id);
        if !still_there
            && reservations
                .spc2
                .take_if(|holder| holder.id == id)
                .is_some()
        {
            self.reservations_changed(&reservations, &nexuses);
        }
    }

    /// A reset ends an SPC-2 reservation, and leaves persistent ones and registrations alone.
    pub(super) fn end_spc2_reservation(&self) {
        let mut reservations = self.reservations.lock();
        if reservations.spc2.take().is_some() {
            self.reservations_changed(&reservations, &self.nexuses.lock());
        }
    }

    pub(super) fn reservations_refused(
        &self,
        refused: &ReservationsRefused,
        transfer_length: u64,
    ) -> Reply {
        let reply = match refused.0 {
            RefusedOrStale::Stale => Reply::with_status(Status::BUSY),
            RefusedOrStale::Refused(Refused::Conflict) => {
                Reply::with_status(Status::RESERVATION_CONFLICT)
            }
            RefusedOrStale::Refused(Refused::Sense(sense)) => {
                Reply::check_condition(&sense, self.sense_format())
            }
        };
        reply.of_transfer(transfer_length)
    }
}

/// Whoever is registered `now` and not in `next` is told.
fn gone(now: &PersistentState, next: &PersistentState) -> Effects {
    let gone = now.registrations.iter();
    let gone = gone.filter(|one| next.key_of(&one.nexus).is_none());
    Effects {
        attentions: gone
            .map(|one| {
                (
                    one.nexus.clone(),
                    crate::UnitAttention::ReservationsPreempted,
                )
            })
            .collect(),
        aborted: Vec::new(),
    }
}

/// What a nexus is told whose commands a preemption has aborted.
const PREEMPTED: crate::UnitAttention = crate::UnitAttention::RegistrationsPreempted;

/// NOT READY until somebody looks.
const LOST: Sense = Sense::new(
    SenseKey::NOT_READY,
    AdditionalSense::LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED,
);

/// Works out anew what each nexus may do.
fn update(reservations: &Reservations, nexuses: &[Arc<NexusState>]) {
    let keys = reservations.keys();
    for nexus in nexuses {
        nexus.set_access(reservations.access(nexus.id, &nexus.name, &keys));
    }
}
