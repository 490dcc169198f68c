//! Preempting (SPC-5, "Preempting persistent reservations and registrations").

use crate::attention::UnitAttention;
use crate::reservation::ReservationType;
use crate::reservation::action::{Effects, Refused};
use crate::reservation::state::{NexusName, PersistentState, Reservation};
use crate::sense::Sense;

const SERVICE_ACTION_KEY_AT: u16 = 8;
const SCOPE_AND_TYPE_AT: u16 = 2;

/// Takes the registrations of `victim` away from the others, and the reservation if `victim` is the
/// key of its holder. [`Effects::aborted`] names those who lost something.
pub(super) fn preempt(
    state: &mut PersistentState,
    from: &NexusName,
    victim: u64,
    scope_and_type: u8,
) -> Result<Effects, Refused> {
    let takes_over = match &state.reservation {
        None => false,
        // Everybody holds it: 0 stands for all of them.
        Some(Reservation { holder: None, .. }) => victim == 0,
        Some(Reservation {
            holder: Some(holder),
            ..
        }) => victim != 0 && state.key_of(holder) == Some(victim),
    };
    if victim == 0 && !takes_over {
        let sense = Sense::invalid_field_in_parameter_list(SERVICE_ACTION_KEY_AT, None);
        return Err(Refused::Sense(sense));
    }
    if takes_over {
        take_over(state, from, victim, scope_and_type)
    } else {
        remove(state, from, victim)
    }
}

/// The reservation goes to the one who preempts, with the scope and type that it gives.
fn take_over(
    state: &mut PersistentState,
    from: &NexusName,
    victim: u64,
    scope_and_type: u8,
) -> Result<Effects, Refused> {
    let kind = valid_type(scope_and_type).map_err(Refused::Sense)?;
    let before = state.reservation.take().map(|reservation| reservation.kind);
    let gone = take_registrations(state, |nexus, key| {
        (victim == 0 || key == victim) && nexus != from
    });
    let holder = (!kind.is_all_registrants()).then(|| from.clone());
    state.reservation = Some(Reservation { kind, holder });
    state.count_change();
    let mut effects = preempted(gone, from);
    if before != Some(kind) {
        let left = state.tell_all_but(from, UnitAttention::ReservationsReleased);
        effects.attentions.extend(left.attentions);
    }
    Ok(effects)
}

/// Only registrations go, the own one too if it has that key; SCOPE and TYPE don't matter.
fn remove(state: &mut PersistentState, from: &NexusName, victim: u64) -> Result<Effects, Refused> {
    let gone = take_registrations(state, |_, key| key == victim);
    if gone.is_empty() {
        return Err(Refused::Conflict);
    }
    state.drop_orphan();
    state.count_change();
    Ok(preempted(gone, from))
}

fn take_registrations(
    state: &mut PersistentState,
    goes: impl Fn(&NexusName, u64) -> bool,
) -> Vec<NexusName> {
    let mut gone = Vec::new();
    state.registrations.retain(|one| {
        let goes = goes(&one.nexus, one.key);
        if goes {
            gone.push(one.nexus.clone());
        }
        !goes
    });
    gone
}

fn preempted(gone: Vec<NexusName>, from: &NexusName) -> Effects {
    let others: Vec<_> = gone.into_iter().filter(|nexus| nexus != from).collect();
    let tell = |nexus: &NexusName| (nexus.clone(), UnitAttention::RegistrationsPreempted);
    Effects {
        attentions: others.iter().map(tell).collect(),
        aborted: others,
    }
}

/// The type that a SCOPE and TYPE byte of a CDB names, for the scope of the whole logical unit.
pub(crate) fn valid_type(scope_and_type: u8) -> Result<ReservationType, Sense> {
    if scope_and_type >> 4 != 0 {
        return Err(Sense::invalid_field_in_cdb(SCOPE_AND_TYPE_AT, Some(7)));
    }
    ReservationType::from_code(scope_and_type)
        .ok_or(Sense::invalid_field_in_cdb(SCOPE_AND_TYPE_AT, Some(3)))
}
